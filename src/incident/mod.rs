//! Incidents: what belongs together of what happened, from the first failed run to the last client that
//! still holds an old answer.
//!
//! In: entries of the history, in their order, each once; and now. Out: [`Incident`]s, the newest first. Nothing
//! is known here but what entries say, so a daemon that runs, a state file that lies there and a test tell the
//! same. It must never guess a health or a decision.
//!
//! ```text
//!   a check fails ──► tentative ──► a check is Down, or an answer moves ──► open ◄─────────┐ the same site or
//!                        │                                                   │            │ service fails again
//!                        │ all Up again                 all Up, all answers  │            │ within `LINGER`
//!                        ▼                              where they belong    ▼            │
//!                     nothing                      over; the old TTLs have ended ──► ended┘──► closed
//! ```
//!
//! A failure joins an incident by the service it bears on, or by its site if failures there are fresh: a
//! site that dies is one incident, a service that has been down for a week does not swallow it. What an
//! operator does to a healthy site is no incident; during one it is a line of its timeline.

mod affected;
mod answer;
mod fold;
mod lines;
mod progress;
mod summary;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dns::{Name, Serial};
use crate::model::{CheckKey, SiteId};
use crate::time::Time;

pub use fold::Incidents;

/// How many incidents are kept, those under way included.
pub const MAX_INCIDENTS: usize = 200;
/// How many may be under way at a time, tentative ones included; beyond that the oldest is closed.
pub const MAX_OPEN: usize = 64;
/// How many lines a timeline has.
pub const MAX_LINES: usize = 300;
/// How many services, moves and first failures an incident names; of others it tells the number.
pub const MAX_NAMED: usize = 500;
/// How many stretches of answers an incident tells.
pub const MAX_SERVED: usize = 1_000;
/// How many answers are remembered, to tell what moved from where.
pub const MAX_ANSWERS: usize = 200_000;
/// How long after its last failure one at the same site still joins an incident.
pub const FRESH: Duration = Duration::from_secs(300);
/// How long after its end an incident goes on if the same fails again.
pub const LINGER: Duration = Duration::from_secs(300);

/// One incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Incident {
    /// The number of the history entry it begins with.
    pub id: u64,
    /// When the first failed run began.
    pub began: Time,
    /// When the last client lost its old answer, with everything where it belongs; `None` while it goes on.
    pub ended: Option<Time>,
    /// Where something failed, the first first.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// Whose answers it touched, [`MAX_NAMED`] at most.
    pub services: Vec<Name>,
    /// How many those are.
    pub services_total: usize,
    /// In one sentence.
    pub summary: String,
    /// The slowest move away from a failed site, against what was promised; `None` where nothing moved.
    pub phases: Option<Phases>,
    /// What failed first, check by check.
    pub causes: Vec<FirstFailure>,
    /// Moves of answers, away and back.
    pub moves: Vec<Move>,
    /// How many those are.
    pub moves_total: usize,
    /// Services that are not where they belong, and why; empty once all are.
    pub waiting: Vec<Waiting>,
    /// Until when clients may hold an old answer.
    pub clear: Option<Time>,
    /// What was answered when, by service and time.
    pub served: Vec<Served>,
    /// What happened, in order.
    pub timeline: Vec<Line>,
    /// How many lines the timeline would have beyond [`MAX_LINES`].
    pub more_lines: usize,
}

impl Incident {
    /// Whether it goes on.
    pub fn is_open(&self) -> bool {
        self.ended.is_none()
    }
}

/// How long each part of a move took, in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Phases {
    /// Of which service.
    pub service: Name,
    /// From the beginning of the first failed run to Down.
    pub detect: f64,
    /// From Down to the decision to move: a delay or an operator's approval is in it.
    pub decide: f64,
    /// From the decision to the published answer.
    pub publish: f64,
    /// From there until the last cache lost the old answer.
    pub ttl: f64,
    /// The sum.
    pub total: f64,
    /// What was promised for the sum; `None` where nothing was.
    pub rto: Option<f64>,
    /// Whether the promise was kept.
    pub kept: Option<bool>,
}

/// The first failure of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FirstFailure {
    /// The check.
    pub check: CheckKey,
    /// Where.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// When the failed run began.
    pub at: Time,
    /// Why, in the check's own words: `connection refused`.
    pub why: String,
    /// When it was Down, if it came to that.
    pub down: Option<Time>,
    /// When it was Up again.
    pub up: Option<Time>,
    /// How often it was found Down.
    pub falls: u32,
}

/// Which way an answer moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Away from what failed.
    Away,
    /// To where it belongs.
    Back,
    /// Otherwise: by an operator's word.
    Ordered,
}

/// One service's answer moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Move {
    /// Whose.
    pub service: Name,
    /// Which way.
    pub way: Way,
    /// The sites answered before.
    #[schema(value_type = Vec<String>)]
    pub from: Vec<SiteId>,
    /// The sites answered since.
    #[schema(value_type = Vec<String>)]
    pub to: Vec<SiteId>,
    /// When the first failed run began that led to it.
    pub failed: Time,
    /// When that was Down.
    pub down: Option<Time>,
    /// When it was decided.
    pub decided: Time,
    /// The decision.
    pub decision: u64,
    /// When it was published.
    pub published: Option<Time>,
    /// Under which serial.
    pub serial: Option<Serial>,
    /// When the last cache lost the old answer; where the answer before is not known, the new one's TTL counts.
    pub gone: Time,
    /// What was promised, in milliseconds.
    pub rto_ms: Option<u64>,
    /// Why: the decision's own reason.
    pub because: String,
    /// The address families that are answered from other sites than the rest since: `AAAA from iad`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub families: String,
}

impl Move {
    /// How long each part took.
    pub fn phases(&self) -> Phases {
        let down = self.down.unwrap_or(self.decided);
        let published = self.published.unwrap_or(self.decided);
        let secs = |to: Time, from: Time| to.since(from).as_secs_f64();
        let total = secs(self.gone, self.failed);
        let rto = self.rto_ms.map(|ms| ms as f64 / 1000.0);
        Phases {
            service: self.service.clone(),
            detect: secs(down, self.failed),
            decide: secs(self.decided, down),
            publish: secs(published, self.decided),
            ttl: secs(self.gone, published),
            total,
            rto,
            kept: rto.map(|rto| total <= rto),
        }
    }
}

/// A service that is not where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Waiting {
    /// Which.
    pub service: Name,
    /// Since when it waits for what it waits for now.
    pub since: Time,
    /// For what.
    pub for_what: For,
    /// In the decision's own words.
    pub because: String,
}

/// What has to happen before a service is where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum For {
    /// A site has to work again.
    Recovery,
    /// A hold, a delay or a step has to end.
    Time,
    /// An operator has to answer a proposal.
    Approval,
    /// An operator has to say `detour failback`.
    Failback,
}

/// What a service was answered with for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Served {
    /// Whose.
    pub service: Name,
    /// From when; where that was before the incident, since the decision.
    pub from: Time,
    /// Until when; `None` where it still is.
    pub to: Option<Time>,
    /// From which sites.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// `A 192.0.2.10`
    pub answer: Vec<String>,
    /// Seconds.
    pub ttl: u32,
    /// Why.
    pub because: String,
}

/// What a line of a timeline tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The first failed run of a check began.
    FirstFailed,
    /// A check is Suspect.
    Suspect,
    /// A check is Down.
    Down,
    /// A check failed and is Up again.
    Recovered,
    /// Nothing is known of a check any more.
    Unknown,
    /// An answer moves away.
    Decided,
    /// An answer changes and does not move: its TTL, or an address that is left out.
    Answer,
    /// Something is waited for.
    Waiting,
    /// A zone was published.
    Published,
    /// The last cache lost an old answer.
    OldTtlGone,
    /// An answer is back where it belongs.
    Failback,
    /// A move was proposed, or its proposal ended by itself.
    Proposal,
    /// An operator did something.
    Command,
    /// An override ran out.
    OverrideEnded,
    /// A safety rule was broken.
    Limit,
    /// A standby could not take over, or can again.
    Standby,
    /// The vantage doubts itself, or trusts itself again.
    Vantage,
    /// The host's clock was set.
    Clock,
    /// The daemon started.
    Started,
    /// A configuration was taken up.
    Loaded,
    /// An alert was taken or given up.
    Alert,
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Line {
    /// When.
    pub at: Time,
    /// What kind of thing.
    pub what: What,
    /// The service, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
    /// The site, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub site: Option<SiteId>,
    /// In words.
    pub text: String,
    /// The entry of the history, where it is one: the first of those a line is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// How many entries are told by it.
    pub count: usize,
    /// Who, where it was somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}
