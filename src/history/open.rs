//! Opening the state file, and telling a file that cannot be read from one that may not be.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable};

use super::store::{ENTRIES, LAST, META, Opener, SAMPLES, SAVED, Store};
use super::{CACHE_BYTES, FILE, MAX_SET_ASIDE, StoreError};
use crate::engine::Saved;
use crate::time::Time;

/// Whose file it is.
const FORMAT: &str = "detour state";
/// Goes up when a `Saved` or `Happened` of an earlier version no longer decodes.
const VERSION: u32 = 1;

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
}

/// A state file that could not be read, and is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Why a file is not to be used.
enum Trouble {
    /// Its content: it is set aside.
    Unreadable(String),
    /// Anything else: it stays where it is.
    Refused(StoreError),
}

/// What a whole file holds.
pub(super) struct Contents {
    database: Database,
    pub(super) saved: Vec<Saved>,
    last: Option<Time>,
}

impl Store {
    /// Opens the state in `dir`, which is made when missing (mode 0700).
    pub fn open(dir: &Path) -> Result<Opened, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("create", dir))?;
        let path = dir.join(FILE);
        if !path.try_exists().map_err(io_error("look for", &path))? {
            return fresh(dir, &path, None);
        }
        match read(dir, &path) {
            Ok(Contents { database, saved, last }) => {
                let store = Store::new(path.clone(), opener(path), database)?;
                Ok(Opened { store, saved, last, set_aside: None })
            }
            Err(Trouble::Refused(error)) => Err(error),
            Err(Trouble::Unreadable(why)) => {
                let set_aside = SetAside { path: set_aside(dir, &path)?, why };
                fresh(dir, &path, Some(set_aside))
            }
        }
    }
}

impl Store {
    /// Opens the state in `dir` as it is, to read it: nothing is made, and what cannot be read stays where it is.
    pub fn look(dir: &Path) -> Result<Store, StoreError> {
        let path = dir.join(FILE);
        match read(dir, &path) {
            Ok(Contents { database, .. }) => Store::new(path.clone(), opener(path), database),
            Err(Trouble::Refused(error)) => Err(error),
            Err(Trouble::Unreadable(why)) => Err(io_error("read", &path)(io::Error::other(why))),
        }
    }
}

/// A new file, made under another name first: at any instant the state file is whole or missing.
fn fresh(dir: &Path, path: &Path, set_aside: Option<SetAside>) -> Result<Opened, StoreError> {
    let made = dir.join(format!("{FILE}.new"));
    match fs::remove_file(&made) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", &made)(e)),
        // Left by a start that was killed while making it.
        _ => {}
    }
    let refused = |trouble| match trouble {
        Trouble::Refused(error) => error,
        Trouble::Unreadable(why) => io_error("create", &made)(io::Error::other(why)),
    };
    let create = || initialise(&builder().create(&made)?);
    create().map_err(|e| refused(classify(dir, &made, e)))?;
    fs::rename(&made, path).map_err(io_error("create", path))?;
    // The rename itself must survive a power cut before anyone relies on the file.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", dir))?;
    let Contents { database, saved, last } = read(dir, path).map_err(refused)?;
    let store = Store::new(path.to_owned(), opener(path.to_owned()), database)?;
    Ok(Opened { store, saved, last, set_aside })
}

/// Every table, and in the first of them whose file this is.
pub(super) fn initialise(database: &Database) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    {
        let mut meta = txn.open_table(META)?;
        meta.insert("format", FORMAT)?;
        meta.insert("version", VERSION.to_string().as_str())?;
        txn.open_table(SAVED)?;
        txn.open_table(ENTRIES)?;
        txn.open_table(SAMPLES)?;
    }
    txn.commit()?;
    Ok(())
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn opener(path: PathBuf) -> Opener {
    Box::new(move || builder().open(&path))
}

/// Opens a file that is there, verifies every checksum and decodes every saved value.
fn read(dir: &Path, path: &Path) -> Result<Contents, Trouble> {
    let size = fs::metadata(path).map_err(|e| Trouble::Refused(io_error("open", path)(e)))?.len();
    if size == 0 {
        // redb would take it for a new database; ours is never empty.
        return Err(Trouble::Unreadable("it is empty".to_owned()));
    }
    // redb checks what it reads, but a damaged file can still run it into an assertion. Everything it
    // holds is dropped on the way out, and the file is only ever used through a new handle.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut database = builder().open(path)?;
        // A clean shutdown lets `open` trust the file as it is; what bits did since, only this finds.
        database.check_integrity()?;
        contents(database)
    }));
    match read {
        Ok(Ok(Ok(contents))) => Ok(contents),
        Ok(Ok(Err(why))) => Err(Trouble::Unreadable(why)),
        Ok(Err(error)) => Err(classify(dir, path, error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("damaged");
            Err(Trouble::Unreadable(text.to_owned()))
        }
    }
}

/// What a database holds, or in words why it is not one of ours.
pub(super) fn contents(database: Database) -> Result<Result<Contents, String>, redb::Error> {
    let txn = database.begin_read()?;
    let meta = txn.open_table(META)?;
    let text = |key: &str| Ok::<_, redb::Error>(meta.get(key)?.map(|value| value.value().to_owned()));
    if text("format")?.as_deref() != Some(FORMAT) {
        return Ok(Err("it is not a state file of detour".to_owned()));
    }
    match text("version")?.map(|v| v.parse::<u32>()) {
        Some(Ok(VERSION)) => {}
        Some(Ok(newer)) => {
            return Ok(Err(format!("its format is {newer}, and this detour reads format {VERSION}")));
        }
        _ => return Ok(Err("it does not say its format's version".to_owned())),
    }
    let last = match text(LAST)?.map(|ms| ms.parse().map(Time)) {
        None => None,
        Some(Ok(last)) => Some(last),
        Some(Err(e)) => return Ok(Err(format!("its latest time does not decode: {e}"))),
    };
    txn.open_table(ENTRIES)?;
    txn.open_table(SAMPLES)?;
    let saved = match saved(&txn)? {
        Ok(saved) => saved,
        Err(why) => return Ok(Err(why)),
    };
    drop((meta, txn));
    Ok(Ok(Contents { database, saved, last }))
}

/// Everything saved, or which value does not decode.
pub(super) fn saved(txn: &ReadTransaction) -> Result<Result<Vec<Saved>, String>, redb::Error> {
    let mut saved = Vec::new();
    for row in txn.open_table(SAVED)?.iter()? {
        let (key, value) = row?;
        match serde_json::from_slice(value.value()) {
            Ok(value) => saved.push(value),
            Err(e) => {
                return Ok(Err(format!("what it saved under \"{}\" does not decode: {e}", key.value())));
            }
        }
    }
    Ok(Ok(saved))
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
        redb::Error::PreviousIo => {
            Trouble::Refused(io_error("open", path)(io::Error::other("an earlier access failed")))
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
            fs::rename(path, &kept).map_err(io_error("move away", path))?;
            return Ok(kept);
        }
    }
    Err(StoreError::TooManySetAside(dir.to_owned()))
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
