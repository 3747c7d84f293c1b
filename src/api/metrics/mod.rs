//! `GET /metrics`: Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

mod bodies;
mod engine;
mod help;
mod text;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::read::patiently;
use super::{Daemon, DaemonStatus, Liveness, Measurements, Problem, health_of};
use crate::condition::{ConditionKind, Summary};
use crate::model::CheckKey;
use crate::sys::aside;
use crate::telemetry::Measured;
use crate::time::by_host;
use crate::transfer::inbound::TransferredView;
pub(super) use bodies::Bodies;
use bodies::Form;
use help::{COUNTED, help};
use text::{Labels, Text};

/// Of a family with one series.
const NONE: &str = "";

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics, as Prometheus reads them.
#[utoipa::path(
    get, path = "/metrics", tag = "the daemon itself",
    responses(
        (status = 200, description = "The metrics", content_type = "text/plain", body = String),
    ),
)]
pub(super) async fn metrics<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(bodies): Extension<Bodies>,
    headers: HeaderMap,
) -> Response {
    let form = Form::accepted(&headers);
    // In a task of its own: whoever hangs up does not break off what others wait for.
    let body = tokio::spawn(async move { bodies.get(form, async || write(daemon, form).await).await });
    let body = match body.await.unwrap_or_else(|e| Err(io::Error::other(e))) {
        Ok(body) => body,
        Err(why) => return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
    };
    let mut response = Response::new(body.body());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if form == Form::Gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

async fn write<D: Daemon>(daemon: Arc<D>, form: Form) -> io::Result<Vec<u8>> {
    // A scrape is worth most when something is wrong: without the engine the rest is shown all the same.
    let status = patiently(daemon.status()).await.ok();
    let (liveness, conditions, measured) = (daemon.liveness(), daemon.conditions(), daemon.measurements());
    // Half a million lines, where there are many checks: probes and clients go first.
    let render = move || render(status.as_ref(), &liveness, &conditions, &measured);
    aside("metrics", move || form.of(by_host(daemon.offset(), render))).await?
}

/// All of it, as text.
pub fn render(
    status: Option<&DaemonStatus>,
    liveness: &Liveness,
    conditions: &Summary,
    measured: &Measurements,
) -> String {
    let mut out = Text::default();
    out.gauge("detour_up", "Whether the engine answers.", [(NONE, u8::from(status.is_some()))]);
    let idle = seconds(liveness.engine_idle_ms);
    out.gauge("detour_engine_idle_seconds", "Time since the engine's loop last turned.", [(NONE, idle)]);
    let idle = seconds(liveness.checks_idle_ms);
    out.gauge(
        "detour_checks_idle_seconds",
        "Time for which no check ran although one was due.",
        [(NONE, idle)],
    );
    let failed = liveness.udp_workers_failed;
    out.gauge("detour_udp_workers_failed", "UDP workers that cannot receive queries.", [(NONE, failed)]);
    let degraded = u8::from(health_of(liveness, conditions).status != "ok");
    out.gauge("detour_degraded", "Whether /healthz says degraded or failing.", [(NONE, degraded)]);
    let each = ConditionKind::ALL.iter().map(|&kind| {
        let labels = vec![("kind", kind.word().to_owned()), ("severity", kind.severity().word().to_owned())];
        (labels, conditions.count(kind))
    });
    out.gauge("detour_conditions", "Things that are wrong now, by kind; `detour status` lists them.", each);
    let ok = u8::from(measured.last_load_ok);
    out.gauge("detour_last_load_ok", "Whether the last load was taken up.", [(NONE, ok)]);
    if let Some(status) = status {
        daemon(&mut out, status);
        let left_out = engine::write(&mut out, &status.engine, &status.watches, measured.endpoints);
        let each = left_out.map(|(of, count)| (vec![("of", of.to_owned())], count));
        out.gauge("detour_metrics_left_out", "Things without series of their own: over the bound.", each);
        transferred(&mut out, &status.transferred);
    }
    histograms(&mut out, &measured.measured);
    counters(&mut out, measured);
    out.into_string()
}

fn daemon(out: &mut Text, status: &DaemonStatus) {
    let version = vec![("version", status.version.clone())];
    out.gauge("detour_build_info", "The version that runs.", [(version, 1)]);
    let warnings = status.warnings.len();
    out.gauge("detour_warnings", "What `detour status` warns of.", [(NONE, warnings)]);
    let started = seconds(status.started.as_shown().0);
    out.gauge("detour_start_time_seconds", "When the daemon started, since 1970.", [(NONE, started)]);
    let at = seconds(status.last_load.at.as_shown().0);
    out.gauge(
        "detour_last_load_timestamp_seconds",
        "When the last load was tried, since 1970.",
        [(NONE, at)],
    );
}

fn transferred(out: &mut Text, zones: &[TransferredView]) {
    let of = |z: &TransferredView| vec![("zone", z.zone.bare())];
    let each = zones.iter().map(|z| (of(z), u8::from(z.serial.is_some())));
    out.gauge("detour_transferred_up", "Whether a zone of a primary is had, and not too old.", each);
    let each = zones.iter().filter_map(|z| Some((of(z), z.serial?)));
    out.gauge("detour_transferred_serial", "The serial that a primary sent.", each);
    let each = zones.iter().filter_map(|z| Some((of(z), seconds(z.confirmed?.as_shown().0))));
    out.gauge(
        "detour_transferred_confirmed_timestamp_seconds",
        "When a primary confirmed it, since 1970.",
        each,
    );
    let each = zones.iter().filter_map(|z| Some((of(z), seconds(z.expires?.as_shown().0))));
    out.gauge("detour_transferred_expires_timestamp_seconds", "When it will be too old, since 1970.", each);
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

fn histograms(out: &mut Text, measured: &[Measured]) {
    let mut families: BTreeMap<&str, Vec<&Measured>> = BTreeMap::new();
    for one in measured {
        families.entry(one.name).or_default().push(one);
    }
    for (name, family) in families {
        out.histograms(name, help(name), family.iter().map(|one| (one.labels.written(), &one.of)));
    }
}

/// What is counted beside the engine. All series of one name must stand together, in whatever order they came.
fn counters(out: &mut Text, measured: &Measurements) {
    let mut families: BTreeMap<&str, Vec<_>> = COUNTED.iter().map(|(name, _)| (*name, Vec::new())).collect();
    for (name, labels, value) in &measured.counters {
        families.entry(name).or_default().push((labels.clone(), value));
    }
    for (name, family) in families {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        out.family(name, kind, help(name), family);
    }
}

pub(super) fn check_labels(key: &CheckKey) -> Vec<(&'static str, String)> {
    vec![
        ("probe", key.probe.to_string()),
        ("place", key.whereto.to_string()),
        ("host", key.host.as_deref().unwrap_or_default().to_owned()),
    ]
}

pub(super) fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
