//! What changed in a zone, step by step, so that who has an earlier serial can be brought to the last one
//! (RFC 1995).
//!
//! A journal is a row of steps, each of which begins where the one before it ended. It is bounded, and forgets
//! its oldest steps; a step that does not follow on the last one begins it anew. Whoever keeps it on a disk is
//! told row by row what changes there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::kept;
use crate::dns::{Name, RrSet, RrType, Serial, record_ttl, soa_serial};

/// The most bytes of one zone's steps.
pub const MAX_JOURNAL_BYTES: usize = 16 << 20;
/// A step's bytes beside its RRsets: version and the number of RRsets that go.
const STEP_VERSION: u8 = 1;

/// From one serial to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The SOA before.
    pub old: RrSet,
    /// The SOA after.
    pub new: RrSet,
    /// Records that go.
    pub removed: Vec<RrSet>,
    /// Records that come.
    pub added: Vec<RrSet>,
}

/// A row of a journal on disk; without a step it is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRow {
    /// The zone.
    pub zone: Name,
    /// Rows are in this order.
    pub seq: u64,
    /// The step, as [`Step::to_bytes`] gives it.
    pub step: Option<Arc<[u8]>>,
}

/// One record with its set's TTL.
type Record = (Name, RrType, u32, Box<[u8]>);

impl Step {
    /// What moves a zone from `old` to `new` where these RRsets go and come: a record that is in both, with
    /// the same TTL, is in neither. No SOA is among them.
    pub fn of(old: RrSet, new: RrSet, removed: &[RrSet], added: &[RrSet]) -> Step {
        let mut net = BTreeMap::new();
        tally(&mut net, removed, -1);
        tally(&mut net, added, 1);
        Step::from_net(old, new, net)
    }

    fn from_net(old: RrSet, new: RrSet, net: BTreeMap<Record, i32>) -> Step {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        for ((owner, rtype, ttl, rdata), count) in net {
            let sets: &mut Vec<RrSet> = match count {
                0 => continue,
                ..0 => &mut removed,
                1.. => &mut added,
            };
            match sets.last_mut() {
                Some(last) if last.owner == owner && last.rtype == rtype && last.ttl == ttl => {
                    last.rdata.push(rdata);
                }
                _ => sets.push(RrSet { owner, rtype, ttl, rdata: vec![rdata] }),
            }
        }
        Step { old, new, removed, added }
    }

    /// The way back.
    #[must_use]
    pub fn reversed(self) -> Step {
        Step { old: self.new, new: self.old, removed: self.added, added: self.removed }
    }

    /// The serial it begins at.
    pub fn from(&self) -> Serial {
        soa_serial(&self.old)
    }

    /// The serial it ends at.
    pub fn to(&self) -> Serial {
        soa_serial(&self.new)
    }

    /// How many records go, and how many come, the SOA aside.
    pub fn counts(&self) -> (usize, usize) {
        let count = |sets: &[RrSet]| sets.iter().map(|set| set.rdata.len()).sum();
        (count(&self.removed), count(&self.added))
    }

    /// The RRsets of an incremental transfer, in their order: the new SOA, the old one and what goes, the new
    /// one and what comes, and the new one again (RFC 1995 section 4).
    pub fn into_transfer(self) -> Vec<RrSet> {
        let Step { old, new, removed, added } = self;
        let mut sets = Vec::with_capacity(removed.len() + added.len() + 4);
        sets.extend([new.clone(), old]);
        sets.extend(removed);
        sets.push(new.clone());
        sets.extend(added);
        sets.push(new);
        sets
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![STEP_VERSION];
        bytes.extend_from_slice(&(self.removed.len() as u32).to_le_bytes());
        for set in [&self.old, &self.new].into_iter().chain(&self.removed).chain(&self.added) {
            let rdata = set.rdata.iter().map(|rdata| &**rdata);
            kept::put_set(&mut bytes, set.owner.as_wire(), set.rtype, set.ttl, rdata);
        }
        bytes
    }

    /// What [`Step::to_bytes`] gave; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Step> {
        let (head, mut rest) = bytes.split_first_chunk::<5>()?;
        if head[0] != STEP_VERSION {
            return None;
        }
        let removed = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (old, new) = (kept::take_set(&mut rest)?, kept::take_set(&mut rest)?);
        let mut sets = Vec::new();
        while !rest.is_empty() {
            sets.push(kept::take_set(&mut rest)?);
        }
        let is_soa = |set: &RrSet| set.rtype == RrType::SOA && set.rdata.len() == 1;
        if removed > sets.len() || !is_soa(&old) || !is_soa(&new) {
            return None;
        }
        let added = sets.split_off(removed);
        Some(Step { old, new, removed: sets, added })
    }
}

fn tally(net: &mut BTreeMap<Record, i32>, sets: &[RrSet], by: i32) {
    for set in sets {
        for rdata in &set.rdata {
            let ttl = record_ttl(set.rtype, set.ttl, rdata);
            *net.entry((set.owner.clone(), set.rtype, ttl, rdata.clone())).or_insert(0) += by;
        }
    }
}

/// The steps of one zone.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    steps: VecDeque<Kept>,
    /// The row of the first of them.
    first: u64,
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Kept {
    from: Serial,
    to: Serial,
    bytes: Arc<[u8]>,
}

/// A step that a journal is to go on with, and what it forgets for that.
#[derive(Clone, Debug)]
pub struct Ahead {
    first: u64,
    at: u64,
    kept: Kept,
    forgets: usize,
}

impl Ahead {
    /// What changes on the disk; of a row that comes and goes at once the later word counts.
    pub fn rows(&self) -> Rows {
        let come = (self.at, Some(self.kept.bytes.clone()));
        let go = (self.first..).take(self.forgets).map(|seq| (seq, None));
        std::iter::once(come).chain(go).collect()
    }
}

/// What changes on the disk: row by row, a step or none.
pub type Rows = Vec<(u64, Option<Arc<[u8]>>)>;

impl Journal {
    /// A journal of the rows that were kept, of a zone that publishes `last`; and the rows that are of no use
    /// to it, because they do not decode or do not lead there.
    pub fn restore(rows: impl IntoIterator<Item = (u64, Arc<[u8]>)>, last: Serial) -> (Journal, Rows) {
        let mut journal = Journal::default();
        let mut useless = Vec::new();
        for (seq, bytes) in rows {
            let step = Step::from_bytes(&bytes).map(|step| (step.from(), step.to()));
            let follows = step.is_some_and(|(from, _)| {
                journal.steps.back().is_none_or(|before| before.to == from)
                    && journal.first + journal.steps.len() as u64 == seq
            });
            if !follows {
                useless.extend(journal.clear());
                journal.first = seq;
            }
            if let Some((from, to)) = step {
                journal.add(Kept { from, to, bytes });
            } else {
                useless.push((seq, None));
                journal.first = seq + 1;
            }
        }
        if journal.to().is_some_and(|to| to != last) {
            useless.extend(journal.clear());
        }
        (journal, useless)
    }

    /// The serial the last step leads to.
    pub fn to(&self) -> Option<Serial> {
        self.steps.back().map(|kept| kept.to)
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The bytes of all steps.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a step, and forgets the oldest where there are more than `max` or they are too large. A step that
    /// does not follow the last one begins the journal anew.
    pub fn push(&mut self, step: &Step, max: usize) -> Rows {
        let ahead = self.ahead(step, max);
        let rows = ahead.rows();
        self.take(ahead);
        rows
    }

    /// What [`Journal::push`] would come to.
    pub fn ahead(&self, step: &Step, max: usize) -> Ahead {
        let kept = Kept { from: step.from(), to: step.to(), bytes: step.to_bytes().into() };
        let begins_anew = self.to().is_some_and(|to| to != step.from());
        let (mut steps, mut bytes) = (self.steps.len() + 1, self.bytes + kept.bytes.len());
        let mut forgets = 0;
        for old in self.steps.iter().chain([&kept]) {
            let is_cut_off = begins_anew && forgets < self.steps.len();
            if !is_cut_off && steps <= max && bytes <= MAX_JOURNAL_BYTES {
                break;
            }
            forgets += 1;
            steps -= 1;
            bytes -= old.bytes.len();
        }
        Ahead { first: self.first, at: self.first + self.steps.len() as u64, kept, forgets }
    }

    /// Goes on with what [`Journal::ahead`] said of it as it is.
    pub fn take(&mut self, ahead: Ahead) {
        self.add(ahead.kept);
        for _ in 0..ahead.forgets {
            drop(self.forget_oldest());
        }
    }

    /// Forgets the oldest step, where there is one.
    pub fn forget_oldest(&mut self) -> Rows {
        let Some(kept) = self.steps.pop_front() else { return Rows::new() };
        self.bytes -= kept.bytes.len();
        self.first += 1;
        vec![(self.first - 1, None)]
    }

    /// Forgets all.
    pub fn clear(&mut self) -> Rows {
        let mut rows = Rows::new();
        while !self.steps.is_empty() {
            rows.extend(self.forget_oldest());
        }
        rows
    }

    /// The one step that brings who has `from` to where the journal ends: what came and went between is left
    /// out. `None` where the journal does not reach back so far.
    pub fn condense(&self, from: Serial) -> Option<Step> {
        self.between(from, self.to()?)
    }

    /// The serial it begins at, if it has a step.
    pub fn from(&self) -> Option<Serial> {
        self.steps.front().map(|kept| kept.from)
    }

    /// The one step that ends at a serial; `None` where it is not there any more.
    pub fn step_to(&self, to: Serial) -> Option<Step> {
        let kept = self.steps.iter().rfind(|kept| kept.to == to)?;
        Step::from_bytes(&kept.bytes)
    }

    /// The one step that brings who has `from` to the later serial `to`; `None` where one of them is not in
    /// the journal.
    pub fn between(&self, from: Serial, to: Serial) -> Option<Step> {
        // A serial can come again only after the whole circle; the later one counts.
        let at = self.steps.iter().rposition(|kept| kept.from == from)?;
        let end = self.steps.iter().rposition(|kept| kept.to == to).filter(|&end| end >= at)?;
        let mut steps = self.steps.range(at..=end).map(|kept| Step::from_bytes(&kept.bytes));
        let first = steps.next()??;
        if at == end {
            return Some(first);
        }
        let (old, mut new) = (first.old.clone(), first.new.clone());
        let mut net = BTreeMap::new();
        tally(&mut net, &first.removed, -1);
        tally(&mut net, &first.added, 1);
        for step in steps {
            let step = step?;
            tally(&mut net, &step.removed, -1);
            tally(&mut net, &step.added, 1);
            new = step.new;
        }
        Some(Step::from_net(old, new, net))
    }

    fn add(&mut self, kept: Kept) {
        self.bytes += kept.bytes.len();
        self.steps.push_back(kept);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::dns::soa_with_serial;

    fn soa(serial: u32) -> RrSet {
        soa_with_serial(&RrSet::new(Name::root(), RrType::SOA, 60, [vec![0; 22]]), Serial(serial))
    }

    /// Few owners, types, TTLs and contents, so that contents often come back.
    fn sets() -> impl Strategy<Value = Vec<RrSet>> {
        let one = (0..4u8, 0..2u16, 0..2u32, prop::collection::vec(0..4u8, 1..4));
        prop::collection::vec(one, 0..6).prop_map(|sets| {
            let sets = sets.into_iter().map(|(owner, rtype, ttl, rdata)| {
                let owner = Name::from_wire(&[1, b'a' + owner, 0]).unwrap();
                let set = RrSet::new(owner.clone(), RrType(rtype + 1), ttl, rdata.into_iter().map(|b| [b]));
                ((owner, rtype), set)
            });
            sets.collect::<BTreeMap<_, _>>().into_values().collect()
        })
    }

    fn records(sets: &[RrSet]) -> BTreeSet<String> {
        sets.iter().flat_map(RrSet::to_lines).collect()
    }

    /// Each step from one content to the next, under serials from 1 up, the number wrapping around.
    fn journal(contents: &[Vec<RrSet>], first: u32, max: usize) -> (Journal, BTreeMap<u64, Arc<[u8]>>) {
        let (mut journal, mut disk) = (Journal::default(), BTreeMap::new());
        for (at, pair) in contents.windows(2).enumerate() {
            let serial = first.wrapping_add(at as u32);
            let step = Step::of(soa(serial), soa(serial.wrapping_add(1)), &pair[0], &pair[1]);
            apply(&mut disk, journal.push(&step, max));
        }
        (journal, disk)
    }

    fn apply(disk: &mut BTreeMap<u64, Arc<[u8]>>, rows: Rows) {
        for (seq, step) in rows {
            match step {
                Some(step) => drop(disk.insert(seq, step)),
                None => drop(disk.remove(&seq)),
            }
        }
    }

    proptest! {
        #[test]
        fn from_any_serial_it_leads_to_the_last_content(
            contents in prop::collection::vec(sets(), 2..8), max in 1..8usize, wraps: bool,
        ) {
            let first = if wraps { u32::MAX - 2 } else { 1 };
            let (journal, disk) = journal(&contents, first, max);
            let last = contents.len() - 1;
            for (at, content) in contents[..last].iter().enumerate() {
                let from = Serial(first.wrapping_add(at as u32));
                let Some(step) = journal.condense(from) else {
                    prop_assert!(last - at > max);
                    continue;
                };
                prop_assert!(last - at <= max);
                prop_assert_eq!((step.from(), step.to().0), (from, first.wrapping_add(last as u32)));
                let mut held = records(content);
                for gone in records(&step.removed) {
                    prop_assert!(held.remove(&gone), "{gone} was not there");
                }
                for come in records(&step.added) {
                    prop_assert!(held.insert(come.clone()), "{come} was there");
                }
                prop_assert_eq!(held, records(&contents[last]));
                prop_assert_eq!(Step::from_bytes(&step.to_bytes()), Some(step));
            }
            // What is on the disk is the same journal.
            let (restored, useless) = Journal::restore(disk, Serial(first.wrapping_add(last as u32)));
            prop_assert!(useless.is_empty());
            prop_assert_eq!(restored.len(), journal.len());
            prop_assert_eq!(restored.bytes(), journal.bytes());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Step::from_bytes(&bytes);
            let _ = Step::from_bytes(&[&[STEP_VERSION, 0, 0, 0, 0][..], &bytes].concat());
        }
    }

    #[test]
    fn what_does_not_lead_to_the_serial_published_is_forgotten() {
        let contents = vec![vec![]; 4];
        let (_, disk) = journal(&contents, 1, 10);
        let restore = |disk: &BTreeMap<u64, Arc<[u8]>>, last| {
            let (journal, useless) = Journal::restore(disk.clone(), Serial(last));
            (journal.len(), useless.len())
        };
        assert_eq!(restore(&disk, 4), (3, 0));
        assert_eq!(restore(&disk, 5), (0, 3));
        let mut gap = disk.clone();
        gap.remove(&1);
        assert_eq!(restore(&gap, 4), (1, 1));
        let mut broken = disk.clone();
        broken.insert(1, Arc::from(&b"broken"[..]));
        assert_eq!(restore(&broken, 4), (1, 2));
        broken.insert(2, Arc::from(&b"broken"[..]));
        assert_eq!(restore(&broken, 4), (0, 3));
    }

    #[test]
    fn a_step_that_does_not_follow_begins_anew() {
        let (mut journal, mut disk) = journal(&vec![vec![]; 4], 1, 10);
        let step = Step::of(soa(9), soa(10), &[], &[]);
        apply(&mut disk, journal.push(&step, 10));
        assert_eq!((journal.len(), disk.len(), journal.to()), (1, 1, Some(Serial(10))));
        assert!(journal.condense(Serial(1)).is_none());
        // A step too large for a journal leaves none.
        let large = RrSet::new(
            Name::root(),
            RrType(65280),
            1,
            (0..300u16).map(|n| [n.to_be_bytes().to_vec(), vec![0; 60_000]].concat()),
        );
        apply(&mut disk, journal.push(&Step::of(soa(10), soa(11), &[], &[large]), 10));
        assert!(journal.is_empty() && disk.is_empty());
    }
}
