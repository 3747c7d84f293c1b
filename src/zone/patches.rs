//! What a zone holds at some names in place of what is packed: what is packed never changes, and is shared by all
//! versions of the zone. A version that changes a name copies the few names that share a bucket with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::owners::hash;
use super::sets::{Owned, PackedSet, pack};
use crate::dns::{Name, RrSet, RrType};

/// How many buckets names are sorted into: as many as names in a bucket, about, where there are as many as there may
/// be in a large zone.
const BUCKETS: usize = 512;

/// The patched names of one version of a zone.
#[derive(Clone, Debug, Default)]
pub(super) struct Patches {
    /// By the name's hash; none at all as long as nothing is patched.
    buckets: Vec<Arc<BTreeMap<Name, Arc<Patch>>>>,
    len: usize,
    bytes: usize,
}

/// What stands at a name; nothing, where it is gone.
#[derive(Debug, Default)]
struct Patch {
    sets: Vec<PackedSet>,
    rdata: Vec<u8>,
}

impl Patches {
    /// How many names are patched.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes of their names and RDATA.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What stands at a name, in wire form and lower case, where it is patched.
    pub(super) fn get(&self, owner: &[u8]) -> Option<Owned<'_>> {
        if self.len == 0 {
            return None;
        }
        let (owner, patch) = self.buckets[bucket(owner)].get_key_value(owner)?;
        Some(owned(owner, patch))
    }

    /// Every patched name.
    pub(super) fn iter(&self) -> impl Iterator<Item = Owned<'_>> {
        self.buckets.iter().flat_map(|bucket| bucket.iter()).map(|(owner, patch)| owned(owner, patch))
    }

    /// Has a name hold these RRsets, which are ordered by type.
    pub(super) fn set(&mut self, owner: &Name, sets: &BTreeMap<RrType, RrSet>) {
        if self.buckets.is_empty() {
            self.buckets = vec![Arc::default(); BUCKETS];
        }
        let mut patch = Patch::default();
        for set in sets.values() {
            let rdata = set.rdata.iter().map(|rdata| &**rdata);
            pack(&mut patch.sets, &mut patch.rdata, set.rtype, set.ttl, rdata);
        }
        let bytes = |patch: &Patch| owner.as_wire().len() + patch.rdata.len();
        self.bytes += bytes(&patch);
        let bucket = Arc::make_mut(&mut self.buckets[bucket(owner.as_wire())]);
        match bucket.insert(owner.clone(), Arc::new(patch)) {
            Some(before) => self.bytes -= bytes(&before),
            None => self.len += 1,
        }
    }
}

fn owned<'p>(owner: &'p Name, patch: &'p Patch) -> Owned<'p> {
    Owned { owner: owner.as_wire(), sets: &patch.sets, rdata: &patch.rdata }
}

fn bucket(owner: &[u8]) -> usize {
    hash(owner) as usize % BUCKETS
}
