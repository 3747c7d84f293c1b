//! Zone serial numbers and their arithmetic (RFC 1982 section 3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::HostTime;

/// A zone's serial. It has no `Ord`: in a circle nothing is simply greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Serial(pub u32);

impl Serial {
    /// The serial after this one.
    #[must_use]
    pub fn next(self) -> Serial {
        Serial(self.0.wrapping_add(1))
    }

    /// Whether `self` is later than `other` (RFC 1982 section 3.2). Serials exactly half the circle
    /// apart have no order: then neither is after the other.
    pub fn is_after(self, other: Serial) -> bool {
        let ahead = self.0.wrapping_sub(other.0);
        ahead != 0 && ahead < 1 << 31
    }

    /// The serial for a rewrite: after the last published one, and after the file's, too, unless the two
    /// are so far apart that no serial is after both.
    #[must_use]
    pub fn successor(published: Serial, file: Serial) -> Serial {
        let ahead = file.is_after(published) && file.next().is_after(published);
        if ahead { file.next() } else { published.next() }
    }
}

/// How the serials of a zone go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SerialStyle {
    /// One after the other.
    #[default]
    Increment,
    /// From YYYYMMDD00 of the day in UTC; the hundred-and-first of a day is the next day's first, and the days
    /// catch up.
    Date,
    /// The seconds since 1970; the second of a second is the next second's.
    Unix,
}

impl SerialStyle {
    /// The serial for a rewrite at `now`: [`Serial::successor`], or what the time says, if that is later. So no
    /// style ever goes back or stands for two contents, whatever the clock does, and a zone whose serial is
    /// ahead of the style's goes on by one.
    #[must_use]
    pub fn successor(self, published: Serial, file: Serial, now: HostTime) -> Serial {
        let next = Serial::successor(published, file);
        let wished = match self {
            SerialStyle::Increment => return next,
            SerialStyle::Date => {
                let (year, month, day) = now.date();
                ((year * 100 + month) * 100 + day) * 100
            }
            SerialStyle::Unix => now.0 / 1000,
        };
        // In the year 4295 dates, and in 2106 seconds, no longer fit.
        let Ok(wished) = u32::try_from(wished).map(Serial) else { return next };
        let after_file = wished.is_after(file) || !next.is_after(file);
        if wished.is_after(published) && after_file { wished } else { next }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc1982_order() {
        assert!(Serial(1).is_after(Serial(0)));
        assert!(Serial(0).is_after(Serial(u32::MAX)));
        assert!(!Serial(5).is_after(Serial(5)));
        assert!(!Serial(1 << 31).is_after(Serial(0)) && !Serial(0).is_after(Serial(1 << 31)));
    }

    proptest! {
        /// Serials a whole half circle apart are what went wrong: the one after the file's had no order
        /// with the published one.
        #[test]
        fn a_successor_never_goes_back(
            published: u32,
            apart in prop_oneof![any::<i32>(), Just(i32::MAX), Just(i32::MIN), -2..3i32],
        ) {
            let published = Serial(published);
            let file = Serial(published.0.wrapping_add_signed(apart));
            let next = Serial::successor(published, file);
            prop_assert!(next.is_after(published));
            prop_assert!(next.is_after(file) || apart.unsigned_abs() >= i32::MAX as u32);
        }
    }

    const STYLES: [SerialStyle; 3] = [SerialStyle::Increment, SerialStyle::Date, SerialStyle::Unix];
    /// 2026-11-21T03:00:00Z
    const NOW: HostTime = HostTime(1_795_230_000_000);

    proptest! {
        #[test]
        fn no_style_goes_back(
            published: u32,
            apart in prop_oneof![any::<i32>(), Just(i32::MAX), Just(i32::MIN), -2..3i32],
            now in prop_oneof![any::<u64>(), 0..5_000_000_000_000u64],
        ) {
            let published = Serial(published);
            let file = Serial(published.0.wrapping_add_signed(apart));
            for style in STYLES {
                let next = style.successor(published, file, HostTime(now));
                prop_assert!(next.is_after(published), "{style:?}");
                prop_assert!(next.is_after(file) || apart.unsigned_abs() >= i32::MAX as u32, "{style:?}");
            }
        }

        /// Any clock, rewrites at any distance from each other: each serial is after the one before.
        #[test]
        fn no_style_repeats_itself(
            first in prop_oneof![any::<u32>(), 2_026_000_000..2_027_000_000u32],
            gaps in prop::collection::vec(prop_oneof![Just(0), 0..2_000u64, 0..200_000_000u64], 1..200),
        ) {
            for style in STYLES {
                let (mut last, mut now) = (Serial(first), NOW);
                for gap in &gaps {
                    now = now + std::time::Duration::from_millis(*gap);
                    let next = style.successor(last, Serial(first), now);
                    prop_assert!(next.is_after(last), "{style:?}");
                    last = next;
                }
            }
        }
    }

    #[test]
    fn a_style_says_when() {
        let day = std::time::Duration::from_secs(86_400);
        let check = |style: SerialStyle, published: u32, now, want: u32| {
            assert_eq!(style.successor(Serial(published), Serial(1), now), Serial(want), "{style:?}");
        };
        check(SerialStyle::Increment, 7, NOW, 8);
        check(SerialStyle::Date, 7, NOW, 2_026_112_100);
        check(SerialStyle::Date, 2_026_112_100, NOW, 2_026_112_101);
        check(SerialStyle::Date, 2_026_112_101, NOW + day, 2_026_112_200);
        // After 99 the next day's begin, and go on there.
        check(SerialStyle::Date, 2_026_112_199, NOW, 2_026_112_200);
        check(SerialStyle::Date, 2_026_112_200, NOW, 2_026_112_201);
        check(SerialStyle::Date, 2_026_112_205, NOW + day, 2_026_112_206);
        check(SerialStyle::Date, 2_026_112_205, NOW + day + day, 2_026_112_300);
        check(SerialStyle::Unix, 7, NOW, 1_795_230_000);
        check(SerialStyle::Unix, 1_795_230_000, NOW, 1_795_230_001);
        // From dates to seconds there is no way but half around the circle.
        check(SerialStyle::Unix, 2_026_112_100, NOW, 2_026_112_101);
    }

    #[test]
    fn a_successor_is_ahead_of_both() {
        for (published, file) in [(7, 3), (3, 7), (7, 7), (u32::MAX, 2), (2, u32::MAX), (u32::MAX, u32::MAX)]
        {
            let (published, file) = (Serial(published), Serial(file));
            let next = Serial::successor(published, file);
            assert!(next.is_after(published) && next.is_after(file), "{published} {file} -> {next}");
        }
    }
}
