//! What to answer from now on, and why.

use super::Decision;
use super::memory::{Marks, Memories};
use super::moves::Partial;
use super::reason::Reason;
use super::records;
use super::steer::Steer;
use crate::dns::RrSet;
use crate::model::SiteId;
use crate::time::Time;

/// What to answer from now on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The sites answered with.
    pub sites: Vec<SiteId>,
    /// What is answered.
    pub records: Vec<RrSet>,
    /// Seconds.
    pub ttl: u32,
    /// Why.
    pub reason: Reason,
    /// Whether an operator's failover still holds it.
    pub latched: bool,
    /// What to remember of endpoints that are or were of no use.
    pub marks: Marks,
    /// When to choose again because a hold ends or a share grows.
    pub hold_until: Option<Time>,
    /// What to remember of its groups.
    pub groups: Memories,
    /// How that depends on the client, where it does.
    pub steer: Option<Box<Steer>>,
    /// The clients that a failback has moved already.
    pub partial: Option<Partial>,
}

impl Choice {
    /// Gives the address hints of SVCB and HTTPS records that are left open (`ipv4hint=auto`) the addresses that are
    /// answered beside them, for every client.
    pub fn close_hints(&mut self) {
        records::close_hints(&mut self.records);
        let steered = self.steer.iter_mut().flat_map(|steer| &mut steer.variants);
        for variant in steered {
            records::close_hints(&mut variant.records);
        }
        if let Some(partial) = &mut self.partial {
            records::close_hints(&mut partial.records);
        }
    }

    /// Whether this is what was decided.
    pub fn stands_in(&self, decision: &Decision) -> bool {
        self.sites == decision.sites
            && self.records == decision.records
            && self.steer == decision.steer
            && self.ttl == decision.ttl
            && self.reason == decision.reason
            && self.partial == decision.partial
    }
}
