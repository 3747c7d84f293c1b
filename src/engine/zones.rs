//! Zones under the current configuration, and the rules of the serial they publish.
//!
//! What is published is the file with the decisions laid over it. Its serial never goes back, over reloads
//! and restarts alike, and never stands for two contents:
//!
//! - the same file and the same decisions as last published: the serial stays;
//! - decisions laid over it: after both the last published serial and the file's;
//! - no decisions, which is the file as it is: the file's own serial, if it is after the last published
//!   one or nothing was published yet; else the one after the last published;
//! - a zone that leaves the configuration gives up its serial for the next, which was never published,
//!   so that it can come back with other decisions.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Engine, Happened, Saved, SavedZone, ZoneBase};
use crate::zone::{Changeset, Name, RrSet, Serial, soa_serial};

/// One zone of the configuration.
#[derive(Clone, Debug)]
pub(super) struct ZoneState {
    /// The file's SOA.
    pub soa: RrSet,
    /// What the file holds at steered names.
    pub file: BTreeMap<Name, Vec<RrSet>>,
    /// Differs whenever the file's content does.
    pub fingerprint: u64,
    /// How many services lie in it.
    pub services: usize,
}

/// For each zone, the decided records of each name that has a decision.
pub(super) type Overlays = BTreeMap<Name, BTreeMap<Name, Vec<RrSet>>>;

impl From<ZoneBase> for ZoneState {
    fn from(base: ZoneBase) -> ZoneState {
        let mut file: BTreeMap<Name, Vec<RrSet>> = BTreeMap::new();
        for set in base.steered {
            file.entry(set.owner.clone()).or_default().push(set);
        }
        ZoneState { soa: base.soa, file, fingerprint: base.fingerprint, services: 0 }
    }
}

impl Engine {
    /// The decisions laid over each zone.
    pub(super) fn overlays(&self) -> Overlays {
        let mut overlays = Overlays::new();
        for (name, decided) in &self.decided {
            let overlay = overlays.entry(decided.zone.clone()).or_default();
            overlay.insert(name.clone(), decided.decision.records.clone());
        }
        overlays
    }

    /// Takes up the zones of a load. A zone that is no longer there keeps a serial not yet published.
    pub(super) fn take_zones(&mut self, bases: Vec<ZoneBase>, out: &mut Vec<Effect>) {
        let apexes: BTreeSet<Name> = bases.iter().map(|base| base.apex.clone()).collect();
        let was_here = |apex: &Name| self.config.is_none() || self.zones.contains_key(apex);
        let gone = self.published.keys().filter(|apex| !apexes.contains(*apex) && was_here(apex));
        for apex in gone.cloned().collect::<Vec<_>>() {
            let Some(saved) = self.published.get_mut(&apex) else { continue };
            saved.published = saved.published.next();
            out.push(Effect::Save(Saved::Zone(apex, Some(saved.clone()))));
        }
        self.zones = bases.into_iter().map(|base| (base.apex.clone(), base.into())).collect();
    }

    /// Gives each zone its serial and lays the decisions over it. `before` is what was laid over when
    /// it was last published.
    pub(super) fn rebase(
        &mut self,
        before: &Overlays,
        decisions: &BTreeMap<Name, Vec<u64>>,
        out: &mut Vec<Effect>,
        records: &mut Vec<Effect>,
    ) -> Effect {
        let now = self.overlays();
        let none = BTreeMap::new();
        let mut changesets = Vec::new();
        for (apex, zone) in &self.zones {
            let overlay = now.get(apex).unwrap_or(&none);
            let last = self.published.get(apex);
            let file = soa_serial(&zone.soa);
            let same = before.get(apex).unwrap_or(&none) == overlay;
            let to = serial_at_load(last, zone, same, !overlay.is_empty());
            let decisions = decisions.get(apex).cloned().unwrap_or_default();
            let saved = SavedZone {
                published: to,
                file,
                fingerprint: zone.fingerprint,
                last_decision: decisions
                    .iter()
                    .copied()
                    .chain(last.map(|last| last.last_decision))
                    .max()
                    .unwrap_or(0),
            };
            if let Some(from) = last.map(|last| last.published).filter(|&from| from != to) {
                records.push(Effect::Record(Happened::Published { zone: apex.clone(), from, to, decisions }));
            }
            if last != Some(&saved) {
                out.push(Effect::Save(Saved::Zone(apex.clone(), Some(saved.clone()))));
                self.published.insert(apex.clone(), saved);
            }
            let held = overlay.keys().filter_map(|name| zone.file.get(name)).flatten();
            let held: Vec<RrSet> = held.cloned().collect();
            let laid: Vec<RrSet> = overlay.values().flatten().cloned().collect();
            changesets.push(Changeset::new(&zone.soa, file, to, &held, &laid));
        }
        Effect::Rebase(changesets)
    }
}

/// The serial a zone publishes after a load, by the rules above.
fn serial_at_load(last: Option<&SavedZone>, zone: &ZoneState, same: bool, overlaid: bool) -> Serial {
    let file = soa_serial(&zone.soa);
    match last {
        None if overlaid => file.next(),
        None => file,
        Some(last) if same && last.fingerprint == zone.fingerprint => last.published,
        Some(last) if overlaid => Serial::successor(last.published, file),
        Some(last) if file.is_after(last.published) => file,
        Some(last) => last.published.next(),
    }
}
