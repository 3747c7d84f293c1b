//! Moves, and how far one has come.

use serde::{Deserialize, Serialize};

use super::family::Family;
use crate::dns::RrSet;
use crate::model::SiteId;
use crate::time::Time;

/// A move that nobody ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where the service is answered from.
    pub from: SiteId,
    /// Where it would be.
    pub to: SiteId,
    /// Why.
    pub kind: MoveKind,
    /// Which address family alone moves; `None`: all of it.
    pub family: Option<Family>,
    /// Whether something of the service is answered from `from` all the same.
    pub keeps: bool,
}

/// Which way a service moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    /// Off an endpoint that does not work.
    Failover,
    /// From one that works to one that is preferred.
    Failback,
}

/// The clients that a failback has moved so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Partial {
    /// The site they are sent to.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// How many of all client prefixes they are, in percent.
    pub percent: u8,
    /// What they are answered.
    pub records: Vec<RrSet>,
}

/// How far a failback in steps has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where it leads.
    pub to: SiteId,
    /// Which step, from 0.
    pub at: usize,
    /// Since when.
    pub since: Time,
    /// Which address family alone goes back; `None`: all of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
}
