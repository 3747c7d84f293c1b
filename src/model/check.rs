//! What makes two probes the same: the same question to the same address.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};

use super::schema::{one_key_of, text};
use super::{Config, Endpoint, Probe, ProbeId, Service, Target};
use crate::dns::Name;

/// Where a probe goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Whereto {
    /// An endpoint's address.
    Addr(IpAddr),
    /// An endpoint's CNAME target, resolved at each run.
    Name(Arc<str>),
}

impl utoipa::PartialSchema for Whereto {
    fn schema() -> RefOr<Schema> {
        one_key_of(vec![("Addr", text()), ("Name", text())])
    }
}

impl utoipa::ToSchema for Whereto {}

/// One check: a probe's question put to one place. Services that ask the same share it, and so do
/// the names of one service; health, history and status are kept by it, across reloads and restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CheckKey {
    /// The probe asked.
    #[schema(value_type = String)]
    pub probe: ProbeId,
    /// The place it is asked of.
    pub whereto: Whereto,
    /// What is asked for where the place alone does not say it: Host header and SNI, the name a dns probe
    /// asks about, the service a heartbeat is of.
    #[schema(value_type = Option<String>)]
    pub host: Option<Arc<str>>,
}

/// A check as it is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its identity.
    pub key: CheckKey,
    /// How it is run and judged.
    pub probe: Arc<Probe>,
}

impl CheckKey {
    /// The check `service` needs for one place under one of its probes.
    pub fn of(service: &Service, probe: &Probe, whereto: Whereto) -> CheckKey {
        let host = probe.kind.host().map(|host| host.unwrap_or_else(|| without_dot(&service.name)));
        CheckKey { probe: probe.id.clone(), whereto, host }
    }
}

/// A name as a check's host: without its last dot, but for the root.
pub(super) fn without_dot(name: &Name) -> Arc<str> {
    let text = name.to_string();
    text.strip_suffix('.').filter(|text| !text.is_empty()).unwrap_or(&text).into()
}

impl Endpoint {
    /// Every place of this endpoint that probes go to, in the order its records are answered.
    pub fn places(&self) -> Vec<Whereto> {
        match &self.target {
            Target::Addresses { v4, v6 } => {
                let v4 = v4.iter().map(|&a| IpAddr::V4(a));
                v4.chain(v6.iter().map(|&a| IpAddr::V6(a))).map(Whereto::Addr).collect()
            }
            Target::Cname(name) => vec![Whereto::Name(name.to_string().trim_end_matches('.').into())],
        }
    }
}

impl Config {
    /// Every check this configuration asks for, each once, in a stable order.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        for service in &self.services {
            for probe in service.probes.leaves() {
                let places = service.endpoints.iter().flat_map(Endpoint::places);
                let keys = places.map(|whereto| CheckKey::of(service, probe, whereto));
                checks.extend(keys.map(|key| Check { key, probe: probe.clone() }));
            }
        }
        checks.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        checks.dedup_by(|a, b| a.key == b.key);
        checks
    }
}

impl fmt::Display for Whereto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whereto::Addr(addr) => addr.fmt(f),
            Whereto::Name(name) => f.write_str(name),
        }
    }
}

/// `web@192.0.2.10 (app.example.com)`
impl fmt::Display for CheckKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.probe, self.whereto)?;
        match &self.host {
            Some(host) => write!(f, " ({host})"),
            None => Ok(()),
        }
    }
}
