//! What the engine shows of itself: the shapes behind `status` and `explain`.

use serde::{Deserialize, Serialize};

use super::Doubt;
use crate::dns::{Name, Serial};
use crate::health::{Health, PlotBucket, Sample};
use crate::model::{CheckKey, SiteId, Whereto};
use crate::policy::{Decision, Override, Proposal};
use crate::time::Time;

/// The whole picture at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    /// The moment.
    pub now: Time,
    /// Every site.
    pub sites: Vec<SiteView>,
    /// Every service.
    pub services: Vec<ServiceView>,
    /// Every check.
    pub checks: Vec<CheckView>,
    /// Every zone.
    pub zones: Vec<ZoneView>,
    /// Every override in force.
    pub overrides: Vec<Override>,
    /// Every canary.
    pub canaries: Vec<CheckView>,
    /// Since when and why the vantage abstains; `None` while it is trusted.
    pub doubt: Option<Doubt>,
    /// Moves that wait for an operator or were rejected, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proposals: Vec<Proposal>,
    /// The safety rules that are set, and how near they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleView>,
    /// Every maintenance of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<MaintenanceView>,
}

/// A safety rule, and what it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RuleView {
    /// Its key in the configuration: `max_switches_per_hour`.
    pub rule: String,
    /// What it counts, in words: `moves within an hour`.
    pub counts: String,
    /// The count now.
    pub now: usize,
    /// The most there may be, or for `min_sites_in_service` the least.
    pub limit: usize,
    /// Whether the next move would be held, or for `on_limit = "warn"` told.
    pub reached: bool,
}

/// A maintenance, and when it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MaintenanceView {
    /// Of what: a site, or a service's name.
    pub of: String,
    /// When the window that is open closes; `None` while none is.
    pub until: Option<Time>,
    /// When the next one opens; `None` while one is open.
    pub opens: Option<Time>,
}

/// The endpoint that comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StandbyView {
    /// Where.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// Why it could not take over now; `None` where it could.
    pub unready: Option<String>,
}

impl StandbyView {
    /// Whether it could take over now.
    pub fn ready(&self) -> bool {
        self.unready.is_none()
    }
}

/// A site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SiteView {
    /// Its key.
    #[schema(value_type = String)]
    pub id: SiteId,
    /// What people call it.
    pub name: String,
    /// The best health of its endpoints is not the site's; these are counts of endpoints by health.
    pub up: usize,
    /// Endpoints that are Suspect.
    pub suspect: usize,
    /// Endpoints that are Down.
    pub down: usize,
    /// Endpoints that are Unknown.
    pub unknown: usize,
    /// Services answered from here now.
    pub serving: usize,
    /// An override on the whole site.
    pub overridden: Option<Override>,
    /// The sum of the loads of the services answered from here.
    #[serde(default)]
    pub load: u64,
    /// What it can carry, as configured.
    #[serde(default)]
    pub capacity: Option<u32>,
    /// Latitude and longitude in degrees, where the configuration has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<[f64; 2]>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServiceView {
    /// The steered name.
    pub name: Name,
    /// Its zone's apex.
    pub zone: Name,
    /// Its policy in words: order, failback, all_down, TTLs.
    pub policy: String,
    /// Which probes must pass: `web`, `all of (web, db)`.
    #[serde(default)]
    pub probes: String,
    /// The zone's published serial.
    pub serial: Option<Serial>,
    /// What is answered and why; `None` while the zone file's records are served.
    pub decision: Option<Decision>,
    /// Since when the sites answered with are these.
    pub since: Option<Time>,
    /// Whether it waits for `detour failback`.
    pub latched: bool,
    /// When the running hold ends.
    pub hold_until: Option<Time>,
    /// Who would take over; `None` where there is no other endpoint, or no endpoint works.
    #[serde(default)]
    pub standby: Option<StandbyView>,
    /// In order of preference.
    pub endpoints: Vec<EndpointView>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EndpointView {
    /// Where.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// What samples say of it.
    pub health: Health,
    /// Since when; `None` before the first sample that counted.
    #[serde(default)]
    pub since: Option<Time>,
    /// Whether it may be used, though nothing that works there has ever passed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// Whether the service is answered from here now.
    pub serving: bool,
    /// The override that rules it.
    pub overridden: Option<Override>,
    /// Until when it is in maintenance.
    pub maintenance: Option<Time>,
    /// Its addresses, or its one CNAME target.
    pub places: Vec<PlaceView>,
}

/// One address, or one CNAME target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlaceView {
    /// Which.
    pub place: Whereto,
    /// What its checks come to, combined as the service's probes are.
    pub health: Health,
    /// The checks that decided, and why.
    #[serde(default)]
    pub because: String,
    /// Whether its record is answered now.
    pub serving: bool,
    /// What is checked there.
    pub checks: Vec<CheckKey>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CheckView {
    /// Which.
    pub key: CheckKey,
    /// What its samples say.
    pub health: Health,
    /// Since when.
    pub since: Time,
    /// Why: `3 of 3 failed, connection refused`; `1 of 2 ok`.
    pub because: String,
    /// Milliseconds between runs now.
    pub every_ms: u64,
    /// Age in milliseconds of the last sample of any outcome; `None` before the first.
    pub last_sample_age_ms: Option<u64>,
    /// Whether no sample has come for three intervals.
    pub stale: bool,
    /// Until when it is held Down though samples say that it works, because it changed too often.
    pub held_until: Option<Time>,
    /// The last samples, newest first: at most 16 in an explanation, and in a status, of which there may be
    /// a hundred thousand checks, one.
    pub recent: Vec<Sample>,
}

impl CheckView {
    /// Whether it has not run once, so that nothing is known and has been so since no moment.
    pub fn is_unchecked(&self) -> bool {
        self.health == Health::Unknown && self.last_sample_age_ms.is_none()
    }
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ZoneView {
    /// The apex.
    pub apex: Name,
    /// The serial served.
    pub serial: Serial,
    /// The file's serial.
    pub file_serial: Serial,
    /// How many services lie in it.
    pub services: usize,
    /// How many of its records differ from its file by updates.
    #[serde(default)]
    pub edits: usize,
}

/// The chain behind one service's answer, from samples to the decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Explanation {
    /// The moment.
    pub now: Time,
    /// The service as `status` shows it.
    pub service: ServiceView,
    /// The checks of its endpoints.
    pub checks: Vec<CheckView>,
    /// What can happen next, and when, in words.
    pub next: Vec<String>,
}

/// The last hour of one check of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlotView {
    /// The endpoint's site.
    pub site: SiteId,
    /// The check.
    pub check: CheckKey,
    /// The oldest first; the last one is still filling up.
    pub buckets: Vec<PlotBucket>,
}

/// How an endpoint came to be Down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fall {
    /// When the first of the failed runs ended; `None` where an earlier process saw it.
    pub first_failed: Option<Time>,
    /// Since when it is Down.
    pub since: Time,
}
