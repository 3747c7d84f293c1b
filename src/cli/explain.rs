//! `detour explain NAME`: the chain from samples to answer, in the order data flows.

use std::fmt::Write;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use super::client::{Client, ClientError, finish, pretty};
use super::recorded;
use super::show::{forced, list, span};
use crate::api::bodies::{ClientBody, ExplainBody};
use crate::dns::{RrSet, RrType};
use crate::engine::{CheckView, EndpointView, Explanation, ServiceView};
use crate::policy::Decision;
use crate::probe::WatchView;
use crate::time::Time;

/// The whole chain from samples to the answer
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A service's name
    pub name: String,
    /// As it was then: 2026-11-21T03:00:00Z, or 10m for so long ago; from the daemon's recording
    #[arg(long, value_name = "TIME", value_parser = recorded::time_argument)]
    pub at: Option<String>,
    /// Where the recording is, with --at; the configuration's state_dir when left out
    #[arg(long, value_name = "STATE_DIR", requires = "at")]
    pub history: Option<std::path::PathBuf>,
    /// What the client at this address is answered
    #[arg(long, value_name = "IP")]
    pub from: Option<IpAddr>,
}

/// Prints the whole chain.
pub async fn run(client: &Client, args: &Args, json: bool) -> anyhow::Result<ExitCode> {
    finish(said(client, args, json).await)
}

pub(super) async fn said(client: &Client, args: &Args, json: bool) -> Result<String, ClientError> {
    let from = args.from.map(|from| from.to_string());
    let mut query = vec![("name", args.name.as_str())];
    query.extend(from.as_deref().map(|from| ("from", from)));
    let answer = client.get(&["v1", "explain"], &query).await?;
    if json { Ok(pretty(&answer)) } else { Ok(render(&args.name, &client.decode(&answer)?)) }
}

/// The story for people.
pub(super) fn render(name: &str, body: &ExplainBody) -> String {
    let mut out = String::new();
    let Some(explanation) = &body.explanation else {
        let _ = writeln!(out, "{name} is not steered: the zone file's records are answered");
        answered(&mut out, body);
        return out;
    };
    let Explanation { now, service, checks, next } = explanation;
    let serial = service.serial.map_or_else(|| "not published yet".to_owned(), |s| format!("serial {s}"));
    let _ = writeln!(out, "{} in zone {}, {serial}, at {now}", service.name.bare(), service.zone.bare());
    let _ = writeln!(out, "policy {}", service.policy);
    // One probe is named by its checks.
    if service.probes.contains(' ') {
        let _ = writeln!(out, "probes {}", service.probes);
    }
    for endpoint in &service.endpoints {
        out.push('\n');
        one_endpoint(&mut out, *now, endpoint, checks, &body.watches);
    }
    out.push('\n');
    decision(&mut out, *now, service);
    answered(&mut out, body);
    if let Some(d) = &service.decision
        && !same(d, &body.answered)
    {
        out.push_str("  this is NOT what was decided; a rewrite may be under way, else see the log\n");
    }
    client(&mut out, body);
    out.push_str("\nnext:\n");
    for line in next {
        let _ = writeln!(out, "  {line}");
    }
    if next.is_empty() {
        out.push_str("  nothing is pending\n");
    }
    out
}

fn one_endpoint(
    out: &mut String,
    now: Time,
    endpoint: &EndpointView,
    checks: &[CheckView],
    watches: &[WatchView],
) {
    let serving = if endpoint.serving { ", answered" } else { "" };
    let _ = writeln!(out, "endpoint {}: {}{serving}", endpoint.site, endpoint.health);
    if endpoint.overridden.is_some() {
        let _ = writeln!(out, "  override: {}", forced(now, endpoint.overridden.as_ref()));
    }
    for place in &endpoint.places {
        let serving = if place.serving { ", answered" } else { "" };
        // Where there is one check, its own line says why.
        let because = if place.checks.len() > 1 && !place.because.is_empty() {
            format!(", because {}", place.because)
        } else {
            String::new()
        };
        let _ = writeln!(out, "  {}: {}{serving}{because}", place.place, place.health);
        for check in checks.iter().filter(|check| place.checks.contains(&check.key)) {
            one_check(out, now, check);
            for watch in watches.iter().filter(|watch| watch.check == check.key) {
                let lasting = span(now.since(watch.since));
                let _ = writeln!(out, "      watch: {}, for {lasting}", watch.state);
            }
        }
    }
}

fn one_check(out: &mut String, now: Time, check: &CheckView) {
    let every = span(Duration::from_millis(check.every_ms));
    if check.is_unchecked() {
        let _ = writeln!(out, "    check {}, every {every}: not yet checked", check.key);
        return;
    }
    let since = span(now.since(check.since));
    let because = if check.because.is_empty() { String::new() } else { format!(": {}", check.because) };
    let _ = writeln!(out, "    check {}, every {every}: {} for {since}{because}", check.key, check.health);
    if check.stale {
        out.push_str("      no sample for three intervals: this health is old\n");
    }
    // As the history prints them: the newest last.
    for s in check.recent.iter().rev() {
        let _ = write!(out, "      {}  {} in {:.1?} from {}", s.at, s.outcome, s.latency, s.vantage.0);
        let _ = match &s.detail.phases {
            phases if phases.is_empty() => writeln!(out),
            phases => writeln!(out, " ({phases})"),
        };
        if let Some(warning) = &s.detail.warning {
            let _ = writeln!(out, "        warning: {warning}");
        }
    }
}

fn decision(out: &mut String, now: Time, service: &ServiceView) {
    let Some(d) = &service.decision else {
        out.push_str("no decision yet: the zone file's records are answered\n");
        return;
    };
    let made = span(now.since(d.at));
    let _ = writeln!(out, "decision {}, {made} ago: {}, TTL {}s", d.id, list(&d.sites), d.ttl);
    let _ = writeln!(out, "  because {}", d.because());
    if let Some(since) = service.since {
        let _ = writeln!(out, "  answered from there for {}", span(now.since(since)));
    }
    if service.latched {
        out.push_str("  latched: stays there until `detour failback`\n");
    }
    if let Some(until) = service.hold_until {
        let _ = writeln!(out, "  hold: {} left, until {until}", span(until.since(now)));
    }
    for line in d.records.iter().flat_map(RrSet::to_lines) {
        let _ = writeln!(out, "  {line}");
    }
}

fn answered(out: &mut String, body: &ExplainBody) {
    out.push_str("\nthe table answers:\n");
    for line in &body.answered_text {
        let _ = writeln!(out, "  {line}");
    }
    if body.answered_text.is_empty() {
        out.push_str("  no record\n");
    }
}

fn client(out: &mut String, body: &ExplainBody) {
    let Some(ClientBody { from, region, variant, scope, answered_text }) = &body.client else { return };
    let _ = match (region, variant) {
        (None, _) => writeln!(out, "\nthe client at {from} is answered the same as everybody:"),
        (Some(region), Some(variant)) => {
            writeln!(out, "\nthe client at {from} (region {region}) gets variant {variant}, scope /{scope}:")
        }
        (Some(region), None) => {
            writeln!(
                out,
                "\nthe client at {from} (region {region}) draws with each query, scope /{scope}; one draw:"
            )
        }
    };
    for line in answered_text {
        let _ = writeln!(out, "  {line}");
    }
}

/// Whether the steered types at the name are what was decided, in any order.
fn same(decision: &Decision, answered: &[RrSet]) -> bool {
    let own = |set: &RrSet| decision.records.iter().any(|have| have.rtype == set.rtype);
    let steered = |set: &&RrSet| [RrType::A, RrType::AAAA, RrType::CNAME].contains(&set.rtype) || own(set);
    let answered: Vec<&RrSet> = answered.iter().filter(steered).collect();
    answered.len() == decision.records.len() && decision.records.iter().all(|set| answered.contains(&set))
}
