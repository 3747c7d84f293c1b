//! `Time`: the moment something happened, as an argument.
//!
//! The pure rooms never read a clock. `clock.rs` anchors the wall clock once, at start, and
//! advances it by the monotonic clock, so a step of the wall clock never moves a hold, an expiry or a
//! probe's schedule.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A length of time, as JSON has it: what `Duration` comes to there.
#[derive(utoipa::ToSchema)]
pub struct SecsNanos {
    /// Whole seconds.
    pub secs: u64,
    /// Nanoseconds beyond those, below 1,000,000,000.
    pub nanos: u32,
}

/// Milliseconds since 1970-01-01T00:00:00Z, on the daemon's own steady clock.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Year, month and day, in UTC.
    pub fn date(self) -> (u64, u64, u64) {
        civil(self.0 / 1000 / 86_400)
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, d: Duration) -> Time {
        Time(self.0.saturating_sub(u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T03:00:00.000Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, ms) = (self.0 / 1000, self.0 % 1000);
        let (days, rest) = (secs / 86_400, secs % 86_400);
        let (y, m, d) = civil(days);
        write!(f, "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{ms:03}Z", rest / 3600, rest / 60 % 60, rest % 60)
    }
}

/// Year, month and day of a day count since 1970-01-01, in the proleptic Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    let leap = |y: u64| y.is_multiple_of(4) && !y.is_multiple_of(100) || y.is_multiple_of(400);
    // Whole 400-year cycles first, so that the loop below is bounded whatever the argument.
    let (mut year, mut left) = (1970 + days / 146_097 * 400, days % 146_097);
    loop {
        let len = if leap(year) { 366 } else { 365 };
        if left < len {
            break;
        }
        left -= len;
        year += 1;
    }
    let feb = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for len in [31, feb, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < len {
            break;
        }
        left -= len;
        month += 1;
    }
    (year, month, left + 1)
}

/// A length of time in its two largest units: `450ms`, `12s`, `3m 12s`, `2h 5m`, `3d 4h`.
pub fn span(d: Duration) -> String {
    let secs = d.as_secs();
    match secs {
        0 => format!("{}ms", d.as_millis()),
        1..60 => format!("{secs}s"),
        60..3_600 => format!("{}m {}s", secs / 60, secs % 60),
        3_600..172_800 => format!("{}h {}m", secs / 3_600, secs / 60 % 60),
        _ => format!("{}d {}h", secs / 86_400, secs / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_rfc3339() {
        let check = |ms: u64, want: &str| assert_eq!(Time(ms).to_string(), want);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_795_229_999_123, "2026-11-21T02:59:59.123Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn spans_have_two_units() {
        let check = |ms, want: &str| assert_eq!(span(Duration::from_millis(ms)), want);
        check(0, "0ms");
        check(999, "999ms");
        check(59_999, "59s");
        check(192_000, "3m 12s");
        check(7_500_000, "2h 5m");
        check(47 * 3_600_000, "47h 0m");
        check(76 * 3_600_000, "3d 4h");
    }

    #[test]
    fn never_wraps() {
        assert_eq!(Time(5) - Duration::from_secs(1), Time(0));
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time(u64::MAX) + Duration::MAX, Time(u64::MAX));
    }
}
