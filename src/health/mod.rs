//! Health: samples in, what they say of a check, a place and an endpoint out. Pure.
//!
//! In: [`Sample`]s, each with its vantage, and the [`Thresholds`](crate::model::Thresholds) of their
//! probe. Out: a [`Finding`] (health, since when, because of what). This room must never know what a
//! service answers, what an operator forces, or how a probe is run.
//!
//! ```text
//! Sample ─► Tracker (one vantage) ─► CheckHealth (quorum) ─► place ─► endpoint
//!           thresholds, window       of vantages             probes   any place
//!                                                            combined that works
//! ```
//!
//! The state diagram of one check stands above [`Health`]. With `fall = 1` a failure leads to Down
//! directly. A discarded sample is shown and never counted. `damping` says for how long a check that keeps
//! changing is not believed to be Up.

mod check;
mod combine;
mod damping;
mod phases;
mod plot;
mod sample;
mod state;
mod tracker;

pub use check::{CheckHealth, MAX_RECENT, MAX_VANTAGES, Recent};
pub use combine::{endpoint, place, works};
pub use damping::{Damper, Held};
pub use phases::{Phase, Phases};
pub use plot::{PLOT_BUCKETS, PLOT_STEP, Plot, PlotBucket};
pub use sample::{Detail, Discard, Failure, Outcome, Sample, Vantage, Warning};
pub use state::Health;
pub use tracker::{Finding, Tracker};
