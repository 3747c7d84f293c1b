//! What a load changes in the zones' files, found off the core's thread; and the journal's step that follows
//! from it, once the decisions are laid over them.

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::Table;
use crate::dns::{Name, soa_serial};
use crate::model::Config;
use crate::zone::{Changeset, Step, diff};

/// The most names of one zone that may differ between two loads and still be a step of its journal. Past it
/// the journal begins anew, and who asks for what changed gets the whole zone.
pub(super) const MAX_NAMES: usize = 100_000;

/// Where the zones of one load differ from those of the one before it.
#[derive(Clone)]
pub struct Differences {
    against: Table,
    /// The names of each zone that is in both; `None` where they are too many.
    zones: BTreeMap<Name, Option<BTreeSet<Name>>>,
    /// Whether all other zones are the same in both.
    rest_is_same: bool,
}

impl Differences {
    /// Compares these zones of two tables as compiled, before decisions are laid over them.
    pub fn between(before: &Table, after: &Table, apexes: BTreeSet<Name>) -> Differences {
        let both = apexes.into_iter().filter(|apex| before.soa(apex).is_some());
        let zones = both
            .map(|apex| {
                let names = before.differences(after, &apex, MAX_NAMES);
                (apex, names)
            })
            .collect();
        Differences { against: before.clone(), zones, rest_is_same: false }
    }

    /// The same where one table came from the other by replacing these zones alone, or changing them at these names.
    pub fn where_replaced(
        before: &Table,
        after: &Table,
        replaced: BTreeSet<Name>,
        changed: BTreeMap<Name, BTreeSet<Name>>,
    ) -> Differences {
        let mut differences = Differences::between(before, after, replaced);
        differences.zones.extend(changed.into_iter().map(|(apex, names)| (apex, Some(names))));
        Differences { rest_is_same: true, ..differences }
    }

    /// The names at which a zone differs from that of a published table; `None` where that is not known.
    pub fn of(&self, apex: &Name, published: &Table) -> Option<&BTreeSet<Name>> {
        static NOTHING: BTreeSet<Name> = BTreeSet::new();
        match self.zones.get(apex) {
            _ if !self.against.has_same_contents(published) => None,
            Some(names) => names.as_ref(),
            None => self.rest_is_same.then_some(&NOTHING),
        }
    }
}

/// The zones whose changes are kept: all of them, for secondaries, and for whoever wants to see a change or
/// take it back.
pub fn journaled(config: &Config) -> BTreeSet<Name> {
    config.zones.iter().map(|zone| zone.name.clone()).collect()
}

/// What becomes of a zone's journal.
pub enum Turn {
    /// It goes on with this step.
    Step(Step),
    /// It leads to this serial, or is of no use any more.
    Agree,
}

/// The names at which a zone's contents differ between two tables, as far as that is known.
pub fn names<'d>(
    before: &Table,
    after: &Table,
    apex: &Name,
    differences: Option<&'d Differences>,
) -> Option<&'d BTreeSet<Name>> {
    static NOTHING: BTreeSet<Name> = BTreeSet::new();
    if after.has_same_contents(before) { Some(&NOTHING) } else { differences?.of(apex, before) }
}

/// What a zone's journal makes of new contents: `before` is what was published, `after` what will be. They differ at
/// the names of `in_file` and at steered ones; where that is not known the journal begins anew.
pub fn turn(
    before: &Table,
    after: &Table,
    changeset: &Changeset,
    in_file: Option<&BTreeSet<Name>>,
    steered: &BTreeSet<&Name>,
) -> Turn {
    let apex = &changeset.zone;
    let Some(old) = before.soa(apex).filter(|soa| soa_serial(soa) != changeset.to) else {
        return Turn::Agree;
    };
    let Some(in_file) = in_file else { return Turn::Agree };
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let steered = steered.iter().copied().filter(|name| !in_file.contains(*name));
    for name in in_file.iter().chain(steered) {
        let held = |table: &Table| {
            let mut sets = table.held(apex, name);
            sets.retain(|set| set.rtype != old.rtype);
            sets
        };
        let (gone, come) = diff(&held(before), &held(after));
        removed.extend(gone);
        added.extend(come);
    }
    Turn::Step(Step::of(old, changeset.soa.clone(), &removed, &added))
}

/// The steered names of each zone, before a load and after it.
pub fn steered<'c>(configs: impl Iterator<Item = &'c Config>) -> BTreeMap<&'c Name, BTreeSet<&'c Name>> {
    let mut zones: BTreeMap<&Name, BTreeSet<&Name>> = BTreeMap::new();
    for service in configs.flat_map(|config| &config.services) {
        zones.entry(&service.zone).or_default().insert(&service.name);
    }
    zones
}
