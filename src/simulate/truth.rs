//! When each check really failed, as far as samples tell: from the first failure to the next success.

use std::collections::BTreeMap;
use std::time::Duration;

use super::StudyError;
use crate::engine::{Effect, Happened};
use crate::health::Outcome;
use crate::model::CheckKey;
use crate::time::Time;

/// The most streaks of failures that are held.
pub const MAX_STREAKS: usize = 1_000_000;

/// Each check's streaks of failures.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    streaks: BTreeMap<CheckKey, Vec<Streak>>,
    count: usize,
    /// The last moment there was a sample.
    end: Time,
}

/// Failures in a row: from the first of them to the success that ended them, if one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Streak {
    from: Time,
    to: Option<Time>,
}

impl Truth {
    /// Takes note of an effect of the run as it was recorded: samples that count for nothing say so there.
    pub fn note(&mut self, effect: &Effect) {
        let Effect::Record(Happened::Sample(sample)) = effect else { return };
        self.end = self.end.max(sample.at);
        let failed = match sample.outcome {
            Outcome::Ok => false,
            Outcome::Failed(_) => true,
            Outcome::Discarded(_) => return,
        };
        let open = self.streaks.get_mut(&sample.check);
        let open = open.and_then(|streaks| streaks.last_mut()).filter(|streak| streak.to.is_none());
        match (open, failed) {
            (Some(streak), false) => streak.to = Some(sample.at),
            (None, true) => {
                self.count += 1;
                if self.count <= MAX_STREAKS {
                    let streaks = self.streaks.entry(sample.check.clone()).or_default();
                    streaks.push(Streak { from: sample.at, to: None });
                }
            }
            (Some(_), true) | (None, false) => {}
        }
    }

    /// Whether it holds all there was.
    pub fn check(&self) -> Result<(), StudyError> {
        if self.count > MAX_STREAKS {
            return Err(StudyError::TooMuch(MAX_STREAKS, "streaks of failures"));
        }
        Ok(())
    }

    /// The last moment there was a sample.
    pub fn end(&self) -> Time {
        self.end
    }

    /// The parts of a span in which one of these checks failed in a streak of `least` or longer, joined.
    pub fn dead(&self, checks: &[&CheckKey], span: (Time, Time), least: Duration) -> Duration {
        let streaks = checks.iter().filter_map(|check| self.streaks.get(check)).flatten();
        let mut parts: Vec<(Time, Time)> = streaks
            .map(|streak| (streak.from, streak.to.unwrap_or(self.end)))
            .filter(|(from, to)| to.since(*from) >= least)
            .map(|(from, to)| (from.max(span.0), to.min(span.1)))
            .filter(|(from, to)| from < to)
            .collect();
        parts.sort_unstable();
        let mut dead = Duration::ZERO;
        let mut upto = span.0;
        for (from, to) in parts {
            dead += to.since(from.max(upto));
            upto = upto.max(to);
        }
        dead
    }

    /// How long the longest streak lasts that one of these checks was in at `at`, or shortly before it:
    /// a decision follows the samples. `None` where none failed.
    pub fn failing(&self, checks: &[&CheckKey], at: Time) -> Option<Duration> {
        let streaks = checks.iter().filter_map(|check| self.streaks.get(check)).flatten();
        let shortly = Duration::from_secs(1);
        let around = streaks
            .map(|streak| (streak.from, streak.to.unwrap_or(self.end)))
            .filter(|(from, to)| *from <= at && at <= *to + shortly);
        around.map(|(from, to)| to.since(from)).max()
    }
}
