//! Endpoints, and what of them probes go to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};

use super::SiteId;
use super::schema::{one_key_of, text};
use crate::dns::{Name, RrType};

/// A service at one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub site: SiteId,
    /// What is answered and probed.
    pub target: Target,
    /// What is answered beside addresses: types and RDATA in wire form.
    pub records: Vec<(RrType, Box<[u8]>)>,
    /// Its share where a group's policy is `weighted`; zero: it is not used.
    pub weight: u32,
}

/// What an endpoint answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A and AAAA records; never both empty, no address twice.
    Addresses {
        /// In the file's order.
        v4: Vec<Ipv4Addr>,
        /// In the file's order.
        v6: Vec<Ipv6Addr>,
    },
    /// A CNAME record. Probes resolve it by the host's resolver.
    Cname(Name),
}

/// Where a probe goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Whereto {
    /// An endpoint's address.
    Addr(IpAddr),
    /// An endpoint's CNAME target, resolved at each run.
    Name(Arc<str>),
}

impl utoipa::PartialSchema for Whereto {
    fn schema() -> RefOr<Schema> {
        one_key_of(vec![("Addr", text()), ("Name", text())])
    }
}

impl utoipa::ToSchema for Whereto {}

impl Endpoint {
    /// Every place of this endpoint that probes go to, in the order its records are answered.
    pub fn places(&self) -> Vec<Whereto> {
        match &self.target {
            Target::Addresses { v4, v6 } => {
                let v4 = v4.iter().map(|&a| IpAddr::V4(a));
                v4.chain(v6.iter().map(|&a| IpAddr::V6(a))).map(Whereto::Addr).collect()
            }
            Target::Cname(name) => vec![Whereto::Name(name.to_string().trim_end_matches('.').into())],
        }
    }
}

impl fmt::Display for Whereto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whereto::Addr(addr) => addr.fmt(f),
            Whereto::Name(name) => f.write_str(name),
        }
    }
}
