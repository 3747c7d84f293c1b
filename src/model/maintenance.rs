//! Windows in which failures are recorded and move nothing.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::SiteId;
use super::schedule::Schedule;
use crate::dns::Name;
use crate::time::HostTime;

/// One `[[maintenance]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Of what.
    pub scope: MaintenanceScope,
    /// When a window opens.
    pub schedule: Schedule,
    /// How long it is open.
    pub duration: Duration,
}

/// What is maintained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaintenanceScope {
    /// Every endpoint at a site.
    Site(SiteId),
    /// Every endpoint of a service.
    Service(Name),
}

/// How a maintenance stands at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// When the window that is open closes; `None` while none is.
    pub until: Option<HostTime>,
    /// When to look again.
    pub next: Option<HostTime>,
}

impl Maintenance {
    /// Windows that begin by a schedule in a time zone of the IANA database; nothing where one of the two
    /// is none.
    pub fn new(
        scope: MaintenanceScope,
        schedule: &str,
        zone: &str,
        duration: Duration,
    ) -> Option<Maintenance> {
        let schedule = Schedule::parse(schedule, TimeZone::get(zone).ok()?)?;
        Some(Maintenance { scope, schedule, duration })
    }

    /// How it stands at `now`. Windows that overlap are one.
    pub fn window(&self, now: HostTime) -> Window {
        let mut until = None;
        let mut begins = self.schedule.next_after(now - self.duration);
        while let Some(at) = begins.filter(|&at| at <= now) {
            until = Some(at + self.duration);
            begins = self.schedule.next_after(at);
        }
        Window { until, next: until.or(begins) }
    }
}
