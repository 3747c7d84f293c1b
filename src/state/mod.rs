//! State: what must survive the process, and the history of what happened.
//!
//! In: the `Saved` values and `Happened` records of an engine step, as one transaction. Out: at start, the
//! last value under every key and the latest time ever recorded; later, entries of the history, newest
//! first. This room must never know what a value means or decide anything: it hands back what it was
//! given, or says that it cannot.
//!
//! ```text
//!             no file          ┌────────────────────────────┐
//!  open ───────────────────────┤ made beside, then renamed  ├──────► open, `saved` is empty, or what was salvaged
//!    │                         └──────────▲─────────────────┘
//!    │ unreadable: corrupt, foreign       │ kept as detour.redb.unreadable-<n>; what has its sum is salvaged
//!    ├────────────────────────────────────┘
//!    │ locked, of a newer version, not to be read
//!    ├──────────────────────────────────► error; the file is not touched
//!    │ can be read and not written: full, read-only, failing
//!    ├──────────────────────────────────► open, in memory; the file takes over once it can be written
//!    │ ours and whole
//!    └──────────────────────────────────► open, `saved` holds what was last committed
//! ```
//!
//! The file is a redb database, with a log beside it that commits go to first (`wal.rs`). A commit with [`Durable::Now`] has reached the disk when it returns; one
//! with [`Durable::Later`] is there at once for readers, and reaches the disk with the next `Now`, or
//! after [`LATER_FOR`] or [`LATER_COMMITS`], whichever comes first. Whatever moment a `kill -9` or a
//! power cut picks, the next open finds the state of one whole commit, never older than the last `Now`.
//!
//! A commit that fails rolls the file back to the last durable one. So all that came since is held, and goes into the
//! file again with the first commit that succeeds; until then a copy in memory stands in for the file.

mod backend;
mod contents;
mod entry;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod kill;
mod open;
mod queries;
mod salvage;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod unsynced;
mod wal;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use entry::{Entry, Query};
pub use open::{Newer, Opened, SetAside};
pub use salvage::{Recorded, recorded_at_its_head};
pub use store::{Durable, Store, Undo};
pub use unsynced::Steps;
pub use writer::{COMMIT_TIMEOUT, Disk, StateDisk, Unkept, Whole, WriteObserver, Writer};

/// The state file's name in `state_dir`.
pub const FILE: &str = "detour.redb";
/// How many entries are kept, samples aside: at about 1 KiB each, a file of some 50 MiB.
pub const MAX_ENTRIES: u64 = 50_000;
/// How many samples are kept; apart from [`MAX_ENTRIES`], so that samples never push a decision out.
pub const MAX_SAMPLES: u64 = 50_000;
/// The most entries one query returns.
pub const MAX_QUERY: usize = 1_000;
/// The longest free text kept in one entry, in bytes: a refused configuration can name many problems.
pub const MAX_TEXT: usize = 64 * 1024;
/// How many `Later` commits in a row may wait for the disk.
pub const LATER_COMMITS: u32 = 1_000;
/// How long a `Later` commit may wait for the disk, when commits keep coming.
pub const LATER_FOR: Duration = Duration::from_secs(5);
/// How long a file that failed is left alone.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many entries are held for the disk while it fails, samples aside; of more the oldest are lost.
pub const UNSYNCED_ENTRIES: usize = 16_384;
/// How many samples are.
pub const UNSYNCED_SAMPLES: usize = 8_192;
/// How often a file is looked at that a daemon writes to, and the pause between two looks.
const LOOKS: u32 = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The database's page cache, in bytes; redb's own default is a gibibyte.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// How many unreadable files are kept beside the one in use.
const MAX_SET_ASIDE: u32 = 1_000;

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is in use.
    #[error("another detour is running on state_dir {0}: stop it, or give this one a state_dir of its own")]
    Locked(PathBuf),
    /// The host says no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried: `create`, `open`.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the host says.
        source: std::io::Error,
    },
    /// Too many unreadable files were kept.
    #[error("{0} holds {MAX_SET_ASIDE} unreadable state files: look at them, and move them away")]
    TooManySetAside(PathBuf),
    /// A newer version wrote it.
    #[error(
        "the state file {path} has format {found}, which a newer detour wrote, and this one reads format {read}: \
         start the newer detour, or run `detour serve --set-state-aside` to keep the file aside and begin with what \
         can be restored"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that is read.
        read: u32,
    },
    /// It failed a moment ago.
    #[error("the state file {0} could not be written a moment ago, and is tried again in a second")]
    Waiting(PathBuf),
    /// A transaction failed: nothing of it was kept.
    #[error("cannot write or read the state file {path}: {source}; is the disk full or failing?")]
    Database {
        /// The file.
        path: PathBuf,
        /// What redb says.
        source: Box<redb::Error>,
    },
    /// An entry that is there does not decode.
    #[error("entry {seq} of the history does not decode: {source}")]
    Entry {
        /// Which.
        seq: u64,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A saved value that is there does not decode.
    #[error("{0}")]
    Saved(String),
    /// A value that cannot be written as JSON.
    #[error("a value cannot be encoded: {0}")]
    Encode(serde_json::Error),
}
