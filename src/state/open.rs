//! Opening the state file, and telling a file that cannot be read from one that may not be.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use redb::Database;
use tracing::warn;

use super::backend::{StateFile, in_memory};
use super::contents::{Contents, Trouble, VERSION, contents, io_error, is_ours, newer_format, open_on};
use super::salvage::{Recorded, Salvaged, recorded_at_its_head, salvage};
use super::store::{Opener, Store};
use super::tables::{ENTRIES, FORMAT, META, SAMPLES, SAVED, SUMS};
use super::unsynced::{Batch, write};
use super::wal;
use super::{FILE, LOOK_AGAIN, LOOKS, MAX_SET_ASIDE, Steps, StoreError};
use crate::engine::Saved;
use crate::sys::files;
use crate::time::Time;

/// What a disk says that fails.
const EIO: i32 = 5;
/// Others than the owner: read, write, search.
const OTHERS: u32 = 0o077;
/// A folder of many owners, such as /tmp.
const SHARED: u32 = 0o1000;

/// An opened state.
pub struct Opened {
    /// Where to commit from now on.
    pub store: Store,
    /// The last value under every key; empty at a fresh start.
    pub saved: Vec<Saved>,
    /// The latest time recorded; `None` at a fresh start. The daemon's clock starts no earlier.
    pub last: Option<Time>,
    /// The file that was there and could not be read: a fresh one took its place.
    pub set_aside: Option<SetAside>,
    /// Why the disk takes no writes: what is committed is in memory until it does.
    pub trouble: Option<StoreError>,
    /// What others than the owner may do to the state, and why that could not be changed.
    pub exposed: Vec<String>,
}

/// A state file that could not be read, and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
    /// How many values were read from it all the same, and how many come from the recording.
    pub restored: (usize, usize),
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, (file, recording)) = (self.path.display(), self.restored);
        let why = &self.why;
        write!(f, "the state file could not be used ({why}) and is kept as {path}; ")?;
        match file + recording {
            0 => write!(f, "nothing of what came before this start could be restored"),
            _ => write!(
                f,
                "{file} values were restored from it and {recording} from the recording; what else it held is lost"
            ),
        }
    }
}

/// Whether a state file that a newer version wrote may be set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newer {
    /// It may not: the start fails.
    Refuse,
    /// An operator said so.
    SetAside,
}

impl Store {
    /// Opens the state in `dir`, which is made when missing (mode 0700). Where the disk takes no writes the state is
    /// that of the file, in memory, until it does.
    pub fn open(dir: &Path) -> Result<Opened, StoreError> {
        Store::open_with(dir, Newer::Refuse, recorded_at_its_head)
    }

    /// The same, what to do with a file of a newer version, and what the recording knows where a file is damaged.
    pub fn open_with(dir: &Path, newer: Newer, recorded: Recorded) -> Result<Opened, StoreError> {
        let path = dir.join(FILE);
        match on_disk(dir, &path, newer, recorded) {
            Err(why) if is_of_the_disk(&why) => without_disk(dir, &path, (newer, recorded), why),
            opened => opened,
        }
    }

    /// Whether a daemon could keep its state in `dir`. Nothing of it is made or changed.
    pub fn try_dir(dir: &Path) -> Result<(), StoreError> {
        files::try_folder(dir).map_err(io_error("write to", dir))?;
        let path = dir.join(FILE);
        match fs::File::options().read(true).write(true).open(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("write", &path)(e)),
            _ => Ok(()),
        }
    }

    /// Reads the state in `dir` as it is, also while a daemon runs on it: nothing is made, changed or locked, and what
    /// cannot be read stays where it is.
    pub fn look(dir: &Path) -> Result<Store, StoreError> {
        let path = dir.join(FILE);
        let mut looks = 0;
        let contents = loop {
            looks += 1;
            let bytes = fs::read(&path).map_err(io_error("open", &path))?;
            match read_copy(dir, &path, &bytes, Gap::Waits) {
                Ok(contents) => break contents,
                // The daemon wrote to it meanwhile: another moment is a better one.
                Err(Trouble::Unreadable(_)) if looks < LOOKS => thread::sleep(LOOK_AGAIN),
                Err(trouble) => return Err(trouble.into_error("read", &path)),
            }
        };
        let opener = {
            let path = path.clone();
            move || Err(io_error("write", &path)(io::ErrorKind::PermissionDenied.into()))
        };
        Store::of_a_copy(path, Box::new(opener), contents.database)
    }
}

fn on_disk(dir: &Path, path: &Path, newer: Newer, recorded: Recorded) -> Result<Opened, StoreError> {
    files::make_folder(dir).map_err(io_error("create", dir))?;
    let exposed = close_to_others(dir, path);
    if !path.try_exists().map_err(io_error("look for", path))? {
        let opened = fresh(dir, path, None, &Salvaged::default())?;
        return Ok(Opened { exposed, ..opened });
    }
    let why = match read(dir, path) {
        Ok(Contents { database, saved, last }) => {
            // Whoever gave it its name may have failed to see that through.
            files::sync_folder(dir).map_err(io_error("sync", dir))?;
            let store = Store::new(path.to_owned(), opener(path.to_owned()), database)?;
            return Ok(Opened { store, saved, last, set_aside: None, trouble: None, exposed });
        }
        Err(Trouble::Unreadable(why)) => why,
        Err(Trouble::Newer(found)) if newer == Newer::SetAside => newer_format(found),
        Err(trouble) => return Err(trouble.into_error("open", path)),
    };
    let salvaged = salvage(dir, &fs::read(path).map_err(io_error("read", path))?, recorded);
    let set_aside = SetAside { path: set_aside(dir, path)?, why, restored: salvaged.counts };
    let opened = fresh(dir, path, Some(set_aside), &salvaged)?;
    Ok(Opened { exposed, ..opened })
}

/// The state as it can be read, of a disk that says no to anything else.
fn without_disk(
    dir: &Path,
    path: &Path,
    (newer, recorded): (Newer, Recorded),
    why: StoreError,
) -> Result<Opened, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Some(bytes),
        // Nothing was ever kept here; but where a folder may not even be made, it is the wrong one.
        Err(e) if e.kind() == io::ErrorKind::NotFound && (dir.is_dir() || !is_denied(&why)) => None,
        // What it holds is not known: to begin anew would take serials back.
        Err(_) => return Err(why),
    };
    let read = bytes.as_ref().map(|bytes| read_copy(dir, path, bytes, Gap::Stays));
    let (contents, set_aside) = match read {
        Some(Ok(contents)) => (contents, None),
        Some(Err(Trouble::Refused(error))) => return Err(error),
        Some(Err(Trouble::Newer(found))) if newer == Newer::Refuse => {
            return Err(Trouble::Newer(found).into_error("open", path));
        }
        other => {
            let unreadable = other.and_then(Result::err).map(|trouble| match trouble {
                Trouble::Unreadable(why) => why,
                Trouble::Newer(found) => newer_format(found),
                Trouble::Refused(error) => error.to_string(),
            });
            let salvaged = match (&unreadable, &bytes) {
                (Some(_), Some(bytes)) => salvage(dir, bytes, recorded),
                _ => Salvaged::default(),
            };
            let restored = salvaged.counts;
            // It is moved away once the disk lets it be.
            let set_aside = unreadable.map(|why| SetAside { path: path.to_owned(), why, restored });
            let contents =
                made_in_memory(&salvaged).map_err(|e| classify(dir, path, e).into_error("create", path))?;
            (contents, set_aside)
        }
    };
    let Contents { database, saved, last } = contents;
    let again: Opener = if bytes.is_some() && set_aside.is_none() {
        opener(path.to_owned())
    } else {
        // As a start does it, for the file is still to be made.
        let (dir, path) = (dir.to_owned(), path.to_owned());
        Box::new(move || on_disk(&dir, &path, newer, recorded)?.store.into_database())
    };
    let store = Store::in_memory(path.to_owned(), again, database, &saved)?;
    Ok(Opened { store, saved, last, set_aside, trouble: Some(why), exposed: Vec::new() })
}

/// Whether it is the disk that says no, and not what lies on it.
fn is_of_the_disk(error: &StoreError) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    io_of(error).is_some_and(|e| {
        let kinds = [PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull];
        kinds.contains(&e.kind()) || e.raw_os_error() == Some(EIO)
    })
}

fn is_denied(error: &StoreError) -> bool {
    io_of(error).is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
}

fn io_of(error: &StoreError) -> Option<&io::Error> {
    match error {
        StoreError::Io { source, .. } => Some(source),
        StoreError::Database { source, .. } => match &**source {
            redb::Error::Io(source) => Some(source),
            _ => None,
        },
        _ => None,
    }
}

/// A new file, made under another name first: at any instant the state file is whole or missing.
fn fresh(
    dir: &Path,
    path: &Path,
    set_aside: Option<SetAside>,
    salvaged: &Salvaged,
) -> Result<Opened, StoreError> {
    let made = dir.join(format!("{FILE}.new"));
    // Left by a start that was killed while making it; and the log of a file that is gone.
    for left in [made.clone(), wal::beside(path)] {
        files::remove(&left).map_err(io_error("remove", &left))?;
    }
    let create = || initialise(&open_on(StateFile::create(&made)?)?, salvaged);
    create().map_err(|e| classify(dir, &made, e).into_error("create", &made))?;
    files::rename(&made, path).map_err(io_error("create", path))?;
    // The rename itself must survive a power cut before anyone relies on the file.
    files::sync_folder(dir).map_err(io_error("sync", dir))?;
    let Contents { database, saved, last } =
        read(dir, path).map_err(|trouble| trouble.into_error("create", path))?;
    let store = Store::new(path.to_owned(), opener(path.to_owned()), database)?;
    Ok(Opened { store, saved, last, set_aside, trouble: None, exposed: Vec::new() })
}

fn made_in_memory(salvaged: &Salvaged) -> Result<Contents, redb::Error> {
    let database = open_on(in_memory(&[])?)?;
    initialise(&database, salvaged)?;
    contents(database)?.map_err(|_| redb::Error::Corrupted("it was just made".to_owned()))
}

/// Every table, in the first of them whose file this is, and what was salvaged of the one before.
pub(super) fn initialise(database: &Database, salvaged: &Salvaged) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    {
        let mut meta = txn.open_table(META)?;
        meta.insert("format", FORMAT)?;
        meta.insert("version", VERSION.to_string().as_str())?;
        txn.open_table(SAVED)?;
        txn.open_table(SUMS)?;
        txn.open_table(ENTRIES)?;
        txn.open_table(SAMPLES)?;
    }
    txn.commit()?;
    if !salvaged.saved.is_empty() {
        let batch = Batch::of(salvaged.last, &salvaged.saved, &Steps::new(), &[], &mut 0);
        let batch = batch.map_err(|e| redb::Error::Corrupted(e.to_string()))?;
        write(database, salvaged.last, &[&batch], true, None)?;
    }
    Ok(())
}

fn opener(path: PathBuf) -> Opener {
    Box::new(move || {
        let folder = path.parent().unwrap_or(Path::new("/"));
        files::sync_folder(folder).map_err(io_error("sync", folder))?;
        let open = || -> Result<Database, redb::Error> {
            let database = open_on(StateFile::open(&path)?)?;
            wal::replay(&database, &path)?;
            Ok(database)
        };
        open().map_err(|e| super::store::failed(&path, e))
    })
}

/// Opens a file that is there, verifies every checksum and decodes every saved value.
fn read(dir: &Path, path: &Path) -> Result<Contents, Trouble> {
    let size = fs::metadata(path).map_err(|e| Trouble::Refused(io_error("open", path)(e)))?.len();
    if size == 0 {
        // redb would take it for a new database; ours is never empty.
        return Err(Trouble::Unreadable("it is empty".to_owned()));
    }
    checked(dir, path, Gap::Stays, || open_on(StateFile::open(path)?))
}

/// The same of a file's bytes, of which a copy is opened.
fn read_copy(dir: &Path, path: &Path, bytes: &[u8], gap: Gap) -> Result<Contents, Trouble> {
    if bytes.is_empty() {
        return Err(Trouble::Unreadable("it is empty".to_owned()));
    }
    checked(dir, path, gap, || open_on(in_memory(bytes)?))
}

/// What becomes of a log that has lost what comes between it and its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// The daemon wrote between two looks: another one finds both as they belong together.
    Waits,
    /// The file is one from before: it counts as it is.
    Stays,
}

fn checked(
    dir: &Path,
    path: &Path,
    gap: Gap,
    open: impl Fn() -> Result<Database, redb::DatabaseError>,
) -> Result<Contents, Trouble> {
    // redb checks what it reads, but a damaged file can still run it into an assertion. Everything it
    // holds is dropped on the way out, and the file is only ever used through a new handle.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut database = open()?;
        // A clean shutdown lets `open` trust the file as it is; what bits did since, only this finds.
        database.check_integrity()?;
        if is_ours(&database)? && !wal::replay(&database, path)? {
            if gap == Gap::Waits {
                return Ok(Err(Trouble::Unreadable("its log goes on from a later state".to_owned())));
            }
            let log = wal::beside(path);
            warn!(
                "{} goes on from a later state than {} is, and is left aside",
                log.display(),
                path.display()
            );
        }
        contents(database)
    }));
    match read {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => Err(classify(dir, path, error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("damaged");
            Err(Trouble::Unreadable(text.to_owned()))
        }
    }
}

/// Whether an error is the file's content or the host's doing.
fn classify(dir: &Path, path: &Path, error: impl Into<redb::Error>) -> Trouble {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => Trouble::Refused(StoreError::Locked(dir.to_owned())),
        // A damaged header makes redb read where there is nothing, or seek where nothing can be.
        redb::Error::Io(e) if matches!(e.kind(), InvalidData | InvalidInput | UnexpectedEof) => {
            Trouble::Unreadable(e.to_string())
        }
        redb::Error::Io(e) => Trouble::Refused(io_error("open", path)(e)),
        // What it said the first time is lost, but it was the disk that said it.
        redb::Error::PreviousIo => {
            Trouble::Refused(io_error("open", path)(io::Error::from_raw_os_error(EIO)))
        }
        redb::Error::TableDoesNotExist(_) | redb::Error::TableTypeMismatch { .. } => {
            Trouble::Unreadable("it is a database of another program".to_owned())
        }
        other => Trouble::Unreadable(other.to_string()),
    }
}

/// Moves a file out of the way, onto a name that is not taken.
fn set_aside(dir: &Path, path: &Path) -> Result<PathBuf, StoreError> {
    for n in 1..=MAX_SET_ASIDE {
        let kept = dir.join(format!("{FILE}.unreadable-{n}"));
        if kept.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            files::rename(path, &kept).map_err(io_error("move away", path))?;
            return Ok(kept);
        }
    }
    Err(StoreError::TooManySetAside(dir.to_owned()))
}

/// Takes from others than the owner what they may do to the state; where that cannot be, says so.
fn close_to_others(dir: &Path, path: &Path) -> Vec<String> {
    let mut exposed = Vec::new();
    for (place, right) in [(dir, 0o700), (path, 0o600)] {
        let Ok(mode) = fs::metadata(place).map(|found| found.permissions().mode() & 0o7777) else { continue };
        if mode & OTHERS == 0 {
            continue;
        }
        let changed = if mode & SHARED == 0 {
            fs::set_permissions(place, Permissions::from_mode(mode & right))
        } else {
            Err(io::Error::other("it is a folder of many owners; set server.state_dir to one of its own"))
        };
        if let Err(why) = changed {
            let place = place.display();
            exposed.push(format!(
                "{place} is open to other users of this host (mode {mode:04o}), and that cannot be changed: {why}; \
                 run `chmod {right:o} {place}` as its owner"
            ));
        }
    }
    exposed
}
