//! Zone serial numbers and their arithmetic (RFC 1982 section 3).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A zone's serial. It has no `Ord`: in a circle nothing is simply greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
