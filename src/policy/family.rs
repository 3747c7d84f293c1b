//! Address families.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::dns::RrType;
use crate::model::Whereto;

/// An address family, by the type of its records.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
pub enum Family {
    /// IPv4.
    A,
    /// IPv6.
    #[serde(rename = "AAAA")]
    Aaaa,
}

impl Family {
    /// Both.
    pub const BOTH: [Family; 2] = [Family::A, Family::Aaaa];

    /// The type of its records.
    pub fn rtype(self) -> RrType {
        match self {
            Family::A => RrType::A,
            Family::Aaaa => RrType::AAAA,
        }
    }

    /// Whether an address is one of its.
    pub fn has(self, place: &Whereto) -> bool {
        match place {
            Whereto::Addr(IpAddr::V4(_)) => self == Family::A,
            Whereto::Addr(IpAddr::V6(_)) => self == Family::Aaaa,
            Whereto::Name(_) => false,
        }
    }
}

/// `A`, `AAAA`
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rtype().fmt(f)
    }
}
