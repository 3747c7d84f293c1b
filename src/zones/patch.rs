//! A load of the zones that there were: the table of the load before, with what changed in the place of what it was.
//!
//! In: what a load read, and which zones' files are what they were. Out: the table and what the engine is told, made
//! of the zones that changed. A zone of which few names differ is changed at those, as an update would; another one is
//! replaced. What all others hold is neither looked at nor copied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::error;

use super::diff::{Differences, MAX_NAMES};
use super::held::Held;
use super::messages::{How, OnlyContents, Sets};
use super::sources::{Built, Sources};
use crate::answer::Table;
use crate::config::ReadZone;
use crate::dns::{Name, RrSet, RrType};
use crate::engine::{Load, Saved, Undecided, ZoneBase, services_by_zone};
use crate::geo;
use crate::model::{Config, Service};
use crate::zone::Zone;

/// How many names of a zone may differ at least for it to be changed at those; and of a large zone, which share.
const MIN_CHANGED: usize = 64;
const CHANGED_SHARE: usize = 8;

/// What zones change, while it is put together.
struct Patch {
    table: Table,
    /// What the engine is told of each zone that changed.
    bases: Vec<ZoneBase>,
    /// Zones that are changed name by name, and at which.
    changed: BTreeMap<Name, BTreeSet<Name>>,
    sets: Vec<(Name, Sets)>,
    /// Zones that are replaced.
    replaced: BTreeSet<Name>,
}

impl Sources {
    /// Whether the table of the load before has the zones of this one, in its order, and sorts clients as this one
    /// does.
    pub(super) fn has_same_zones(&self, config: &Config, clients: &geo::Clients, holds: bool) -> bool {
        let Some((last, _)) = self.last() else { return false };
        #[cfg(test)]
        if self.whole {
            return false;
        }
        let names = |config: &Config| config.zones.iter().map(|zone| zone.name.clone()).collect::<Vec<_>>();
        self.held.is_some() == holds
            && last.config.catalog == config.catalog
            && last.config.zones.len() == config.zones.len()
            && names(&last.config) == names(config)
            && last.maps == clients.maps
    }

    /// The load before with what changed. To be called where [`Sources::has_same_zones`].
    pub(super) fn patch(
        &mut self,
        config: &Arc<Config>,
        text: &Arc<str>,
        zones: Vec<ReadZone>,
        clients: &geo::Clients,
    ) -> Built {
        let before = self.compiled.clone().unwrap_or_else(|| Table::compile(Vec::new(), &[], self.seed));
        let last_config = self.last.as_ref().map(|last| last.config.clone());
        let is_same = self.last.as_ref().is_some_and(|last| last.text == *text && *last.config == **config);
        let (services, services_before) =
            (services_by_zone(config), last_config.as_deref().map(services_by_zone).unwrap_or_default());
        let mut patch = Patch {
            table: before.clone(),
            bases: Vec::new(),
            changed: BTreeMap::new(),
            sets: Vec::new(),
            replaced: BTreeSet::new(),
        };
        let mut saves = Vec::new();
        let mut held: Vec<(Option<Arc<Zone>>, Arc<ZoneBase>)> = Vec::with_capacity(zones.len());
        for read in zones {
            let apex = read.apex().clone();
            let services = services.get(&apex).map_or(&[][..], Vec::as_slice);
            let steered_alike = services_before.get(&apex).map_or(&[][..], Vec::as_slice) == services;
            let known = self.base_of(&apex).filter(|_| steered_alike);
            let file = match (read, known) {
                (ReadZone::Unchanged(_), Some(base)) => {
                    held.push((self.zone(&apex).map(|zone| zone.file.clone()), base));
                    continue;
                }
                (ReadZone::Unchanged(_), None) => {
                    self.contents_of_file(&apex).unwrap_or_else(|| Arc::new(Zone::hollow(apex.clone())))
                }
                (ReadZone::Read(zone), _) => Arc::new(zone),
            };
            self.settle(&file, &mut saves);
            let base = Arc::new(self.base(&file, services));
            self.put(&mut patch, &file, &base, services, steered_alike);
            held.push((Some(file), base));
        }
        let known = held.iter().filter(|(_, base)| !base.is_hollow());
        let bases = known.map(|(_, base)| base.clone()).collect();
        let (regions, undecided) = (clients.regions.clone(), Undecided::default());
        let load = Load { config: config.clone(), zones: bases, regions, undecided };
        self.hold_again(config, clients, held);
        patch.finish(load, &before, saves, is_same)
    }

    /// What the engine was told of a zone last.
    fn base_of(&self, apex: &Name) -> Option<Arc<ZoneBase>> {
        match &self.held {
            Some(held) => held.zones.get(apex).map(|zone| zone.base.clone()),
            None => self.last.as_ref()?.base(apex).cloned(),
        }
    }

    /// Puts what a zone holds now into the table, and what its file holds among the copies, where that is something
    /// else than before.
    fn put(
        &mut self,
        patch: &mut Patch,
        file: &Zone,
        base: &Arc<ZoneBase>,
        services: &[&Service],
        steered_alike: bool,
    ) {
        let known = self.base_of(file.apex());
        if steered_alike && known.as_ref().is_some_and(|known| known == base) {
            return;
        }
        if let Some(copies) = self.copies.as_mut().filter(|_| !file.is_empty()) {
            let fingerprint = if base.edits == 0 { base.fingerprint } else { file.fingerprint() };
            copies.replace(file, fingerprint);
        }
        let contents = self.contents(file);
        let was_known = known.is_some_and(|known| !known.is_hollow());
        patch.put(contents, base, services, steered_alike && was_known);
    }

    /// Holds zones again that were held, under this configuration.
    fn hold_again(
        &mut self,
        config: &Arc<Config>,
        clients: &geo::Clients,
        zones: Vec<(Option<Arc<Zone>>, Arc<ZoneBase>)>,
    ) {
        let holds = self.held.is_some();
        self.set_aside();
        if holds {
            let zones = zones.into_iter().filter_map(|(file, base)| Some((file?, base))).collect();
            self.held = Some(Held::new(config.clone(), clients.maps.clone(), zones));
        }
    }
}

impl Patch {
    /// Puts contents in the place of what a zone held.
    fn put(&mut self, contents: Zone, base: &ZoneBase, services: &[&Service], may_change: bool) {
        let apex = contents.apex().clone();
        self.bases.push(base.clone());
        let max = (contents.owners_len() / CHANGED_SHARE).clamp(MIN_CHANGED, MAX_NAMES);
        let may_change = may_change && !contents.is_empty() && !contents.is_private();
        let names = may_change.then(|| self.table.names_to_change(&contents, max)).flatten();
        if let Some(names) = names {
            let sets = self.sets_at(&contents, &names);
            let given = sets.iter().map(|(owner, rtype, set)| (owner, *rtype, set.as_ref()));
            match self.table.change(&apex, given) {
                Ok(()) => {
                    self.sets.push((apex.clone(), sets));
                    self.changed.insert(apex, names);
                    return;
                }
                // Its names are its own.
                Err(why) => error!("{apex} could not be changed: {why}"),
            }
        }
        let steered: Vec<Name> = services.iter().map(|service| service.name.clone()).collect();
        self.table.replace(contents, &steered);
        self.replaced.insert(apex);
    }

    /// What becomes of these names, and of the SOA.
    fn sets_at(&self, contents: &Zone, names: &BTreeSet<Name>) -> Sets {
        let apex = contents.apex();
        let mut sets = Sets::new();
        let with_apex = names.iter().chain((!names.contains(apex)).then_some(apex));
        for name in with_apex {
            let by_type = |sets: Vec<RrSet>| -> BTreeMap<RrType, RrSet> {
                sets.into_iter().map(|set| (set.rtype, set)).collect()
            };
            let (before, mut after) =
                (by_type(self.table.held(apex, name)), by_type(contents.rrsets_at(name)));
            for (rtype, before) in before {
                match after.remove(&rtype) {
                    Some(after) if after == before => {}
                    after => sets.push((name.clone(), rtype, after)),
                }
            }
            sets.extend(after.into_iter().map(|(rtype, set)| (name.clone(), rtype, Some(set))));
        }
        sets
    }

    fn finish(self, load: Load, before: &Table, saves: Vec<Saved>, is_same: bool) -> Built {
        let Patch { table, bases, changed, sets, replaced } = self;
        let is_edited = replaced.is_empty();
        let differences = Differences::where_replaced(before, &table, replaced, changed);
        let how = if is_edited { How::Edited(sets) } else { How::Replaced(Some(differences.clone())) };
        let only = is_same.then_some(OnlyContents { zones: bases, how });
        Built { load, table, differences: Some(differences), past: None, saves, only }
    }
}
