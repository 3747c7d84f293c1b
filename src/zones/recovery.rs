//! What was published before a start, so that what the start changes is a step of the journal as any other.
//!
//! In: what the state file keeps, the table of the files as they are now, and copies of what they were. Out: a table
//! of what each zone published last. A zone whose contents are as they were is in the table of now, with the last
//! decisions laid over it; one whose file has changed, or that has edits which were promised and not yet published, is
//! compiled from its copy, or from the steps that its primary sent until then, and the edits that were. Of a zone of which neither is had nothing is known here, and its
//! journal begins anew.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::diff::Differences;
use super::snapshots::Snapshots;
use crate::answer::Table;
use crate::dns::{Name, RrSet, RrType, Serial};
use crate::engine::{ALWAYS_REPLACED, Load, Saved, SavedZone, ZoneBase};
use crate::model::{Config, Service};
use crate::zone::{Changeset, Edit, EditKey, Edits, Zone};

/// What was published last, as the state file has it.
pub struct Kept {
    zones: BTreeMap<Name, SavedZone>,
    /// What was laid over each name of a zone.
    laid: BTreeMap<Name, BTreeMap<Name, Vec<RrSet>>>,
    /// Each zone's edits that were published.
    edits: BTreeMap<Name, Edits>,
    /// Those that were only promised.
    promised: Vec<(EditKey, Option<Edit>)>,
}

/// What the zones of a start published before it.
#[derive(Clone)]
pub struct PublishedState {
    /// Of the contents of now.
    same: Table,
    /// Of other contents, and the names at which those differ from the ones of now.
    other: Option<(Table, Differences)>,
    /// Which of them has a zone as it was.
    tables: BTreeMap<Name, Contents>,
    laid: BTreeMap<Name, BTreeSet<Name>>,
}

/// Which table.
#[derive(Clone, Copy)]
enum Contents {
    Unchanged,
    Changed,
}

impl Kept {
    /// From all that is kept.
    pub fn of(saved: &[Saved]) -> Kept {
        let mut kept = Kept {
            zones: BTreeMap::new(),
            laid: BTreeMap::new(),
            edits: BTreeMap::new(),
            promised: Vec::new(),
        };
        for saved in saved {
            match saved {
                Saved::Zone(apex, Some(zone)) => drop(kept.zones.insert(apex.clone(), zone.clone())),
                Saved::Service(name, Some(service)) => {
                    let laid = kept.laid.entry(service.zone.clone()).or_default();
                    laid.insert(name.clone(), service.decision.records.clone());
                }
                Saved::Edit(EditKey { zone, owner, rtype }, Some(edit)) => {
                    let edits = kept.edits.entry(zone.clone()).or_default();
                    edits.set(owner, *rtype, Some(edit.clone()));
                }
                Saved::Promised(Some(promised)) => kept.promised.clone_from(promised),
                _ => {}
            }
        }
        kept
    }

    /// Each zone's edits, with what was promised.
    pub fn edits(&self) -> BTreeMap<Name, Edits> {
        let mut edits = self.edits.clone();
        for (EditKey { zone, owner, rtype }, edit) in &self.promised {
            edits.entry(zone.clone()).or_default().set(owner, *rtype, edit.clone());
        }
        edits.retain(|_, edits| !edits.is_empty());
        edits
    }

    /// What is to be kept with the first load, which publishes what was promised.
    pub fn publishing(&self) -> Vec<Saved> {
        if self.promised.is_empty() {
            return Vec::new();
        }
        let edits = self.promised.iter().cloned().map(|(key, edit)| Saved::Edit(key, edit));
        edits.chain([Saved::Promised(None)]).collect()
    }

    /// Whether this is what a zone's contents were made of when it was last published.
    pub fn was_published(&self, file: &Zone) -> bool {
        let kept = self.zones.get(file.apex());
        kept.is_some_and(|kept| self.contents(file).fingerprint() == kept.fingerprint)
    }

    /// What was published of a file.
    fn contents<'z>(&self, file: &'z Zone) -> Cow<'z, Zone> {
        match self.edits.get(file.apex()) {
            Some(edits) => Cow::Owned(edits.lay(file)),
            None => Cow::Borrowed(file),
        }
    }

    /// The names that something was laid over, of these zones.
    pub fn names<'z>(&self, apexes: impl Iterator<Item = &'z Name>) -> Vec<Name> {
        let names = apexes.filter_map(|apex| self.laid.get(apex)).flat_map(BTreeMap::keys);
        names.cloned().collect()
    }

    /// What the zones published whose contents are other ones now, without what was laid over them. `earlier` gives what a
    /// zone was made from when it had this serial, where the steps of its primary lead past that.
    pub fn others(
        &self,
        bases: &[Arc<ZoneBase>],
        copies: &Snapshots,
        earlier: impl Fn(&Name, Serial) -> Option<Zone>,
    ) -> Vec<Zone> {
        let changed = bases.iter().filter_map(|base| {
            let kept = self.zones.get(&base.apex)?;
            (kept.fingerprint != base.fingerprint && knows(kept, base)).then_some((&base.apex, kept))
        });
        let other = changed.filter_map(|(apex, kept)| {
            let earlier = std::iter::once_with(|| earlier(apex, kept.file)).flatten();
            let files = copies.of(apex).chain(earlier);
            let mut contents = files.map(|file| self.contents(&file).into_owned());
            contents.find(|zone| zone.fingerprint() == kept.fingerprint)
        });
        other.collect()
    }

    /// The past of the table of these zones; `others` as [`Kept::others`] gives them.
    pub fn past(self, now: &Table, load: &Load, others: Vec<Zone>, seed: u64) -> PublishedState {
        let own = own_types(&load.config);
        let as_it_was = load.zones.iter().filter(|base| {
            let kept = self.zones.get(&base.apex);
            kept.is_some_and(|kept| kept.fingerprint == base.fingerprint && knows(kept, base))
        });
        let (mut same, mut tables) = (now.clone(), BTreeMap::new());
        for base in as_it_was {
            if self.lay(&mut same, &base.apex, &own) {
                tables.insert(base.apex.clone(), Contents::Unchanged);
            }
        }
        let apexes: BTreeSet<Name> = others.iter().map(|zone| zone.apex().clone()).collect();
        let other = (!apexes.is_empty()).then(|| {
            let mut table = Table::compile(others, &self.names(apexes.iter()), seed);
            for apex in &apexes {
                if self.lay(&mut table, apex, &own) {
                    tables.insert(apex.clone(), Contents::Changed);
                }
            }
            let differences = Differences::between(&table, now, apexes);
            (table, differences)
        });
        let laid = self.laid.into_iter().map(|(apex, laid)| (apex, laid.into_keys().collect())).collect();
        PublishedState { same, other, tables, laid }
    }

    /// Lays over a zone of a table what was laid over it, under the serial it had; whether that could be done.
    fn lay(&self, table: &mut Table, apex: &Name, own: &BTreeMap<&Name, BTreeSet<RrType>>) -> bool {
        let (Some(kept), Some(soa)) = (self.zones.get(apex), table.soa(apex)) else { return false };
        let none = BTreeMap::new();
        let laid = self.laid.get(apex).unwrap_or(&none);
        let mut held = Vec::new();
        for name in laid.keys() {
            let own = own.get(name);
            let mut sets = table.held(apex, name);
            sets.retain(|set| {
                ALWAYS_REPLACED.contains(&set.rtype) || own.is_some_and(|own| own.contains(&set.rtype))
            });
            held.extend(sets);
        }
        let laid: Vec<RrSet> = laid.values().flatten().cloned().collect();
        table.apply(&Changeset::new(&soa, kept.file, kept.published, &held, &laid)).is_ok()
    }
}

/// Whether what decisions replace in a zone is what they replaced when it was last published.
fn knows(kept: &SavedZone, base: &ZoneBase) -> bool {
    kept.own_types == Some(base.at_services.own_types)
}

/// The types that decisions replace at some names beside those that they always do.
fn own_types(config: &Config) -> BTreeMap<&Name, BTreeSet<RrType>> {
    let own = |service: &Service| {
        service.endpoints.iter().flat_map(|endpoint| &endpoint.records).map(|(rtype, _)| *rtype).collect()
    };
    config.services.iter().map(|service| (&service.name, own(service))).collect()
}

impl PublishedState {
    /// A table in which a zone is as it was published last; `None` where that is not known.
    pub fn table(&self, apex: &Name) -> Option<&Table> {
        match self.tables.get(apex)? {
            Contents::Unchanged => Some(&self.same),
            Contents::Changed => self.other.as_ref().map(|(table, _)| table),
        }
    }

    /// Where the zones whose contents were other ones differ from what they are now.
    pub fn differences(&self) -> Option<&Differences> {
        self.other.as_ref().map(|(_, differences)| differences)
    }

    /// The names of a zone that something was laid over.
    pub fn laid(&self, apex: &Name) -> impl Iterator<Item = &Name> {
        self.laid.get(apex).into_iter().flatten()
    }
}
