//! When a service moves, and how much may move by itself.

use std::time::Duration;

const DEFAULT_WINDOW: Duration = Duration::from_secs(300);

/// What a service asks for beyond its order and its hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moving {
    /// How long the endpoint in use must have been Down before the service leaves it.
    pub delay: Duration,
    /// A failover waits for an operator.
    pub approval: Option<Approval>,
    /// A failback that is due waits for an operator, for as long as it takes.
    pub approve_failback: bool,
    /// Percent of client prefixes that a failback moves, step by step, ahead of moving all; each larger
    /// than the one before and below 100. Empty: all at once.
    pub steps: Vec<u8>,
    /// How long each step lasts at least.
    pub step_hold: Duration,
    /// Safety rules neither hold nor count this service.
    pub exempt: bool,
    /// What it adds to the load of the site it is answered from, in the unit of `capacity`.
    pub load: u32,
    /// Whether it passes over a site that it would take over capacity.
    pub shed: bool,
    /// What becomes of it where one address family of the endpoint in use is dead.
    pub families: Families,
}

/// `families`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Families {
    /// Each is answered from where it works.
    #[default]
    Each,
    /// All of them are answered from one endpoint, where one has them all.
    Together,
}

/// `failover = { mode = "approve" }`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approval {
    /// How long an operator has to answer; more than zero.
    pub wait: Duration,
    /// What happens when nobody did.
    pub unanswered: Unanswered,
}

/// `unanswered`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The move is made.
    Move,
    /// It is not.
    Stay,
}

/// `[safety]`: how much Detour may do by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safety {
    /// Moves within an hour.
    pub max_switches_per_hour: Option<u32>,
    /// Percent of all services that may move within `window`; at least one may.
    pub max_share_moved: Option<u8>,
    /// What `max_share_moved` looks back over.
    pub window: Duration,
    /// Sites that must go on answering for some service.
    pub min_sites_in_service: Option<usize>,
    /// What becomes of a move beyond a rule.
    pub on_limit: OnLimit,
}

/// `on_limit`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    /// It is held for approval.
    Hold,
    /// It is made, and told loudly.
    Warn,
}

impl Safety {
    /// Whether there is any rule.
    pub fn is_set(&self) -> bool {
        let Safety { max_switches_per_hour, max_share_moved, min_sites_in_service, .. } = self;
        max_switches_per_hour.is_some() || max_share_moved.is_some() || min_sites_in_service.is_some()
    }
}

impl Default for Safety {
    fn default() -> Safety {
        Safety {
            max_switches_per_hour: None,
            max_share_moved: None,
            window: DEFAULT_WINDOW,
            min_sites_in_service: None,
            on_limit: OnLimit::Hold,
        }
    }
}
