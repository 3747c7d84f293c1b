//! The whole document: its sections one after the other, and those that stand for themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;

use toml::Spanned;
use toml::de::DeTable;

use super::access;
use super::alerts::{self, DraftReceiver};
use super::catalog;
use super::control;
use super::cookie_secrets;
use super::error::{ConfigError, Known, short};
use super::geo::{self, Databases};
use super::heartbeat::{self, DraftHeartbeat};
use super::history;
use super::keys::{self, DraftKeys};
use super::loading;
use super::maintenance;
use super::moving::{self, MAX_LOAD};
use super::observe;
use super::pem;
use super::primaries;
use super::probes::{self, Probes};
use super::rate_limit;
use super::report::Findings;
use super::secrets;
use super::section::{Item, Reported, Section, entries, or};
use super::services::{self, DraftService};
use super::update;
use super::values;
use super::vantage::{self, DraftVantage};
use crate::dns::{MAX_RRSET_BYTES, Name, SerialStyle};
use crate::model::{
    Access, Control, Geo, HistoryBounds, Maintenance, Observed, Primary, RrsetOrder, Safety, Server, Site,
    SiteId, Told, UpdateRule, VantageSetup, ZoneSource,
};

/// The most sites.
const MAX_SITES: usize = 1_000;
/// The most zones.
const MAX_ZONES: usize = 100_000;
/// The most addresses listened on.
const MAX_LISTEN: usize = 64;
/// The most UDP workers.
const MAX_THREADS: u32 = 256;
/// Commands of `exec` probes that run at once: the most, and unless the document says otherwise.
const MAX_EXEC: u32 = 4_096;
const DEFAULT_EXEC: u32 = 64;
/// Changes kept of each zone: the most, and unless the document says otherwise.
const MAX_JOURNAL: u32 = 100_000;
const DEFAULT_JOURNAL: u32 = 1_000;
/// The longest name server identifier, in bytes: it goes into every answer that asks for it.
const MAX_NSID: usize = 128;
/// The least `max_rrset_bytes`: what an answer without EDNS has room for.
const MIN_RRSET_BYTES: usize = 512;
/// The longest site name, in bytes.
const MAX_SITE_NAME: usize = 128;
/// What a zone needs.
const ZONE_FILE: &str = "file = \"example.com.zone\", or primary = [\"192.0.2.53\"]";
/// The most folders that zone files may include files from.
const MAX_INCLUDE_FOLDERS: usize = 64;
/// The longest path of a file, in bytes.
pub(super) const MAX_FILE_NAME: usize = 4_096;

/// What a document says, as far as it is right.
pub(super) struct Draft {
    pub server: Result<Server, Reported>,
    pub control: Result<Control, Reported>,
    pub heartbeat: Result<Option<DraftHeartbeat>, Reported>,
    pub sites: Sites,
    pub probes: Probes,
    pub zones: Zones,
    pub services: Vec<DraftService>,
    pub vantage: Result<VantageSetup, Reported>,
    pub maintenance: Vec<Maintenance>,
    pub history: Result<HistoryBounds, Reported>,
    pub geo: Vec<Arc<Geo>>,
    pub databases: Databases,
    pub safety: Result<Safety, Reported>,
    pub keys: DraftKeys,
    pub catalog: Result<Option<ZoneSource>, Reported>,
    pub alerts: Result<Vec<DraftReceiver>, Reported>,
    pub observed: Result<Observed, Reported>,
}

/// The zones that are right, and the names of all.
#[derive(Default)]
pub(super) struct Zones {
    pub read: Vec<DraftZone>,
    /// Each with the line it stands on.
    apexes: BTreeMap<Name, usize>,
    /// The catalog, in which nothing else lies.
    catalog: Option<Name>,
    /// Whether a zone's name is wrong, so that it cannot be told what lies outside every zone.
    nameless: bool,
}

/// A zone, and where its file is named.
pub(super) struct DraftZone {
    pub source: ZoneSource,
    /// The file as the document names it; of a transferred zone the primaries stand there.
    pub file: String,
    pub file_at: Range<usize>,
}

impl Zones {
    /// The apex of the deepest zone around a name.
    pub fn around(&self, name: &Spanned<Name>, findings: &mut Findings) -> Result<Name, Reported> {
        let mut at_and_above = std::iter::successors(Some(name.get_ref().clone()), Name::parent);
        let closest = at_and_above
            .find(|above| self.apexes.contains_key(above) || self.catalog.as_ref() == Some(above));
        closest.filter(|above| self.apexes.contains_key(above)).ok_or_else(|| {
            if !self.nameless {
                findings.push_with(&name.span(), || {
                    let apexes: Vec<String> = self.apexes.keys().map(ToString::to_string).collect();
                    let known = Known::new("", apexes.iter().map(String::as_str));
                    ConfigError::OutsideZones(name.get_ref().clone(), known)
                });
            }
            Reported
        })
    }
}

/// The sites that are right, and the keys of all.
#[derive(Default)]
pub(super) struct Sites {
    pub read: Vec<Site>,
    /// Each with where it stands.
    ids: BTreeMap<SiteId, Range<usize>>,
}

impl Sites {
    /// Every key, and where it stands.
    pub fn places(&self) -> impl Iterator<Item = (&SiteId, &Range<usize>)> {
        self.ids.iter()
    }

    /// The site an item names.
    pub fn find(&self, item: Item, findings: &mut Findings) -> Result<SiteId, Reported> {
        let key = item.text("a site's key", findings)?;
        self.ids.get_key_value(key).map(|(id, _)| id.clone()).ok_or_else(|| {
            findings.push_with(&item.at(), || {
                ConfigError::UnknownSite(short(key), Known::new(key, self.ids.keys().map(|id| &**id)))
            });
            Reported
        })
    }
}

/// Reads every section; relative paths are below `base`. Files that are read here are added to `files`.
pub(super) fn read(
    document: &Spanned<DeTable<'_>>,
    base: &Path,
    findings: &mut Findings,
    files: &mut BTreeSet<PathBuf>,
) -> Draft {
    let mut root = Section::new("the file".to_owned(), 0..0, document.get_ref());
    let server = read_server(root.item("server"), base, findings, files);
    let mut named = pem::Files { base, named: files };
    let control = control::read(root.item("control"), &mut named, findings);
    let keys = keys::read(root.item("keys"), base, findings, named.named);
    let heartbeat = heartbeat::read(root.item("heartbeat"), &mut named, findings);
    let sites = root.item("sites").and_then(|item| read_sites(item, findings).ok()).unwrap_or_default();
    let probes = root.item("probes").and_then(|item| probes::read(item, &mut named, findings).ok());
    let probes = probes.unwrap_or_default();
    let state_dir = server.as_ref().map(|server| server.state_dir.clone()).unwrap_or_default();
    let read = match root.item("zone") {
        Some(item) => read_zones(item, base, &state_dir, &keys, findings).ok(),
        None => {
            root.missing("zone", "a [[zone]] with a name and a file", findings);
            None
        }
    };
    let mut zones = read.unwrap_or(Zones { nameless: true, ..Zones::default() });
    let catalog = root.read("catalog", findings, |item, findings| {
        let catalog = catalog::read(item, &keys, findings)?;
        if let Some(first) = zones.apexes.get(&catalog.name) {
            return Err(item.wrong(ConfigError::ZoneTwice(catalog.name, *first), findings));
        }
        zones.catalog = Some(catalog.name.clone());
        Ok(catalog)
    });
    let vantage = match root.item("vantage") {
        Some(item) => vantage::read(item, &probes, findings),
        None => Ok(DraftVantage::default()),
    };
    let read = root.item("geo").and_then(|item| geo::read(item, &sites, base, files, findings).ok());
    let (geo, databases) = read.unwrap_or_default();
    let geos: Vec<Arc<str>> = geo.iter().map(|geo| geo.id.clone()).collect();
    let context = services::Context { sites: &sites, probes: &probes, zones: &zones, geos: &geos };
    let services = root.item("service").and_then(|item| services::read(item, &context, findings).ok());
    let services = services.unwrap_or_default();
    let maintenance = root.item("maintenance");
    let maintenance = maintenance.and_then(|item| maintenance::read(item, &sites, &services, findings).ok());
    let history = history::read(root.item("history"), findings);
    let vantage = vantage.map(|draft| {
        draft.check_services(&services, findings);
        draft.setup
    });
    let mut named = pem::Files { base, named: files };
    let alerts = root.item("alerts").map_or(Ok(Vec::new()), |item| alerts::read(item, &mut named, findings));
    if let Ok(alerts) = &alerts {
        alerts::check_services(alerts, &services, findings);
    }
    let safety =
        root.item("safety").map_or(Ok(Safety::default()), |item| moving::read_safety(item, findings));
    let observed = observe::read(&mut root, base, findings);
    root.finish(findings);
    heartbeat::check(&heartbeat, &services, findings);
    Draft {
        server,
        control,
        heartbeat,
        sites,
        probes,
        zones,
        services,
        vantage,
        maintenance: maintenance.unwrap_or_default(),
        history,
        geo,
        databases,
        safety,
        keys,
        catalog: catalog.map(|read| read.map(Spanned::into_inner)),
        alerts,
        observed,
    }
}

fn read_server(
    item: Option<Item>,
    base: &Path,
    findings: &mut Findings,
    files: &mut BTreeSet<PathBuf>,
) -> Result<Server, Reported> {
    let empty = DeTable::new();
    let mut section = section_or(item, "[server]", &empty, findings)?;
    let listen = section.read("listen", findings, listen);
    let state_dir = section.read("state_dir", findings, values::line(MAX_FILE_NAME));
    let threads = section.read("threads", findings, values::integer(0, MAX_THREADS));
    let nsid = section.read("nsid", findings, values::line(MAX_NSID));
    let chaos = section.read("chaos", findings, values::boolean);
    let cookie_secrets = section.read("cookie_secrets", findings, |item, findings| {
        let name = values::line(MAX_FILE_NAME)(item, findings)?;
        let path = base.join(&name);
        files.insert(path.clone());
        cookie_secrets::read(&path).map_err(|why| {
            let what = format!("cookie secrets {:?}", secrets::file_name(&name, &path));
            item.wrong(ConfigError::Unreadable { what, why }, findings)
        })
    });
    let rrset_order = section.read("rrset_order", findings, |item, findings| {
        Ok(match values::word(item, &["fixed", "rotate"], findings)? {
            "rotate" => RrsetOrder::Rotate,
            _ => RrsetOrder::Fixed,
        })
    });
    let listen = or(listen, vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5353))]);
    let listened = listen.as_ref().map_or(&[][..], |listen| listen);
    let rate_limit = rate_limit::read(section.item("rate_limit"), listened, findings);
    let journal = section.read("journal", findings, values::integer(0, MAX_JOURNAL));
    let max_exec = section.read("max_exec", findings, values::count(MAX_EXEC));
    let include_folders = section.read("include_folders", findings, |item, findings| {
        item.list("folders", MAX_INCLUDE_FOLDERS, findings, values::line(MAX_FILE_NAME))
    });
    let loading = loading::read(&mut section, findings);
    section.finish(findings);
    let threads = match or(threads, 0)? {
        // Where the number of cores cannot be known, one worker is still right.
        0 => available_parallelism().map_or(1, usize::from),
        threads => threads as usize,
    };
    Ok(Server {
        listen: listen?,
        state_dir: base.join(or(state_dir, "state".to_owned())?),
        threads,
        nsid: nsid?.map(Spanned::into_inner),
        chaos: or(chaos, true)?,
        cookie_secrets: cookie_secrets?.map(Spanned::into_inner),
        rrset_order: or(rrset_order, RrsetOrder::Fixed)?,
        rate_limit: rate_limit?,
        journal: or(journal, DEFAULT_JOURNAL)? as usize,
        max_exec: or(max_exec, DEFAULT_EXEC)? as usize,
        include_folders: or(include_folders, Vec::new())?
            .iter()
            .map(|name| base.join(name.get_ref()))
            .collect(),
        loading: loading?,
    })
}

fn listen(item: Item, findings: &mut Findings) -> Result<Vec<SocketAddr>, Reported> {
    let listed = item.list("addresses to listen on", MAX_LISTEN, findings, values::socket)?;
    // Port 0 takes a free one each time, so the same address may ask for several.
    let fixed = listed.iter().filter(|addr| addr.get_ref().port() != 0);
    findings.each_once(fixed, |addr, first| ConfigError::ListenTwice(addr.to_string(), first));
    Ok(listed.into_iter().map(Spanned::into_inner).collect())
}

/// A section that may be left out, which is the same as an empty one.
pub(super) fn section_or<'a>(
    item: Option<Item<'a>>,
    title: &str,
    empty: &'a DeTable<'a>,
    findings: &mut Findings,
) -> Result<Section<'a>, Reported> {
    match item {
        Some(item) => Section::of(title.to_owned(), item, findings),
        None => Ok(Section::new(title.to_owned(), 0..0, empty)),
    }
}

fn read_sites(item: Item, findings: &mut Findings) -> Result<Sites, Reported> {
    let mut sites = Sites::default();
    for (key, item) in entries(item, "sites", MAX_SITES, findings)? {
        sites.ids.insert((*key.get_ref()).into(), key.span());
        let Ok(id) = values::id(&key, findings) else { continue };
        if let Ok(site) = read_site(id, item, findings) {
            sites.read.push(site);
        }
    }
    Ok(sites)
}

fn read_site(id: SiteId, item: Item, findings: &mut Findings) -> Result<Site, Reported> {
    let mut section = Section::of(format!("[sites.{id}]"), item, findings)?;
    let name = section.read("name", findings, values::line(MAX_SITE_NAME));
    let location = section.read("location", findings, location);
    let capacity = section.read("capacity", findings, values::count(MAX_LOAD));
    section.finish(findings);
    Ok(Site {
        name: or(name, id.to_string())?,
        location: location?.map(Spanned::into_inner),
        capacity: capacity?.map(Spanned::into_inner),
        id,
    })
}

/// Latitude and longitude.
fn location(item: Item, findings: &mut Findings) -> Result<[f64; 2], Reported> {
    let mut axis = [90.0, 180.0].into_iter();
    let degrees = item.list("numbers in a location", 2, findings, |item, findings| {
        values::number(axis.next().unwrap_or_default())(item, findings)
    })?;
    match degrees.as_slice() {
        [latitude, longitude] => Ok([*latitude.get_ref(), *longitude.get_ref()]),
        _ => Err(item.wrong_type("a latitude and a longitude", findings)),
    }
}

fn read_zones(
    item: Item,
    base: &Path,
    state_dir: &Path,
    keys: &DraftKeys,
    findings: &mut Findings,
) -> Result<Zones, Reported> {
    let mut zones = Zones::default();
    for item in item.elements("zones", MAX_ZONES, findings)? {
        let Ok(section) = Section::of("[[zone]]".to_owned(), item, findings) else { continue };
        let (name, said) = ZoneKeys::read(section, keys, findings);
        let Ok(name) = name else {
            zones.nameless = true;
            continue;
        };
        let line = findings.line(&name.span());
        if let Some(first) = zones.apexes.get(name.get_ref()) {
            findings.push(&name.span(), ConfigError::ZoneTwice(name.into_inner(), *first));
            continue;
        }
        zones.apexes.insert(name.get_ref().clone(), line);
        let Ok(said) = said else { continue };
        // What is wrong with it is reported.
        if let Ok(Some(zone)) = said.zone(name.into_inner(), base, state_dir, findings) {
            zones.read.push(zone);
        }
    }
    Ok(zones)
}

/// What a [[zone]] says, its name aside.
struct ZoneKeys {
    file: Option<Spanned<String>>,
    primary: Option<Spanned<Vec<Primary>>>,
    update: Vec<UpdateRule>,
    forward: Option<Spanned<Access>>,
    transfer: Access,
    notify: Told,
    serial: SerialStyle,
    max_rrset_bytes: usize,
}

impl ZoneKeys {
    /// The name, and what is said beside it.
    fn read(
        mut section: Section<'_>,
        keys: &DraftKeys,
        findings: &mut Findings,
    ) -> (Result<Spanned<Name>, Reported>, Result<ZoneKeys, Reported>) {
        let name = section.need("name", "name = \"example.com\"", findings, values::name);
        let primary =
            section.read("primary", findings, |item, findings| primaries::read(item, keys, findings));
        let file = match &primary {
            Ok(None) => section.need("file", ZONE_FILE, findings, values::line(MAX_FILE_NAME)).map(Some),
            _ => section.read("file", findings, values::line(MAX_FILE_NAME)),
        };
        let update = match (section.item("update"), &name) {
            (Some(item), Ok(name)) => update::read(item, name.get_ref(), keys, findings),
            _ => Ok(Vec::new()),
        };
        let transfer = section.read("transfer", findings, |item, f| access::access(item, keys, f));
        let notify = section.read("notify", findings, |item, f| access::told(item, keys, f));
        let serial = section.read("serial", findings, serial_style);
        let max_rrset = values::integer(MIN_RRSET_BYTES as u32, MAX_RRSET_BYTES as u32);
        let max_rrset = section.read("max_rrset_bytes", findings, max_rrset);
        let forward = section.read("forward_updates", findings, |item, f| access::access(item, keys, f));
        section.finish(findings);
        let said = || {
            Ok(ZoneKeys {
                file: file?,
                primary: primary?,
                update: update?,
                forward: forward?,
                transfer: or(transfer, Access::default())?,
                notify: or(notify, Told::default())?,
                serial: or(serial, SerialStyle::default())?,
                max_rrset_bytes: or(max_rrset, MAX_RRSET_BYTES as u32)? as usize,
            })
        };
        (name, said())
    }

    /// The zone of this name; `None` where a key is missing, which is reported as that.
    fn zone(
        self,
        name: Name,
        base: &Path,
        state_dir: &Path,
        findings: &mut Findings,
    ) -> Result<Option<DraftZone>, Reported> {
        let ZoneKeys { file, primary, update, forward, transfer, notify, serial, max_rrset_bytes } = self;
        if let Some(forward) = &forward {
            let wrong = match (&primary, update.is_empty()) {
                (None, _) => Some(ConfigError::ForwardWhere),
                (Some(_), false) => Some(ConfigError::Beside("update", "forward_updates")),
                (Some(_), true) => None,
            };
            if let Some(wrong) = wrong {
                findings.push(&forward.span(), wrong);
                return Err(Reported);
            }
        }
        let (path, shown, file_at, primaries) = match (file, primary) {
            (Some(file), None) => {
                (base.join(file.get_ref()), file.get_ref().clone(), file.span(), Vec::new())
            }
            (None, Some(primary)) => {
                let path = primaries::kept_in(state_dir, &name);
                (path.clone(), path.display().to_string(), primary.span(), primary.into_inner())
            }
            (Some(file), Some(_)) => {
                findings.push(&file.span(), ConfigError::Beside("file", "primary"));
                return Err(Reported);
            }
            (None, None) => return Ok(None),
        };
        let forward_updates = forward.map(Spanned::into_inner).unwrap_or_default();
        let source = ZoneSource {
            name,
            file: path,
            primaries,
            update,
            forward_updates,
            transfer,
            notify,
            serial,
            max_rrset_bytes,
        };
        Ok(Some(DraftZone { source, file_at, file: shown }))
    }
}

fn serial_style(item: Item, findings: &mut Findings) -> Result<SerialStyle, Reported> {
    Ok(match values::word(item, &["increment", "date", "unix"], findings)? {
        "date" => SerialStyle::Date,
        "unix" => SerialStyle::Unix,
        _ => SerialStyle::Increment,
    })
}
