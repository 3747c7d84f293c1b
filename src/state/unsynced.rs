//! What a commit carries, encoded; and what was committed since the disk last had everything.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use redb::{Database, Durability, ReadableTableMetadata};
use serde::Serialize;

use super::tables::{ENTRIES, JOURNAL, LAST, LOGGED, META, SAMPLES, SAVED, SUMS};
use super::{MAX_ENTRIES, MAX_SAMPLES, MAX_TEXT, StoreError, UNSYNCED_ENTRIES, UNSYNCED_SAMPLES};
use crate::engine::{Happened, Saved};
use crate::time::Time;
use crate::zone::EditKey;

/// Steps by zone and order; `None` forgets one.
pub type Steps = BTreeMap<(String, u64), Option<Arc<[u8]>>>;

/// Values by their keys; `None` forgets one.
pub(super) type Values = BTreeMap<String, Option<Vec<u8>>>;

/// Encoded records under their seq; `None` forgets one.
pub(super) type Records = VecDeque<(u64, Option<Vec<u8>>)>;

/// Values, steps and records on their way into the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// One for each key, so never more than there are keys.
    pub saves: Values,
    /// One for each row, so never more than the journals keep.
    pub steps: Steps,
    /// Under the seq they are to have, the oldest first; `None` forgets one.
    pub entries: Records,
    pub samples: Records,
}

/// An entry as it is kept: `seq` is its key.
#[derive(Serialize)]
struct Kept<'a> {
    at: Time,
    what: &'a Happened,
}

impl Batch {
    /// Of these; the records come after `next_seq`, which goes on.
    pub fn of(
        now: Time,
        saves: &[Saved],
        steps: &Steps,
        records: &[Happened],
        next_seq: &mut u64,
    ) -> Result<Batch, StoreError> {
        let saves = saves.iter().map(encode).collect::<Result<_, _>>()?;
        let mut batch = Batch { saves, steps: steps.clone(), ..Batch::default() };
        for (seq, what) in (*next_seq..).zip(records) {
            let samples = matches!(what, Happened::Sample(_));
            let kept = if samples { &mut batch.samples } else { &mut batch.entries };
            kept.push_back((seq, Some(encode_entry(now, what)?)));
        }
        *next_seq += records.len() as u64;
        Ok(batch)
    }

    /// What takes this one back, where these are the values and steps there were before it.
    pub fn undo(&self, saves: Values, steps: Steps) -> Batch {
        let forget = |records: &Records| records.iter().map(|(seq, _)| (*seq, None)).collect();
        Batch { saves, steps, entries: forget(&self.entries), samples: forget(&self.samples) }
    }

    pub fn is_empty(&self) -> bool {
        let Batch { saves, steps, entries, samples } = self;
        saves.is_empty() && steps.is_empty() && entries.is_empty() && samples.is_empty()
    }

    /// Whether more would come near what is held while the disk fails.
    pub fn is_large(&self) -> bool {
        self.entries.len() >= UNSYNCED_ENTRIES / 2 || self.samples.len() >= UNSYNCED_SAMPLES / 2
    }

    /// Adds what came after. Of too many records the oldest go: they are only a record.
    pub fn absorb(&mut self, later: Batch) {
        self.saves.extend(later.saves);
        self.steps.extend(later.steps);
        self.entries.extend(later.entries);
        self.samples.extend(later.samples);
        self.entries.drain(..self.entries.len().saturating_sub(UNSYNCED_ENTRIES));
        self.samples.drain(..self.samples.len().saturating_sub(UNSYNCED_SAMPLES));
    }
}

/// Writes batches, the later one in the earlier one's place: one transaction, all or nothing. What is there already
/// is not there twice. With `logged` the database has all up to that frame of the log then.
pub(super) fn write(
    database: &Database,
    now: Time,
    batches: &[&Batch],
    sync: bool,
    logged: Option<u64>,
) -> Result<(), redb::Error> {
    let mut txn = database.begin_write()?;
    txn.set_durability(if sync { Durability::Immediate } else { Durability::None })?;
    {
        let mut meta = txn.open_table(META)?;
        meta.insert(LAST, now.0.to_string().as_str())?;
        if let Some(logged) = logged {
            meta.insert(LOGGED, logged.to_string().as_str())?;
        }
    }
    let saves = || batches.iter().flat_map(|batch| &batch.saves);
    if saves().next().is_some() {
        let (mut table, mut sums) = (txn.open_table(SAVED)?, txn.open_table(SUMS)?);
        for (key, value) in saves() {
            match value {
                Some(value) => {
                    table.insert(key.as_str(), value.as_slice())?;
                    if is_summed(key) {
                        sums.insert(key.as_str(), sum(key, value))?;
                    }
                }
                None => {
                    table.remove(key.as_str())?;
                    sums.remove(key.as_str())?;
                }
            }
        }
    }
    let steps = || batches.iter().flat_map(|batch| &batch.steps);
    if steps().next().is_some() {
        let mut table = txn.open_table(JOURNAL)?;
        for ((zone, seq), step) in steps() {
            match step {
                Some(step) => table.insert((zone.as_str(), *seq), &**step)?,
                None => table.remove((zone.as_str(), *seq))?,
            };
        }
    }
    let of_entries: fn(&Batch) -> &Records = |batch| &batch.entries;
    let of_samples: fn(&Batch) -> &Records = |batch| &batch.samples;
    for (table, max, of) in [(ENTRIES, MAX_ENTRIES, of_entries), (SAMPLES, MAX_SAMPLES, of_samples)] {
        let records = || batches.iter().flat_map(|batch| of(batch));
        if records().next().is_none() {
            continue;
        }
        let mut table = txn.open_table(table)?;
        for (seq, record) in records() {
            match record {
                Some(record) => table.insert(seq, record.as_slice())?,
                None => table.remove(seq)?,
            };
        }
        // As many go as came: the cost of the bound is spread over the commits that need it.
        for _ in max..table.len()? {
            table.pop_first()?;
        }
    }
    txn.commit()?;
    Ok(())
}

/// What checks learn again by themselves, and there is most of, has no sum.
pub(super) fn is_summed(key: &str) -> bool {
    !key.starts_with("check ")
}

/// FNV-1a of a key and its value: against bits that fell, not against people.
pub(super) fn sum(key: &str, value: &[u8]) -> u64 {
    key.bytes()
        .chain([0])
        .chain(value.iter().copied())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A value's key, and its JSON unless the key is to be forgotten.
pub(super) fn encode(saved: &Saved) -> Result<(String, Option<Vec<u8>>), StoreError> {
    let json = |key: Result<String, serde_json::Error>| key.map_err(StoreError::Encode);
    let (key, keep) = match saved {
        Saved::Zone(apex, value) => (format!("zone {apex}"), value.is_some()),
        Saved::Service(name, value) => (format!("service {name}"), value.is_some()),
        Saved::Check(check, value) => {
            (format!("check {}", json(serde_json::to_string(check))?), value.is_some())
        }
        Saved::Override(scope, value) => {
            (format!("override {}", json(serde_json::to_string(scope))?), value.is_some())
        }
        Saved::Edit(EditKey { zone, owner, rtype }, value) => {
            (format!("edit {zone} {owner} {rtype}"), value.is_some())
        }
        Saved::Clock(_) => ("clock".to_owned(), true),
        Saved::Promised(value) => ("promised".to_owned(), value.is_some()),
    };
    let value = keep.then(|| serde_json::to_vec(saved).map_err(StoreError::Encode)).transpose()?;
    Ok((key, value))
}

fn encode_entry(at: Time, what: &Happened) -> Result<Vec<u8>, StoreError> {
    let shortened;
    let what = match what {
        Happened::LoadRefused { problems } if problems.len() > MAX_TEXT => {
            let end = (0..=MAX_TEXT).rev().find(|&end| problems.is_char_boundary(end)).unwrap_or(0);
            shortened = Happened::LoadRefused { problems: format!("{}…", &problems[..end]) };
            &shortened
        }
        what => what,
    };
    serde_json::to_vec(&Kept { at, what }).map_err(StoreError::Encode)
}
