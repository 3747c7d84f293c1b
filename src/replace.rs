//! Files that change all at once or not at all. In: a path and bytes. Never known here: what they mean.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::Path;

/// Gives an existing file another content: whoever reads it sees the old or the new, never a part. Mode
/// and owner stay; a symbolic link stays one, and what it leads to changes.
pub fn contents(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = &path.canonicalize()?;
    let old = fs::metadata(path)?;
    with_temporary(path, bytes, |file| {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            chown(temporary(path), Some(old.uid()), Some(old.gid()))?;
        }
        // After chown, which takes away what a mode may grant.
        file.set_permissions(old.permissions())
    })?;
    fs::rename(temporary(path), path).inspect_err(|_| forget(path))
}

/// Makes a file, all of it or nothing; one that is there is only replaced with `force`.
pub fn create(path: &Path, bytes: &[u8], force: bool) -> io::Result<()> {
    with_temporary(path, bytes, |file| {
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
    })?;
    let placed = if force {
        fs::rename(temporary(path), path)
    } else {
        // Unlike a rename, a link does not replace what came in the meantime.
        fs::hard_link(temporary(path), path).and_then(|()| fs::remove_file(temporary(path)))
    };
    placed.inspect_err(|_| forget(path))
}

/// Beside the file, so that a rename stays within one file system.
fn temporary(path: &Path) -> std::path::PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".detour-{}", std::process::id()));
    path.with_file_name(name)
}

fn with_temporary(path: &Path, bytes: &[u8], dress: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary(path))?;
    let written = file.write_all(bytes).and_then(|()| dress(&file)).and_then(|()| file.sync_all());
    written.inspect_err(|_| forget(path))
}

/// Takes the temporary file away; that it could not is no more to anybody than why there is one.
fn forget(path: &Path) {
    let _ = fs::remove_file(temporary(path));
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_replaced_file_keeps_mode_and_links() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("zone"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("zone", &link).unwrap();
        contents(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn a_file_that_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("zone");
        create(&file, b"one", false).unwrap();
        assert_eq!(create(&file, b"two", false).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"one");
        create(&file, b"two", true).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
