//! One check as one vantage sees it: the state machine drawn above [`Health`].

use std::collections::VecDeque;

use super::{Failure, Health};
use crate::model::Thresholds;
use crate::time::Time;

/// A health, since when, and because of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The health.
    pub health: Health,
    /// Since when.
    pub since: Time,
    /// What made it so: `3 of 3 failed, connection refused`. Empty while Unknown.
    pub because: String,
}

/// Counts samples towards the next change of health. Only samples that count come here.
#[derive(Clone, Debug, Default)]
pub struct Tracker {
    found: Finding,
    /// Failures in a row.
    failed: u32,
    /// Successes in a row.
    passed: u32,
    /// Whether each of the last `window` samples was ok, oldest first; empty without a window.
    window: VecDeque<bool>,
    last_failure: Option<Failure>,
    /// When the first failure since it last worked ended.
    failing_since: Option<Time>,
}

impl Tracker {
    /// Goes on from what an earlier run found. How far it was on the way to the next change is not
    /// kept: a Suspect has one failure behind it, everything else begins to count anew.
    pub fn restored(found: Finding) -> Tracker {
        let failed = u32::from(found.health == Health::Suspect);
        let window = (0..failed).map(|_| false).collect();
        Tracker { found, failed, window, ..Tracker::default() }
    }

    /// What the samples so far say.
    pub fn found(&self) -> &Finding {
        &self.found
    }

    /// Whether the next sample should come soon: it can decide between Up and Down.
    pub fn wants_confirming(&self) -> bool {
        match self.found.health {
            Health::Suspect => true,
            Health::Down => self.passed > 0,
            Health::Unknown | Health::Up => false,
        }
    }

    /// When the first failure since it last worked ended; `None` while it works.
    pub fn failing_since(&self) -> Option<Time> {
        self.failing_since
    }

    /// Forgets how far it was on the way to the next change, as of samples that turned out to say nothing.
    pub fn count_anew(&mut self) {
        (self.failed, self.passed, self.failing_since) = (0, 0, None);
        self.window.clear();
    }

    /// Where it is Down, it is Suspect, with nothing counted.
    pub fn put_on_probation(&mut self, at: Time) {
        if self.found.health == Health::Down {
            self.count_anew();
            let because = "the maintenance is over, failures count anew".to_owned();
            self.found = Finding { health: Health::Suspect, since: at, because };
        }
    }

    /// Counts one sample; `Err` is a failure. It is Down only where the failures are `vouched` for: until
    /// then it stays Suspect, however many there are. Says whether the health changed.
    pub fn count(
        &mut self,
        at: Time,
        outcome: Result<(), &Failure>,
        limits: Thresholds,
        vouched: bool,
    ) -> bool {
        match outcome {
            Ok(()) => {
                self.passed = self.passed.saturating_add(1);
                self.failed = 0;
            }
            Err(failure) => {
                self.failed = self.failed.saturating_add(1);
                self.passed = 0;
                self.last_failure = Some(failure.clone());
                self.failing_since.get_or_insert(at);
            }
        }
        self.remember(outcome.is_ok(), limits);
        let next = self.next(outcome.is_ok(), limits, vouched);
        if next == Health::Up {
            self.failing_since = None;
        }
        if next == self.found.health {
            return false;
        }
        self.found = Finding { health: next, since: at, because: self.progress(limits) };
        if next == Health::Up {
            // What it recovered from must not count towards the next Down.
            self.window.clear();
        }
        true
    }

    /// The failures so far are vouched for: it is Down where they are enough. Says whether it is now.
    pub fn settle(&mut self, at: Time, limits: Thresholds) -> bool {
        let due = self.found.health == Health::Suspect && self.failures(limits) >= limits.fall;
        if due {
            self.found = Finding { health: Health::Down, since: at, because: self.progress(limits) };
        }
        due
    }

    fn remember(&mut self, ok: bool, limits: Thresholds) {
        let Some(window) = limits.window else {
            self.window.clear();
            return;
        };
        self.window.push_back(ok);
        while self.window.len() > window as usize {
            self.window.pop_front();
        }
    }

    fn next(&self, ok: bool, limits: Thresholds, vouched: bool) -> Health {
        match (self.found.health, ok) {
            (Health::Down, true) if self.passed < limits.rise => Health::Down,
            (Health::Suspect, true) if self.window.contains(&false) => Health::Suspect,
            (_, true) => Health::Up,
            (Health::Down, false) => Health::Down,
            (_, false) if vouched && self.failures(limits) >= limits.fall => Health::Down,
            (_, false) => Health::Suspect,
        }
    }

    /// Failures that count towards Down.
    fn failures(&self, limits: Thresholds) -> u32 {
        match limits.window {
            None => self.failed,
            Some(_) => self.window.iter().filter(|&&ok| !ok).count() as u32,
        }
    }

    /// How the count stands: `2 of 3 failed, connection refused`; `1 of 2 ok`.
    pub fn progress(&self, limits: Thresholds) -> String {
        if self.passed > 0 && self.found.health == Health::Down {
            return format!("{} of {} ok", self.passed.min(limits.rise), limits.rise);
        }
        if self.passed > 0 && !self.window.contains(&false) {
            return "ok".to_owned();
        }
        let Some(failure) = &self.last_failure else {
            return self.found.because.clone();
        };
        let failed = self.failures(limits).min(limits.fall);
        match limits.window {
            None => format!("{failed} of {} failed, {failure}", limits.fall),
            Some(window) => format!("{failed} of {} failed among the last {window}, {failure}", limits.fall),
        }
    }

    /// What would change the health next, in words; `None` while it is Up or Unknown, where one sample
    /// is all it takes.
    pub fn ahead(&self, limits: Thresholds) -> Option<String> {
        let (more, what, to) = match self.found.health {
            Health::Up | Health::Unknown => return None,
            Health::Suspect if self.failures(limits) >= limits.fall => {
                return Some("the canaries' verdict on these failures makes it Down".to_owned());
            }
            Health::Suspect => (limits.fall.saturating_sub(self.failures(limits)), "failed", "Down"),
            Health::Down => (limits.rise.saturating_sub(self.passed), "good", "Up"),
        };
        Some(match more {
            0 | 1 => format!("the next {what} sample makes it {to}"),
            more => format!("{more} more {what} samples make it {to}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Thresholds = Thresholds { fall: 3, rise: 2, window: None };
    const WINDOW: Thresholds = Thresholds { fall: 3, rise: 2, window: Some(5) };

    /// `.` is an ok, `x` a failure; out come the first letters of the healths after each.
    fn check(limits: Thresholds, samples: &str, expect: &str) {
        let mut tracker = Tracker::default();
        let got: String = samples.chars().map(|c| after(&mut tracker, limits, c)).collect();
        assert_eq!(got, expect, "after {samples}");
    }

    fn after(tracker: &mut Tracker, limits: Thresholds, sample: char) -> char {
        let outcome = if sample == '.' { Ok(()) } else { Err(&Failure::Refused) };
        let before = tracker.found().clone();
        let changed = tracker.count(Time(1), outcome, limits, true);
        assert_eq!(changed, *tracker.found() != before);
        tracker.found().health.to_string().chars().next().expect("a letter")
    }

    #[test]
    fn failures_in_a_row_make_down_and_successes_in_a_row_make_up() {
        check(ROW, "....", "UUUU");
        check(ROW, "xxxx", "SSDD");
        check(ROW, ".xx.xxx", "USSUSSD");
        check(ROW, "xxx.x..", "SSDDDDU");
        check(Thresholds { fall: 1, rise: 1, window: None }, "x.x", "DUD");
        check(Thresholds { fall: 1, rise: 1, window: None }, ".x.", "UDU");
    }

    #[test]
    fn a_window_counts_failures_that_are_not_in_a_row() {
        check(WINDOW, ".x.x.x", "USSSSD");
        // The fifth ok pushes the one failure out of the window.
        check(WINDOW, "x.....", "SSSSSU");
        // Two failures too far apart for the window are never three.
        check(WINDOW, "x...x...x....", "SSSSSSSSSSSSS");
        // What was recovered from does not count again.
        check(WINDOW, "xxx..x.x", "SSDDUSSS");
    }

    #[test]
    fn says_how_it_stands_and_what_lies_ahead() {
        let mut tracker = Tracker::default();
        let mut check = |sample: char, limits, progress: &str, ahead: Option<&str>, confirm: bool| {
            after(&mut tracker, limits, sample);
            assert_eq!(tracker.progress(limits), progress);
            assert_eq!(tracker.ahead(limits).as_deref(), ahead);
            assert_eq!(tracker.wants_confirming(), confirm);
        };
        check('.', ROW, "ok", None, false);
        check(
            'x',
            ROW,
            "1 of 3 failed, connection refused",
            Some("2 more failed samples make it Down"),
            true,
        );
        check(
            'x',
            ROW,
            "2 of 3 failed, connection refused",
            Some("the next failed sample makes it Down"),
            true,
        );
        check('x', ROW, "3 of 3 failed, connection refused", Some("2 more good samples make it Up"), false);
        check('x', ROW, "3 of 3 failed, connection refused", Some("2 more good samples make it Up"), false);
        check('.', ROW, "1 of 2 ok", Some("the next good sample makes it Up"), true);
        check('.', ROW, "ok", None, false);
        assert_eq!(tracker.found().because, "2 of 2 ok");
    }

    #[test]
    fn failures_nobody_vouches_for_are_held_at_suspect() {
        let mut tracker = Tracker::default();
        for at in 1..=5 {
            tracker.count(Time(at), Err(&Failure::Refused), ROW, false);
        }
        assert_eq!((tracker.found().health, tracker.failing_since()), (Health::Suspect, Some(Time(1))));
        assert_eq!(tracker.progress(ROW), "3 of 3 failed, connection refused");
        assert!(tracker.ahead(ROW).is_some_and(|ahead| ahead.contains("canaries")));
        assert!(tracker.settle(Time(6), ROW));
        assert_eq!((tracker.found().health, tracker.found().since), (Health::Down, Time(6)));
        assert!(!tracker.settle(Time(7), ROW));

        let mut tracker = Tracker::default();
        for _ in 0..3 {
            tracker.count(Time(1), Err(&Failure::Refused), ROW, false);
        }
        tracker.count_anew();
        assert!(!tracker.settle(Time(2), ROW), "what is forgotten makes nothing Down");
        assert_eq!(after(&mut tracker, ROW, 'x'), 'S');
        assert_eq!(after(&mut tracker, ROW, '.'), 'U');
    }

    #[test]
    fn a_restored_suspect_has_one_failure_behind_it() {
        for limits in [ROW, WINDOW] {
            let found = Finding { health: Health::Suspect, since: Time(7), because: "x".to_owned() };
            let mut tracker = Tracker::restored(found);
            assert_eq!(after(&mut tracker, limits, 'x'), 'S');
            assert_eq!(after(&mut tracker, limits, 'x'), 'D');
        }
    }
}
