//! The writer: commits on a thread of its own, so that a disk that stalls keeps an answer waiting for no
//! longer than [`COMMIT_TIMEOUT`].
//!
//! What waits while a commit is under way becomes the next one: saves by their keys, the later value in
//! the earlier one's place, so that there are never more than there are keys; records up to a bound.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::warn;

use super::store::{Durable, Store, Undo};
use super::unsynced::Steps;
use super::{RETRY_AFTER, StoreError};
use crate::engine::{Happened, Saved, SavedKey};
use crate::sys::clock::Clock;
use crate::time::Time;
use crate::zone::JournalRow;

/// How long a publish waits for its commit. A healthy disk takes milliseconds; one that takes longer has
/// stalled, and a domain that goes dark is worse than a crash in that very moment that forgets.
pub const COMMIT_TIMEOUT: Duration = Duration::from_millis(250);
/// Records that may wait for a commit; further ones are lost, as they are only a record.
const MAX_RECORDS: usize = 65_536;

/// What the writer writes to.
pub trait Disk: Send + 'static {
    /// The time.
    fn now(&self) -> Time;
    /// See [`Store::commit_with`].
    fn keep(
        &mut self,
        now: Time,
        saves: &[Saved],
        steps: &Steps,
        records: &[Happened],
        when: Durable,
    ) -> Result<u64, StoreError>;
    /// See [`Store::promise`].
    fn promise(
        &mut self,
        now: Time,
        saves: &[Saved],
        steps: &Steps,
        records: &[Happened],
    ) -> Result<(u64, Undo), StoreError>;
    /// See [`Store::take_back`].
    fn take_back(&mut self, now: Time, undo: Undo) -> Result<(), StoreError>;
    /// The history has more entries.
    fn grew(&self);
}

/// Who is told how writes went.
pub trait WriteObserver: Send + Sync + 'static {
    /// One has ended, well where nothing failed. Whoever waits for it does not know yet.
    fn wrote(&self, now: Time, failed: Option<&StoreError>);
    /// A publish went ahead of its commit.
    fn late(&self);
}

/// The state file, and who is told that the history grew.
pub struct StateDisk<F> {
    /// Says when something is written that is tried again.
    pub clock: Clock,
    /// The file.
    pub store: Arc<Store>,
    /// Called when the history has more entries.
    pub grew: F,
}

impl<F: Fn() + Send + 'static> Disk for StateDisk<F> {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn keep(
        &mut self,
        now: Time,
        saves: &[Saved],
        steps: &Steps,
        records: &[Happened],
        when: Durable,
    ) -> Result<u64, StoreError> {
        self.store.commit_with(now, saves, steps, records, when)
    }

    fn promise(
        &mut self,
        now: Time,
        saves: &[Saved],
        steps: &Steps,
        records: &[Happened],
    ) -> Result<(u64, Undo), StoreError> {
        self.store.promise(now, saves, steps, records)
    }

    fn take_back(&mut self, now: Time, undo: Undo) -> Result<(), StoreError> {
        self.store.take_back(now, undo)
    }

    fn grew(&self) {
        (self.grew)();
    }
}

/// What is kept together.
#[derive(Default)]
pub struct Whole {
    /// Values.
    pub saves: Vec<Saved>,
    /// Rows of the journals.
    pub steps: Vec<JournalRow>,
    /// What the history is told.
    pub records: Vec<Happened>,
}

/// Why nothing of a promise is kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    /// The disk says no.
    #[error("{0}")]
    Refused(String),
    /// It did not answer in time; whatever it keeps of it is taken back.
    #[error("the state file took longer than {0:?}")]
    Late(Duration),
}

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

/// What somebody waits for, to be on the disk or nowhere; one at a time.
#[derive(Default)]
enum Promise {
    #[default]
    None,
    Waiting(Time, Whole),
    /// The disk has it in hand; `true` while somebody waits.
    Tried(bool),
    Done(Result<u64, String>),
}

#[derive(Default)]
struct Mailbox {
    waiting: Batch,
    promise: Promise,
    /// Posts so far, and those among them that a commit was tried for.
    posted: u64,
    tried: u64,
    /// The seq after the last commit's records; `None` where it failed.
    next_seq: Option<u64>,
    /// The last commit failed: what it was to keep is not on the disk.
    behind: bool,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    mailbox: Mutex<Mailbox>,
    changed: Condvar,
}

/// What the thread does next.
enum Work {
    /// A batch, and the number of posts up to it.
    Keep(Batch, u64),
    Promise(Time, Whole),
    /// What failed before.
    Again,
}

/// The way to the writer's thread; dropped, it lets the thread finish what waits and end.
pub struct Writer {
    shared: Arc<Shared>,
    observer: Arc<dyn WriteObserver>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(observer: Arc<dyn WriteObserver>, mut disk: impl Disk) -> io::Result<Writer> {
        let shared = Arc::new(Shared::default());
        let (theirs, noted) = (shared.clone(), observer.clone());
        let body = move || {
            while let Some(work) = theirs.next() {
                // The trouble is known before anybody hears of the outcome.
                match work {
                    Work::Keep(batch, upto) => {
                        let saves: Vec<Saved> = batch.saves.into_values().collect();
                        let when = if batch.durable { Durable::Now } else { Durable::Later };
                        let kept = disk.keep(batch.now, &saves, &batch.steps, &batch.records, when);
                        tell_growth(&disk, &batch.records);
                        noted.wrote(disk.now(), kept.as_ref().err());
                        let mut mailbox = theirs.lock();
                        (mailbox.tried, mailbox.behind) = (upto, kept.is_err());
                        mailbox.next_seq = kept.ok();
                    }
                    Work::Again => {
                        let kept = disk.keep(disk.now(), &[], &Steps::new(), &[], Durable::Now);
                        noted.wrote(disk.now(), kept.as_ref().err());
                        theirs.lock().behind = kept.is_err();
                    }
                    Work::Promise(now, Whole { saves, steps, records }) => {
                        let kept = disk.promise(now, &saves, &by_row(steps), &records);
                        noted.wrote(disk.now(), kept.as_ref().err());
                        let is_kept = kept.is_ok();
                        let late = theirs.promised(kept);
                        if is_kept && late.is_none() {
                            tell_growth(&disk, &records);
                        }
                        if let Some(undo) = late {
                            let undone = disk.take_back(disk.now(), undo);
                            noted.wrote(disk.now(), undone.as_ref().err());
                            let mut mailbox = theirs.lock();
                            (mailbox.promise, mailbox.behind) = (Promise::None, undone.is_err());
                        }
                    }
                }
                theirs.changed.notify_all();
            }
        };
        thread::Builder::new().name("writer".to_owned()).spawn(body)?;
        Ok(Writer { shared, observer })
    }

    /// Hands over what is to be kept. `Durable::Now` waits for the commit, though not longer than
    /// [`COMMIT_TIMEOUT`], and says which seq comes after that of the last record; `None` where that is not known.
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
        waiting.steps.extend(by_row(steps));
        let room = MAX_RECORDS.saturating_sub(waiting.records.len());
        waiting.records.extend(records.into_iter().take(room));
        mailbox.posted += 1;
        drop(mailbox);
        self.shared.changed.notify_all();
        if when == Durable::Later {
            return None;
        }
        if !self.settle(COMMIT_TIMEOUT) {
            self.observer.late();
            warn!("the state file takes longer than {COMMIT_TIMEOUT:?}: answers move before they are kept");
            return None;
        }
        // Nobody but the core hands anything over, so the last commit was this one.
        self.shared.lock().next_seq
    }

    /// Has all of it on the disk before it returns, after all that was handed over before; or nothing of it: a restart
    /// does not bring it back either. Blocking, not longer than `patience`. With nothing to keep it tells whether the disk
    /// takes anything. Which seq comes after that of the last record.
    pub fn promise(&self, now: Time, whole: Whole, patience: Duration) -> Result<u64, Unkept> {
        let mut mailbox = self.shared.lock();
        if !matches!(mailbox.promise, Promise::None) {
            return Err(Unkept::Refused("the state file still does not answer".to_owned()));
        }
        mailbox.promise = Promise::Waiting(now, whole);
        self.shared.changed.notify_all();
        let open = |m: &mut Mailbox| !matches!(m.promise, Promise::Done(_));
        let waited = self.shared.changed.wait_timeout_while(mailbox, patience, open);
        let (mut mailbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut mailbox.promise) {
            Promise::Done(done) => done.map_err(Unkept::Refused),
            late => {
                // What the disk has in hand is taken back by whoever has it.
                if matches!(late, Promise::Tried(_)) {
                    mailbox.promise = Promise::Tried(false);
                }
                Err(Unkept::Late(patience))
            }
        }
    }

    /// Waits until nothing is left of a promise that came too late; whether that is so, in that time.
    pub fn is_free(&self, patience: Duration) -> bool {
        self.wait(self.shared.lock(), patience, |m| matches!(m.promise, Promise::None))
    }

    /// Waits until everything handed over was tried; whether it was, in that time.
    pub fn settle(&self, patience: Duration) -> bool {
        let mailbox = self.shared.lock();
        let posted = mailbox.posted;
        self.wait(mailbox, patience, |m| m.tried >= posted)
    }

    /// Waits until everything handed over is on the disk; whether it is, in that time.
    pub fn flush(&self, patience: Duration) -> bool {
        let mailbox = self.shared.lock();
        let posted = mailbox.posted;
        self.wait(mailbox, patience, |m| m.tried >= posted && !m.behind)
    }

    fn wait(
        &self,
        mailbox: MutexGuard<'_, Mailbox>,
        patience: Duration,
        until: impl Fn(&Mailbox) -> bool,
    ) -> bool {
        let waited = self.shared.changed.wait_timeout_while(mailbox, patience, |m| !until(m));
        let (mailbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        until(&mailbox)
    }
}

/// By row, the later value in the earlier one's place.
fn by_row(rows: Vec<JournalRow>) -> Steps {
    rows.into_iter().map(|JournalRow { zone, seq, step }| ((zone.to_string(), seq), step)).collect()
}

/// Samples are no entries that anybody waits for.
fn tell_growth(disk: &impl Disk, records: &[Happened]) {
    if records.iter().any(|what| !matches!(what, Happened::Sample(_))) {
        disk.grew();
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

    /// Tells who waits for a promise how it went. What is to be taken back, for nobody waits any more.
    fn promised(&self, kept: Result<(u64, Undo), StoreError>) -> Option<Undo> {
        let mut mailbox = self.lock();
        mailbox.behind = kept.is_err();
        let waits = matches!(mailbox.promise, Promise::Tried(true));
        match kept {
            Ok((_, undo)) if !waits => return Some(undo),
            Err(_) if !waits => mailbox.promise = Promise::None,
            kept => {
                mailbox.promise = Promise::Done(kept.map(|(next, _)| next).map_err(|why| why.to_string()));
            }
        }
        None
    }

    /// What to do next; `None` at the end. What failed is tried again, though nothing new came.
    fn next(&self) -> Option<Work> {
        let idle =
            |m: &mut Mailbox| m.tried == m.posted && !matches!(m.promise, Promise::Waiting(..)) && !m.ended;
        let mailbox = self.lock();
        let mut mailbox = if mailbox.behind {
            let waited = self.changed.wait_timeout_while(mailbox, RETRY_AFTER, idle);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            self.changed.wait_while(mailbox, idle).unwrap_or_else(PoisonError::into_inner)
        };
        // What was handed over before comes before a promise: both may be of the same keys.
        if mailbox.tried < mailbox.posted {
            return Some(Work::Keep(std::mem::take(&mut mailbox.waiting), mailbox.posted));
        }
        match std::mem::take(&mut mailbox.promise) {
            Promise::Waiting(now, whole) => {
                mailbox.promise = Promise::Tried(true);
                Some(Work::Promise(now, whole))
            }
            other => {
                mailbox.promise = other;
                (!mailbox.ended).then_some(Work::Again)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::dns::Serial;
    use crate::engine::SavedZone;

    fn save(zone: &str, serial: u32) -> Saved {
        let (published, file) = (Serial(serial), Serial(1));
        let saved = SavedZone { published, file, fingerprint: 0, own_types: None, last_decision: 0 };
        Saved::Zone(zone.parse().unwrap(), Some(saved))
    }

    const RECORD: Happened = Happened::Started { fresh: true };

    /// How writes went.
    #[derive(Default)]
    struct Noted {
        failed: AtomicU64,
        late: AtomicU64,
        in_trouble: AtomicBool,
    }

    impl Noted {
        /// How many failed, how many came late, and whether the last one failed.
        fn counts(&self) -> (u64, u64, bool) {
            let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
            (count(&self.failed), count(&self.late), self.in_trouble.load(Ordering::Relaxed))
        }
    }

    impl WriteObserver for Noted {
        fn wrote(&self, _: Time, failed: Option<&StoreError>) {
            self.failed.fetch_add(u64::from(failed.is_some()), Ordering::Relaxed);
            self.in_trouble.store(failed.is_some(), Ordering::Relaxed);
        }

        fn late(&self) {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a disk was asked for.
    type Asked = (Time, Vec<Saved>, usize, Durable);

    /// A disk that asks a test what to answer.
    struct Slow {
        goes_on: mpsc::Receiver<Result<u64, String>>,
        kept: mpsc::Sender<Asked>,
    }

    impl Slow {
        fn ask(&self, asked: Asked) -> Result<u64, StoreError> {
            self.kept.send(asked).unwrap();
            self.goes_on.recv().unwrap().map_err(StoreError::Saved)
        }
    }

    impl Disk for Slow {
        fn now(&self) -> Time {
            Time(99)
        }

        fn keep(
            &mut self,
            now: Time,
            saves: &[Saved],
            _: &Steps,
            records: &[Happened],
            when: Durable,
        ) -> Result<u64, StoreError> {
            self.ask((now, saves.to_vec(), records.len(), when))
        }

        fn promise(
            &mut self,
            now: Time,
            saves: &[Saved],
            _: &Steps,
            records: &[Happened],
        ) -> Result<(u64, Undo), StoreError> {
            self.ask((now, saves.to_vec(), records.len(), Durable::Now)).map(|next| (next, Undo::default()))
        }

        fn take_back(&mut self, now: Time, _: Undo) -> Result<(), StoreError> {
            self.ask((now, vec![], 0, Durable::Now)).map(drop)
        }

        fn grew(&self) {}
    }

    fn whole(saves: &[Saved]) -> Whole {
        Whole { saves: saves.to_vec(), ..Whole::default() }
    }

    fn slow() -> (mpsc::Sender<Result<u64, String>>, mpsc::Receiver<Asked>, Slow) {
        let (disk, goes_on) = mpsc::channel();
        let (kept, seen) = mpsc::channel();
        (disk, seen, Slow { goes_on, kept })
    }

    #[test]
    fn a_promise_that_nobody_waited_for_is_taken_back() {
        let (disk, seen, slow) = slow();
        let writer = Writer::start(Arc::<Noted>::default(), slow).unwrap();
        let late = writer.promise(Time(1), whole(&[save("a", 1)]), Duration::from_millis(300)).unwrap_err();
        assert_eq!(late, Unkept::Late(Duration::from_millis(300)));
        // It may not have begun; then there is nothing to take back.
        if let Ok(asked) = seen.recv_timeout(Duration::from_secs(1)) {
            assert_eq!(asked, (Time(1), vec![save("a", 1)], 0, Durable::Now));
            assert!(
                writer.promise(Time(2), whole(&[]), Duration::ZERO).is_err(),
                "the disk still has it in hand"
            );
            disk.send(Ok(0)).unwrap();
            assert_eq!(seen.recv().unwrap(), (Time(99), vec![], 0, Durable::Now), "taken back");
            disk.send(Ok(0)).unwrap();
        }
        disk.send(Ok(0)).unwrap();
        assert!(writer.is_free(Duration::from_secs(60)));
        let again = writer.promise(Time(3), whole(&[save("a", 3)]), Duration::from_secs(60));
        assert_eq!((again, seen.recv().unwrap().0), (Ok(0), Time(3)));
    }

    #[test]
    fn what_failed_is_tried_again_until_it_is_on_the_disk() {
        let (disk, seen, slow) = slow();
        let noted = Arc::<Noted>::default();
        let writer = Writer::start(noted.clone(), slow).unwrap();
        for answer in [Err("disk full"), Err("disk full"), Ok(1)] {
            disk.send(answer.map_err(str::to_owned)).unwrap();
        }
        writer.keep(Time(1), vec![save("a", 1)], vec![], vec![], Durable::Later);
        assert!(writer.flush(Duration::from_secs(60)));
        assert_eq!(
            (seen.recv().unwrap().0, seen.recv().unwrap().0, seen.recv().unwrap().0),
            (Time(1), Time(99), Time(99))
        );
        assert_eq!(noted.counts(), (2, 0, false));
    }

    #[test]
    fn a_stalled_disk_delays_no_answer_for_long_and_loses_nothing() {
        let (disk, seen, slow) = slow();
        let noted = Arc::<Noted>::default();
        let writer = Writer::start(noted.clone(), slow).unwrap();

        // The disk stalls, and every call returns all the same.
        writer.keep(Time(1), vec![save("a", 1)], vec![], vec![RECORD], Durable::Now);
        writer.keep(Time(2), vec![save("a", 2), save("b", 2)], vec![], vec![RECORD], Durable::Later);
        writer.keep(Time(3), vec![save("a", 3)], vec![], vec![RECORD], Durable::Now);
        assert_eq!(noted.counts(), (0, 2, false));
        assert!(!writer.settle(Duration::ZERO));

        // It goes on: what waited is one commit, with the last value of each key.
        disk.send(Ok(1)).unwrap();
        assert_eq!(seen.recv().unwrap(), (Time(1), vec![save("a", 1)], 1, Durable::Now));
        disk.send(Err("disk full".to_owned())).unwrap();
        assert_eq!(seen.recv().unwrap(), (Time(3), vec![save("a", 3), save("b", 2)], 2, Durable::Now));
        assert!(writer.settle(Duration::from_secs(60)));
        // It is tried again, and then it is well.
        disk.send(Ok(2)).unwrap();
        assert!(writer.flush(Duration::from_secs(60)));
        assert_eq!(seen.recv().unwrap(), (Time(99), vec![], 0, Durable::Now));
        assert_eq!(noted.counts(), (1, 2, false));

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
