//! What a database holds, or why it is none of ours.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageBackend};

use super::backend::in_memory;
use super::tables::{ENTRIES, FORMAT, LAST, META, SAMPLES, SAVED};
use super::{CACHE_BYTES, StoreError};
use crate::engine::Saved;
use crate::time::Time;

/// Goes up when a `Saved` or `Happened` of an earlier version no longer decodes.
pub(super) const VERSION: u32 = 1;

/// Why a file is not to be used.
pub(super) enum Trouble {
    /// Its content: it is set aside.
    Unreadable(String),
    /// It has this format, of a newer version.
    Newer(u32),
    /// Anything else: it stays where it is.
    Refused(StoreError),
}

/// What a whole file holds.
pub(super) struct Contents {
    pub(super) database: Database,
    pub(super) saved: Vec<Saved>,
    pub(super) last: Option<Time>,
}

pub(super) fn open_on(backend: impl StorageBackend) -> Result<Database, redb::DatabaseError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.create_with_backend(backend)
}

/// A copy of the file in memory, as the next start would find it; `None` where it cannot be read.
pub(super) fn copy(path: &Path) -> Option<Database> {
    let bytes = fs::read(path).ok()?;
    let read = catch_unwind(AssertUnwindSafe(|| contents(open_on(in_memory(&bytes)?)?)));
    Some(read.ok()?.ok()?.ok()?.database)
}

/// Whether a database is one of ours, and of a version that is read.
pub(super) fn is_ours(database: &Database) -> Result<bool, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let is =
        |key: &str, value: &str| Ok::<_, redb::Error>(meta.get(key)?.is_some_and(|it| it.value() == value));
    Ok(is("format", FORMAT)? && is("version", &VERSION.to_string())?)
}

/// What a database holds, or why it is not one of ours.
pub(super) fn contents(database: Database) -> Result<Result<Contents, Trouble>, redb::Error> {
    let unreadable = |why: String| Ok(Err(Trouble::Unreadable(why)));
    let txn = database.begin_read()?;
    let meta = txn.open_table(META)?;
    let text = |key: &str| Ok::<_, redb::Error>(meta.get(key)?.map(|value| value.value().to_owned()));
    if text("format")?.as_deref() != Some(FORMAT) {
        return unreadable("it is not a state file of detour".to_owned());
    }
    match text("version")?.map(|v| v.parse::<u32>()) {
        Some(Ok(VERSION)) => {}
        Some(Ok(newer)) if newer > VERSION => return Ok(Err(Trouble::Newer(newer))),
        _ => return unreadable("it does not say its format's version".to_owned()),
    }
    let last = match text(LAST)?.map(|ms| ms.parse().map(Time)) {
        None => None,
        Some(Ok(last)) => Some(last),
        Some(Err(e)) => return unreadable(format!("its latest time does not decode: {e}")),
    };
    txn.open_table(ENTRIES)?;
    txn.open_table(SAMPLES)?;
    let saved = match saved(&txn)? {
        Ok(saved) => saved,
        Err(why) => return unreadable(why),
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

impl Trouble {
    pub(super) fn into_error(self, what: &'static str, path: &Path) -> StoreError {
        match self {
            Trouble::Refused(error) => error,
            Trouble::Unreadable(why) => io_error(what, path)(io::Error::other(why)),
            Trouble::Newer(found) => StoreError::Newer { path: path.to_owned(), found, read: VERSION },
        }
    }
}

pub(super) fn newer_format(found: u32) -> String {
    format!("its format is {found}, and this detour reads format {VERSION}")
}

pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
