//! `Time`: the moment something happened, as an argument.
//!
//! The pure rooms never read a clock. `clock.rs` begins a [`Time`] where the last run ended, or at the host's time of
//! day, and advances it by the steady clock: whoever sets the host's clock moves no hold, no expiry and no check. How
//! far the host's clock is from it is an [`Offset`], which is kept across restarts.
//!
//! What is decided, kept and recorded is a `Time`. People are shown the same moment by the host's clock: inside
//! [`by_host`], a `Time` is printed and serialized with the offset added. So after the host's clock was set, what happened
//! before is shown by the corrected clock too, in its order and at its distances. What comes from elsewhere and is by the
//! host's clock in itself, such as when a certificate expires, is a [`HostTime`].

mod stalls;

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::ops::{Add, Sub};
use std::pin::pin;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

pub use stalls::Stalls;

/// A host's clock that was set by this much or more is told; less is followed without a word.
pub const CLOCK_STEP: Duration = Duration::from_secs(2);
/// A difference below this is no other offset: two clocks are never read at the very same instant.
const CLOCK_NOISE: Duration = Duration::from_millis(100);

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
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Time(pub u64);

/// Milliseconds since 1970-01-01T00:00:00Z by the host's clock, whatever that says.
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
pub struct HostTime(pub u64);

/// By how many milliseconds the host's clock is ahead of the daemon's own.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Offset(pub i64);

/// The same of work that waits in between.
pub async fn by_host_while<W: Future>(by: impl Fn() -> Offset, tell: W) -> W::Output {
    let mut tell = pin!(tell);
    poll_fn(move |context| by_host(by(), || tell.as_mut().poll(context))).await
}

impl Offset {
    /// What the two clocks show at one instant, apart.
    pub fn between(host: HostTime, own: Time) -> Offset {
        let ms = i128::from(host.0) - i128::from(own.0);
        Offset(i64::try_from(ms).unwrap_or(if ms < 0 { i64::MIN } else { i64::MAX }))
    }

    /// By how many milliseconds the host's clock was set, where this became that.
    pub fn moved_by(self, new: Offset) -> i64 {
        new.0.saturating_sub(self.0)
    }

    /// What to follow a host's clock to that is seen to be `seen` ahead; nothing where it is where it was.
    pub fn follow(self, seen: Offset) -> Option<Offset> {
        let moved = Duration::from_millis(self.moved_by(seen).unsigned_abs());
        (moved >= CLOCK_NOISE).then_some(seen)
    }
}

thread_local! {
    static SHOWN_BY: Cell<Offset> = const { Cell::new(Offset(0)) };
}

/// Runs `tell`, in which each [`Time`] is printed and serialized by the host's clock. Nothing may be kept from in there:
/// what is read back is taken for the daemon's own time.
pub fn by_host<T>(by: Offset, tell: impl FnOnce() -> T) -> T {
    /// Also where it panics.
    struct Before(Offset);
    impl Drop for Before {
        fn drop(&mut self) {
            SHOWN_BY.set(self.0);
        }
    }
    let _before = Before(SHOWN_BY.replace(by));
    tell()
}

impl Time {
    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As it is shown here: see [`by_host`].
    pub fn as_shown(self) -> HostTime {
        self.on_host(SHOWN_BY.get())
    }

    /// The same moment by the host's clock.
    pub fn on_host(self, offset: Offset) -> HostTime {
        HostTime(self.0.saturating_add_signed(offset.0))
    }
}

impl HostTime {
    /// The same moment by the daemon's own clock.
    pub fn to_own(self, offset: Offset) -> Time {
        Time(self.0.saturating_add_signed(offset.0.saturating_neg()))
    }

    /// Year, month and day, in UTC.
    pub fn date(self) -> (u64, u64, u64) {
        civil(self.0 / 1000 / 86_400)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_shown().serialize(serializer)
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

impl Add<Duration> for HostTime {
    type Output = HostTime;
    fn add(self, d: Duration) -> HostTime {
        HostTime((Time(self.0) + d).0)
    }
}

impl Sub<Duration> for HostTime {
    type Output = HostTime;
    fn sub(self, d: Duration) -> HostTime {
        HostTime((Time(self.0) - d).0)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_shown().fmt(f)
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-21T03:00:00.000Z`.
impl fmt::Display for HostTime {
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
    fn people_are_shown_the_hosts_clock_and_nothing_is_kept_by_it() {
        let (at, ahead) = (Time(1_795_229_999_123), Offset(3 * 3_600_000));
        let both = |at: Time| (at.to_string(), serde_json::to_string(&at).unwrap());
        let own = ("2026-11-21T02:59:59.123Z".to_owned(), "1795229999123".to_owned());
        assert_eq!(both(at), own);
        by_host(ahead, || {
            assert_eq!(both(at), ("2026-11-21T05:59:59.123Z".to_owned(), "1795240799123".to_owned()));
            assert_eq!(by_host(Offset(0), || both(at)), own, "the innermost counts");
            assert_eq!(HostTime(at.0).to_string(), own.0, "what is by the host's clock already");
            assert!(std::panic::catch_unwind(|| by_host(Offset(-1), || panic!("within"))).is_err());
            assert_eq!(both(at).1, "1795240799123");
        });
        assert_eq!(both(at), own);
        let read: Time = serde_json::from_str("1795229999123").unwrap();
        assert_eq!(read, at);
    }

    #[test]
    fn an_offset_follows_what_is_more_than_noise() {
        let check = |seen, want: Option<i64>| {
            assert_eq!(Offset(1_000).follow(Offset(seen)), want.map(Offset), "{seen}");
        };
        check(1_000, None);
        check(1_099, None);
        check(901, None);
        check(1_100, Some(1_100));
        check(900, Some(900));
        check(-3_600_000, Some(-3_600_000));
        assert_eq!(Offset::between(HostTime(5), Time(9)), Offset(-4));
        assert_eq!(Offset::between(HostTime(u64::MAX), Time(0)), Offset(i64::MAX));
        assert_eq!(Offset(i64::MIN).moved_by(Offset(i64::MAX)), i64::MAX);
        assert_eq!((Time(9).on_host(Offset(-4)), HostTime(5).to_own(Offset(-4))), (HostTime(5), Time(9)));
    }

    #[test]
    fn never_wraps() {
        assert_eq!(Time(5) - Duration::from_secs(1), Time(0));
        assert_eq!(Time(5).since(Time(9)), Duration::ZERO);
        assert_eq!(Time(5).on_host(Offset(-9)), HostTime(0));
        assert_eq!(Time(u64::MAX) + Duration::MAX, Time(u64::MAX));
    }
}
