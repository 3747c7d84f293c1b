//! Measures: how often something took how long, or was how large.
//!
//! In: one number at a time, from any thread, without a lock. Out: a [`Distribution`] when somebody asks. This
//! room must never know what it measures, or who reads it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the numbers of a [`Histogram`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds; shown as seconds.
    Micros,
    /// Bytes.
    Bytes,
}

/// Counts of numbers by their size.
#[derive(Debug)]
pub struct Histogram {
    unit: Unit,
    /// The upper bounds of the buckets, inclusive, in ascending order; what is larger still has one more.
    bounds: &'static [u64],
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram held at one moment, in base units: seconds, bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// How many numbers were this large or smaller; the last bound is infinite, for all there were.
    pub upto: Vec<(f64, u64)>,
    /// The sum of them all.
    pub sum: f64,
}

impl Histogram {
    /// An empty one.
    pub fn new(unit: Unit, bounds: &'static [u64]) -> Histogram {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { unit, bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Counts a number in the unit it was made for.
    pub fn note(&self, number: u64) {
        self.buckets[self.bounds.partition_point(|bound| *bound < number)].fetch_add(1, Relaxed);
        self.sum.fetch_add(number, Relaxed);
    }

    /// Counts a time, where the unit is [`Unit::Micros`].
    pub fn took(&self, time: Duration) {
        self.note(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// What it holds now.
    pub fn read(&self) -> Distribution {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed));
        Distribution::of(self.unit, self.bounds, counts, self.sum.load(Relaxed))
    }
}

impl Distribution {
    /// What buckets came to that were counted elsewhere: one for each of `bounds`, and one more.
    pub fn of(unit: Unit, bounds: &[u64], counts: impl Iterator<Item = u64>, sum: u64) -> Distribution {
        let base = |number: u64| match unit {
            Unit::Micros => number as f64 / 1e6,
            Unit::Bytes => number as f64,
        };
        let bounds = bounds.iter().map(|bound| base(*bound)).chain([f64::INFINITY]);
        let so_far = counts.scan(0, |so_far, count| {
            *so_far += count;
            Some(*so_far)
        });
        Distribution { upto: bounds.zip(so_far).collect(), sum: base(sum) }
    }

    /// How many numbers there were.
    pub fn count(&self) -> u64 {
        self.upto.last().map_or(0, |(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_holds_all_that_were_no_larger() {
        let histogram = Histogram::new(Unit::Micros, &[1_000, 5_000, 50_000]);
        for ms in [0, 1, 2, 50, 51, 5000] {
            histogram.took(Duration::from_millis(ms));
        }
        let read = histogram.read();
        assert_eq!(read.upto, [(0.001, 2), (0.005, 3), (0.05, 4), (f64::INFINITY, 6)]);
        assert_eq!((read.sum, read.count()), (5.104, 6));
        assert_eq!(Distribution::default().count(), 0);

        let sizes = Histogram::new(Unit::Bytes, &[512]);
        sizes.note(512);
        sizes.note(513);
        assert_eq!(sizes.read(), Distribution { upto: vec![(512.0, 1), (f64::INFINITY, 2)], sum: 1025.0 });
    }
}
