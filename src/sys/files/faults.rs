//! A disk for tests: it fails where it is told to, and can lose what was not synced, as a power cut does.
//!
//! It stands over a folder, which the code under test uses as ever. Each act that changes something is counted
//! and noted with how it is undone, until a sync makes it last: contents by the sync of their file, names by that
//! of their folder.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Act;

/// How an act fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ENOSPC.
    Full,
    /// EIO.
    Broken,
    /// Half of what is to be written is, and then the disk is full.
    Short,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Kind; 3] = [Kind::Full, Kind::Broken, Kind::Short];

    fn error(self) -> io::Error {
        // ENOSPC and EIO.
        io::Error::from_raw_os_error(if self == Kind::Broken { 5 } else { 28 })
    }
}

/// Disks that stand over a folder just now.
static DISKS: Mutex<Vec<Arc<Disk>>> = Mutex::new(Vec::new());

/// A disk over a folder.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    state: Mutex<State>,
}

/// The test's end of a disk; dropped, the folder is an ordinary one.
pub struct Over(Arc<Disk>);

#[derive(Debug, Default)]
struct State {
    acts: u64,
    /// Which act is to fail, and how.
    fail: Option<(u64, Kind)>,
    /// Every act that takes room fails.
    full: bool,
    /// What a sync takes longer than it would.
    slow: Duration,
    /// From this act on every one fails: the process is dead, as far as the disk can tell.
    dead: Option<u64>,
    injected: u64,
    undo: Vec<Undo>,
    /// Where what lost its name is kept, and how many were.
    shadows: Option<tempfile::TempDir>,
    shadow: u64,
}

/// How an act that was not synced is undone.
#[derive(Debug)]
enum Undo {
    /// These bytes stood there, and the file had this length.
    Content { inode: u64, file: File, offset: u64, old: Vec<u8>, length: u64 },
    /// Nothing had this name.
    Made(PathBuf),
    /// The file had the other name, and this one was that of what is kept there.
    Renamed { from: PathBuf, to: PathBuf, replaced: Option<PathBuf> },
    /// This was the name of what is kept there.
    Removed { path: PathBuf, kept: PathBuf },
}

/// The disk that a path lies on.
pub(super) fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.iter().find(|disk| path.starts_with(&disk.root)).cloned()
}

impl Disk {
    /// Puts a disk over a folder; what is there is on it.
    pub fn over(root: &Path) -> Over {
        let disk = Arc::new(Disk { root: root.to_owned(), state: Mutex::default() });
        DISKS.lock().unwrap_or_else(PoisonError::into_inner).push(disk.clone());
        Over(disk)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an act, and says how it is to fail, if it is.
    fn due(state: &mut State, takes_room: bool) -> Option<Kind> {
        let number = state.acts;
        state.acts += 1;
        let due = match state.fail {
            Some((at, kind)) if at == number => Some(kind),
            _ if state.dead.is_some_and(|at| number >= at) => Some(Kind::Broken),
            _ if state.full && takes_room => Some(Kind::Full),
            _ => None,
        };
        state.injected += u64::from(due.is_some());
        due
    }

    pub(super) fn act<T>(
        &self,
        what: Act<'_>,
        path: &Path,
        change: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        if matches!(what, Act::Sync(_)) {
            let slow = self.state().slow;
            thread::sleep(slow);
        }
        let mut state = self.state();
        let takes_room = matches!(what, Act::Create | Act::Folder | Act::Length(_) | Act::Link(_));
        if let Some(kind) = Disk::due(&mut state, takes_room) {
            return Err(kind.error());
        }
        let beside = self.root.parent().unwrap_or(Path::new("/"));
        let undo = match what {
            Act::Create | Act::Folder => Some(Undo::Made(path.to_owned())),
            Act::Length(file) => Some(content(file, file.metadata()?.len(), 0)?),
            Act::Link(to) => Some(Undo::Made(to.to_owned())),
            Act::Rename(to) => {
                let replaced = to.exists().then(|| state.shadow_of(to, beside)).transpose()?;
                Some(Undo::Renamed { from: path.to_owned(), to: to.to_owned(), replaced })
            }
            Act::Remove if path.exists() => {
                Some(Undo::Removed { path: path.to_owned(), kept: state.shadow_of(path, beside)? })
            }
            Act::Open | Act::Remove => None,
            Act::Sync(file) => {
                let synced = file.metadata()?.ino();
                state.undo.retain(|undo| !matches!(undo, Undo::Content { inode, .. } if *inode == synced));
                return change();
            }
            Act::SyncFolder => {
                state.undo.retain(|undo| undo.folder() != Some(path));
                return change();
            }
        };
        let done = change()?;
        state.undo.extend(undo);
        Ok(done)
    }

    pub(super) fn write(
        &self,
        file: &File,
        offset: Option<u64>,
        bytes: &[u8],
        change: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut state = self.state();
        let due = Disk::due(&mut state, true);
        let bytes = match due {
            Some(Kind::Short) => &bytes[..bytes.len() / 2],
            Some(kind) => return Err(kind.error()),
            None => bytes,
        };
        let length = file.metadata()?.len();
        state.undo.push(content(file, offset.unwrap_or(length), bytes.len())?);
        change(bytes)?;
        due.map_or(Ok(()), |kind| Err(kind.error()))
    }
}

/// How to undo what is about to be done to `len` bytes, and to the length.
fn content(file: &File, offset: u64, len: usize) -> io::Result<Undo> {
    let meta = file.metadata()?;
    let length = meta.len();
    // What was cut off is not brought back: nothing here makes a file shorter but redb, at its end.
    let there = length.saturating_sub(offset).min(len as u64);
    let mut old = vec![0; there as usize];
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
    // Not a second handle of the same opening: that would keep its locks.
    let file = File::options().read(true).write(true).open(path)?;
    file.read_exact_at(&mut old, offset)?;
    Ok(Undo::Content { inode: meta.ino(), file, offset, old, length })
}

impl State {
    /// Another name for a file that is about to lose this one.
    fn shadow_of(&mut self, path: &Path, beside: &Path) -> io::Result<PathBuf> {
        if self.shadows.is_none() {
            // On the same file system, and not below the disk.
            self.shadows = Some(tempfile::tempdir_in(beside)?);
        }
        self.shadow += 1;
        let folder = self.shadows.as_ref().map_or(Path::new("/"), tempfile::TempDir::path);
        let shadow = folder.join(self.shadow.to_string());
        fs::hard_link(path, &shadow)?;
        Ok(shadow)
    }
}

impl Undo {
    /// The folder whose sync makes the act last.
    fn folder(&self) -> Option<&Path> {
        match self {
            Undo::Content { .. } => None,
            Undo::Made(path) | Undo::Renamed { to: path, .. } | Undo::Removed { path, .. } => path.parent(),
        }
    }

    fn carry_out(self) {
        // What a later act of the test itself took away needs no undoing.
        let done = match self {
            Undo::Content { file, offset, old, length, .. } => {
                file.write_all_at(&old, offset).and_then(|()| file.set_len(length))
            }
            Undo::Made(path) if path.is_dir() => fs::remove_dir_all(path),
            Undo::Made(path) => fs::remove_file(path),
            Undo::Renamed { from, to, replaced } => fs::rename(&to, from).and_then(|()| match replaced {
                Some(replaced) => fs::hard_link(replaced, to),
                None => Ok(()),
            }),
            Undo::Removed { path, kept } => fs::hard_link(kept, path),
        };
        drop(done);
    }
}

impl Over {
    /// Has act number `at`, counted from here, fail once; `None` has nothing fail any more.
    pub fn fail(&self, at: Option<(u64, Kind)>) {
        let mut state = self.0.state();
        state.acts = 0;
        state.fail = at;
    }

    /// Whether there is room for anything.
    pub fn fill(&self, full: bool) {
        self.0.state().full = full;
    }

    /// Has each sync of a file take so much longer.
    pub fn slow_down(&self, by: Duration) {
        self.0.state().slow = by;
    }

    /// Acts since the last [`Over::fail`].
    pub fn acts(&self) -> u64 {
        self.0.state().acts
    }

    /// Acts that failed because of this disk.
    pub fn injected(&self) -> u64 {
        self.0.state().injected
    }

    /// The process is killed: whatever it does from now on reaches nothing. What it wrote stays.
    pub fn kill(&self) {
        self.0.state().dead = Some(0);
    }

    /// The process is killed just before act number `at`, counted from here.
    pub fn kill_at(&self, at: u64) {
        let mut state = self.0.state();
        (state.acts, state.dead) = (0, Some(at));
    }

    /// Another process begins.
    pub fn revive(&self) {
        let mut state = self.0.state();
        (state.dead, state.fail) = (None, None);
    }

    /// What was not synced is lost. Nobody may use the folder meanwhile.
    pub fn lose_power(&self) {
        let undo = std::mem::take(&mut self.0.state().undo);
        undo.into_iter().rev().for_each(Undo::carry_out);
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
        disks.retain(|disk| !Arc::ptr_eq(disk, &self.0));
    }
}
