//! The open state file: commits in.
//!
//! A commit that is small, as most are, goes to the log beside the file (`wal.rs`), and is acknowledged when it is on
//! the disk there. The database gets it with many others: when the log is full, before a read, and at the end.
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
use tracing::warn;

use super::contents::copy;
use super::tables::{ENTRIES, JOURNAL, SAMPLES, SAVED};
use super::unsynced::{Batch, Values, write};
use super::wal::{self, Wal};
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
    /// What the database does not have yet, for whoever reads.
    unread: Mutex<Unread>,
}

#[derive(Default)]
struct Unread {
    now: Time,
    batch: Batch,
    /// The database did not take it.
    is_stuck: bool,
}

/// Whether commits go to a log first.
#[derive(Default)]
enum Log {
    /// They do not: it is a copy, or a log could not be made.
    #[default]
    Never,
    /// They do, from the next one on.
    Closed,
    Open(Wal),
}

/// What only the one writer at a time needs.
#[derive(Default)]
struct Writer {
    next_seq: u64,
    later: u32,
    synced: Time,
    /// Everything since the last durable commit of the database: a failure rolls the file back to that.
    unsynced: Batch,
    log: Log,
    /// The number of the last frame that was tried.
    frame: u64,
    /// What is in no frame and is to be in the next one.
    unlogged: Batch,
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
    /// A store over a database that was just opened and checked, and has all that is in its log.
    pub(super) fn new(path: PathBuf, opener: Opener, database: Database) -> Result<Store, StoreError> {
        let store = Store::of_a_copy(path, opener, database)?;
        store.writer().log = Log::Closed;
        Ok(store)
    }

    /// The same over a copy, which has no log.
    pub(super) fn of_a_copy(path: PathBuf, opener: Opener, database: Database) -> Result<Store, StoreError> {
        let next_seq = next_seq(&database).map_err(|e| failed(&path, e))?;
        let frame = wal::logged(&database).map_err(|e| failed(&path, e))?;
        Ok(Store {
            path,
            opener,
            database: RwLock::new(Some(Arc::new(database))),
            writer: Mutex::new(Writer { next_seq, frame, ..Writer::default() }),
            unread: Mutex::default(),
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
    pub(super) fn into_database(mut self) -> Result<Database, StoreError> {
        drop(self.database()?);
        let open = self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
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
        let all_there = writer.unlogged.is_empty() && writer.failed.is_none();
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
    /// taken back: a reader may have seen it.
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
        // A disk that reports an error may have kept it all the same: in its log, which is read when it is opened.
        if self.attempt(writer, now, &undo, true).is_err() {
            self.fall_back(writer, now, &undo);
            writer.unsynced.absorb(undo);
        }
        Err(why)
    }

    /// Takes back a promise whose caller gave up waiting.
    pub fn take_back(&self, now: Time, undo: Undo) -> Result<(), StoreError> {
        self.commit_batch(&mut self.writer(), now, undo.0, true)
    }

    /// What would take a batch back, by what is kept just now.
    fn undo(&self, writer: &Writer, batch: &Batch) -> Result<Batch, StoreError> {
        let database = self.opened()?;
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
            Ok(()) => Ok(()),
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

    /// Has a batch on the disk, with all that waits for it, where it is to `sync` or too large to be held; else it waits.
    fn attempt(&self, writer: &mut Writer, now: Time, batch: &Batch, sync: bool) -> Result<(), StoreError> {
        if writer.failed.is_some() {
            return self.attempt_anew(writer, now, batch);
        }
        let is_large = writer.unsynced.is_large() || batch.is_large();
        if !sync && !is_large {
            // It reaches the disk with a later one.
            writer.later += 1;
            writer.unlogged.absorb(batch.clone());
            self.note(writer, now, batch);
            return Ok(());
        }
        if !is_large && self.append(writer, now, batch)? {
            (writer.later, writer.synced, writer.unlogged) = (0, now, Batch::default());
            self.note(writer, now, batch);
            return Ok(());
        }
        self.show_unread()?;
        write(&*self.opened()?, now, &[batch], true, Some(writer.frame))
            .map_err(|e| failed(&self.path, e))?;
        writer.all_is_synced(now);
        Ok(())
    }

    /// Has the log keep a batch, with what waits for that. Whether it does: else it is for the database.
    fn append(&self, writer: &mut Writer, now: Time, batch: &Batch) -> Result<bool, StoreError> {
        if matches!(writer.log, Log::Closed) {
            writer.log = Wal::open(&self.path).map_or_else(
                |e| {
                    warn!("{} has no log, and commits cost more: {e}", self.path.display());
                    Log::Never
                },
                Log::Open,
            );
        }
        let Log::Open(log) = &mut writer.log else { return Ok(false) };
        let payload = wal::encode(now, &[&writer.unlogged, batch]);
        if self.unread().is_stuck || !log.has_room(&payload) {
            return Ok(false);
        }
        writer.frame += 1;
        log.append(writer.frame, &payload).map_err(|e| failed(&self.path, e.into()))?;
        Ok(true)
    }

    /// Opens a file that failed anew, and writes into it all that it lost, and a batch.
    fn attempt_anew(&self, writer: &mut Writer, now: Time, batch: &Batch) -> Result<(), StoreError> {
        let failed = |e| failed(&self.path, e);
        let Some(broken) = &mut writer.failed else { return Ok(()) };
        broken.tried = Some(now);
        // The old handle holds the lock on the file: it goes first.
        broken.handle = None;
        let database = Arc::new((self.opener)()?);
        broken.handle = Some(database.clone());
        let kept = next_seq(&database).map_err(failed)?;
        let frame = wal::logged(&database).map_err(failed)?.max(writer.frame);
        write(&database, now, &[&writer.unsynced, batch], true, Some(frame)).map_err(failed)?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        writer.failed = None;
        (writer.frame, writer.log) = (frame, Log::Closed);
        writer.next_seq = writer.next_seq.max(kept);
        writer.all_is_synced(now);
        Ok(())
    }

    /// The database does not have a batch yet.
    fn note(&self, writer: &mut Writer, now: Time, batch: &Batch) {
        writer.unsynced.absorb(batch.clone());
        let mut unread = self.unread();
        unread.now = now;
        unread.batch.absorb(batch.clone());
    }

    /// Brings into the database what it does not have yet, to be read there; a later commit has it last.
    fn show_unread(&self) -> Result<(), StoreError> {
        let mut unread = self.unread();
        if !unread.batch.is_empty() {
            let written = write(&*self.opened()?, unread.now, &[&unread.batch], false, None);
            // Then the next commit is one of the database, and finds the same.
            unread.is_stuck = written.is_err();
            written.map_err(|e| failed(&self.path, e))?;
            unread.batch = Batch::default();
        }
        Ok(())
    }

    fn unread(&self) -> MutexGuard<'_, Unread> {
        // A panic in a commit leaves it as it was.
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a failure: a copy of the file stands in for it, with all that it lost, and with this batch.
    fn fall_back(&self, writer: &mut Writer, now: Time, batch: &Batch) {
        let copy = match &writer.failed {
            Some(_) => self.database().ok(),
            None => {
                // The copy gets it with all that is not synced.
                *self.unread() = Unread::default();
                (writer.log, writer.unlogged) = (Log::Closed, Batch::default());
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
        if copy.is_some_and(|copy| write(copy, now, &[batch], true, None).is_err()) {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// What all of it is read from.
    pub(super) fn database(&self) -> Result<Arc<Database>, StoreError> {
        self.show_unread()?;
        self.opened()
    }

    fn opened(&self) -> Result<Arc<Database>, StoreError> {
        let open = self.database.read().unwrap_or_else(PoisonError::into_inner);
        open.clone().ok_or_else(|| failed(&self.path, redb::Error::DatabaseClosed))
    }

    /// A panic in a commit leaves the writer as it was before or after it, both of which are whole.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    /// The file alone says all then, also to earlier versions. Where it fails the log has it.
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        let (now, frame) = (writer.synced, writer.frame);
        if matches!(writer.log, Log::Open(_)) && !writer.unsynced.is_empty() && self.show_unread().is_ok() {
            let written = self.opened().map(|database| write(&database, now, &[], true, Some(frame)));
            drop(written);
        }
    }
}

impl Writer {
    fn all_is_synced(&mut self, now: Time) {
        (self.later, self.synced) = (0, now);
        (self.unsynced, self.unlogged) = (Batch::default(), Batch::default());
        if let Log::Open(log) = &mut self.log {
            log.restart();
        }
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
