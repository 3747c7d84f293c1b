//! The one place that reads a clock. Never imported by a pure room.
//!
//! Two of them: the steady one counts on whatever anybody sets, also while the machine is suspended, and by it all is
//! decided ([`Clock::now`]). The host's time of day is what other hosts, schedules and people go by; how far it is from
//! the steady one is looked at again twice a second ([`Clock::look`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::time::{HostTime, Offset, Time};

/// The host's time of day.
pub fn wall() -> HostTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    HostTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The same in seconds, for what other hosts hold against theirs: a signature's time (RFC 8945), and a file's.
pub fn wall_secs() -> u64 {
    wall().0 / 1000
}

/// A steady clock, which begins where the last run ended or at the host's time of day: it never jumps and never goes
/// back. Every clone is the same one.
#[derive(Clone, Debug)]
pub struct Clock {
    anchor: Time,
    started: Duration,
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// One that begins at the host's time of day.
    pub fn start() -> Clock {
        Clock::resume(Time::default(), Offset::default())
    }

    /// One that goes on from an earlier run, whose last moment was `last`, and in which the host's clock was so far
    /// ahead.
    pub fn resume(last: Time, offset: Offset) -> Clock {
        let (anchor, offset) = resumed(wall(), last, offset);
        Clock { anchor, started: steady(), offset: Arc::new(AtomicI64::new(offset.0)) }
    }

    /// The moment, as all is decided by.
    pub fn now(&self) -> Time {
        self.anchor + steady().saturating_sub(self.started)
    }

    /// How far the host's clock was ahead when it was looked at last.
    pub fn offset(&self) -> Offset {
        Offset(self.offset.load(Relaxed))
    }

    /// Looks where the host's clock is now.
    pub fn look(&self) -> Offset {
        let seen = Offset::between(wall(), self.now());
        if let Some(offset) = self.offset().follow(seen) {
            self.offset.store(offset.0, Relaxed);
        }
        self.offset()
    }

    /// The instant at which [`Clock::now`] will read `at`, unless the machine is suspended meanwhile: then it is later,
    /// and whoever waits looks again.
    pub fn instant(&self, at: Time) -> Instant {
        Instant::now() + at.since(self.now())
    }
}

/// Where a clock begins, and how far the host's is ahead then. A host's clock that went back since the last run says
/// nothing of how long that is ago: the time goes on from there.
fn resumed(host: HostTime, last: Time, offset: Offset) -> (Time, Offset) {
    let begins = host.to_own(offset);
    if begins >= last { (begins, offset) } else { (last, Offset::between(host, last)) }
}

/// Time since the host was started, suspended or not.
fn steady() -> Duration {
    // A sandbox may lack the first; then a suspended machine's time is not counted. The second is everywhere.
    let at = clock_gettime(ClockId::CLOCK_BOOTTIME).or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC));
    at.map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_230_000_000;
    const TEN_YEARS: u64 = 3_652 * 86_400_000;

    #[test]
    fn a_run_goes_on_from_the_last_one_whatever_the_hosts_clock_says() {
        let check = |host: u64, last: u64, offset: i64, want: (u64, i64)| {
            let (begins, ahead) = resumed(HostTime(host), Time(last), Offset(offset));
            assert_eq!((begins.0, ahead.0), want, "host {host}, last {last}, offset {offset}");
            assert_eq!(begins.on_host(ahead), HostTime(host), "people are shown the host's time");
        };
        check(NOW, 0, 0, (NOW, 0)); // nothing came before
        check(NOW, NOW - 60_000, 0, (NOW, 0)); // a minute later
        check(NOW, NOW + 60_000, 0, (NOW + 60_000, -60_000)); // set back since
        // Once ten years ahead, and corrected while it ran: it goes on as far ahead, and a minute is a minute.
        let ahead = NOW + TEN_YEARS;
        check(NOW + 60_000, ahead, -TEN_YEARS.cast_signed(), (ahead + 60_000, -TEN_YEARS.cast_signed()));
        // What an earlier version left, ten years ahead.
        check(NOW, ahead, 0, (ahead, -TEN_YEARS.cast_signed()));
        // A host without a clock of its own begins in 1970 each time.
        check(5_000, NOW, 0, (NOW, 5_000 - NOW.cast_signed()));
    }

    #[test]
    fn it_runs_on_and_sees_the_host() {
        let clock = Clock::resume(Time(NOW + TEN_YEARS), Offset::default());
        let (before, instant) = (clock.now(), Instant::now());
        assert!(before >= Time(NOW + TEN_YEARS));
        let read = before.on_host(clock.look());
        assert!(read.0.abs_diff(wall().0) < 60_000, "{read}");
        assert!(clock.instant(before) <= Instant::now());
        assert!(clock.instant(before + Duration::from_secs(60)) > instant);
    }
}
