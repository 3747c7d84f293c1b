//! Files that Detour writes. In: a path and bytes. Out: a file that changed whole or not at all, and is on the disk.
//! Never known here: what they mean.
//!
//! ```text
//! .NAME.detour-<random>   made beside the file, written, synced
//!         │ renamed
//!       NAME              and its folder synced: only then is it told that it is done
//! ```
//!
//! A process that dies leaves the first of them behind. Whoever replaces the file next removes what is older than
//! [`LEFT_OVER`]; a daemon that starts, all of it in its state directory.

mod act;
#[cfg(test)]
pub mod faults;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use act::{Act, act, append, write};

/// How old a half-written file is when nobody can be writing it any more.
const LEFT_OVER: Duration = Duration::from_secs(600);
/// What stands in a half-written file's name after that of the file.
const HALF: &str = ".detour-";

/// When what was written has to have reached the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// When the call returns.
    Now,
    /// Whenever the system sees fit: after a power cut the file may be torn or missing.
    Sometime,
}

/// Gives an existing file another content: whoever reads it sees the old or the new, never a part. Mode
/// and owner stay; a symbolic link stays one, and what it leads to changes.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = &path.canonicalize()?;
    let old = fs::metadata(path)?;
    let half = Half::beside(path)?;
    half.remove_older(path)?;
    half.fill(|out| out.write_all(bytes))?;
    let new = half.file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        chown(&half.path, Some(old.uid()), Some(old.gid()))?;
    }
    // After chown, which takes away what a mode may grant.
    half.file.set_permissions(old.permissions())?;
    half.place(path, Reach::Now)
}

/// Makes a file, all of it or nothing; one that is there is only replaced with `force`.
pub fn create(path: &Path, bytes: &[u8], force: bool) -> io::Result<()> {
    let half = Half::beside(path)?;
    half.remove_older(path)?;
    half.fill(|out| out.write_all(bytes))?;
    half.file.set_permissions(Permissions::from_mode(0o644))?;
    if force {
        return half.place(path, Reach::Now);
    }
    half.sync()?;
    // Unlike a rename, a link does not replace what came in the meantime.
    act(Act::Link(path), &half.path, || fs::hard_link(&half.path, path))?;
    half.forget()?;
    sync_folder(folder_of(path))
}

/// Makes a file that is the owner's alone, or replaces it; the folder is made where it is missing.
pub fn keep(
    path: &Path,
    reach: Reach,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    make_folder(folder_of(path))?;
    let half = Half::beside(path)?;
    half.fill(content)?;
    half.place(path, reach)
}

/// Makes a folder that is the owner's alone, and those above it, where they are missing.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make_folder(above)?;
    }
    let made = act(Act::Folder, path, || DirBuilder::new().mode(0o700).create(path));
    match made {
        // By somebody else, meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        // One that may be gone after a power cut is not taken for made the next time.
        Ok(()) => sync_folder(folder_of(path)).inspect_err(|_| drop(fs::remove_dir(path))),
    }
}

/// A file that is only appended to.
#[derive(Debug)]
pub struct Appended {
    path: PathBuf,
    file: File,
}

impl Appended {
    /// A new one, the owner's alone.
    pub fn create(path: &Path) -> io::Result<Appended> {
        let mut options = OpenOptions::new();
        options.create_new(true).append(true).mode(0o600);
        let file = act(Act::Create, path, || options.open(path))?;
        Ok(Appended { path: path.to_owned(), file })
    }

    /// One that is there, or a new one with the modes that files have.
    pub fn open(path: &Path) -> io::Result<Appended> {
        let what = if path.exists() { Act::Open } else { Act::Create };
        let file = act(what, path, || OpenOptions::new().create(true).append(true).open(path))?;
        Ok(Appended { path: path.to_owned(), file })
    }

    /// Cuts off what it has after its first `len` bytes; a power cut may bring that back.
    pub fn cut(&self, len: u64) -> io::Result<()> {
        act(Act::Length(&self.file), &self.path, || self.file.set_len(len))
    }

    /// How many bytes it has.
    #[allow(clippy::len_without_is_empty, reason = "nobody asks for that")]
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        append(&self.file, &self.path, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends to a file that is the owner's alone, or makes it: after its first `at` bytes, whatever an append that failed
/// has left there. It is on the disk when this returns.
pub fn append_at(path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
    let is_new = !path.exists();
    let what = if is_new { Act::Create } else { Act::Open };
    let file = act(what, path, || OpenOptions::new().create(true).append(true).mode(0o600).open(path))?;
    let len = file.metadata()?.len();
    if len < at {
        return Err(io::Error::other("it is shorter than it was"));
    }
    if len > at {
        act(Act::Length(&file), path, || file.set_len(at))?;
    }
    append(&file, path, bytes)?;
    act(Act::Sync(&file), path, || file.sync_all())?;
    if is_new { sync_folder(folder_of(path)) } else { Ok(()) }
}

/// Cuts off what a file has after its first `len` bytes.
pub fn cut(path: &Path, len: u64) -> io::Result<()> {
    let file = act(Act::Open, path, || OpenOptions::new().append(true).open(path))?;
    act(Act::Length(&file), path, || file.set_len(len))?;
    act(Act::Sync(&file), path, || file.sync_all())
}

/// Gives a file another name in the same folder, in place of whatever has it.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    act(Act::Rename(to), from, || fs::rename(from, to))
}

/// Removes a file; one that is not there is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match act(Act::Remove, path, || fs::remove_file(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Brings the names in a folder to the disk: what was renamed or made there is found after a power cut.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    act(Act::SyncFolder, path, || File::open(path)?.sync_all())
}

/// Whether files can be made in a folder, and written; or in the one above that is there, where it is to be made.
pub fn try_folder(path: &Path) -> io::Result<()> {
    let mut folder = path;
    while !folder.exists() {
        folder = folder_of(folder);
    }
    let half = Half::beside(&folder.join("check"))?;
    half.fill(|out| out.write_all(&[0; 4096]))
}

/// Removes what dead processes left half-written in a folder that is this one's alone.
pub fn tidy(folder: &Path) {
    remove_left_overs(folder, OsStr::new("."), None);
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    }
}

/// A file on its way to its name; dropped before it has that, it is gone.
struct Half {
    path: PathBuf,
    file: File,
}

impl Half {
    /// Beside the file it will be, so that a rename stays within one file system.
    fn beside(path: &Path) -> io::Result<Half> {
        let mut name = half_name(path);
        name.push(format!("{:016x}", RandomState::new().hash_one(0)));
        let path = path.with_file_name(name);
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = act(Act::Create, &path, create)?;
        Ok(Half { path, file })
    }

    /// Removes what processes left behind that died at writing the same file.
    fn remove_older(&self, path: &Path) -> io::Result<()> {
        remove_left_overs(folder_of(path), &half_name(path), Some(self.file.metadata()?.modified()?));
        Ok(())
    }

    fn fill(&self, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::new(self);
        content(&mut out)?;
        out.flush()
    }

    fn sync(&self) -> io::Result<()> {
        act(Act::Sync(&self.file), &self.path, || self.file.sync_all())
    }

    fn place(self, path: &Path, reach: Reach) -> io::Result<()> {
        if reach == Reach::Now {
            self.sync()?;
        }
        rename(&self.path, path)?;
        if reach == Reach::Now {
            sync_folder(folder_of(path))?;
        }
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        act(Act::Remove, &self.path, || fs::remove_file(&self.path))
    }
}

impl Write for &Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        append(&self.file, &self.path, bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // It has its name, mostly. That it cannot be removed is no more to anybody than why there is one.
        let _ = fs::remove_file(&self.path);
    }
}

/// What the names of a file's halves begin with.
fn half_name(path: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(HALF);
    name
}

/// Removes halves whose names begin so, and that were left alone for so long before this moment. What cannot be seen
/// or removed stays: it is in nobody's way.
fn remove_left_overs(folder: &Path, begin: &OsStr, now: Option<SystemTime>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let is_half = name.starts_with(begin.as_encoded_bytes())
            && name.windows(HALF.len()).any(|part| part == HALF.as_bytes());
        let is_old = |now: SystemTime| {
            let age = now.duration_since(entry.metadata().ok()?.modified().ok()?).ok()?;
            (age >= LEFT_OVER).then_some(())
        };
        if is_half && now.is_none_or(|now| is_old(now).is_some()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
