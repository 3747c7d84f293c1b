//! What all readers share: bounded files, and what they find.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::zone::Name;

/// How many files one configuration may be made of: those with a file for each zone have many.
const MAX_FILES: usize = 10_000;
/// All of them together, in bytes.
const MAX_BYTES: u64 = 256 << 20;
/// How deep they may include each other: an end to those that include themselves.
pub(super) const MAX_DEPTH: usize = 16;
/// The most that is said of what was not taken over.
const MAX_NOTES: usize = 1000;

/// A primary zone in another server's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundZone {
    pub(super) name: Name,
    pub(super) file: PathBuf,
    /// Where it is configured: `named.conf:12`.
    pub(super) place: String,
}

/// What a configuration holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) zones: Vec<FoundZone>,
    /// What is passed by, each with its place.
    pub(super) notes: Vec<String>,
}

impl Found {
    pub(super) fn note(&mut self, place: &str, what: impl std::fmt::Display) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(format!("{place}: {what}"));
        }
    }

    /// Takes a zone, or notes why its name is none.
    pub(super) fn zone(&mut self, place: &str, name: &str, file: PathBuf) {
        match name.parse() {
            Ok(name) => self.zones.push(FoundZone { name, file, place: place.to_owned() }),
            Err(why) => self.note(place, format!("zone {name:?}, whose name {why}")),
        }
    }
}

/// How much may still be read.
#[derive(Debug)]
pub(super) struct Budget {
    files: usize,
    bytes: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { files: MAX_FILES, bytes: MAX_BYTES }
    }
}

impl Budget {
    /// A file's text. Fails where it cannot be read, is not UTF-8, or is more than is left.
    pub(super) fn read(&mut self, path: &Path) -> Result<String> {
        let shown = path.display();
        self.files =
            self.files.checked_sub(1).with_context(|| format!("{shown}: more than {MAX_FILES} files"))?;
        let mut text = String::new();
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        file.take(self.bytes + 1)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {shown}"))?;
        let Some(left) = self.bytes.checked_sub(text.len() as u64) else {
            bail!("{shown}: the configuration is larger than {MAX_BYTES} bytes");
        };
        self.bytes = left;
        Ok(text)
    }
}

/// A path as a file names it that lies in the same folder.
pub(super) fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}
