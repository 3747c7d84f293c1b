//! What is allowed and probably not meant, and what to do about it.

use std::time::Duration;

use crate::dns::Name;
use crate::model::Seconds;

/// What is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Advice {
    #[error("site {0:?} has no endpoint")]
    UnusedSite(String),
    #[error("probe {0:?} is not used by any service or canary")]
    UnusedProbe(String),
    #[error("service \"{0}\" has one endpoint and nothing to fail over to")]
    OneEndpoint(Name),
    #[error("endpoints {first:?} and {second:?} have the same CNAME target, \"{target}\"")]
    CnameAtTwoSites { target: Name, first: String, second: String },
    #[error(
        "the address hints of a record of endpoint {0:?} are fixed, and do not follow the addresses that are answered"
    )]
    FixedHints(String),
    #[error("ttl is 0s: resolvers keep no answer of service \"{0}\"")]
    NoTtl(Name),
    #[error("name {0:?} has a placeholder, and nothing fills it in")]
    Placeholder(String),
    #[error(
        "negative answers of zone \"{zone}\" are cached for {}, longer than the TTL of {} of service \"{service}\": \
         clients that ask while it has no record of a type will not see it return for up to {}",
        Seconds(*negative), Seconds(*ttl), Seconds(*negative)
    )]
    NegativeTtl { zone: Name, service: Name, negative: Duration, ttl: Duration },
}

impl Advice {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Advice::UnusedSite(_) => "add an endpoint there, or delete it".to_owned(),
            Advice::UnusedProbe(key) => {
                format!("add it to the \"probes\" of a service, as in probes = [{key:?}], or delete it")
            }
            Advice::OneEndpoint(_) => {
                "add an endpoint at another site, or all_down = { fallback = [\"192.0.2.99\"] }".to_owned()
            }
            Advice::CnameAtTwoSites { .. } => {
                "a name cannot fail over to itself: give each site its own".to_owned()
            }
            Advice::FixedHints(_) => "write ipv4hint=auto and ipv6hint=auto".to_owned(),
            Advice::NoTtl(_) => "a few seconds, as in ttl = \"5s\", spare most of the queries".to_owned(),
            Advice::Placeholder(_) => {
                "environment variables are not expanded here: write the whole name".to_owned()
            }
            Advice::NegativeTtl { ttl, .. } => {
                let secs = ttl.as_secs().max(1);
                format!("set the last number of the zone's SOA, its minimum, to {secs} (RFC 2308 section 5)")
            }
        }
    }
}
