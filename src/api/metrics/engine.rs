//! What the engine shows of itself, as metrics.

use super::text::{Labels, Text};
use super::{NONE, check_labels, seconds};
use crate::dns::Name;
use crate::engine::{CheckView, ServiceView, SiteView, Status};
use crate::health::{Health, Warning};
use crate::policy::{Proposal, ProposalState};
use crate::probe::{WatchState, WatchView};

/// Every health, for metrics that have one series for each.
const HEALTHS: [(&str, Health); 4] =
    [("unknown", Health::Unknown), ("up", Health::Up), ("suspect", Health::Suspect), ("down", Health::Down)];

/// Every state of a watch.
const WATCH_STATES: [(&str, WatchState); 4] = [
    ("waiting", WatchState::Waiting),
    ("standing", WatchState::Standing),
    ("not_useful", WatchState::NotUseful),
    ("no_room", WatchState::NoRoom),
];
/// Writes it all: series for each of at most `bound` checks and as many endpoints, in the order of their names,
/// and how many of either are left out.
pub(super) fn write(
    out: &mut Text,
    engine: &Status,
    watches: &[WatchView],
    bound: usize,
) -> [(&'static str, usize); 2] {
    let endpoints = |services: &[ServiceView]| -> usize { services.iter().map(|s| s.endpoints.len()).sum() };
    let mut room = bound;
    let fits = |service: &&ServiceView| {
        room.checked_sub(service.endpoints.len()).is_some_and(|left| {
            room = left;
            true
        })
    };
    let shown = &engine.services[..engine.services.iter().take_while(fits).count()];
    let checks_shown = &engine.checks[..engine.checks.len().min(bound)];
    sites(out, engine);
    checks(out, checks_shown);
    watched(out, watches, bound);
    vantage(out, engine);
    services(out, shown);
    zones(out, engine);
    moving(out, engine, shown);
    let all = endpoints(&engine.services);
    [("check", engine.checks.len() - checks_shown.len()), ("endpoint", all - endpoints(shown))]
}

/// What holds however many endpoints there are.
fn sites(out: &mut Text, engine: &Status) {
    let each = engine.sites.iter().flat_map(|s| {
        [("up", s.up), ("suspect", s.suspect), ("down", s.down), ("unknown", s.unknown)]
            .map(|(health, count)| (vec![("site", s.id.to_string()), ("health", health.to_owned())], count))
    });
    out.gauge("detour_site_endpoints", "How many of a site's endpoints have a health.", each);
    let each = engine.sites.iter().map(|s| (vec![("site", s.id.to_string())], s.serving));
    out.gauge("detour_site_services", "How many services are answered from a site.", each);
    let stale = engine.checks.iter().filter(|check| check.stale).count();
    out.gauge("detour_checks_stalled", "Checks without a sample for three intervals.", [(NONE, stale)]);
    let count = |is: fn(&ServiceView) -> bool| engine.services.iter().filter(|s| is(s)).count();
    let states = [
        ("all", engine.services.len()),
        ("undecided", count(|s| s.decision.is_none())),
        ("all_down", count(|s| usable(s) == 0)),
        ("no_standby", count(|s| s.standby.as_ref().is_some_and(|standby| !standby.ready()))),
        ("latched", count(|s| s.latched)),
    ];
    let each = states.map(|(state, count)| (vec![("state", state.to_owned())], count));
    out.gauge("detour_services", "How many services there are, and how many are in a state.", each);
}

/// How many of a service's endpoints are Up or Suspect.
fn usable(service: &ServiceView) -> usize {
    service.endpoints.iter().filter(|e| matches!(e.health, Health::Up | Health::Suspect)).count()
}

fn checks(out: &mut Text, checks: &[CheckView]) {
    // There may be a hundred thousand, each in every family: their labels are written once.
    let checks: Vec<(String, &CheckView)> =
        checks.iter().map(|c| (check_labels(&c.key).written(), c)).collect();
    let all =
        |value: fn(&CheckView) -> bool| checks.iter().map(move |(l, c)| (l.as_str(), u8::from(value(c))));
    let up = |c: &CheckView| matches!(c.health, Health::Up | Health::Suspect);
    out.gauge("detour_check_up", "Whether a check is Up or Suspect.", all(up));
    let each = checks.iter().filter_map(|(l, c)| Some((l.as_str(), seconds(c.last_sample_age_ms?))));
    out.gauge("detour_check_last_sample_age_seconds", "Age of a check's last sample.", each);
    let latency = |c: &CheckView| c.recent.first().map(|sample| sample.latency.as_secs_f64());
    let each = checks.iter().filter_map(|(l, c)| Some((l.as_str(), latency(c)?)));
    out.gauge("detour_check_latency_seconds", "Latency of a check's last sample.", each);
    let phases = |c: &CheckView| c.recent.first().map(|sample| sample.detail.phases).unwrap_or_default();
    let each = checks.iter().flat_map(|(l, c)| {
        let times: Vec<_> = phases(c).iter().collect();
        times.into_iter().map(move |(phase, took)| (format!("{l},phase=\"{phase}\""), took.as_secs_f64()))
    });
    out.gauge("detour_check_phase_seconds", "How long a check's last run was in each phase.", each);
    let warned = |c: &CheckView| c.recent.first().is_some_and(|sample| sample.detail.warning.is_some());
    out.gauge("detour_check_warning", "Whether a check's last sample has a warning.", all(warned));
    let expires = |c: &CheckView| match c.recent.first()?.detail.warning.as_ref()? {
        Warning::CertificateExpires { at, .. } => Some(seconds(at.0)),
        Warning::Command { .. } => None,
    };
    let each = checks.iter().filter_map(|(l, c)| Some((l.as_str(), expires(c)?)));
    out.gauge(
        "detour_check_certificate_expires_timestamp_seconds",
        "When a certificate expires, since 1970, of checks that warn of it.",
        each,
    );
    let damped = |c: &CheckView| c.held_until.is_some();
    out.gauge(
        "detour_check_damped",
        "Whether a check is held Down because it changes too often.",
        all(damped),
    );
    let unknown = |c: &CheckView| c.health == Health::Unknown;
    out.gauge("detour_check_unknown", "Whether nothing is known of a check, or not any more.", all(unknown));
    out.gauge("detour_check_stale", "Whether a check had no sample for three intervals.", all(|c| c.stale));
}

fn watched(out: &mut Text, watches: &[WatchView], bound: usize) {
    let each = watches
        .iter()
        .take(bound)
        .map(|w| (check_labels(&w.check), u8::from(w.state == WatchState::Standing)));
    out.gauge("detour_watch_standing", "Whether a watch holds a connection.", each);
    let each = WATCH_STATES.map(|(word, state)| {
        let count = watches.iter().filter(|w| w.state == state).count();
        (vec![("state", word.to_owned())], count)
    });
    out.gauge("detour_watches", "How many watches are in a state; no_room: more than are allowed.", each);
}

fn vantage(out: &mut Text, engine: &Status) {
    let doubt = u8::from(engine.doubt.is_some());
    out.gauge("detour_vantage_in_doubt", "Whether canaries fail and no sample counts.", [(NONE, doubt)]);
    let each = engine.canaries.iter().map(|c| (check_labels(&c.key), u8::from(c.health != Health::Down)));
    out.gauge("detour_canary_up", "Whether a canary works, as far as is known.", each);
}

fn services(out: &mut Text, services: &[ServiceView]) {
    let endpoints = || services.iter().flat_map(|s| s.endpoints.iter().map(move |e| (s, e)));
    let at = |s: &ServiceView, site: &str| vec![("service", s.name.bare()), ("site", site.to_owned())];
    let each = endpoints().map(|(s, e)| (at(s, &e.site), u8::from(e.serving)));
    out.gauge("detour_service_site", "Whether a service is answered from a site.", each);
    let each = endpoints().flat_map(|(s, e)| {
        HEALTHS.map(|(word, health)| {
            let mut labels = at(s, &e.site);
            labels.push(("health", word.to_owned()));
            (labels, u8::from(e.health == health))
        })
    });
    out.gauge("detour_endpoint_health", "An endpoint's health: 1 on the one it has.", each);
    let each = endpoints().map(|(s, e)| (at(s, &e.site), u8::from(e.maintenance.is_some())));
    out.gauge("detour_endpoint_maintenance", "Whether an endpoint is in maintenance.", each);
    let name = |s: &ServiceView| vec![("service", s.name.bare())];
    let each = services.iter().filter_map(|s| Some((name(s), s.decision.as_ref()?.ttl)));
    out.gauge("detour_service_ttl_seconds", "The TTL a service is answered with.", each);
    let each = services.iter().filter_map(|s| Some((name(s), s.decision.as_ref()?.id)));
    out.gauge("detour_service_decision_id", "The id of a service's last decision.", each);
    let each = services.iter().filter_map(|s| Some((name(s), seconds(s.since?.as_shown().0))));
    out.gauge(
        "detour_service_since_timestamp_seconds",
        "Since when a service is answered from where it is, since 1970.",
        each,
    );
    let each = services.iter().map(|s| (name(s), usable(s)));
    out.gauge("detour_service_usable_endpoints", "How many endpoints of a service are Up or Suspect.", each);
    let each = services.iter().map(|s| (name(s), u8::from(s.latched)));
    out.gauge("detour_service_latched", "Whether a service waits for `detour failback`.", each);
}

fn moving(out: &mut Text, engine: &Status, services: &[ServiceView]) {
    let name = |s: &ServiceView| vec![("service", s.name.bare())];
    let standby = |s: &ServiceView| {
        let standby = s.standby.as_ref()?;
        Some((
            vec![("service", s.name.bare()), ("site", standby.site.to_string())],
            u8::from(standby.ready()),
        ))
    };
    let each = services.iter().filter_map(standby);
    out.gauge("detour_service_standby_ready", "Whether a service's next site could take over now.", each);
    let partial = |s: &ServiceView| Some((name(s), s.decision.as_ref()?.partial.as_ref()?.percent));
    let each = services.iter().filter_map(partial);
    out.gauge("detour_service_failback_percent", "Client prefixes a failback in steps has moved.", each);
    let label = |p: &Proposal| vec![("service", p.service.bare()), ("proposal", p.id.to_string())];
    let waits = engine.proposals.iter().filter(|p| p.state == ProposalState::Pending);
    let each = waits.map(|p| (label(p), u8::from(p.limit.is_some())));
    out.gauge("detour_proposal", "A move that waits for approval; 1 where a safety rule holds it.", each);
    let site = |s: &SiteView| vec![("site", s.id.to_string())];
    let each = engine.sites.iter().map(|s| (site(s), s.load));
    out.gauge("detour_site_load", "The load a site carries, by what services declare.", each);
    let each = engine.sites.iter().filter_map(|s| Some((site(s), s.capacity?)));
    out.gauge("detour_site_capacity", "The load a site can carry, as declared.", each);
}

fn zones(out: &mut Text, engine: &Status) {
    let zone = |apex: &Name| vec![("zone", apex.bare())];
    let each = engine.zones.iter().map(|z| (zone(&z.apex), z.serial));
    out.gauge("detour_zone_serial", "The serial served.", each);
    let each = engine.zones.iter().map(|z| (zone(&z.apex), z.file_serial));
    out.gauge("detour_zone_file_serial", "The zone file's serial.", each);
    let each = engine
        .overrides
        .iter()
        .map(|o| (vec![("scope", o.scope.to_string()), ("kind", o.kind.to_string())], 1));
    out.gauge("detour_override", "An override in force.", each);
}
