//! Everything a choice depends on.

use serde::{Deserialize, Serialize};

use super::Decision;
use super::endpoint::Standing;
use super::memory::{Marks, Memories};
use crate::model::{Service, SiteId};
use crate::time::{Stalls, Time};
use crate::zone::ClientsId;

/// Everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The moment.
    pub now: Time,
    /// When this process stood still: that time counts for no delay and no hold.
    pub stalls: &'a Stalls,
    /// The service as configured.
    pub service: &'a Service,
    /// How its endpoints stand, one for each of `service.endpoints` and in their order.
    pub standings: &'a [Standing],
    /// What was last decided.
    pub last: Option<&'a Decision>,
    /// Whether an operator's failover holds it where it is.
    pub latched: bool,
    /// What is remembered of endpoints that were of no use.
    pub marks: &'a Marks,
    /// What is remembered of its groups, where it has any.
    pub groups: &'a Memories,
    /// Which endpoints clients prefer, where that matters.
    pub regions: Option<&'a Regions>,
    /// What an operator asks for at this moment.
    pub order: Option<Order<'a>>,
}

/// What an operator may ask of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// Move to this site, which is eligible, and stay there.
    Failover(&'a SiteId),
    /// Return to the best that is Up, without waiting.
    Failback,
}

/// Which members the clients of each region prefer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regions {
    /// The map that sorts clients into these regions.
    pub id: ClientsId,
    /// For each region, every endpoint by its place, in order of preference.
    pub orders: Vec<Vec<u8>>,
}
