//! What is read of an open state: while the disk fails, of the copy that stands in for the file.

use redb::{AccessGuard, ReadableDatabase, ReadableTable, StorageError, TableError};
use serde::Deserialize;

use super::entry::{Entry, Query};
use super::store::{Store, failed};
use super::tables::{ENTRIES, JOURNAL, SAMPLES};
use super::{MAX_QUERY, StoreError, contents};
use crate::engine::{Happened, Saved};
use crate::time::Time;
use crate::zone::JournalRow;

/// An entry as it is kept: `seq` is its key.
#[derive(Deserialize)]
struct Kept {
    at: Time,
    what: Happened,
}

impl Store {
    /// Everything saved, as a new start would find it.
    pub fn saved(&self) -> Result<Vec<Saved>, StoreError> {
        let database = self.database()?;
        let read = || contents::saved(&database.begin_read()?);
        read().map_err(|e| failed(&self.path, e))?.map_err(StoreError::Saved)
    }

    /// Every step of every journal, each zone's in their order; a zone whose name does not decode has none.
    pub fn journals(&self) -> Result<Vec<JournalRow>, StoreError> {
        let database = self.database()?;
        let read = || -> Result<Vec<JournalRow>, redb::Error> {
            let mut rows = Vec::new();
            let table = match database.begin_read()?.open_table(JOURNAL) {
                Ok(table) => table,
                // A file from before there were journals.
                Err(TableError::TableDoesNotExist(_)) => return Ok(rows),
                Err(e) => return Err(e.into()),
            };
            for row in table.iter()? {
                let (key, step) = row?;
                let (zone, seq) = key.value();
                if let Ok(zone) = zone.parse() {
                    rows.push(JournalRow { zone, seq, step: Some(step.value().into()) });
                }
            }
            Ok(rows)
        };
        read().map_err(|e| failed(&self.path, e))
    }

    /// The entries `query` asks for, newest first.
    pub fn history(&self, query: &Query) -> Result<Vec<Entry>, StoreError> {
        let database = self.database()?;
        let limit = query.limit.min(MAX_QUERY);
        let before = query.before.unwrap_or(u64::MAX);
        let failed = |e: redb::Error| failed(&self.path, e);
        let read = database.begin_read().map_err(|e| failed(e.into()))?;
        let entries = read.open_table(ENTRIES).map_err(|e| failed(e.into()))?;
        let samples = read.open_table(SAMPLES).map_err(|e| failed(e.into()))?;
        let mut entries = entries.range(..before).map_err(|e| failed(e.into()))?.rev().peekable();
        // Without samples the range is empty, and the merge below is the same.
        let until = if query.samples { before } else { 0 };
        let mut samples = samples.range(..until).map_err(|e| failed(e.into()))?.rev().peekable();
        let mut found = Vec::new();
        while found.len() < limit {
            let entry = entries.peek().map(seq_of);
            let sample = samples.peek().map(seq_of);
            // A side that is at its end is `None`, below every seq.
            let Some(next) = (if entry >= sample { entries.next() } else { samples.next() }) else { break };
            let (seq, value) = next.map_err(|e| failed(e.into()))?;
            let (seq, value) = (seq.value(), value.value());
            let kept: Kept =
                serde_json::from_slice(value).map_err(|source| StoreError::Entry { seq, source })?;
            if query.wants(&kept.what) {
                found.push(Entry { seq, at: kept.at, what: kept.what });
            }
        }
        Ok(found)
    }

    /// Up to `limit` entries from `seq` on, samples aside, the oldest first; and the seq of the oldest that is
    /// kept at all.
    pub fn entries_from(&self, seq: u64, limit: usize) -> Result<(Option<u64>, Vec<Entry>), StoreError> {
        let database = self.database()?;
        let failed = |e: redb::Error| failed(&self.path, e);
        let read = database.begin_read().map_err(|e| failed(e.into()))?;
        let entries = read.open_table(ENTRIES).map_err(|e| failed(e.into()))?;
        let oldest = entries.first().map_err(|e| failed(e.into()))?.map(|(seq, _)| seq.value());
        let mut found = Vec::new();
        for row in entries.range(seq..).map_err(|e| failed(e.into()))?.take(limit.min(MAX_QUERY)) {
            let (seq, value) = row.map_err(|e| failed(e.into()))?;
            let (seq, value) = (seq.value(), value.value());
            match serde_json::from_slice::<Kept>(value) {
                Ok(kept) => found.push(Entry { seq, at: kept.at, what: kept.what }),
                // Those before it are good; whoever reads on meets it again.
                Err(_) if !found.is_empty() => break,
                Err(source) => return Err(StoreError::Entry { seq, source }),
            }
        }
        Ok((oldest, found))
    }

    /// The seq after that of the last entry, samples aside.
    pub fn next_entry(&self) -> Result<u64, StoreError> {
        let last = || {
            let read = self.database()?.begin_read().map_err(|e| failed(&self.path, e.into()))?;
            let entries = read.open_table(ENTRIES).map_err(|e| failed(&self.path, e.into()))?;
            let last = entries.last().map_err(|e| failed(&self.path, e.into()))?;
            Ok(last.map(|(seq, _)| seq.value()))
        };
        last().map(|last| last.map_or(0, |seq| seq + 1))
    }
}

/// A row's seq; a row that cannot be read comes before every other, so that it is met at once.
fn seq_of(row: &Result<(AccessGuard<'_, u64>, AccessGuard<'_, &[u8]>), StorageError>) -> u64 {
    row.as_ref().map_or(u64::MAX, |(seq, _)| seq.value())
}
