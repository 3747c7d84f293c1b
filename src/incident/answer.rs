//! What a service was last answered with.

use crate::model::SiteId;
use crate::time::Time;

/// What a service was last answered with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub sites: Vec<SiteId>,
    /// Those of them that are not there for one family alone.
    pub own: Vec<SiteId>,
    /// `AAAA from iad`; empty where no family is answered in another way than the rest.
    pub families: String,
    /// `A 192.0.2.10`
    pub lines: Vec<String>,
    pub ttl: u32,
    pub since: Time,
    pub because: String,
    /// Until when caches may hold the same under an earlier TTL.
    pub tail: Time,
}
