//! Why the vantage abstains.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// Why and since when the vantage abstains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Doubt {
    /// Since when.
    pub since: Time,
    /// `0 of 2 canaries work, 1 must: ping@192.0.2.1: timeout in connect`
    pub because: String,
}
