//! The canaries, by which this place tells its own trouble from that of the sites.

use std::time::Duration;

use super::Check;

/// The vantage this daemon probes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VantageSetup {
    /// Each once; a single failure or success is enough to change one. None: the vantage never doubts.
    pub canaries: Vec<Check>,
    /// How many of them must work.
    pub quorum: usize,
}

impl VantageSetup {
    /// The longest time from an endpoint's first failure to a verdict of the canaries on it: the run that
    /// is under way ends, another one is run.
    pub fn wait(&self) -> Duration {
        let wait = |check: &Check| check.probe.confirm.max(check.probe.timeout) + check.probe.timeout;
        self.canaries.iter().map(wait).max().unwrap_or_default()
    }
}
