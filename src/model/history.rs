//! How much is kept to replay.

use std::time::Duration;

/// `[history]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryBounds {
    /// Bytes that the recording may take.
    pub max: u64,
    /// How long what happened is kept at most.
    pub keep: Duration,
}

impl Default for HistoryBounds {
    fn default() -> HistoryBounds {
        HistoryBounds { max: 256 << 20, keep: Duration::from_secs(30 * 86_400) }
    }
}
