//! Records as they are read, on their way into a [`Zone`].

use crate::dns::lex::shown;
use crate::dns::name::text_of;
use crate::dns::rdata::rdata_text;
use crate::dns::rrset::RECORD_HEAD;
use crate::dns::{MAX_RRSET_BYTES, Name, RrType};
use crate::zone::Zone;
use crate::zone::contents::{MAX_BYTES, Parts};
use crate::zone::owners::Owners;
use crate::zone::sets::PackedSet;

use super::lint::Lint;
use super::problem::{Findings, Pos};

/// The most records of one zone, repeated ones counted.
pub const MAX_RECORDS: usize = 20_000_000;

/// How many records' memory goes back at a time as sets are made of them.
const PACKED_TOGETHER: usize = 1 << 15;
/// RDATA stands after its length in as many bytes, as in a [`Zone`].
const LEN: usize = 2;

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
    /// Where its RDATA's length begins in the stage's.
    start: u32,
    rtype: RrType,
    pos: Pos,
}

impl Staged {
    /// Its RDATA.
    fn bytes<'a>(&self, rdata: &'a [u8]) -> &'a [u8] {
        &self.packed(rdata)[LEN..]
    }

    /// Its RDATA after its length.
    fn packed<'a>(&self, rdata: &'a [u8]) -> &'a [u8] {
        let packed = &rdata[self.start as usize..];
        &packed[..LEN + usize::from(u16::from_be_bytes([packed[0], packed[1]]))]
    }

    fn same_set(&self, other: &Staged) -> bool {
        (self.owner, self.rtype) == (other.owner, other.rtype)
    }
}

impl Stage {
    /// A stage for a text of `text_len` bytes.
    pub(super) fn new(text_len: usize) -> Stage {
        // Of a record's line, a third or so is what it stores; short ones have some 32 bytes.
        let records = (text_len / 32).min(MAX_RECORDS);
        Stage {
            owners: Owners::with_capacity(records / 2, text_len / 3),
            rdata: Vec::with_capacity(text_len / 4),
            records: Vec::with_capacity(records),
        }
    }

    /// Whether one more record may come.
    pub(super) fn has_room(&self) -> bool {
        self.records.len() < MAX_RECORDS && self.rdata.len() < MAX_BYTES && self.owners.byte_len() < MAX_BYTES
    }

    /// Begins a record, whose RDATA is then put at the end of `rdata`: what [`Stage::push`] wants to know,
    /// and where to cut `rdata` off should nothing come of it.
    pub(super) fn begin(&mut self) -> usize {
        let start = self.rdata.len();
        self.rdata.extend_from_slice(&[0; LEN]);
        start
    }

    /// The RDATA of the record that was begun at `start`.
    pub(super) fn rdata_of(&self, start: usize) -> &[u8] {
        &self.rdata[start + LEN..]
    }

    /// Takes the record that was begun at `start`.
    pub(super) fn push(&mut self, owner: u32, rtype: RrType, ttl: u32, start: usize, pos: Pos) {
        let len = (self.rdata.len() - start - LEN) as u16;
        self.rdata[start..start + LEN].copy_from_slice(&len.to_be_bytes());
        self.records.push(Staged { owner, ttl, start: start as u32, rtype, pos });
    }

    /// The records as a zone, and where each RRset's first record stands. Reports records that stand
    /// twice, TTLs that differ within an RRset, and types that may stand once only.
    pub(super) fn into_zone(mut self, apex: &Name, findings: &mut Findings) -> (Zone, Vec<Pos>) {
        self.sort();
        for set in self.records.chunk_by(Staged::same_set).filter(|set| set.len() > 1) {
            check_set(set, &self.rdata, self.owners.name(set[0].owner), findings);
        }
        let Stage { owners, rdata, mut records } = self;
        let mut starts = vec![0; owners.len()];
        let (mut sets, mut positions) = (Vec::new(), Vec::new());
        let mut end = rdata.len();
        // From the end on: there a vector can give back memory without moving what stays.
        while let Some(&last) = records.last() {
            let begin = records.iter().rposition(|record| !record.same_set(&last)).map_or(0, |at| at + 1);
            let set = &records[begin..];
            let distinct = set.chunk_by(|a, b| a.start == b.start).count() as u32;
            let owner = owners.name(last.owner);
            let start = set[0].start as usize;
            let size = owner.len() + (RECORD_HEAD - LEN) * distinct as usize + end - start;
            end = start;
            if size > MAX_RRSET_BYTES {
                let message = format!(
                    "the {} records of {} take {size} bytes, and no answer has room for more than {MAX_RRSET_BYTES}",
                    last.rtype,
                    text_of(owner)
                );
                findings.error(first(set).pos, message);
            }
            sets.push(PackedSet {
                rtype: last.rtype,
                ttl: lowest_ttl(set),
                start: set[0].start,
                records: distinct,
            });
            positions.push(first(set).pos);
            starts[last.owner as usize] += 1;
            records.truncate(begin);
            if records.capacity() - begin >= PACKED_TOGETHER {
                records.shrink_to(begin);
            }
        }
        sets.reverse();
        positions.reverse();
        let mut before = 0;
        for start in &mut starts {
            before += std::mem::replace(start, before);
        }
        (Parts { owners, starts, sets, rdata }.into_zone(apex.clone()), positions)
    }

    /// Brings the records and their RDATA into the order of a zone; records that stand twice share theirs.
    fn sort(&mut self) {
        let rdata = &self.rdata;
        let order = |a: &Staged, b: &Staged| {
            (a.owner, a.rtype).cmp(&(b.owner, b.rtype)).then_with(|| a.bytes(rdata).cmp(b.bytes(rdata)))
        };
        // Files are mostly in order, and no second copy of anything is needed then.
        if self.records.is_sorted_by(|a, b| order(a, b).is_lt()) {
            return;
        }
        // Equal ones stay in the order they came.
        self.records.sort_unstable_by(|a, b| order(a, b).then(a.start.cmp(&b.start)));
        let mut sorted = Vec::with_capacity(rdata.len());
        for same in self.records.chunk_by_mut(|a, b| order(a, b).is_eq()) {
            let start = sorted.len() as u32;
            sorted.extend_from_slice(same[0].packed(rdata));
            for record in same {
                record.start = start;
            }
        }
        self.rdata = sorted;
    }
}

/// Reports what is wrong among a set's records, which are sorted by RDATA.
fn check_set(set: &[Staged], rdata: &[u8], owner: &[u8], findings: &mut Findings) {
    let first = first(set);
    let rtype = first.rtype;
    let mut distinct = 0;
    for same in set.chunk_by(|a, b| a.bytes(rdata) == b.bytes(rdata)) {
        distinct += 1;
        for again in &same[1..] {
            let text = rdata_text(rtype, same[0].bytes(rdata));
            let message = format!("{rtype} {} stands twice; it is kept once", shown(text.as_bytes()));
            findings.warning_with(Lint::DuplicateRecord, again.pos, message, "the first is at", same[0].pos);
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
    let ttl = lowest_ttl(set);
    // RRSIGs that cover different types are no RRset (RFC 4034 section 3).
    let differs = set.iter().filter(in_order).filter(|other| other.ttl != first.ttl);
    if let Some(other) = differs.min_by_key(|other| other.pos).filter(|_| rtype != RrType::RRSIG) {
        let message = format!(
            "the {rtype} records of {} have TTLs of {} and {}; all get {ttl} (RFC 2181 section 5.2)",
            text_of(owner),
            first.ttl,
            other.ttl
        );
        findings.warning_with(Lint::TtlDiffers, other.pos, message, "the first is at", first.pos);
    }
}

/// What all records of a set get (RFC 2181 section 5.2); `set` is never empty.
fn lowest_ttl(set: &[Staged]) -> u32 {
    set.iter().map(|record| record.ttl).min().unwrap_or_default()
}

/// The record that stands first in the files; `set` is never empty.
fn first(set: &[Staged]) -> &Staged {
    set.iter().min_by_key(|record| record.pos).unwrap_or(&set[0])
}
