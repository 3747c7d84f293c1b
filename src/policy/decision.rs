//! A decision: which endpoints a service answers with, and the typed reason.

use serde::{Deserialize, Serialize};

use super::{FamilyPart, Partial, Reason, Steer};
use crate::config::SiteId;
use crate::time::Time;
use crate::zone::{Name, RrSet};

/// What a service answers with from `at` on, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// Counts up over the daemon's whole life, restarts included.
    pub id: u64,
    /// When it was made.
    pub at: Time,
    /// The steered name.
    pub service: Name,
    /// The sites answered with, those of single families too; empty under `all_down = "empty"` or a fallback.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// What the name answers, or where that depends on the client, those nobody knows anything of; empty only where the configuration says so.
    pub records: Vec<RrSet>,
    /// Seconds.
    pub ttl: u32,
    /// Why, single families aside.
    pub reason: Reason,
    /// What the service's `rto` promised then, in milliseconds, where it promised anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_ms: Option<u64>,
    /// How the answer depends on the client, where it does; single families aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steer: Option<Box<Steer>>,
    /// The clients that a failback has moved already, and what they are answered instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<Partial>,
    /// The address families that are answered in another way than the rest, at most one part for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<FamilyPart>,
}
