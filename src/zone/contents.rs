//! A zone's records as loaded: the file's content, before decisions are laid over it.

use super::owners::{Owners, hash};
use crate::dns::rrset::RECORD_HEAD;
use crate::dns::{MAX_NAME_LEN, Name, RrSet, RrType, Serial, soa_serial};

/// A checked zone: one SOA, NS at the apex, every owner at or below the apex. Packed: a million small
/// records take less than 100 MB.
#[derive(Clone, Debug)]
pub struct Zone {
    apex: Name,
    serial: Serial,
    owners: Owners,
    /// For each owner, where its sets begin; the next one's beginning is their end.
    starts: Vec<u32>,
    sets: Vec<PackedSet>,
    /// Every record's RDATA after its length in two bytes, in the order of `sets`.
    rdata: Vec<u8>,
    records: usize,
    private: bool,
}

/// How many owners' memory goes back at a time as a zone is consumed: each time costs a few system calls.
const CONSUMED_TOGETHER: usize = 1 << 15;

/// One RRset, its records elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedSet {
    pub(super) rtype: RrType,
    pub(super) ttl: u32,
    /// Where its first record begins in `rdata`.
    pub(super) start: u32,
    pub(super) records: u32,
}

/// One RRset of a [`Zone`], borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RrSetRef<'a> {
    /// The owner in wire form, lower case.
    pub owner: &'a [u8],
    /// The type.
    pub rtype: RrType,
    /// Seconds.
    pub ttl: u32,
    records: u32,
    /// From the set's first record to the zone's last.
    rdata: &'a [u8],
}

impl<'a> RrSetRef<'a> {
    /// Each record's RDATA in wire form, names uncompressed; sorted, no duplicate.
    pub fn rdata(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.rdata;
        (0..self.records).map(move |_| {
            let (len, tail) = rest.split_at(2);
            let (rdata, tail) = tail.split_at(usize::from(u16::from_be_bytes([len[0], len[1]])));
            rest = tail;
            rdata
        })
    }

    /// An owned copy.
    pub fn to_rrset(&self) -> RrSet {
        // Owners are valid names: the packer took them from one.
        let owner = Name::from_wire(self.owner).unwrap_or_else(|_| Name::root());
        RrSet { owner, rtype: self.rtype, ttl: self.ttl, rdata: self.rdata().map(Box::from).collect() }
    }
}

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
        let id = self.owners.find(owner.as_wire())?;
        let at = self.packed(id).binary_search_by_key(&rtype, |set| set.rtype).ok()?;
        self.owned(id).nth(at).map(|set| set.to_rrset())
    }

    /// Whether the zone has an RRset.
    pub fn has(&self, owner: &Name, rtype: RrType) -> bool {
        let id = self.owners.find(owner.as_wire());
        id.is_some_and(|id| self.packed(id).binary_search_by_key(&rtype, |set| set.rtype).is_ok())
    }

    /// The types of a name's RRsets.
    pub fn types_at(&self, owner: &Name) -> impl Iterator<Item = RrType> {
        let packed = self.owners.find(owner.as_wire()).map_or(&[][..], |id| self.packed(id));
        packed.iter().map(|set| set.rtype)
    }

    /// An RRset that takes more than `max` bytes of an answer ([`RrSet::size`]): its owner, its type and its size.
    pub fn larger_rrset(&self, max: usize) -> Option<(Name, RrType, usize)> {
        // What is packed has two bytes for each record where an answer has twelve.
        let ends = self.sets.iter().skip(1).map(|next| next.start as usize).chain([self.rdata.len()]);
        self.sets.iter().zip(ends).enumerate().find_map(|(at, (set, end))| {
            let records = (RECORD_HEAD - 2) * set.records as usize + end - set.start as usize;
            // The longest owner is shorter than what nearly all RRsets are short of.
            let owner = (records + MAX_NAME_LEN > max)
                .then(|| self.starts.partition_point(|&start| start as usize <= at))?;
            let owner = Name::from_wire(self.owners.name(owner as u32 - 1)).ok()?;
            let size = owner.as_wire().len() + records;
            (size > max).then_some((owner, set.rtype, size))
        })
    }

    /// Every RRset of a name.
    pub fn rrsets_at(&self, owner: &Name) -> Vec<RrSet> {
        let owned = self.owners.find(owner.as_wire()).into_iter().flat_map(|id| self.owned(id));
        owned.map(|set| set.to_rrset()).collect()
    }

    /// Every RRset once, those of one owner next to each other.
    pub fn rrsets(&self) -> impl Iterator<Item = RrSetRef<'_>> {
        (0..self.owners.len() as u32).flat_map(|id| self.owned(id))
    }

    /// Hands over each owner's RRsets, ordered by type; owners come in no order to rely on. Their memory is
    /// given back on the way, so that what is made of them grows where the zone shrinks.
    pub fn consume(mut self, mut each: impl FnMut(&[RrSetRef<'_>])) {
        self.owners.forget_search();
        let mut left = self.owners.len();
        while left > 0 {
            // From the end on: there a vector can give back memory without moving what stays.
            let first = (left - 1) / CONSUMED_TOGETHER * CONSUMED_TOGETHER;
            let mut sets = Vec::new();
            for id in (first..left).rev() {
                sets.clear();
                sets.extend(self.owned(id as u32));
                if !sets.is_empty() {
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

    /// A number that differs, but for a chance of 1 in 2^64, whenever the content does, and is the same
    /// in every process. The order of owners in the file is no part of the content.
    pub fn fingerprint(&self) -> u64 {
        let of_set = |set: RrSetRef<'_>| fingerprint(set.owner, set.rtype, set.ttl, set.rdata());
        self.rrsets().fold(hash(self.apex.as_wire()), |sum, set| sum.wrapping_add(of_set(set)))
    }

    /// How many names have records.
    pub fn owners_len(&self) -> usize {
        self.owners.len()
    }

    /// Its owners; those that have no RRset are none of the zone's.
    pub(super) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// The number of an owner's first RRset in the order of [`Zone::rrsets`].
    pub(super) fn first_set(&self, owner: u32) -> usize {
        self.starts[owner as usize] as usize
    }

    fn packed(&self, id: u32) -> &[PackedSet] {
        let id = id as usize;
        let end = self.starts.get(id + 1).map_or(self.sets.len(), |&end| end as usize);
        &self.sets[self.starts[id] as usize..end]
    }

    /// The RRsets of one owner, ordered by type.
    pub(super) fn owned(&self, id: u32) -> impl Iterator<Item = RrSetRef<'_>> {
        let owner = self.owners.name(id);
        self.packed(id).iter().map(move |set| RrSetRef {
            owner,
            rtype: set.rtype,
            ttl: set.ttl,
            records: set.records,
            rdata: &self.rdata[set.start as usize..],
        })
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

/// A zone's parts, for who has packed them: see [`Zone`]'s fields.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) owners: Owners,
    /// One for each owner.
    pub(super) starts: Vec<u32>,
    pub(super) sets: Vec<PackedSet>,
    /// Below 2^32 bytes.
    pub(super) rdata: Vec<u8>,
}

impl Parts {
    /// The zone; its serial is that of the SOA, if there is one.
    pub(super) fn into_zone(self, apex: Name) -> Zone {
        let Parts { owners, starts, sets, rdata } = self;
        let records = sets.iter().map(|set| set.records as usize).sum();
        let zone = Zone { apex, serial: Serial(0), owners, starts, sets, rdata, records, private: false };
        Zone { serial: soa_serial(&zone.soa()), ..zone }
    }
}

/// Packs a zone, owner by owner. What is packed is not checked, and stays below 2^32 bytes of names and of
/// RDATA.
#[derive(Default)]
pub(super) struct Packer(Parts);

impl Packer {
    /// Room for as much as `zone` holds.
    pub(super) fn for_zone(zone: &Zone) -> Packer {
        let owners = Owners::with_capacity(zone.owners.len(), zone.owners.byte_len());
        let (starts, sets) = (Vec::with_capacity(zone.starts.len()), Vec::with_capacity(zone.sets.len()));
        Packer(Parts { owners, starts, sets, rdata: Vec::with_capacity(zone.rdata.len()) })
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
        self.pack(set.rtype, set.ttl, set.rdata.iter().map(|rdata| &**rdata));
    }

    /// The same of one that is borrowed.
    pub(super) fn copy(&mut self, set: &RrSetRef<'_>) {
        self.pack(set.rtype, set.ttl, set.rdata());
    }

    fn pack<'r>(&mut self, rtype: RrType, ttl: u32, rdata: impl ExactSizeIterator<Item = &'r [u8]>) {
        let Parts { sets, rdata: packed, .. } = &mut self.0;
        sets.push(PackedSet { rtype, ttl, start: packed.len() as u32, records: rdata.len() as u32 });
        for rdata in rdata {
            packed.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            packed.extend_from_slice(rdata);
        }
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
