//! A zone's records as loaded: the file's content, before decisions are laid over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::owners::{Owners, hash};
use super::patches::Patches;
use super::sets::{Owned, PackedSet, RrSetRef, pack};
use crate::dns::rrset::RECORD_HEAD;
use crate::dns::{MAX_NAME_LEN, Name, RrSet, RrType, Serial, soa_serial};

/// A checked zone: one SOA, NS at the apex, every owner at or below the apex. Packed: a million small
/// records take less than 100 MB. A clone shares them, and so does a version that differs at some names: see
/// [`Zone::change`].
#[derive(Clone, Debug)]
pub struct Zone {
    apex: Name,
    serial: Serial,
    packed: Arc<Parts>,
    /// What stands in place of what is packed.
    patches: Patches,
    records: usize,
    private: bool,
}

/// How many owners' memory goes back at a time as a zone is consumed: each time costs a few system calls.
const CONSUMED_TOGETHER: usize = 1 << 15;
/// As many names may always be patched before a zone is packed anew.
const MIN_PATCHED: usize = 4096;
/// In a larger zone one name of so many: packing it anew then costs each change what some names cost.
const PATCHED_OF: usize = 16;
/// The most bytes that all owners, or all RDATA with their lengths, may take: offsets are 32 bits.
pub(super) const MAX_BYTES: usize = u32::MAX as usize - (1 << 20);

impl Zone {
    /// A zone of the given RRsets, which are not checked: for tests.
    #[cfg(test)]
    pub(crate) fn from_rrsets(apex: Name, serial: Serial, sets: Vec<RrSet>) -> Zone {
        Zone { serial, ..Zone::of_rrsets(apex, sets) }
    }

    /// A zone of the RRsets that another one was taken apart into; they are not checked.
    pub fn of_rrsets(apex: Name, mut sets: Vec<RrSet>) -> Zone {
        sets.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        let mut packer = Packer::default();
        for owned in sets.chunk_by(|a, b| a.owner == b.owner) {
            packer.owner(owned[0].owner.as_wire());
            for set in owned {
                packer.add(set);
            }
        }
        packer.into_zone(apex)
    }

    /// A zone of which nothing is known but its name: nothing was transferred yet, or too long ago.
    pub fn hollow(apex: Name) -> Zone {
        let parts =
            Parts { owners: Owners::default(), starts: Vec::new(), sets: Vec::new(), rdata: Vec::new() };
        parts.into_zone(apex)
    }

    /// The same zone, for those alone who may have it transferred: others are not answered from it.
    #[must_use]
    pub fn into_private(self) -> Zone {
        Zone { private: true, ..self }
    }

    /// Whether it is answered to those alone who may have it.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The name all others lie at or below.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The SOA's serial, as the file has it.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The apex's SOA.
    pub fn soa(&self) -> RrSet {
        let none = || RrSet { owner: self.apex.clone(), rtype: RrType::SOA, ttl: 0, rdata: vec![] };
        self.rrset(&self.apex, RrType::SOA).unwrap_or_else(none)
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether it is [hollow](Zone::hollow); never true of a zone that [`super::parse`] made.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// One RRset, if the zone has it.
    pub fn rrset(&self, owner: &Name, rtype: RrType) -> Option<RrSet> {
        Some(self.find(owner.as_wire())?.find(rtype)?.to_rrset())
    }

    /// Whether the zone has an RRset.
    pub fn has(&self, owner: &Name, rtype: RrType) -> bool {
        self.find(owner.as_wire()).is_some_and(|owned| owned.find(rtype).is_some())
    }

    /// The types of a name's RRsets.
    pub fn types_at(&self, owner: &Name) -> impl Iterator<Item = RrType> {
        let sets = self.find(owner.as_wire()).map_or(&[][..], |owned| owned.sets);
        sets.iter().map(|set| set.rtype)
    }

    /// An RRset that takes more than `max` bytes of an answer ([`RrSet::size`]): its owner, its type and its size.
    pub fn larger_rrset(&self, max: usize) -> Option<(Name, RrType, usize)> {
        if self.patches.len() > 0 {
            let size = |set: &RrSetRef<'_>| {
                set.owner.len() + set.rdata().map(|rdata| RECORD_HEAD + rdata.len()).sum::<usize>()
            };
            let large = self.rrsets().find(|set| size(set) > max)?;
            return Some((Name::from_wire(large.owner).ok()?, large.rtype, size(&large)));
        }
        let Parts { owners, starts, sets, rdata } = &*self.packed;
        // What is packed has two bytes for each record where an answer has twelve.
        let ends = sets.iter().skip(1).map(|next| next.start as usize).chain([rdata.len()]);
        sets.iter().zip(ends).enumerate().find_map(|(at, (set, end))| {
            let records = (RECORD_HEAD - 2) * set.records as usize + end - set.start as usize;
            // The longest owner is shorter than what nearly all RRsets are short of.
            let owner = (records + MAX_NAME_LEN > max)
                .then(|| starts.partition_point(|&start| start as usize <= at))?;
            let owner = Name::from_wire(owners.name(owner as u32 - 1)).ok()?;
            let size = owner.as_wire().len() + records;
            (size > max).then_some((owner, set.rtype, size))
        })
    }

    /// Every RRset of a name.
    pub fn rrsets_at(&self, owner: &Name) -> Vec<RrSet> {
        let owned = self.find(owner.as_wire()).into_iter().flat_map(Owned::iter);
        owned.map(|set| set.to_rrset()).collect()
    }

    /// Every RRset once, those of one owner next to each other.
    pub fn rrsets(&self) -> impl Iterator<Item = RrSetRef<'_>> {
        self.names().flat_map(Owned::iter)
    }

    /// Every name once, also some that have no RRset.
    pub(super) fn names(&self) -> impl Iterator<Item = Owned<'_>> {
        let packed = (0..self.packed.owners.len() as u32).map(|id| self.packed.owned(id));
        packed.filter(|owned| self.patches.get(owned.owner).is_none()).chain(self.patches.iter())
    }

    /// What stands at a name in wire form and lower case; there may be none.
    pub(super) fn find(&self, owner: &[u8]) -> Option<Owned<'_>> {
        self.patches.get(owner).or_else(|| Some(self.packed.owned(self.packed.owners.find(owner)?)))
    }

    /// Hands over each owner's RRsets, ordered by type; owners come in no order to rely on. Their memory is
    /// given back on the way where nobody shares it, so that what is made of them grows where the zone shrinks.
    pub fn consume(self, mut each: impl FnMut(&[RrSetRef<'_>])) {
        let Zone { packed, patches, .. } = self;
        let mut sets = Vec::new();
        for owned in patches.iter().filter(|owned| !owned.sets.is_empty()) {
            each(&owned.iter().collect::<Vec<_>>());
        }
        match Arc::try_unwrap(packed) {
            Ok(packed) => packed.consume(&patches, &mut each),
            Err(packed) => {
                for id in 0..packed.owners.len() as u32 {
                    let owned = packed.owned(id);
                    if !owned.sets.is_empty() && patches.get(owned.owner).is_none() {
                        sets.clear();
                        sets.extend(owned.iter());
                        each(&sets);
                    }
                }
            }
        }
    }

    /// Has the zone hold these RRsets from now on; `None`: none of that type. They are not checked, but for
    /// [`Zone::has_room`] before. Costs what changes, and some of what changed since it was packed:
    /// [`Zone::pack_when_due`].
    pub fn change<'c>(&mut self, sets: impl IntoIterator<Item = (&'c Name, RrType, Option<&'c RrSet>)>) {
        let mut names: BTreeMap<&Name, BTreeMap<RrType, RrSet>> = BTreeMap::new();
        for (owner, rtype, set) in sets {
            let at = names
                .entry(owner)
                .or_insert_with(|| self.rrsets_at(owner).into_iter().map(|set| (set.rtype, set)).collect());
            match set {
                Some(set) => drop(at.insert(rtype, set.clone())),
                None => drop(at.remove(&rtype)),
            }
        }
        for (owner, sets) in &names {
            self.records -= self.find(owner.as_wire()).map_or(0, Owned::records);
            self.patches.set(owner, sets);
            self.records += sets.values().map(|set| set.rdata.len()).sum::<usize>();
        }
        self.serial = soa_serial(&self.soa());
    }

    /// Packs it anew once many names have changed: that costs what the zone does.
    pub fn pack_when_due(&mut self) {
        if self.patches.len() > MIN_PATCHED.max(self.packed.owners.len() / PATCHED_OF) {
            self.pack();
        }
    }

    /// Whether as many more bytes of names and RDATA fit into it.
    pub fn has_room(&self, bytes: usize) -> bool {
        let Parts { owners, rdata, .. } = &*self.packed;
        owners.byte_len().max(rdata.len()) + self.patches.bytes() + bytes <= MAX_BYTES
    }

    /// Packs it anew, where something is patched.
    fn pack(&mut self) {
        let mut packer = Packer::for_zone(self);
        for owned in self.names().filter(|owned| !owned.sets.is_empty()) {
            packer.owner(owned.owner);
            owned.iter().for_each(|set| packer.copy(&set));
        }
        (self.packed, self.patches) = (Arc::new(packer.0), Patches::default());
    }

    /// A number that differs, but for a chance of 1 in 2^64, whenever the content does, and is the same
    /// in every process. The order of owners in the file is no part of the content.
    pub fn fingerprint(&self) -> u64 {
        let of_set = |set: RrSetRef<'_>| fingerprint(set.owner, set.rtype, set.ttl, set.rdata());
        self.rrsets().fold(hash(self.apex.as_wire()), |sum, set| sum.wrapping_add(of_set(set)))
    }

    /// How many names have records, about.
    pub fn owners_len(&self) -> usize {
        self.packed.owners.len() + self.patches.len()
    }

    /// Its owners, where nothing is patched; those that have no RRset are none of the zone's.
    pub(super) fn owners(&self) -> &Owners {
        &self.packed.owners
    }

    /// The number of an owner's first RRset in the order of [`Zone::rrsets`], where nothing is patched.
    pub(super) fn first_set(&self, owner: u32) -> usize {
        self.packed.starts[owner as usize] as usize
    }

    /// The RRsets of one owner, ordered by type, where nothing is patched.
    pub(super) fn owned(&self, id: u32) -> impl Iterator<Item = RrSetRef<'_>> {
        self.packed.owned(id).iter()
    }
}

/// What an RRset adds to its zone's fingerprint.
pub(super) fn fingerprint_of(set: &RrSet) -> u64 {
    fingerprint(set.owner.as_wire(), set.rtype, set.ttl, set.rdata.iter().map(|rdata| &**rdata))
}

fn fingerprint<'r>(owner: &[u8], rtype: RrType, ttl: u32, rdata: impl Iterator<Item = &'r [u8]>) -> u64 {
    let seed = u64::from(rtype.0) << 32 | u64::from(ttl);
    let seed = hash(&(seed ^ hash(owner).rotate_left(7)).to_be_bytes());
    rdata.fold(seed, |sum, rdata| hash(&(sum ^ hash(rdata)).to_be_bytes()))
}

/// What is packed of a zone.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) owners: Owners,
    /// For each owner, where its sets begin; the next one's beginning is their end.
    pub(super) starts: Vec<u32>,
    pub(super) sets: Vec<PackedSet>,
    /// Every record's RDATA after its length in two bytes, in the order of `sets`; below 2^32 bytes.
    pub(super) rdata: Vec<u8>,
}

impl Parts {
    /// The zone; its serial is that of the SOA, if there is one.
    pub(super) fn into_zone(self, apex: Name) -> Zone {
        let records = self.sets.iter().map(|set| set.records as usize).sum();
        let (packed, patches) = (Arc::new(self), Patches::default());
        let zone = Zone { apex, serial: Serial(0), packed, patches, records, private: false };
        Zone { serial: soa_serial(&zone.soa()), ..zone }
    }

    fn owned(&self, id: u32) -> Owned<'_> {
        let at = id as usize;
        let end = self.starts.get(at + 1).map_or(self.sets.len(), |&end| end as usize);
        let sets = &self.sets[self.starts[at] as usize..end];
        Owned { owner: self.owners.name(id), sets, rdata: &self.rdata }
    }

    fn consume(mut self, patches: &Patches, each: &mut impl FnMut(&[RrSetRef<'_>])) {
        self.owners.forget_search();
        let mut left = self.owners.len();
        while left > 0 {
            // From the end on: there a vector can give back memory without moving what stays.
            let first = (left - 1) / CONSUMED_TOGETHER * CONSUMED_TOGETHER;
            let mut sets = Vec::new();
            for id in (first..left).rev() {
                let owned = self.owned(id as u32);
                sets.clear();
                sets.extend(owned.iter());
                if !sets.is_empty() && patches.get(owned.owner).is_none() {
                    each(&sets);
                }
            }
            self.truncate(first);
            left = first;
        }
    }

    /// Lets go of the owners from number `owners` on, and of their memory.
    fn truncate(&mut self, owners: usize) {
        if let Some(&sets) = self.starts.get(owners) {
            if let Some(set) = self.sets.get(sets as usize) {
                self.rdata.truncate(set.start as usize);
                self.rdata.shrink_to_fit();
            }
            self.sets.truncate(sets as usize);
            self.sets.shrink_to_fit();
            self.starts.truncate(owners);
            self.starts.shrink_to_fit();
        }
        self.owners.truncate(owners);
    }
}

/// Packs a zone, owner by owner. What is packed is not checked, and stays below 2^32 bytes of names and of
/// RDATA.
#[derive(Default)]
pub(super) struct Packer(Parts);

impl Packer {
    /// Room for as much as `zone` holds.
    pub(super) fn for_zone(zone: &Zone) -> Packer {
        let Parts { owners, starts, sets, rdata } = &*zone.packed;
        let owners = Owners::with_capacity(owners.len(), owners.byte_len());
        let (starts, sets) = (Vec::with_capacity(starts.len()), Vec::with_capacity(sets.len()));
        Packer(Parts { owners, starts, sets, rdata: Vec::with_capacity(rdata.len()) })
    }

    /// Begins an owner, in wire form and lower case, that was not there yet.
    pub(super) fn owner(&mut self, owner: &[u8]) {
        self.0.owners.insert(owner);
        self.0.starts.push(self.0.sets.len() as u32);
    }

    /// The same; false where it was there already.
    pub(super) fn begin(&mut self, owner: &[u8]) -> bool {
        let is_new = self.0.owners.find(owner).is_none();
        if is_new {
            self.owner(owner);
        }
        is_new
    }

    /// One more RRset of the owner begun last, after those of lower types.
    pub(super) fn add(&mut self, set: &RrSet) {
        let Parts { sets, rdata, .. } = &mut self.0;
        pack(sets, rdata, set.rtype, set.ttl, set.rdata.iter().map(|rdata| &**rdata));
    }

    /// The same of one that is borrowed.
    pub(super) fn copy(&mut self, set: &RrSetRef<'_>) {
        let Parts { sets, rdata, .. } = &mut self.0;
        pack(sets, rdata, set.rtype, set.ttl, set.rdata());
    }

    /// The zone; its serial is that of the SOA, if there is one.
    pub(super) fn into_zone(self, apex: Name) -> Zone {
        self.0.into_zone(apex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn sets() -> Vec<RrSet> {
        vec![
            RrSet::a(name("www.example"), 60, [[192, 0, 2, 2].into(), [192, 0, 2, 1].into()]),
            RrSet::new(name("example"), RrType::NS, 60, [name("ns.example").as_wire()]),
            RrSet::aaaa(name("www.example"), 60, ["2001:db8::1".parse().unwrap()]),
        ]
    }

    fn zone(sets: Vec<RrSet>) -> Zone {
        Zone::from_rrsets(name("example"), Serial(1), sets)
    }

    #[test]
    fn sets_come_back_as_they_went_in() {
        let zone = zone(sets());
        assert_eq!(zone.len(), 4);
        for set in sets() {
            assert_eq!(zone.rrset(&set.owner, set.rtype), Some(set));
        }
        assert_eq!(zone.rrset(&name("www.example"), RrType::MX), None);
        assert_eq!(zone.rrset(&name("nowhere.example"), RrType::A), None);
        let mut seen: Vec<RrSet> = zone.rrsets().map(|set| set.to_rrset()).collect();
        assert_eq!(seen[0].owner, seen[1].owner, "grouped by owner");
        seen.retain(|set| !sets().contains(set));
        assert_eq!(seen, []);
    }

    #[test]
    fn an_rrset_is_larger_than_a_bound_by_what_it_takes_in_an_answer() {
        let zone = zone(sets());
        let sizes: Vec<usize> = sets().iter().map(RrSet::size).collect();
        assert_eq!(sizes, [13 + 2 * 16, 9 + 12 + 12, 13 + 28]);
        assert_eq!(zone.larger_rrset(sizes[0]), None);
        assert_eq!(zone.larger_rrset(sizes[0] - 1), Some((name("www.example"), RrType::A, sizes[0])));
        let types = |owner: &str| zone.types_at(&name(owner)).collect::<Vec<_>>();
        assert_eq!((types("www.example"), types("nowhere.example")), (vec![RrType::A, RrType::AAAA], vec![]));
        assert!(zone.has(&name("example"), RrType::NS) && !zone.has(&name("example"), RrType::A));
    }

    #[test]
    fn a_consumed_zone_hands_over_each_owner_once() {
        let count = CONSUMED_TOGETHER + 10;
        let mut sets: Vec<RrSet> = (0..count)
            .map(|i| RrSet::a(name(&format!("host{i}.example")), 60, [(i as u32).into()]))
            .chain(sets())
            .collect();
        let mut seen = Vec::new();
        zone(sets.clone()).consume(|owned| {
            assert!(owned.windows(2).all(|two| two[0].owner == two[1].owner && two[0].rtype < two[1].rtype));
            seen.extend(owned.iter().map(RrSetRef::to_rrset));
        });
        for sets in [&mut sets, &mut seen] {
            sets.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
            for set in sets {
                set.rdata.sort();
            }
        }
        assert_eq!(seen, sets);
    }

    /// Whatever is changed, and however often it is packed anew, it is the zone of its RRsets.
    #[test]
    fn a_changed_zone_is_the_zone_of_what_it_holds() {
        let host = |i: u32| name(&format!("host{i}.example"));
        let a = |i: u32, last: u8| RrSet::a(host(i), 60, [[192, 0, 2, last].into()]);
        let mut held: BTreeMap<(Name, RrType), RrSet> = sets()
            .into_iter()
            .chain((0..6000).map(|i| a(i, 1)))
            .map(|set| ((set.owner.clone(), set.rtype), set))
            .collect();
        let first = zone(held.values().cloned().collect());
        let (mut changed, before) = (first.clone(), first.fingerprint());
        for round in 0..9000_u32 {
            let i = round.wrapping_mul(2_654_435_761) % 8000;
            let set = (round % 3 > 0).then(|| a(i, round as u8));
            let mx = (round % 5 == 0).then(|| RrSet::new(host(i), RrType::MX, 60, [*b"\0\x01\0"]));
            let (owner, sets) = (host(i), [(RrType::A, set), (RrType::MX, mx)]);
            changed.change(sets.iter().map(|(rtype, set)| (&owner, *rtype, set.as_ref())));
            for (rtype, set) in sets {
                match set {
                    Some(set) => drop(held.insert((host(i), rtype), set)),
                    None => drop(held.remove(&(host(i), rtype))),
                }
            }
            changed.pack_when_due();
            if round % 1000 == 0 {
                let fresh = zone(held.values().cloned().collect());
                assert_eq!((changed.fingerprint(), changed.len()), (fresh.fingerprint(), fresh.len()));
                assert_eq!(changed.rrset(&host(i), RrType::A), fresh.rrset(&host(i), RrType::A));
                assert_eq!(changed.larger_rrset(44).is_some(), fresh.larger_rrset(44).is_some());
                let mut seen = 0;
                changed
                    .clone()
                    .consume(|owned| seen += owned.iter().map(|set| set.rdata().len()).sum::<usize>());
                assert_eq!(seen, fresh.len());
            }
        }
        assert_eq!(first.fingerprint(), before, "a clone stays as it was");
        assert!(changed.patches.len() < 6000, "it was packed anew");
    }

    #[test]
    fn the_fingerprint_follows_the_content() {
        let base = zone(sets()).fingerprint();
        assert_eq!(zone(sets().into_iter().rev().collect()).fingerprint(), base);
        let check = |change: fn(&mut Vec<RrSet>)| {
            let mut sets = sets();
            change(&mut sets);
            assert_ne!(zone(sets).fingerprint(), base);
        };
        check(|sets| sets[0].ttl = 61);
        check(|sets| sets[0].rtype = RrType::TXT);
        check(|sets| sets[0].owner = name("w.example"));
        check(|sets| sets[0].rdata[1][3] = 9);
        check(|sets| {
            sets[0].rdata.pop();
        });
        check(|sets| {
            sets.pop();
        });
        check(|sets| sets[2].rdata[0] = Box::from(&[0; 16][..]));
    }
}
