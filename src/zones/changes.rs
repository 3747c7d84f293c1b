//! Changes of contents made ready without a load: what primaries sent, and edits. Each costs what it changes, and
//! what a primary sent costs that zone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::error;

use super::diff::{self, Differences};
use super::held::{HeldZone, Pending, PendingZone, Prepared, Received, saved, takes_edits};
use super::messages::{Changed, Contents, How, TransferredAsk};
use super::sources::Sources;
use crate::answer::Table;
use crate::config;
use crate::dns::{Name, RrType, Serial, soa_with_serial};
use crate::engine::{Happened, Saved, ZoneBase};
use crate::transfer::inbound::NewContent;
use crate::zone::{Difference, Editing, Laid, SetSteps, Zone};

/// The most RRsets that a primary's steps change one by one, in the core's time; past it the zone is compiled.
const MAX_STEPS: usize = 4096;
/// The most delegations and DNAMEs among them that are held against the names that are steered.
const MAX_CUTS: usize = 64;

impl Sources {
    /// What the core is to take up where files are other ones, or gone, that keep what primaries sent; and for
    /// each zone whether its file was any use. Compiles those; blocking.
    pub fn received(&mut self, received: Vec<(Name, Option<NewContent>)>) -> Received {
        let Some(held) = &self.held else { return (vec![Ok(()); received.len()], None) };
        let before = self.table(held);
        let (mut table, mut saves, mut outcomes) = (before.clone(), Vec::new(), Vec::new());
        let mut zones: BTreeMap<Name, PendingZone> = BTreeMap::new();
        for (apex, new) in received {
            // A reload may have taken it away meanwhile.
            let both = held.zones.get(&apex).zip(held.source(&apex));
            let Some((zone, source)) = both.filter(|(_, source)| source.is_transferred()) else {
                outcomes.push(Ok(()));
                continue;
            };
            let file = match new {
                Some(new) => Ok(Some(new.zone)),
                None => config::transferred(&apex, &source.file).map(|file| file.map(Arc::new)),
            };
            outcomes.push(file.map(|file| {
                let file = file.unwrap_or_else(|| Arc::new(Zone::hollow(apex.clone())));
                let mut edits = self.edits(&apex).clone();
                let settled = if takes_edits(&file) { edits.settle(&file) } else { Vec::new() };
                saves.extend(saved(&apex, settled.clone()));
                let services = zone.services();
                let laid = if takes_edits(&file) { Laid::new(&file, &edits) } else { Laid::plain(&file) };
                let fingerprint =
                    if takes_edits(&file) { edits.fingerprint_over(&file) } else { file.fingerprint() };
                let base = ZoneBase { edits: edits.len(), ..ZoneBase::of(&laid, fingerprint, &services) };
                let plain = edits.is_empty() || !takes_edits(&file);
                let contents = if plain { Zone::clone(&file) } else { edits.lay(&file) };
                let names: Vec<Name> = zone.services.keys().cloned().collect();
                table.replace(contents, &names);
                zones.insert(apex, PendingZone { file: Some(file), edits: settled, base });
            }));
        }
        if zones.is_empty() {
            return (outcomes, None);
        }
        let differences = self.compiled.is_some().then(|| {
            let journaled = diff::journaled(&held.config);
            let apexes = zones.keys().filter(|apex| journaled.contains(*apex)).cloned().collect();
            Differences::between(&before, &table, apexes)
        });
        let files = zones.values().filter_map(|zone| zone.file.as_ref()).filter(|file| !file.is_empty());
        if let Some(copies) = &mut self.copies {
            files.for_each(|file| copies.replace(file, file.fingerprint()));
        }
        let contents = Some(Contents { table: table.clone(), how: How::Replaced(differences) });
        let (bases, judged_by) = (zones.values().map(|zone| zone.base.clone()).collect(), Vec::new());
        let changed =
            Changed { zones: bases, contents, saves, records: Vec::new(), judged_by, must_be_kept: false };
        (outcomes, Some((changed, Pending { zones: zones.into_values().collect(), table })))
    }

    /// Whether what a primary sent can be taken up RRset by RRset: it came as steps from what is held, which are not too
    /// many for that, and do not hide a name that is steered, or show it.
    pub fn steps(&self, ask: &TransferredAsk) -> bool {
        let held = self.held.as_ref().and_then(|held| held.zones.get(&ask.zone));
        let steps = ask.new.as_ref().and_then(|new| new.steps.as_ref());
        let Some((zone, (from, steps))) = held.zip(steps) else { return false };
        let shapes = |set: &SetSteps| {
            set.rtype == RrType::DNAME || set.rtype == RrType::NS && set.owner != *from.apex()
        };
        let cuts: Vec<&Name> = steps.sets.iter().filter(|set| shapes(set)).map(|set| &set.owner).collect();
        let is_cut = |name: &Name| cuts.iter().any(|cut| name.is_at_or_below(cut));
        Arc::ptr_eq(&zone.file, from)
            && takes_edits(from)
            && steps.sets.len() <= MAX_STEPS
            && (cuts.is_empty() || cuts.len() <= MAX_CUTS && !zone.services.keys().any(is_cut))
    }

    /// What the core is to take up where steps that [`Sources::steps`] is true of lead on from what is held.
    pub fn stepped(&mut self, received: Vec<(Name, Option<NewContent>)>) -> Received {
        let outcomes = vec![Ok(()); received.len()];
        let Some(held) = &self.held else { return (outcomes, None) };
        let mut table = self.table(held);
        let (mut zones, mut all, mut saves) = (Vec::new(), Vec::new(), Vec::new());
        for (apex, new) in received {
            let steps = new.and_then(|new| new.steps.map(|(_, steps)| (new.zone, steps)));
            let Some((zone, (file, steps))) = held.zones.get(&apex).zip(steps) else { continue };
            let owners: BTreeSet<&Name> = steps.sets.iter().map(|set| &set.owner).collect();
            let mut editing = Editing::of(self.edits(&apex));
            let settled = editing.settle(&file, owners.iter().copied());
            saves.extend(saved(&apex, settled.clone()));
            let before = Laid::new(&zone.file, self.edits(&apex));
            let difference = Difference::between(&before, &editing.laid(&file), owners);
            let base = edited(zone, &mut table, &difference, &editing.laid(&file));
            zones.push(PendingZone {
                base: ZoneBase { edits: editing.records(), ..base },
                edits: settled,
                file: Some(file),
            });
            all.push((apex, difference.sets));
        }
        let contents = Some(Contents { table: table.clone(), how: How::Edited(all) });
        let (bases, judged_by) = (zones.iter().map(|zone| zone.base.clone()).collect(), Vec::new());
        let changed =
            Changed { zones: bases, contents, saves, records: Vec::new(), judged_by, must_be_kept: false };
        (outcomes, Some((changed, Pending { zones, table })))
    }

    /// What the core is to take up: other edits of some zones, what is to be kept and recorded of that, and
    /// records alone where no edits are other ones. `None` where there is nothing at all.
    pub fn change(
        &self,
        edits: BTreeMap<Name, Editing<'_>>,
        saves: Vec<Saved>,
        records: Vec<Happened>,
    ) -> Option<Prepared> {
        let edits: Vec<_> = edits.into_iter().filter(|(_, editing)| !editing.is_unchanged()).collect();
        if edits.is_empty() {
            let (zones, judged_by) = (Vec::new(), Vec::new());
            let changed = Changed { zones, contents: None, saves, records, judged_by, must_be_kept: false };
            return (!changed.records.is_empty()).then_some((changed, None));
        }
        let held = self.held.as_ref()?;
        let mut table = self.table(held);
        let (mut zones, mut all) = (Vec::new(), Vec::new());
        for (apex, editing) in edits {
            let Some(zone) = held.zones.get(&apex) else { continue };
            let difference = editing.difference(&zone.file);
            let base = edited(zone, &mut table, &difference, &editing.laid(&zone.file));
            let base = ZoneBase { edits: editing.records(), ..base };
            all.push((apex, difference.sets));
            zones.push(PendingZone { file: None, edits: editing.into_changes(), base });
        }
        let contents = Some(Contents { table: table.clone(), how: How::Edited(all) });
        let (bases, judged_by) = (zones.iter().map(|zone| zone.base.clone()).collect(), Vec::new());
        let changed = Changed { zones: bases, contents, saves, records, judged_by, must_be_kept: true };
        Some((changed, Some(Pending { zones, table })))
    }

    /// What the core is to take up so that a zone's serials go on after one that a secondary has: as an update of its
    /// SOA would. `None` where nothing is held, or the serials are a primary's.
    pub fn raise(&self, apex: &Name, seen: Serial) -> Option<Prepared> {
        let source = self.source(apex).filter(|file| !file.is_empty() && !self.is_transferred(apex))?;
        let before = self.laid(apex)?.soa();
        let after = soa_with_serial(&before, seen.next());
        let told = Happened::Updated {
            zone: apex.clone(),
            who: format!("a secondary that has serial {seen}"),
            removed: before.to_lines().collect(),
            added: after.to_lines().collect(),
            more: 0,
        };
        let mut editing = Editing::of(self.edits(apex));
        let wanted = [((apex.clone(), RrType::SOA), Some(after))];
        let changes = editing.change(source, wanted, usize::MAX).ok()?;
        self.change(BTreeMap::from([(apex.clone(), editing)]), saved(apex, changes).collect(), vec![told])
    }

    /// Takes up what the core has taken up.
    pub fn done(&mut self, pending: Pending) {
        self.compiled = Some(pending.table);
        for PendingZone { file, edits, base } in pending.zones {
            let apex = base.apex.clone();
            if !edits.is_empty() {
                let kept = self.edits.entry(apex.clone()).or_default();
                kept.take(edits);
                if kept.is_empty() {
                    self.edits.remove(&apex);
                }
            }
            if let Some(zone) = self.held.as_mut().and_then(|held| held.zones.get_mut(&apex)) {
                zone.base = Arc::new(base);
                // What a reload finds of its file is held against what is known of an earlier one no more.
                let place = zone.place;
                if file.is_some()
                    && let Some(known) = self.last.as_mut().and_then(|last| last.files.get_mut(place))
                {
                    *known = None;
                }
                zone.file = file.unwrap_or_else(|| zone.file.clone());
            }
        }
    }
}

/// Has a table's zone hold what it comes to. Gives what the engine needs to know of it then.
fn edited(zone: &HeldZone, table: &mut Table, difference: &Difference, laid: &Laid<'_>) -> ZoneBase {
    let apex = &zone.base.apex;
    let sets = difference.sets.iter().map(|(owner, rtype, set)| (owner, *rtype, set.as_ref()));
    if let Err(why) = table.change(apex, sets) {
        // Its names are its own.
        error!("{apex} could not be changed: {why}");
    }
    let fingerprint = zone.base.fingerprint.wrapping_add(difference.fingerprint);
    if difference.sets.iter().any(|(owner, _, _)| zone.services.contains_key(owner)) {
        ZoneBase::of(laid, fingerprint, &zone.services())
    } else {
        ZoneBase { soa: laid.soa(), fingerprint, ..ZoneBase::clone(&zone.base) }
    }
}

#[cfg(test)]
mod tests;
