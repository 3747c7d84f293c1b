//! The writer: commits on a thread of its own, so that a disk that stalls keeps an answer waiting for no
//! longer than [`PATIENCE`].
//!
//! What waits while a commit is under way becomes the next one: saves by their keys, the later value in
//! the earlier one's place, so that there are never more than there are keys; records up to a bound.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{error, warn};

use super::core::Pulse;
use crate::engine::{Happened, Saved, SavedKey};
use crate::history::{Durable, Steps};
use crate::time::Time;
use crate::zone::JournalRow;

/// How long a publish waits for its commit. A healthy disk takes milliseconds; one that takes longer has
/// stalled, and a domain that goes dark is worse than a crash in that very moment that forgets.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// Records that may wait for a commit; further ones are lost, as they are only a record.
const MAX_RECORDS: usize = 65_536;

/// What is to be kept by one commit.
#[derive(Default)]
struct Batch {
    now: Time,
    saves: BTreeMap<SavedKey, Saved>,
    /// By row, the later value in the earlier one's place, so there are never more than two for each step
    /// the journals keep: one that comes, and one that goes.
    steps: Steps,
    records: Vec<Happened>,
    durable: bool,
}

#[derive(Default)]
struct Mailbox {
    waiting: Batch,
    /// Posts so far, and those among them that a commit was tried for.
    posted: u64,
    tried: u64,
    /// The seq after the last commit's records; `None` where it failed.
    next_seq: Option<u64>,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    mailbox: Mutex<Mailbox>,
    changed: Condvar,
}

/// The way to the writer's thread; dropped, it lets the thread finish what waits and end.
pub struct Writer {
    shared: Arc<Shared>,
    pulse: Arc<Pulse>,
}

impl Writer {
    /// Starts the thread; `commit` keeps a batch, whole or not at all, and says which seq the history's next
    /// record will have.
    pub fn start<E: Display>(
        pulse: Arc<Pulse>,
        mut commit: impl FnMut(Time, &[Saved], &Steps, &[Happened], Durable) -> Result<u64, E> + Send + 'static,
    ) -> io::Result<Writer> {
        let shared = Arc::new(Shared::default());
        let (theirs, noted) = (shared.clone(), pulse.clone());
        let body = move || {
            while let Some((batch, upto)) = theirs.next() {
                let saves: Vec<Saved> = batch.saves.into_values().collect();
                let when = if batch.durable { Durable::Now } else { Durable::Later };
                let kept = commit(batch.now, &saves, &batch.steps, &batch.records, when);
                let next_seq = kept.map_err(|e| noted.write_failed(&e.to_string())).ok();
                let mut mailbox = theirs.lock();
                (mailbox.tried, mailbox.next_seq) = (upto, next_seq);
                drop(mailbox);
                theirs.changed.notify_all();
            }
        };
        thread::Builder::new().name("writer".to_owned()).spawn(body)?;
        Ok(Writer { shared, pulse })
    }

    /// Hands over what is to be kept. `Durable::Now` waits for the commit, though not longer than
    /// [`PATIENCE`], and says which seq comes after that of the last record; `None` where that is not known.
    pub fn keep(
        &self,
        now: Time,
        saves: Vec<Saved>,
        steps: Vec<JournalRow>,
        records: Vec<Happened>,
        when: Durable,
    ) -> Option<u64> {
        let mut mailbox = self.shared.lock();
        let waiting = &mut mailbox.waiting;
        waiting.now = now;
        waiting.durable |= when == Durable::Now;
        waiting.saves.extend(saves.into_iter().map(|saved| (saved.key(), saved)));
        for JournalRow { zone, seq, step } in steps {
            waiting.steps.insert((zone.to_string(), seq), step);
        }
        let room = MAX_RECORDS.saturating_sub(waiting.records.len());
        waiting.records.extend(records.into_iter().take(room));
        mailbox.posted += 1;
        drop(mailbox);
        self.shared.changed.notify_all();
        if when == Durable::Later {
            return None;
        }
        if !self.settle(PATIENCE) {
            self.pulse.late_writes.fetch_add(1, Ordering::Relaxed);
            warn!("the state file takes longer than {PATIENCE:?}: answers move before they are kept");
            return None;
        }
        // Nobody but the core hands anything over, so the last commit was this one.
        self.shared.lock().next_seq
    }

    /// Waits until everything handed over was tried; whether it was, in that time.
    pub fn settle(&self, patience: Duration) -> bool {
        let mailbox = self.shared.lock();
        let posted = mailbox.posted;
        let waited = self.shared.changed.wait_timeout_while(mailbox, patience, |m| m.tried < posted);
        let (mailbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        mailbox.tried >= posted
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Mailbox> {
        // Nothing that holds it can panic halfway through a change.
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next batch and the number of posts up to it; `None` at the end.
    fn next(&self) -> Option<(Batch, u64)> {
        let idle = |m: &mut Mailbox| m.tried == m.posted && !m.ended;
        let waited = self.changed.wait_while(self.lock(), idle);
        let mut mailbox = waited.unwrap_or_else(PoisonError::into_inner);
        let posted = mailbox.posted;
        (mailbox.tried < posted).then(|| (std::mem::take(&mut mailbox.waiting), posted))
    }
}

impl Pulse {
    /// How many writes failed so far.
    pub fn write_errors(&self) -> u64 {
        self.write_errors.load(Ordering::Relaxed)
    }

    fn write_failed(&self, why: &str) {
        error!("the state file could not be written, answers move all the same: {why}");
        self.write_errors.fetch_add(1, Ordering::Relaxed);
        *self.write_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::engine::SavedZone;
    use crate::zone::Serial;

    fn save(zone: &str, serial: u32) -> Saved {
        let (published, file) = (Serial(serial), Serial(1));
        let saved = SavedZone { published, file, fingerprint: 0, own_types: None, last_decision: 0 };
        Saved::Zone(zone.parse().unwrap(), Some(saved))
    }

    const RECORD: Happened = Happened::Started { fresh: true };

    #[test]
    fn a_stalled_disk_delays_no_answer_for_long_and_loses_nothing() {
        let (disk, goes_on) = mpsc::channel::<Result<u64, String>>();
        let (kept, seen) = mpsc::channel();
        let pulse = Arc::new(Pulse::default());
        let writer = Writer::start(pulse.clone(), move |now, saves, _: &Steps, records, when| {
            kept.send((now, saves.to_vec(), records.len(), when)).unwrap();
            goes_on.recv().unwrap()
        });
        let writer = writer.unwrap();

        // The disk stalls, and every call returns all the same.
        writer.keep(Time(1), vec![save("a", 1)], vec![], vec![RECORD], Durable::Now);
        writer.keep(Time(2), vec![save("a", 2), save("b", 2)], vec![], vec![RECORD], Durable::Later);
        writer.keep(Time(3), vec![save("a", 3)], vec![], vec![RECORD], Durable::Now);
        assert_eq!(pulse.late_writes.load(Ordering::Relaxed), 2);
        assert!(!writer.settle(Duration::ZERO));

        // It goes on: what waited is one commit, with the last value of each key.
        disk.send(Ok(1)).unwrap();
        assert_eq!(seen.recv().unwrap(), (Time(1), vec![save("a", 1)], 1, Durable::Now));
        disk.send(Err("disk full".to_owned())).unwrap();
        assert_eq!(seen.recv().unwrap(), (Time(3), vec![save("a", 3), save("b", 2)], 2, Durable::Now));
        assert!(writer.settle(Duration::from_secs(60)));
        assert_eq!(pulse.write_errors.load(Ordering::Relaxed), 1);
        assert_eq!(pulse.write_error.lock().unwrap().as_deref(), Some("disk full"));

        // The end finishes what was handed over.
        disk.send(Ok(3)).unwrap();
        disk.send(Ok(4)).unwrap();
        let next = writer.keep(Time(3), vec![], vec![], vec![RECORD], Durable::Now);
        assert_eq!(next, Some(3), "the record has the seq before it");
        assert_eq!(seen.recv().unwrap().0, Time(3));
        writer.keep(Time(4), vec![], vec![], vec![RECORD], Durable::Later);
        drop(writer);
        assert_eq!(seen.recv().unwrap(), (Time(4), vec![], 1, Durable::Later));
        assert!(seen.recv().is_err(), "the thread has ended");
    }
}
