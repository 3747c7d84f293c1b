//! Services.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Endpoint, Moving, PolicyKind, ProbeTree, Tree};
use crate::dns::Name;

/// One steered owner name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The owner name.
    pub name: Name,
    /// The apex of the zone it lies in.
    pub zone: Name,
    /// How endpoints are picked.
    pub policy: PolicyKind,
    /// Seconds on answers while the endpoint in use is well.
    pub ttl: u32,
    /// Seconds on answers while the endpoint in use is Suspect.
    pub ttl_suspect: u32,
    /// Which probes must pass for a place to work.
    pub probes: ProbeTree,
    /// When a preferred endpoint that recovered is used again.
    pub failback: Failback,
    /// What is answered when no endpoint works.
    pub all_down: AllDown,
    /// The promise `detour check` holds the sum against.
    pub rto: Option<Duration>,
    /// What a move waits for, and how it is made.
    pub moving: Moving,
    /// In order of preference; never empty, each site once.
    pub endpoints: Vec<Endpoint>,
    /// How they are picked, where that is not failover in their order.
    pub tree: Option<Arc<Tree>>,
}

/// `failback`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// Once the preferred endpoint has been Up for this long.
    Auto {
        /// Counted from the sample that made it Up.
        hold: Duration,
    },
    /// When an operator says so.
    Manual,
}

/// `all_down`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllDown {
    /// The last answer stays.
    Keep,
    /// Every endpoint's addresses.
    All,
    /// The first endpoint.
    Primary,
    /// No record at all.
    Empty,
    /// These addresses.
    Fallback(Vec<IpAddr>),
}
