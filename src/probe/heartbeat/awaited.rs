//! Which beats are awaited, and until when. `now` is an argument; nothing here waits.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::model::{Check, CheckKey};
use crate::time::Time;

/// Beats of one endpoint that come sooner after one another are refused: each is a record in the history.
pub const MIN_GAP: Duration = Duration::from_millis(100);

/// The last beat of the same check was less than [`MIN_GAP`] ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the last beat came less than {MIN_GAP:?} ago")]
pub struct TooSoon;

/// Every heartbeat check; bounded by the configuration.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    entries: HashMap<CheckKey, Entry>,
    /// Soonest first.
    queue: BTreeSet<(Time, CheckKey)>,
}

#[derive(Debug)]
struct Entry {
    check: Check,
    /// The last beat, or when waiting began.
    since: Time,
    /// When this wait began: the last beat, or the last time one was missed.
    from: Time,
    due: Time,
    /// The last beat that was taken, if there was one.
    beat: Option<Time>,
}

/// A beat that did not come.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub check: CheckKey,
    /// For how long there has been none.
    pub silence: Duration,
    /// How long this process stood still, where that may be why.
    pub stalled: Option<Duration>,
}

impl Entry {
    fn wait(&mut self, now: Time) {
        (self.since, self.from) = (now, now);
        self.due = now + self.check.probe.interval + self.check.probe.timeout;
    }
}

impl Awaited {
    pub(super) fn set(&mut self, checks: Vec<Check>, now: Time) {
        let mut before = std::mem::take(&mut self.entries);
        self.queue.clear();
        for check in checks {
            let same = before.remove(&check.key).filter(|entry| entry.check == check);
            let entry = same.unwrap_or_else(|| {
                let mut entry = Entry { check: check.clone(), since: now, from: now, due: now, beat: None };
                entry.wait(now);
                entry
            });
            self.queue.insert((entry.due, check.key.clone()));
            self.entries.insert(check.key, entry);
        }
    }

    /// A beat came; whether anybody waits for it.
    pub(super) fn beat(&mut self, check: &CheckKey, now: Time) -> Result<bool, TooSoon> {
        let Some(entry) = self.entries.get_mut(check) else { return Ok(false) };
        if entry.beat.is_some_and(|last| now.since(last) < MIN_GAP) {
            return Err(TooSoon);
        }
        self.queue.remove(&(entry.due, check.clone()));
        entry.beat = Some(now);
        entry.wait(now);
        self.queue.insert((entry.due, check.clone()));
        Ok(true)
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        self.queue.first().map(|&(due, _)| due)
    }

    /// The beat that is overdue longest. `stalled` tells, of a wait's beginning, its end and the interval,
    /// how long this process stood still where that may be why.
    pub(super) fn missed(
        &mut self,
        now: Time,
        stalled: impl FnOnce(Time, Time, Duration) -> Option<Duration>,
    ) -> Option<Missed> {
        if self.next_due()? > now {
            return None;
        }
        let (due, check) = self.queue.pop_first()?;
        let entry = self.entries.get_mut(&check)?;
        let interval = entry.check.probe.interval;
        let missed = Missed {
            check: check.clone(),
            silence: now.since(entry.since),
            stalled: stalled(entry.from, due, interval),
        };
        if missed.stalled.is_some() {
            entry.wait(now);
        } else {
            entry.from = due;
            // At least one interval ahead of a timer that was late, so that it is not missed twice at once.
            entry.due = (due + interval).max(now + interval / 2);
        }
        self.queue.insert((entry.due, check));
        Some(missed)
    }

    /// For how long a beat is overdue that nobody has missed.
    pub(super) fn idle(&self, now: Time) -> Duration {
        self.next_due().map_or(Duration::ZERO, |due| now.since(due))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Probe, ProbeKind};
    use crate::probe::tests::{check, tcp_probe};

    /// Every 5 s, with 2 s of grace.
    fn heartbeat(addr: [u8; 4]) -> Check {
        let probe = Probe { kind: ProbeKind::Heartbeat, ..(*tcp_probe("beat", 0)).clone() };
        check(&Arc::new(probe), addr)
    }

    const ONE: [u8; 4] = [127, 0, 0, 1];
    const TWO: [u8; 4] = [127, 0, 0, 2];

    /// How many milliseconds of silence are missed at this time, if any.
    fn missed(awaited: &mut Awaited, now: u64) -> Option<u128> {
        awaited.missed(Time(now), |_, _, _| None).map(|missed| missed.silence.as_millis())
    }

    #[test]
    fn each_interval_without_a_beat_is_missed_once() {
        let one = heartbeat(ONE);
        let mut awaited = Awaited::default();
        awaited.set(vec![one.clone()], Time(1000));
        assert_eq!(awaited.next_due(), Some(Time(8000)), "interval and grace after the start");
        assert_eq!(missed(&mut awaited, 7999), None);
        assert_eq!(missed(&mut awaited, 8000), Some(7000));
        assert_eq!(missed(&mut awaited, 8000), None);
        assert_eq!(missed(&mut awaited, 13_000), Some(12_000), "an interval later, with no further grace");
        assert_eq!(awaited.beat(&one.key, Time(14_000)), Ok(true));
        assert_eq!(awaited.next_due(), Some(Time(21_000)));
        assert_eq!(missed(&mut awaited, 21_000), Some(7000), "silence counts from the beat");
    }

    #[test]
    fn beats_come_no_faster_than_allowed() {
        let one = heartbeat(ONE);
        let mut awaited = Awaited::default();
        awaited.set(vec![one.clone()], Time(1000));
        assert_eq!(awaited.beat(&one.key, Time(1001)), Ok(true), "the first may come at once");
        assert_eq!(awaited.beat(&one.key, Time(1100)), Err(TooSoon));
        assert_eq!(awaited.beat(&one.key, Time(1101)), Ok(true));
        assert_eq!(awaited.beat(&heartbeat(TWO).key, Time(1102)), Ok(false), "nobody waits for that one");
    }

    #[test]
    fn after_a_stall_the_wait_begins_anew() {
        let mut awaited = Awaited::default();
        awaited.set(vec![heartbeat(ONE)], Time(0));
        let missed = awaited.missed(Time(60_000), |from, due, interval| {
            assert_eq!((from, due, interval), (Time(0), Time(7000), Duration::from_secs(5)));
            Some(Duration::from_secs(53))
        });
        assert_eq!(missed.unwrap().stalled, Some(Duration::from_secs(53)));
        assert_eq!(awaited.next_due(), Some(Time(67_000)));
    }

    #[test]
    fn a_reload_disturbs_only_what_changes() {
        let (one, two) = (heartbeat(ONE), heartbeat(TWO));
        let mut awaited = Awaited::default();
        awaited.set(vec![one.clone(), two.clone()], Time(0));
        awaited.set(vec![one.clone()], Time(3000));
        assert_eq!((awaited.next_due(), awaited.queue.len()), (Some(Time(7000)), 1));
        let mut slower = one;
        Arc::make_mut(&mut slower.probe).interval = Duration::from_secs(9);
        awaited.set(vec![slower, two], Time(4000));
        assert_eq!(awaited.next_due(), Some(Time(11_000)), "a new one, from now on");
        assert_eq!(awaited.queue.len(), 2);
    }

    #[test]
    fn a_beat_that_nobody_misses_is_noticed() {
        let one = heartbeat(ONE);
        let mut awaited = Awaited::default();
        assert_eq!(awaited.idle(Time(9_000)), Duration::ZERO);
        awaited.set(vec![one], Time(0));
        let due = awaited.next_due().unwrap();
        assert_eq!(awaited.idle(due), Duration::ZERO);
        assert_eq!(awaited.idle(due + Duration::from_secs(40)), Duration::from_secs(40));
    }
}
