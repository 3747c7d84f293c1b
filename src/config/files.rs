//! Files that the configuration names.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The longest path of a file, in bytes.
pub(super) const MAX_FILE_NAME: usize = 4_096;

/// A regular file's content, if it is at most `limit` bytes. (Anything else could block or never end.)
pub(super) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let metadata = path.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // As large as it should be, and not what doubling comes to.
    let mut bytes = Vec::with_capacity(metadata.len().min(limit) as usize + 1);
    // One byte more than allowed tells a file of just the limit from a longer one.
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}
