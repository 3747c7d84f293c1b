//! What tells one state of a file from another.

use std::fs::Metadata;
use std::hash::{BuildHasher, Hash, RandomState};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// How old a file's times must be for them to tell it from what it is later, in seconds: file systems count in steps
/// of up to two.
const SETTLED: i64 = 3;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What a file was just before it was read, and a number for what was read.
pub(super) type FileRead = (Stamp, u64);

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether whatever is done to the file from `now` on shows, in seconds since 1970.
    pub(super) fn is_settled(&self, now: u64) -> bool {
        let youngest = self.modified.0.max(self.changed.0);
        youngest.saturating_add(SETTLED) <= i64::try_from(now).unwrap_or(i64::MAX)
    }
}

/// A hash of a file's content or stamp, keyed at random so that a file cannot be made to collide; stable while this process runs.
pub(super) fn digest(of: impl Hash) -> u64 {
    static KEYS: OnceLock<RandomState> = OnceLock::new();
    KEYS.get_or_init(RandomState::new).hash_one(of)
}
