//! The checks that are being run, and which of them is due. `now` is an argument; nothing here waits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::run::Runner;
use super::schedule::Schedule;
use crate::config::{Check, CheckKey};
use crate::engine::Pace;
use crate::time::Time;

/// Intervals without a sample after which a check counts as stalled.
const STALLED_INTERVALS: u32 = 3;

/// What identifies a check from its start to its removal; never used again, so that the run of a check
/// that was removed or changed cannot be taken for its successor's.
pub(super) type Id = u64;

/// Every check, and the queue of those that wait. Both are bounded by the configuration.
#[derive(Debug, Default)]
pub(super) struct Table {
    ids: HashMap<CheckKey, Id>,
    entries: HashMap<Id, Entry>,
    /// Those that wait, soonest first; a check under way is not in it.
    queue: BTreeSet<(Time, Id)>,
    last_id: Id,
}

#[derive(Debug)]
struct Entry {
    check: Check,
    runner: Arc<Runner>,
    schedule: Schedule,
    /// The run under way.
    run: Option<AbortHandle>,
    /// When the last sample was handed over, or when the check was taken up.
    sampled: Time,
}

impl Table {
    /// Makes `checks`, each once, the ones that are run. Those that stay as they are go on undisturbed; a run under
    /// way of one that goes, or changes, is broken off.
    pub(super) fn set(&mut self, checks: Vec<Check>, now: Time, runner: impl Fn(&Check) -> Runner) {
        let mut staying = HashMap::with_capacity(checks.len());
        for check in checks {
            let unchanged = |id: &Id| self.entries.get(id).is_some_and(|entry| entry.check == check);
            let same = self.ids.get(&check.key).copied().filter(unchanged);
            let id = same.unwrap_or_else(|| {
                let (runner, schedule) = (Arc::new(runner(&check)), Schedule::new(&check, now));
                self.last_id += 1;
                let entry = Entry { check: check.clone(), runner, schedule, run: None, sampled: now };
                self.entries.insert(self.last_id, entry);
                self.queue.insert((now, self.last_id));
                self.last_id
            });
            staying.insert(check.key, id);
        }
        for (key, id) in std::mem::replace(&mut self.ids, staying) {
            if self.ids.get(&key) != Some(&id) {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: Id) {
        if let Some(entry) = self.entries.remove(&id) {
            if let Some(due) = entry.schedule.due() {
                self.queue.remove(&(due, id));
            }
            if let Some(run) = entry.run {
                run.abort();
            }
        }
    }

    /// When the next check is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.queue.first().map(|&(due, _)| due)
    }

    /// Starts the checks that are due, the longest overdue first, `max` at most.
    pub(super) fn start(&mut self, now: Time, max: usize) -> Vec<(Id, Arc<Runner>)> {
        let mut started = Vec::new();
        while started.len() < max
            && let Some(&(due, id)) = self.queue.first()
            && due <= now
        {
            self.queue.pop_first();
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.schedule.start(now);
                started.push((id, entry.runner.clone()));
            }
        }
        started
    }

    /// The run of a started check, to break it off by; at once where the check has gone meanwhile.
    pub(super) fn attach(&mut self, id: Id, run: AbortHandle) {
        match self.entries.get_mut(&id) {
            Some(entry) => entry.run = Some(run),
            None => run.abort(),
        }
    }

    /// A run is over; `sampled` when its sample was handed over.
    pub(super) fn end(&mut self, id: Id, now: Time, sampled: bool) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.schedule.end(now);
            entry.run = None;
            if sampled {
                entry.sampled = now;
            }
            self.queue.extend(entry.schedule.due().map(|due| (due, id)));
        }
    }

    /// Has a check run now; an unknown check is none of ours any more.
    pub(super) fn hasten(&mut self, key: &CheckKey, now: Time) {
        self.reschedule(key, |schedule| schedule.hasten(now));
    }

    /// Changes a check's pace; an unknown check is none of ours any more.
    pub(super) fn pace(&mut self, key: &CheckKey, pace: Pace, now: Time) {
        self.reschedule(key, |schedule| schedule.set_pace(pace, now));
    }

    fn reschedule(&mut self, key: &CheckKey, change: impl FnOnce(&mut Schedule)) {
        let Some(&id) = self.ids.get(key) else { return };
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(due) = entry.schedule.due() {
            self.queue.remove(&(due, id));
        }
        change(&mut entry.schedule);
        self.queue.extend(entry.schedule.due().map(|due| (due, id)));
    }

    /// The checks that have given no sample for three intervals, in a stable order.
    pub(super) fn stalled(&self, now: Time) -> Vec<CheckKey> {
        let stalled =
            |entry: &&Entry| now.since(entry.sampled) > entry.check.probe.interval * STALLED_INTERVALS;
        let mut keys: Vec<CheckKey> =
            self.entries.values().filter(stalled).map(|entry| entry.check.key.clone()).collect();
        keys.sort_unstable();
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{check, tcp_probe};
    use super::super::tls::Trust;
    use super::*;
    use crate::config::Probe;
    use crate::health::Vantage;

    const ONE: [u8; 4] = [127, 0, 0, 1];
    const TWO: [u8; 4] = [127, 0, 0, 2];

    fn set(table: &mut Table, checks: &[Check], now: u64) {
        table.set(checks.to_vec(), Time(now), |check| {
            Runner::new(check.clone(), Trust::of_host(), Vantage::local())
        });
    }

    fn started(table: &mut Table, now: u64) -> Vec<Id> {
        table.start(Time(now), usize::MAX).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn a_check_is_started_once_until_it_ends() {
        let probe = tcp_probe("web", 1);
        let mut table = Table::default();
        set(&mut table, &[check(&probe, ONE), check(&probe, TWO)], 1000);
        assert_eq!(table.next_due(), Some(Time(1000)));
        assert_eq!(started(&mut table, 1000), [1, 2]);
        assert_eq!(started(&mut table, 900_000), [] as [Id; 0], "both are under way");
        table.end(1, Time(1010), true);
        assert_eq!(started(&mut table, 900_000), [1]);
    }

    #[test]
    fn no_more_are_started_than_asked_and_the_longest_overdue_first() {
        let probe = tcp_probe("web", 1);
        let mut table = Table::default();
        set(&mut table, &[check(&probe, ONE)], 1000);
        set(&mut table, &[check(&probe, ONE), check(&probe, TWO)], 2000);
        let first: Vec<Id> = table.start(Time(3000), 1).into_iter().map(|(id, _)| id).collect();
        assert_eq!(first, [1]);
        assert_eq!(table.next_due(), Some(Time(2000)));
    }

    #[test]
    fn set_disturbs_only_what_changes() {
        let probe = tcp_probe("web", 1);
        let slower = Arc::new(Probe { interval: Duration::from_secs(9), ..(*probe).clone() });
        let mut table = Table::default();
        set(&mut table, &[check(&probe, ONE), check(&probe, TWO)], 1000);
        started(&mut table, 1000);
        table.end(1, Time(1005), true);
        let due = table.next_due();
        // An equal probe, though not the same allocation, is no change.
        let equal = Arc::new((*probe).clone());
        set(&mut table, &[check(&equal, ONE), check(&equal, TWO)], 1100);
        assert_eq!(table.next_due(), due, "its next run stays where it was");
        set(&mut table, &[check(&probe, ONE), check(&slower, TWO)], 1200);
        assert_eq!(table.next_due(), Some(Time(1200)), "the changed one starts anew, at once");
        assert_eq!(started(&mut table, 1200), [3]);
        table.end(2, Time(1201), true); // its predecessor's run is nobody's now
        set(&mut table, &[check(&slower, TWO)], 1300);
        assert_eq!(table.next_due(), None, "one is removed, the other under way");
        set(&mut table, &[], 1400);
        table.end(3, Time(1401), true);
        assert_eq!((table.next_due(), table.entries.len(), table.ids.len()), (None, 0, 0));
    }

    #[test]
    fn pace_pulls_a_waiting_run_forward() {
        let probe = tcp_probe("web", 1);
        let mut table = Table::default();
        let key = check(&probe, ONE).key;
        table.pace(&key, Pace::Confirm, Time(1)); // unknown: nothing happens
        set(&mut table, &[check(&probe, ONE)], 1000);
        started(&mut table, 1000);
        table.end(1, Time(1010), true);
        let normal = table.next_due();
        table.pace(&key, Pace::Confirm, Time(1020));
        assert_eq!(table.next_due(), Some(Time(1000) + probe.confirm));
        table.pace(&key, Pace::Normal, Time(1030));
        assert_eq!(table.next_due(), normal);
        assert_eq!(table.queue.len(), 1);
    }

    #[test]
    fn a_check_without_samples_for_three_intervals_is_stalled() {
        let probe = tcp_probe("web", 1);
        let mut table = Table::default();
        set(&mut table, &[check(&probe, ONE), check(&probe, TWO)], 1000);
        started(&mut table, 1000);
        let three = u64::try_from(probe.interval.as_millis()).unwrap() * 3;
        assert_eq!(table.stalled(Time(1000 + three)), []);
        table.end(1, Time(1500), true);
        table.end(2, Time(1500), false); // it ended, but nobody took its sample
        assert_eq!(table.stalled(Time(1001 + three)), [check(&probe, TWO).key]);
        assert_eq!(table.stalled(Time(1501 + three)).len(), 2);
    }
}
