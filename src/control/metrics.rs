//! `GET /metrics`: Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::fmt::{Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::read::patiently;
use super::{Daemon, DaemonStatus, Problem, Vitals};
use crate::config::CheckKey;
use crate::engine::{CheckView, ServiceView, SiteView, Status};
use crate::health::Health;
use crate::policy::{Proposal, ProposalState};
use crate::probe::{Lateness, WatchState, WatchView};
use crate::secondary::TransferredView;
use crate::serve::aside;

/// Of a family with one series.
const NONE: &str = "";

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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

/// Metrics, as Prometheus reads them.
#[utoipa::path(
    get, path = "/metrics", tag = "the daemon itself",
    responses(
        (status = 200, description = "The metrics", content_type = "text/plain", body = String),
    ),
)]
pub(super) async fn metrics<D: Daemon>(State(daemon): State<Arc<D>>) -> impl IntoResponse {
    // A scrape is worth most when something is wrong: without the engine the rest is shown all the same.
    let status = patiently(daemon.status()).await.ok();
    let vitals = daemon.vitals();
    // Half a million lines, where there are many checks: probes and clients go first.
    let text = aside("metrics", move || render(status.as_ref(), &vitals)).await;
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(why) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    }
}

fn render(status: Option<&DaemonStatus>, vitals: &Vitals) -> String {
    let mut out = Text::default();
    out.gauge("detour_up", "Whether the engine answers.", [(NONE, u8::from(status.is_some()))]);
    let idle = seconds(vitals.engine_idle_ms);
    out.gauge("detour_engine_idle_seconds", "Time since the engine's loop last turned.", [(NONE, idle)]);
    let stalled = vitals.stalled_checks.len();
    out.gauge("detour_checks_stalled", "Checks without a sample for three intervals.", [(NONE, stalled)]);
    let failed = vitals.udp_workers_failed;
    out.gauge("detour_udp_workers_failed", "UDP workers that ended before their time.", [(NONE, failed)]);
    let ok = u8::from(vitals.last_load_ok);
    out.gauge("detour_last_load_ok", "Whether the last load was taken up.", [(NONE, ok)]);
    if let Some(status) = status {
        daemon(&mut out, status);
        checks(&mut out, &status.engine.checks);
        watches(&mut out, &status.watches);
        vantage(&mut out, &status.engine);
        services(&mut out, &status.engine.services);
        zones(&mut out, &status.engine);
        transferred(&mut out, &status.transferred);
        moving(&mut out, &status.engine);
    }
    lateness(&mut out, &vitals.lateness);
    counters(&mut out, vitals);
    out.0
}

fn daemon(out: &mut Text, status: &DaemonStatus) {
    let version = vec![("version", status.version.clone())];
    out.gauge("detour_build_info", "The version that runs.", [(version, 1)]);
    let started = seconds(status.started.0);
    out.gauge("detour_start_time_seconds", "When the daemon started, since 1970.", [(NONE, started)]);
    let at = seconds(status.last_load.at.0);
    out.gauge("detour_last_load_time_seconds", "When the last load was tried, since 1970.", [(NONE, at)]);
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

fn watches(out: &mut Text, watches: &[WatchView]) {
    let each = watches.iter().map(|w| (check_labels(&w.check), u8::from(w.state == WatchState::Standing)));
    out.gauge("detour_watch_standing", "Whether a watch holds a connection.", each);
    let each = WATCH_STATES.map(|(word, state)| {
        let count = watches.iter().filter(|w| w.state == state).count();
        (vec![("state", word.to_owned())], count)
    });
    out.gauge("detour_watches", "How many watches are in a state; no_room: more than are allowed.", each);
}

fn transferred(out: &mut Text, zones: &[TransferredView]) {
    let of = |z: &TransferredView| vec![("zone", bare(&z.zone))];
    let each = zones.iter().map(|z| (of(z), u8::from(z.serial.is_some())));
    out.gauge("detour_transferred_up", "Whether a zone of a primary is had, and not too old.", each);
    let each = zones.iter().filter_map(|z| Some((of(z), z.serial?)));
    out.gauge("detour_transferred_serial", "The serial that a primary sent.", each);
    let each = zones.iter().filter_map(|z| Some((of(z), seconds(z.confirmed?.0))));
    out.gauge("detour_transferred_confirmed_seconds", "When a primary confirmed it, since 1970.", each);
    let each = zones.iter().filter_map(|z| Some((of(z), seconds(z.expires?.0))));
    out.gauge("detour_transferred_expires_seconds", "When it will be too old, since 1970.", each);
    let each = zones.iter().map(|z| (of(z), z.failures));
    out.gauge("detour_transferred_failures", "Checks in a row that no primary answered well.", each);
    let each = zones.iter().flat_map(|z| {
        [("axfr", z.full), ("ixfr", z.incremental)].map(|(form, count)| {
            let mut labels = of(z);
            labels.push(("form", form.to_owned()));
            (labels, count)
        })
    });
    out.family("detour_transfers_in_total", "counter", "Transfers that were taken up.", each);
}

fn vantage(out: &mut Text, engine: &Status) {
    let doubt = u8::from(engine.doubt.is_some());
    out.gauge("detour_vantage_in_doubt", "Whether canaries fail and no sample counts.", [(NONE, doubt)]);
    let each = engine.canaries.iter().map(|c| (check_labels(&c.key), u8::from(c.health != Health::Down)));
    out.gauge("detour_canary_up", "Whether a canary works, as far as is known.", each);
}

fn services(out: &mut Text, services: &[ServiceView]) {
    let endpoints = || services.iter().flat_map(|s| s.endpoints.iter().map(move |e| (s, e)));
    let at = |s: &ServiceView, site: &str| vec![("service", bare(&s.name)), ("site", site.to_owned())];
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
    let name = |s: &ServiceView| vec![("service", bare(&s.name))];
    let each = services.iter().filter_map(|s| Some((name(s), s.decision.as_ref()?.ttl)));
    out.gauge("detour_service_ttl_seconds", "The TTL a service is answered with.", each);
    let each = services.iter().filter_map(|s| Some((name(s), s.decision.as_ref()?.id)));
    out.gauge("detour_service_decision_id", "The id of a service's last decision.", each);
    let each = services.iter().map(|s| (name(s), u8::from(s.latched)));
    out.gauge("detour_service_latched", "Whether a service waits for `detour failback`.", each);
}

fn moving(out: &mut Text, engine: &Status) {
    let name = |s: &ServiceView| vec![("service", bare(&s.name))];
    let standby = |s: &ServiceView| {
        let standby = s.standby.as_ref()?;
        Some((
            vec![("service", bare(&s.name)), ("site", standby.site.to_string())],
            u8::from(standby.ready()),
        ))
    };
    let each = engine.services.iter().filter_map(standby);
    out.gauge("detour_service_standby_ready", "Whether a service's next site could take over now.", each);
    let partial = |s: &ServiceView| Some((name(s), s.decision.as_ref()?.partial.as_ref()?.percent));
    let each = engine.services.iter().filter_map(partial);
    out.gauge("detour_service_failback_percent", "Client prefixes a failback in steps has moved.", each);
    let label = |p: &Proposal| vec![("service", bare(&p.service)), ("proposal", p.id.to_string())];
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
    let zone = |apex| vec![("zone", bare(apex))];
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

/// A histogram, in the format's own three series.
fn lateness(out: &mut Text, lateness: &Lateness) {
    let name = "detour_probe_lateness_seconds";
    out.line(format_args!("# HELP {name} How much later than due probe runs started, first runs aside."));
    out.line(format_args!("# TYPE {name} histogram"));
    for (bound, count) in &lateness.upto {
        let bound = bound.map_or("+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
        out.line(format_args!("{name}_bucket{{le=\"{bound}\"}} {count}"));
    }
    out.line(format_args!("{name}_sum {}", lateness.sum.as_secs_f64()));
    out.line(format_args!("{name}_count {}", lateness.upto.last().map_or(0, |(_, count)| *count)));
}

/// The answer side's counts. All series of one name must stand together, in whatever order they came.
fn counters(out: &mut Text, vitals: &Vitals) {
    let mut names: Vec<&'static str> = Vec::new();
    for (name, ..) in &vitals.counters {
        if !names.contains(name) {
            names.push(name);
        }
    }
    for name in names {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let help = name.strip_prefix("detour_").unwrap_or(name).replace('_', " ");
        let each = vitals.counters.iter().filter(|(n, ..)| *n == name);
        out.family(name, kind, &help, each.map(|(_, labels, value)| (labels.clone(), value)));
    }
}

fn check_labels(key: &CheckKey) -> Vec<(&'static str, String)> {
    vec![
        ("probe", key.probe.to_string()),
        ("place", key.whereto.to_string()),
        ("host", key.host.as_deref().unwrap_or_default().to_owned()),
    ]
}

/// A name as people write it in queries: without the last dot.
fn bare(name: &crate::zone::Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// The labels of one series, in whatever form there is.
trait Labels {
    /// Writes them as the format has them, without the braces.
    fn write(&self, out: &mut Text);

    /// What [`Labels::write`] writes.
    fn written(&self) -> String {
        let mut out = Text::default();
        self.write(&mut out);
        out.0
    }
}

impl Labels for Vec<(&'static str, String)> {
    fn write(&self, out: &mut Text) {
        for (n, (key, value)) in self.iter().enumerate() {
            out.0.push_str(if n == 0 { "" } else { "," });
            out.0.push_str(key);
            out.0.push_str("=\"");
            out.escaped(value);
            out.0.push('"');
        }
    }
}

/// Labels that were written before.
impl Labels for &str {
    fn write(&self, out: &mut Text) {
        out.0.push_str(self);
    }
}

impl Labels for String {
    fn write(&self, out: &mut Text) {
        self.as_str().write(out);
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn gauge<V: Display>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (impl Labels, V)>,
    ) {
        self.family(name, "gauge", help, series);
    }

    fn family<V: Display>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        series: impl IntoIterator<Item = (impl Labels, V)>,
    ) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        for (labels, value) in series {
            self.0.push_str(name);
            let begin = self.0.len();
            self.0.push('{');
            labels.write(self);
            if self.0.len() == begin + 1 {
                self.0.truncate(begin);
                self.0.push(' ');
            } else {
                self.0.push_str("} ");
            }
            self.line(format_args!("{value}"));
        }
    }

    /// A label's value: backslash, quote and line feed are escaped.
    fn escaped(&mut self, mut value: &str) {
        while let Some(at) = value.find(['\\', '"', '\n']) {
            let (plain, rest) = value.split_at(at);
            self.0.push_str(plain);
            let odd = rest.as_bytes()[0];
            self.0.push_str(match odd {
                b'\\' => "\\\\",
                b'"' => "\\\"",
                _ => "\\n",
            });
            value = &rest[1..];
        }
        self.0.push_str(value);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String has no error.
        let _ = writeln!(self.0, "{line}");
    }
}
