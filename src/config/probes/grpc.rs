//! The keys of `grpc` probes.

use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::tls::{Alpn, options};
use super::{host, read_max_latency};
use crate::config::error::ConfigError;
use crate::config::pem::Files;
use crate::config::report::Findings;
use crate::config::section::{Item, Reported, Section, or};
use crate::model::GrpcProbe;

/// The longest `service`, in bytes.
const MAX_SERVICE: usize = 256;

/// Reads the keys of a `grpc` probe.
pub(super) fn read(
    files: &mut Files,
    timeout: Option<Duration>,
    section: &mut Section,
    findings: &mut Findings,
) -> Result<GrpcProbe, Reported> {
    let service = section.read("service", findings, service);
    let host = section.read("host", findings, host);
    let max_latency = read_max_latency(timeout, section, findings);
    let tls = match section.item("tls") {
        Some(item) => options(item, Alpn::Given("a grpc probe, which offers h2"), files, findings).map(Some),
        None => Ok(None),
    };
    Ok(GrpcProbe {
        service: or(service, String::new())?,
        host: host?.map(Spanned::into_inner),
        tls: tls?.map(Arc::new),
        max_latency: max_latency?,
    })
}

/// A service's name; an empty one is the server itself.
fn service(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = item.text("a string", findings)?;
    let key = item.key.to_owned();
    if text.len() > MAX_SERVICE {
        return Err(item.wrong(ConfigError::LongText { key, limit: MAX_SERVICE }, findings));
    }
    if text.chars().any(char::is_control) {
        return Err(item.wrong(ConfigError::ControlCharacter { key }, findings));
    }
    Ok(text.to_owned())
}
