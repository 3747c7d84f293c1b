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
use super::held::{Held, HeldZone, saved, takes_edits};
use super::messages::{OnlyContents, PreparedLoad, Refused};
use super::recovery::{Kept, PublishedState};
use super::snapshots::Snapshots;
use crate::answer::{ClientMap, Table};
use crate::config::{self, KnownZones, Loaded, ReadZone, Report, ZoneFiles};
use crate::dns::{Name, Serial, SerialStyle};
use crate::engine::{Load, Saved, Undecided, ZoneBase, services_by_zone};
use crate::geo;
use crate::model::{Config, Service, ZoneSource};
use crate::sys::clock::wall_secs;
use crate::transfer::inbound::discard_expired;
use crate::zone::{ClientsId, Edits, Laid, Zone};

/// The sources of all zones.
pub struct Sources {
    path: PathBuf,
    pub(super) seed: u64,
    /// By apex; also of zones that are not configured just now.
    pub(super) edits: BTreeMap<Name, Edits>,
    pub(super) held: Option<Held>,
    /// The table compiled last, before decisions are laid over it.
    pub(super) compiled: Option<Table>,
    /// The file of each zone.
    files: BTreeMap<Name, PathBuf>,
    /// The catalog's name and the serial it counts from.
    catalog: Option<(Name, Serial)>,
    /// What was loaded last.
    pub(super) last: Option<Last>,
    /// What was loaded before that, until the core has taken it up.
    before: Option<Before>,
    /// Copies of what was loaded, once the state directory is known.
    pub(super) copies: Option<Snapshots>,
    /// What was published before this start, until the first load.
    kept: Option<Kept>,
    /// Has every load read and compile all there is: what tests hold other loads against.
    #[cfg(test)]
    pub whole: bool,
}

/// What every load leaves behind.
pub(super) struct Last {
    pub(super) config: Arc<Config>,
    pub(super) maps: BTreeMap<ClientsId, Arc<ClientMap>>,
    /// The configuration's text.
    pub(super) text: Arc<str>,
    /// Of each zone that was known, by apex.
    pub(super) bases: Vec<Arc<ZoneBase>>,
    /// For each zone of the configuration what its files were; none where they are to be read again.
    pub(super) files: Vec<Option<ZoneFiles>>,
}

impl Last {
    /// What the engine was told of a zone.
    pub(super) fn base(&self, apex: &Name) -> Option<&Arc<ZoneBase>> {
        let at = self.bases.binary_search_by(|base| base.apex.cmp(apex)).ok()?;
        self.bases.get(at)
    }

    /// That of the contents a zone had.
    pub(super) fn fingerprint(&self, apex: &Name) -> Option<u64> {
        self.base(apex).map(|base| base.fingerprint)
    }
}

/// What a load takes the place of.
struct Before {
    held: Option<Held>,
    files: BTreeMap<Name, PathBuf>,
    last: Option<Last>,
}

/// What comes of a load.
pub(super) struct Built {
    pub(super) load: Load,
    /// Of the contents, before decisions are laid over them.
    pub(super) table: Table,
    pub(super) differences: Option<Differences>,
    pub(super) past: Option<Arc<PublishedState>>,
    pub(super) saves: Vec<Saved>,
    pub(super) only: Option<OnlyContents>,
}

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
            #[cfg(test)]
            whole: false,
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

    /// Reads and checks the files; zone files that are what they were are not read. Blocking.
    pub fn read(&self) -> Result<Loaded<ReadZone>, Refused> {
        let contents = |apex: &Name| self.contents_of_file(apex);
        let last = self.last.as_ref();
        #[cfg(test)]
        let last = last.filter(|_| !self.whole);
        let known = last.map(|last| KnownZones {
            text: &last.text,
            config: &last.config,
            files: &last.files,
            contents: &contents,
        });
        let mut loaded = config::load_again(&self.path, known.as_ref(), wall_secs()).map_err(refused)?;
        for (source, zone) in loaded.config.zones.iter().zip(&mut loaded.zones) {
            if let ReadZone::Read(zone) = zone {
                self.discard_expired(source, zone);
            }
        }
        Ok(loaded)
    }

    /// Reads and checks all files at a start: of a zone whose file is broken its copy, or nothing, blocking.
    pub fn read_at_start(&self) -> Result<Loaded, Refused> {
        self.all_read(config::load_at_start(&self.path, wall_secs()))
    }

    fn all_read(&self, loaded: Result<Loaded, Report>) -> Result<Loaded, Refused> {
        let mut loaded = loaded.map_err(refused)?;
        for (source, zone) in loaded.config.zones.iter().zip(&mut loaded.zones) {
            self.discard_expired(source, zone);
        }
        Ok(loaded)
    }

    fn discard_expired(&self, source: &ZoneSource, zone: &mut Zone) {
        let kept = source.is_transferred() && !zone.is_empty();
        // What is looked after already expires by a clock that nobody sets.
        let begins = self.file(&source.name).is_none();
        if kept && begins && discard_expired(&source.file, zone, wall_secs()) {
            *zone = Zone::hollow(source.name.clone());
        }
    }

    /// What the file of a zone held when it was read last, where that is at hand: where zones are not held, the
    /// table compiled from them has it.
    pub(super) fn contents_of_file(&self, apex: &Name) -> Option<Arc<Zone>> {
        if let Some(held) = &self.held {
            return held.zones.get(apex).map(|zone| zone.file.clone());
        }
        let (last, table) = self.last()?;
        let zone = Zone::of_rrsets(apex.clone(), table.rrsets(apex));
        (last.fingerprint(apex) == Some(zone.fingerprint())).then(|| Arc::new(zone))
    }

    /// Puts in the place of each zone whose file is broken the copy of what was loaded last, where there is one
    /// that the services can be laid over, blocking.
    pub fn stand_in(&self, loaded: &mut Loaded) {
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

    /// Lays the edits over what a start read, and compiles it, blocking.
    pub fn build(&mut self, loaded: Loaded) -> Result<PreparedLoad, Refused> {
        self.build_again(loaded.map(ReadZone::Read))
    }

    /// Lays the edits over what was read and what is what it was, and makes a table of that: where the zones are the
    /// ones there were, of what changed alone. Blocking.
    pub fn build_again(&mut self, loaded: Loaded<ReadZone>) -> Result<PreparedLoad, Refused> {
        let clients = match geo::clients(&loaded.config, &loaded.databases) {
            Ok(clients) => clients,
            Err(why) => {
                let problems = format!("{}: error: {why}", loaded.config.path.display());
                return Err(Refused { problems, files: loaded.files, is_loss: false });
            }
        };
        let Loaded { config, text, mut zones, known, read, warnings, files, databases, broken } = loaded;
        // The databases may be large; the maps made from them are not.
        drop(databases);
        if let (Some(catalog), Some(last)) = (self.catalog(&config), zones.last_mut()) {
            *last = ReadZone::Read(catalog);
        }
        let changes = config.zones.iter().any(|zone| !zone.update.is_empty() || zone.is_transferred());
        let edited = zones.iter().any(|zone| self.edits.contains_key(zone.apex()));
        // Of a zone whose file is broken nothing can be read again.
        let holds = changes || edited || !broken.is_empty();
        let config = Arc::new(config);
        let built =
            if self.kept.is_none() && broken.is_empty() && self.has_same_zones(&config, &clients, holds) {
                self.patch(&config, &text, zones, &clients)
            } else {
                let zones = self.all_contents(&config, zones)?;
                self.build_all(&config, zones, &clients, holds)
            };
        let Built { load, table, differences, past, saves, only } = built;
        for broken in &broken {
            // Also where it is no use under this configuration: it may be under the next.
            self.copies.iter_mut().for_each(|copies| copies.retain(&broken.zone));
        }
        self.remember(&load, clients.maps, text.clone(), known);
        self.compiled = Some(table.clone());
        let unfit = crate::probe::warnings(&load.config);
        let crowding = crate::probe::crowding(&load.config);
        let crowded = crowding.iter().map(|line| format!("warning: {line}"));
        let warnings = warnings.iter().map(ToString::to_string).chain(unfit).chain(crowded).collect();
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
            read,
            only,
        })
    }

    /// What all zones hold, those too whose files are what they were. Blocking.
    fn all_contents(&self, config: &Config, zones: Vec<ReadZone>) -> Result<Vec<Zone>, Refused> {
        let contents = |zone: ReadZone| match zone {
            ReadZone::Read(zone) => Some(zone),
            ReadZone::Unchanged(apex) => self.contents_of_file(&apex).map(Arc::unwrap_or_clone),
        };
        if let Some(all) = zones.into_iter().map(contents).collect::<Option<Vec<Zone>>>() {
            return Ok(all);
        }
        // Whatever it is that is not known any more, the files say it.
        let read = self.all_read(config::load(&self.path))?;
        let mut read: BTreeMap<Name, Zone> =
            read.zones.into_iter().map(|zone| (zone.apex().clone(), zone)).collect();
        let zone = |source: &ZoneSource| {
            read.remove(&source.name).unwrap_or_else(|| Zone::hollow(source.name.clone()))
        };
        Ok(config.zones.iter().map(zone).collect())
    }

    /// Compiles all zones, blocking.
    fn build_all(
        &mut self,
        config: &Arc<Config>,
        zones: Vec<Zone>,
        clients: &geo::Clients,
        holds: bool,
    ) -> Built {
        let kept = self.kept.take();
        let mut steered = steered(config);
        // What something was laid over before this start existed then, whatever its file has there.
        steered.extend(kept.iter().flat_map(|kept| kept.names(config.zones.iter().map(|zone| &zone.name))));
        if kept.is_some() {
            steered.sort();
            steered.dedup();
        }
        self.set_aside();
        let mut saves = kept.as_ref().map(Kept::publishing).unwrap_or_default();
        let config = config.clone();
        let (load, table, others) = if holds {
            self.build_held(config, zones, clients, &steered, kept.as_ref(), &mut saves)
        } else {
            // Before the table, which takes the zones apart.
            let load = Load::of(config, &zones, clients.regions.clone());
            let others = self.others(kept.as_ref(), &load);
            self.keep_copies(&load, zones.iter());
            self.held = None;
            (load, Table::compile(zones, &steered, self.seed), others)
        };
        let table = table.with_clients(clients.maps.clone());
        let past = kept.map(|kept| Arc::new(kept.past(&table, &load, others, self.seed)));
        let given = diff::journaled(&load.config);
        let differences = self.compiled.as_ref().map(|before| Differences::between(before, &table, given));
        Built { load, table, differences, past, saves, only: None }
    }

    /// Keeps what was loaded before until the core has taken up what comes now.
    pub(super) fn set_aside(&mut self) {
        let (held, files) = (self.held.take(), std::mem::take(&mut self.files));
        self.before = Some(Before { held, files, last: self.last.take() });
    }

    /// What comes of zones that are held from now on, and what those published before whose contents are other ones.
    fn build_held(
        &mut self,
        config: Arc<Config>,
        zones: Vec<Zone>,
        clients: &geo::Clients,
        steered: &[Name],
        kept: Option<&Kept>,
        saves: &mut Vec<Saved>,
    ) -> (Load, Table, Vec<Zone>) {
        let services = services_by_zone(&config);
        let mut held = Vec::with_capacity(zones.len());
        for zone in zones {
            self.settle(&zone, saves);
            let base = self.base(&zone, services.get(zone.apex()).map_or(&[][..], Vec::as_slice));
            held.push((Arc::new(zone), Arc::new(base)));
        }
        let known = held.iter().filter(|(file, _)| !file.is_empty());
        let bases = known.map(|(_, base)| base.clone()).collect();
        let (regions, undecided) = (clients.regions.clone(), Undecided::default());
        let load = Load { config: config.clone(), zones: bases, regions, undecided };
        let others = self.others(kept, &load);
        let files = || held.iter().map(|(file, _)| &**file);
        self.keep_copies(&load, files());
        let table = self.compile(files(), steered);
        self.held = Some(Held::new(config, clients.maps.clone(), held));
        (load, table, others)
    }

    /// Takes a load as the last one.
    fn remember(
        &mut self,
        load: &Load,
        maps: BTreeMap<ClientsId, Arc<ClientMap>>,
        text: Arc<str>,
        files: Vec<Option<ZoneFiles>>,
    ) {
        let config = load.config.clone();
        let mut bases = load.zones.clone();
        bases.sort_unstable_by(|one, other| one.apex.cmp(&other.apex));
        let of_files = config.zones.iter().filter(|zone| config.catalog.as_ref() != Some(&zone.name));
        self.files = of_files.map(|zone| (zone.name.clone(), zone.file.clone())).collect();
        self.last = Some(Last { config, maps, text, bases, files });
    }

    /// What zones published before this start whose contents are other ones now.
    fn others(&self, kept: Option<&Kept>, load: &Load) -> Vec<Zone> {
        let both = kept.zip(self.copies.as_ref());
        let earlier = |apex: &Name, serial| {
            let source = load.config.zones.iter().find(|zone| zone.name == *apex && zone.is_transferred())?;
            config::transferred_at(apex, &source.file, serial)
        };
        both.map(|(kept, copies)| kept.others(&load.zones, copies, earlier)).unwrap_or_default()
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

    /// What the engine needs to know of a zone: its file with its edits.
    pub(super) fn base(&self, file: &Zone, services: &[&Service]) -> ZoneBase {
        let edits = self.edits(file.apex());
        if !takes_edits(file) || edits.is_empty() {
            return ZoneBase {
                edits: edits.len(),
                ..ZoneBase::of(&Laid::plain(file), file.fingerprint(), services)
            };
        }
        let fingerprint = edits.fingerprint_over(file);
        ZoneBase { edits: edits.len(), ..ZoneBase::of(&Laid::new(file, edits), fingerprint, services) }
    }

    /// Lets go of the edits of a zone that its file holds by now.
    pub(super) fn settle(&mut self, file: &Zone, saves: &mut Vec<Saved>) {
        if let Some(edits) = self.edits.get_mut(file.apex()).filter(|_| takes_edits(file)) {
            saves.extend(saved(file.apex(), edits.settle(file)));
            if edits.is_empty() {
                self.edits.remove(file.apex());
            }
        }
    }

    /// The table of these files with their edits.
    fn compile<'z>(&self, files: impl Iterator<Item = &'z Zone>, steered: &[Name]) -> Table {
        // The table takes zones apart to keep its peak low: it is given copies, which are packed.
        let zones: Vec<Zone> = files.map(|file| self.contents(file)).collect();
        Table::compile(zones, steered, self.seed)
    }

    /// What a file holds with its edits laid over it.
    pub(super) fn contents(&self, file: &Zone) -> Zone {
        let edits = self.edits(file.apex());
        if edits.is_empty() || !takes_edits(file) { file.clone() } else { edits.lay(file) }
    }

    /// The table compiled last. After a core that began again it is made anew.
    pub(super) fn table(&self, held: &Held) -> Table {
        self.compiled.clone().unwrap_or_else(|| {
            let mut zones: Vec<&HeldZone> = held.zones.values().collect();
            zones.sort_by_key(|zone| zone.place);
            let files = zones.into_iter().map(|zone| &*zone.file);
            self.compile(files, &steered(&held.config)).with_clients(held.maps.clone())
        })
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
        let loaded = self.all_read(config::load(&self.path)).map_err(|refused| {
            format!("the zone files have to be read for this, and cannot be loaded:\n{}", refused.problems)
        })?;
        let mut read: BTreeMap<Name, Zone> =
            loaded.zones.into_iter().map(|zone| (zone.apex().clone(), zone)).collect();
        let mut zones = Vec::with_capacity(last.config.zones.len());
        let services = services_by_zone(&last.config);
        for ZoneSource { name, .. } in &last.config.zones {
            let is_catalog = last.config.catalog.as_ref() == Some(name);
            let zone = if is_catalog { self.catalog(&last.config) } else { read.remove(name) };
            let same = |zone: &Zone| is_catalog || last.fingerprint(name) == Some(zone.fingerprint());
            let Some(zone) = zone.filter(same) else {
                return Err(format!(
                    "the file of {name} is not as it was loaded; run `detour reload`, then try again"
                ));
            };
            let base = self.base(&zone, services.get(name).map_or(&[][..], Vec::as_slice));
            zones.push((Arc::new(zone), Arc::new(base)));
        }
        Ok(Held::new(last.config.clone(), last.maps.clone(), zones))
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
        if let Some(mut held) = self.held.take() {
            for zone in held.zones.values_mut() {
                let services = zone.services();
                zone.base = Arc::new(self.base(&zone.file, &services));
            }
            self.held = Some(held);
        }
        // Whatever comes next differs from what is served in nobody knows what.
        self.compiled = None;
        self.forget_files();
    }

    /// Has the next load read all files.
    pub fn forget_files(&mut self) {
        self.last.iter_mut().for_each(|last| last.files.clear());
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
    pub(super) fn zone(&self, apex: &Name) -> Option<&HeldZone> {
        self.held.as_ref()?.zones.get(apex)
    }

    /// What a zone's file holds, where contents are held.
    pub fn source(&self, apex: &Name) -> Option<&Zone> {
        self.zone(apex).map(|zone| &*zone.file)
    }

    /// What a zone holds, where contents are held.
    pub fn laid(&self, apex: &Name) -> Option<Laid<'_>> {
        let file = self.source(apex)?;
        Some(if takes_edits(file) { Laid::new(file, self.edits(apex)) } else { Laid::plain(file) })
    }

    /// What the configuration says of a zone, where contents are held.
    pub fn configured(&self, apex: &Name) -> Option<&ZoneSource> {
        self.held.as_ref()?.source(apex)
    }

    /// Whether a zone comes from a primary.
    pub fn is_transferred(&self, apex: &Name) -> bool {
        self.configured(apex).is_some_and(ZoneSource::is_transferred)
    }

    /// How a zone's serials go on.
    pub fn style(&self, apex: &Name) -> SerialStyle {
        self.configured(apex).map(|zone| zone.serial).unwrap_or_default()
    }

    /// The edits of a zone.
    pub fn edits(&self, apex: &Name) -> &Edits {
        static NONE: Edits = Edits::none();
        self.edits.get(apex).unwrap_or(&NONE)
    }
}

fn refused(report: Report) -> Refused {
    Refused { problems: report.to_string(), files: report.files, is_loss: false }
}

fn steered(config: &Config) -> Vec<Name> {
    config.services.iter().map(|service| service.name.clone()).collect()
}
