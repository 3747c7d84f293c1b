//! The open state file: commits in.
//!
//! ```text
//!            a commit fails: `database` is a copy in memory, and all since the last durable commit is in it
//!   on disk ────────────────────────────────────────────────────────────────────────────────► in memory
//!      ▲                                                                                          │
//!      └──────── a commit, tried again after RETRY_AFTER: the file is opened anew, and has all ───┘
//! ```
//!
//! A start whose disk takes no writes begins in memory. Readers find everything in either state.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::{Database, ReadableDatabase, ReadableTable};

use super::contents::copy;
use super::tables::{ENTRIES, JOURNAL, SAMPLES, SAVED};
use super::unsynced::{Batch, Values, write};
use super::{LATER_COMMITS, LATER_FOR, RETRY_AFTER, Steps, StoreError};
use crate::engine::{Happened, Saved};
use crate::time::Time;

/// When a commit reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durable {
    /// Before the call returns.
    Now,
    /// With a later commit.
    Later,
}

/// How the file is opened again after a failure.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send + Sync>;

/// The open state file. Shared by the writer, which commits, and control, which reads.
pub struct Store {
    pub(super) path: PathBuf,
    opener: Opener,
    /// `None` while neither the file nor a copy of it can be read.
    database: RwLock<Option<Arc<Database>>>,
    writer: Mutex<Writer>,
}

/// What only the one writer at a time needs.
#[derive(Default)]
struct Writer {
    next_seq: u64,
    later: u32,
    synced: Time,
    /// Everything since the last durable commit: a failure rolls the file back to that.
    unsynced: Batch,
    /// There while `database` is a copy in memory.
    failed: Option<Failed>,
}

/// A file that failed.
#[derive(Default)]
struct Failed {
    /// Its handle, which is of no more use but to keep other daemons from the file.
    handle: Option<Arc<Database>>,
    /// When it was last tried.
    tried: Option<Time>,
}

/// What takes a promise back.
#[derive(Default)]
pub struct Undo(Batch);

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

    /// The same over a copy in memory, of a file that cannot be written or made just now and held these values.
    pub(super) fn in_memory(
        path: PathBuf,
        opener: Opener,
        copy: Database,
        saved: &[Saved],
    ) -> Result<Store, StoreError> {
        let store = Store::new(path, opener, copy)?;
        let mut writer = store.writer();
        writer.failed = Some(Failed::default());
        // The file may have to be made for them.
        writer.unsynced = Batch::of(Time::default(), saved, &Steps::new(), &[], &mut 0)?;
        drop(writer);
        Ok(store)
    }

    /// The database alone, of a store that nobody else has.
    pub(super) fn into_database(self) -> Result<Database, StoreError> {
        let open = self.database.into_inner().unwrap_or_else(PoisonError::into_inner);
        let database = open.and_then(Arc::into_inner);
        database.ok_or_else(|| failed(&self.path, redb::Error::DatabaseClosed))
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

    /// Keeps all of `saves`, `steps` and `records`. After an error they are read as if they were on the disk, and wait
    /// for it with all that came since the last durable commit: the next commit tries again, [`RETRY_AFTER`] later.
    ///
    /// The seq that the next record will have: the last of `records` has the one before it.
    ///
    /// With nothing to keep, [`Durable::Now`] still brings to the disk what is not there yet.
    pub fn commit_with(
        &self,
        now: Time,
        saves: &[Saved],
        steps: &Steps,
        records: &[Happened],
        when: Durable,
    ) -> Result<u64, StoreError> {
        let mut writer = self.writer();
        let batch = Batch::of(now, saves, steps, records, &mut writer.next_seq)?;
        let all_there = writer.unsynced.is_empty() && writer.failed.is_none();
        if batch.is_empty() && (when == Durable::Later || all_there) {
            return Ok(writer.next_seq);
        }
        self.commit_batch(&mut writer, now, batch, when == Durable::Now)?;
        Ok(writer.next_seq)
    }

    /// Keeps all of `saves`, `steps` and `records` on the disk when it returns; or nothing of them, now and after a
    /// restart. With nothing to keep it tells whether the disk takes anything.
    ///
    /// The seq that the next record will have, as [`Store::commit_with`] gives it. No record has the seq of one that was
    /// taken back: somebody may have read that.
    pub fn promise(
        &self,
        now: Time,
        saves: &[Saved],
        steps: &Steps,
        records: &[Happened],
    ) -> Result<(u64, Undo), StoreError> {
        let mut writer = self.writer();
        let writer = &mut *writer;
        let batch = Batch::of(now, saves, steps, records, &mut writer.next_seq)?;
        self.wait_after_failure(writer, now)?;
        let undo = self.undo(writer, &batch)?;
        let Err(why) = self.attempt(writer, now, &batch, true) else {
            return Ok((writer.next_seq, Undo(undo)));
        };
        self.fall_back(writer, now, &Batch::default());
        // A disk that reports an error may have kept it all the same.
        if self.attempt(writer, now, &undo, true).is_err() {
            self.fall_back(writer, now, &undo);
            writer.unsynced.absorb(undo);
        }
        Err(why)
    }

    /// Takes back a promise that nobody waited for.
    pub fn take_back(&self, now: Time, undo: Undo) -> Result<(), StoreError> {
        self.commit_batch(&mut self.writer(), now, undo.0, true)
    }

    /// What would take a batch back, by what is kept just now.
    fn undo(&self, writer: &Writer, batch: &Batch) -> Result<Batch, StoreError> {
        let database = self.database()?;
        let read = || -> Result<Batch, redb::Error> {
            let read = database.begin_read()?;
            let (mut saves, mut steps) = (Values::new(), Steps::new());
            let table = read.open_table(SAVED)?;
            for key in batch.saves.keys() {
                let value = match writer.unsynced.saves.get(key) {
                    Some(value) => value.clone(),
                    None => table.get(key.as_str())?.map(|value| value.value().to_vec()),
                };
                saves.insert(key.clone(), value);
            }
            let table = match read.open_table(JOURNAL) {
                Ok(table) => Some(table),
                // Nothing was written to it yet.
                Err(redb::TableError::TableDoesNotExist(_)) => None,
                Err(e) => return Err(e.into()),
            };
            for key in batch.steps.keys() {
                let kept = || -> Result<_, redb::Error> {
                    let Some(table) = &table else { return Ok(None) };
                    Ok(table.get((key.0.as_str(), key.1))?.map(|step| step.value().into()))
                };
                let step = writer.unsynced.steps.get(key).cloned();
                steps.insert(key.clone(), step.map_or_else(kept, Ok)?);
            }
            Ok(batch.undo(saves, steps))
        };
        read().map_err(|e| failed(&self.path, e))
    }

    fn commit_batch(
        &self,
        writer: &mut Writer,
        now: Time,
        batch: Batch,
        durable: bool,
    ) -> Result<(), StoreError> {
        let overdue = writer.later >= LATER_COMMITS || now.since(writer.synced) >= LATER_FOR;
        let sync = durable || overdue;
        let done = self.wait_after_failure(writer, now);
        match done.and_then(|()| self.attempt(writer, now, &batch, sync)) {
            // Else it reaches the disk with a later one.
            Ok(()) if sync => Ok(()),
            Ok(()) => {
                writer.later += 1;
                writer.unsynced.absorb(batch);
                Ok(())
            }
            Err(why) => {
                self.fall_back(writer, now, &batch);
                writer.unsynced.absorb(batch);
                Err(why)
            }
        }
    }

    /// A file that failed is left alone for a while: to open it anew costs as much as it holds.
    fn wait_after_failure(&self, writer: &Writer, now: Time) -> Result<(), StoreError> {
        let tried = writer.failed.as_ref().and_then(|failed| failed.tried);
        let waits = tried.is_some_and(|tried| now.since(tried) < RETRY_AFTER);
        if waits { Err(StoreError::Waiting(self.path.clone())) } else { Ok(()) }
    }

    /// Writes a batch into the file; into one that failed, which is opened anew, with all that it lost.
    fn attempt(&self, writer: &mut Writer, now: Time, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        let failed = |e| failed(&self.path, e);
        let Some(broken) = &mut writer.failed else {
            write(&*self.database()?, now, &[batch], sync).map_err(failed)?;
            if sync {
                writer.all_is_synced(now);
            }
            return Ok(());
        };
        broken.tried = Some(now);
        // The old handle holds the lock on the file: it goes first.
        broken.handle = None;
        let database = Arc::new((self.opener)()?);
        broken.handle = Some(database.clone());
        let kept = next_seq(&database).map_err(failed)?;
        write(&database, now, &[&writer.unsynced, batch], true).map_err(failed)?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        writer.failed = None;
        writer.next_seq = writer.next_seq.max(kept);
        writer.all_is_synced(now);
        Ok(())
    }

    /// After a failure: a copy of the file stands in for it, with all that it lost, and with this batch.
    fn fall_back(&self, writer: &mut Writer, now: Time, batch: &Batch) {
        let copy = match &writer.failed {
            Some(_) => self.database().ok(),
            None => {
                let mut open = self.database.write().unwrap_or_else(PoisonError::into_inner);
                writer.failed = Some(Failed { handle: open.take(), tried: None });
                *open = copy(&self.path).map(Arc::new);
                let copy = open.clone();
                drop(open);
                self.add(copy.as_ref(), now, &writer.unsynced);
                copy
            }
        };
        self.add(copy.as_ref(), now, batch);
    }

    /// Adds to a copy in memory. That cannot fail but for a file that is damaged; then nothing can be read.
    fn add(&self, copy: Option<&Arc<Database>>, now: Time, batch: &Batch) {
        if copy.is_some_and(|copy| write(copy, now, &[batch], true).is_err()) {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    pub(super) fn database(&self) -> Result<Arc<Database>, StoreError> {
        let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| failed(&self.path, redb::Error::DatabaseClosed))
    }

    /// A panic in a commit leaves the writer as it was before or after it, both of which are whole.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    fn all_is_synced(&mut self, now: Time) {
        (self.later, self.synced) = (0, now);
        self.unsynced = Batch::default();
    }
}

pub(super) fn failed(path: &Path, source: redb::Error) -> StoreError {
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
