//! `[probes.KEY]` of `type = "heartbeat"`

use super::super::report::Findings;
use super::super::section::{Reported, Section, or};
use super::super::{damping, values};
use super::{DEFAULT_INTERVAL, DEFAULT_TIMEOUT, KEYS_OF_TYPES, MAX_INTERVAL, read_thresholds};
use crate::config::ConfigError;
use crate::model::{Damping, Probe, ProbeId, ProbeKind};

/// What only those that go to a place can have.
const FOREIGN: [&str; 4] = ["port", "confirm", "timeout", "watch"];

/// `interval`, `grace` and the thresholds. A beat cannot be asked for, so there is no other pace: the
/// probe's `confirm` is its interval, and its `timeout` the grace, which is how the worst case adds up too.
pub(super) fn read(id: ProbeId, mut section: Section, findings: &mut Findings) -> Result<Probe, Reported> {
    section.refuse_unasked(&FOREIGN, "a heartbeat probe", findings);
    section.refuse_unasked(&KEYS_OF_TYPES, "a heartbeat probe", findings);
    let interval = section.read("interval", findings, values::positive(MAX_INTERVAL));
    let grace = section.read("grace", findings, values::duration(MAX_INTERVAL));
    let thresholds = read_thresholds(&mut section, findings);
    let damping = section.read("damping", findings, damping::read);
    section.finish(findings);
    let interval = or(interval, DEFAULT_INTERVAL)?;
    let grace = match grace? {
        None => DEFAULT_TIMEOUT.min(interval / 2),
        Some(grace) => {
            let (at, grace) = (grace.span(), grace.into_inner());
            if grace > interval {
                findings.push(&at, ConfigError::GraceAboveInterval { grace, interval });
            }
            grace
        }
    };
    let (kind, thresholds) = (ProbeKind::Heartbeat, thresholds?);
    let damping = or(damping, Some(Damping::default()))?;
    Ok(Probe {
        id,
        kind,
        port: 0,
        interval,
        confirm: interval,
        timeout: grace,
        thresholds,
        damping,
        watch: false,
    })
}
