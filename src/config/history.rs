//! `[history]`: how much is kept to replay.

use std::time::Duration;

use super::error::ConfigError;
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::values;
use crate::model::{HistoryBounds, Seconds};

/// The least, in bytes: a few segments of their least size.
const MIN_BYTES: u64 = 1 << 20;
/// The most, in bytes.
const MAX_BYTES: u64 = 1 << 40;
/// The longest age.
const MAX_AGE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The least age: an hour.
const MIN_AGE: Duration = Duration::from_secs(3600);

/// Reads `[history]`; left out, it is the default.
pub(super) fn read(item: Option<Item>, findings: &mut Findings) -> Result<HistoryBounds, Reported> {
    let Some(item) = item else { return Ok(HistoryBounds::default()) };
    let mut section = Section::of("[history]".to_owned(), item, findings)?;
    let max = section.read("max", findings, values::size(MIN_BYTES..=MAX_BYTES));
    let keep = section.read("keep", findings, |item, findings| {
        let keep = values::duration(MAX_AGE)(item, findings)?;
        if keep < MIN_AGE {
            let [value, min, max] = [keep, MIN_AGE, MAX_AGE].map(|d| Seconds(d).to_string());
            let error = ConfigError::OutOfRange { key: "keep".to_owned(), value, min, max };
            return Err(item.wrong(error, findings));
        }
        Ok(keep)
    });
    section.finish(findings);
    let default = HistoryBounds::default();
    Ok(HistoryBounds { max: or(max, default.max)?, keep: or(keep, default.keep)? })
}
