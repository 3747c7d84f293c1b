//! What would follow: a copy of an engine is told that probes of a site fail, or what an operator orders,
//! and says what it decides.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{QUORUM, StudyError};
use crate::dns::Name;
use crate::engine::{
    Action, COALESCE, Command, CommandError, Effect, Engine, Event, Load, ServiceView, SiteView, Status,
    meant,
};
use crate::health::{Detail, Failure, Health, Outcome, Sample, Vantage};
use crate::model::{CheckKey, Config, Probe, Service, SiteId, Surroundings, Whereto, worst_case};
use crate::policy::{Decision, Family, OverrideKind, Proposal, ProposalState, Scope, Target};
use crate::time::Time;

/// The most rounds of probes that are played: a window of samples and canaries fit in.
const MAX_ROUNDS: u32 = 200;

/// The most sites and scopes that one supposition names.
pub const MAX_SUPPOSED: usize = 1_000;

/// What is supposed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Supposition {
    /// Sites whose probes all fail.
    #[schema(value_type = Vec<String>)]
    pub down: Vec<SiteId>,
    /// Sites whose probes all pass.
    #[schema(value_type = Vec<String>)]
    pub up: Vec<SiteId>,
    /// What an operator drains.
    pub drain: Vec<Target>,
    /// What overrides an operator clears.
    pub clear: Vec<Target>,
    /// Which services an operator moves, and where.
    #[schema(value_type = Vec<(Name, String)>)]
    pub failover: Vec<(Name, SiteId)>,
    /// Which services an operator lets go back.
    pub failback: Vec<Name>,
    /// Which proposals an operator approves.
    pub approve: Vec<u64>,
    /// Whether safety rules may refuse a drain, as they do one that is not forced.
    pub heed_safety: bool,
}

impl Supposition {
    /// Whether it supposes something, of sites that there are.
    pub fn check(&self, config: &Config) -> Result<(), StudyError> {
        let Supposition { down, up, .. } = self;
        let orders = self.drain.len() + self.clear.len() + self.failover.len() + self.failback.len();
        match down.len() + up.len() + orders + self.approve.len() {
            0 => return Err(StudyError::NothingSupposed),
            1..=MAX_SUPPOSED => {}
            _ => return Err(StudyError::TooMuch(MAX_SUPPOSED, "sites and scopes")),
        }
        for target in &self.drain {
            if let Target::Word(word) = target {
                meant(word, config)?;
            }
        }
        let unknown = |site: &&SiteId| config.sites.iter().all(|known| known.id != **site);
        match down.iter().chain(up).find(unknown) {
            None => Ok(()),
            Some(site) => {
                let known: Vec<&str> = config.sites.iter().map(|site| &*site.id).collect();
                Err(StudyError::NoSite(site.clone(), known.join(", ")))
            }
        }
    }
}

impl Supposition {
    /// What an operator orders, in this order, as `engine` understands it.
    fn orders(&self, engine: &Engine) -> Vec<Result<Action, CommandError>> {
        let (kind, until, force) = (OverrideKind::Drain, None, !self.heed_safety);
        let drain = self.drain.iter().map(|target| engine.resolve(target, false));
        let drain = drain.map(|scope| Ok(Action::Override { scope: scope?, kind, until, force }));
        let clear = self.clear.iter().map(|target| engine.resolve(target, true));
        let clear = clear.map(|scope| Ok(Action::Clear { scope: scope? }));
        let failover = self.failover.iter().cloned();
        let failover = failover.map(|(service, to)| Action::Failover { service, to });
        let failback = self.failback.iter().cloned().map(|service| Action::Failback { service });
        let approve = |&id: &u64| Action::Approve { proposal: Some(id), force: true };
        let others = failover.chain(failback).chain(self.approve.iter().map(approve));
        drain.chain(clear).chain(others.map(Ok)).collect()
    }

    /// What it bears on, of these proposals.
    fn concerned(&self, engine: &Engine, proposals: &[Proposal]) -> Vec<Scope> {
        let sites = self.down.iter().chain(&self.up).cloned().map(Scope::Site);
        let ordered =
            self.drain.iter().chain(&self.clear).filter_map(|target| engine.resolve(target, true).ok());
        let moved = self.failover.iter().map(|(service, _)| service).chain(&self.failback);
        let approved = proposals.iter().filter(|held| self.approve.contains(&held.id));
        let services = moved.chain(approved.map(|held| &held.service)).cloned().map(Scope::Service);
        sites.chain(ordered).chain(services).collect()
    }
}

/// What becomes of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Consequence {
    /// Which.
    pub service: Name,
    /// The sites it is answered from now.
    #[schema(value_type = Vec<String>)]
    pub from: Vec<SiteId>,
    /// The sites it would be answered from.
    #[schema(value_type = Vec<String>)]
    pub to: Vec<SiteId>,
    /// Why, as its decision says.
    pub because: String,
    /// Whether no site that works would be left to it.
    pub stranded: bool,
    /// Whether a latch keeps it where it is, until a failback is asked for.
    pub latched: bool,
    /// Until when a hold keeps it from going back.
    pub hold_until: Option<Time>,
    /// The longest time to a client's new answer, in milliseconds: with detection and waits where sites are supposed
    /// to fail or recover, publishing and the TTL alone for an order.
    pub worst_ms: u64,
}

/// What would follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Outlook {
    /// As of when.
    pub at: Time,
    /// Services that would be answered from other sites.
    pub moved: Vec<Consequence>,
    /// Services that would stay although a site they are answered from, or prefer, is concerned.
    pub stays: Vec<Consequence>,
    /// How many services are not concerned.
    pub untouched: usize,
    /// Changesets, and so serials, of each zone.
    pub changesets: BTreeMap<Name, usize>,
    /// Orders that would be refused, and why.
    pub refused: Vec<String>,
    /// Moves that would wait for an operator, and what for: a safety rule, or because the service asks.
    #[serde(default)]
    pub held: Vec<String>,
    /// What the sites that declare a capacity would carry.
    #[serde(default)]
    pub loads: Vec<LoadThen>,
}

/// A site's load, now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoadThen {
    /// Which.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// What it carries now.
    pub before: u64,
    /// What it would carry.
    pub after: u64,
    /// What it can carry.
    pub capacity: u32,
}

impl LoadThen {
    /// Whether it would carry more than it can.
    pub fn is_over(&self) -> bool {
        self.after > u64::from(self.capacity)
    }
}

/// An engine of this load in which everything works.
pub fn healthy(load: &Load, now: Time) -> (Engine, Time) {
    let mut world =
        Supposed { engine: Engine::new(QUORUM, Vec::new()), now, wake: None, changesets: BTreeMap::new() };
    world.step(Event::Load(load.clone()));
    let probes = probes(&load.config);
    let works: BTreeMap<&CheckKey, bool> = probes.keys().map(|key| (key, true)).collect();
    for _ in 0..rounds(&load.config) {
        world.round(&probes, &works);
    }
    (world.engine, world.now)
}

/// What each check comes to from now on: what it comes to now, or what is supposed.
fn results<'p>(
    before: &Status,
    config: &Config,
    probes: &'p BTreeMap<CheckKey, std::sync::Arc<Probe>>,
    supposition: &Supposition,
) -> BTreeMap<&'p CheckKey, bool> {
    let mut works: BTreeMap<&CheckKey, bool> = BTreeMap::new();
    for check in &before.checks {
        let well = match check.health {
            Health::Up => true,
            // What damping alone holds Down goes on passing.
            Health::Down => check.held_until.is_some(),
            Health::Suspect => false,
            // Nothing is known of it, and nothing will be.
            Health::Unknown => continue,
        };
        works.extend(probes.get_key_value(&check.key).map(|(key, _)| (key, well)));
    }
    for canary in &before.canaries {
        let well = !matches!(canary.health, Health::Down | Health::Suspect);
        works.extend(probes.get_key_value(&canary.key).map(|(key, _)| (key, well)));
    }
    for (sites, well) in [(&supposition.down, false), (&supposition.up, true)] {
        for key in at_sites(config, sites) {
            works.extend(probes.get_key_value(&key).map(|(key, _)| (key, well)));
        }
    }
    works
}

/// What would follow for an engine that has come to `now` under `config`.
pub fn suppose(engine: Engine, now: Time, config: &Config, supposition: &Supposition) -> Outlook {
    let before = engine.status(now);
    let probes = probes(config);
    let works = results(&before, config, &probes, supposition);
    let mut world = Supposed { engine, now, wake: None, changesets: BTreeMap::new() };
    let concerned = supposition.concerned(&world.engine, &before.proposals);
    let mut refused = Vec::new();
    for action in supposition.orders(&world.engine) {
        let (who, reason) = ("whatif".to_owned(), "supposed".to_owned());
        match action {
            Ok(action) => refused.extend(world.step(Event::Command(Command { who, reason, action }))),
            Err(why) => refused.push(why.to_string()),
        }
    }
    if !supposition.down.is_empty() || !supposition.up.is_empty() {
        for _ in 0..rounds(config) {
            world.round(&probes, &works);
        }
    }
    let after = world.engine.status(world.now);
    let is_concerned = |view: &ServiceView| concerned.iter().any(|scope| concerns(scope, view));
    // What waited before, and is none of this, is not told again.
    let new = |held: &Proposal| before.proposals.iter().all(|was| was.id != held.id);
    let bears = |held: &Proposal| {
        new(held) || after.services.iter().any(|view| view.name == held.service && is_concerned(view))
    };
    let mut outlook = Outlook {
        at: now,
        moved: Vec::new(),
        stays: Vec::new(),
        untouched: 0,
        changesets: world.changesets,
        refused,
        held: after
            .proposals
            .iter()
            .filter(|held| held.state == ProposalState::Pending && bears(held))
            .map(ToString::to_string)
            .collect(),
        loads: loads(&before, &after),
    };
    // How many runs this host lets be under way is not a history's to tell.
    let surroundings = Surroundings::of(config, usize::MAX);
    let known: BTreeMap<&Name, _> = config.services.iter().map(|service| (&service.name, service)).collect();
    // An order needs no detection, and waits for nobody.
    let ordered = supposition.down.is_empty() && supposition.up.is_empty();
    let worst = |service: &Service| {
        let sum = worst_case(service, &surroundings);
        if ordered { sum.publish + sum.ttl } else { sum.total }
    };
    for (old, new) in before.services.iter().zip(&after.services) {
        let sum = known.get(&new.name).map(|service| worst(service)).unwrap_or_default();
        let consequence = consequence(old, new, sum);
        if consequence.from != consequence.to || parts(old) != parts(new) {
            outlook.moved.push(consequence);
        } else if is_concerned(new) {
            outlook.stays.push(consequence);
        } else {
            outlook.untouched += 1;
        }
    }
    outlook
}

/// Which of a service's address families are answered from other sites than the rest.
fn parts(view: &ServiceView) -> Vec<(Family, &[SiteId])> {
    let parts = view.decision.iter().flat_map(|decision| &decision.families);
    parts.map(|part| (part.family, &part.sites[..])).collect()
}

fn consequence(old: &ServiceView, new: &ServiceView, worst: Duration) -> Consequence {
    let sites = |view: &ServiceView| view.decision.as_ref().map(|d| d.sites.clone()).unwrap_or_default();
    let usable = |endpoint: &crate::engine::EndpointView| match &endpoint.overridden {
        Some(forced) => forced.kind == OverrideKind::ForceUp,
        None => endpoint.health != Health::Down,
    };
    let serving = new.decision.as_ref().and_then(|decision| decision.reason.serving.as_ref());
    Consequence {
        service: new.name.clone(),
        from: sites(old),
        to: sites(new),
        because: new.decision.as_ref().map(Decision::because).unwrap_or_default(),
        // What only damping holds Down still works, and is used where nothing else does.
        stranded: !new.endpoints.iter().any(usable) && serving.is_none(),
        latched: new.latched,
        hold_until: new.hold_until,
        worst_ms: u64::try_from(worst.as_millis()).unwrap_or(u64::MAX),
    }
}

fn loads(before: &Status, after: &Status) -> Vec<LoadThen> {
    let load = |(before, after): (&SiteView, &SiteView)| {
        let (site, capacity) = (after.id.clone(), after.capacity?);
        Some(LoadThen { site, before: before.load, after: after.load, capacity })
    };
    before.sites.iter().zip(&after.sites).filter_map(load).collect()
}

fn concerns(scope: &Scope, service: &ServiceView) -> bool {
    let has = |site: &SiteId| service.endpoints.iter().any(|endpoint| endpoint.site == *site);
    match scope {
        Scope::Site(site) => has(site),
        Scope::Service(name) => *name == service.name,
        Scope::Endpoint(name, site) => *name == service.name && has(site),
    }
}

/// Every check of the configuration, canaries too.
fn probes(config: &Config) -> BTreeMap<CheckKey, std::sync::Arc<Probe>> {
    let all = config.checks().into_iter().chain(config.vantage.canaries.iter().cloned());
    all.map(|check| (check.key, check.probe)).collect()
}

/// The checks of endpoints at these sites.
fn at_sites(config: &Config, sites: &[SiteId]) -> Vec<CheckKey> {
    let mut keys = Vec::new();
    for service in &config.services {
        for endpoint in service.endpoints.iter().filter(|endpoint| sites.contains(&endpoint.site)) {
            let places: Vec<Whereto> = endpoint.places();
            for probe in service.probes.leaves() {
                keys.extend(places.iter().map(|place| CheckKey::of(service, probe, place.clone())));
            }
        }
    }
    keys
}

/// Rounds after which every check's health is what its samples say.
fn rounds(config: &Config) -> u32 {
    let needed = config.probes.iter().map(|probe| {
        let limits = probe.thresholds;
        limits.fall.max(limits.rise).max(limits.window.unwrap_or(0))
    });
    // One more for whatever waits for canaries, and one to confirm it.
    (needed.max().unwrap_or(1) + 2).min(MAX_ROUNDS)
}

/// An engine, and its effects as far as they matter here.
struct Supposed {
    engine: Engine,
    now: Time,
    wake: Option<Time>,
    changesets: BTreeMap<Name, usize>,
}

impl Supposed {
    /// One sample of each check, then as much time as what is decided waits for.
    fn round(
        &mut self,
        probes: &BTreeMap<CheckKey, std::sync::Arc<Probe>>,
        works: &BTreeMap<&CheckKey, bool>,
    ) {
        for key in probes.keys() {
            let outcome = match works.get(key) {
                Some(false) => Outcome::Failed(Failure::Other("supposed".to_owned())),
                Some(true) => Outcome::Ok,
                None => continue,
            };
            let (check, vantage, latency) = (key.clone(), Vantage::local(), Duration::from_millis(1));
            let (at, detail) = (self.now, Detail::default());
            self.step(Event::Sample(Sample { check, vantage, at, latency, outcome, detail }));
        }
        let to = self.now + COALESCE + Duration::from_millis(1);
        while let Some(at) = self.wake.filter(|&at| at <= to) {
            self.wake = None;
            self.now = self.now.max(at);
            self.step(Event::Tick);
        }
        self.now = to;
    }

    /// The words of a refusal, if it is one.
    fn step(&mut self, event: Event) -> Option<String> {
        let mut refused = None;
        for effect in self.engine.step(self.now, event) {
            match effect {
                Effect::Wake(at) => self.wake = Some(at),
                Effect::Publish(changeset) => *self.changesets.entry(changeset.zone).or_default() += 1,
                Effect::Refused(why) => refused = Some(why.to_string()),
                _ => {}
            }
        }
        refused
    }
}
