//! Simulations: what would be, and what would have been.
//!
//! In: a recording, moment by moment, or an engine and its configuration; and what to suppose. Out: the
//! decisions that follow, and what they cost. This room must never know a rule by which the engine decides:
//! it drives engines, and compares what they say.
//!
//! ```text
//! recording ─► Player ─► decisions as they were ─┬─► Truth: when each check really failed
//!     │                                          ├─► Cost: switches, false failovers, dead seconds
//!     └──────► Player with another load ─► decisions as they would have been ─► Cost
//! engine ────► whatif: probes of a site fail, an order is given ─► what moves where
//! ```

mod advise;
mod cost;
mod ledger;
mod player;
pub mod scenario;
#[cfg(test)]
mod tests;
mod truth;
mod whatif;

pub use advise::{Advice, Candidate, advise, candidates};
pub use cost::{Cost, FalseFailover};
pub use ledger::{Decided, Ledger, MAX_DECISIONS};
pub use player::{Player, Run, last_recorded};
pub use truth::{MAX_STREAKS, Truth};
pub use whatif::{Consequence, LoadThen, MAX_SUPPOSED, Outlook, Supposition, healthy, suppose};

use std::path::PathBuf;

use crate::engine::CommandError;
use crate::recording::RecordingError;

/// How many vantages must agree that a check is Down: recordings are of single nodes.
pub const QUORUM: usize = 1;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A configuration it holds.
    #[error("the recorded configuration {path} cannot be read again: {problems}")]
    Recall {
        /// Its file then.
        path: PathBuf,
        /// Every problem.
        problems: String,
    },
    /// A recording of a version that did not keep the regions of clients.
    #[error(
        "the recording does not tell which sites the clients of {0} preferred: an earlier version wrote it; \
         remove its oldest files, up to the update"
    )]
    Regions(crate::dns::Name),
    /// Nothing to look into.
    #[error("suppose something: --down SITE, --up SITE or --drain SITE|SERVICE[@SITE]")]
    NothingSupposed,
    /// No such site.
    #[error("there is no site \"{0}\"; there are {1}")]
    NoSite(crate::model::SiteId, String),
    /// A word that is neither a site nor a service.
    #[error(transparent)]
    NoTarget(#[from] CommandError),
    /// More than is held in memory.
    #[error("more than {0} {1}: narrow the span with --from and --to")]
    TooMuch(usize, &'static str),
}
