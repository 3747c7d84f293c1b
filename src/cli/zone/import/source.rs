//! What all readers share: bounded files, and what they find.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::dns::Name;

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
    /// What the server takes a relative `$INCLUDE` to be relative to.
    pub(super) includes_from: PathBuf,
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
    pub(super) fn zone(&mut self, place: &str, name: &str, file: PathBuf, includes_from: &Path) {
        let includes_from = includes_from.to_owned();
        match name.parse() {
            Ok(name) => self.zones.push(FoundZone { name, file, includes_from, place: place.to_owned() }),
            Err(why) => self.note(place, format!("zone {name:?}, whose name {why}")),
        }
    }
}

/// How much may still be read, and what could not be.
#[derive(Debug)]
pub(super) struct Budget {
    files: usize,
    bytes: u64,
    missing: Vec<String>,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { files: MAX_FILES, bytes: MAX_BYTES, missing: Vec::new() }
    }
}

impl Budget {
    /// A file's text; `None` where it cannot be read, which [`Budget::finish`] then tells together with all others.
    /// Fails where there is more than is left.
    pub(super) fn read(&mut self, path: &Path) -> Result<Option<String>> {
        let shown = path.display();
        self.files =
            self.files.checked_sub(1).with_context(|| format!("{shown}: more than {MAX_FILES} files"))?;
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(self.bytes + 1).read_to_string(&mut text));
        if let Err(why) = read {
            self.missing.push(format!("cannot read {shown}: {why}"));
            return Ok(None);
        }
        let Some(left) = self.bytes.checked_sub(text.len() as u64) else {
            bail!("{shown}: the configuration is larger than {MAX_BYTES} bytes");
        };
        self.bytes = left;
        Ok(Some(text))
    }

    /// Fails where a file could not be read, and names each.
    pub(super) fn finish(self) -> Result<()> {
        if self.missing.is_empty() { Ok(()) } else { bail!("{}", self.missing.join("\n")) }
    }
}

/// The files that a path with wildcards in its last part (`*`, `?`) stands for, in order; the path itself where it
/// has none.
pub(super) fn matching(path: &Path) -> Vec<PathBuf> {
    let pattern = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !pattern.contains(['*', '?']) {
        return vec![path.to_owned()];
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fits = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // As the C library's glob: a leading dot must be written.
        fits(pattern.as_bytes(), name.as_bytes()) && (!name.starts_with('.') || pattern.starts_with('.'))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(fits).collect();
    files.sort();
    files
}

/// Whether a name is what a pattern of `*` and `?` stands for; each star is tried again from further on at most once
/// for each byte of the name.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((after, from)) = star else { return false };
                star = Some((after, from + 1));
                (at, read) = (after, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// A path as a file names it, relative to that file's folder.
pub(super) fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}
