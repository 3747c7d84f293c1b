//! Zones under the current configuration, and the rules of the serial they publish.
//!
//! What is published is the file with the decisions laid over it. Its serial never goes back, over reloads
//! and restarts alike, and never stands for two contents:
//!
//! - the same file and the same decisions as last published: the serial stays;
//! - decisions laid over it: after both the last published serial and the file's;
//! - no decisions, which is the file as it is: the file's own serial, if it is after the last published
//!   one or nothing was published yet; else the one after the last published;
//! - where the zone's style has dates or seconds, "the one after" may be a later one, as the time has it;
//! - a zone that leaves the configuration gives up its serial for the next, which was never published,
//!   so that it can come back with other decisions; and so does one that expires, unless there are none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::event::replaced;
use super::{AtServices, Effect, Engine, Happened, Saved, SavedZone, ZoneBase};
use crate::dns::{Name, RrSet, RrType, Serial, SerialStyle, soa_serial};
use crate::model::Config;
use crate::policy::{Decision, Family, FamilyPart, Partial, Steer};
use crate::time::{HostTime, Time};
use crate::zone::{Changeset, Steering};

/// How many zones that left the configuration are remembered, so that their serials never go back.
const MAX_GONE_ZONES: usize = 10_000;

/// One zone of the configuration.
#[derive(Clone, Debug)]
pub(super) struct ZoneState {
    /// The file's SOA.
    pub soa: RrSet,
    /// What the file holds at the names of services.
    pub at_services: Arc<AtServices>,
    /// Differs whenever the file's content does.
    pub fingerprint: u64,
    /// How its serials go on.
    pub style: SerialStyle,
    /// The services that lie in it.
    pub services: Arc<Vec<Name>>,
    /// How many of its records differ from its file by updates.
    pub edits: usize,
}

impl ZoneState {
    /// The steered names at which the zone holds something else than before.
    pub fn differing(&self, before: &ZoneState) -> BTreeSet<Name> {
        let (now, was) = (&self.at_services, &before.at_services);
        let mut names = BTreeSet::new();
        if Arc::ptr_eq(now, was) {
            return names;
        }
        for (now, was) in [(&now.steered, &was.steered), (&now.beside, &was.beside)] {
            let differs = |name: &&Name| now.get(*name) != was.get(*name);
            names.extend(now.keys().chain(was.keys()).filter(differs).cloned());
        }
        names
    }
}

/// What was decided for a name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Laid {
    pub records: Vec<RrSet>,
    pub steer: Option<Box<Steer>>,
    /// What a part of the clients gets.
    pub partial: Option<Partial>,
    /// The families that are answered in another way than the rest.
    pub families: Vec<(Family, Vec<RrSet>, Option<Box<Steer>>)>,
}

impl Laid {
    /// What a decision lays over its name.
    pub fn of(decision: &Decision) -> Laid {
        let of_part = |part: &FamilyPart| (part.family, part.records.clone(), part.steer.clone());
        let Decision { records, steer, partial, families, .. } = decision;
        Laid {
            records: records.clone(),
            steer: steer.clone(),
            partial: partial.clone(),
            families: families.iter().map(of_part).collect(),
        }
    }

    /// Whether it depends on the client.
    pub fn is_by_client(&self) -> bool {
        self.partial.is_some() || self.is_shared_out()
    }

    /// Whether clients are shared out, for one family or all.
    pub fn is_shared_out(&self) -> bool {
        self.steer.is_some() || self.families.iter().any(|(_, _, steer)| steer.is_some())
    }
}

impl From<ZoneBase> for ZoneState {
    fn from(base: ZoneBase) -> ZoneState {
        let ZoneBase { apex: _, soa, fingerprint, edits, at_services } = base;
        let (style, services) = (SerialStyle::default(), Arc::default());
        ZoneState { soa, at_services, fingerprint, style, services, edits }
    }
}

/// Names that are not answered yet, and which types are to be decided of each.
type Waiting = Vec<(Name, Option<Vec<RrType>>)>;

impl Engine {
    /// Takes up the zones of a load. A zone that is no longer there keeps a serial not yet published, as
    /// long as there are not too many of them.
    pub(super) fn take_zones(&mut self, bases: Vec<Arc<ZoneBase>>, config: &Config, out: &mut Vec<Effect>) {
        let apexes: BTreeSet<Name> = bases.iter().map(|base| base.apex.clone()).collect();
        let gone = self.published.keys().filter(|apex| !apexes.contains(*apex));
        let gone: Vec<Name> = gone.filter(|apex| !waits(apex, config)).cloned().collect();
        for (at, apex) in gone.into_iter().enumerate() {
            if at >= MAX_GONE_ZONES {
                self.published.remove(&apex);
                out.push(Effect::Save(Saved::Zone(apex, None)));
                continue;
            }
            // Gone before this load already; after a start there is no telling.
            if self.config.is_some() && !self.zones.contains_key(&apex) {
                continue;
            }
            self.give_up_serial(&apex, out);
        }
        let zone = |base: Arc<ZoneBase>| (base.apex.clone(), Arc::unwrap_or_clone(base).into());
        self.zones = bases.into_iter().map(zone).collect();
        for source in &config.zones {
            if let Some(zone) = self.zones.get_mut(&source.name) {
                zone.style = source.serial;
            }
        }
    }

    /// Keeps a serial not yet published for a zone that goes.
    pub(super) fn give_up_serial(&mut self, apex: &Name, out: &mut Vec<Effect>) {
        let Some(saved) = self.published.get_mut(apex) else { return };
        saved.published = saved.published.next();
        out.push(Effect::Save(Saved::Zone(apex.clone(), Some(saved.clone()))));
    }

    /// Gives each zone its serial and lays the decisions over it. `relaid` are those over which something else is
    /// laid than when they were last published.
    pub(super) fn rebase(
        &mut self,
        now: Time,
        relaid: &BTreeSet<Name>,
        decisions: &BTreeMap<Name, Vec<u64>>,
        out: &mut Vec<Effect>,
        records: &mut Vec<Effect>,
    ) -> Effect {
        let overlaid: BTreeSet<Name> = self.laid().map(|(zone, _, _)| zone.clone()).collect();
        for apex in self.zones.keys().cloned().collect::<Vec<_>>() {
            let decisions = decisions.get(&apex).cloned().unwrap_or_default();
            let (same, overlaid) = (!relaid.contains(&apex), overlaid.contains(&apex));
            self.number(now, &apex, (same, overlaid), decisions, out, records);
        }
        Effect::Rebase(self.overlays())
    }

    /// Does the same for zones whose contents are other ones, where decisions are laid over them at these names.
    pub(super) fn rebase_at(
        &mut self,
        now: Time,
        names: &BTreeMap<Name, BTreeSet<Name>>,
        out: &mut Vec<Effect>,
        records: &mut Vec<Effect>,
    ) -> Effect {
        for apex in names.keys() {
            let services = self.zones.get(apex).map(|zone| Arc::clone(&zone.services)).unwrap_or_default();
            let overlaid = services.iter().any(|name| self.is_laid_over(name));
            self.number(now, apex, (true, overlaid), Vec::new(), out, records);
        }
        Effect::Renew(names.iter().filter_map(|(apex, names)| self.overlay_at(apex, names)).collect())
    }

    /// What is laid over the zones: each zone's name, the name it is laid over, and what it is.
    fn laid(&self) -> impl Iterator<Item = (&Name, &Name, &[RrSet])> {
        let decided = self.decided.iter();
        let decided = decided.map(|(name, saved)| (&saved.zone, name, &*saved.decision.records));
        decided.chain(
            self.held_answers.iter().filter_map(|(name, records)| {
                Some((&self.services.get(name)?.service.zone, name, &**records))
            }),
        )
    }

    /// Whether something is laid over the name of a service.
    fn is_laid_over(&self, name: &Name) -> bool {
        self.decided.contains_key(name) || self.held_answers.contains_key(name)
    }

    /// Gives a zone its serial. Whether the same is laid over it as when it was last published, and whether anything
    /// is; and what was decided since.
    fn number(
        &mut self,
        now: Time,
        apex: &Name,
        (same, overlaid): (bool, bool),
        decisions: Vec<u64>,
        out: &mut Vec<Effect>,
        records: &mut Vec<Effect>,
    ) {
        let Some(zone) = self.zones.get(apex) else { return };
        let last = self.published.get(apex);
        let to = serial_at_load(last, zone, same, overlaid, self.on_host(now));
        let before = last.map(|last| last.last_decision);
        let saved = SavedZone {
            published: to,
            file: soa_serial(&zone.soa),
            fingerprint: zone.fingerprint,
            own_types: Some(zone.at_services.own_types),
            last_decision: decisions.iter().copied().chain(before).max().unwrap_or(0),
        };
        if let Some(from) = last.map(|last| last.published).filter(|&from| from != to) {
            records.push(Effect::Record(Happened::published(apex.clone(), from, to, decisions)));
        }
        if last != Some(&saved) {
            out.push(Effect::Save(Saved::Zone(apex.clone(), Some(saved.clone()))));
            self.published.insert(apex.clone(), saved);
        }
    }

    /// What is laid over each zone, under the serial it has: for a table that knows of no decision.
    pub fn overlays(&mut self) -> Vec<Changeset> {
        let mut steer = self.all_steering();
        let mut waiting = self.all_waiting();
        let mut laid: BTreeMap<&Name, Vec<(&Name, &[RrSet])>> = BTreeMap::new();
        for (zone, name, records) in self.laid() {
            laid.entry(zone).or_default().push((name, records));
        }
        let each = self.zones.iter().filter_map(|(apex, zone)| {
            let laid = laid.remove(apex).unwrap_or_default();
            let (steer, wait) =
                (steer.remove(apex).unwrap_or_default(), waiting.remove(apex).unwrap_or_default());
            Some(overlay(zone, self.published.get(apex)?, &laid).with_steering(steer).with_waiting(wait))
        });
        each.collect()
    }

    /// The same of these names of a zone alone.
    fn overlay_at(&mut self, apex: &Name, names: &BTreeSet<Name>) -> Option<Changeset> {
        let (mut steer, mut wait) = (Vec::new(), Vec::new());
        for name in names {
            let laid =
                self.decided.get(name).map(|saved| Laid::of(&saved.decision)).filter(Laid::is_by_client);
            if let Some(steering) = laid.and_then(|laid| self.steering(name, apex, &laid)) {
                steer.push((name.clone(), Some(steering)));
            }
            if let Some(steered) = self.services.get(name).filter(|_| self.waits(name)) {
                wait.push((name.clone(), Some(replaced(&steered.service).into_iter().collect())));
            }
        }
        let laid: Vec<(&Name, &[RrSet])> = names
            .iter()
            .filter_map(|name| {
                let decided = self.decided.get(name).map(|saved| &saved.decision.records);
                Some((name, &**decided.or_else(|| self.held_answers.get(name))?))
            })
            .collect();
        let zone = self.zones.get(apex)?;
        Some(overlay(zone, self.published.get(apex)?, &laid).with_steering(steer).with_waiting(wait))
    }

    /// For each zone the names that are not answered yet, and the types that are to be decided.
    fn all_waiting(&self) -> BTreeMap<Name, Waiting> {
        let mut all: BTreeMap<Name, Vec<_>> = BTreeMap::new();
        for (name, steered) in self.services.iter().filter(|(name, _)| self.waits(name)) {
            let types = replaced(&steered.service).into_iter().collect();
            all.entry(steered.service.zone.clone()).or_default().push((name.clone(), Some(types)));
        }
        all
    }

    /// For each zone the names whose answers depend on the client: tables just compiled know of none.
    fn all_steering(&mut self) -> BTreeMap<Name, Vec<(Name, Option<Steering>)>> {
        let laid = self.decided.iter().filter(|(_, saved)| saved.decision.is_by_client());
        let laid = laid.map(|(name, saved)| (name.clone(), saved.zone.clone(), Laid::of(&saved.decision)));
        let mut all: BTreeMap<Name, Vec<_>> = BTreeMap::new();
        for (name, zone, laid) in laid.collect::<Vec<_>>() {
            if let Some(steering) = self.steering(&name, &zone, &laid) {
                all.entry(zone).or_default().push((name, Some(steering)));
            }
        }
        all
    }
}

/// What is laid over a zone, instead of what it holds there.
fn overlay(zone: &ZoneState, published: &SavedZone, laid: &[(&Name, &[RrSet])]) -> Changeset {
    let held = laid.iter().filter_map(|(name, _)| zone.at_services.steered.get(*name)).flatten();
    let held: Vec<RrSet> = held.cloned().collect();
    let records: Vec<RrSet> = laid.iter().flat_map(|(_, records)| *records).cloned().collect();
    Changeset::new(&zone.soa, soa_serial(&zone.soa), published.published, &held, &records)
}

/// Whether a zone that is not known just now is of the configuration, and has no decisions to come back with: it
/// can come back with the serial it had. (A primary has not sent it, or its file was broken at the start.)
fn waits(apex: &Name, config: &Config) -> bool {
    let waits = config.zones.iter().any(|zone| zone.name == *apex);
    waits && !config.services.iter().any(|service| service.zone == *apex)
}

/// Whether what decisions are laid over, and what of it they replace, is as it was.
fn is_as_published(last: &SavedZone, zone: &ZoneState) -> bool {
    last.fingerprint == zone.fingerprint && last.own_types.is_none_or(|own| own == zone.at_services.own_types)
}

/// The serial a zone publishes after a load, by the rules above.
fn serial_at_load(
    last: Option<&SavedZone>,
    zone: &ZoneState,
    same: bool,
    overlaid: bool,
    now: HostTime,
) -> Serial {
    let file = soa_serial(&zone.soa);
    match last {
        None if overlaid => zone.style.successor(file, file, now),
        None => file,
        Some(last) if same && is_as_published(last, zone) => last.published,
        Some(last) if overlaid => zone.style.successor(last.published, file, now),
        Some(last) if file.is_after(last.published) => file,
        Some(last) => zone.style.successor(last.published, last.published, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: u64 = 7;

    fn zone(file: u32) -> ZoneState {
        let mut soa = vec![0, 0];
        soa.extend([file, 0, 0, 0, 0].iter().flat_map(|number| number.to_be_bytes()));
        let soa = RrSet::new(Name::root(), RrType::SOA, 60, [soa]);
        ZoneState {
            soa,
            at_services: Arc::default(),
            fingerprint: FINGERPRINT,
            style: SerialStyle::Increment,
            services: Arc::default(),
            edits: 0,
        }
    }

    #[test]
    fn a_serial_stands_for_one_content_and_never_goes_back() {
        // The last one published, of which file; the file's now; same decisions; any decisions.
        let check = |last: Option<(u32, u64)>, file, same, overlaid, expect| {
            let last = last.map(|(published, fingerprint)| SavedZone {
                published: Serial(published),
                file: Serial(0),
                fingerprint,
                own_types: None,
                last_decision: 0,
            });
            let got = serial_at_load(last.as_ref(), &zone(file), same, overlaid, HostTime(0));
            assert_eq!(got, Serial(expect), "{last:?} {file} {same} {overlaid}");
        };
        // First seen.
        check(None, 10, true, false, 10);
        check(None, 10, false, true, 11);
        // Nothing changed.
        check(Some((15, FINGERPRINT)), 10, true, true, 15);
        check(Some((10, FINGERPRINT)), 10, true, false, 10);
        // The decisions did.
        check(Some((15, FINGERPRINT)), 10, false, true, 16);
        check(Some((15, FINGERPRINT)), 10, false, false, 16);
        // The file did: its serial is ahead, behind, the same, or without order.
        check(Some((15, 1)), 20, true, true, 21);
        check(Some((15, 1)), 20, true, false, 20);
        check(Some((15, 1)), 10, true, true, 16);
        check(Some((15, 1)), 10, true, false, 16);
        check(Some((15, 1)), 15, true, true, 16);
        check(Some((15, 1)), 15, true, false, 16);
        check(Some((0, 1)), 1 << 31, true, true, 1);
        // What decisions replace is other types.
        let last = |own_types| {
            let (published, file) = (Serial(15), Serial(0));
            SavedZone { published, file, fingerprint: FINGERPRINT, own_types, last_decision: 0 }
        };
        for (own_types, serial) in [(None, 15), (Some(0), 15), (Some(1), 16)] {
            let got = serial_at_load(Some(&last(own_types)), &zone(10), true, true, HostTime(0));
            assert_eq!(got, Serial(serial), "{own_types:?}");
        }
        // Around the circle.
        check(Some((u32::MAX, 1)), 3, true, true, 4);
        check(Some((u32::MAX, 1)), u32::MAX - 1, true, true, 0);
    }
}
