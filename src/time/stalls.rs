//! The time in which this process stood still, which counts for nothing: nobody could take a result then, ask a site
//! or answer an operator.

use std::collections::VecDeque;
use std::time::Duration;

use super::Time;

/// How many stalls are remembered; the shortest is forgotten when there are more.
const MAX_STALLS: usize = 64;

/// The stalls of late, none of which overlaps another.
#[derive(Clone, Debug, Default)]
pub struct Stalls(VecDeque<Stall>);

/// This process stood still for `length`, until `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stall {
    end: Time,
    length: Duration,
}

impl Stalls {
    /// It stood still for so long until `end`, which is later than that of the stalls before.
    pub fn add(&mut self, end: Time, length: Duration) {
        let length = self.0.back().map_or(length, |last| length.min(end.since(last.end)));
        if length.is_zero() {
            return;
        }
        self.0.push_back(Stall { end, length });
        if self.0.len() > MAX_STALLS {
            // The newest is not looked at: what has just passed matters most.
            let shortest = (0..MAX_STALLS).min_by_key(|&at| self.0[at].length);
            shortest.and_then(|at| self.0.remove(at));
        }
    }

    /// For how long it has stood still since `from`.
    pub fn since(&self, from: Time) -> Duration {
        let later = self.0.iter().rev().take_while(|stall| stall.end > from);
        later.map(|stall| stall.length.min(stall.end.since(from))).sum()
    }

    /// Where to count from, so that what has passed since `from` is the time in which this process ran.
    pub fn count_from(&self, from: Time) -> Time {
        from + self.since(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn stalls(each: &[(u64, u64)]) -> Stalls {
        let mut stalls = Stalls::default();
        for &(end, length) in each {
            stalls.add(Time(end), ms(length));
        }
        stalls
    }

    #[test]
    fn what_fell_into_a_stall_does_not_count() {
        let check = |each: &[(u64, u64)], from: u64, want: u64| {
            assert_eq!(stalls(each).since(Time(from)), ms(want), "{each:?} from {from}");
        };
        check(&[], 0, 0);
        check(&[(5_000, 1_000)], 0, 1_000);
        check(&[(5_000, 1_000)], 4_000, 1_000);
        check(&[(5_000, 1_000)], 4_700, 300); // it began before
        check(&[(5_000, 1_000)], 5_000, 0); // it was over
        check(&[(5_000, 1_000), (9_000, 2_000)], 4_500, 2_500);
        check(&[(5_000, 1_000), (5_500, 2_000)], 0, 1_500); // never more than has passed
        check(&[(5_000, 1_000), (5_000, 2_000)], 0, 1_000);
        assert_eq!(stalls(&[(5_000, 1_000)]).count_from(Time(4_700)), Time(5_000));
    }

    #[test]
    fn they_are_bounded_and_never_come_to_more_than_has_passed() {
        let length = |n: u64| if n == 3 { 900 } else { 400 };
        let each: Vec<(u64, u64)> = (1..=200).map(|n| (n * 1_000, length(n))).collect();
        let bounded = stalls(&each);
        assert_eq!(bounded.0.len(), MAX_STALLS);
        assert_eq!(bounded.since(Time(0)), ms(900 + 63 * 400), "the longest stays");
        assert_eq!(bounded.since(Time(190_000)), ms(10 * 400), "and the last ones do");
        for from in (0..200_000).step_by(700) {
            let all: u64 = each.iter().map(|&(end, length)| length.min(end.saturating_sub(from))).sum();
            assert!(bounded.since(Time(from)) <= ms(all), "from {from}");
        }
    }
}
