//! Whether the core stood still. It turns at least every [`LIFE`]; a longer pause is a process that was stopped or starved, a
//! machine that was suspended, or a core that was busy with one thing, and meanwhile it took no result in. The engine
//! hears of that before it looks at what is due: nothing that this process could not see may count as silence.

use std::time::Duration;

use crate::time::Time;

/// How often the core turns when nothing else happens.
pub const LIFE: Duration = Duration::from_millis(50);
/// A turn that comes less late than this is what a busy machine does all day.
const MIN_STALL: Duration = Duration::from_millis(50);

/// When the core last turned.
#[derive(Default)]
pub struct StallWatch {
    /// `None` before its first turn: what passes until then is the start.
    last: Option<Time>,
    /// For how long it stood still, as far as the engine was not told.
    untold: Duration,
}

impl StallWatch {
    /// The core turns.
    pub fn turn(&mut self, now: Time) {
        let late = self.last.map(|last| now.since(last).saturating_sub(LIFE)).unwrap_or_default();
        if late >= MIN_STALL {
            self.untold += late;
        }
        self.last = Some(self.last.map_or(now, |last| last.max(now)));
    }

    /// What the engine is to be told now.
    pub fn take(&mut self, now: Time) -> Option<Duration> {
        // Before the first turn there is nothing to measure from.
        self.last?;
        self.turn(now);
        Some(std::mem::take(&mut self.untold)).filter(|stalled| !stalled.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_is_longer_than_a_turn_was_a_stall() {
        let mut watch = StallWatch::default();
        assert_eq!(watch.take(Time(1_000)), None, "the start");
        watch.turn(Time(5_000));
        for now in (5_050..6_000).step_by(50) {
            watch.turn(Time(now));
            assert_eq!(watch.take(Time(now + 1)), None, "{now}");
        }
        assert_eq!(watch.take(Time(6_050)), None, "a little late");
        assert_eq!(watch.take(Time(6_150)), Some(ms(50)));
        assert_eq!(watch.take(Time(6_150)), None, "once");
        assert_eq!(watch.take(Time(7_400)), Some(ms(1_200)));
        // Found by the loop, told with the next event.
        watch.turn(Time(8_450));
        watch.turn(Time(9_000));
        assert_eq!(watch.take(Time(9_020)), Some(ms(1_500)));
    }
}
