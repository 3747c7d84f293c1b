//! Whether this process itself stood still: then its failures say nothing of anyone else.
//!
//! A ticker on the same runtime as the probes looks at the steady clock every [`TICK`]. A gap between two
//! ticks is a process that was stopped, or starved of CPU, or a machine that was suspended, which that clock counts on
//! through. Whoever sets the host's clock stops nothing: a clock that is set again and again must not make this host
//! blind.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sys::clock::Clock;
use crate::time::Time;

/// How often the ticker looks.
const TICK: Duration = Duration::from_millis(50);
/// A gap shorter than this is what a busy machine does all day; it is not kept.
const MIN_STALL: Duration = Duration::from_millis(100);
/// A stall as long as this spoils a run whatever its timeout.
const MAX_STALL: Duration = Duration::from_millis(250);
/// Stalls kept; the oldest are merged into one when there are more.
const MAX_SPANS: usize = 64;

/// The stalls noticed so far. Shared by the ticker and the runs.
#[derive(Debug)]
pub(super) struct Stalls {
    clock: Clock,
    log: Mutex<StallLog>,
}

impl Stalls {
    pub(super) fn new(clock: Clock) -> Stalls {
        let log = Mutex::new(StallLog::new(clock.now()));
        Stalls { clock, log }
    }

    /// Looks at the clock for ever.
    pub(super) async fn watch(&self) {
        // What passed before the runtime came to this task is nobody's stall.
        *self.log() = StallLog::new(self.clock.now());
        loop {
            tokio::time::sleep(TICK).await;
            let now = self.clock.now();
            let stalled = self.log().tick(now).filter(|stalled| *stalled >= MAX_STALL);
            if let Some(stalled) = stalled {
                tracing::warn!(
                    ?stalled,
                    "this process was stalled: probe failures of that time are discarded"
                );
            }
        }
    }

    /// How long this process was stalled, where that is long enough to spoil a run that began at `from`
    /// and has just ended, for one that may take `timeout`.
    pub(super) fn spoiled(&self, from: Time, timeout: Duration) -> Option<Duration> {
        let now = self.clock.now();
        // A run that outlived its own timeout had a late timer.
        let late = now.since(from).saturating_sub(timeout);
        let stalled = self.log().within(from, now).max(late);
        (stalled >= spoiling(timeout)).then_some(stalled)
    }

    /// How long this process was stalled since `from`.
    pub(super) fn met(&self, from: Time) -> Duration {
        self.log().within(from, self.clock.now())
    }

    fn log(&self) -> MutexGuard<'_, StallLog> {
        // The log is whole between any two statements: a panic elsewhere does not spoil it.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shortest stall that spoils a run: half its time, within bounds.
fn spoiling(timeout: Duration) -> Duration {
    (timeout / 2).clamp(MIN_STALL, MAX_STALL)
}

/// The pure part.
#[derive(Debug)]
struct StallLog {
    last: Time,
    spans: VecDeque<Span>,
}

/// Some time between `from` and `to`, for `length`, nothing ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Time,
    to: Time,
    length: Duration,
}

impl StallLog {
    fn new(now: Time) -> StallLog {
        StallLog { last: now, spans: VecDeque::new() }
    }

    /// The ticker ticked; the stall since it last did.
    fn tick(&mut self, now: Time) -> Option<Duration> {
        let span = self.pending(now);
        self.last = now;
        let span = span?;
        if self.spans.len() >= MAX_SPANS
            && let Some(oldest) = self.spans.pop_front()
            && let Some(next) = self.spans.front_mut()
        {
            next.from = oldest.from;
            next.length += oldest.length;
        }
        self.spans.push_back(span);
        Some(span.length)
    }

    /// The stall that is known only by the tick that has not come: after a stop a run may well be woken
    /// before the ticker is.
    fn pending(&self, now: Time) -> Option<Span> {
        let length = now.since(self.last).saturating_sub(TICK);
        (length >= MIN_STALL).then_some(Span { from: self.last, to: now, length })
    }

    /// The sum of the stalls that a run from `from` to `now` met.
    fn within(&self, from: Time, now: Time) -> Duration {
        let pending = self.pending(now);
        // `to` is the tick after the stall: a run that began at that very tick was not in it.
        self.spans.iter().chain(&pending).filter(|span| span.to > from).map(|span| span.length).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log whose ticks came at these times.
    fn ticks(at: &[u64]) -> StallLog {
        let mut log = StallLog::new(Time(at[0]));
        for &ms in &at[1..] {
            log.tick(Time(ms));
        }
        log
    }

    #[test]
    fn a_run_meets_the_stalls_it_overlaps() {
        let check = |at: &[u64], run: (u64, u64), want_ms: u64| {
            let met = ticks(at).within(Time(run.0), Time(run.1));
            assert_eq!(met, Duration::from_millis(want_ms), "ticks {at:?}, run {run:?}");
        };
        check(&[0, 50, 100, 151, 200], (0, 200), 0);
        check(&[0, 50, 190], (0, 190), 0); // 90 ms late is noise
        check(&[0, 50, 600], (0, 610), 500); // within the run
        check(&[0, 50, 600], (60, 610), 500); // the run began after the last tick before the stall
        check(&[0, 50, 600, 650], (600, 660), 0); // the run began after it
        check(&[0, 50, 600, 650, 1200], (0, 1210), 1000); // two of them
        check(&[0, 50], (0, 600), 500); // the run is woken before the ticker
        check(&[0, 50], (0, 120), 0);
    }

    #[test]
    fn a_machine_that_was_suspended_is_a_stall() {
        let mut log = ticks(&[0, 50]);
        let woken = 3_600_000;
        let stalled = Duration::from_millis(woken - 100);
        assert_eq!(log.within(Time(60), Time(woken)), stalled, "before the tick");
        log.tick(Time(woken));
        assert_eq!(log.within(Time(60), Time(woken + 20)), stalled, "after it");
        assert_eq!(log.within(Time(woken), Time(woken + 20)), Duration::ZERO, "a run begun since");
    }

    #[test]
    fn the_log_is_bounded_and_forgets_no_stall() {
        let mut log = ticks(&[0]);
        for n in 1..=200 {
            log.tick(Time(n * 1000));
        }
        assert_eq!(log.spans.len(), MAX_SPANS);
        let now = Time(200_010);
        assert_eq!(log.within(Time(0), now), Duration::from_secs(190));
        assert_eq!(log.within(Time(199_500), now), Duration::from_millis(950));
    }

    #[test]
    fn what_spoils_a_run_grows_with_its_timeout() {
        let check = |timeout_ms: u64, want_ms: u64| {
            assert_eq!(spoiling(Duration::from_millis(timeout_ms)), Duration::from_millis(want_ms));
        };
        check(50, 100);
        check(300, 150);
        check(2_000, 250);
    }
}
