//! The last hour of a check, for people to look at: how its runs went, in buckets of two minutes. Nothing is
//! judged by it, and a restart forgets it.
//!
//! There may be a hundred thousand checks, so the past is packed: nine bytes a bucket.

use std::time::Duration;

use super::Outcome;
use crate::time::Time;

/// How many buckets are shown, the one that is still filling up among them.
pub const PLOT_BUCKETS: usize = 30;
/// How long one bucket is. They begin at whole multiples of it, so those of all checks stand side by side.
pub const PLOT_STEP: Duration = Duration::from_secs(120);

/// The runs of a bucket that are counted one by one: 136 a second. A count that is full stays there.
const COUNT_BITS: u32 = 14;
/// A time in microseconds: 5 bits of exponent, 10 of mantissa, so less than a thousandth is lost.
const MANTISSA_BITS: u32 = 10;

const STEP_MS: u64 = PLOT_STEP.as_secs() * 1000;
const PAST: usize = PLOT_BUCKETS - 1;

/// What the runs of one check came to in the last hour.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    now: Filling,
    past: [Packed; PAST],
    /// The place in `past` of the bucket before `now`; those before it lie before it, around the end.
    newest: u8,
}

/// The runs that ended in one bucket's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlotBucket {
    /// When it begins.
    pub at: Time,
    /// All runs.
    pub runs: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that say nothing of the endpoint.
    pub discarded: u32,
    /// The mean and the longest latency of those that succeeded; `None` where none did.
    pub latency: Option<(Duration, Duration)>,
}

/// The bucket that is filling up.
#[derive(Clone, Copy, Debug, Default)]
struct Filling {
    /// Which bucket it is, counted since 1970.
    number: u32,
    runs: u16,
    failures: u16,
    discarded: u16,
    longest_micros: u32,
    /// Of the runs that succeeded.
    sum_micros: u64,
}

/// A bucket that is over: three counts and two times, and nothing of when it was.
#[derive(Clone, Copy, Debug, Default)]
struct Packed([u8; 9]);

impl Plot {
    /// Counts a run that ended. One that ended before the bucket that is filling up is counted in that.
    pub fn note(&mut self, at: Time, latency: Duration, outcome: &Outcome) {
        self.turn_to(number(at));
        let full = (1 << COUNT_BITS) - 1;
        let count = |counter: &mut u16| *counter = (*counter + 1).min(full);
        count(&mut self.now.runs);
        match outcome {
            Outcome::Ok => {
                let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
                self.now.sum_micros += u64::from(micros);
                self.now.longest_micros = self.now.longest_micros.max(micros);
            }
            Outcome::Failed(_) => count(&mut self.now.failures),
            Outcome::Discarded(_) => count(&mut self.now.discarded),
        }
    }

    /// Every bucket up to the one that `now` lies in, the oldest first.
    pub fn buckets(&self, now: Time) -> Vec<PlotBucket> {
        let mut turned = self.clone();
        turned.turn_to(number(now));
        let last = turned.now.number;
        let at = |ago: usize| {
            Time(u64::from(last.saturating_sub(u32::try_from(ago).unwrap_or(u32::MAX))) * STEP_MS)
        };
        let past = (0..PAST).rev().map(|ago| {
            let place = (usize::from(turned.newest) + PAST - ago) % PAST;
            turned.past[place].shown(at(ago + 1))
        });
        past.chain([turned.now.packed().shown(at(0))]).collect()
    }

    /// Puts the buckets before `number` behind it.
    fn turn_to(&mut self, number: u32) {
        let steps = number.saturating_sub(self.now.number);
        if steps == 0 {
            return;
        }
        self.push(self.now.packed());
        // Beyond a whole round there is nothing left to empty.
        for _ in 1..steps.min(PLOT_BUCKETS as u32) {
            self.push(Packed::default());
        }
        self.now = Filling { number, ..Filling::default() };
    }

    fn push(&mut self, bucket: Packed) {
        let next = (usize::from(self.newest) + 1) % PAST;
        self.past[next] = bucket;
        // Below PAST, which is 29.
        self.newest = next as u8;
    }
}

impl Filling {
    fn packed(&self) -> Packed {
        let passed = self.runs - self.failures - self.discarded;
        // Where a count is full, others may have gone on: the mean is then a little too long.
        let mean = self.sum_micros.checked_div(u64::from(passed)).unwrap_or(0);
        let mean = float(u32::try_from(mean).unwrap_or(u32::MAX));
        let mut bits: u128 = 0;
        for count in [self.runs, self.failures, self.discarded] {
            bits = bits << COUNT_BITS | u128::from(count);
        }
        for time in [mean, float(self.longest_micros)] {
            bits = bits << 15 | u128::from(time);
        }
        let bytes = bits.to_le_bytes();
        Packed(std::array::from_fn(|n| bytes[n]))
    }
}

impl Packed {
    fn shown(self, at: Time) -> PlotBucket {
        let mut bytes = [0; 16];
        bytes[..9].copy_from_slice(&self.0);
        let mut bits = u128::from_le_bytes(bytes);
        let mut take = |width: u32| {
            let value = (bits & ((1 << width) - 1)) as u32;
            bits >>= width;
            value
        };
        let (longest, mean) = (micros(take(15)), micros(take(15)));
        let (discarded, failures, runs) = (take(COUNT_BITS), take(COUNT_BITS), take(COUNT_BITS));
        let passed = runs > failures + discarded;
        PlotBucket { at, runs, failures, discarded, latency: passed.then_some((mean, longest)) }
    }
}

/// Which bucket a moment lies in.
fn number(at: Time) -> u32 {
    // Two minutes each, for 16,000 years.
    u32::try_from(at.0 / STEP_MS).unwrap_or(u32::MAX)
}

/// Microseconds in 15 bits: `mantissa << exponent`.
fn float(micros: u32) -> u16 {
    let exponent = (u32::BITS - micros.leading_zeros()).saturating_sub(MANTISSA_BITS);
    (exponent << MANTISSA_BITS | micros >> exponent) as u16
}

fn micros(float: u32) -> Duration {
    let (exponent, mantissa) = (float >> MANTISSA_BITS, float & ((1 << MANTISSA_BITS) - 1));
    Duration::from_micros(u64::from(mantissa) << exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Discard, Failure};

    fn at(minutes: u64) -> Time {
        // Not at a bucket's beginning.
        Time(STEP_MS * 1000 + minutes * 60_000 + 1)
    }

    fn ok(plot: &mut Plot, minutes: u64, ms: u64) {
        plot.note(at(minutes), Duration::from_millis(ms), &Outcome::Ok);
    }

    #[test]
    fn an_hour_is_three_hundred_bytes() {
        assert!(size_of::<Plot>() <= 300, "{}", size_of::<Plot>());
    }

    #[test]
    fn runs_are_counted_in_their_two_minutes() {
        let mut plot = Plot::default();
        ok(&mut plot, 0, 10);
        ok(&mut plot, 1, 30);
        plot.note(at(1), Duration::from_secs(2), &Outcome::Failed(Failure::Refused));
        plot.note(at(4), Duration::ZERO, &Outcome::Discarded(Discard::Local("no route".to_owned())));
        ok(&mut plot, 4, 1);
        let buckets = plot.buckets(at(5));
        assert_eq!(buckets.len(), PLOT_BUCKETS);
        let first = PlotBucket {
            at: Time(STEP_MS * 1000),
            runs: 3,
            failures: 1,
            discarded: 0,
            // A mantissa of ten bits: 30 ms are 30,000 µs are 937 << 5.
            latency: Some((Duration::from_micros(1250 << 4), Duration::from_micros(937 << 5))),
        };
        assert_eq!(buckets[27], first);
        assert_eq!((buckets[28].runs, buckets[28].latency), (0, None));
        assert_eq!((buckets[29].runs, buckets[29].discarded, buckets[29].failures), (2, 1, 0));
        assert!(buckets.windows(2).all(|pair| pair[1].at.since(pair[0].at) == PLOT_STEP));
    }

    #[test]
    fn what_is_older_than_an_hour_is_gone() {
        let mut plot = Plot::default();
        for minute in 0..90 {
            ok(&mut plot, minute, minute);
        }
        let buckets = plot.buckets(at(89));
        assert!(buckets.iter().all(|bucket| bucket.runs == 2), "{buckets:?}");
        let buckets = plot.buckets(at(99));
        assert_eq!(buckets.iter().filter(|bucket| bucket.runs == 2).count(), 25);
        assert!(plot.buckets(at(1000)).iter().all(|bucket| bucket.runs == 0));
        // After a long silence, too.
        ok(&mut plot, 1000, 7);
        assert_eq!(plot.buckets(at(1000)).iter().map(|bucket| bucket.runs).sum::<u32>(), 1);
        // A run that ended a little earlier than others counts all the same.
        ok(&mut plot, 997, 7);
        assert_eq!(plot.buckets(at(1000))[29].runs, 2);
    }

    #[test]
    fn whatever_a_bucket_holds_is_shown_as_it_was() {
        for micros in [0, 1, 1023, 1024, 99_999, 30_000_000, u32::MAX] {
            let shown = super::micros(u32::from(float(micros))).as_micros() as f64;
            let off = (f64::from(micros) - shown).abs();
            assert!(off <= f64::from(micros) / 512.0, "{micros} became {shown}");
        }
        let mut plot = Plot::default();
        let failed = Outcome::Failed(Failure::Refused);
        (0..70_000).for_each(|_| plot.note(at(0), Duration::MAX, &failed));
        let bucket = plot.buckets(at(0))[29];
        assert_eq!((bucket.runs, bucket.failures, bucket.latency), (16_383, 16_383, None));
    }
}
