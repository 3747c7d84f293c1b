//! The open state file: commits in, entries out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{
    AccessGuard, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageError, TableDefinition, TableError,
};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Query};
use super::{LATER_COMMITS, LATER_FOR, MAX_ENTRIES, MAX_QUERY, MAX_SAMPLES, MAX_TEXT, StoreError};
use crate::engine::{Happened, Saved};
use crate::time::Time;
use crate::zone::{EditKey, JournalRow};

/// `format`, `version` and `last`, the latest time recorded in milliseconds.
pub(super) const META: TableDefinition<&str, &str> = TableDefinition::new("meta");
/// The last value under each key, as JSON.
pub(super) const SAVED: TableDefinition<&str, &[u8]> = TableDefinition::new("saved");
/// The history by `seq`, samples aside, as JSON.
pub(super) const ENTRIES: TableDefinition<u64, &[u8]> = TableDefinition::new("entries");
/// The samples by `seq`, as JSON.
pub(super) const SAMPLES: TableDefinition<u64, &[u8]> = TableDefinition::new("samples");
/// The steps of each zone's journal, by its name and their order.
pub(super) const JOURNAL: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("journal");
/// Where [`META`] keeps the latest time recorded.
pub(super) const LAST: &str = "last";

/// When a commit reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// Before the call returns.
    Now,
    /// With a later commit.
    Later,
}

/// How the file is opened: the one way for the first time and after a failure.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// The open state file. Shared by the engine's loop, which commits, and control, which reads.
pub struct Store {
    path: PathBuf,
    opener: Opener,
    /// `None` while the file could not be opened again after a failure.
    database: RwLock<Option<Arc<Database>>>,
    writer: Mutex<Writer>,
}

/// What only the one writer at a time needs.
#[derive(Default)]
struct Writer {
    next_seq: u64,
    later: u32,
    synced: Time,
    /// Set by a failure: redb wants the file opened anew before it writes again.
    broken: bool,
    /// What failed commits would have saved, for the next one to carry: one value for each key, so
    /// never more than there are keys. `None` forgets the key.
    pending: BTreeMap<String, Option<Vec<u8>>>,
    /// The same for the journals: one step for each row, never more than they keep.
    steps: Steps,
}

/// Steps by zone and order; `None` forgets one.
pub type Steps = BTreeMap<(String, u64), Option<Arc<[u8]>>>;

/// An entry as it is kept: `seq` is its key.
#[derive(Serialize, Deserialize)]
struct Kept<W> {
    at: Time,
    what: W,
}

impl Store {
    /// A store over a database that was just opened and checked.
    pub(super) fn new(path: PathBuf, opener: Opener, database: Database) -> Result<Store, StoreError> {
        let next_seq = next_seq(&database).map_err(|e| failed(&path, e))?;
        Ok(Store {
            path,
            opener,
            database: RwLock::new(Some(Arc::new(database))),
            writer: Mutex::new(Writer { next_seq, ..Writer::default() }),
        })
    }

    /// [`Store::commit_with`] without steps.
    pub fn commit(
        &self,
        now: Time,
        saves: &[Saved],
        records: &[Happened],
        when: Durable,
    ) -> Result<(), StoreError> {
        self.commit_with(now, saves, &Steps::new(), records, when).map(drop)
    }

    /// Keeps all of `saves`, `steps` and `records`, or nothing and says why. After an error saves and steps wait for
    /// the next commit, which opens the file anew; the records are lost, as they are only a record.
    ///
    /// The seq that the next record will have: the last of `records` has the one before it.
    ///
    /// With nothing to keep, [`Durable::Now`] still brings earlier `Later` commits to the disk.
    pub fn commit_with(
        &self,
        now: Time,
        saves: &[Saved],
        steps: &Steps,
        records: &[Happened],
        when: Durable,
    ) -> Result<u64, StoreError> {
        let mut writer = self.writer();
        let saves = saves.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let mut pending = std::mem::take(&mut writer.pending);
        pending.extend(saves);
        let mut rows = std::mem::take(&mut writer.steps);
        rows.extend(steps.iter().map(|(row, step)| (row.clone(), step.clone())));
        let unsynced = when == Durable::Now && writer.later > 0;
        if pending.is_empty() && rows.is_empty() && records.is_empty() && !unsynced {
            return Ok(writer.next_seq);
        }
        let done = self.reopen_if_broken(&mut writer).and_then(|database| {
            write(&database, &mut writer, now, (&pending, &rows), records, when).map_err(|e| match e {
                WriteError::Database(e) => failed(&self.path, e),
                WriteError::Encode(e) => StoreError::Encode(e),
            })
        });
        if done.is_err() {
            writer.pending = pending;
            writer.steps = rows;
            writer.broken = true;
        }
        done.map(|()| writer.next_seq)
    }

    /// Everything saved, as a new start would find it.
    pub fn saved(&self) -> Result<Vec<Saved>, StoreError> {
        let database = self.database()?;
        let read = || super::open::saved(&database.begin_read()?);
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
            let kept: Kept<Happened> =
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
            match serde_json::from_slice::<Kept<Happened>>(value) {
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

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| failed(&self.path, redb::Error::DatabaseClosed))
    }

    fn reopen_if_broken(&self, writer: &mut Writer) -> Result<Arc<Database>, StoreError> {
        if writer.broken {
            let mut open = self.database.write().unwrap_or_else(PoisonError::into_inner);
            // The old handle holds the lock on the file: it goes first.
            *open = None;
            let database = (self.opener)().map_err(|e| failed(&self.path, e.into()))?;
            writer.next_seq = next_seq(&database).map_err(|e| failed(&self.path, e))?;
            writer.broken = false;
            *open = Some(Arc::new(database));
        }
        self.database()
    }

    /// A panic in a commit leaves the writer as it was before or after it, both of which are whole.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One transaction, all or nothing.
fn write(
    database: &Database,
    writer: &mut Writer,
    now: Time,
    (saves, steps): (&BTreeMap<String, Option<Vec<u8>>>, &Steps),
    records: &[Happened],
    when: Durable,
) -> Result<(), WriteError> {
    let overdue = writer.later >= LATER_COMMITS || now.since(writer.synced) >= LATER_FOR;
    let sync = when == Durable::Now || overdue;
    let mut next_seq = writer.next_seq;
    let mut txn = database.begin_write()?;
    txn.set_durability(if sync { Durability::Immediate } else { Durability::None })?;
    txn.open_table(META)?.insert(LAST, now.0.to_string().as_str())?;
    if !saves.is_empty() {
        let mut table = txn.open_table(SAVED)?;
        for (key, value) in saves {
            match value {
                Some(value) => table.insert(key.as_str(), value.as_slice())?,
                None => table.remove(key.as_str())?,
            };
        }
    }
    if !steps.is_empty() {
        let mut table = txn.open_table(JOURNAL)?;
        for ((zone, seq), step) in steps {
            match step {
                Some(step) => table.insert((zone.as_str(), *seq), &**step)?,
                None => table.remove((zone.as_str(), *seq))?,
            };
        }
    }
    {
        let (mut entries, mut samples) = (txn.open_table(ENTRIES)?, txn.open_table(SAMPLES)?);
        for what in records {
            let table = if matches!(what, Happened::Sample(_)) { &mut samples } else { &mut entries };
            table.insert(next_seq, encode_entry(now, what)?.as_slice())?;
            next_seq += 1;
        }
        // As many go as came: the cost of the bound is spread over the commits that need it.
        for (table, max) in [(&mut entries, MAX_ENTRIES), (&mut samples, MAX_SAMPLES)] {
            for _ in max..table.len()? {
                table.pop_first()?;
            }
        }
    }
    txn.commit()?;
    writer.next_seq = next_seq;
    (writer.later, writer.synced) = if sync { (0, now) } else { (writer.later + 1, writer.synced) };
    Ok(())
}

/// A row's seq; a row that cannot be read comes before every other, so that it is met at once.
fn seq_of(row: &Result<(AccessGuard<'_, u64>, AccessGuard<'_, &[u8]>), StorageError>) -> u64 {
    row.as_ref().map_or(u64::MAX, |(seq, _)| seq.value())
}

/// Why a transaction failed.
enum WriteError {
    Database(redb::Error),
    Encode(serde_json::Error),
}

impl<E: Into<redb::Error>> From<E> for WriteError {
    fn from(e: E) -> WriteError {
        WriteError::Database(e.into())
    }
}

fn failed(path: &Path, source: redb::Error) -> StoreError {
    StoreError::Database { path: path.to_owned(), source: Box::new(source) }
}

/// The seq after every one that is kept.
fn next_seq(database: &Database) -> Result<u64, redb::Error> {
    let read = database.begin_read()?;
    let mut next = 0;
    for table in [ENTRIES, SAMPLES] {
        if let Some((seq, _)) = read.open_table(table)?.last()? {
            next = next.max(seq.value() + 1);
        }
    }
    Ok(next)
}

/// A value's key, and its JSON unless the key is to be forgotten.
fn encode(saved: &Saved) -> Result<(String, Option<Vec<u8>>), StoreError> {
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
    };
    let value = keep.then(|| serde_json::to_vec(saved).map_err(StoreError::Encode)).transpose()?;
    Ok((key, value))
}

fn encode_entry(at: Time, what: &Happened) -> Result<Vec<u8>, WriteError> {
    let shortened;
    let what = match what {
        Happened::LoadRefused { problems } if problems.len() > MAX_TEXT => {
            let end = (0..=MAX_TEXT).rev().find(|&end| problems.is_char_boundary(end)).unwrap_or(0);
            shortened = Happened::LoadRefused { problems: format!("{}…", &problems[..end]) };
            &shortened
        }
        what => what,
    };
    serde_json::to_vec(&Kept { at, what }).map_err(WriteError::Encode)
}
