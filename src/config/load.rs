//! From a path to a checked configuration and its zones.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::advise;
use super::document::{self, Draft};
use super::error::ConfigError;
use super::files::read_bounded;
use super::geo::Databases;
use super::known::{KnownZones, ReadZone, ZoneFiles};
use super::report::{Findings, Problem, Report};
use super::rto;
use super::source::Source;
use super::syntax;
use super::zone_files::{self, BrokenZone};
use crate::dns::{Name, Serial, soa_minimum};
use crate::model::{Config, catalog};
use crate::zone::Zone;

/// The largest configuration file, in bytes: 100,000 services take about 20 MB.
const MAX_CONFIG_BYTES: u64 = 64 << 20;

/// A configuration and everything it names, checked.
#[derive(Clone, Debug)]
pub struct Loaded<Z = Zone> {
    /// The configuration.
    pub config: Config,
    /// The file's text, as history keeps it.
    pub text: Arc<str>,
    /// One for each of `config.zones`, in that order; hollow where a primary has not sent it yet.
    pub zones: Vec<Z>,
    /// For each of them what its files were, where that spares the next load work.
    pub known: Vec<Option<ZoneFiles>>,
    /// How many zones have files that were read.
    pub read: usize,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
    /// Every file that was read, this one and the `$INCLUDE`d ones too: a change to any is worth a reload.
    pub files: Vec<PathBuf>,
    /// What the databases of `config.geo` hold.
    pub databases: Databases,
    /// Zones whose files are no use, which are hollow here; none but at a start.
    pub broken: Vec<BrokenZone>,
}

/// What becomes of a zone whose file is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// Nothing is loaded.
    Refused,
    /// The zone is hollow, unless the document wants a strict start.
    Spared,
}

/// Reads and checks a configuration file and the zone files it names.
///
/// # Errors
///
/// Every problem there is.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    load_as(path, Broken::Refused, None, 0).map(Loaded::all_read)
}

/// The same at `now`, in seconds since 1970; but of zone files that are what they were, what is known of them stands.
///
/// # Errors
///
/// Every problem there is.
pub fn load_again(path: &Path, known: Option<&KnownZones>, now: u64) -> Result<Loaded<ReadZone>, Report> {
    load_as(path, Broken::Refused, known, now)
}

/// The same for a start: a zone whose file is broken does not keep the others from being served, unless
/// the configuration wants that (`server.strict_start`).
///
/// # Errors
///
/// Every problem there is, where one is with the configuration.
pub fn load_at_start(path: &Path, now: u64) -> Result<Loaded, Report> {
    load_as(path, Broken::Spared, None, now).map(Loaded::all_read)
}

fn load_as(
    path: &Path,
    broken: Broken,
    known: Option<&KnownZones>,
    now: u64,
) -> Result<Loaded<ReadZone>, Report> {
    let shown = path.display().to_string();
    let unreadable = |why: io::Error| {
        let what = "the configuration".to_owned();
        let error = ConfigError::Unreadable { what, why: why.to_string() };
        Report::of_file(&shown, error, vec![absolute(path)])
    };
    let bytes = read_bounded(path, MAX_CONFIG_BYTES).map_err(unreadable)?;
    match String::from_utf8(bytes) {
        Ok(text) => check_as(path, text, broken, known, now),
        Err(error) => Err(not_utf8(&shown, &error, vec![absolute(path)])),
    }
}

/// Checks a configuration's text, that of the file at `path`, and the zone files it names.
pub fn check(path: &Path, text: String) -> Result<Loaded, Report> {
    check_as(path, text, Broken::Refused, None, 0).map(Loaded::all_read)
}

impl<Z> Loaded<Z> {
    /// The same with each zone made into something else.
    #[must_use]
    pub fn map<T>(self, each: impl FnMut(Z) -> T) -> Loaded<T> {
        let Loaded { config, text, zones, known, read, warnings, files, databases, broken } = self;
        let zones = zones.into_iter().map(each).collect();
        Loaded { config, text, zones, known, read, warnings, files, databases, broken }
    }
}

impl Loaded<ReadZone> {
    /// Where nothing was known before.
    fn all_read(self) -> Loaded {
        self.map(|zone| match zone {
            ReadZone::Read(zone) => zone,
            ReadZone::Unchanged(apex) => Zone::hollow(apex),
        })
    }
}

fn check_as(
    path: &Path,
    text: String,
    broken: Broken,
    known: Option<&KnownZones>,
    now: u64,
) -> Result<Loaded<ReadZone>, Report> {
    let source = &Source::new(&path.display().to_string(), text);
    let path = absolute(path);
    let mut files = BTreeSet::from([path.clone()]);
    let mut findings = Findings::new(source);
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        syntax::note(&errors, source, &mut findings);
        return Err(findings.into_report(files.into_iter().collect()));
    }
    let base = path.parent().unwrap_or(Path::new("/"));
    let mut draft = document::read(&document, base, &mut findings, &mut files);
    let shown = Path::new(&*source.file).parent().unwrap_or(Path::new(""));
    let strict = draft.server.as_ref().is_ok_and(|server| server.loading.strict_start);
    let spares = broken == Broken::Spared && !strict;
    let reading = zone_files::Reading { shown, text: &source.text, spares, known, now };
    let zone_files::ZonesRead { mut zones, files: mut known_files, read, broken } =
        zone_files::read(&draft, &reading, &mut findings, &mut files);
    let negative_ttls = negative_ttls(&zones, known.map(|known| &known.config.negative_ttls));
    rto::check(&draft, &negative_ttls, &mut findings);
    advise::rings(&draft.services, &mut findings);
    if findings.errors() == 0 {
        advise::look(&draft, &negative_ttls, &mut findings);
    }
    let files = files.into_iter().collect();
    let databases = std::mem::take(&mut draft.databases);
    match (findings.errors(), assemble(draft, path, negative_ttls)) {
        (0, Some(config)) => {
            zones.extend(catalog(&config, Serial(1)).map(ReadZone::Read));
            known_files.resize(zones.len(), None);
            let (text, warnings) = (source.text.as_str().into(), findings.into_warnings());
            Ok(Loaded { config, text, zones, known: known_files, read, warnings, files, databases, broken })
        }
        _ => Err(findings.into_report(files)),
    }
}

/// The configuration that a text from history came to when it was the file at `path`. Zone files are not
/// read: they may have changed since, and history knows what they were. Certificates and secrets are.
pub fn recall(path: &Path, text: &str) -> Result<Config, Report> {
    let source = &Source::new(&path.display().to_string(), text.to_owned());
    let mut files = BTreeSet::new();
    let mut findings = Findings::new(source);
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    syntax::note(&errors, source, &mut findings);
    let base = path.parent().unwrap_or(Path::new("/"));
    let draft = document::read(&document, base, &mut findings, &mut files);
    rto::check(&draft, &BTreeMap::new(), &mut findings);
    match (findings.errors(), assemble(draft, path.to_owned(), BTreeMap::new())) {
        (0, Some(config)) => Ok(config),
        _ => Err(findings.into_report(files.into_iter().collect())),
    }
}

/// The path from the root. Without a current folder there is none, and the path as it is has to do.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// For how long resolvers keep that a zone has no such record (RFC 2308 section 5), in seconds.
fn negative_ttls(zones: &[ReadZone], before: Option<&BTreeMap<Name, u32>>) -> BTreeMap<Name, u32> {
    let ttl = |zone: &ReadZone| match zone {
        ReadZone::Read(zone) if zone.is_empty() => None,
        ReadZone::Read(zone) => {
            let soa = zone.soa();
            Some((zone.apex().clone(), soa_minimum(&soa).min(soa.ttl)))
        }
        ReadZone::Unchanged(apex) => Some((apex.clone(), *before?.get(apex)?)),
    };
    zones.iter().filter_map(ttl).collect()
}

fn assemble(draft: Draft, path: PathBuf, negative_ttls: BTreeMap<Name, u32>) -> Option<Config> {
    let Draft {
        server: Ok(server),
        control: Ok(control),
        heartbeat: Ok(heartbeat),
        vantage: Ok(vantage),
        safety: Ok(safety),
        alerts: Ok(alerts),
        observed: Ok(observed),
        maintenance,
        history: Ok(history),
        sites,
        probes,
        zones,
        services,
        geo,
        databases: _,
        keys,
        catalog: Ok(catalog),
    } = draft
    else {
        return None; // reported where it was read
    };
    Some(Config {
        path,
        server,
        control,
        heartbeat: heartbeat.map(|draft| draft.read),
        sites: sites.read,
        probes: probes.read,
        negative_ttls,
        catalog: catalog.as_ref().map(|catalog| catalog.name.clone()),
        zones: zones.read.into_iter().map(|zone| zone.source).chain(catalog).collect(),
        services: services.into_iter().map(|draft| draft.service).collect(),
        vantage,
        maintenance,
        history,
        observed,
        geo,
        safety,
        keys: Arc::new(keys.read),
        alerts: alerts.into_iter().map(|draft| Arc::new(draft.read)).collect(),
    })
}

fn not_utf8(shown: &str, error: &std::string::FromUtf8Error, files: Vec<PathBuf>) -> Report {
    let good = error.utf8_error().valid_up_to();
    let source = Source::new(shown, String::from_utf8_lossy(error.as_bytes()).into_owned());
    let mut findings = Findings::new(&source);
    findings.push(&(good..good), ConfigError::NotUtf8);
    findings.into_report(files)
}
