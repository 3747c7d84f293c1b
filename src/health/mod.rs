//! Health: samples in, what they say of a check out. Pure.

mod sample;
mod state;

pub use sample::{Discard, Failure, Outcome, Phase, Sample, Vantage};
pub use state::Health;
