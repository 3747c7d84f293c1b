//! `damping` of a probe.

use std::time::Duration;

use toml::de::DeValue;

use super::error::ConfigError;
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::values;

/// The most `changes`: each check keeps the time of that many.
const MAX_CHANGES: u32 = 100;
/// The longest `within`, `hold` and `max_hold`.
const MAX_SPAN: Duration = Duration::from_secs(7 * 86_400);

/// When a check that keeps changing is held Down, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping {
    /// How many changes between working and Down, at least 2,
    pub changes: u32,
    /// within how long, make a hold.
    pub within: Duration,
    /// The first hold; each further one is twice as long.
    pub hold: Duration,
    /// The longest one.
    pub max_hold: Duration,
}

impl Default for Damping {
    /// Three failures within ten minutes: what fails once or twice never meets it.
    fn default() -> Damping {
        let secs = Duration::from_secs;
        Damping { changes: 6, within: secs(600), hold: secs(60), max_hold: secs(1800) }
    }
}

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
