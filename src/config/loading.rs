//! How the daemon starts and loads: the keys of `[server]` that say so.

use std::time::Duration;

use super::moving::read_percent;
use super::report::Findings;
use super::section::{Reported, Section, or};
use super::values;

/// The longest `first_round`.
const MAX_FIRST_ROUND: Duration = Duration::from_secs(600);
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

/// Reads the keys that say so.
pub(super) fn read(section: &mut Section, findings: &mut Findings) -> Result<Loading, Reported> {
    let usual = Loading::default();
    let strict_start = section.read("strict_start", findings, values::boolean);
    let first_round = section.read("first_round", findings, values::duration(MAX_FIRST_ROUND));
    let watch = section.read("reload", findings, |item, findings| {
        Ok(values::word(item, &["watch", "manual"], findings)? == "watch")
    });
    let max_loss = section.read("max_loss", findings, read_percent);
    Ok(Loading {
        strict_start: or(strict_start, usual.strict_start)?,
        first_round: or(first_round, usual.first_round)?,
        watch: or(watch, usual.watch)?,
        max_loss: or(max_loss, usual.max_loss)?,
    })
}
