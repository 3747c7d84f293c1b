//! The keys of an `icmp` probe: `count`, `max_loss`, `spacing` and `size`.

use std::time::Duration;

use toml::Spanned;

use super::super::error::ConfigError;
use super::super::report::Findings;
use super::super::section::{Reported, Section, or};
use super::super::values;
use crate::model::IcmpProbe;

/// The most echo requests of one run.
const MAX_COUNT: u32 = 20;
/// The longest `spacing`.
const MAX_SPACING: Duration = Duration::from_secs(60);
/// The least payload: it carries a token and a number, by which a reply is known.
const MIN_SIZE: u32 = 16;
/// The most payload: with its headers, what every path of IPv6 takes whole (RFC 8200 section 5).
const MAX_SIZE: u32 = 1_232;

const DEFAULT_COUNT: u32 = 1;
const DEFAULT_MAX_LOSS: u32 = 0;
const DEFAULT_SPACING: Duration = Duration::from_millis(100);
const DEFAULT_SIZE: u32 = 56;

pub(super) fn read(
    timeout: Option<Duration>,
    section: &mut Section,
    findings: &mut Findings,
) -> Result<IcmpProbe, Reported> {
    let count = section.read("count", findings, values::count(MAX_COUNT));
    let max_loss = section.read("max_loss", findings, values::integer(0, MAX_COUNT));
    let spacing = section.read("spacing", findings, values::duration(MAX_SPACING));
    let size = section.read("size", findings, values::integer(MIN_SIZE, MAX_SIZE));
    let count = or(count, DEFAULT_COUNT)?;
    let max_loss = max_loss?;
    if let Some(at) = max_loss.as_ref().filter(|loss| *loss.get_ref() >= count).map(Spanned::span) {
        let max_loss = max_loss.map_or(DEFAULT_MAX_LOSS, Spanned::into_inner);
        findings.push(&at, ConfigError::LossNotBelowCount { max_loss, count });
        return Err(Reported);
    }
    let icmp = IcmpProbe {
        count,
        max_loss: max_loss.map_or(DEFAULT_MAX_LOSS, Spanned::into_inner),
        spacing: or(spacing, DEFAULT_SPACING)?,
        size: or(size, DEFAULT_SIZE)? as usize,
    };
    // Every request has to leave within the timeout.
    let last = icmp.spacing * (icmp.count - 1);
    if let Some(timeout) = timeout.filter(|timeout| last >= *timeout) {
        findings.push(section.at(), ConfigError::SpacingAboveTimeout { last, timeout });
        return Err(Reported);
    }
    Ok(icmp)
}
