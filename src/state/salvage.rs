//! What can be told of a state whose file is damaged.
//!
//! A value of the file counts where it has its sum, and what the log says of it since; so does what the recording comes to, for keys that the file gives
//! nothing for. The recording may be older than the file was: serials from there go on by [`SERIALS_SINCE`], so that
//! none comes back.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, ReadableDatabase, ReadableTable};

use super::backend::in_memory;
use super::tables::{FORMAT, META, SAVED, SUMS};
use super::unsynced::{encode, is_summed, sum};
use super::wal::{self, Frames};
use super::{CACHE_BYTES, FILE};
use crate::dns::Serial;
use crate::engine::{Saved, SavedKey};
use crate::recording;
use crate::time::Time;

/// What the recording in a state directory comes to: what was saved then, and when that is.
pub type Recorded = fn(&Path) -> Option<(Vec<Saved>, Time)>;

/// What the newest segment of the recording began with.
pub fn recorded_at_its_head(dir: &Path) -> Option<(Vec<Saved>, Time)> {
    recording::newest_head(dir).map(|head| (head.saved, head.at))
}

/// How many serials a zone may have had since the newest segment of the recording began.
const SERIALS_SINCE: u32 = 10_000;

/// What was found.
#[derive(Default)]
pub(super) struct Salvaged {
    pub saved: Vec<Saved>,
    /// No earlier than anything in it.
    pub last: Time,
    /// How many values are the file's, and how many the recording's.
    pub counts: (usize, usize),
}

/// From a damaged file's bytes, and the recording in the state directory.
pub(super) fn salvage(dir: &Path, bytes: &[u8], recorded: Recorded) -> Salvaged {
    let mut found = BTreeMap::new();
    // Whatever damage does to the database: what was read before that is good.
    let (mut whole, mut logged) = (false, None);
    for backwards in [false, true] {
        let read = catch_unwind(AssertUnwindSafe(|| from_file(bytes, backwards, &mut logged, &mut found)));
        whole |= matches!(read, Ok(Ok(true)));
    }
    if let Some(logged) = logged {
        from_log(dir, logged, &mut found);
    }
    let of_file = found.len();
    let mut last = Time::default();
    if let Some((recorded, at)) = recorded(dir) {
        last = at;
        // Where nothing is missing, what the recording has besides was forgotten since.
        let wanted = |saved: &Saved| match saved {
            Saved::Check(..) => true,
            // What was promised then was published or refused since.
            Saved::Promised(_) => false,
            _ => !whole,
        };
        for saved in recorded.into_iter().filter(wanted) {
            found.entry(saved.key()).or_insert_with(|| later(saved));
        }
    }
    let counts = (of_file, found.len() - of_file);
    Salvaged { saved: found.into_values().collect(), last, counts }
}

/// What was recorded, as what it may have become.
fn later(saved: Saved) -> Saved {
    match saved {
        Saved::Zone(apex, Some(mut zone)) => {
            zone.published = Serial(zone.published.0.wrapping_add(SERIALS_SINCE));
            Saved::Zone(apex, Some(zone))
        }
        other => other,
    }
}

/// The values that have their sums, from one end up to where the damage is. Whether there is none among what has sums.
fn from_file(
    bytes: &[u8],
    backwards: bool,
    logged: &mut Option<u64>,
    found: &mut BTreeMap<SavedKey, Saved>,
) -> Result<bool, redb::Error> {
    let database = open(bytes)?;
    let txn = database.begin_read()?;
    let ours = txn.open_table(META)?.get("format")?.is_some_and(|format| format.value() == FORMAT);
    if !ours {
        return Ok(false);
    }
    drop(txn);
    *logged = Some(wal::logged(&database)?);
    let txn = database.begin_read()?;
    let (table, sums) = (txn.open_table(SAVED)?, txn.open_table(SUMS)?);
    let mut whole = true;
    let mut take = |key: &str, value: &[u8]| {
        if !is_summed(key) {
            return;
        }
        let kept = sums.get(key).ok().flatten().is_some_and(|kept| kept.value() == sum(key, value));
        match serde_json::from_slice::<Saved>(value) {
            Ok(saved) if kept => drop(found.insert(saved.key(), saved)),
            _ => whole = false,
        }
    };
    let mut rows = table.iter()?;
    while let Some(row) = if backwards { rows.next_back() } else { rows.next() } {
        let (key, value) = row?;
        take(key.value(), value.value());
    }
    Ok(whole)
}

/// What the log says since.
fn from_log(dir: &Path, logged: u64, found: &mut BTreeMap<SavedKey, Saved>) {
    let Ok(Frames::Follow(frames, ..)) = wal::read(&dir.join(FILE), logged) else { return };
    for (key, value) in frames.into_iter().flat_map(|(_, batch)| batch.saves) {
        match value.map(|value| serde_json::from_slice::<Saved>(&value)) {
            Some(Ok(saved)) => drop(found.insert(saved.key(), saved)),
            Some(Err(_)) => {}
            None => found.retain(|_, saved| encode(saved).is_ok_and(|(kept, _)| kept != key)),
        }
    }
}

fn open(bytes: &[u8]) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    Ok(builder.create_with_backend(in_memory(bytes)?)?)
}
