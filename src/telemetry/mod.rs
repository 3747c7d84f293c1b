//! What is told to those who watch from outside: the log, metrics of failovers, traces, and some of the queries.
//!
//! In: what the core did, and what `server` gives copies of. Out: lines, numbers, traces, frames. Nobody waits for any of it, and
//! nothing here must ever decide anything.

pub mod failovers;
pub mod log;
pub mod otlp;
pub mod pulse;
pub mod querylog;

use crate::sys::histogram::Distribution;

/// One histogram: its name, its labels, and what it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The family's name, which ends in its unit.
    pub name: &'static str,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// What it holds.
    pub of: Distribution,
}

/// A metric's name, its labels and its value. A name that ends in `_total` is a counter, any other a gauge.
pub type Counter = (&'static str, Vec<(&'static str, String)>, u64);
