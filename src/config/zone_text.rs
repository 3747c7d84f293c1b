//! A zone file's bytes, and the way to those it includes.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::error::short;
use super::files::read_stamped;
use super::stamp::{FileRead, digest};

/// The largest zone file, what it includes counted in, in bytes.
pub(super) const MAX_ZONE_BYTES: u64 = 1 << 30;

/// A zone file as read, for [`crate::zone::parse`] and its like.
#[derive(Debug)]
pub struct ZoneText {
    /// Its content.
    pub text: Vec<u8>,
    /// The way to the files it includes.
    pub includes: Includes,
}

/// The files that `$INCLUDE` may reach: those in the zone file's folder, in other folders that were named, and below
/// them. How many and how deep is the zone's own bound.
#[derive(Debug)]
pub struct Includes {
    /// What relative names are relative to, and how that is shown.
    folder: PathBuf,
    shown: PathBuf,
    /// Where else files may lie; `None`: anywhere.
    others: Option<Vec<PathBuf>>,
    bytes_left: u64,
    files: BTreeSet<PathBuf>,
    read: FilesRead,
}

/// A zone's files as they were read, one by one, each with a number for its content.
#[derive(Debug)]
pub(super) struct FilesRead {
    pub(super) main: FileRead,
    /// Those that are included, and where they really lie.
    pub(super) included: Vec<(PathBuf, PathBuf, FileRead)>,
}

impl ZoneText {
    /// Reads the file at `path`, which is shown to people as `shown`, and may include what lies beside it or in the
    /// folders `others`. Fails where it cannot be read or is too large.
    pub fn read(path: &Path, shown: &Path, others: &[PathBuf]) -> io::Result<ZoneText> {
        let (text, stamp) = read_stamped(path, MAX_ZONE_BYTES)?;
        let includes = Includes {
            folder: match path.parent() {
                Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
                Some(folder) => folder.to_owned(),
                None => PathBuf::from("/"),
            },
            shown: shown.parent().unwrap_or(Path::new("")).to_owned(),
            others: Some(others.to_owned()),
            bytes_left: MAX_ZONE_BYTES - text.len() as u64,
            files: BTreeSet::new(),
            read: FilesRead { main: (stamp, digest(&text)), included: Vec::new() },
        };
        Ok(ZoneText { text, includes })
    }
}

impl Includes {
    /// Reads as another server does that was configured so: relative names are relative to `folder`, and no folder
    /// holds them in.
    pub fn as_another_server(&mut self, folder: &Path) {
        folder.clone_into(&mut self.folder);
        folder.clone_into(&mut self.shown);
        self.others = None;
    }

    /// The file's name as it is shown and its content, or why it may not or cannot be had.
    pub fn read(&mut self, name: &str) -> Result<(String, Vec<u8>), String> {
        let quoted = short(name);
        let path = self.folder.join(name);
        self.files.insert(path.clone());
        let cannot = |why: io::Error| format!("cannot read {quoted:?}: {why}");
        // Both with every symbolic link followed: a link in the folder must not lead out of it, and a
        // folder that is itself a link is the operator's own doing.
        let folder = self.folder.canonicalize().map_err(cannot)?;
        let real = path.canonicalize().map_err(cannot)?;
        let holds = |other: &PathBuf| other.canonicalize().is_ok_and(|other| real.starts_with(other));
        if self.others.as_ref().is_some_and(|others| !real.starts_with(folder) && !others.iter().any(holds)) {
            return Err(format!(
                "{quoted:?} lies outside the zone file's folder; move it there, or name its folder in include_folders of [server]"
            ));
        }
        let (bytes, stamp) = read_stamped(&real, self.bytes_left).map_err(cannot)?;
        self.bytes_left -= bytes.len() as u64;
        self.read.included.push((path, real, (stamp, digest(&bytes))));
        Ok((self.shown.join(name).display().to_string(), bytes))
    }

    /// Every file asked for so far.
    pub fn into_files(self) -> BTreeSet<PathBuf> {
        self.files
    }

    /// The same, and what those were that could be had.
    pub(super) fn into_read(self) -> (BTreeSet<PathBuf>, FilesRead) {
        (self.files, self.read)
    }
}
