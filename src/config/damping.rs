//! `damping` of a probe.

use std::time::Duration;

use toml::de::DeValue;

use super::error::ConfigError;
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::values;
use crate::model::Damping;

/// The most `changes`: each check keeps the time of that many.
const MAX_CHANGES: u32 = 100;
/// The longest `within`, `hold` and `max_hold`.
const MAX_SPAN: Duration = Duration::from_secs(7 * 86_400);

/// `"off"`, or a table of what differs from the default.
pub(super) fn read(item: Item, findings: &mut Findings) -> Result<Option<Damping>, Reported> {
    if let DeValue::String(_) = item.value.get_ref() {
        return Ok(match values::word(item, &["on", "off"], findings)? {
            "off" => None,
            _ => Some(Damping::default()),
        });
    }
    let usual = Damping::default();
    let mut section = Section::of("\"damping\"".to_owned(), item, findings)?;
    let changes = section.read("changes", findings, values::integer(2, MAX_CHANGES));
    let span = values::positive(MAX_SPAN);
    let within = section.read("within", findings, &span);
    let hold = section.read("hold", findings, &span);
    let max_hold = section.read("max_hold", findings, &span);
    section.finish(findings);
    let (changes, within, hold) =
        (or(changes, usual.changes)?, or(within, usual.within)?, or(hold, usual.hold)?);
    let max_hold = match max_hold? {
        None => usual.max_hold.max(hold),
        Some(max_hold) => {
            let (at, max_hold) = (max_hold.span(), max_hold.into_inner());
            if max_hold < hold {
                findings.push(&at, ConfigError::MaxHoldBelowHold { max_hold, hold });
            }
            max_hold
        }
    };
    Ok(Some(Damping { changes, within, hold, max_hold }))
}
