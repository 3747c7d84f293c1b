//! What a start finds: the files, which say where the state is; then the state, which says what is laid over them.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::task::spawn_blocking;

use crate::engine::Saved;
use crate::server::BindError;
use crate::simulate::last_recorded;
use crate::state::{Newer, Opened, Store, StoreError};
use crate::sys::files;
use crate::time::Time;
use crate::zones::{PreparedLoad, Refused, Sources};

/// Why a daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Every problem, as `detour check` prints them.
    #[error("{0}")]
    Config(String),
    /// The state file.
    #[error(transparent)]
    State(#[from] StoreError),
    /// A DNS address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The control address.
    #[error("control.listen {0}: {1}; choose another address, or end what holds it")]
    Control(SocketAddr, io::Error),
    /// The address that sites call in on.
    #[error("heartbeat.listen {0}: {1}; choose another address, or end what holds it")]
    Heartbeat(SocketAddr, io::Error),
    /// The host's source of randomness.
    #[error("no secret for DNS cookies or rate limits: /dev/urandom: {0}")]
    Secret(io::Error),
    /// A thread.
    #[error("a thread could not be started: {0}")]
    Thread(io::Error),
}

/// All of it: the open state file, what was found there, the sources of zones, and the first load.
pub struct First {
    pub store: Arc<Store>,
    pub found: Found,
    pub sources: Arc<Mutex<Sources>>,
    pub fresh: PreparedLoad,
}

/// What a start found of the state.
pub struct Found {
    pub saved: Vec<Saved>,
    /// The latest time in it.
    pub last: Option<Time>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Why it cannot be written.
    pub trouble: Option<StoreError>,
    /// Why something of it may be missing, serials that were published among it.
    pub lost: Option<String>,
}

/// Reads the files and the state, on a thread where that keeps nobody waiting.
pub async fn first_load(path: PathBuf, seed: u64, newer: Newer) -> Result<First, StartError> {
    let found = spawn_blocking(move || load(path, seed, newer)).await.unwrap_or_else(|e| {
        let problems = format!("loading the configuration failed: {e}");
        Ok(Err(Refused { problems, files: Vec::new(), is_loss: false }))
    });
    found?.map_err(|refused| StartError::Config(refused.problems))
}

fn load(path: PathBuf, seed: u64, newer: Newer) -> Result<Result<First, Refused>, StoreError> {
    let mut loaded = match Sources::new(path.clone(), seed).read_at_start() {
        Ok(loaded) => loaded,
        Err(refused) => return Ok(Err(refused)),
    };
    let state_dir = &loaded.config.server.state_dir;
    let opened = Store::open_with(state_dir, newer, last_recorded)?;
    // Not before it is known that no other daemon is at work there.
    for folder in ["", "alerts", "transferred"] {
        files::tidy(&state_dir.join(folder));
    }
    let Opened { store, saved, last, set_aside, trouble, exposed } = opened;
    let lost = set_aside.as_ref().map(ToString::to_string);
    let warnings = lost.iter().cloned().chain(exposed).collect();
    let mut sources = Sources::new(path, seed);
    sources.know_catalog(&loaded.config, &saved);
    sources.recall(&loaded.config.server.state_dir, &saved);
    sources.stand_in(&mut loaded);
    Ok(sources.build(loaded).map(|fresh| {
        let found = Found { saved, last, warnings, trouble, lost };
        First { store: Arc::new(store), found, sources: Arc::new(Mutex::new(sources)), fresh }
    }))
}
