//! The one place where files and folders are changed, act by act. A test can have any act fail (`faults`).

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

#[cfg(test)]
use super::faults;

/// What is done to the file system.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// A file that is there is opened.
    Open,
    /// A file is made where none is.
    Create,
    /// A folder is made where none is.
    Folder,
    /// An open file gets another length.
    Length(&'a File),
    /// What was written to an open file is brought to the disk.
    Sync(&'a File),
    /// The names in a folder are brought to the disk.
    SyncFolder,
    /// A file gets this name, in place of another one.
    Rename(&'a Path),
    /// A file gets this name, too, which nothing had.
    Link(&'a Path),
    /// A file loses its name.
    Remove,
}

/// Has `change` carry out one act on `path`.
pub fn act<T>(what: Act<'_>, path: &Path, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(test)]
    if let Some(disk) = faults::disk_of(path) {
        return disk.act(what, path, change);
    }
    let _ = (what, path);
    change()
}

/// Appends `bytes` to an open file.
pub fn append(mut file: &File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    write(file, path, None, bytes, |bytes| file.write_all(bytes))
}

/// Has `change` write to an open file: at `offset`, or at its end.
pub fn write(
    file: &File,
    path: &Path,
    offset: Option<u64>,
    bytes: &[u8],
    change: impl FnOnce(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    #[cfg(test)]
    if let Some(disk) = faults::disk_of(path) {
        return disk.write(file, offset, bytes, change);
    }
    let _ = (file, path, offset);
    change(bytes)
}
