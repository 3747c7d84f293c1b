//! What zones are made of: the source of each, which is a file, also of what a primary sent, and its edits.
//!
//! In: the files, and the edits that the state file keeps. Out: contents, compiled into one table. Where
//! nothing can change a zone but its file, files are compiled and let go; else they are held, packed, so that
//! one zone can change without reading the others again. The table is one, so it is compiled anew from all
//! of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diff::{self, Differences};
use super::messages::{Changed, PreparedLoad, Refused};
use super::recovery::Kept;
use super::snapshots::Snapshots;
use crate::answer::{ClientMap, Table};
use crate::config::{self, Report};
use crate::dns::{Name, RrType, Serial, SerialStyle, soa_with_serial};
use crate::engine::{Happened, Load, Saved, Undecided, ZoneBase};
use crate::geo;
use crate::model::{Config, Service, ZoneSource};
use crate::sys::clock::wall_secs;
use crate::transfer::inbound::discard_expired;
use crate::zone::{ClientsId, Edit, EditKey, Edits, Zone};

/// The sources of all zones.
pub struct Sources {
    path: PathBuf,
    seed: u64,
    /// By apex; also of zones that are not configured just now.
    edits: BTreeMap<Name, Edits>,
    held: Option<Held>,
    /// The table compiled last, before decisions are laid over it.
    compiled: Option<Table>,
    /// The file of each zone.
    files: BTreeMap<Name, PathBuf>,
    /// The catalog's name and the serial it counts from.
    catalog: Option<(Name, Serial)>,
    /// What was loaded last.
    last: Option<Last>,
    /// What was loaded before that, until the core has taken it up.
    before: Option<Before>,
    /// Copies of what was loaded, once the state directory is known.
    copies: Option<Snapshots>,
    /// What was published before this start, until the first load.
    kept: Option<Kept>,
}

/// What every load leaves behind.
pub(super) struct Last {
    pub(super) config: Arc<Config>,
    maps: BTreeMap<ClientsId, Arc<ClientMap>>,
    /// Of the contents of each zone that was known.
    pub(super) fingerprints: BTreeMap<Name, u64>,
}

/// What a load leaves behind where contents may change by themselves.
struct Held {
    config: Arc<Config>,
    maps: BTreeMap<ClientsId, Arc<ClientMap>>,
    /// In the order of `config.zones`.
    zones: Vec<Source>,
}

/// What a load takes the place of.
struct Before {
    held: Option<Held>,
    files: BTreeMap<Name, PathBuf>,
    last: Option<Last>,
}

/// One zone.
#[derive(Clone)]
pub struct Source {
    /// What its file holds.
    pub file: Arc<Zone>,
    /// The same with its edits laid over it.
    pub contents: Arc<Zone>,
}

impl Source {
    /// What a file holds with its edits laid over it, less those that it holds by now. Of a zone that is not
    /// known just now edits are kept for when it is.
    fn of(file: Zone, edits: &mut Edits, saves: &mut Vec<Saved>) -> Source {
        let file = Arc::new(file);
        if takes_edits(&file) {
            saves.extend(saved(file.apex(), edits.settle(&file)));
        }
        Source { contents: laid(&file, edits), file }
    }
}

/// Whether edits are laid over what a file holds: a zone that is not known just now keeps them for when it is.
fn takes_edits(file: &Zone) -> bool {
    !file.is_empty() && !file.is_private()
}

/// What a file holds with these edits laid over it.
fn laid(file: &Arc<Zone>, edits: &Edits) -> Arc<Zone> {
    if edits.is_empty() || !takes_edits(file) { file.clone() } else { Arc::new(edits.lay(file)) }
}

/// A change of contents that is ready: taken up by [`Sources::done`] once the core has.
pub struct Pending {
    zones: Vec<(Name, Edits, Source)>,
    table: Table,
}

/// For each zone whether what its primary sent could be read; and what comes of it.
pub type Received = (Vec<Result<(), String>>, Option<(Changed, Pending)>);

/// One changed edit.
pub type EditChange = (Name, RrType, Option<Edit>);

impl Sources {
    /// Those of a configuration file.
    pub fn new(path: PathBuf, seed: u64) -> Sources {
        Sources {
            path,
            seed,
            edits: BTreeMap::new(),
            held: None,
            compiled: None,
            files: BTreeMap::new(),
            catalog: None,
            last: None,
            before: None,
            copies: None,
            kept: None,
        }
    }

    /// Takes up the edits that were kept; has the first load say what was published before it, and every load keep
    /// what it was made from.
    pub fn recall(&mut self, state_dir: &Path, saved: &[Saved]) {
        self.copies = Some(Snapshots::open(state_dir));
        let kept = Kept::of(saved);
        self.edits = kept.edits();
        self.kept = Some(kept);
    }

    /// Has the catalog count on from where the state file knows it to have begun, so that a start changes nothing.
    pub fn know_catalog(&mut self, config: &Config, saved: &[Saved]) {
        let Some(name) = &config.catalog else { return };
        self.catalog = saved.iter().find_map(|saved| match saved {
            Saved::Zone(apex, Some(zone)) if apex == name => Some((apex.clone(), zone.file)),
            _ => None,
        });
    }

    /// The catalog zone. One that is new counts from the seconds since 1970, which is after whatever it had
    /// if there was one before of which nothing is known any more.
    fn catalog(&mut self, config: &Config) -> Option<Zone> {
        let name = config.catalog.as_ref()?;
        let (_, serial) = match self.catalog.take().filter(|(known, _)| known == name) {
            Some(known) => self.catalog.insert(known),
            None => self.catalog.insert((name.clone(), Serial(wall_secs() as u32))),
        };
        crate::model::catalog(config, *serial)
    }

    /// Reads and checks the files, blocking.
    pub fn read(&self) -> Result<config::Loaded, Refused> {
        self.read_by(config::load)
    }

    /// The same at a start: of a zone whose file is broken its copy, or nothing, blocking.
    pub fn read_at_start(&self) -> Result<config::Loaded, Refused> {
        self.read_by(config::load_at_start)
    }

    fn read_by(&self, load: fn(&Path) -> Result<config::Loaded, Report>) -> Result<config::Loaded, Refused> {
        let mut loaded = load(&self.path).map_err(|report| Refused {
            problems: report.to_string(),
            files: report.files,
            is_loss: false,
        })?;
        for (source, zone) in loaded.config.zones.iter().zip(&mut loaded.zones) {
            let kept = source.is_transferred() && !zone.is_empty();
            // What is looked after already expires by a clock that nobody sets.
            let begins = self.file(&source.name).is_none();
            if kept && begins && discard_expired(&source.file, zone, wall_secs()) {
                *zone = Zone::hollow(source.name.clone());
            }
        }
        Ok(loaded)
    }

    /// Puts in the place of each zone whose file is broken the copy of what was loaded last, where there is one
    /// that the services can be laid over, blocking.
    pub fn stand_in(&self, loaded: &mut config::Loaded) {
        let Some(copies) = &self.copies else { return };
        for broken in &mut loaded.broken {
            let services = loaded.config.services.iter().filter(|service| service.zone == broken.zone);
            let services: Vec<&Service> = services.map(|service| &**service).collect();
            let was_published = |zone: &Zone| self.kept.as_ref().is_some_and(|kept| kept.was_published(zone));
            let fit = copies.whole(&broken.zone).filter(|zone| config::fits(zone, &services));
            let copy = fit.max_by_key(|zone| (was_published(zone), zone.serial().0));
            let places = loaded.config.zones.iter().zip(&mut loaded.zones);
            let place = places.into_iter().find(|(source, _)| source.name == broken.zone);
            if let Some((copy, (_, place))) = copy.zip(place) {
                broken.copy = Some(copy.serial());
                *place = copy;
            }
        }
    }

    /// Lays the edits over what was read, and compiles it, blocking.
    pub fn build(&mut self, loaded: config::Loaded) -> Result<PreparedLoad, Refused> {
        let config::Loaded { config, text, mut zones, warnings, files, databases, broken } = loaded;
        if let (Some(catalog), Some(last)) = (self.catalog(&config), zones.last_mut()) {
            *last = catalog;
        }
        let kept = self.kept.take();
        let mut steered = steered(&config);
        // So that the table has room for what was laid over it before this start.
        steered.extend(kept.iter().flat_map(|kept| kept.names(config.zones.iter().map(|zone| &zone.name))));
        if kept.is_some() {
            steered.sort();
            steered.dedup();
        }
        let clients = match geo::clients(&config, &databases) {
            Ok(clients) => clients,
            Err(why) => {
                let problems = format!("{}: error: {why}", config.path.display());
                return Err(Refused { problems, files, is_loss: false });
            }
        };
        // The databases may be large; the maps made from them are not.
        drop(databases);
        let (held, files_before) = (self.held.take(), std::mem::take(&mut self.files));
        self.before = Some(Before { held, files: files_before, last: self.last.take() });
        let config = Arc::new(config);
        let mut saves = kept.as_ref().map(Kept::publishing).unwrap_or_default();
        let changes = config.zones.iter().any(|zone| !zone.update.is_empty() || zone.is_transferred());
        let edited = zones.iter().any(|zone| self.edits.contains_key(zone.apex()));
        let (load, table, others);
        // Of a zone whose file is broken nothing can be read again.
        if changes || edited || !broken.is_empty() {
            let zones: Vec<Source> = zones.into_iter().map(|zone| self.settle(zone, &mut saves)).collect();
            let known = zones.iter().filter(|zone| !zone.contents.is_empty());
            let bases = known.map(|zone| self.base(zone, &config)).collect();
            let (regions, undecided) = (clients.regions, Undecided::default());
            load = Load { config: config.clone(), zones: bases, regions, undecided };
            others = self.others(kept.as_ref(), &load);
            self.keep_copies(&load, zones.iter().map(|zone| &*zone.file));
            table = compile(&zones, &steered, self.seed);
            self.held = Some(Held { config, maps: clients.maps.clone(), zones });
        } else {
            // Before the table, which takes the zones apart.
            load = Load::of(config, &zones, clients.regions);
            others = self.others(kept.as_ref(), &load);
            self.keep_copies(&load, zones.iter());
            table = Table::compile(zones, &steered, self.seed);
            self.held = None;
        }
        for broken in &broken {
            // Also where it is no use under this configuration: it may be under the next.
            self.copies.iter_mut().for_each(|copies| copies.retain(&broken.zone));
        }
        self.remember(&load, clients.maps.clone());
        let unfit = crate::probe::warnings(&load.config);
        let crowding = crate::probe::crowding(&load.config);
        let crowded = crowding.iter().map(|line| format!("warning: {line}"));
        let warnings = warnings.iter().map(ToString::to_string).chain(unfit).chain(crowded).collect();
        let table = table.with_clients(clients.maps);
        let past = kept.map(|kept| Arc::new(kept.past(&table, &load, others, self.seed)));
        let before = self.compiled.replace(table.clone());
        let given = diff::journaled(&load.config);
        let differences = before.map(|before| Differences::between(&before, &table, given));
        let records = Vec::new();
        Ok(PreparedLoad {
            load,
            text,
            table,
            differences,
            past,
            files,
            warnings,
            crowding,
            saves,
            records,
            broken,
        })
    }

    /// Takes a load as the last one.
    fn remember(&mut self, load: &Load, maps: BTreeMap<ClientsId, Arc<ClientMap>>) {
        let config = load.config.clone();
        let fingerprints = load.zones.iter().map(|base| (base.apex.clone(), base.fingerprint)).collect();
        let of_files = config.zones.iter().filter(|zone| config.catalog.as_ref() != Some(&zone.name));
        self.files = of_files.map(|zone| (zone.name.clone(), zone.file.clone())).collect();
        self.last = Some(Last { config, maps, fingerprints });
    }

    /// What zones published before this start whose contents are other ones now.
    fn others(&self, kept: Option<&Kept>, load: &Load) -> Vec<Zone> {
        let both = kept.zip(self.copies.as_ref());
        both.map(|(kept, copies)| kept.others(&load.zones, copies)).unwrap_or_default()
    }

    /// Keeps what the zones of a load are made from.
    fn keep_copies<'z>(&mut self, load: &Load, files: impl Iterator<Item = &'z Zone>) {
        let Some(copies) = &mut self.copies else { return };
        copies.begin();
        let unedited = load.zones.iter().filter(|base| base.edits == 0);
        let known: BTreeMap<&Name, u64> = unedited.map(|base| (&base.apex, base.fingerprint)).collect();
        for file in files.filter(|zone| !zone.is_empty()) {
            let known = known.get(file.apex()).copied();
            copies.keep(file, known.unwrap_or_else(|| file.fingerprint()));
        }
    }

    /// Lets go of copies of what was loaded before; to be called once what was loaded last is on the disk.
    pub fn settle_copies(&mut self) {
        self.copies.iter_mut().for_each(Snapshots::settle);
    }

    /// What the engine needs to know of a zone.
    fn base(&self, zone: &Source, config: &Config) -> ZoneBase {
        let edits = self.edits.get(zone.file.apex()).map_or(0, Edits::len);
        ZoneBase { edits, ..ZoneBase::of(&zone.contents, config) }
    }

    /// A zone's file with its edits, less those that the file holds by now.
    fn settle(&mut self, zone: Zone, saves: &mut Vec<Saved>) -> Source {
        let apex = zone.apex().clone();
        let mut edits = self.edits.remove(&apex).unwrap_or_default();
        let source = Source::of(zone, &mut edits, saves);
        if !edits.is_empty() {
            self.edits.insert(apex, edits);
        }
        source
    }

    /// What the core is to take up where files are other ones, or gone, that keep what primaries sent; and for
    /// each zone whether its file was any use. Compiles; blocking.
    pub fn received(&mut self, received: Vec<(Name, Option<Box<Zone>>)>) -> Received {
        let Some(held) = &self.held else { return (vec![Ok(()); received.len()], None) };
        let mut zones = held.zones.clone();
        let (mut pending, mut bases, mut saves) = (Vec::new(), Vec::new(), Vec::new());
        let mut receive = |(apex, new): (Name, Option<Box<Zone>>)| {
            let apex = &apex;
            let of = |zone: &&ZoneSource| zone.name == *apex && zone.is_transferred();
            let source = held.config.zones.iter().find(of);
            let held_here = zones.iter_mut().find(|zone| zone.file.apex() == apex);
            // A reload may have taken it away meanwhile.
            let (Some(source), Some(zone)) = (source, held_here) else { return Ok(()) };
            let file = match new {
                Some(new) => Some(*new),
                None => config::transferred(apex, &source.file)?,
            };
            let file = file.unwrap_or_else(|| Zone::hollow(apex.clone()));
            let mut edits = self.edits(apex);
            *zone = Source::of(file, &mut edits, &mut saves);
            bases.push(ZoneBase { edits: edits.len(), ..ZoneBase::of(&zone.contents, &held.config) });
            pending.push((apex.clone(), edits, zone.clone()));
            Ok(())
        };
        let outcomes = received.into_iter().map(&mut receive).collect();
        if bases.is_empty() {
            return (outcomes, None);
        }
        let table = compile(&zones, &steered(&held.config), self.seed).with_clients(held.maps.clone());
        let differences = self.differences(&table, &pending);
        let records = Vec::new();
        let received = pending.iter().map(|(_, _, source)| &source.file).filter(|file| !file.is_empty());
        if let Some(copies) = &mut self.copies {
            received.for_each(|file| copies.replace(file, file.fingerprint()));
        }
        let (compiled, judged_by) = (Some(table.clone()), Vec::new());
        let changed = Changed { zones: bases, table: compiled, differences, saves, records, judged_by };
        (outcomes, Some((changed, Pending { zones: pending, table })))
    }

    /// Holds contents, where that is not done yet, without a load: the files must say what they said when
    /// they were loaded. Whether they are held only since now. Reads files; blocking.
    pub fn hold(&mut self) -> Result<bool, String> {
        if self.held.is_some() {
            return Ok(false);
        }
        let Some(last) = self.last.take() else { return Err("nothing was loaded yet".to_owned()) };
        let held = self.hold_as(&last);
        self.last = Some(last);
        self.held = Some(held?);
        Ok(true)
    }

    fn hold_as(&mut self, last: &Last) -> Result<Held, String> {
        let loaded = self.read().map_err(|refused| {
            format!("the zone files have to be read for this, and cannot be loaded:\n{}", refused.problems)
        })?;
        let mut read: BTreeMap<Name, Zone> =
            loaded.zones.into_iter().map(|zone| (zone.apex().clone(), zone)).collect();
        let mut zones = Vec::with_capacity(last.config.zones.len());
        for ZoneSource { name, .. } in &last.config.zones {
            let is_catalog = last.config.catalog.as_ref() == Some(name);
            let zone = if is_catalog { self.catalog(&last.config) } else { read.remove(name) };
            let same = |zone: &Zone| is_catalog || last.fingerprints.get(name) == Some(&zone.fingerprint());
            let Some(zone) = zone.filter(same) else {
                return Err(format!(
                    "the file of {name} is not as it was loaded; run `detour reload`, then try again"
                ));
            };
            let file = Arc::new(zone);
            zones.push(Source { contents: file.clone(), file });
        }
        Ok(Held { config: last.config.clone(), maps: last.maps.clone(), zones })
    }

    /// The core has taken up the last load.
    pub fn confirm(&mut self) {
        self.before = None;
    }

    /// Goes back to before a load that the core did not take up, and to the edits that are kept: it panicked, and
    /// began again from these.
    pub fn begin_again(&mut self, saved: &[Saved]) {
        if let Some(Before { held, files, last }) = self.before.take() {
            (self.held, self.files, self.last) = (held, files, last);
        }
        self.edits = Kept::of(saved).edits();
        for zone in self.held.iter_mut().flat_map(|held| &mut held.zones) {
            let edits = self.edits.get(zone.file.apex());
            zone.contents = edits.map_or_else(|| zone.file.clone(), |edits| laid(&zone.file, edits));
        }
        // Whatever comes next differs from what is served in nobody knows what.
        self.compiled = None;
    }

    /// Holds contents no longer.
    pub fn let_go(&mut self) {
        self.held = None;
    }

    /// What was loaded last, and the table compiled from it.
    pub(super) fn last(&self) -> Option<(&Last, &Table)> {
        self.last.as_ref().zip(self.compiled.as_ref())
    }

    /// The configuration of the last load; `None` where nothing can change but by files.
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.held.as_ref().map(|held| &held.config)
    }

    /// A zone's file.
    pub fn file(&self, apex: &Name) -> Option<&Path> {
        self.files.get(apex).map(PathBuf::as_path)
    }

    /// A zone, where contents are held.
    pub fn zone(&self, apex: &Name) -> Option<&Source> {
        self.held.as_ref()?.zones.iter().find(|zone| zone.file.apex() == apex)
    }

    /// Whether a zone comes from a primary.
    pub fn is_transferred(&self, apex: &Name) -> bool {
        let zones = self.held.iter().flat_map(|held| &held.config.zones);
        zones.into_iter().any(|zone| zone.name == *apex && zone.is_transferred())
    }

    /// How a zone's serials go on.
    pub fn style(&self, apex: &Name) -> SerialStyle {
        let zones = self.held.iter().flat_map(|held| &held.config.zones);
        zones.into_iter().find(|zone| zone.name == *apex).map(|zone| zone.serial).unwrap_or_default()
    }

    /// The edits of a zone.
    pub fn edits(&self, apex: &Name) -> Edits {
        self.edits.get(apex).cloned().unwrap_or_default()
    }

    /// What the core is to take up: other edits of some zones, what is to be kept and recorded of that, and
    /// records alone where no edits are other ones. `None` where there is nothing at all. Compiles; blocking.
    pub fn change(
        &self,
        mut edits: BTreeMap<Name, Edits>,
        saves: Vec<Saved>,
        records: Vec<Happened>,
    ) -> Option<(Changed, Option<Pending>)> {
        edits.retain(|apex, edits| *edits != self.edits(apex));
        if edits.is_empty() {
            let table = None;
            let judged_by = Vec::new();
            let changed = Changed { zones: Vec::new(), table, differences: None, saves, records, judged_by };
            return (!changed.records.is_empty()).then_some((changed, None));
        }
        let (changed, pending) = self.prepare(edits, saves, records)?;
        Some((changed, Some(pending)))
    }

    /// What the core is to take up so that a zone's serials go on after one that a secondary has: as an update of its
    /// SOA would. `None` where nothing is held, or the serials are a primary's. Compiles; blocking.
    pub fn raise(&self, apex: &Name, seen: Serial) -> Option<(Changed, Option<Pending>)> {
        let source = self.zone(apex).filter(|zone| !zone.file.is_empty() && !self.is_transferred(apex))?;
        let before = source.contents.soa();
        let after = soa_with_serial(&before, seen.next());
        let told = Happened::Updated {
            zone: apex.clone(),
            who: format!("a secondary that has serial {seen}"),
            removed: before.to_lines().collect(),
            added: after.to_lines().collect(),
            more: 0,
        };
        let mut edits = self.edits(apex);
        let changes = edits.change(&source.file, [((apex.clone(), RrType::SOA), Some(after))]).ok()?;
        self.change(BTreeMap::from([(apex.clone(), edits)]), saved(apex, changes).collect(), vec![told])
    }

    /// What comes of other edits of some zones; `None` where nothing is held.
    fn prepare(
        &self,
        edits: BTreeMap<Name, Edits>,
        saves: Vec<Saved>,
        records: Vec<Happened>,
    ) -> Option<(Changed, Pending)> {
        let held = self.held.as_ref()?;
        let mut zones = held.zones.clone();
        let (mut pending, mut bases) = (Vec::new(), Vec::new());
        for (apex, edits) in edits {
            let Some(zone) = zones.iter_mut().find(|zone| *zone.file.apex() == apex) else { continue };
            zone.contents = laid(&zone.file, &edits);
            bases.push(ZoneBase { edits: edits.len(), ..ZoneBase::of(&zone.contents, &held.config) });
            pending.push((apex, edits, zone.clone()));
        }
        let table = compile(&zones, &steered(&held.config), self.seed).with_clients(held.maps.clone());
        let differences = self.differences(&table, &pending);
        let pending = Pending { zones: pending, table: table.clone() };
        let (table, judged_by) = (Some(table), Vec::new());
        Some((Changed { zones: bases, table, differences, saves, records, judged_by }, pending))
    }

    /// Where a table with these zones in it differs from the one compiled last.
    fn differences(&self, table: &Table, pending: &[(Name, Edits, Source)]) -> Option<Differences> {
        let mut given = diff::journaled(self.config()?);
        given.retain(|apex| pending.iter().any(|(changed, _, _)| changed == apex));
        self.compiled.as_ref().map(|before| Differences::between(before, table, given))
    }

    /// Takes up what the core has taken up.
    pub fn done(&mut self, pending: Pending) {
        self.compiled = Some(pending.table);
        for (apex, edits, source) in pending.zones {
            let zones = self.held.iter_mut().flat_map(|held| &mut held.zones);
            zones.filter(|zone| *zone.file.apex() == apex).for_each(|zone| zone.clone_from(&source));
            if edits.is_empty() {
                self.edits.remove(&apex);
            } else {
                self.edits.insert(apex, edits);
            }
        }
    }
}

/// Edits that changed as what is kept of them.
pub fn saved(apex: &Name, changes: Vec<EditChange>) -> impl Iterator<Item = Saved> {
    changes
        .into_iter()
        .map(move |(owner, rtype, edit)| Saved::Edit(EditKey { zone: apex.clone(), owner, rtype }, edit))
}

fn steered(config: &Config) -> Vec<Name> {
    config.services.iter().map(|service| service.name.clone()).collect()
}

fn compile(zones: &[Source], steered: &[Name], seed: u64) -> Table {
    // The table takes zones apart to keep its peak low: it is given copies, which are packed.
    let zones: Vec<Zone> = zones.iter().map(|zone| Zone::clone(&zone.contents)).collect();
    Table::compile(zones, steered, seed)
}
