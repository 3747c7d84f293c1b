//! The loader: configuration and zone files in, a checked load with its compiled table out, off the
//! core's thread, one at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::differences::{self, Differences};
use super::messages::{Asker, Fresh, Input, Refused};
use crate::answer::Table;
use crate::config::{self, Config};
use crate::engine::Load;
use crate::geo;
use crate::zone::Name;

/// Reads, checks and compiles, blocking.
pub fn load(path: &Path, seed: u64) -> Result<Fresh, Refused> {
    let config::Loaded { config, text, zones, warnings, files, databases } =
        config::load(path).map_err(|report| Refused { problems: report.to_string(), files: report.files })?;
    let steered: Vec<Name> = config.services.iter().map(|service| service.name.clone()).collect();
    let clients = match geo::clients(&config, &databases) {
        Ok(clients) => clients,
        Err(why) => {
            let problems = format!("{}: error: {why}", config.path.display());
            return Err(Refused { problems, files });
        }
    };
    // The databases may be large; the maps made from them are not.
    drop(databases);
    // Before the table, which takes the zones apart.
    let load = Load::of(Arc::new(config), &zones, clients.regions);
    let table = Table::compile(zones, &steered, seed).with_clients(clients.maps);
    let unfit = crate::probe::warnings(&load.config);
    let warnings = warnings.iter().map(ToString::to_string).chain(unfit).collect();
    Ok(Fresh { load, text, table, differences: None, files, warnings })
}

/// [`load`] on a thread where blocking harms nobody, and how it differs from the one `before`.
pub async fn load_aside(path: PathBuf, seed: u64, before: Option<Table>) -> Result<Fresh, Refused> {
    let loaded = tokio::task::spawn_blocking(move || {
        let mut fresh = load(&path, seed)?;
        let apexes = differences::given_away(&fresh.load.config);
        fresh.differences = before.map(|before| Differences::between(&before, &fresh.table, apexes));
        Ok(fresh)
    })
    .await;
    // A panic in there is a bug, and the last good configuration goes on all the same.
    loaded.unwrap_or_else(|e| {
        Err(Refused { problems: format!("loading the configuration failed: {e}"), files: Vec::new() })
    })
}

/// Serves reload requests until nobody can ask any more; `table` is what was loaded at the start. Requests that wait while one is under way are
/// answered by one more load.
pub async fn run(
    path: PathBuf,
    seed: u64,
    running: Config,
    mut table: Table,
    mut asks: mpsc::Receiver<Asker>,
    core: mpsc::Sender<Input>,
) {
    while let Some(asker) = asks.recv().await {
        let mut askers = vec![asker];
        while let Ok(more) = asks.try_recv() {
            askers.push(more);
        }
        let loaded = load_aside(path.clone(), seed, Some(table.clone())).await;
        let (reply, outcome) = oneshot::channel();
        let input = match loaded {
            Ok(mut fresh) => {
                table = fresh.table.clone();
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
