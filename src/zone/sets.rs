//! RRsets as they lie packed in a zone: those of one name side by side, their records elsewhere.

use crate::dns::{Name, RrSet, RrType};

/// One RRset, its records elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedSet {
    pub(super) rtype: RrType,
    pub(super) ttl: u32,
    /// Where its first record begins in `rdata`.
    pub(super) start: u32,
    pub(super) records: u32,
}

/// One RRset of a [`Zone`](super::Zone), borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RrSetRef<'a> {
    /// The owner in wire form, lower case.
    pub owner: &'a [u8],
    /// The type.
    pub rtype: RrType,
    /// Seconds.
    pub ttl: u32,
    records: u32,
    /// From the set's first record to the last one that is packed with it.
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

/// All RRsets of one name, ordered by type; there may be none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owned<'a> {
    /// The name in wire form, lower case.
    pub(super) owner: &'a [u8],
    pub(super) sets: &'a [PackedSet],
    pub(super) rdata: &'a [u8],
}

impl<'a> Owned<'a> {
    /// Each of them.
    pub(super) fn iter(self) -> impl Iterator<Item = RrSetRef<'a>> {
        self.sets.iter().map(move |set| self.of(set))
    }

    /// The one of this type.
    pub(super) fn find(self, rtype: RrType) -> Option<RrSetRef<'a>> {
        let at = self.sets.binary_search_by_key(&rtype, |set| set.rtype).ok()?;
        Some(self.of(&self.sets[at]))
    }

    fn of(self, set: &PackedSet) -> RrSetRef<'a> {
        let &PackedSet { rtype, ttl, start, records } = set;
        RrSetRef { owner: self.owner, rtype, ttl, records, rdata: &self.rdata[start as usize..] }
    }

    /// How many records there are.
    pub(super) fn records(self) -> usize {
        self.sets.iter().map(|set| set.records as usize).sum()
    }
}

/// Appends an RRset to those that are packed: after those of lower types of the same name.
pub(super) fn pack<'r>(
    sets: &mut Vec<PackedSet>,
    packed: &mut Vec<u8>,
    rtype: RrType,
    ttl: u32,
    rdata: impl ExactSizeIterator<Item = &'r [u8]>,
) {
    sets.push(PackedSet { rtype, ttl, start: packed.len() as u32, records: rdata.len() as u32 });
    for rdata in rdata {
        packed.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        packed.extend_from_slice(rdata);
    }
}
