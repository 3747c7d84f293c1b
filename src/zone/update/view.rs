//! What an update finds: a zone's contents, what is served in their place, and what earlier updates made of both.

use std::collections::{BTreeMap, BTreeSet};

use crate::dns::{Name, RrSet, RrType};
use crate::zone::Laid;

/// What updates have RRsets come to: `None` where there is no such RRset any more.
pub type Wanted = BTreeMap<(Name, RrType), Option<RrSet>>;

/// A zone as it is served (RFC 2136 section 3.2), and what updates have made of it that is not served yet.
#[derive(Clone, Debug)]
pub struct UpdateView<'z> {
    contents: Laid<'z>,
    /// What is served at names where that is not what the contents hold: all there is, by type.
    served: BTreeMap<Name, BTreeMap<RrType, RrSet>>,
    wanted: Wanted,
}

impl<'z> UpdateView<'z> {
    /// Of a zone that is served as its contents are, but for the names of [`UpdateView::serve`].
    pub fn new(contents: Laid<'z>) -> UpdateView<'z> {
        UpdateView { contents, served: BTreeMap::new(), wanted: Wanted::new() }
    }

    /// Says what is served at a name, whatever the contents hold there.
    pub fn serve(&mut self, owner: &Name, sets: impl FnOnce() -> Vec<RrSet>) {
        let by_type = || sets().into_iter().map(|set| (set.rtype, set)).collect();
        self.served.entry(owner.clone()).or_insert_with(by_type);
    }

    /// One RRset.
    pub fn rrset(&self, owner: &Name, rtype: RrType) -> Option<RrSet> {
        match (self.wanted.get(&(owner.clone(), rtype)), self.served.get(owner)) {
            (Some(wanted), _) => wanted.clone(),
            (None, Some(served)) => served.get(&rtype).cloned(),
            (None, None) => self.contents.rrset(owner, rtype),
        }
    }

    /// Whether there is an RRset.
    pub fn has(&self, owner: &Name, rtype: RrType) -> bool {
        match (self.wanted.get(&(owner.clone(), rtype)), self.served.get(owner)) {
            (Some(wanted), _) => wanted.is_some(),
            (None, Some(served)) => served.contains_key(&rtype),
            (None, None) => self.contents.has(owner, rtype),
        }
    }

    /// The types of a name's RRsets.
    pub fn types_at(&self, owner: &Name) -> BTreeSet<RrType> {
        let mut types: BTreeSet<RrType> = match self.served.get(owner) {
            Some(served) => served.keys().copied().collect(),
            None => self.contents.types_at(owner),
        };
        let range = (owner.clone(), RrType(0))..=(owner.clone(), RrType(u16::MAX));
        for ((_, rtype), wanted) in self.wanted.range(range) {
            if wanted.is_some() {
                types.insert(*rtype);
            } else {
                types.remove(rtype);
            }
        }
        types
    }

    /// Takes up what an update has come to.
    pub fn take(&mut self, wanted: Wanted) {
        self.wanted.extend(wanted);
    }
}
