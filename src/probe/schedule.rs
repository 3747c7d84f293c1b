//! When a check runs next. Arithmetic only: `now` is an argument.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::engine::Pace;
use crate::model::Check;
use crate::time::Time;

/// One check's schedule.
///
/// At [`Pace::Normal`] runs start at the check's own points of a grid that is `interval` wide. Where on
/// the grid they lie is a hash of the check's key, so the checks of one target, or of one site, spread
/// over the interval by themselves and stay where they are over reloads. At [`Pace::Confirm`] the grid
/// is left, and the next run starts `confirm` after the last one did.
///
/// From start to start it is never more than `interval`: what `detour check` promises counts on it.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    interval_ms: u64,
    confirm: Duration,
    phase_ms: u64,
    pace: Pace,
    last_start: Option<Time>,
    /// `None` while a run is under way, so that a run never overlaps itself.
    due: Option<Time>,
    /// The next run does not wait for its turn.
    hastened: bool,
}

impl Schedule {
    /// A new check is due at once: nothing is known of its target.
    pub(super) fn new(check: &Check, now: Time) -> Schedule {
        // `DefaultHasher::new` has fixed keys; nothing is lost should a later release of Rust move them.
        let mut hasher = DefaultHasher::new();
        check.key.hash(&mut hasher);
        let interval_ms = u64::try_from(check.probe.interval.as_millis()).unwrap_or(u64::MAX).max(1);
        Schedule {
            interval_ms,
            confirm: check.probe.confirm,
            phase_ms: hasher.finish() % interval_ms,
            pace: Pace::Normal,
            last_start: None,
            due: Some(now),
            hastened: false,
        }
    }

    /// When the next run starts; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Time> {
        self.due
    }

    /// A run starts.
    pub(super) fn start(&mut self, now: Time) {
        self.last_start = Some(now);
        self.due = None;
        self.hastened = false;
    }

    /// The run has ended.
    pub(super) fn end(&mut self, now: Time) {
        self.due = Some(self.next(now));
    }

    /// Has the next run start now, or `confirm` after the last one where that is later: whoever asks
    /// without end gets no more than that pace.
    pub(super) fn hasten(&mut self, now: Time) {
        self.hastened = true;
        if let Some(due) = self.due {
            self.due = Some(due.min(self.next(now)));
        }
    }

    /// Changes the pace; a waiting run moves, a run under way is left alone.
    pub(super) fn set_pace(&mut self, pace: Pace, now: Time) {
        if self.pace == pace {
            return;
        }
        self.pace = pace;
        if let Some(due) = self.due {
            let next = self.next(now);
            self.due = Some(if pace == Pace::Confirm { due.min(next) } else { next });
        }
    }

    fn next(&self, now: Time) -> Time {
        let Some(last) = self.last_start else { return now };
        let next = match self.pace {
            _ if self.hastened => last + self.confirm,
            Pace::Confirm => last + self.confirm,
            // The last grid point within an interval of the last start: a start that was late does not
            // move the ones after it. A point too near would be the same question twice, so the way
            // back to the grid may take one more step.
            Pace::Normal => {
                let interval = Duration::from_millis(self.interval_ms);
                self.grid_at_or_before(last + interval).max(last + interval / 2)
            }
        };
        next.max(now)
    }

    fn grid_at_or_before(&self, at: Time) -> Time {
        let past = (at.0 % self.interval_ms + self.interval_ms - self.phase_ms) % self.interval_ms;
        Time(at.0.saturating_sub(past))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_000_000;

    fn schedule(interval_ms: u64, confirm_ms: u64, phase_ms: u64) -> Schedule {
        let confirm = Duration::from_millis(confirm_ms);
        let due = Some(Time(START));
        let (pace, last_start, hastened) = (Pace::Normal, None, false);
        Schedule { interval_ms, confirm, phase_ms, pace, last_start, due, hastened }
    }

    /// Starts the due run `late` ms late and ends it `took` ms later; when the next one is due.
    fn run(schedule: &mut Schedule, late: u64, took: u64) -> u64 {
        let start = schedule.due().unwrap().0 + late;
        schedule.start(Time(start));
        assert_eq!(schedule.due(), None, "a run under way is never due");
        schedule.end(Time(start + took));
        schedule.due().unwrap().0
    }

    #[test]
    fn a_hastened_run_comes_now_and_at_most_at_the_confirming_pace() {
        let mut s = schedule(10_000, 50, 0);
        run(&mut s, 0, 5);
        s.hasten(Time(START + 4000));
        assert_eq!(s.due(), Some(Time(START + 4000)));
        s.set_pace(Pace::Confirm, Time(START + 4000));
        s.set_pace(Pace::Normal, Time(START + 4000));
        assert_eq!(s.due(), Some(Time(START + 4000)), "a change of pace does not put it off");
        s.start(Time(START + 4000));
        s.hasten(Time(START + 4001)); // while one is under way: one more after it
        s.end(Time(START + 4005));
        assert_eq!(s.due(), Some(Time(START + 4050)));
        assert_eq!(run(&mut s, 0, 5), START + 10_000, "and then as ever");
    }

    #[test]
    fn first_run_is_at_once_and_the_rest_on_the_grid() {
        let check = |phase: u64, want: [u64; 3]| {
            let mut s = schedule(1000, 100, phase);
            let got = [run(&mut s, 0, 5), run(&mut s, 0, 5), run(&mut s, 0, 5)].map(|due| due - START);
            assert_eq!(got, want, "phase {phase}");
        };
        check(0, [1000, 2000, 3000]);
        check(700, [700, 1700, 2700]);
        // 200 ms after the first run would be too soon for a second look.
        check(200, [500, 1200, 2200]);
    }

    #[test]
    fn a_late_start_does_not_move_the_grid() {
        let mut s = schedule(1000, 100, 700);
        run(&mut s, 0, 5);
        assert_eq!(run(&mut s, 90, 5) - START, 1700);
        assert_eq!(run(&mut s, 0, 5) - START, 2700);
    }

    #[test]
    fn start_to_start_is_never_longer_than_the_interval() {
        for phase in (0..1000).step_by(13) {
            let mut s = schedule(1000, 1000, phase);
            let mut last = START;
            for late in [0, 0, 30, 0, 400, 0, 0] {
                last = s.due().unwrap().0.max(last) + late;
                let due = run(&mut s, late, 20);
                assert!((500..=1000).contains(&(due - last)), "phase {phase}: {} after {last}", due - last);
            }
            assert_eq!(s.due().unwrap().0 % 1000, phase, "back on the grid");
        }
    }

    #[test]
    fn confirm_counts_from_start_to_start_and_waits_for_the_end() {
        let check = |took: u64, want: u64| {
            let mut s = schedule(1000, 100, 0);
            s.set_pace(Pace::Confirm, Time(START));
            assert_eq!(run(&mut s, 0, took) - START, want, "a run of {took} ms");
        };
        check(5, 100);
        check(100, 100);
        check(500, 500);
    }

    #[test]
    fn a_change_of_pace_moves_the_waiting_run() {
        let check = |at: u64, want: u64| {
            let mut s = schedule(1000, 100, 700);
            run(&mut s, 0, 5);
            s.set_pace(Pace::Confirm, Time(START + at));
            assert_eq!(s.due(), Some(Time(START + want)), "confirm at {at}");
            s.set_pace(Pace::Normal, Time(START + at));
            assert_eq!(s.due(), Some(Time(START + 700)), "normal again at {at}");
        };
        check(10, 100);
        check(100, 100);
        check(350, 350);
    }

    #[test]
    fn a_change_of_pace_leaves_a_run_under_way_alone() {
        let mut s = schedule(1000, 100, 0);
        s.start(Time(START));
        s.set_pace(Pace::Confirm, Time(START + 10));
        assert_eq!(s.due(), None);
        s.end(Time(START + 20));
        assert_eq!(s.due(), Some(Time(START + 100)));
    }

    #[test]
    fn a_first_run_is_due_at_once_whatever_the_pace() {
        let mut s = schedule(1000, 100, 0);
        s.set_pace(Pace::Confirm, Time(START + 3));
        assert_eq!(s.due(), Some(Time(START)));
    }

    #[test]
    fn phases_spread_over_the_interval() {
        let probe = super::super::tests::tcp_probe("web", 443);
        let mut buckets = [0; 10];
        for n in 0..1000u16 {
            let check = super::super::tests::check(&probe, [127, 0, (n / 250) as u8, (n % 250) as u8]);
            let s = Schedule::new(&check, Time(START));
            assert_eq!(s.phase_ms, Schedule::new(&check, Time(0)).phase_ms, "the same at every start");
            buckets[(s.phase_ms * 10 / s.interval_ms) as usize] += 1;
        }
        // 100 each on average; five standard deviations are 47.
        assert!(buckets.iter().all(|n| (50..150).contains(n)), "{buckets:?}");
    }
}
