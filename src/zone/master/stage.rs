//! Records as they are read, on their way into a [`Zone`].

use crate::zone::contents::Packer;
use crate::zone::lex::shown;
use crate::zone::name::text_of;
use crate::zone::owners::Owners;
use crate::zone::rdata::rdata_text;
use crate::zone::{Name, RrType, Zone};

use super::problem::{Findings, Pos};

/// The most records of one zone, repeated ones counted.
pub const MAX_RECORDS: usize = 20_000_000;
/// The most bytes that all owners, or all RDATA with their lengths, may take: offsets are 32 bits.
const MAX_BYTES: usize = u32::MAX as usize - (1 << 20);

/// Records in the order of the files.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) owners: Owners,
    pub(super) rdata: Vec<u8>,
    records: Vec<Staged>,
}

/// One record, in 24 bytes.
#[derive(Clone, Copy, Debug)]
struct Staged {
    owner: u32,
    ttl: u32,
    /// Where its RDATA begins in the stage's.
    start: u32,
    len: u16,
    rtype: RrType,
    pos: Pos,
}

impl Staged {
    fn bytes<'a>(&self, rdata: &'a [u8]) -> &'a [u8] {
        &rdata[self.start as usize..][..usize::from(self.len)]
    }
}

impl Stage {
    /// A stage for a text of `text_len` bytes.
    pub(super) fn new(text_len: usize) -> Stage {
        // Of a record's line, a third or so is what it stores; short ones have some 32 bytes.
        let records = (text_len / 32).min(MAX_RECORDS);
        Stage {
            owners: Owners::with_capacity(records / 2, text_len / 3),
            rdata: Vec::with_capacity(text_len / 6),
            records: Vec::with_capacity(records),
        }
    }

    /// Whether one more record may come.
    pub(super) fn has_room(&self) -> bool {
        self.records.len() < MAX_RECORDS
            && self.rdata.len() + self.records.len() * 2 < MAX_BYTES
            && self.owners.byte_len() < MAX_BYTES
    }

    /// Takes a record; its RDATA is what stands in `rdata` from `start` on.
    pub(super) fn push(&mut self, owner: u32, rtype: RrType, ttl: u32, start: usize, pos: Pos) {
        let len = (self.rdata.len() - start) as u16;
        self.records.push(Staged { owner, ttl, start: start as u32, len, rtype, pos });
    }

    /// The records as a zone, and where each RRset's first record stands. Reports records that stand
    /// twice, TTLs that differ within an RRset, and types that may stand once only.
    pub(super) fn into_zone(mut self, apex: &Name, findings: &mut Findings) -> (Zone, Vec<Pos>) {
        let rdata = &self.rdata;
        // Files are mostly in order, and this sort is then a single walk.
        self.records.sort_by(|a, b| {
            (a.owner, a.rtype).cmp(&(b.owner, b.rtype)).then_with(|| a.bytes(rdata).cmp(b.bytes(rdata)))
        });
        let mut packer = Packer::new(self.owners, rdata.len() + self.records.len() * 2);
        let mut positions = Vec::with_capacity(packer.owners.len());
        let mut sets = self.records.chunk_by(|a, b| (a.owner, a.rtype) == (b.owner, b.rtype)).peekable();
        for id in 0..packer.owners.len() as u32 {
            packer.begin_owner();
            while let Some(set) = sets.next_if(|set| set[0].owner == id) {
                let ttl = check_set(set, rdata, packer.owners.name(id), findings);
                packer.begin_set(set[0].rtype, ttl);
                for same in set.chunk_by(|a, b| a.bytes(rdata) == b.bytes(rdata)) {
                    packer.record(same[0].bytes(rdata));
                }
                positions.push(first(set).pos);
            }
        }
        (packer.finish(apex.clone()), positions)
    }
}

/// The TTL of a set's records, sorted by RDATA, and reports of what is wrong among them.
fn check_set(set: &[Staged], rdata: &[u8], owner: &[u8], findings: &mut Findings) -> u32 {
    let first = first(set);
    if set.len() == 1 {
        return first.ttl;
    }
    let rtype = first.rtype;
    let mut distinct = 0;
    for same in set.chunk_by(|a, b| a.bytes(rdata) == b.bytes(rdata)) {
        distinct += 1;
        for again in &same[1..] {
            let text = rdata_text(rtype, same[0].bytes(rdata));
            let message = format!("{rtype} {} stands twice; it is kept once", shown(text.as_bytes()));
            findings.warning_with(again.pos, message, "the first is at", same[0].pos);
        }
    }
    let in_order = |other: &&Staged| other.pos > first.pos;
    if distinct > 1 && [RrType::SOA, RrType::CNAME, RrType::DNAME].contains(&rtype) {
        let differs = set.iter().filter(in_order).filter(|other| other.bytes(rdata) != first.bytes(rdata));
        if let Some(second) = differs.min_by_key(|other| other.pos) {
            let message = format!("{} has a second {rtype}; it may have one", text_of(owner));
            findings.error_with(second.pos, message, "the first is at", first.pos);
        }
    }
    let ttl = set.iter().map(|record| record.ttl).min().unwrap_or_default();
    // RRSIGs that cover different types are no RRset (RFC 4034 section 3).
    let differs = set.iter().filter(in_order).filter(|other| other.ttl != first.ttl);
    if let Some(other) = differs.min_by_key(|other| other.pos).filter(|_| rtype != RrType::RRSIG) {
        let message = format!(
            "the {rtype} records of {} have TTLs of {} and {}; all get {ttl} (RFC 2181 section 5.2)",
            text_of(owner),
            first.ttl,
            other.ttl
        );
        findings.warning_with(other.pos, message, "the first is at", first.pos);
    }
    ttl
}

/// The record that stands first in the files; `set` is never empty.
fn first(set: &[Staged]) -> &Staged {
    set.iter().min_by_key(|record| record.pos).unwrap_or(&set[0])
}
