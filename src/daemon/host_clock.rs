//! What the core sees of the host's clock: that it was set is told once, in the event log and for an hour in the
//! status.

use std::time::Duration;

use crate::time::{Time, span};

/// How long `status` says that the host's clock was set.
const TOLD_FOR: Duration = Duration::from_secs(3600);
/// How often a clock may be set within [`SETS_WITHIN`] and is followed at once: two programs that set it against each
/// other must not push all else out of the event log.
const MAX_SETS: u32 = 5;
const SETS_WITHIN: Duration = Duration::from_secs(600);

/// What is remembered of it.
#[derive(Default)]
pub struct HostClock {
    /// When it was last set, and what is told of that.
    last: Option<(Time, String)>,
    /// Since when sets are counted, and how many there were.
    sets: (Time, u32),
}

impl HostClock {
    /// It was set; this is told of that.
    pub fn was_set(&mut self, now: Time, told: String) {
        if now.since(self.sets.0) >= SETS_WITHIN {
            self.sets = (now, 0);
        }
        self.sets.1 += 1;
        self.last = Some((now, told));
    }

    /// Whether it is looked at: not where it was set too often of late.
    pub fn is_followed(&self, now: Time) -> bool {
        self.sets.1 < MAX_SETS || now.since(self.sets.0) >= SETS_WITHIN
    }

    /// What people should know of it.
    pub fn told(&self, now: Time) -> Option<String> {
        let (at, told) = self.last.as_ref().filter(|(at, _)| now.since(*at) < TOLD_FOR)?;
        Some(format!("{told} ({} ago)", span(now.since(*at))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_again_and_again_is_followed_less_often() {
        let at = |secs| Time(1_795_230_000_000) + Duration::from_secs(secs);
        let mut clock = HostClock::default();
        for secs in 0..5 {
            assert!(clock.is_followed(at(secs)), "{secs}");
            clock.was_set(at(secs), format!("set {secs}"));
        }
        assert!(!clock.is_followed(at(5)) && !clock.is_followed(at(599)));
        assert_eq!(clock.told(at(64)).as_deref(), Some("set 4 (1m 0s ago)"));
        assert!(clock.is_followed(at(600)));
        clock.was_set(at(600), "set once more".to_owned());
        assert!(clock.is_followed(at(601)));
        assert_eq!(clock.told(at(600 + 3600)), None, "not for ever");
    }
}
