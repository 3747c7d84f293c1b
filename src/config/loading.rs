//! How the daemon starts and loads: the keys of `[server]` that say so.

use std::time::Duration;

use super::moving::read_percent;
use super::report::Findings;
use super::section::{Reported, Section, or};
use super::values;
use crate::model::Loading;

/// The longest `first_round`.
const MAX_FIRST_ROUND: Duration = Duration::from_secs(600);

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
