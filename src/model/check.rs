//! What makes two probes the same: the same question to the same address.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::probe::without_dot;
use super::{Probe, ProbeId, Service, Whereto};

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
