//! What a zone is held against beside itself.

use std::collections::BTreeMap;

use crate::dns::Name;

/// What a zone is held against beside itself.
#[derive(Clone, Debug, Default)]
pub struct Promises {
    /// What a configuration promises of names: the TTL of each steered name, in seconds.
    pub ttls: BTreeMap<Name, u32>,
    /// Seconds since 1970, which signatures are to be good for; without it, none is looked at.
    pub now: Option<u64>,
}

impl Promises {
    /// Those of names in a zone.
    #[must_use]
    pub fn within(&self, apex: &Name) -> Promises {
        let ttls = self.ttls.iter().filter(|(name, _)| name.is_at_or_below(apex));
        Promises { ttls: ttls.map(|(name, ttl)| (name.clone(), *ttl)).collect(), now: self.now }
    }
}
