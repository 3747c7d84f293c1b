//! The loader: configuration and zone files in, a checked load with its compiled table out, off the
//! core's thread, one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::messages::{Asker, Fresh, Input, Refused};
use crate::answer::Table;
use crate::config::{self, Config};
use crate::engine::{Load, ZoneBase};
use crate::geo;
use crate::zone::{Name, RrType, Zone};

/// Reads, checks and compiles, blocking.
pub fn load(path: &Path, seed: u64) -> Result<Fresh, Refused> {
    let config::Loaded { config, zones, warnings, files, databases } =
        config::load(path).map_err(|report| Refused { problems: report.to_string(), files: report.files })?;
    let steered: Vec<Name> = config.services.iter().map(|service| service.name.clone()).collect();
    // Before the table, which takes the zones apart.
    let bases = zones.iter().map(|zone| base(zone, &config)).collect();
    let clients = match geo::clients(&config, &databases) {
        Ok(clients) => clients,
        Err(why) => {
            let problems = format!("{}: error: {why}", config.path.display());
            return Err(Refused { problems, files });
        }
    };
    // The databases may be large; the maps made from them are not.
    drop(databases);
    let table = Table::compile(zones, &steered, seed).with_clients(clients.maps);
    let unfit = crate::probe::warnings(&config);
    let warnings = warnings.iter().map(ToString::to_string).chain(unfit).collect();
    Ok(Fresh {
        load: Load { config: Arc::new(config), zones: bases, regions: clients.regions },
        table,
        files,
        warnings,
    })
}

/// [`load`] on a thread where blocking harms nobody.
pub async fn load_aside(path: PathBuf, seed: u64) -> Result<Fresh, Refused> {
    let loaded = tokio::task::spawn_blocking(move || load(&path, seed)).await;
    // A panic in there is a bug, and the last good configuration goes on all the same.
    loaded.unwrap_or_else(|e| {
        Err(Refused { problems: format!("loading the configuration failed: {e}"), files: Vec::new() })
    })
}

/// What the engine needs to know of a zone file.
fn base(zone: &Zone, config: &Config) -> ZoneBase {
    let steered = config.services.iter().filter(|service| service.zone == *zone.apex());
    let mut base = ZoneBase {
        apex: zone.apex().clone(),
        soa: zone.soa(),
        fingerprint: zone.fingerprint(),
        steered: Vec::new(),
        beside: Vec::new(),
    };
    let mut by_client = BTreeSet::new();
    for service in steered {
        let own = service.endpoints.iter().flat_map(|endpoint| &endpoint.records).map(|(rtype, _)| *rtype);
        let types: BTreeSet<RrType> =
            [RrType::A, RrType::AAAA, RrType::CNAME].into_iter().chain(own).collect();
        base.steered.extend(types.iter().filter_map(|&rtype| zone.rrset(&service.name, rtype)));
        if service.tree.is_some() || !service.moving.steps.is_empty() {
            by_client.insert((service.name.as_wire(), types));
        }
    }
    if by_client.is_empty() {
        return base;
    }
    // Who gets an answer of their own gets all there is at the name in it, but for what shapes the zone.
    let by_client: BTreeMap<_, _> = by_client.into_iter().collect();
    for set in zone.rrsets() {
        let shapes = matches!(set.rtype, RrType::SOA | RrType::NS | RrType::DNAME);
        if !shapes && by_client.get(set.owner).is_some_and(|types| !types.contains(&set.rtype)) {
            let owner = config.services.iter().find(|service| service.name.as_wire() == set.owner);
            base.beside.extend(owner.and_then(|service| zone.rrset(&service.name, set.rtype)));
        }
    }
    base
}

/// Serves reload requests until nobody can ask any more. Requests that wait while one is under way are
/// answered by one more load.
pub async fn run(
    path: PathBuf,
    seed: u64,
    running: Config,
    mut asks: mpsc::Receiver<Asker>,
    core: mpsc::Sender<Input>,
) {
    while let Some(asker) = asks.recv().await {
        let mut askers = vec![asker];
        while let Ok(more) = asks.try_recv() {
            askers.push(more);
        }
        let loaded = load_aside(path.clone(), seed).await;
        let (reply, outcome) = oneshot::channel();
        let input = match loaded {
            Ok(mut fresh) => {
                fresh.warnings.extend(needs_restart(&running, &fresh.load.config));
                Input::Loaded(Box::new(fresh), Some(reply))
            }
            Err(refused) => Input::Refused(refused, Some(reply)),
        };
        if core.send(input).await.is_err() {
            return;
        }
        let Ok(outcome) = outcome.await else { return };
        for asker in askers.into_iter().flatten() {
            // An asker that gave up waiting misses nothing that status does not show.
            let _ = asker.send(outcome.clone());
        }
    }
}

/// The keys a reload cannot change in a running process, each named.
fn needs_restart(running: &Config, new: &Config) -> Vec<String> {
    let changed = [
        ("server.listen", running.server.listen != new.server.listen),
        ("server.state_dir", running.server.state_dir != new.server.state_dir),
        ("server.threads", running.server.threads != new.server.threads),
        ("server.nsid", running.server.nsid != new.server.nsid),
        ("server.chaos", running.server.chaos != new.server.chaos),
        ("server.cookie_secrets", running.server.cookie_secrets != new.server.cookie_secrets),
        ("server.rrset_order", running.server.rrset_order != new.server.rrset_order),
        (
            "heartbeat.listen",
            running.heartbeat.as_ref().map(|h| h.listen) != new.heartbeat.as_ref().map(|h| h.listen),
        ),
        ("control.listen", running.control.listen != new.control.listen),
    ];
    changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| {
            format!("{key} changed in the file; the running daemon keeps its own until it is restarted")
        })
        .collect()
}
