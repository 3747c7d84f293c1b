//! How the daemon starts and loads.

use std::time::Duration;

/// What `first_round` is when left out.
const FIRST_ROUND: Duration = Duration::from_secs(10);
/// The share of a zone's records that a load may remove unless the document says otherwise, in percent.
const MAX_LOSS: u8 = 20;

/// How the daemon starts, and when it loads its files again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loading {
    /// Whether a start fails where a zone file is broken.
    pub strict_start: bool,
    /// How long a service without a decision waits at a start for its first round of checks.
    pub first_round: Duration,
    /// Whether files that change are loaded.
    pub watch: bool,
    /// The share of a zone's records that a load may remove without being told to, in percent.
    pub max_loss: u8,
}

impl Default for Loading {
    fn default() -> Loading {
        Loading { strict_start: false, first_round: FIRST_ROUND, watch: true, max_loss: MAX_LOSS }
    }
}
