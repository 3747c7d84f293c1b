//! A regular expression over bytes, compiled when the configuration is read.

use super::error::{ConfigError, short};
use super::report::Findings;
use super::section::{Item, Reported};
use super::values;
use crate::model::Pattern;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 1_024;

/// Reads a pattern.
pub(super) fn read(item: Item, findings: &mut Findings) -> Result<Pattern, Reported> {
    let text = values::text(MAX_PATTERN)(item, findings)?;
    Pattern::new(&text).map_err(|why| {
        item.wrong(ConfigError::BadPattern { pattern: short(&text), why: short(&why) }, findings)
    })
}
