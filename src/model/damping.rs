//! Checks that keep changing.

use std::time::Duration;

/// When a check that keeps changing is held Down, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping {
    /// How many changes between working and Down, at least 2,
    pub changes: u32,
    /// within how long, make a hold.
    pub within: Duration,
    /// The first hold; each further one is twice as long.
    pub hold: Duration,
    /// The longest one.
    pub max_hold: Duration,
}

impl Default for Damping {
    /// Three failures within ten minutes: what fails once or twice never meets it.
    fn default() -> Damping {
        let secs = Duration::from_secs;
        Damping { changes: 6, within: secs(600), hold: secs(60), max_hold: secs(1800) }
    }
}
