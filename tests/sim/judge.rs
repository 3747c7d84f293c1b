//! The promises, checked from outside: by what the engine shows and does, with a bookkeeping of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use detour::condition::ConditionKind;
use detour::dns::{Name, RrSet};
use detour::engine::{
    Action, COALESCE, CheckView, Effect, EndpointView, Event, Happened, PlaceView, Saved, ServiceView, Status,
};
use detour::health::Health;
use detour::model::{AllDown, CheckKey, Failback, Service, SiteId, Target};
use detour::policy::{Decision, Latch, OverrideKind, Rule};
use detour::time::Time;

use super::agree::Agreement;
use super::families::{self, is_v6};
use super::play::Played;
use super::random::Random;
use super::rules::Rules;
use super::sharing::{self, Sharing};
use detour::simulate::scenario::{World, decisions};

/// What the judge remembers of each endpoint.
#[derive(Clone, Copy, Default)]
struct Kept {
    up_since: Option<Time>,
    out_since: Option<Time>,
    /// Down or taken out since it was last answered with, long enough for a decision to have seen it.
    was_out: bool,
}

/// What a run is about: which services there are, and so what they promise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Plain failovers.
    #[default]
    Plain,
    /// Groups of every policy: `sharing.rs` has their promises.
    Groups,
    /// Plain failovers whose moves are delayed, approved, held by safety rules and made in steps: `rules.rs`.
    Moving,
}

#[derive(Default)]
pub struct Judge {
    kind: Kind,
    sharing: Sharing,
    rules: Rules,
    endpoints: BTreeMap<(Name, SiteId), Kept>,
    last_id: u64,
    moves: usize,
    failbacks: usize,
    all_down: usize,
    refused: usize,
    pub agreement: Agreement,
}

/// What is to be known of the moment before a step.
pub struct Before {
    serving: BTreeMap<Name, Option<SiteId>>,
    pub is_load: bool,
    /// The service an operator moves by name.
    pub moved: Option<Name>,
    /// The services whose moves an operator approves.
    pub approved: BTreeSet<Name>,
    is_command: bool,
}

/// What an endpoint counts as, by its own samples and what is forced on it.
pub fn is_up(endpoint: &EndpointView) -> bool {
    match forced(endpoint) {
        Some(kind) => kind == OverrideKind::ForceUp,
        None => endpoint.health == Health::Up,
    }
}

pub fn is_taken(endpoint: &EndpointView) -> bool {
    matches!(forced(endpoint), Some(OverrideKind::Drain | OverrideKind::ForceDown))
}

pub fn works(endpoint: &EndpointView) -> bool {
    is_up(endpoint) || forced(endpoint).is_none() && endpoint.health == Health::Suspect
}

/// Whether it can be answered with by this decision: it works, or nothing better was known.
pub fn may_serve(decision: &Decision, endpoint: &EndpointView) -> bool {
    let unknown = match &decision.reason.rule {
        // An operator may know better.
        Rule::Unproven | Rule::Latched { by: Latch::Operator } => true,
        Rule::Steered { notes, .. } => {
            notes.iter().any(|(_, rule)| matches!(rule, Rule::Unproven | Rule::Latched { .. }))
        }
        _ => false,
    };
    works(endpoint)
        || endpoint.unproven
        || unknown && endpoint.health == Health::Unknown && !is_taken(endpoint)
}

pub fn forced(endpoint: &EndpointView) -> Option<OverrideKind> {
    endpoint.overridden.as_ref().map(|forced| forced.kind)
}

fn serving(decision: &Decision) -> Option<SiteId> {
    decision.reason.serving.clone()
}

/// The site each service was last decided for, as the state saved has it.
fn all_serving(world: &World) -> BTreeMap<Name, Option<SiteId>> {
    let serving = |saved: &Saved| match saved {
        Saved::Service(name, Some(service)) => Some((name.clone(), serving(&service.decision))),
        _ => None,
    };
    world.saved.values().filter_map(serving).collect()
}

impl Before {
    pub fn of(world: &World, event: &Event) -> Before {
        let (mut moved, mut is_command) = (None, false);
        let mut approved = BTreeSet::new();
        if let Event::Command(command) = event {
            is_command = true;
            if let Action::Failover { service, .. } | Action::Failback { service } = &command.action {
                moved = Some(service.clone());
            }
            if let Action::Approve { proposal, .. } = command.action {
                let proposals = world.status().proposals.into_iter();
                let meant = proposals.filter(|held| proposal.is_none_or(|id| held.id == id));
                approved = meant.map(|held| held.service).collect();
            }
        }
        let is_load = matches!(event, Event::Load(_));
        Before { serving: all_serving(world), is_load, moved, approved, is_command }
    }
}

impl Judge {
    pub fn of(kind: Kind) -> Judge {
        Judge { kind, ..Judge::default() }
    }

    pub fn after(&mut self, random: &mut Random, world: &World, before: &Before, effects: &[Effect]) {
        if effects.iter().any(|effect| matches!(effect, Effect::Refused(_))) {
            self.refused += 1;
            let quiet = |effect: &Effect| matches!(effect, Effect::Refused(_) | Effect::Wake(_));
            // What was due anyway may have happened in the same step.
            let due = decisions(effects).next().is_some()
                || effects.iter().any(|effect| matches!(effect, Effect::Record(Happened::Expired(_))));
            assert!(due || effects.iter().all(quiet), "a refused command changes nothing: {effects:?}");
        }
        let tells = |effect: &Effect| {
            matches!(
                effect,
                Effect::Save(_)
                    | Effect::Rebase(_)
                    | Effect::Renew(_)
                    | Effect::Publish(_)
                    | Effect::Record(Happened::Expired(_))
            )
        };
        if !before.is_load && !before.is_command && !effects.iter().any(tells) {
            return;
        }
        let Status { services, checks, .. } = world.status();
        self.agreement.after(world, effects, &services);
        families::nothing_is_withheld_that_works_elsewhere(world, &services, effects);
        for decision in decisions(effects) {
            let service = services.iter().find(|service| service.name == decision.service);
            self.judge_decision(world, before, service.expect("a service"), decision);
        }
        match self.kind {
            Kind::Plain => {}
            Kind::Groups => self.sharing.after(random, world, before, &services, effects),
            Kind::Moving => self.rules.after(world, before, &services, effects),
        }
        // What a reload finds Up is Up since then, give or take how busy a machine may be.
        let since = if before.is_load { world.now - Duration::from_secs(1) } else { world.now };
        self.keep_books(world.now, since, &services, &checks);
    }

    fn judge_decision(&mut self, world: &World, before: &Before, view: &ServiceView, decision: &Decision) {
        assert!(decision.id > self.last_id, "ids count up");
        self.last_id = decision.id;
        let configured = configured(world, &view.name);
        if decision.records.is_empty() {
            assert_eq!(configured.all_down, AllDown::Empty, "empty only where told");
            let all_down = matches!(decision.reason.rule, Rule::AllDown { .. });
            assert!(all_down, "empty only where everything is down: {}", decision.reason);
        }
        assert!(!decision.reason.to_string().is_empty());
        if self.kind != Kind::Plain {
            self.moves +=
                usize::from(before.serving.get(&view.name).is_some_and(|was| *was != serving(decision)));
            self.all_down += usize::from(matches!(decision.reason.rule, Rule::AllDown { .. }));
            return;
        }
        let Some(to) = serving(decision) else {
            self.all_down += 1;
            let mut proven = view.endpoints.iter().filter(|at| works(at) && !at.unproven);
            assert!(proven.next().is_none(), "{} while one works: {:?}", decision.reason, view);
            return;
        };
        let rank = |site: &SiteId| view.endpoints.iter().position(|endpoint| endpoint.site == *site);
        let at = rank(&to).expect("an endpoint of the service");
        let eligible = may_serve(decision, &view.endpoints[at]);
        assert!(eligible, "an endpoint that serves was eligible: {}", decision.reason);
        let from = before.serving.get(&view.name).cloned().flatten().filter(|from| *from != to);
        let Some(from) = from else { return };
        self.moves += 1;
        // After a reload or an order nothing more is promised.
        if before.is_load || before.moved.as_ref() == Some(&view.name) {
            return;
        }
        // A reload may have taken it from the service, which then waited for its first round.
        let Some(left) = rank(&from) else { return };
        let best = is_up(&view.endpoints[at]) || !view.endpoints.iter().any(is_up);
        assert!(best, "a Suspect is moved to only where none is Up: {}", decision.reason);
        if !works(&view.endpoints[left]) {
            return;
        }
        assert!(at < left && is_up(&view.endpoints[at]), "it is left only for a preferred one that is Up");
        self.failbacks += 1;
        let kept = self.endpoints.get(&(view.name.clone(), to)).copied().unwrap_or_default();
        if kept.was_out {
            let Failback::Auto { hold } = configured.failback else {
                panic!("a manual failback that nobody asked for: {}", decision.reason);
            };
            let up = kept.up_since.map_or(Duration::ZERO, |since| world.now.since(since));
            // It counts from the result, and this from the step after it.
            assert!(
                up + Duration::from_millis(50) >= hold,
                "back after {up:?} of {hold:?}: {}",
                decision.reason
            );
        }
    }

    fn keep_books(&mut self, now: Time, up: Time, services: &[ServiceView], checks: &[CheckView]) {
        let silent =
            |check: &&CheckView| check.health == Health::Unknown && check.last_sample_age_ms.is_none();
        let silent: BTreeSet<&CheckKey> = checks.iter().filter(silent).map(|check| &check.key).collect();
        // What leaves a service and comes back is as new.
        self.endpoints.retain(|(name, site), _| {
            let service = services.iter().find(|service| service.name == *name);
            service.is_some_and(|service| service.endpoints.iter().any(|endpoint| endpoint.site == *site))
        });
        for service in services {
            let mut places = service.endpoints.iter().flat_map(|endpoint| &endpoint.places);
            let waits = places.any(|place| place.checks.iter().any(|key| silent.contains(key)));
            for endpoint in &service.endpoints {
                let kept = self.endpoints.entry((service.name.clone(), endpoint.site.clone())).or_default();
                let out = is_taken(endpoint) || forced(endpoint).is_none() && endpoint.health == Health::Down;
                // What was out for so long was out at a decision, if there was any.
                kept.was_out |= !waits && kept.out_since.is_some_and(|since| now.since(since) > COALESCE);
                kept.out_since = out.then(|| kept.out_since.unwrap_or(now));
                kept.up_since = is_up(endpoint).then(|| kept.up_since.unwrap_or(up));
                let serves = service.decision.as_ref().and_then(serving).as_ref() == Some(&endpoint.site);
                kept.was_out &= !serves;
            }
        }
    }

    pub fn tell(&self, played: &mut Played) {
        played.moves = self.moves;
        played.seen = match self.kind {
            Kind::Plain => Vec::new(),
            Kind::Groups => self.sharing.seen(),
            Kind::Moving => self.rules.seen(),
        };
        played.failbacks = self.failbacks;
        played.all_down = self.all_down;
        played.refused = self.refused;
        played.dead_sites = self.agreement.met(ConditionKind::DeadSite);
    }
}

/// After the quiet, with these checks failing and no other.
pub fn check_settled(world: &World, dead: &BTreeSet<CheckKey>) {
    let status = world.status();
    for check in &status.checks {
        let health = if dead.contains(&check.key) { Health::Down } else { Health::Up };
        assert_eq!(check.health, health, "health settles");
        assert!(!check.stale);
    }
    for service in &status.services {
        let decision = service.decision.as_ref().expect("a decision");
        let configured = configured(world, &service.name);
        let usable = |endpoint: &&EndpointView| match forced(endpoint) {
            Some(kind) => kind == OverrideKind::ForceUp,
            None => endpoint.places.iter().any(|place| !place.checks.iter().any(|key| dead.contains(key))),
        };
        if configured.tree.is_some() {
            let usable = service.endpoints.iter().filter(usable).map(|at| at.site.clone()).collect();
            sharing::check_settled(world, service, &usable);
            continue;
        }
        let first = service.endpoints.iter().find(usable);
        let Some(first) = first else {
            check_all_down(&configured, service, decision);
            continue;
        };
        let to = serving(decision).expect("one works and serves");
        let endpoint = service.endpoints.iter().find(|endpoint| endpoint.site == to).expect("an endpoint");
        assert!(usable(&endpoint), "what serves works: {}", decision.reason);
        // Beside a CNAME a site counts as Down of which one family is, as long as another is whole.
        let named = configured.endpoints.iter().any(|it| matches!(it.target, Target::Cname(_)));
        let halved =
            |at: &EndpointView| at.places.iter().any(|it| it.checks.iter().any(|key| dead.contains(key)));
        let free = named && service.endpoints.iter().any(halved);
        if !service.latched && !free {
            assert_eq!(endpoint.site, first.site, "answers settle on the first that works");
        }
        assert_eq!(decision.ttl, configured.ttl, "the TTL settles");
        let fails = |place: &PlaceView| place.checks.iter().any(|key| dead.contains(key));
        for place in &endpoint.places {
            // Where no place of its family works, that goes elsewhere, or is kept.
            let alike = |other: &&PlaceView| is_v6(&other.place) == is_v6(&place.place);
            let is_lost = endpoint.places.iter().filter(alike).all(&fails);
            if !service.latched && (forced(endpoint).is_some() || !fails(place) && !is_lost) {
                assert!(place.serving, "a place is answered if it works: {}", decision.because());
            } else if !is_lost && fails(place) {
                assert!(!place.serving, "a dead place is not answered: {}", decision.because());
            }
        }
    }
}

fn check_all_down(configured: &Service, service: &ServiceView, decision: &Decision) {
    assert!(matches!(decision.reason.rule, Rule::AllDown { .. }), "{}", decision.reason);
    assert_eq!(decision.ttl, configured.ttl_suspect);
    let drained = |endpoint: &EndpointView| forced(endpoint) == Some(OverrideKind::Drain);
    let undrained: Vec<&EndpointView> = service.endpoints.iter().filter(|at| !drained(at)).collect();
    let first = undrained.first().copied().unwrap_or(&service.endpoints[0]);
    match &configured.all_down {
        AllDown::Keep => assert!(!decision.records.is_empty()),
        AllDown::Empty => assert_eq!(decision.records, Vec::new()),
        AllDown::Primary => assert_eq!(decision.sites, std::slice::from_ref(&first.site)),
        AllDown::Fallback(addrs) => {
            let addrs = addrs.iter().filter_map(|addr| match addr {
                std::net::IpAddr::V4(v4) => Some(*v4),
                std::net::IpAddr::V6(_) => None,
            });
            assert_eq!(decision.records, [RrSet::a(service.name.clone(), decision.ttl, addrs)]);
        }
        AllDown::All => {
            let all = if undrained.is_empty() { service.endpoints.len() } else { undrained.len() };
            let may = |site: &SiteId| undrained.is_empty() || undrained.iter().any(|at| at.site == *site);
            let mut endpoints = configured.endpoints.iter().filter(|endpoint| may(&endpoint.site));
            let one = endpoints.any(|endpoint| matches!(endpoint.target, Target::Cname(_)));
            assert_eq!(decision.sites.len(), if one { 1 } else { all });
        }
    }
}

pub fn configured(world: &World, name: &Name) -> std::sync::Arc<Service> {
    let service = world.load.config.services.iter().find(|service| service.name == *name);
    service.expect("a configured service").clone()
}
