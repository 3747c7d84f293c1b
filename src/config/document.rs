//! The whole document: its sections one after the other, and those that stand for themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::alerts::{self, DraftReceiver};
use super::catalog;
use super::control;
use super::error::ConfigError;
use super::geo::{self, Databases};
use super::heartbeat::{self, DraftHeartbeat};
use super::history;
use super::keys::{self, DraftKeys};
use super::maintenance;
use super::moving;
use super::observe;
use super::pem;
use super::probes::{self, Probes};
use super::report::Findings;
use super::section::{Reported, Section};
use super::server;
use super::services::{self, DraftService};
use super::sites::{self, Sites};
use super::vantage::{self, DraftVantage};
use super::zones::{self, Zones};
use crate::model::{
    Control, Geo, HistoryBounds, Maintenance, Observed, Safety, Server, VantageSetup, ZoneSource,
};

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

/// Reads every section; relative paths are below `base`. Files that are read here are added to `files`.
pub(super) fn read(
    document: &Spanned<DeTable<'_>>,
    base: &Path,
    findings: &mut Findings,
    files: &mut BTreeSet<PathBuf>,
) -> Draft {
    let mut root = Section::new("the file".to_owned(), 0..0, document.get_ref());
    let server = server::read(root.item("server"), base, findings, files);
    let mut named = pem::Files { base, named: files };
    let control = control::read(root.item("control"), &mut named, findings);
    let keys = keys::read(root.item("keys"), base, findings, named.named);
    let heartbeat = heartbeat::read(root.item("heartbeat"), &mut named, findings);
    let sites = root.item("sites").and_then(|item| sites::read(item, findings).ok()).unwrap_or_default();
    let probes = root.item("probes").and_then(|item| probes::read(item, &mut named, findings).ok());
    let probes = probes.unwrap_or_default();
    let state_dir = server.as_ref().map(|server| server.state_dir.clone()).unwrap_or_default();
    let read = match root.item("zone") {
        Some(item) => zones::read(item, base, &state_dir, &keys, findings).ok(),
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
