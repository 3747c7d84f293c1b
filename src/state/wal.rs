//! The write-ahead log: a small commit goes here first, by one write and one sync, and into the database together with
//! many others later.
//!
//! ```text
//!   a commit ──► a frame here, synced ──► acknowledged ──► … ──► one commit of the database has all of them
//!                                                                 └─► frames begin again at the start of the file
//! ```
//!
//! A frame is its number, its length, a sum, and what a commit carries. Numbers go on for ever, and the database says up
//! to which one it has all, so what is left of earlier frames is told from those that count. A frame that is torn was not
//! acknowledged. The file has its whole size from the start: a sync writes what is in it, and nothing about it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use redb::{Database, ReadableDatabase};
use tracing::error;

use super::tables::{LAST, LOGGED, META};
use super::unsynced::{Batch, Records, sum, write};
use crate::sys::files::{self, Act};
use crate::time::Time;

/// How large the file is.
pub(super) const SIZE: usize = 1 << 20;
/// The largest frame; a larger commit is one of the database.
pub(super) const MAX_FRAME: usize = SIZE / 4;
/// Number, length and sum.
const HEAD: usize = 8 + 4 + 8;

/// The log of a state file.
#[derive(Debug)]
pub(super) struct Wal {
    path: PathBuf,
    file: File,
    /// Where the next frame goes.
    at: usize,
}

/// What the log of a state file is called.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

impl Wal {
    /// The one of a state file, made where there is none. The database has whatever is in it.
    pub fn open(state: &Path) -> io::Result<Wal> {
        let path = beside(state);
        let what = if path.exists() { Act::Open } else { Act::Create };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = files::act(what, &path, || options.open(&path))?;
        if file.metadata()?.len() < SIZE as u64 {
            let zeros = vec![0; SIZE];
            files::write(&file, &path, Some(0), &zeros, |zeros| file.write_all_at(zeros, 0))?;
            files::act(Act::Sync(&file), &path, || file.sync_all())?;
            files::sync_folder(path.parent().unwrap_or(Path::new("/")))?;
        }
        // What is cached of a file that was written or read at once may be cached in one piece of the file's size, and each
        // frame then counts as if it wrote all of that. A kernel that does not take the advice does no harm.
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        Ok(Wal { path, file, at: 0 })
    }

    /// Whether a frame with this much in it fits.
    pub fn has_room(&self, payload: &[u8]) -> bool {
        HEAD + payload.len() <= MAX_FRAME.min(SIZE - self.at)
    }

    /// Has a frame on the disk when it returns. After an error nobody knows whether it has.
    pub fn append(&mut self, number: u64, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(HEAD + payload.len());
        frame.extend_from_slice(&number.to_le_bytes());
        frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(&sum(&number.to_string(), payload).to_le_bytes());
        frame.extend_from_slice(payload);
        let at = self.at as u64;
        files::write(&self.file, &self.path, Some(at), &frame, |frame| self.file.write_all_at(frame, at))?;
        files::act(Act::Sync(&self.file), &self.path, || self.file.sync_data())?;
        self.at += frame.len();
        Ok(())
    }

    /// Begins again: the database has all that is in it.
    pub fn restart(&mut self) {
        self.at = 0;
    }
}

/// The frames that a database does not have.
pub(super) enum Frames {
    /// Each that comes after `logged`, the number of the last one there is, and whether some before that are damaged: they
    /// were acknowledged, and are lost with all that came after them.
    Follow(Vec<(Time, Batch)>, u64, bool),
    /// They come after others that neither has.
    Apart,
}

/// The number of the last frame that a database has all up to.
pub(super) fn logged(database: &Database) -> Result<u64, redb::Error> {
    number(database, LOGGED)
}

fn number(database: &Database, key: &str) -> Result<u64, redb::Error> {
    let read = database.begin_read()?;
    let number = read.open_table(META)?.get(key)?.and_then(|number| number.value().parse().ok());
    Ok(number.unwrap_or(0))
}

/// What is in the log of a state file after frame `logged`.
pub(super) fn read(state: &Path, logged: u64) -> io::Result<Frames> {
    match fs::read(beside(state)) {
        Ok(bytes) => Ok(frames(&bytes, logged)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Frames::Follow(Vec::new(), logged, false)),
        Err(e) => Err(e),
    }
}

/// Brings what is in the log of a state file into the database. Whether it could: its frames may come after others
/// that neither has.
pub(super) fn replay(database: &Database, state: &Path) -> Result<bool, redb::Error> {
    let before = logged(database)?;
    let Frames::Follow(frames, last, is_damaged) = read(state, before)? else { return Ok(false) };
    if is_damaged {
        let (log, read) = (beside(state), frames.len() as u64);
        let lost = last - before - read;
        error!(
            "{} is damaged: the last {lost} commits in it are lost, {read} before them are read",
            log.display()
        );
    }
    if last > before {
        let now = match frames.last() {
            Some((now, _)) => *now,
            None => Time(number(database, LAST)?),
        };
        let batches: Vec<&Batch> = frames.iter().map(|(_, batch)| batch).collect();
        write(database, now, &batches, true, Some(last))?;
    }
    Ok(true)
}

fn frames(mut bytes: &[u8], logged: u64) -> Frames {
    let (mut found, mut last) = (Vec::new(), None);
    let mut rest = bytes;
    while let Some((number, payload)) = take_frame(&mut bytes) {
        if last.is_some_and(|last: u64| number != last.wrapping_add(1)) {
            break;
        }
        if number > logged {
            if found.is_empty() && number != logged + 1 {
                return Frames::Apart;
            }
            let Some(batch) = decode(payload) else { break };
            found.push(batch);
        }
        (last, rest) = (Some(number), bytes);
    }
    let last = last.unwrap_or(0).max(logged);
    let beyond = last_beyond(rest, last);
    Frames::Follow(found, beyond.unwrap_or(last), beyond.is_some())
}

/// The highest number of the frames that come after one that is torn, and after `last`. What is left of earlier rounds has lower
/// numbers, and nothing comes after a frame that was being written when the process ended.
fn last_beyond(rest: &[u8], last: u64) -> Option<u64> {
    // More there cannot be in a file.
    let possible = last.saturating_add(1)..=last.saturating_add((SIZE / HEAD) as u64);
    let frames = (1..rest.len()).filter_map(|at| {
        let mut bytes = &rest[at..];
        let number = u64::from_le_bytes(*bytes.first_chunk()?);
        possible.contains(&number).then(|| take_frame(&mut bytes))?
    });
    frames.map(|(number, _)| number).max()
}

fn take_frame<'b>(bytes: &mut &'b [u8]) -> Option<(u64, &'b [u8])> {
    let mut rest = *bytes;
    let number = u64::from_le_bytes(*take_chunk(&mut rest)?);
    let length = u32::from_le_bytes(*take_chunk(&mut rest)?) as usize;
    let kept = u64::from_le_bytes(*take_chunk(&mut rest)?);
    let payload = rest.get(..length).filter(|payload| !payload.is_empty())?;
    *bytes = &rest[length..];
    (sum(&number.to_string(), payload) == kept).then_some((number, payload))
}

fn take_chunk<'b, const N: usize>(bytes: &mut &'b [u8]) -> Option<&'b [u8; N]> {
    let (chunk, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(chunk)
}

/// What some commits carry together, the later value in the earlier one's place.
pub(super) fn encode(now: Time, batches: &[&Batch]) -> Vec<u8> {
    let mut out = now.0.to_le_bytes().to_vec();
    for batch in batches {
        for (key, value) in &batch.saves {
            out.push(SAVE);
            put(&mut out, Some(key.as_bytes()));
            put(&mut out, value.as_deref());
        }
        for ((zone, seq), step) in &batch.steps {
            out.push(STEP);
            put(&mut out, Some(zone.as_bytes()));
            out.extend_from_slice(&seq.to_le_bytes());
            put(&mut out, step.as_deref());
        }
        for (tag, records) in [(ENTRY, &batch.entries), (SAMPLE, &batch.samples)] {
            for (seq, record) in records {
                out.push(tag);
                out.extend_from_slice(&seq.to_le_bytes());
                put(&mut out, record.as_deref());
            }
        }
    }
    out
}

const SAVE: u8 = 1;
const STEP: u8 = 2;
const ENTRY: u8 = 3;
const SAMPLE: u8 = 4;
/// In the place of a length: nothing is there.
const NONE: u32 = u32::MAX;

/// What [`encode`] gave; `None` for anything else.
fn decode(mut rest: &[u8]) -> Option<(Time, Batch)> {
    let rest = &mut rest;
    let now = Time(u64::from_le_bytes(*take_chunk(rest)?));
    let mut batch = Batch::default();
    while let Some((&tag, after)) = rest.split_first() {
        *rest = after;
        match tag {
            SAVE => {
                let key = text(take(rest).ok()??)?;
                batch.saves.insert(key, take(rest).ok()?.map(<[u8]>::to_vec));
            }
            STEP => {
                let zone = text(take(rest).ok()??)?;
                let seq = u64::from_le_bytes(*take_chunk(rest)?);
                batch.steps.insert((zone, seq), take(rest).ok()?.map(Into::into));
            }
            ENTRY => take_record(rest, &mut batch.entries)?,
            SAMPLE => take_record(rest, &mut batch.samples)?,
            _ => return None,
        }
    }
    Some((now, batch))
}

fn take_record(rest: &mut &[u8], records: &mut Records) -> Option<()> {
    let seq = u64::from_le_bytes(*take_chunk(rest)?);
    records.push_back((seq, take(rest).ok()?.map(<[u8]>::to_vec)));
    Some(())
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn put(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    out.extend_from_slice(&bytes.map_or(NONE, |bytes| bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// Bytes that are not what [`put`] gave.
struct Torn;

/// What [`put`] gave.
fn take<'b>(rest: &mut &'b [u8]) -> Result<Option<&'b [u8]>, Torn> {
    let length = u32::from_le_bytes(*take_chunk(rest).ok_or(Torn)?);
    if length == NONE {
        return Ok(None);
    }
    let bytes = rest.get(..length as usize).ok_or(Torn)?;
    *rest = &rest[length as usize..];
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::{btree_map, vec};
    use proptest::option::of;
    use proptest::prelude::*;

    use super::*;

    fn batch() -> impl Strategy<Value = Batch> {
        let bytes = || of(vec(any::<u8>(), 0..20));
        let saves = btree_map("[a-z]{1,5}", bytes(), 0..4);
        let step = bytes().prop_map(|step| step.map(|step| step.as_slice().into()));
        let steps = btree_map(("[a-z]{1,5}", any::<u64>()), step, 0..4);
        let records = || vec((any::<u64>(), bytes()), 0..4).prop_map(VecDeque::from);
        (saves, steps, records(), records()).prop_map(|(saves, steps, entries, samples)| Batch {
            saves,
            steps,
            entries,
            samples,
        })
    }

    fn log(batches: &[Batch]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut wal = Wal::open(&state).unwrap();
        for (number, batch) in (1..).zip(batches) {
            wal.append(number, &encode(Time(number), &[batch])).unwrap();
        }
        fs::read(beside(&state)).unwrap()
    }

    /// Frames, the last number, and whether there is damage.
    type Held = (Vec<(Time, Batch)>, u64, bool);

    fn held(bytes: &[u8], logged: u64) -> Option<Held> {
        match frames(bytes, logged) {
            Frames::Follow(frames, last, is_damaged) => Some((frames, last, is_damaged)),
            Frames::Apart => None,
        }
    }

    proptest! {
        /// Each frame comes back that the database does not have; and where bits fell, those before it, as they were.
        #[test]
        fn frames_come_back_as_far_as_they_are_whole(
            batches in vec(batch(), 1..6),
            logged in 0_u64..6,
            damage in of((any::<prop::sample::Index>(), 1..=255_u8)),
        ) {
            let mut bytes = log(&batches);
            let written = batches.iter().map(|batch| HEAD + encode(Time(0), &[batch]).len());
            let ends: Vec<usize> =
                written.scan(0, |end, length| { *end += length; Some(*end) }).collect();
            let mut whole = batches.len();
            if let Some((at, flip)) = damage {
                let at = at.index(ends[batches.len() - 1]);
                bytes[at] ^= flip;
                whole = ends.iter().position(|&end| at < end).unwrap();
            }
            let (found, last, is_damaged) = held(&bytes, logged).unwrap();
            // The last frame may have been torn; one that others come after was whole once.
            let all = batches.len() as u64;
            let was_whole = whole + 1 < batches.len() && all > logged.max(whole as u64);
            prop_assert_eq!(is_damaged, was_whole);
            let want: Vec<(Time, Batch)> = (1..).map(Time).zip(batches).take(whole).skip(logged as usize).collect();
            // Numbers go on after those that are lost, so that what is left of them never counts.
            prop_assert_eq!(last, logged.max(if was_whole { all } else { whole as u64 }));
            prop_assert_eq!(found, want);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
            drop(decode(&bytes));
            drop(frames(&bytes, 0));
        }
    }

    /// After the database has taken all, frames begin at the start again, over those there were.
    #[test]
    fn what_is_left_of_earlier_frames_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut wal = Wal::open(&state).unwrap();
        let payload = |n| encode(Time(n), &[]);
        for number in 1..=3 {
            wal.append(number, &payload(number)).unwrap();
        }
        wal.restart();
        wal.append(4, &payload(4)).unwrap();
        let bytes = fs::read(beside(&state)).unwrap();
        assert_eq!(held(&bytes, 3), Some((vec![(Time(4), Batch::default())], 4, false)));
        assert_eq!(held(&bytes, 4), Some((vec![], 4, false)));
        assert_eq!(held(&bytes, 2), None, "frame 3 is neither here nor in the database");
        assert!(wal.has_room(&vec![0; MAX_FRAME - HEAD]) && !wal.has_room(&vec![0; MAX_FRAME]));
    }
}
