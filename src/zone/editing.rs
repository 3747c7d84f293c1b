//! Edits in the making, and what a zone comes to with edits laid over its source: read name by name, so that an
//! update costs what it touches.

use std::collections::{BTreeMap, BTreeSet};

use super::Zone;
use super::contents::{Packer, fingerprint_of};
use super::edits::{Edit, EditChange, Edits, fits_cname};
use crate::dns::{Name, RrSet, RrType};

/// An update that would leave more edits than are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the edits of the zone would take more than {max} bytes (max_edits); `detour zone freeze` writes them into the zone file"
)]
pub struct TooManyEdits {
    /// How many bytes they may take.
    pub max: usize,
}

/// The edits of a zone with changes that are not taken up yet.
#[derive(Clone, Debug)]
pub struct Editing<'e> {
    edits: &'e Edits,
    changed: BTreeMap<Name, BTreeMap<RrType, Option<Edit>>>,
    records: usize,
    bytes: usize,
}

impl<'e> Editing<'e> {
    /// Nothing is changed yet.
    pub fn of(edits: &'e Edits) -> Editing<'e> {
        Editing { edits, changed: BTreeMap::new(), records: edits.len(), bytes: edits.bytes() }
    }

    /// How many records would be edited.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Whether nothing is changed.
    pub fn is_unchanged(&self) -> bool {
        self.changed.is_empty()
    }

    /// The edit of an RRset, as it would be.
    pub fn get(&self, owner: &Name, rtype: RrType) -> Option<&Edit> {
        match self.changed.get(owner).and_then(|sets| sets.get(&rtype)) {
            Some(changed) => changed.as_ref(),
            None => self.edits.get(owner, rtype),
        }
    }

    /// The edits of a name, as they would be.
    fn at(&self, owner: &Name) -> BTreeMap<RrType, &Edit> {
        let mut at: BTreeMap<RrType, &Edit> = self.edits.at(owner).collect();
        for (rtype, edit) in self.changed.get(owner).into_iter().flatten() {
            match edit {
                Some(edit) => drop(at.insert(*rtype, edit)),
                None => drop(at.remove(rtype)),
            }
        }
        at
    }

    /// Has the zone hold these RRsets (`None`: hold none of that type) from now on. Gives every
    /// edit that this changes; all of it is done, or nothing. Errors: the edits would take more than `max` bytes.
    pub fn change(
        &mut self,
        source: &Zone,
        wanted: impl IntoIterator<Item = ((Name, RrType), Option<RrSet>)>,
        max: usize,
    ) -> Result<Vec<EditChange>, TooManyEdits> {
        let (mut records, mut bytes) = (self.records, self.bytes);
        let mut changes: Vec<EditChange> = Vec::new();
        // Of those that are of one RRset the last counts.
        let wanted: BTreeMap<(Name, RrType), Option<RrSet>> = wanted.into_iter().collect();
        for ((owner, rtype), wanted) in wanted {
            let edit = Edit::between(source.rrset(&owner, rtype).as_ref(), wanted.as_ref());
            let before = self.get(&owner, rtype);
            if before == edit.as_ref() {
                continue;
            }
            if let Some(edit) = &edit {
                (records, bytes) = (records + edit.count(), bytes + edit.bytes(&owner));
            }
            if let Some(before) = before {
                (records, bytes) = (records - before.count(), bytes - before.bytes(&owner));
            }
            changes.push((owner, rtype, edit));
        }
        // What was there already may stay and shrink, should the bound ever be lowered.
        if bytes > max && bytes > self.edits.bytes() {
            return Err(TooManyEdits { max });
        }
        (self.records, self.bytes) = (records, bytes);
        for (owner, rtype, edit) in &changes {
            self.changed.entry(owner.clone()).or_default().insert(*rtype, edit.clone());
        }
        Ok(changes)
    }

    /// Lets go of what a source holds anyway that has changed at these names: see [`Edits::settle`].
    pub fn settle<'n>(
        &mut self,
        source: &Zone,
        owners: impl IntoIterator<Item = &'n Name>,
    ) -> Vec<EditChange> {
        let changes = self.edits.settled(source, owners);
        for (owner, rtype, edit) in &changes {
            if let Some(edit) = edit {
                (self.records, self.bytes) = (self.records + edit.count(), self.bytes + edit.bytes(owner));
            }
            if let Some(before) = self.edits.get(owner, *rtype) {
                (self.records, self.bytes) =
                    (self.records - before.count(), self.bytes - before.bytes(owner));
            }
            self.changed.entry(owner.clone()).or_default().insert(*rtype, edit.clone());
        }
        changes
    }

    /// How the contents come to differ from what they are, RRset by RRset; `source` is what the edits are laid over.
    pub fn difference(&self, source: &Zone) -> Difference {
        let (before, after) = (Laid::new(source, self.edits), Laid { source, edits: By::Editing(self) });
        Difference::between(&before, &after, self.changed.keys())
    }

    /// The contents as they would be.
    pub fn laid<'z>(&'z self, source: &'z Zone) -> Laid<'z> {
        Laid { source, edits: By::Editing(self) }
    }

    /// The changed edits.
    pub fn into_changes(self) -> Vec<EditChange> {
        let each = |(owner, sets): (Name, BTreeMap<RrType, Option<Edit>>)| {
            sets.into_iter().map(move |(rtype, edit)| (owner.clone(), rtype, edit))
        };
        self.changed.into_iter().flat_map(each).collect()
    }
}

/// What becomes of a zone's contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The RRsets that come to be others, as they are then; `None`: gone.
    pub sets: Vec<(Name, RrType, Option<RrSet>)>,
    /// What is to be added to [`Zone::fingerprint`], wrapping around.
    pub fingerprint: u64,
}

impl Difference {
    /// What makes `after` of `before`, which are the same but at these names.
    pub fn between<'n>(
        before: &Laid<'_>,
        after: &Laid<'_>,
        owners: impl IntoIterator<Item = &'n Name>,
    ) -> Difference {
        let mut difference = Difference::default();
        for owner in owners {
            let (mut before, mut after) = (before.sets_at(owner), after.sets_at(owner));
            let types: BTreeSet<RrType> = before.keys().chain(after.keys()).copied().collect();
            for rtype in types {
                let (was, is) = (before.remove(&rtype), after.remove(&rtype));
                if was != is {
                    let of = |set: &Option<RrSet>| set.as_ref().map_or(0, fingerprint_of);
                    difference.fingerprint =
                        difference.fingerprint.wrapping_add(of(&is)).wrapping_sub(of(&was));
                    difference.sets.push((owner.clone(), rtype, is));
                }
            }
        }
        difference
    }
}

/// A zone's contents: its source with edits laid over it.
#[derive(Clone, Copy, Debug)]
pub struct Laid<'z> {
    source: &'z Zone,
    edits: By<'z>,
}

#[derive(Clone, Copy, Debug)]
enum By<'z> {
    Nothing,
    Edits(&'z Edits),
    Editing(&'z Editing<'z>),
}

impl<'z> Laid<'z> {
    /// A source with these edits.
    pub fn new(source: &'z Zone, edits: &'z Edits) -> Laid<'z> {
        Laid { source, edits: By::Edits(edits) }
    }

    /// A source as it is.
    pub fn plain(source: &'z Zone) -> Laid<'z> {
        Laid { source, edits: By::Nothing }
    }

    /// The name all others lie at or below.
    pub fn apex(&self) -> &'z Name {
        self.source.apex()
    }

    /// The apex's SOA.
    pub fn soa(&self) -> RrSet {
        self.rrset(self.apex(), RrType::SOA).unwrap_or_else(|| self.source.soa())
    }

    fn edits_at(&self, owner: &Name) -> BTreeMap<RrType, &'z Edit> {
        match self.edits {
            By::Nothing => BTreeMap::new(),
            By::Edits(edits) => edits.at(owner).collect(),
            By::Editing(editing) => editing.at(owner),
        }
    }

    /// Everything at a name, by type.
    pub fn sets_at(&self, owner: &Name) -> BTreeMap<RrType, RrSet> {
        let edits = self.edits_at(owner);
        let mut sets: BTreeMap<RrType, RrSet> =
            self.source.rrsets_at(owner).into_iter().map(|set| (set.rtype, set)).collect();
        for (&rtype, edit) in &edits {
            let before = sets.remove(&rtype);
            let needed = owner == self.apex() && matches!(rtype, RrType::SOA | RrType::NS);
            let after = edit.over(owner, rtype, before.as_ref());
            sets.extend(after.or(before.filter(|_| needed)).map(|set| (rtype, set)));
        }
        let added = |rtype: RrType| edits.get(&rtype).is_some_and(|edit| !edit.added.is_empty());
        if sets.contains_key(&RrType::CNAME) && !sets.keys().all(|&rtype| fits_cname(rtype)) {
            if added(RrType::CNAME) {
                sets.retain(|&rtype, _| fits_cname(rtype));
            } else {
                sets.remove(&RrType::CNAME);
            }
        }
        sets
    }

    /// One RRset, if it is there.
    pub fn rrset(&self, owner: &Name, rtype: RrType) -> Option<RrSet> {
        if self.edits_at(owner).is_empty() {
            return self.source.rrset(owner, rtype);
        }
        self.sets_at(owner).remove(&rtype)
    }

    /// Whether an RRset is there.
    pub fn has(&self, owner: &Name, rtype: RrType) -> bool {
        if self.edits_at(owner).is_empty() {
            return self.source.has(owner, rtype);
        }
        self.sets_at(owner).contains_key(&rtype)
    }

    /// The types of a name's RRsets.
    pub fn types_at(&self, owner: &Name) -> BTreeSet<RrType> {
        if self.edits_at(owner).is_empty() {
            return self.source.types_at(owner).collect();
        }
        self.sets_at(owner).into_keys().collect()
    }
}

impl Edits {
    /// The [fingerprint](Zone::fingerprint) of a source with these edits laid over it.
    pub fn fingerprint_over(&self, source: &Zone) -> u64 {
        let (plain, laid) = (Laid::plain(source), Laid::new(source, self));
        let of = |sets: BTreeMap<RrType, RrSet>| {
            sets.values().fold(0u64, |sum, set| sum.wrapping_add(fingerprint_of(set)))
        };
        self.sets.keys().fold(source.fingerprint(), |sum, owner| {
            sum.wrapping_sub(of(plain.sets_at(owner))).wrapping_add(of(laid.sets_at(owner)))
        })
    }

    /// Does what [`Editing::change`] says, and takes it up.
    pub fn change(
        &mut self,
        source: &Zone,
        wanted: impl IntoIterator<Item = ((Name, RrType), Option<RrSet>)>,
        max: usize,
    ) -> Result<Vec<EditChange>, TooManyEdits> {
        let changes = Editing::of(self).change(source, wanted, max)?;
        self.take(changes.iter().cloned());
        Ok(changes)
    }

    /// The contents: the source with the edits laid over it.
    #[must_use]
    pub fn lay(&self, source: &Zone) -> Zone {
        let (mut packer, laid) = (Packer::for_zone(source), Laid::new(source, self));
        for owned in source.names() {
            match self.sets.get_key_value(owned.owner) {
                None => {
                    packer.owner(owned.owner);
                    owned.iter().for_each(|set| packer.copy(&set));
                }
                Some((owner, _)) => pack(&mut packer, owner, &laid.sets_at(owner)),
            }
        }
        let new = self.sets.keys().filter(|owner| source.find(owner.as_wire()).is_none());
        for owner in new {
            pack(&mut packer, owner, &laid.sets_at(owner));
        }
        packer.into_zone(source.apex().clone())
    }
}

/// Packs what is there at a name, if anything is.
fn pack(packer: &mut Packer, owner: &Name, sets: &BTreeMap<RrType, RrSet>) {
    if !sets.is_empty() {
        packer.owner(owner.as_wire());
        for set in sets.values() {
            packer.add(set);
        }
    }
}
