//! What to look at: what an incident shows that is worth changing, the worst first.

use std::time::Duration;

use super::page::{Line, words};
use super::standby::Held;
use crate::cli::show::span;
use crate::incident::{For, Incident, Phases, Way, What};
use crate::model::Config;
use crate::time::Time;

/// A phase that takes this share of the whole is the one to shorten.
const MOST: f64 = 0.5;
/// Below this, in seconds, there is nothing to gain.
const SMALL: f64 = 1.0;
/// How often a check falls before it flaps.
const FLAPS: u32 = 3;
/// How much slower a standby may get before it is worth a look, and from which latency on, in milliseconds.
const SLOWER: (f64, f64) = (2.0, 20.0);

/// All of them. `config` is what is configured now, if that is known.
pub(super) fn findings(incident: &Incident, held: &[Held], config: Option<&Config>, now: Time) -> Vec<Line> {
    let mut found = Vec::new();
    found.extend(incident.phases.iter().flat_map(of_phases));
    waits(incident, now, &mut found);
    flaps(incident, &mut found);
    standbys(incident, held, config, &mut found);
    told(incident, &mut found);
    found
}

fn secs(secs: f64) -> String {
    if secs < 10.0 { format!("{secs:.2} s") } else { format!("{secs:.1} s") }
}

fn of_phases(phases: &Phases) -> Vec<Line> {
    let mut found = Vec::new();
    let service = phases.service.bare();
    match (phases.rto, phases.kept) {
        (Some(rto), Some(false)) => {
            let (total, over) = (secs(phases.total), secs(phases.total - rto));
            let rto = secs(rto);
            found.push(words(&format!(
                "The promise was missed by {over}: {service} took {total}, its `rto` is {rto}."
            )));
        }
        (None, _) => found.push(words(&format!(
            "{service} promises nothing: give it an `rto`, and `detour check` holds its settings against it."
        ))),
        _ => {}
    }
    // Who is well within the promise has nothing to gain.
    let tight = phases.rto.is_none_or(|rto| phases.total > rto * MOST);
    let most = |part: f64| tight && part > SMALL && part > phases.total * MOST;
    let share = |part: f64| format!("{} of {}", secs(part), secs(phases.total));
    if most(phases.detect) {
        let share = share(phases.detect);
        found.push(words(&format!(
            "Detection took most of the time, {share}: lower `interval`, `confirm`, `timeout` or `fall` of the probe, or set \
             `watch = true`. `detour replay --advise` tries thresholds on what was recorded."
        )));
    }
    if most(phases.decide) {
        let share = share(phases.decide);
        found.push(words(&format!(
            "The decision took most of the time, {share}: that is the service's `delay`, or an approval that was waited for."
        )));
    }
    if most(phases.ttl) {
        let share = share(phases.ttl);
        found.push(words(&format!(
            "The TTL of the old answer took most of the time, {share}: lower the service's `ttl`; `ttl_suspect` helps those \
             alone who ask while the site is Suspect."
        )));
    }
    if phases.publish > SMALL {
        found.push(words(&format!(
            "Publishing took {}: look at the log for a disk that stalls.",
            secs(phases.publish)
        )));
    }
    found
}

fn waits(incident: &Incident, now: Time, found: &mut Vec<Line>) {
    let mut wait = |for_what: For, text: &str| {
        let all: Vec<_> = incident.waiting.iter().filter(|waiting| waiting.for_what == for_what).collect();
        let Some(first) = all.first() else { return };
        let since = all.iter().map(|waiting| waiting.since).min().unwrap_or(now);
        let whose = match all.len() {
            1 => format!("{} waits", first.service.bare()),
            more => format!("{} and {} more wait", first.service.bare(), more - 1),
        };
        found.push(words(&format!("{whose} for {text}, since {}.", span(now.since(since)))));
    };
    wait(For::Failback, "`detour failback`");
    wait(For::Approval, "`detour approve` or `detour reject`");
    wait(For::Recovery, "a site to work again");
    if incident.moves.iter().any(|made| made.way == Way::Away && made.to.is_empty()) {
        found.push(words("Names were answered with no site at all: see `all_down` of their services."));
    }
}

fn flaps(incident: &Incident, found: &mut Vec<Line>) {
    if let Some(worst) = incident.causes.iter().max_by_key(|cause| cause.falls)
        && worst.falls >= FLAPS
    {
        let (falls, check, site) = (worst.falls, &worst.check, &worst.site);
        found.push(words(&format!(
            "{check} at {site} fell {falls} times: a longer `hold` or `rise` before a failback, or stronger `damping`, keeps \
             clients from moving with it."
        )));
    }
}

fn standbys(incident: &Incident, held: &[Held], config: Option<&Config>, found: &mut Vec<Line>) {
    for held in held {
        let (check, site, during) = (&held.check, &held.site, &held.during);
        if during.failures > 0 {
            let why = during.why.as_deref().unwrap_or_default().replace('`', "'");
            found.push(words(&format!(
                "The standby was not well: {check} at {site} failed {} of {} runs while it carried ({why}).",
                during.failures, during.all
            )));
        }
        if let (Some(before), Some(now)) = (held.before.median_ms, during.median_ms)
            && now > SLOWER.1
            && now > before * SLOWER.0
        {
            found.push(words(&format!(
                "The standby got slower: {check} at {site} took {now:.1} ms at the median while it carried, {before:.1} ms before: \
                 does it have the capacity?"
            )));
        }
    }
    if incident.timeline.iter().any(|line| line.what == What::Standby) {
        found.push(words(
            "A standby could not have taken over in the middle of it; `detour status` says which are ready now.",
        ));
    }
    let single = |name: &&crate::dns::Name| {
        let service = config?.services.iter().find(|service| service.name == **name)?;
        (service.endpoints.len() <= 2).then_some(service.endpoints.len())
    };
    let single: Vec<_> = incident.services.iter().filter(|name| single(name).is_some()).collect();
    if let [first, more @ ..] = &single[..] {
        let whose = match more.len() {
            0 => first.bare(),
            more => format!("{} and {more} more", first.bare()),
        };
        found.push(words(&format!(
            "With that site gone, {whose} had no other standby left: a third endpoint would be one."
        )));
    }
}

fn told(incident: &Incident, found: &mut Vec<Line>) {
    let alerts: Vec<_> = incident.timeline.iter().filter(|line| line.what == What::Alert).collect();
    let lost = alerts.iter().filter(|line| line.text.contains(" given up: ")).count();
    if lost > 0 {
        found.push(words(&format!(
            "{lost} alerts were given up: try the receivers with `detour alert test`."
        )));
    }
    let moved = incident.moves.iter().find(|made| made.way == Way::Away);
    if let Some(moved) = moved {
        let first = alerts.iter().find(|line| line.text.contains(" sent: "));
        match first.map(|line| line.at.since(moved.decided)) {
            None => found.push(words(
                "No receiver took an alert about it: see `[alerts]` in the configuration, and `detour alert test`.",
            )),
            Some(late) if late > Duration::from_secs(60) => found.push(words(&format!(
                "The first alert was taken {} after the move: see `group_wait`, and whether the receiver was there.",
                span(late)
            ))),
            Some(_) => {}
        }
    }
    let is = |what: What| incident.timeline.iter().any(|line| line.what == what);
    if is(What::Vantage) {
        found.push(words("The vantage doubted itself meanwhile: what was seen then counted for nothing."));
    }
    if is(What::Started) {
        found.push(words(
            "The daemon was started in the middle of it; what was before is from its state file.",
        ));
    }
    if is(What::Limit) {
        found.push(words("A safety rule that only warns was broken."));
    }
}
