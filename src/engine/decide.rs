//! Deciding, and what a decision changes: one changeset and one serial for each zone.

use std::collections::BTreeMap;

use super::part::{Ordered, Slots};
use super::service::First;
use super::zones::Laid;
use super::{Effect, Engine, Happened, Saved, SavedService, Steered};
use crate::dns::{Name, RrSet, soa_serial};
use crate::policy::{
    Choice, Decision, HOUR, Joined, MAX_SWITCHES_KEPT, Marks, Memories, Order, Situation, Standing,
};
use crate::time::Time;
use crate::zone::{Changeset, Steering};

/// What was decided anew.
pub(super) struct Decided {
    pub id: u64,
    pub zone: Name,
    /// Whether what is laid over the zone differs from before.
    pub is_laid_anew: bool,
    old: Vec<RrSet>,
    new: Vec<RrSet>,
    /// The name, if it is answered by client from now on in another way than before, or no longer is.
    steer: Option<(Name, Option<Steering>)>,
    /// Whether the name was not answered until now.
    waited: bool,
}

/// What is to become of one zone.
#[derive(Default)]
struct Rewrite {
    old: Vec<RrSet>,
    new: Vec<RrSet>,
    steer: Vec<(Name, Option<Steering>)>,
    decisions: Vec<u64>,
    /// Those among them that change records.
    published: Vec<u64>,
    /// Names that have their first answer.
    ready: Vec<Name>,
}

impl Engine {
    /// Decides every service that waits for it and publishes what that changes.
    pub(super) fn flush(&mut self, now: Time, ordered: Option<&Ordered>, out: &mut Vec<Effect>) {
        let mut dirty = self.agenda.take_dirty(now);
        if let Some(ordered) = ordered {
            dirty.insert(ordered.service.clone());
        }
        let mut rewrites: BTreeMap<Name, Rewrite> = BTreeMap::new();
        let mut records = Vec::new();
        for name in self.in_order(dirty) {
            let order = ordered.filter(|ordered| ordered.service == name);
            let decided = self.decide(now, &name, order, out, &mut records);
            self.note_decision(&name);
            let Some(decided) = decided else { continue };
            let rewrite = rewrites.entry(decided.zone).or_default();
            rewrite.decisions.push(decided.id);
            rewrite.ready.extend(decided.waited.then_some(name));
            if decided.old != decided.new || decided.steer.is_some() {
                rewrite.published.push(decided.id);
                rewrite.old.extend(decided.old);
                rewrite.new.extend(decided.new);
                rewrite.steer.extend(decided.steer);
            }
        }
        self.note_loads(now);
        let rewrites = rewrites.into_iter();
        let publishes: Vec<Effect> = rewrites
            .filter_map(|(apex, rewrite)| self.rewrite(now, apex, rewrite, out, &mut records))
            .collect();
        out.extend(records);
        out.extend(publishes);
    }

    /// Moves a zone to its next serial, where its records change.
    fn rewrite(
        &mut self,
        now: Time,
        apex: Name,
        rewrite: Rewrite,
        out: &mut Vec<Effect>,
        records: &mut Vec<Effect>,
    ) -> Option<Effect> {
        let today = self.on_host(now);
        let (zone, saved) = (self.zones.get(&apex)?, self.published.get_mut(&apex)?);
        saved.last_decision = rewrite.decisions.into_iter().max().unwrap_or(0).max(saved.last_decision);
        let from = saved.published;
        if !rewrite.published.is_empty() {
            saved.published = zone.style.successor(from, soa_serial(&zone.soa), today);
        }
        let to = saved.published;
        out.push(Effect::Save(Saved::Zone(apex.clone(), Some(saved.clone()))));
        let ready: Vec<_> = rewrite.ready.into_iter().map(|name| (name, None)).collect();
        if rewrite.published.is_empty() && ready.is_empty() {
            return None;
        }
        let decisions = rewrite.published;
        if !decisions.is_empty() {
            records.push(Effect::Record(Happened::published(apex, from, to, decisions)));
        }
        let changeset = Changeset::new(&zone.soa, from, to, &rewrite.old, &rewrite.new);
        Some(Effect::Publish(changeset.with_steering(rewrite.steer).with_waiting(ready)))
    }

    /// Decides one service, if its first round is finished. `None` where nothing came of it but what is
    /// remembered. Saves go to `out`, the record to `records`.
    pub(super) fn decide(
        &mut self,
        now: Time,
        name: &Name,
        order: Option<&Ordered>,
        out: &mut Vec<Effect>,
        records: &mut Vec<Effect>,
    ) -> Option<Decided> {
        let steered = self.services.get(name).filter(|steered| steered.is_ripe())?;
        let zone = steered.service.zone.clone();
        let standings = self.standings(now, steered);
        let (mut joined, Slots { proposal, step, switched, told, .. }) =
            self.settle(now, name, &standings, order)?;
        // Last, when all addresses are known.
        joined.choice.close_hints();
        let proposal = proposal.map(Box::new);
        records.extend(told.into_iter().map(Effect::Record));
        self.tell_standby(now, name, &standings, &joined.choice, records);
        let waited = self.waits(name);
        self.decide_again(name, &standings, joined.choice.hold_until);
        let last = self.decided.get(name);
        let unchanged = last.is_some_and(|last| joined.stands_in(&last.decision));
        let Joined { choice, families, memories } = joined;
        if let Some(last) = last.filter(|_| unchanged) {
            let Choice { latched, marks, groups, .. } = choice;
            let families = memories;
            let saved = SavedService { latched, marks, groups, families, proposal, step, ..last.clone() };
            if *last != saved {
                self.save_service(name, saved, out);
            }
            return None;
        }
        self.last_decision += 1;
        let id = self.last_decision;
        let is_first = last.is_none();
        let old = self.answered(name);
        let new = choice.records.clone();
        let same_sites = last.filter(|last| last.decision.sites == choice.sites);
        let since = same_sites.map_or(now, |last| last.since);
        let switches = switches(now, last, switched);
        let before = last.map(|last| Laid::of(&last.decision)).filter(Laid::is_by_client);
        let Choice { sites, records: answer, ttl, reason, latched, marks, groups, steer, partial, .. } =
            choice;
        let decision = Decision {
            id,
            at: now,
            service: name.clone(),
            sites,
            records: answer,
            ttl,
            reason,
            rto_ms: self.rto_ms(name),
            steer,
            partial,
            families,
        };
        // Variants hold what all others are answered, so they change with that too.
        let changes = before != Some(Laid::of(&decision)).filter(Laid::is_by_client);
        let is_laid_anew = is_first || changes || old != new;
        let steer = changes.then(|| (name.clone(), self.steering(name, &zone, &Laid::of(&decision))));
        if switched && !self.services.get(name).is_some_and(|steered| steered.service.moving.exempt) {
            self.ledger.add(now, name);
        }
        records.push(Effect::Record(Happened::Decision(decision.clone())));
        let saved = SavedService {
            decision,
            latched,
            zone: zone.clone(),
            since,
            marks,
            groups,
            families: memories,
            proposal,
            step,
            switches,
        };
        self.save_service(name, saved, out);
        self.held_answers.remove(name);
        Some(Decided { id, zone, is_laid_anew, old, new, steer, waited })
    }

    fn rto_ms(&self, name: &Name) -> Option<u64> {
        let rto = self.services.get(name).and_then(|steered| steered.service.rto);
        rto.map(|rto| u64::try_from(rto.as_millis()).unwrap_or(u64::MAX))
    }

    /// Has a decided service looked at again when a hold, or a trial of what a reload brought, ends.
    fn decide_again(&mut self, name: &Name, standings: &[Standing], hold_until: Option<Time>) {
        let trials = standings.iter().filter(|standing| standing.stand_ins().next().is_some());
        let trials = trials.filter_map(|standing| Some(standing.earlier.as_ref()?.until));
        let again = trials.chain(hold_until).min();
        if let Some(steered) = self.services.get_mut(name) {
            self.agenda.hold(name, steered.hold_until, again);
            steered.hold_until = again;
            if steered.unreported == 0 {
                steered.first = First::Answered;
            }
        }
    }

    /// The order in which services are decided: that of the configuration, where one's move can keep another
    /// from moving.
    pub(super) fn in_order(&self, names: impl IntoIterator<Item = Name>) -> Vec<Name> {
        let mut names: Vec<Name> = names.into_iter().collect();
        let config = self.config.as_ref();
        let counts = |config: &crate::model::Config| {
            config.safety.is_set() || config.sites.iter().any(|site| site.capacity.is_some())
        };
        if config.is_some_and(|config| counts(config)) {
            names.sort_by_key(|name| self.services.get(name).map(|steered| steered.rank));
        }
        names
    }

    /// What policy makes of a service now, whatever keeps it from being carried out; `None` where there is
    /// no such service.
    pub(super) fn choose(&self, now: Time, name: &Name, order: Option<&Ordered>) -> Option<Joined> {
        let steered = self.services.get(name)?;
        Some(self.wish(&self.situation(now, steered, &self.standings(now, steered), order)))
    }

    /// Everything a decision depends on.
    pub(super) fn situation<'a>(
        &'a self,
        now: Time,
        steered: &'a Steered,
        standings: &'a [Standing],
        order: Option<&'a Ordered>,
    ) -> Situation<'a> {
        static NO_MARKS: Marks = Marks::new();
        static NO_GROUPS: Memories = Memories::new();
        let name = &steered.service.name;
        let last = self.decided.get(name);
        Situation {
            now,
            stalls: &self.stalls,
            service: &steered.service,
            standings,
            last: last.map(|last| &last.decision),
            latched: last.is_some_and(|last| last.latched),
            marks: last.map_or(&NO_MARKS, |last| &last.marks),
            groups: last.map_or(&NO_GROUPS, |last| &last.groups),
            regions: self.regions.get(name).map(|regions| &**regions),
            order: order.map(|ordered| match &ordered.to {
                Some(site) => Order::Failover(site),
                None => Order::Failback,
            }),
        }
    }

    fn save_service(&mut self, name: &Name, saved: SavedService, out: &mut Vec<Effect>) {
        out.push(Effect::Save(Saved::Service(name.clone(), Some(saved.clone()))));
        if let Some(steered) = self.services.get(name) {
            if let Some(before) = self.decided.get(name) {
                self.tally.remove(&steered.service, &before.decision);
            }
            self.tally.add(&steered.service, &saved.decision);
        }
        self.decided.insert(name.clone(), saved);
    }

    /// Whether a service's name is not answered yet.
    pub(super) fn waits(&self, name: &Name) -> bool {
        let first = self.services.get(name).map(|steered| steered.first);
        first.is_some_and(|first| first != First::Answered) && !self.decided.contains_key(name)
    }

    /// What a steered name is answered with: what was decided, or what the zone file holds there.
    fn answered(&self, name: &Name) -> Vec<RrSet> {
        if let Some(decided) = self.decided.get(name) {
            return decided.decision.records.clone();
        }
        if let Some(held) = self.held_answers.get(name) {
            return held.clone();
        }
        let zone = self.services.get(name).and_then(|steered| self.zones.get(&steered.service.zone));
        zone.and_then(|zone| zone.at_services.steered.get(name)).cloned().unwrap_or_default()
    }
}

/// When a service moved within the last hour, this move with it.
fn switches(now: Time, last: Option<&SavedService>, switched: bool) -> Vec<Time> {
    let mut switches = last.map(|last| last.switches.clone()).unwrap_or_default();
    switches.retain(|&at| now.since(at) < HOUR);
    if switched {
        let spare = (switches.len() + 1).saturating_sub(MAX_SWITCHES_KEPT);
        switches.drain(..spare);
        switches.push(now);
    }
    switches
}
