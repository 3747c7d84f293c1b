//! The kinds of alerts: their words, how much each matters, and what many of one are called.

use serde::{Deserialize, Serialize};

use crate::condition::ConditionKind;
use crate::model::AlertSeverity;

/// What kind of thing is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A service left an endpoint that is Down.
    Failover,
    /// No endpoint of a service works.
    AllDown,
    /// A service left an endpoint that does not fail: drained, forced, in maintenance, full.
    Moved,
    /// A service is back where it prefers to be.
    Failback,
    /// The same, after nothing worked.
    Recovered,
    /// A service is answered from a site that is Down, and no move is pending approval.
    DeadSite,
    /// A move waits for an operator.
    Approval,
    /// A move waits because a safety rule holds it.
    Held,
    /// A proposal is over, whatever became of it.
    Settled,
    /// A move broke a safety rule that only warns.
    Limit,
    /// The vantage doubts itself.
    Doubt,
    /// It does not any more.
    Trust,
    /// A service's next endpoint could not take over.
    Standby,
    /// It could again.
    StandbyReady,
    /// A check has had no sample for long.
    Stale,
    /// It has samples again.
    Fresh,
    /// A certificate is about to expire.
    Certificate,
    /// It is good for long enough again.
    Renewed,
    /// A configuration was refused.
    Refused,
    /// A configuration was taken up after one that was refused.
    Accepted,
    /// An override ran out.
    Expired,
    /// What was told of is not configured any more.
    Removed,
    /// A condition that no other kind tells began.
    Condition(ConditionKind),
    /// It is over.
    Cleared(ConditionKind),
    /// A test.
    Test,
}

impl Kind {
    /// How much it matters.
    pub fn severity(self) -> AlertSeverity {
        match self {
            Kind::Failover | Kind::AllDown | Kind::DeadSite => AlertSeverity::Critical,
            Kind::Condition(kind) => kind.severity(),
            Kind::Approval
            | Kind::Held
            | Kind::Limit
            | Kind::Doubt
            | Kind::Standby
            | Kind::Stale
            | Kind::Certificate
            | Kind::Refused => AlertSeverity::Warning,
            Kind::Moved
            | Kind::Failback
            | Kind::Recovered
            | Kind::Settled
            | Kind::Trust
            | Kind::StandbyReady
            | Kind::Fresh
            | Kind::Renewed
            | Kind::Accepted
            | Kind::Expired
            | Kind::Removed
            | Kind::Cleared(_)
            | Kind::Test => AlertSeverity::Info,
        }
    }

    /// Whether people are without service: its end is a recovery.
    pub fn is_outage(self) -> bool {
        matches!(self, Kind::AllDown | Kind::Condition(ConditionKind::FamilyDown))
    }

    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Failover => "failover",
            Kind::AllDown => "all-down",
            Kind::Moved => "moved",
            Kind::Failback => "failback",
            Kind::Recovered => "recovered",
            Kind::DeadSite => "dead-site",
            Kind::Condition(kind) => kind.word(),
            Kind::Cleared(kind) => kind.word_when_over(),
            Kind::Approval => "approval",
            Kind::Held => "held",
            Kind::Settled => "settled",
            Kind::Limit => "limit",
            Kind::Doubt => "doubt",
            Kind::Trust => "trust",
            Kind::Standby => "standby",
            Kind::StandbyReady => "standby-ready",
            Kind::Stale => "stale",
            Kind::Fresh => "fresh",
            Kind::Certificate => "certificate",
            Kind::Renewed => "renewed",
            Kind::Refused => "refused",
            Kind::Accepted => "accepted",
            Kind::Expired => "expired",
            Kind::Removed => "removed",
            Kind::Test => "test",
        }
    }

    /// The title of `count` of them at once, at `site` where they have one in common.
    pub fn of_many(self, count: usize, site: Option<&str>) -> String {
        let what = match self {
            Kind::Failover => "services moved away, as their endpoints there are Down",
            Kind::AllDown => "services have no endpoint that works",
            Kind::Moved => "services moved away",
            Kind::DeadSite => "services are answered from there, though it is Down",
            Kind::Condition(kind) => kind.many(),
            Kind::Cleared(_) => "conditions are over",
            Kind::Failback => "services are back",
            Kind::Recovered => "services work again",
            Kind::Approval => "moves are pending approval",
            Kind::Held => "moves are blocked by a safety rule",
            Kind::Settled => "proposals are over",
            Kind::Limit => "services moved against a safety rule",
            Kind::Doubt => "doubts",
            Kind::Trust => "doubts are over",
            Kind::Standby => "standbys could not take over now",
            Kind::StandbyReady => "standbys could take over again",
            Kind::Stale => "checks have no samples any more",
            Kind::Fresh => "checks have samples again",
            Kind::Certificate => "certificates are about to expire",
            Kind::Renewed => "certificates are good for long enough again",
            Kind::Refused => "configurations were refused",
            Kind::Accepted => "configurations were taken up",
            Kind::Expired => "overrides have ended by themselves",
            Kind::Removed => "services are not configured any more",
            Kind::Test => "tests",
        };
        match site {
            Some(site) => format!("{site}: {count} {what}"),
            None => format!("{count} {what}"),
        }
    }
}
