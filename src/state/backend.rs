//! What the database stands on: a file whose every change is an act of `sys::files`, so that a test can have it fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{BackendError, DatabaseError, StorageBackend};

use crate::sys::files::{self, Act};

type Locked<T> = Result<T, BackendError>;

/// The file of a state.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    file: File,
    inner: FileBackend,
}

impl StateFile {
    /// One that is there.
    pub fn open(path: &Path) -> Result<StateFile, DatabaseError> {
        let file = files::act(Act::Open, path, || OpenOptions::new().read(true).write(true).open(path))?;
        StateFile::of(path, file)
    }

    /// A new one, the owner's alone.
    pub fn create(path: &Path) -> Result<StateFile, DatabaseError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = files::act(Act::Create, path, || options.open(path))?;
        StateFile::of(path, file)
    }

    fn of(path: &Path, file: File) -> Result<StateFile, DatabaseError> {
        let inner = FileBackend::new(file.try_clone()?)?;
        Ok(StateFile { path: path.to_owned(), file, inner })
    }
}

impl StorageBackend for StateFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        files::act(Act::Length(&self.file), &self.path, || self.inner.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        files::act(Act::Sync(&self.file), &self.path, || self.inner.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        files::write(&self.file, &self.path, Some(offset), data, |data| self.inner.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.unlock_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.inner.lock_shared_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.inner.query_lock_range(start, end)
    }
}

/// These bytes as a file that is in memory alone.
pub(super) fn in_memory(bytes: &[u8]) -> io::Result<InMemoryBackend> {
    let memory = InMemoryBackend::new();
    memory.set_len(bytes.len() as u64)?;
    memory.write(0, bytes)?;
    Ok(memory)
}
