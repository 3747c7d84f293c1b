//! The checks that are being run, and which of them is due. `now` is an argument; nothing here waits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::run::Runner;
use super::schedule::Schedule;
use crate::engine::Pace;
use crate::model::{Check, CheckKey};
use crate::time::Time;

/// What identifies a check from its start to its removal; never used again, so that the run of a check
/// that was removed or changed cannot be taken for its successor's.
pub(super) type Id = u64;

/// A run that took this long is a slow one: black holes, and what is on its way to be one.
const SLOW: Duration = Duration::from_millis(500);

/// Every check, and the queues of those that wait. All are bounded by the configuration.
///
/// A check under way is in no queue. Those whose last run was quick go first: they have a share of the runs
/// that no slow target can take, and no crowd of new checks is ahead of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    ids: HashMap<CheckKey, Id>,
    entries: HashMap<Id, Entry>,
    /// Those that wait, by [`Manner`], soonest first.
    queues: [BTreeSet<(Time, Id)>; 3],
    /// Runs under way that count against the share of the slow.
    slow_runs: usize,
    /// Until when whoever starts runs sleeps, and whether for want of room: then each end is of interest.
    sleeps_until: Option<Time>,
    wants_room: bool,
    last_id: Id,
    /// When a run last began, or ended with a sample handed over.
    moved: Time,
    /// The longest timeout of a check.
    longest: Duration,
}

/// What to expect of a check's next run, by its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It was done soon.
    Quick,
    /// It took [`SLOW`] or longer.
    Slow,
    /// There was none. Many are due at once: all of a start, or those that a reload adds.
    New,
}

/// How many runs may start now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// At most, in all.
    pub all: usize,
    /// Those among them that are the first of their check.
    pub new: usize,
    /// Runs under way, at most, whose check's last one was slow, or that are its first.
    pub slow_runs: usize,
}

/// A run to start.
#[derive(Debug)]
pub(super) struct Due {
    pub id: Id,
    pub runner: Arc<Runner>,
    /// How much too late; a first run has no time to be late for.
    pub late: Option<Duration>,
}

#[derive(Debug)]
struct Entry {
    check: Check,
    runner: Arc<Runner>,
    schedule: Schedule,
    manner: Manner,
    /// When the run under way was started, and whether it counts against the share of the slow.
    started: Option<(Time, bool)>,
    /// The run under way.
    run: Option<AbortHandle>,
}

impl Table {
    /// Makes `checks`, each once, the ones that are run. Those that stay as they are go on undisturbed; a run under
    /// way of one that goes, or changes, is broken off.
    pub(super) fn set(&mut self, checks: Vec<Check>, now: Time, runner: impl Fn(&Check) -> Runner) {
        let mut before = std::mem::replace(&mut self.ids, HashMap::with_capacity(checks.len()));
        for check in checks {
            let had = before.remove(&check.key);
            let same = had.filter(|id| self.entries.get(id).is_some_and(|entry| entry.check == check));
            let id = same.unwrap_or_else(|| {
                if let Some(changed) = had {
                    self.remove(changed);
                }
                let (runner, schedule) = (Arc::new(runner(&check)), Schedule::new(&check, now));
                self.last_id += 1;
                let (check, manner) = (check.clone(), Manner::New);
                let entry = Entry { check, runner, schedule, manner, started: None, run: None };
                self.queues[manner as usize].insert((now, self.last_id));
                self.entries.insert(self.last_id, entry);
                self.last_id
            });
            self.ids.insert(check.key, id);
        }
        for gone in before.into_values() {
            self.remove(gone);
        }
        self.moved = self.moved.max(now);
        self.longest = self.entries.values().map(|entry| entry.check.probe.timeout).max().unwrap_or_default();
    }

    fn remove(&mut self, id: Id) {
        if let Some(entry) = self.entries.remove(&id) {
            if let Some(due) = entry.schedule.due() {
                self.queues[entry.manner as usize].remove(&(due, id));
            }
            self.slow_runs -= usize::from(entry.started.is_some_and(|(_, slow)| slow));
            if let Some(run) = entry.run {
                run.abort();
            }
        }
    }

    /// When the next check is due that there is room for, until when nobody looks: at most `slow_runs` of the
    /// slow may be under way, and none where it `is_full`.
    pub(super) fn sleep(&mut self, is_full: bool, slow_runs: usize) -> Option<Time> {
        let slow_full = self.slow_runs >= slow_runs;
        let queues = match (is_full, slow_full) {
            (true, _) => &self.queues[..0],
            (false, true) => &self.queues[..1],
            (false, false) => &self.queues[..],
        };
        self.sleeps_until = queues.iter().filter_map(|queue| queue.first()).map(|&(due, _)| due).min();
        self.wants_room = is_full || slow_full;
        self.sleeps_until
    }

    /// Starts the checks that are due: the quick, then the slow, then the new ones, and of each the longest
    /// overdue first, as far as there is room.
    pub(super) fn start(&mut self, now: Time, room: Room) -> Vec<Due> {
        let mut started = Vec::new();
        for manner in [Manner::Quick, Manner::Slow, Manner::New] {
            let max = if manner == Manner::New { room.all.min(started.len() + room.new) } else { room.all };
            let slow = manner != Manner::Quick;
            while started.len() < max
                && !(slow && self.slow_runs >= room.slow_runs)
                && let Some(&(due, id)) = self.queues[manner as usize].first()
                && due <= now
            {
                self.queues[manner as usize].pop_first();
                let Some(entry) = self.entries.get_mut(&id) else { continue };
                entry.schedule.start(now);
                entry.started = Some((now, slow));
                self.slow_runs += usize::from(slow);
                let late = (manner != Manner::New).then(|| now.since(due));
                self.moved = self.moved.max(now);
                started.push(Due { id, runner: entry.runner.clone(), late });
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

    /// A run is over; `sampled` when its sample was handed over. Says whether the one who
    /// [sleeps](Table::sleep) has to know now.
    pub(super) fn end(&mut self, id: Id, now: Time, sampled: bool) -> bool {
        let mut sooner = false;
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.schedule.end(now);
            entry.run = None;
            if sampled {
                self.moved = self.moved.max(now);
            }
            if let Some((from, slow)) = entry.started.take() {
                self.slow_runs -= usize::from(slow);
                entry.manner = if now.since(from) < SLOW { Manner::Quick } else { Manner::Slow };
            }
            let due = entry.schedule.due();
            sooner = due.is_some_and(|due| self.sleeps_until.is_none_or(|until| due < until));
            self.queues[entry.manner as usize].extend(due.map(|due| (due, id)));
        }
        sooner || self.wants_room
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
        let queue = &mut self.queues[entry.manner as usize];
        if let Some(due) = entry.schedule.due() {
            queue.remove(&(due, id));
        }
        change(&mut entry.schedule);
        queue.extend(entry.schedule.due().map(|due| (due, id)));
    }

    /// For how long no run has begun or ended, although one is due or has to be over; zero while all is well.
    pub(super) fn idle(&self, now: Time) -> Duration {
        let waiting: usize = self.queues.iter().map(BTreeSet::len).sum();
        let due = self.queues.iter().filter_map(|queue| queue.first()).map(|&(due, _)| due).min();
        // Runs under way end by their timeout.
        let ends = (self.entries.len() > waiting).then(|| self.moved + self.longest);
        let awaited = due.map(|due| due.max(self.moved)).into_iter().chain(ends).min();
        awaited.map_or(Duration::ZERO, |awaited| now.since(awaited))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, tcp_probe};
    use super::super::tls::Trust;
    use super::*;
    use crate::health::Vantage;
    use crate::model::Probe;

    const ONE: [u8; 4] = [127, 0, 0, 1];
    const TWO: [u8; 4] = [127, 0, 0, 2];
    const ENOUGH: Room = Room { all: usize::MAX, new: usize::MAX - 1_000_000, slow_runs: usize::MAX };

    fn set(table: &mut Table, checks: &[Check], now: u64) {
        table.set(checks.to_vec(), Time(now), |check| {
            Runner::new(check.clone(), Trust::of_host(), Vantage::local())
        });
    }

    fn started(table: &mut Table, now: u64) -> Vec<Id> {
        table.start(Time(now), ENOUGH).into_iter().map(|due| due.id).collect()
    }

    #[test]
    fn a_check_is_started_once_until_it_ends() {
        let probe = tcp_probe("web", 1);
        let mut table = Table::default();
        set(&mut table, &[check(&probe, ONE), check(&probe, TWO)], 1000);
        assert_eq!(table.sleep(false, usize::MAX), Some(Time(1000)));
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
        let first = table.start(Time(3000), Room { all: 1, ..ENOUGH });
        assert_eq!(first.iter().map(|due| due.id).collect::<Vec<_>>(), [1]);
        assert_eq!(table.sleep(false, usize::MAX), Some(Time(2000)));
    }

    #[test]
    fn set_disturbs_only_what_changes() {
        let probe = tcp_probe("web", 1);
        let slower = Arc::new(Probe { interval: Duration::from_secs(9), ..(*probe).clone() });
        let mut table = Table::default();
        set(&mut table, &[check(&probe, ONE), check(&probe, TWO)], 1000);
        started(&mut table, 1000);
        table.end(1, Time(1005), true);
        let due = table.sleep(false, usize::MAX);
        // An equal probe, though not the same allocation, is no change.
        let equal = Arc::new((*probe).clone());
        set(&mut table, &[check(&equal, ONE), check(&equal, TWO)], 1100);
        assert_eq!(table.sleep(false, usize::MAX), due, "its next run stays where it was");
        set(&mut table, &[check(&probe, ONE), check(&slower, TWO)], 1200);
        assert_eq!(table.sleep(false, usize::MAX), Some(Time(1200)), "the changed one starts anew, at once");
        assert_eq!(started(&mut table, 1200), [3]);
        table.end(2, Time(1201), true); // its predecessor's run is nobody's now
        set(&mut table, &[check(&slower, TWO)], 1300);
        assert_eq!(table.sleep(false, usize::MAX), None, "one is removed, the other under way");
        set(&mut table, &[], 1400);
        table.end(3, Time(1401), true);
        assert_eq!((table.sleep(false, usize::MAX), table.entries.len(), table.ids.len()), (None, 0, 0));
        assert_eq!(table.slow_runs, 0);
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
        let normal = table.sleep(false, usize::MAX);
        table.pace(&key, Pace::Confirm, Time(1020));
        assert_eq!(table.sleep(false, usize::MAX), Some(Time(1000) + probe.confirm));
        table.pace(&key, Pace::Normal, Time(1030));
        assert_eq!(table.sleep(false, usize::MAX), normal);
        assert_eq!(table.queues.each_ref().map(BTreeSet::len), [1, 0, 0]);
    }

    #[test]
    fn checks_that_do_not_run_are_noticed_and_those_that_wait_their_turn_are_not() {
        let probe = tcp_probe("web", 1);
        let mut table = Table::default();
        assert_eq!(table.idle(Time(500_000)), Duration::ZERO, "there is none to run");
        set(&mut table, &[check(&probe, ONE), check(&probe, TWO)], 1000);
        assert_eq!(table.idle(Time(31_000)), Duration::from_secs(30), "nobody begins a run");
        started(&mut table, 31_000);
        assert_eq!(table.idle(Time(31_500)), Duration::ZERO);
        table.end(1, Time(31_500), true);
        let ends = 31_500 + u64::try_from(probe.timeout.as_millis()).unwrap();
        table.end(2, Time(31_600), false); // it ended, but nobody took its sample
        assert_eq!(table.idle(Time(ends)), Duration::ZERO, "the next is due later");
        let mut behind = started(&mut table, 50_000);
        table.end(behind.remove(0), Time(50_010), true);
        assert_eq!(table.idle(Time(50_011)), Duration::ZERO, "one that runs late does run");
        assert!(table.idle(Time(90_010)) >= Duration::from_secs(30), "its run never ends");
    }

    /// Black holes take their whole timeout of two seconds, healthy targets five milliseconds. Ten runs may be
    /// under way, four fewer of the slow, where two hundred holes alone would take forty.
    #[test]
    fn black_holes_do_not_delay_healthy_checks() {
        let probe = tcp_probe("web", 1);
        let checks: Vec<Check> = (0..240u8).map(|n| check(&probe, [127, 0, 1, n])).collect();
        let hole = |id: Id| id > 40;
        let (max_runs, slow_runs) = (10, 6);
        let mut table = Table::default();
        set(&mut table, &checks, 0);
        let mut under_way: BTreeSet<(u64, Id)> = BTreeSet::new();
        let (mut worst, mut runs, mut holes_run) = (Duration::ZERO, 0, 0);
        for now in 0..300_000 {
            while let Some(&(end, id)) = under_way.first()
                && end <= now
            {
                under_way.pop_first();
                table.end(id, Time(now), true);
            }
            let all = max_runs - under_way.len();
            for due in table.start(Time(now), Room { all, new: 1, slow_runs }) {
                under_way.insert((now + if hole(due.id) { 2000 } else { 5 }, due.id));
                // Until each hole has shown itself as one, nobody can tell.
                let settled = now > 150_000;
                if settled && hole(due.id) {
                    holes_run += 1;
                } else if settled {
                    runs += 1;
                    worst = worst.max(due.late.unwrap_or(Duration::MAX));
                }
            }
        }
        assert!(worst <= Duration::from_millis(10), "{worst:?}");
        // 40 of them, every 5 s.
        assert!((1190..=1210).contains(&runs), "{runs}");
        // Six at once, two seconds each: the holes get no less than their share.
        assert!((440..=450).contains(&holes_run), "{holes_run}");
    }

    #[test]
    fn the_sleeper_is_woken_for_what_concerns_it_alone() {
        let probe = tcp_probe("web", 1);
        let mut table = Table::default();
        set(&mut table, &[check(&probe, ONE), check(&probe, TWO)], 1000);
        started(&mut table, 1000);
        assert_eq!(table.sleep(false, 9), None);
        assert!(table.end(1, Time(1010), true), "it sleeps without end, and this one will be due");
        let due = table.sleep(false, 9).unwrap();
        assert_eq!(started(&mut table, due.0), [1]);
        table.sleep(false, 9);
        table.end(2, Time(1020), true);
        table.sleep(false, 9);
        assert!(!table.end(1, due, true), "it is due after what the sleeper wakes for");
        started(&mut table, 20_000);
        assert_eq!(table.sleep(true, 9), None);
        table.end(1, Time(20_001), true);
        assert_eq!(table.sleep(true, 9), None);
        assert!(table.end(2, Time(20_002), true), "it waits for room, whoever makes it");
    }

    #[test]
    fn new_checks_wait_for_those_that_are_due() {
        let probe = tcp_probe("web", 1);
        let mut table = Table::default();
        set(&mut table, &[check(&probe, ONE)], 1000);
        started(&mut table, 1000);
        table.end(1, Time(1010), true);
        let due = table.sleep(false, usize::MAX).unwrap();
        let more: Vec<Check> = (1..=50u8).map(|n| check(&probe, [127, 0, 0, n])).collect();
        set(&mut table, &more, 1020);
        let first = table.start(due, Room { all: 8, new: 4, ..ENOUGH });
        assert_eq!(first.iter().map(|due| due.id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(first.iter().filter_map(|due| due.late).collect::<Vec<_>>(), [Duration::ZERO]);
    }
}
