//! Thresholds, tried on what was recorded.
//!
//! A bounded grid of candidates: each takes the configuration's probes with another interval, confirm or
//! fall, and is played over the recording. An interval can only be made longer than it was: samples that
//! were not taken cannot be known.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Cost;
use crate::model::{Config, Probe, Service, Surroundings, worst_case};

/// Multiples of the configured `interval` that are tried.
const INTERVALS: [u32; 4] = [1, 2, 3, 6];
/// Multiples of the configured `confirm`.
const CONFIRMS: [u32; 2] = [1, 4];
/// Values of `fall`.
const FALLS: [u32; 5] = [1, 2, 3, 4, 5];

/// One set of thresholds, for all probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The configured interval, times this.
    pub interval: u32,
    /// The configured confirm, times this, though not above the interval.
    pub confirm: u32,
    /// Failures that make Down.
    pub fall: u32,
}

/// What a candidate came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Which.
    pub candidate: Candidate,
    /// The longest detection of all services, in milliseconds, as `detour check` counts it.
    pub detection_ms: u64,
    /// The same with publishing and TTL: to a client's new answer.
    pub worst_ms: u64,
    /// What it would have cost.
    pub cost: Cost,
}

/// Every candidate there is.
pub fn candidates() -> Vec<Candidate> {
    let mut all = Vec::new();
    for interval in INTERVALS {
        for confirm in CONFIRMS {
            all.extend(FALLS.map(|fall| Candidate { interval, confirm, fall }));
        }
    }
    all
}

impl Candidate {
    /// A configuration with these thresholds.
    pub fn apply(&self, config: &Config) -> Config {
        let changed = |probe: &Arc<Probe>| {
            let mut probe = Probe::clone(probe);
            probe.interval *= self.interval;
            probe.confirm = (probe.confirm * self.confirm).min(probe.interval);
            probe.thresholds.fall = self.fall;
            if let Some(window) = &mut probe.thresholds.window {
                *window = (*window).max(self.fall);
            }
            Arc::new(probe)
        };
        let service = |service: &Arc<Service>| {
            let probes = service.probes.map(&changed);
            Arc::new(Service { probes, ..Service::clone(service) })
        };
        Config {
            probes: config.probes.iter().map(changed).collect(),
            services: config.services.iter().map(service).collect(),
            ..config.clone()
        }
    }

    /// What it came to.
    pub fn advice(self, config: &Config, cost: Cost) -> Advice {
        let surroundings = Surroundings::of(config, usize::MAX);
        let sums = config.services.iter().map(|service| worst_case(service, &surroundings));
        let (mut detection, mut worst) = (Duration::ZERO, Duration::ZERO);
        for sum in sums {
            (detection, worst) = (detection.max(sum.detection), worst.max(sum.total));
        }
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Advice { candidate: self, detection_ms: millis(detection), worst_ms: millis(worst), cost }
    }
}

/// The one to take: of those that keep the promise, those with the fewest false failovers; of these the
/// cheapest, which probes most seldom; of these the most patient. `None` where none keeps it.
pub fn advise(tried: &[Advice], rto: Duration) -> Option<&Advice> {
    let kept = tried.iter().filter(|advice| Duration::from_millis(advice.worst_ms) <= rto);
    kept.min_by_key(|advice| {
        let Candidate { interval, confirm, fall } = advice.candidate;
        // What is patient beyond need loses nothing that was promised, and is safer than the recording shows.
        (advice.cost.false_failovers.len(), Reverse((interval, confirm)), Reverse(fall))
    })
}
