//! How long runs take and how late they start: counted when one ends or begins, read when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::health::{Outcome, Sample};
use crate::model::{Check, ProbeId};
use crate::sys::histogram::{Distribution, Histogram, Unit};

/// The upper bounds of lateness, in microseconds.
const LATE: [u64; 9] = [1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];
/// The upper bounds of what a run takes, in microseconds.
const TOOK: [u64; 12] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 10_000_000,
];
/// Definitions of probes that are counted each by itself; the runs of further ones are not.
pub(super) const MAX_PROBES: usize = 1_000;

/// What came of a run, as its time is counted by.
const RESULTS: [&str; 3] = ["ok", "failed", "discarded"];

/// What is counted of all runs.
#[derive(Debug)]
pub(super) struct Times {
    /// From the time a run was due to its start. First runs are not in it, as they are due when their check
    /// is taken up and spread out on purpose.
    pub(super) late: Histogram,
    took: Mutex<BTreeMap<ProbeId, Arc<[Histogram; RESULTS.len()]>>>,
}

/// How long the runs of one probe took that came to one result.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeTimes {
    /// The probe.
    pub probe: ProbeId,
    /// `ok`, `failed` or `discarded`.
    pub result: &'static str,
    /// From each run's start to its end.
    pub took: Distribution,
}

impl Times {
    pub(super) fn new() -> Times {
        Times { late: Histogram::new(Unit::Micros, &LATE), took: Mutex::default() }
    }

    /// Counts the runs of these checks from now on, and goes on where it did.
    pub(super) fn set(&self, checks: &[Check]) {
        let probes: BTreeSet<&ProbeId> = checks.iter().map(|check| &check.key.probe).collect();
        let mut took = self.lock();
        took.retain(|probe, _| probes.contains(probe));
        for probe in probes {
            if took.len() >= MAX_PROBES {
                break;
            }
            took.entry(probe.clone())
                .or_insert_with(|| Arc::new(RESULTS.map(|_| Histogram::new(Unit::Micros, &TOOK))));
        }
    }

    /// A run ended.
    pub(super) fn ended(&self, sample: &Sample) {
        let result = match sample.outcome {
            Outcome::Ok => 0,
            Outcome::Failed(_) => 1,
            Outcome::Discarded(_) => 2,
        };
        self.note(&sample.check.probe, result, sample.latency);
    }

    fn note(&self, probe: &ProbeId, result: usize, took: Duration) {
        let of = self.lock().get(probe).cloned();
        if let Some(of) = of {
            of[result].took(took);
        }
    }

    /// What was counted, by probe and result.
    pub(super) fn read(&self) -> Vec<ProbeTimes> {
        let took = self.lock().clone();
        let each = took.iter().flat_map(|(probe, of)| {
            RESULTS.iter().zip(of.iter()).map(|(result, took)| ProbeTimes {
                probe: probe.clone(),
                result,
                took: took.read(),
            })
        });
        each.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProbeId, Arc<[Histogram; RESULTS.len()]>>> {
        // Nothing that holds it can panic halfway through a change.
        self.took.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, tcp_probe};
    use super::*;

    #[test]
    fn runs_are_counted_by_probe_and_result_across_loads() {
        let times = Times::new();
        let checks = |ids: &[&str]| -> Vec<Check> {
            ids.iter().map(|id| check(&tcp_probe(id, 80), [192, 0, 2, 10])).collect()
        };
        let counts = || -> Vec<(String, u64)> {
            let each = times.read().into_iter().filter(|times| times.took.count() > 0);
            each.map(|times| (format!("{} {}", times.probe, times.result), times.took.count())).collect()
        };
        times.set(&checks(&["web", "db"]));
        times.note(&"web".into(), 0, Duration::from_millis(3));
        times.note(&"web".into(), 1, Duration::from_secs(2));
        times.note(&"db".into(), 0, Duration::ZERO);
        times.note(&"none".into(), 0, Duration::ZERO);
        assert_eq!(counts(), [("db ok".into(), 1), ("web ok".into(), 1), ("web failed".into(), 1)]);
        times.set(&checks(&["web", "new"]));
        times.note(&"new".into(), 2, Duration::ZERO);
        assert_eq!(counts(), [("new discarded".into(), 1), ("web ok".into(), 1), ("web failed".into(), 1)]);
    }

    #[test]
    fn there_is_a_bound_on_how_many_are_counted() {
        let times = Times::new();
        let many: Vec<Check> =
            (0..MAX_PROBES + 5).map(|n| check(&tcp_probe(&format!("p{n}"), 80), [192, 0, 2, 10])).collect();
        times.set(&many);
        assert_eq!(times.read().len(), MAX_PROBES * RESULTS.len());
    }
}
