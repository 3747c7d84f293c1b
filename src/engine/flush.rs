//! Deciding, and what a decision changes: one changeset and one serial for each zone.

use std::collections::BTreeMap;

use super::{Effect, Engine, Happened, Saved, SavedService};
use crate::config::SiteId;
use crate::policy::{Choice, Decision, Memories, Order, Situation, choose};
use crate::time::Time;
use crate::zone::{Changeset, Name, RrSet, Serial, Steering, soa_serial};

/// An operator's order that the next decision of one service carries out.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    pub service: Name,
    /// Where to; `None` is back.
    pub to: Option<SiteId>,
}

/// What was decided anew.
pub(super) struct Decided {
    pub id: u64,
    pub zone: Name,
    old: Vec<RrSet>,
    new: Vec<RrSet>,
    /// The name, if it is answered by client from now on in another way than before, or no longer is.
    steer: Option<(Name, Option<Steering>)>,
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
        for name in dirty {
            let order = ordered.filter(|ordered| ordered.service == name);
            let Some(decided) = self.decide(now, &name, order, out, &mut records) else { continue };
            let rewrite = rewrites.entry(decided.zone).or_default();
            rewrite.decisions.push(decided.id);
            if decided.old != decided.new || decided.steer.is_some() {
                rewrite.published.push(decided.id);
                rewrite.steer.extend(decided.steer);
                rewrite.old.extend(decided.old);
                rewrite.new.extend(decided.new);
            }
        }
        let rewrites = rewrites.into_iter();
        let publishes: Vec<Effect> =
            rewrites.filter_map(|(apex, rewrite)| self.rewrite(apex, rewrite, out, &mut records)).collect();
        out.extend(records);
        out.extend(publishes);
    }

    /// Moves a zone to its next serial, where its records change.
    fn rewrite(
        &mut self,
        apex: Name,
        rewrite: Rewrite,
        out: &mut Vec<Effect>,
        records: &mut Vec<Effect>,
    ) -> Option<Effect> {
        let (zone, saved) = (self.zones.get(&apex)?, self.published.get_mut(&apex)?);
        saved.last_decision = rewrite.decisions.into_iter().max().unwrap_or(0).max(saved.last_decision);
        let from = saved.published;
        if !rewrite.published.is_empty() {
            saved.published = Serial::successor(from, soa_serial(&zone.soa));
        }
        let to = saved.published;
        out.push(Effect::Save(Saved::Zone(apex.clone(), Some(saved.clone()))));
        if rewrite.published.is_empty() {
            return None;
        }
        let decisions = rewrite.published;
        records.push(Effect::Record(Happened::Published { zone: apex, from, to, decisions }));
        let changeset = Changeset::new(&zone.soa, from, to, &rewrite.old, &rewrite.new);
        Some(Effect::Publish(changeset.with_steering(rewrite.steer)))
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
        let steered = self.services.get(name).filter(|steered| steered.unreported == 0)?;
        let choice = self.choose(now, name, order)?;
        let zone = steered.service.zone.clone();
        self.agenda.hold(name, steered.hold_until, choice.hold_until);
        if let Some(steered) = self.services.get_mut(name) {
            steered.hold_until = choice.hold_until;
        }
        let last = self.decided.get(name);
        let unchanged = last.is_some_and(|last| is_as_decided(&choice, &last.decision));
        if let Some(last) = last.filter(|_| unchanged) {
            let same = last.latched == choice.latched && last.marks == choice.marks;
            if !same || last.groups != choice.groups {
                let Choice { latched, marks, groups, .. } = choice;
                let saved = SavedService { latched, marks, groups, ..last.clone() };
                self.save_service(name, saved, out);
            }
            return None;
        }
        self.last_decision += 1;
        let id = self.last_decision;
        let old = self.answered(name);
        let new = choice.records.clone();
        let same_sites = last.filter(|last| last.decision.sites == choice.sites);
        let since = same_sites.map_or(now, |last| last.since);
        let steered_so = last.and_then(|last| last.decision.steer.clone());
        let steer = (steered_so != choice.steer)
            .then(|| (name.clone(), self.steering(name, choice.steer.as_deref())));
        let Choice { sites, records: answer, ttl, reason, latched, marks, groups, steer: by_client, .. } =
            choice;
        let decision = Decision {
            id,
            at: now,
            service: name.clone(),
            sites,
            records: answer,
            ttl,
            reason,
            steer: by_client,
        };
        records.push(Effect::Record(Happened::Decision(decision.clone())));
        let saved = SavedService { decision, latched, zone: zone.clone(), since, marks, groups };
        self.save_service(name, saved, out);
        Some(Decided { id, zone, old, new, steer })
    }

    /// What policy makes of a service now; `None` where there is no such service.
    pub(super) fn choose(&self, now: Time, name: &Name, order: Option<&Ordered>) -> Option<Choice> {
        let steered = self.services.get(name)?;
        let standings = self.standings(steered);
        let last = self.decided.get(name);
        let (no_marks, no_groups) = (BTreeMap::new(), Memories::new());
        Some(choose(&Situation {
            now,
            service: &steered.service,
            standings: &standings,
            last: last.map(|last| &last.decision),
            latched: last.is_some_and(|last| last.latched),
            marks: last.map_or(&no_marks, |last| &last.marks),
            groups: last.map_or(&no_groups, |last| &last.groups),
            regions: self.regions.get(name).map(|regions| &**regions),
            order: order.map(|ordered| match &ordered.to {
                Some(site) => Order::Failover(site),
                None => Order::Failback,
            }),
        }))
    }

    fn save_service(&mut self, name: &Name, saved: SavedService, out: &mut Vec<Effect>) {
        out.push(Effect::Save(Saved::Service(name.clone(), Some(saved.clone()))));
        self.decided.insert(name.clone(), saved);
    }

    /// What a steered name is answered with: what was decided, or what the zone file holds there.
    fn answered(&self, name: &Name) -> Vec<RrSet> {
        if let Some(decided) = self.decided.get(name) {
            return decided.decision.records.clone();
        }
        let zone = self.services.get(name).and_then(|steered| self.zones.get(&steered.service.zone));
        zone.and_then(|zone| zone.file.get(name)).cloned().unwrap_or_default()
    }
}

fn is_as_decided(choice: &Choice, decision: &Decision) -> bool {
    choice.sites == decision.sites
        && choice.records == decision.records
        && choice.steer == decision.steer
        && choice.ttl == decision.ttl
        && choice.reason == decision.reason
}
