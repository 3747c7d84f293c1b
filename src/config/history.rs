//! `[history]`: how much is kept to replay.

use std::time::Duration;

use super::error::{ConfigError, short};
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
    let max = section.read("max", findings, bytes);
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

/// `"256MiB"`, `"2GiB"`.
pub(super) fn bytes(item: Item, findings: &mut Findings) -> Result<u64, Reported> {
    let text = item.text("a size", findings)?;
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let size = units.iter().find_map(|(unit, shift)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(1 << shift)
    });
    match size {
        None => {
            let (wanted, example) = ("a size", "\"256MiB\" or \"2GiB\"");
            Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings))
        }
        Some(size) if !(MIN_BYTES..=MAX_BYTES).contains(&size) => {
            let (key, value) = ("max".to_owned(), short(text));
            let (min, max) = ("1MiB".to_owned(), "1TiB".to_owned());
            Err(item.wrong(ConfigError::OutOfRange { key, value, min, max }, findings))
        }
        Some(size) => Ok(size),
    }
}
