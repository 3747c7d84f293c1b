//! Flap damping: a check that keeps changing is held Down, for longer each time, and says until when.
//!
//! In: each change of a check between working and Down. Out: whether it is held, until when and why.
//! Only a recovery is ever held back: a first failure, and every later one, counts as soon as it is
//! certain. So damping delays no failover, and a site that fails once never meets it.
//!
//! ```text
//!           `changes` within `within`, the last of them a recovery
//!   free ──────────────────────────────────────────────────────► held Down for hold * 2^level
//!    ▲                                                                │        level + 1
//!    └────────────────────────────────────────────────────────────────┘ at its end, if samples say Up
//!           level - 1 for each `within` that passes without a change
//! ```
//!
//! What is held still works as far as samples tell. Policy keeps that in mind: before a service is left
//! without any endpoint, one that is only held is used.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Damping, Seconds};
use crate::time::Time;

/// How often the hold can double: `max_hold` bounds it long before.
const MAX_LEVEL: u32 = 16;

/// What is remembered of one check's changes. Outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damper {
    /// When it last changed, oldest first; at most as many as make a hold.
    changes: VecDeque<Time>,
    /// How many holds there were, less what has decayed.
    level: u32,
    held: Option<Held>,
}

/// A hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// When it ends.
    pub until: Time,
    /// How many changes led to it,
    pub changes: u32,
    /// within how long.
    pub within: Duration,
}

impl Damper {
    /// Whether there is nothing to remember.
    pub fn is_quiet(&self) -> bool {
        self.changes.is_empty()
    }

    /// The check changed: to working where `works`, else to Down.
    pub fn changed(&mut self, at: Time, works: bool, limits: &Damping) {
        self.decay(at, limits);
        self.changes.push_back(at);
        while self.changes.len() > limits.changes as usize
            || self.changes.front().is_some_and(|&first| at.since(first) > limits.within)
        {
            self.changes.pop_front();
        }
        if works && self.changes.len() >= limits.changes as usize {
            let hold = limits.hold.saturating_mul(1 << self.level).min(limits.max_hold);
            self.level = (self.level + 1).min(MAX_LEVEL);
            self.held = Some(Held { until: at + hold, changes: limits.changes, within: limits.within });
        }
    }

    /// The hold that is in force.
    pub fn held(&self, now: Time) -> Option<&Held> {
        self.held.as_ref().filter(|held| held.until > now)
    }

    /// A hold that was in force at `began` ends so much later; whether there is one.
    pub fn postpone(&mut self, began: Time, by: Duration) -> bool {
        let Some(held) = self.held.as_mut().filter(|held| held.until > began) else { return false };
        held.until = held.until + by;
        true
    }

    /// When the last hold ended, where it has.
    pub fn released(&self, now: Time) -> Option<Time> {
        self.held.map(|held| held.until).filter(|&until| until <= now)
    }

    fn decay(&mut self, at: Time, limits: &Damping) {
        let last = self.changes.back().copied().max(self.released(at));
        let quiet = last.map_or(Duration::ZERO, |last| at.since(last)).as_millis();
        let levels = quiet / limits.within.as_millis().max(1);
        self.level = self.level.saturating_sub(u32::try_from(levels).unwrap_or(u32::MAX));
    }
}

/// `held Down until 2026-11-21T03:12:40.000Z: 4 changes within 600s`
impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { until, changes, within } = self;
        write!(f, "held Down until {until}: {changes} changes within {}", Seconds(*within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    const LIMITS: Damping = Damping { changes: 4, within: secs(600), hold: secs(60), max_hold: secs(200) };

    fn at(secs: u64) -> Time {
        Time(secs * 1000)
    }

    /// Down and up again, ten seconds later; for how many seconds it is held from then on.
    fn flap(damper: &mut Damper, from: u64) -> u64 {
        damper.changed(at(from), false, &LIMITS);
        assert_eq!(damper.held(at(from)).filter(|held| held.until > at(from + 10)), None, "Down is no hold");
        damper.changed(at(from + 10), true, &LIMITS);
        damper.held(at(from + 10)).map_or(0, |held| held.until.since(at(from + 10)).as_secs())
    }

    #[test]
    fn holds_grow_and_are_bounded() {
        let mut damper = Damper::default();
        let holds: Vec<u64> = [0, 100, 200, 400, 700].map(|from| flap(&mut damper, from)).into();
        assert_eq!(holds, [0, 60, 120, 200, 200]);
        let held = damper.held(at(710)).expect("a hold");
        assert_eq!(held.to_string(), "held Down until 1970-01-01T00:15:10.000Z: 4 changes within 600s");
        assert_eq!((damper.held(at(910)), damper.released(at(910))), (None, Some(at(910))));
    }

    #[test]
    fn few_changes_or_slow_ones_are_never_held() {
        let mut damper = Damper::default();
        for hour in 0..100 {
            assert_eq!(flap(&mut damper, hour * 3600), 0, "hour {hour}");
        }
        assert!(damper.changes.len() <= 4);
    }

    #[test]
    fn quiet_time_takes_the_growth_back() {
        let mut damper = Damper::default();
        for from in [0, 100, 200] {
            flap(&mut damper, from);
        }
        assert_eq!(damper.level, 2);
        // Quiet for ten minutes and a little more after the hold's end: one level less.
        assert_eq!(flap(&mut damper, 330 + 700), 0);
        assert_eq!(damper.level, 1);
        assert_eq!(flap(&mut damper, 1100), 120);
    }
}
