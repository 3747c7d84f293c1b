//! Files that the configuration names, and those beside them.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::stamp::Stamp;

/// The longest path of a file, in bytes.
pub(super) const MAX_FILE_NAME: usize = 4_096;

/// A regular file's content, if it is at most `limit` bytes. (Anything else could block or never end.)
pub(super) fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    Ok(read_stamped(path, limit)?.0)
}

/// The same, with what the file was just before it was read.
pub(super) fn read_stamped(path: &Path, limit: u64) -> io::Result<(Vec<u8>, Stamp)> {
    metadata_of(path)?;
    let file = File::open(path)?;
    // Of the file that is open: another one may have come into its place.
    let metadata = file.metadata()?;
    // As large as it should be, and not what doubling comes to.
    let mut bytes = Vec::with_capacity(metadata.len().min(limit) as usize + 1);
    // One byte more than allowed tells a file of just the limit from a longer one.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok((bytes, Stamp::of(&metadata)))
}

/// What a regular file is.
pub(super) fn metadata_of(path: &Path) -> io::Result<Metadata> {
    let metadata = path.metadata()?;
    if metadata.is_file() { Ok(metadata) } else { Err(io::Error::other("it is not a regular file")) }
}

/// The file that keeps the steps of a primary, beside the one that keeps the zone.
pub fn steps_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".steps");
    name.into()
}
