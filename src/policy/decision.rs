//! A decision: which endpoints a service answers with, and the typed reason.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::family::Family;
use super::moves::Partial;
use super::reason::Reason;
use super::steer::Steer;
use crate::dns::{Name, RrSet, RrType};
use crate::model::{SiteId, Whereto};
use crate::time::Time;

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

impl Decision {
    /// Whether this place's record is among those answered, to some clients at least.
    pub fn answers(&self, place: &Whereto) -> bool {
        let has = |rtype: RrType, rdata: &[u8]| {
            let sets = self.all_records();
            sets.filter(|set| set.rtype == rtype).any(|set| set.rdata.iter().any(|have| **have == *rdata))
        };
        match place {
            Whereto::Addr(IpAddr::V4(v4)) => has(RrType::A, &v4.octets()),
            Whereto::Addr(IpAddr::V6(v6)) => has(RrType::AAAA, &v6.octets()),
            Whereto::Name(name) => name.parse().is_ok_and(|name: Name| has(RrType::CNAME, name.as_wire())),
        }
    }
}

/// What is decided for one family by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FamilyPart {
    /// Which.
    pub family: Family,
    /// The sites that it is answered from.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// Its records; none only where `all_down` says so.
    pub records: Vec<RrSet>,
    /// Seconds.
    pub ttl: u32,
    /// Why.
    pub reason: Reason,
    /// How it depends on the client, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steer: Option<Box<Steer>>,
}

/// `AAAA from iad: fra Down: 3 of 3 failed, timeout in connect; iad is next in order and Up`
impl fmt::Display for FamilyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FamilyPart { family, sites, reason, .. } = self;
        if sites.is_empty() {
            return write!(f, "{family}: {reason}");
        }
        write!(f, "{family} from {}: {reason}", sites.join(" and "))
    }
}
