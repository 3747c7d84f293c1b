//! `tls = { ... }`, which every type that speaks TLS may have, and the `tls` type itself.

use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::{host, read_max_latency};
use crate::config::pem::{self, Files, Whose};
use crate::config::report::Findings;
use crate::config::section::{Item, Reported, Section, or};
use crate::config::values;
use crate::model::{MinDays, ProbeKind, TlsOptions, TlsProbe};

/// The largest `min_days`.
const MAX_MIN_DAYS: u32 = 3_650;
/// The most protocols in `alpn`.
const MAX_ALPN: usize = 16;
/// The longest protocol's name, in bytes (RFC 7301 section 3.1).
const MAX_ALPN_NAME: usize = 255;

/// Reads the keys of a `tls` probe.
pub(super) fn read(
    files: &mut Files,
    timeout: Option<Duration>,
    section: &mut Section,
    findings: &mut Findings,
) -> Result<ProbeKind, Reported> {
    let max_latency = read_max_latency(timeout, section, findings);
    let tls = match section.item("tls") {
        Some(item) => options(item, Alpn::Asked, files, findings)?,
        None => TlsOptions::default(),
    };
    Ok(ProbeKind::Tls(TlsProbe { tls: Arc::new(tls), max_latency: max_latency? }))
}

/// Who says which protocols ALPN offers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alpn {
    /// The `alpn` key.
    Asked,
    /// The probe's type, called this in messages: there is no such key.
    Given(&'static str),
}

/// Reads the table `tls`.
pub(super) fn options(
    item: Item,
    alpn: Alpn,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<TlsOptions, Reported> {
    let mut section = Section::of("\"tls\"".to_owned(), item, findings)?;
    let verify = section.read("verify", findings, values::boolean);
    let ca = section.read("ca", findings, |item, findings| pem::authorities(item, files, findings));
    let identity = pem::pair(&mut section, Whose::Client, files, findings);
    let server_name = section.read("server_name", findings, host);
    let min_days = min_days(&mut section, findings);
    let protocols = match alpn {
        Alpn::Asked => section.read("alpn", findings, |item, findings| {
            let name = values::line(MAX_ALPN_NAME);
            let listed = item.list("protocols", MAX_ALPN, findings, name)?;
            Ok(listed.into_iter().map(Spanned::into_inner).collect())
        }),
        Alpn::Given(kind) => {
            section.refuse_unasked(&["alpn"], kind, findings);
            Ok(None)
        }
    };
    let verify = or(verify, true)?;
    if !verify {
        section.refuse("ca", "tls without verify", findings);
    }
    section.finish(findings);
    Ok(TlsOptions {
        verify,
        ca: ca?.map(|read| Arc::new(read.into_inner())),
        identity: identity?.map(Arc::new),
        server_name: server_name?.map(Spanned::into_inner),
        min_days: min_days?,
        alpn: or(protocols, Vec::new())?,
    })
}

/// `min_days` and `min_days_is`.
fn min_days(section: &mut Section, findings: &mut Findings) -> Result<Option<MinDays>, Reported> {
    let days = section.read("min_days", findings, values::count(MAX_MIN_DAYS));
    let fails = section.read("min_days_is", findings, |item, findings| {
        Ok(values::word(item, &["failure", "warning"], findings)? == "failure")
    })?;
    match (days?, fails) {
        (Some(days), fails) => {
            let fails = fails.is_none_or(Spanned::into_inner);
            Ok(Some(MinDays { days: days.into_inner(), fails }))
        }
        (None, Some(_)) => Err(section.missing("min_days", "min_days = 14", findings)),
        (None, None) => Ok(None),
    }
}
