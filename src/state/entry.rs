//! One entry of the history, as it is kept, asked for and printed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dns::Name;
use crate::engine::{Action, Happened};
use crate::model::CheckKey;
use crate::policy::Scope;
use crate::time::Time;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// Only what a zone's serials come from: what was published, and the decisions, updates, rollbacks and
    /// freezes behind it.
    pub zone: Option<Name>,
}

impl Query {
    /// Whether `what` is among what is asked for.
    pub(super) fn wants(&self, what: &Happened) -> bool {
        if let Some(zone) = &self.zone {
            return match what {
                Happened::Decision(decision) => decision.service.is_at_or_below(zone),
                Happened::Published { zone: of, .. }
                | Happened::Updated { zone: of, .. }
                | Happened::RolledBack { zone: of, .. }
                | Happened::Frozen { zone: of, .. } => of == zone,
                _ => false,
            };
        }
        let Some(service) = &self.service else { return true };
        match what {
            Happened::Sample(sample) => self.checks.contains(&sample.check),
            Happened::Health { check, .. } | Happened::Warned { check, .. } => self.checks.contains(check),
            Happened::Decision(decision) => decision.service == *service,
            Happened::Command(command) => match &command.action {
                Action::Override { scope, .. } | Action::Clear { scope } => concerns(scope, service),
                Action::Failover { service: moved, .. } | Action::Failback { service: moved } => {
                    moved == service
                }
                // Whose they are, the decisions they lead to say.
                Action::Approve { .. } | Action::Reject { .. } => false,
            },
            Happened::Expired(over) => concerns(&over.scope, service),
            Happened::Proposal { proposal, .. } => proposal.service == *service,
            Happened::AlertSent { services, .. } => services.contains(service),
            Happened::Limit { service: of, .. } | Happened::Standby { service: of, .. } => of == service,
            Happened::Condition(turn) => {
                let subject = &turn.condition.subject;
                subject.parse().is_ok_and(|name: Name| name == *service)
            }
            // They concern every service.
            Happened::Doubt(_) | Happened::Trust(_) | Happened::ClockSet { .. } => true,
            Happened::Started { .. }
            | Happened::Loaded { .. }
            | Happened::LoadRefused { .. }
            | Happened::Updated { .. }
            | Happened::RolledBack { .. }
            | Happened::UpdateRefused { .. }
            | Happened::Frozen { .. }
            | Happened::AlertLost { .. }
            | Happened::Audit(_)
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
        write!(f, "{}  {}", self.at, self.what)
    }
}
