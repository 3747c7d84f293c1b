//! `detour status`: what is served, and why.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use super::client::{Client, ClientError, finish, pretty};
use super::moving;
use super::show::{Table, ago, forced, list, span};
use crate::alert::ReceiverView;
use crate::api::DaemonStatus;
use crate::condition::{Condition, Summary};
use crate::dns::Serial;
use crate::engine::{CheckView, ServiceView, Status};
use crate::health::Health;
use crate::policy::Decision;
use crate::probe::{WatchState, WatchView};
use crate::time::Time;
use crate::transfer::inbound::TransferredView;
use crate::transfer::outbound::Secondary;

/// What is served and why
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Prints the whole picture.
pub async fn run(client: &Client, _args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    finish(said(client, json).await)
}

pub(super) async fn said(client: &Client, json: bool) -> Result<String, ClientError> {
    let answer = client.get(&["v1", "status"], &[]).await?;
    if json { Ok(pretty(&answer)) } else { Ok(render(&client.decode(&answer)?)) }
}

/// The picture for people.
pub(super) fn render(status: &DaemonStatus) -> String {
    let now = status.engine.now;
    let mut out = String::new();
    let listen: Vec<String> = status.listen.iter().map(ToString::to_string).collect();
    let (version, up) = (&status.version, span(now.since(status.started)));
    let _ = writeln!(out, "detour {version}, up {up}, {}", status.config.display());
    let _ = writeln!(out, "DNS on {}", list(&listen));
    let load = &status.last_load;
    let when = span(now.since(load.at));
    let outcome = if load.ok { "taken up" } else { "REFUSED, the last good one serves" };
    let _ = writeln!(out, "last load {when} ago: {outcome}");
    indented(&mut out, load.problems.as_deref().unwrap_or_default());
    for warning in &status.warnings {
        let _ = writeln!(out, "warning:");
        indented(&mut out, warning);
    }
    let engine = &status.engine;
    out.push_str(&conditions(now, &status.conditions));
    section(&mut out, &sites(engine), "no site");
    section(&mut out, &services(engine), "no service");
    section(&mut out, &checks(engine), "every check is Up");
    if !status.watches.is_empty() {
        section(&mut out, &watches(now, &status.watches), "every watch stands");
    }
    if !engine.canaries.is_empty() {
        section(&mut out, &canaries(engine), "no canary");
    }
    if !status.alerts.is_empty() {
        section(&mut out, &receivers(now, &status.alerts), "no receiver");
    }
    section(&mut out, &zones(engine), "no zone");
    if !status.secondaries.is_empty() {
        section(&mut out, &secondaries(&status.secondaries), "no secondary");
    }
    if !status.transferred.is_empty() {
        section(&mut out, &transferred(now, &status.transferred), "");
    }
    section(&mut out, &overrides(engine), "no override");
    let notes = moving::notes(engine);
    if !notes.is_empty() {
        let _ = write!(out, "\n{notes}");
    }
    let loads = moving::loads(engine);
    if !loads.is_empty() {
        section(&mut out, &loads, "");
    }
    out
}

/// What is wrong now, the worst first.
fn conditions(now: Time, summary: &Summary) -> String {
    let mut out = String::new();
    if summary.total() == 0 {
        return out;
    }
    let state = if summary.is_degraded() { "DEGRADED" } else { "ok, but note" };
    let _ = writeln!(out, "{state}:");
    for Condition { severity, since, text, .. } in &summary.listed {
        let _ = writeln!(out, "    {}: {text} (for {})", severity.word(), span(now.since(*since)));
    }
    if summary.unlisted() > 0 {
        let _ = writeln!(out, "    and {} more", summary.unlisted());
    }
    out
}

fn indented(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "    {line}");
    }
}

fn section(out: &mut String, table: &Table, none: &str) {
    out.push('\n');
    let _ = if table.is_empty() { writeln!(out, "{none}") } else { write!(out, "{table}") };
}

fn sites(engine: &Status) -> Table {
    let mut table = Table::new(["SITE", "NAME", "UP", "SUSPECT", "DOWN", "UNKNOWN", "SERVES", "OVERRIDE"]);
    for s in &engine.sites {
        let [up, suspect, down, unknown, serving] =
            [s.up, s.suspect, s.down, s.unknown, s.serving].map(|count| count.to_string());
        let forced = forced(engine.now, s.overridden.as_ref());
        table.row([s.id.to_string(), s.name.clone(), up, suspect, down, unknown, serving, forced]);
    }
    table
}

fn services(engine: &Status) -> Table {
    let mut table = Table::new(["SERVICE", "FROM", "HEALTH", "TTL", "SINCE", "REASON"]);
    for s in &engine.services {
        let (from, ttl, reason) = match &s.decision {
            Some(d) => (list(&d.sites), ttls(d), d.because()),
            None => ("zone file".to_owned(), "-".to_owned(), "no decision yet".to_owned()),
        };
        let reason = format!("{reason}{}", waiting(engine.now, s));
        table.row([s.name.bare(), from, health(s), ttl, ago(engine.now, s.since), reason]);
    }
    table
}

/// The TTL, and that of each address family that has another one: `30s, AAAA 5s`.
fn ttls(decision: &Decision) -> String {
    let others = decision.families.iter().filter(|part| part.ttl != decision.ttl);
    let others = others.map(|part| format!(", {} {}s", part.family, part.ttl));
    std::iter::once(format!("{}s", decision.ttl)).chain(others).collect()
}

/// The health of what is answered with.
fn health(service: &ServiceView) -> String {
    let serving: Vec<String> =
        service.endpoints.iter().filter(|e| e.serving).map(|e| e.health.to_string()).collect();
    list(&serving)
}

/// What keeps a service from going back.
fn waiting(now: Time, service: &ServiceView) -> String {
    let hold = service.hold_until.map(|until| format!(" [hold: {} left]", span(until.since(now))));
    let latch = if service.latched { " [latched: waits for `detour failback`]" } else { "" };
    format!("{}{latch}", hold.unwrap_or_default())
}

fn checks(engine: &Status) -> Table {
    let troubled = engine.checks.iter().filter(|c| c.health != Health::Up || c.stale || warning(c).is_some());
    check_table("CHECK", engine, troubled)
}

/// The warning of a check's last sample.
fn warning(c: &CheckView) -> Option<String> {
    c.recent.first().and_then(|sample| sample.detail.warning.as_ref()).map(ToString::to_string)
}

fn canaries(engine: &Status) -> Table {
    check_table("CANARY", engine, engine.canaries.iter())
}

fn check_table<'a>(title: &str, engine: &Status, checks: impl Iterator<Item = &'a CheckView>) -> Table {
    let mut table = Table::new([title, "HEALTH", "SINCE", "LAST SAMPLE", "BECAUSE"]);
    for c in checks {
        let because = match warning(c) {
            Some(warning) if c.health == Health::Up => format!("warning: {warning}"),
            Some(warning) => format!("{}; warning: {warning}", c.because),
            None => c.because.clone(),
        };
        let last = c.last_sample_age_ms.map(Duration::from_millis);
        let last = last.map_or_else(|| "-".to_owned(), |age| format!("{} ago", span(age)));
        let stale = if c.stale { " (late)" } else { "" };
        let (health, since) = if c.is_unchecked() {
            ("not yet checked".to_owned(), "-".to_owned())
        } else {
            (c.health.to_string(), ago(engine.now, Some(c.since)))
        };
        table.row([c.key.to_string(), health, since, format!("{last}{stale}"), because]);
    }
    table
}

/// Those that do not stand.
fn watches(now: Time, watches: &[WatchView]) -> Table {
    let mut table = Table::new(["WATCH", "FOR", "STATE"]);
    for watch in watches.iter().filter(|watch| watch.state != WatchState::Standing) {
        table.row([watch.check.to_string(), span(now.since(watch.since)), watch.state.to_string()]);
    }
    table
}

fn receivers(now: Time, receivers: &[ReceiverView]) -> Table {
    let mut table = Table::new(["ALERTS TO", "TYPE", "QUEUED", "DELIVERED", "LAST", "LAST ERROR"]);
    for r in receivers {
        let last = ago(now, r.last_success);
        let error = match &r.last_error {
            Some((at, why)) => {
                let since = if r.failing { "FAILING, " } else { "" };
                format!("{since}{} ago: {why}", span(now.since(*at)))
            }
            None => "-".to_owned(),
        };
        let [queued, delivered] = [r.queued.to_string(), r.delivered.to_string()];
        table.row([r.id.clone(), r.way.clone(), queued, delivered, last, error]);
    }
    table
}

fn zones(engine: &Status) -> Table {
    let edited = engine.zones.iter().any(|zone| zone.edits > 0);
    let mut table = if edited {
        Table::new(["ZONE", "SERIAL", "FILE", "SERVICES", "EDITS"])
    } else {
        Table::new(["ZONE", "SERIAL", "FILE", "SERVICES"])
    };
    for z in &engine.zones {
        let counts = [z.serial.to_string(), z.file_serial.to_string(), z.services.to_string()];
        let [serial, file, services] = counts;
        if edited {
            table.row([z.apex.bare(), serial, file, services, z.edits.to_string()]);
        } else {
            table.row([z.apex.bare(), serial, file, services]);
        }
    }
    table
}

fn secondaries(secondaries: &[Secondary]) -> Table {
    let mut table = Table::new(["SECONDARY", "ZONE", "HAS", "ACKNOWLEDGED", "LAG", "STATE"]);
    for s in secondaries {
        let serial = |serial: Option<Serial>| serial.map_or_else(|| "-".to_owned(), |s| s.to_string());
        let lag = match s.lag_ms {
            0 => "none".to_owned(),
            ms => span(Duration::from_millis(ms)),
        };
        let (has, acknowledged) = (serial(s.serial), serial(s.acknowledged));
        table.row([s.address.to_string(), s.zone.bare(), has, acknowledged, lag, s.outcome.clone()]);
    }
    table
}

fn transferred(now: Time, zones: &[TransferredView]) -> Table {
    let mut table = Table::new(["FROM A PRIMARY", "SERIAL", "CONFIRMED", "EXPIRES", "NEXT", "LAST"]);
    for z in zones {
        let serial = match z.serial {
            Some(serial) => serial.to_string(),
            None if z.expired => "EXPIRED".to_owned(),
            None => "NONE YET".to_owned(),
        };
        let expires = z.expires.map_or_else(|| "-".to_owned(), |at| format!("in {}", span(at.since(now))));
        let next = format!("in {}", span(z.next.since(now)));
        table.row([z.zone.bare(), serial, ago(now, z.confirmed), expires, next, z.last.clone()]);
    }
    table
}

fn overrides(engine: &Status) -> Table {
    let mut table = Table::new(["OVERRIDE ON", "KIND", "SINCE", "LEFT", "WHO", "REASON"]);
    for o in &engine.overrides {
        let left = o.until.map_or_else(|| "-".to_owned(), |until| span(until.since(engine.now)));
        let since = ago(engine.now, Some(o.at));
        table.row([o.scope.to_string(), o.kind.to_string(), since, left, o.who.clone(), o.reason.clone()]);
    }
    table
}
