//! The watcher: asks for a reload when a configuration or zone file changed.
//!
//! It polls, because that also sees files replaced by rename, symlinks that are switched, and network
//! file systems, where change notices are lost. A change counts once all files have stood still for two
//! seconds, so that none is read while it is being written. Where nothing is to be watched, the list is empty.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::info;

use crate::zones::{Ask, Force};

/// Between two looks at the files.
const POLL: Duration = Duration::from_secs(1);

/// How many polls in a row must find the files as they were: they have stood still for two seconds.
const SETTLED: u32 = 2;

/// What tells one state of a file from another; `None` when it cannot be read.
type Stamp = Option<(u64, u64, u64, [i64; 4])>;

/// The state of every file.
type Stamps = BTreeMap<PathBuf, Stamp>;

/// What the polls have found.
struct Polls {
    /// As the files were when they were loaded.
    loaded: Stamps,
    last: Stamps,
    /// How many polls in a row found them as the one before did.
    still: u32,
}

impl Polls {
    fn new(now: Stamps) -> Polls {
        Polls { loaded: now.clone(), last: now, still: 0 }
    }

    /// Takes one in: whether the files are to be loaded now.
    fn take(&mut self, now: Stamps) -> bool {
        // A file that a load has just added is taken as it stands now; one that was watched before is
        // held against what it was, so that a change during the load is not missed.
        let held =
            |(path, stamp): (&PathBuf, &Stamp)| (path.clone(), *self.loaded.get(path).unwrap_or(stamp));
        self.loaded = now.iter().map(held).collect();
        self.still = if now == self.last { self.still + 1 } else { 0 };
        let changed = now != self.loaded && self.still >= SETTLED;
        if changed {
            self.loaded.clone_from(&now);
        }
        self.last = now;
        changed
    }
}

/// Polls the current list of files until nobody takes reloads any more.
pub async fn run(files: watch::Receiver<Vec<PathBuf>>, reload: mpsc::Sender<Ask>) {
    let mut polls = Polls::new(stamps(&files.borrow()));
    loop {
        sleep(POLL).await;
        let listed = files.borrow().clone();
        if polls.take(stamps(&listed)) {
            info!("a configuration or zone file changed: reloading");
            if reload.send(Ask::Reload(None, Force::No)).await.is_err() {
                return;
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Stamps {
    let stamp = |path: &PathBuf| {
        let meta = fs::metadata(path).ok()?;
        // A copy that keeps the time of what it is a copy of has a time of change of its own.
        let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
        Some((meta.dev(), meta.ino(), meta.len(), times))
    };
    files.iter().map(|path| (path.clone(), stamp(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_as_changed_once_all_have_stood_still_for_two_polls() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["zone", "config"].map(|name| folder.path().join(name));
        let write = |path: &PathBuf, text: &str| fs::write(path, text).unwrap();
        for path in &paths {
            write(path, "whole");
        }
        let mut polls = Polls::new(stamps(&paths));
        // Written in pieces, and the other one meanwhile: nothing is loaded until all is quiet.
        for piece in 2..=5 {
            write(&paths[piece % 2], &"piece ".repeat(piece));
            assert!(!polls.take(stamps(&paths)), "piece {piece} was loaded");
        }
        assert!(!polls.take(stamps(&paths)), "they have stood still for one poll alone");
        assert!(polls.take(stamps(&paths)));
        for _ in 0..5 {
            assert!(!polls.take(stamps(&paths)), "they are loaded once");
        }
        // A list that is empty, as where nothing is to be watched, never changes.
        assert!(!polls.take(stamps(&[])));
        write(&paths[0], "another one");
        assert!((0..5).all(|_| !polls.take(stamps(&[]))));
    }
}
