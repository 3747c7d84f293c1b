//! One entry of the history, as it is kept, asked for and printed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::CheckKey;
use crate::engine::{Action, Happened};
use crate::policy::Scope;
use crate::time::Time;
use crate::zone::Name;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up over the daemon's whole life, samples included.
    pub seq: u64,
    /// When it was committed.
    pub at: Time,
    /// What.
    pub what: Happened,
}

/// Which entries are wanted: the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only entries with a smaller `seq`.
    pub before: Option<u64>,
    /// How many; at most [`super::MAX_QUERY`].
    pub limit: usize,
    /// Only what concerns this service.
    pub service: Option<Name>,
    /// The checks that concern `service`: an entry about a check does not say whose it is.
    pub checks: Vec<CheckKey>,
    /// Samples too.
    pub samples: bool,
}

impl Query {
    /// Whether `what` is among what is asked for.
    pub(super) fn wants(&self, what: &Happened) -> bool {
        let Some(service) = &self.service else { return true };
        match what {
            Happened::Sample(sample) => self.checks.contains(&sample.check),
            Happened::Health { check, .. } => self.checks.contains(check),
            Happened::Decision(decision) => decision.service == *service,
            Happened::Command(command) => match &command.action {
                Action::Override { scope, .. } | Action::Clear { scope } => concerns(scope, service),
                Action::Failover { service: moved, .. } | Action::Failback { service: moved } => {
                    moved == service
                }
            },
            Happened::Expired(over) => concerns(&over.scope, service),
            Happened::Started { .. }
            | Happened::Loaded { .. }
            | Happened::LoadRefused { .. }
            | Happened::Published { .. } => false,
        }
    }
}

/// An override on a whole site concerns every service there; the decisions it leads to say which.
fn concerns(scope: &Scope, service: &Name) -> bool {
    match scope {
        Scope::Site(_) => false,
        Scope::Service(name) | Scope::Endpoint(name, _) => name == service,
    }
}

/// One line: the time, then what happened.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ", self.at)?;
        match &self.what {
            Happened::Started { fresh: true } => f.write_str("started without an earlier state"),
            Happened::Started { fresh: false } => f.write_str("started with the state of the last run"),
            Happened::Loaded { services, zones } => write!(f, "loaded: services {services}, zones {zones}"),
            Happened::LoadRefused { problems } => {
                let lines: Vec<&str> = problems.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
                write!(f, "load refused: {}", lines.join(" | "))
            }
            Happened::Sample(s) => {
                write!(f, "sample {} from {}: {} in {:.1?}", s.check, s.vantage.0, s.outcome, s.latency)
            }
            Happened::Health { check, from, to, because } => {
                write!(f, "health {check}: {from} -> {to}: {because}")
            }
            Happened::Decision(d) => {
                let sites = if d.sites.is_empty() { "no site".to_owned() } else { d.sites.join(", ") };
                write!(f, "decision {}: {} from {sites}, TTL {}: {}", d.id, d.service, d.ttl, d.reason)
            }
            Happened::Published { zone, from, to, decisions } => {
                write!(f, "published {zone} serial {from} -> {to}")?;
                match &decisions[..] {
                    [] => Ok(()),
                    [one] => write!(f, " for decision {one}"),
                    [first, .., last] => {
                        write!(f, " for {} decisions, {first} to {last}", decisions.len())
                    }
                }
            }
            Happened::Command(c) => {
                match &c.action {
                    Action::Override { scope, kind, until } => {
                        write!(f, "command: {kind} {scope}")?;
                        if let Some(until) = until {
                            write!(f, " until {until}")?;
                        }
                    }
                    Action::Clear { scope } => write!(f, "command: undrain {scope}")?,
                    Action::Failover { service, to } => write!(f, "command: failover {service} to {to}")?,
                    Action::Failback { service } => write!(f, "command: failback {service}")?,
                }
                write!(f, ", by {}: {}", c.who, c.reason)
            }
            Happened::Expired(o) => {
                write!(f, "expired: {} {}, by {}: {}", o.kind, o.scope, o.who, o.reason)
            }
        }
    }
}
