//! The one place that reads a clock. Never imported by a pure room.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::Time;

/// The host's time of day in seconds since 1970, for what other hosts hold against theirs: a signature's time
/// (RFC 8945), and a file's. It follows the host's clock wherever that is set.
pub fn wall_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The wall clock at start, advanced by the monotonic clock: it never jumps and never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: Time,
    started: Instant,
}

impl Clock {
    /// Anchors the clock now, not before `at_least`: what an earlier run recorded stays in the past
    /// even where the wall clock was set back between the two.
    pub fn start(at_least: Time) -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = Time(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        Clock { anchor: wall.max(at_least), started: Instant::now() }
    }

    /// The time of day, as the daemon counts it.
    pub fn now(&self) -> Time {
        self.anchor + self.started.elapsed()
    }

    /// The monotonic instant at which [`Clock::now`] will read `at`.
    pub fn instant(&self, at: Time) -> Instant {
        self.started + at.since(self.anchor)
    }
}
