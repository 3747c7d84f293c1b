//! How late runs start: counted when one does, read when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the buckets, in milliseconds, inclusive; what is later still has one more.
const BOUNDS_MS: [u64; 9] = [1, 5, 10, 25, 50, 100, 250, 500, 1000];

/// Counts of lateness: from the time a run was due to its start. First runs are not in it, as they are due
/// when their check is taken up and spread out on purpose.
#[derive(Debug, Default)]
pub(super) struct Counts {
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
    sum_ms: AtomicU64,
}

/// The lateness of all runs so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// How many runs were late by this much or less; the last bound is `None`, for all there were.
    pub upto: Vec<(Option<Duration>, u64)>,
    /// The sum of it all.
    pub sum: Duration,
}

impl Counts {
    pub(super) fn add(&self, late: Duration) {
        let ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        self.buckets[BOUNDS_MS.partition_point(|bound| *bound < ms)].fetch_add(1, Relaxed);
        self.sum_ms.fetch_add(ms, Relaxed);
    }

    pub(super) fn read(&self) -> Lateness {
        let bounds = BOUNDS_MS.map(|ms| Some(Duration::from_millis(ms))).into_iter().chain([None]);
        let mut so_far = 0;
        let counts = self.buckets.iter().map(|bucket| {
            so_far += bucket.load(Relaxed);
            so_far
        });
        Lateness { upto: bounds.zip(counts).collect(), sum: Duration::from_millis(self.sum_ms.load(Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_holds_all_that_were_no_later() {
        let counts = Counts::default();
        for ms in [0, 1, 2, 50, 51, 5000] {
            counts.add(Duration::from_millis(ms));
        }
        let Lateness { upto, sum } = counts.read();
        assert_eq!(upto.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 3, 3, 3, 4, 5, 5, 5, 5, 6]);
        assert_eq!(upto[4].0, Some(Duration::from_millis(50)));
        assert_eq!(upto[9].0, None);
        assert_eq!(sum, Duration::from_millis(5104));
    }
}
