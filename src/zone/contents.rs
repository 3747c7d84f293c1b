//! A zone's records as loaded: the file's content, before decisions are laid over it.

use super::{Name, RrSet, RrType, Serial};

/// A checked zone: one SOA, NS at the apex, every owner at or below the apex.
#[derive(Clone, Debug)]
pub struct Zone {
    apex: Name,
    serial: Serial,
    sets: Vec<RrSet>,
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
    set: &'a RrSet,
}

impl<'a> RrSetRef<'a> {
    /// Each record's RDATA in wire form, names uncompressed.
    pub fn rdata(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.set.rdata.iter().map(|rdata| &**rdata)
    }
}

impl Zone {
    /// A zone of the given RRsets; the caller has checked them.
    pub(crate) fn from_rrsets(apex: Name, serial: Serial, mut sets: Vec<RrSet>) -> Zone {
        sets.sort_by(|a, b| (&a.owner, a.rtype).cmp(&(&b.owner, b.rtype)));
        Zone { apex, serial, sets }
    }

    /// The name all others lie at or below.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The SOA's serial, as the file has it.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// One RRset, if the zone has it.
    pub fn rrset(&self, owner: &Name, rtype: RrType) -> Option<RrSet> {
        let at = self.sets.binary_search_by(|set| (&set.owner, set.rtype).cmp(&(owner, rtype))).ok()?;
        Some(self.sets[at].clone())
    }

    /// Every RRset once, those of one owner next to each other.
    pub fn rrsets(&self) -> impl Iterator<Item = RrSetRef<'_>> {
        self.sets.iter().map(|set| RrSetRef {
            owner: set.owner.as_wire(),
            rtype: set.rtype,
            ttl: set.ttl,
            set,
        })
    }
}
