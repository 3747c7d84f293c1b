//! A load: at start, or a reload. Everything is matched by key, so that what is known of checks,
//! services, zones and overrides goes on; what the configuration no longer has is forgotten. A service is decided anew
//! where anything that bears on it may have changed: of a reload that adds ten, ten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::check::Stirred;
use super::event::MAX_REMOVED;
use super::{
    Effect, Engine, First, Happened, Load, Saved, SavedService, SavedZone, Steered, Undecided, ZoneBase,
    ZoneState,
};
use crate::dns::{Name, SerialStyle};
use crate::model::{Config, Surroundings, worst_case};
use crate::policy::Rule;
use crate::time::{Time, by_host};

/// What an engine knew of zones before it was told of other contents.
pub struct Earlier(Vec<(Name, Option<ZoneState>, Option<SavedZone>)>);

impl Engine {
    /// Takes up a configuration and its zones, decides every service whose checks have all reported, and
    /// lays all decisions over the files.
    pub(super) fn load(&mut self, now: Time, load: Load, out: &mut Vec<Effect>) {
        let Load { config, zones, regions, undecided } = load;
        let alike = self.config.as_ref().is_some_and(|before| is_alike(before, &config));
        self.regions = regions;
        let (services, given) = (config.services.len(), zones.len());
        self.take_zones(zones, &config, out);
        self.set_maintenance(now, &config);
        self.set_canaries(now, &config.vantage, out);
        let Stirred { services: mut stirred, dropped } = self.watch(now, config.checks(), out);
        let configured: BTreeSet<&Name> = config.services.iter().map(|service| &service.name).collect();
        let removed = self.decided.keys().filter(|name| !configured.contains(name));
        let removed = removed.take(MAX_REMOVED).cloned().collect();
        let loaded = Happened::Loaded { services, zones: given, dropped, removed };
        let mut records = vec![Effect::Record(loaded)];
        stirred.extend(self.agenda.clear_services());
        let (kept, mut relaid) = self.steer(now, &config, out);
        self.config = Some(config);
        relaid.extend(self.take_undecided(now, undecided));
        self.count_all();

        let mut decisions: BTreeMap<Name, Vec<u64>> = BTreeMap::new();
        let is_settled = |engine: &Engine, name: &Name| {
            alike && kept.contains(name) && !stirred.contains(name) && engine.is_at_rest(name)
        };
        let open = self.services.keys().filter(|name| !is_settled(self, name)).cloned();
        let open: Vec<Name> = open.collect();
        #[cfg(debug_assertions)]
        for name in self.services.keys().filter(|name| is_settled(self, name)) {
            self.assert_stands(now, name);
        }
        for name in self.in_order(open) {
            if let Some(decided) = self.decide(now, &name, None, out, &mut records) {
                if decided.is_laid_anew {
                    relaid.insert(decided.zone.clone());
                }
                decisions.entry(decided.zone).or_default().push(decided.id);
            }
            self.note_decision(&name);
        }
        self.note_loads(now);
        self.forget_conditions();
        let rebase = self.rebase(now, &relaid, &decisions, out, &mut records);
        out.extend(records);
        out.push(rebase);
        for (key, watched) in &mut self.checks {
            out.extend(watched.pace_after_load().map(|pace| Effect::Pace(key.clone(), pace)));
        }
    }

    /// Notes what the names of services answer until their first decision. Returns the zones over which other such
    /// answers are laid than before.
    fn take_undecided(&mut self, now: Time, undecided: Undecided) -> BTreeSet<Name> {
        if let Some(wait) = undecided.wait {
            let undecided = self.services.iter_mut().filter(|(name, _)| !self.decided.contains_key(*name));
            undecided.for_each(|(_, steered)| steered.first = First::Waits);
            self.agenda.first_round = Some(now + wait);
        }
        let before = std::mem::take(&mut self.held_answers);
        for set in undecided.answered {
            let name = &set.owner;
            let in_file = self.services.get(name).and_then(|steered| self.zones.get(&steered.service.zone));
            let in_file = in_file.is_some_and(|zone| zone.at_services.steered.contains_key(name));
            if !in_file && self.services.contains_key(name) && !self.waits(name) {
                self.held_answers.entry(set.owner.clone()).or_default().push(set);
            }
        }
        self.held_answers.retain(|name, _| !self.decided.contains_key(name));
        let names = before.keys().chain(self.held_answers.keys());
        let changed = names.filter(|name| before.get(*name) != self.held_answers.get(*name));
        let zone = |name: &Name| {
            let mut at_and_above = std::iter::successors(Some(name.clone()), Name::parent);
            at_and_above.find(|above| self.zones.contains_key(above))
        };
        changed.filter_map(zone).collect()
    }

    /// Whether nothing but its configuration and its checks can change what was decided for a service: it is
    /// answered from the first that works, waits for nothing, and depends neither on clients nor on what other
    /// services weigh.
    fn is_at_rest(&self, name: &Name) -> bool {
        let Some((steered, saved)) = self.services.get(name).zip(self.decided.get(name)) else {
            return false;
        };
        let SavedService { decision, families, proposal, step, .. } = saved;
        decision.reason.rule == Rule::InOrder
            && steered.unreported == 0
            && steered.hold_until.is_none()
            && steered.service.tree.is_none()
            && !steered.service.moving.shed
            && proposal.is_none()
            && step.is_none()
            && decision.partial.is_none()
            && decision.steer.is_none()
            && families.is_empty()
            && decision.families.is_empty()
    }

    /// Panics where what was not looked at would be decided in another way.
    #[cfg(debug_assertions)]
    fn assert_stands(&self, now: Time, name: &Name) {
        let (choice, last) = (self.choose(now, name, None), self.decided.get(name));
        let stands = choice.as_ref().zip(last).is_some_and(|(choice, last)| choice.stands_in(&last.decision));
        assert!(stands, "{name} stayed as it was: {last:#?}\nbut would be: {choice:#?}");
    }

    /// What [`Event::Contents`](super::Event::Contents) comes to where nothing is due by now, and what takes it back:
    /// for who has yet to learn whether the disk takes it.
    pub fn try_contents(&mut self, now: Time, zones: Vec<ZoneBase>) -> (Vec<Effect>, Earlier) {
        let of =
            |apex: &Name| (apex.clone(), self.zones.get(apex).cloned(), self.published.get(apex).cloned());
        let earlier = Earlier(zones.iter().map(|base| of(&base.apex)).collect());
        let mut effects = Vec::new();
        by_host(self.offset, || self.take_contents(now, zones, &mut effects));
        (effects, earlier)
    }

    /// Knows what it knew before [`Engine::try_contents`], which must be the last that it was asked for.
    pub fn put_back(&mut self, earlier: Earlier) {
        for (apex, zone, published) in earlier.0 {
            match zone {
                Some(zone) => drop(self.zones.insert(apex.clone(), zone)),
                None => drop(self.zones.remove(&apex)),
            }
            match published {
                Some(published) => drop(self.published.insert(apex, published)),
                None => drop(self.published.remove(&apex)),
            }
        }
    }

    /// Takes up the contents of zones of the configuration, and lays the decisions over them again where they are
    /// other ones.
    pub(super) fn take_contents(&mut self, now: Time, zones: Vec<ZoneBase>, out: &mut Vec<Effect>) {
        let mut names = BTreeMap::new();
        for base in zones {
            if base.is_hollow() {
                let steered = self.services.values().any(|steered| steered.service.zone == base.apex);
                if self.zones.remove(&base.apex).is_some() && steered {
                    self.give_up_serial(&base.apex, out);
                }
                continue;
            }
            let (apex, before) = (base.apex.clone(), self.zones.remove(&base.apex));
            let (style, services) = match &before {
                Some(before) => (before.style, Arc::clone(&before.services)),
                None => self.known_of(&apex),
            };
            let zone = ZoneState { style, services, ..base.into() };
            let differing = match &before {
                Some(before) => zone.differing(before),
                None => zone.services.iter().cloned().collect(),
            };
            self.zones.insert(apex.clone(), zone);
            names.insert(apex, differing);
        }
        let mut records = Vec::new();
        let renew = self.rebase_at(now, &names, out, &mut records);
        out.extend(records);
        out.push(renew);
    }

    /// How the serials go on of a zone that was not known, and which services lie in it.
    fn known_of(&self, apex: &Name) -> (SerialStyle, Arc<Vec<Name>>) {
        let mut sources = self.config.iter().flat_map(|config| &config.zones);
        let style = sources.find(|source| source.name == *apex).map(|source| source.serial);
        let services = self.services.iter().filter(|(_, steered)| steered.service.zone == *apex);
        (style.unwrap_or_default(), Arc::new(services.map(|(name, _)| name.clone()).collect()))
    }

    /// Takes up the services, ties each to its checks, and forgets what was decided for others. Returns those
    /// that are configured as they were, and the zones over which a decision is no longer laid.
    fn steer(
        &mut self,
        now: Time,
        config: &Config,
        out: &mut Vec<Effect>,
    ) -> (BTreeSet<Name>, BTreeSet<Name>) {
        let (mut kept, mut relaid) = (BTreeSet::new(), BTreeSet::new());
        let mut before = std::mem::take(&mut self.services);
        let mut steered = BTreeMap::new();
        for (rank, service) in config.services.iter().enumerate() {
            if let Some(zone) = self.zones.get_mut(&service.zone) {
                Arc::make_mut(&mut zone.services).push(service.name.clone());
            }
            let name = service.name.clone();
            let same = |old: &mut Steered| *old.service == **service;
            if before.get_mut(&name).is_some_and(same)
                && let Some(same) = before.remove(&name)
            {
                kept.insert(name.clone());
                steered.insert(name, Steered { service: service.clone(), rank, ..same });
                continue;
            }
            steered.insert(name, Steered::new(service.clone(), rank));
        }
        for (name, gone) in &before {
            for key in gone.checks() {
                let Some(watched) = self.checks.get_mut(key) else { continue };
                watched.services.retain(|needs| needs != name);
            }
        }
        // How many runs this host lets be under way makes no earlier answer better.
        let surroundings = Surroundings::of(config, usize::MAX);
        for (name, steered) in steered.iter_mut().filter(|(name, _)| !kept.contains(*name)) {
            steered.first = before.get(name).map(|before| before.first).unwrap_or_default();
            if let Some(before) = before.get(name) {
                // What was told is told once.
                steered.standby.clone_from(&before.standby);
                let until = now + worst_case(&steered.service, &surroundings).detection;
                if let Some(last) = self.decided.get(name) {
                    steered.earlier = before.earlier_of(steered, &last.decision, until);
                }
            }
            let mut unreported = 0;
            for key in steered.checks() {
                let Some(watched) = self.checks.get_mut(key) else { continue };
                watched.services.push(name.clone());
                unreported += usize::from(!watched.health.has_reported());
            }
            steered.unreported = unreported;
        }
        self.services = steered;
        self.shedding.clear();
        for (name, steered) in self.services.iter().filter(|(_, steered)| steered.service.moving.shed) {
            for endpoint in &steered.service.endpoints {
                self.shedding.entry(endpoint.site.clone()).or_default().insert(name.clone());
            }
        }
        self.decided.retain(|name, decided| {
            let stays = self.services.contains_key(name);
            if !stays {
                relaid.insert(decided.zone.clone());
                out.push(Effect::Save(Saved::Service(name.clone(), None)));
            }
            stays
        });
        // A service that moved to another zone is laid over that one from now on.
        for (name, decided) in &mut self.decided {
            let Some(steered) = self.services.get(name) else { continue };
            let zone = &steered.service.zone;
            if decided.zone != *zone {
                relaid.insert(std::mem::replace(&mut decided.zone, zone.clone()));
                relaid.insert(zone.clone());
                out.push(Effect::Save(Saved::Service(name.clone(), Some(decided.clone()))));
            }
        }
        (kept, relaid)
    }
}

/// Whether two configurations have in common what every decision can depend on, its service and checks aside.
fn is_alike(before: &Config, after: &Config) -> bool {
    before.sites == after.sites
        && before.safety == after.safety
        && before.maintenance == after.maintenance
        && before.vantage == after.vantage
}
