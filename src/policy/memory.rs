//! What is remembered between two choices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::family::Family;
use crate::model::SiteId;
use crate::time::Time;

/// What is remembered of an endpoint that was of no use, until it is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It is Down.
    Down,
    /// An operator has taken it out.
    Taken,
    /// It is neither any more; a hold is counted from here, or from when it became Up if that is later.
    Back(Time),
}

/// The marks of one service, at most one for each endpoint.
pub type Marks = BTreeMap<SiteId, Mark>;

/// What is remembered of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The members in use.
    #[serde(default)]
    pub in_use: Vec<SiteId>,
    /// Whether an operator's failover holds it.
    #[serde(default)]
    pub latched: bool,
    /// Of members that were of no use.
    #[serde(default)]
    pub marks: Marks,
}

/// The memories of one service's groups, by name; at most as many as there are groups.
pub type Memories = BTreeMap<SiteId, Memory>;

/// What is remembered of a family that is decided by itself: as [`Choice`] has it of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyMemory {
    /// Whether an operator's failover holds it.
    #[serde(default)]
    pub latched: bool,
    /// Of endpoints that were of no use to it.
    #[serde(default)]
    pub marks: Marks,
    /// Of groups.
    #[serde(default, skip_serializing_if = "Memories::is_empty")]
    pub groups: Memories,
}

/// The memories of one service's families.
pub type FamilyMemories = BTreeMap<Family, FamilyMemory>;
