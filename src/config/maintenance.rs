//! `[[maintenance]]`: windows in which failures are recorded and move nothing.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::error::{ConfigError, short};
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::services::DraftService;
use super::sites::Sites;
use super::values;
use crate::model::{Maintenance, MaintenanceScope, Schedule};

/// The most windows.
const MAX_WINDOWS: usize = 1_000;
/// The longest one.
const MAX_WINDOW: Duration = Duration::from_secs(7 * 86_400);
/// The longest `schedule` and `zone`, in bytes.
const MAX_LINE: usize = 256;

/// Reads every `[[maintenance]]`.
pub(super) fn read(
    item: Item,
    sites: &Sites,
    services: &[DraftService],
    findings: &mut Findings,
) -> Result<Vec<Maintenance>, Reported> {
    let mut windows = Vec::new();
    for item in item.elements("maintenance windows", MAX_WINDOWS, findings)? {
        windows.extend(read_one(item, sites, services, findings));
    }
    Ok(windows)
}

fn read_one(
    item: Item,
    sites: &Sites,
    services: &[DraftService],
    findings: &mut Findings,
) -> Result<Maintenance, Reported> {
    let mut section = Section::of("[[maintenance]]".to_owned(), item, findings)?;
    let site = section.read("site", findings, |item, findings| sites.find(item, findings));
    let service = section.read("service", findings, |item, findings| {
        let name = values::name(item, findings)?;
        if services.iter().any(|draft| draft.service.name == name) {
            return Ok(name);
        }
        Err(item.wrong(ConfigError::UnknownService(name), findings))
    });
    let zone = section.read("zone", findings, |item, findings| {
        let name = values::line(MAX_LINE)(item, findings)?;
        let wrong = || ConfigError::Malformed {
            text: short(&name),
            wanted: "a time zone of the IANA database",
            example: "\"Europe/Berlin\" or \"UTC\"",
        };
        TimeZone::get(&name).map_err(|_| item.wrong(wrong(), findings))
    });
    let zone = or(zone, TimeZone::UTC);
    let schedule = section.need("schedule", "schedule = \"0 3 * * 0\"", findings, |item, findings| {
        let text = values::line(MAX_LINE)(item, findings)?;
        let zone = zone.clone().unwrap_or(TimeZone::UTC);
        Schedule::parse(&text, zone).ok_or_else(|| {
            let wanted = "minute, hour, day of the month, month and day of the week, as crontab has them";
            let (text, example) = (short(&text), "\"0 3 * * 0\", every Sunday at three");
            item.wrong(ConfigError::Malformed { text, wanted, example }, findings)
        })
    });
    let duration = section.need("duration", "duration = \"2h\"", findings, values::positive(MAX_WINDOW));
    let at = section.at().clone();
    section.finish(findings);
    let scope = match (site?, service?) {
        (Some(site), None) => MaintenanceScope::Site(site.into_inner()),
        (None, Some(service)) => MaintenanceScope::Service(service.into_inner()),
        _ => {
            findings.push(&at, ConfigError::MaintenanceOfWhat);
            return Err(Reported);
        }
    };
    zone?;
    Ok(Maintenance { scope, schedule: schedule?.into_inner(), duration: duration?.into_inner() })
}
