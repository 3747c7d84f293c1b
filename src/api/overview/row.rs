//! A service in one row: what it answers now, from where, since when, why, and what can happen next.

use serde::{Deserialize, Serialize};

use crate::dns::RrSet;
use crate::engine::{EndpointView, ServiceView, StandbyView, dead_site, lost_families};
use crate::health::Health;
use crate::model::SiteId;
use crate::policy::{Decision, Noted, OverrideKind, Rule, unmade};
use crate::time::Time;

/// How many records of an answer a row shows.
const MAX_ANSWERS: usize = 4;

/// How a service is off, the worst first: what somebody on call should look at comes before what can wait.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stance {
    /// No endpoint works.
    Stranded,
    /// One of its address families has no endpoint that works, or is answered with none.
    FamilyDown,
    /// It is answered from a site that is Down, because its move waits.
    Held,
    /// It is answered from elsewhere than it should be.
    Moved,
    /// What it is answered from fails, and is not Down yet.
    Failing,
    /// Part of what it should be answered with is left out.
    Partial,
    /// Nothing is decided yet, or no sample has counted.
    Undecided,
    /// It is answered as it should be, and nobody could take over.
    Exposed,
    /// It is answered as it should be.
    Home,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Row {
    /// The steered name, without the last dot.
    pub name: String,
    /// How it is off.
    pub stance: Stance,
    /// The sites it is answered from.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// The sites it should be answered from and is not, and why.
    pub off: Vec<Off>,
    /// The first records it is answered with, without owner and TTL: `192.0.2.10`.
    pub answers: Vec<String>,
    /// How many records there are beyond those.
    pub more: usize,
    /// Seconds on its answers; `None` while the zone file's records are served.
    pub ttl: Option<u32>,
    /// Since when it is so: since the site in use is Down, or nothing works; else since the sites are these.
    pub since: Option<Time>,
    /// Its address families that clients are not given a working address of: `A has no endpoint that works`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// The decision's reason in words.
    pub because: String,
    /// The next thing that can happen.
    pub next: Next,
    /// Who would take over.
    pub standby: Option<StandbyView>,
    /// Its endpoints, in order of preference.
    pub endpoints: Vec<Glance>,
}

/// A site that a service should be answered from, and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Off {
    /// Which.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// Why: `Down: 3 of 3 failed, connection refused`; `drained by ana: disk swap (samples say Up)`.
    pub why: String,
    /// Where it is answered from there, the addresses that are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
}

/// What can happen next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Next {
    /// In words.
    pub text: String,
    /// When, where that is known.
    pub at: Option<Time>,
}

/// An endpoint at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Glance {
    /// Where.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// What samples say of it.
    pub health: Health,
    /// Whether the service is answered from here.
    pub serving: bool,
    /// What an operator forces on it.
    pub forced: Option<OverrideKind>,
    /// Until when it is in maintenance.
    pub maintenance: Option<Time>,
}

impl Row {
    pub(super) fn of(mut service: ServiceView) -> Row {
        service.standby = taker(&service);
        let stance = stance(&service);
        let next = next(&service, stance);
        let off = off(&service, stance);
        let (mut answers, mut more) = (Vec::new(), 0);
        for record in service.decision.iter().flat_map(|d| &d.records).flat_map(RrSet::to_lines) {
            match record.splitn(5, ' ').nth(4) {
                Some(data) if answers.len() < MAX_ANSWERS => answers.push(data.to_owned()),
                _ => more += 1,
            }
        }
        let decision = service.decision.as_ref();
        Row {
            name: service.name.bare(),
            stance,
            sites: decision.map(|d| d.sites.clone()).unwrap_or_default(),
            off,
            answers,
            more,
            ttl: decision.map(|d| d.ttl),
            since: since(&service, stance),
            lost: decision.map(lost).unwrap_or_default(),
            because: decision.map_or_else(|| "no decision yet".to_owned(), Decision::because),
            next,
            standby: service.standby,
            endpoints: service.endpoints.iter().map(Glance::of).collect(),
        }
    }

    /// Whether every one of these words, in lower case, is in what people know a service by.
    pub(super) fn matches(&self, words: &[String]) -> bool {
        let has = |word: &String| {
            self.name.to_ascii_lowercase().contains(word)
                || self.sites.iter().any(|site| site.to_ascii_lowercase() == *word)
                || self.answers.iter().any(|answer| answer.contains(word.as_str()))
        };
        words.iter().all(has)
    }
}

impl Glance {
    fn of(endpoint: &EndpointView) -> Glance {
        Glance {
            site: endpoint.site.clone(),
            health: endpoint.health,
            serving: endpoint.serving,
            forced: endpoint.overridden.as_ref().map(|forced| forced.kind),
            maintenance: endpoint.maintenance,
        }
    }
}

fn lost(decision: &Decision) -> Vec<String> {
    lost_families(decision).into_iter().map(|(family, why)| format!("{family} {why}")).collect()
}

fn stance(service: &ServiceView) -> Stance {
    let Some(decision) = &service.decision else { return Stance::Undecided };
    let serving = decision.reason.serving.as_ref();
    let serving = service.endpoints.iter().find(|endpoint| Some(&endpoint.site) == serving);
    let first = service.endpoints.first();
    let away = serving.map(|endpoint| &endpoint.site) != first.map(|endpoint| &endpoint.site);
    let withheld = || {
        let mut noted = decision.reason.endpoints.iter();
        !decision.families.is_empty() || noted.any(|noted| !noted.withheld.is_empty())
    };
    let dead_family = dead_site(decision).is_some_and(|dead| dead.family.is_some());
    match &decision.reason.rule {
        Rule::AllDown { .. } | Rule::Unproven => Stance::Stranded,
        Rule::Unverified { .. } => Stance::Undecided,
        _ if !lost_families(decision).is_empty() => Stance::FamilyDown,
        _ if dead_family => Stance::Held,
        Rule::Damped => Stance::Failing,
        Rule::Delayed { .. } | Rule::Proposed { .. } | Rule::Rejected { .. } if !works(serving) => {
            Stance::Held
        }
        Rule::Steered { notes, .. } => {
            let whole = service.endpoints.iter().all(|endpoint| works(Some(endpoint)));
            if whole && notes.is_empty() && !withheld() { Stance::Home } else { Stance::Partial }
        }
        _ if away => Stance::Moved,
        _ => match serving.map(|endpoint| endpoint.health) {
            Some(Health::Suspect | Health::Down) => Stance::Failing,
            Some(Health::Unknown) | None => Stance::Undecided,
            Some(Health::Up) if withheld() => Stance::Partial,
            Some(Health::Up) if is_exposed(service) => Stance::Exposed,
            Some(Health::Up) => Stance::Home,
        },
    }
}

/// Since when a service is as it is.
fn since(service: &ServiceView, stance: Stance) -> Option<Time> {
    let down = |endpoint: &&EndpointView| endpoint.health == Health::Down;
    let failed = match stance {
        Stance::Held => {
            service.endpoints.iter().filter(|it| it.serving).filter(down).filter_map(|it| it.since).max()
        }
        // Nothing works since the last one of them failed.
        Stance::Stranded => service.endpoints.iter().filter(down).filter_map(|it| it.since).max(),
        _ => None,
    };
    failed.or(service.since)
}

/// Whether an endpoint is one that clients may be sent to.
fn works(endpoint: Option<&EndpointView>) -> bool {
    endpoint.is_some_and(|endpoint| match &endpoint.overridden {
        Some(forced) => forced.kind == OverrideKind::ForceUp,
        None => endpoint.health != Health::Down,
    })
}

/// Who would take over: who comes next, or where that one could not, the first of the others that is Up.
fn taker(service: &ServiceView) -> Option<StandbyView> {
    let next = service.standby.clone()?;
    if next.ready() {
        return Some(next);
    }
    let up = |endpoint: &&EndpointView| {
        endpoint.health == Health::Up
            && !endpoint.serving
            && endpoint.site != next.site
            && endpoint.maintenance.is_none()
            && works(Some(endpoint))
    };
    let other = service.endpoints.iter().find(up);
    Some(other.map_or(next.clone(), |other| StandbyView { site: other.site.clone(), unready: None }))
}

/// Whether others are meant to take over, and none could.
fn is_exposed(service: &ServiceView) -> bool {
    service.endpoints.len() > 1 && !service.standby.as_ref().is_some_and(StandbyView::ready)
}

fn off(service: &ServiceView, stance: Stance) -> Vec<Off> {
    let shown = [Stance::Moved, Stance::Held, Stance::Partial, Stance::Stranded, Stance::FamilyDown]
        .contains(&stance);
    if !shown {
        return Vec::new();
    }
    let Some(Decision { reason, sites, families, .. }) = &service.decision else { return Vec::new() };
    let dead = service.decision.as_ref().and_then(dead_site).and_then(|dead| dead.family);
    let held = stance == Stance::Held && dead.is_none();
    let away = |noted: &&Noted| held || !sites.contains(&noted.site) || !noted.withheld.is_empty();
    let noted = reason.endpoints.iter().filter(away);
    let why = |noted: &Noted| {
        let text = noted.to_string();
        text.strip_prefix(&*noted.site).map_or(text.as_str(), str::trim_start).to_owned()
    };
    let withheld = |noted: &Noted| {
        let places = noted.withheld.iter().filter(|_| sites.contains(&noted.site));
        places.map(|it| format!("{} ({}: {})", it.place, it.health, it.because)).collect()
    };
    let whole =
        noted.map(|noted| Off { site: noted.site.clone(), why: why(noted), withheld: withheld(noted) });
    let parts = families.iter().flat_map(|part| {
        let held = dead == Some(part.family);
        let noted = part.reason.endpoints.iter().filter(move |it| held || !part.sites.contains(&it.site));
        noted.map(|noted| Off {
            site: noted.site.clone(),
            why: format!("{}: {}", part.family, why(noted)),
            withheld: Vec::new(),
        })
    });
    whole.chain(parts).collect()
}

fn next(service: &ServiceView, stance: Stance) -> Next {
    let say = |text: String, at: Option<Time>| Next { text, at };
    let Some(decision) = &service.decision else {
        return say("it is decided once its checks have reported".to_owned(), None);
    };
    let settled_in = |rule: &&Rule| matches!(rule, Rule::InOrder | Rule::Steered { .. });
    // What keeps the service from where it belongs, or else one of its families.
    let rules = || decision.reasons().map(|reason| noted(&reason.rule));
    let rule = rules().find(|rule| !settled_in(rule)).unwrap_or(&decision.reason.rule);
    match rule {
        Rule::Holding { back, until } => say(format!("back to {back}, if it stays Up"), Some(*until)),
        Rule::Latched { .. } => say("stays until somebody orders a failback".to_owned(), None),
        Rule::Delayed { to, until } => say(format!("moves to {to}, unless it works again"), Some(*until)),
        Rule::Proposed { to, proposal, due, .. } => {
            let text = format!("the move to {to} waits for somebody to approve it (proposal {proposal})");
            say(text, due.map(|(at, _)| at))
        }
        Rule::Rejected { to, by, .. } => say(format!("stays: the move to {to} {}", unmade(by)), None),
        Rule::Stepping { back, next, at, .. } => {
            say(format!("{back} gets {next} % of the clients"), Some(*at))
        }
        Rule::AllDown { .. } | Rule::Unverified { .. } | Rule::Damped | Rule::Unproven => {
            say("the first endpoint to be Up is used at once".to_owned(), None)
        }
        Rule::InOrder | Rule::Steered { .. } => ends(service).unwrap_or_else(|| settled(service, stance)),
    }
}

/// Of groups, what keeps the first of them where it is.
fn noted(rule: &Rule) -> &Rule {
    match rule {
        Rule::Steered { notes, .. } => notes.first().map_or(rule, |(_, rule)| rule),
        rule => rule,
    }
}

/// What keeps an endpoint out and ends at a known time.
fn ends(service: &ServiceView) -> Option<Next> {
    let ends = service.endpoints.iter().filter_map(|endpoint| {
        let forced = endpoint.overridden.as_ref();
        let forced = forced.and_then(|o| Some((o.until?, format!("the {} on {} runs out", o.kind, o.scope))));
        let maintained =
            endpoint.maintenance.map(|at| (at, format!("maintenance of {} ends", endpoint.site)));
        forced.into_iter().chain(maintained).min()
    });
    ends.min().map(|(at, text)| Next { text, at: Some(at) })
}

fn settled(service: &ServiceView, stance: Stance) -> Next {
    let serving = service.decision.as_ref().and_then(|decision| decision.reason.serving.as_ref());
    let text = match (serving, service.endpoints.first(), &service.standby) {
        (Some(_), Some(first), _) if stance == Stance::Moved => match &first.overridden {
            Some(forced) => format!("back to {} once the {} on it is cleared", first.site, forced.kind),
            None => format!("back to {} once it is Up again", first.site),
        },
        (Some(serving), _, Some(StandbyView { site, unready: None })) => {
            format!("{site} takes over if {serving} fails")
        }
        (Some(serving), _, Some(StandbyView { unready: Some(why), .. })) => {
            format!("nobody could take over if {serving} fails: {why}")
        }
        (Some(serving), _, None) => format!("no endpoint is left if {serving} fails"),
        (None, ..) => "the clients of a site that fails go to the others".to_owned(),
    };
    Next { text, at: None }
}
