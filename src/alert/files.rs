//! A desk on disk: one file for each receiver, replaced as a whole.
//!
//! Beside the state file and not in it, so that a receiver that is told a lot never keeps a decision waiting
//! for its commit.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::queue::Desk;
use crate::sys::files::{self, Reach};

/// The folder in `state_dir`.
pub const FOLDER: &str = "alerts";
/// The largest file that is read, in bytes: a full desk is some 60 MiB.
const MAX_FILE: u64 = 256 << 20;

/// Where a receiver's desk is kept.
#[derive(Clone, Debug)]
pub struct Kept(PathBuf);

impl Kept {
    /// That of the receiver of this key, which is good for a file's name as it is.
    pub fn of(state_dir: &Path, id: &str) -> Kept {
        Kept(state_dir.join(FOLDER).join(format!("{id}.json")))
    }

    /// What is kept; `None` where nothing is. A file that does not decode is moved aside, and told.
    pub fn load(&self) -> io::Result<Option<Desk>> {
        let bytes = match fs::metadata(&self.0) {
            Ok(found) if found.len() > MAX_FILE => Err(io::Error::other("it is too large")),
            Ok(_) => fs::read(&self.0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error),
        }?;
        match serde_json::from_slice(&bytes) {
            Ok(desk) => Ok(Some(desk)),
            Err(why) => {
                let aside = self.0.with_extension("json.unreadable");
                files::rename(&self.0, &aside)?;
                let (file, aside) = (self.0.display(), aside.display());
                tracing::error!("{file} does not decode ({why}) and is kept as {aside}; alerts begin anew");
                Ok(None)
            }
        }
    }

    /// Replaces what is kept; it has reached the disk when this returns.
    pub fn save(&self, desk: &Desk) -> io::Result<()> {
        let bytes = serde_json::to_vec(desk).map_err(io::Error::other)?;
        files::keep(&self.0, Reach::Now, |out| out.write_all(&bytes))
    }
}

/// Forgets the desks of receivers that are configured no more.
pub fn forget_others(state_dir: &Path, is_known: impl Fn(&str) -> bool) -> io::Result<()> {
    let folder = match fs::read_dir(state_dir.join(FOLDER)) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in folder {
        let path = entry?.path();
        let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"));
        if id.is_some_and(|id| !is_known(id)) {
            files::remove(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files::faults::{Disk, Kind};

    #[test]
    fn a_desk_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(folder.path(), "oncall");
        assert_eq!(kept.load().unwrap(), None);
        kept.save(&Desk::new(7)).unwrap();
        kept.save(&Desk::new(8)).unwrap();
        assert_eq!(kept.load().unwrap(), Some(Desk::new(8)));
    }

    /// A desk that was saved is there after a power cut; one that could not be is the old one.
    #[test]
    fn a_fault_of_the_disk_leaves_a_whole_desk() {
        let save = |fail| {
            let folder = tempfile::tempdir_in("/dev/shm").unwrap();
            let disk = Disk::over(folder.path());
            let kept = Kept::of(folder.path(), "oncall");
            kept.save(&Desk::new(7)).unwrap();
            disk.fail(fail);
            let saved = kept.save(&Desk::new(8));
            disk.lose_power();
            let found = kept.load().unwrap();
            let may = [Some(Desk::new(8)), Some(Desk::new(7))];
            assert!(may[..if saved.is_ok() { 1 } else { 2 }].contains(&found), "{fail:?}: {found:?}");
            (saved.is_ok(), disk.acts())
        };
        let (saved, acts) = save(None);
        assert!(saved && acts >= 5, "{acts} acts");
        for at in 0..acts {
            for kind in Kind::ALL {
                assert!(!save(Some((at, kind))).0, "act {at} {kind:?}");
            }
        }
    }

    #[test]
    fn what_does_not_decode_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(folder.path(), "oncall");
        kept.save(&Desk::new(7)).unwrap();
        fs::write(&kept.0, "{\"next\":").unwrap();
        assert_eq!(kept.load().unwrap(), None);
        let aside = folder.path().join(FOLDER).join("oncall.json.unreadable");
        assert_eq!(fs::read_to_string(aside).unwrap(), "{\"next\":");
    }

    #[test]
    fn receivers_that_are_no_more_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        forget_others(folder.path(), |_| false).unwrap();
        let [gone, stays] = ["gone", "stays"].map(|id| Kept::of(folder.path(), id));
        gone.save(&Desk::new(1)).unwrap();
        stays.save(&Desk::new(2)).unwrap();
        forget_others(folder.path(), |id| id == "stays").unwrap();
        assert_eq!((gone.load().unwrap(), stays.load().unwrap()), (None, Some(Desk::new(2))));
    }
}
