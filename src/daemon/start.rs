//! Starting and stopping: what opens when, and in which order it closes.
//!
//! The sockets are bound before anything is begun, so that a port in use is told at once. Then the start
//! answers with what is known: static names, and services as they were last decided. A service of which no
//! decision is known is not answered (SERVFAIL, not ready) until its own checks have run once, `first_round` at
//! most; nobody else waits for it. Secondaries are told of zones once that is over.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::core::Core;
use super::first::{First, StartError, first_load};
use super::handle::{Handle, Open};
use super::listeners::{self, Addresses, Listeners};
use super::messages::{AHEAD_QUEUE, Input};
use super::rooms::{Ends, Probing, Rooms};
use super::watch as watcher;
use crate::api;
use crate::condition::ConditionKind;
use crate::dns::{Name, Serial};
use crate::engine::{Happened, Saved};
use crate::state::{COMMIT_TIMEOUT, Durable, Newer};
use crate::sys::files::{self, Reach};
use crate::sys::map_large_blocks;
use crate::time::Time;
use crate::zones::{self, Ask, PreparedLoad};

/// How much later than it should the first round may end for secondaries to be told all the same.
const FIRST_ROUND_SLACK: Duration = Duration::from_secs(10);
/// Between two tries to write where the daemon listens.
const ADDRESSES_AGAIN: Duration = Duration::from_secs(5);
/// What the log says when every service has its first decision.
const FIRST_ROUND_OVER: &str = "the first round of checks is over: every service is decided";
/// The bound on each part of an orderly stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A daemon that serves.
pub struct Running {
    /// What may be asked of it.
    pub handle: Arc<Handle>,
    /// Where it listens.
    pub addresses: Addresses,
    close_control: oneshot::Sender<()>,
    control: tokio::task::JoinHandle<()>,
    /// Dropped or sent, the word to close; and the task that does.
    heartbeat: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
    /// Who tells secondaries.
    telling: tokio::task::JoinHandle<()>,
    /// Who writes where it listens, until that is written.
    telling_tools: Option<tokio::task::JoinHandle<()>>,
    /// How many services have no decision yet.
    undecided: watch::Receiver<usize>,
    /// Until the end, when nothing is left on it.
    _probing: Probing,
}

/// Starts a daemon from a configuration file and returns once it serves.
pub async fn start(path: &Path) -> Result<Running, StartError> {
    start_with(path, Newer::Refuse).await
}

/// The same, and what to do with a state that a newer version wrote.
pub async fn start_with(path: &Path, newer: Newer) -> Result<Running, StartError> {
    map_large_blocks();
    // Before the prober, which takes its share of them.
    let files = listeners::raise_open_files();
    let seed = seed();
    let first = first_load(path.to_owned(), seed, newer).await?;
    for warning in &first.found.warnings {
        error!("{warning}");
    }
    let config = first.fresh.load.config.clone();
    let listeners = Listeners::bind(&config, files).await?;
    let (rooms, ends) = Rooms::open(&first, seed)?;
    let Ends { samples, inputs, asks, recorder, useless } = ends;
    let First { found, fresh, .. } = first;
    if let Some(why) = &found.lost {
        rooms.pulse.board.set(ConditionKind::StateLost, "state", rooms.clock.now(), why);
        let (ahead, seen) = mpsc::channel(AHEAD_QUEUE);
        rooms.teller.tell_ahead(ahead);
        tokio::spawn(raise_serials(seen, rooms.asks.clone()));
    }
    let (mut core, watched) = rooms.core(&found, recorder, useless);
    begin(&mut core, found.saved, fresh);
    zones::lock(&rooms.sources).confirm();
    if rooms.writer.flush(COMMIT_TIMEOUT) {
        zones::lock(&rooms.sources).settle_copies();
    }
    let addresses = listeners.addresses();
    let telling_tools = tell_tools(&config.server.state_dir, &addresses).await;
    // The last thing that can fail: a thread of its own would outlive the runtime that it waits in.
    core.spawn(inputs, samples).map_err(StartError::Thread)?;
    tokio::spawn(rooms.loader().run(asks));
    tokio::spawn(watcher::run(watched.files, rooms.asks.clone()));
    Ok(Running { telling_tools, ..serve(rooms, listeners, addresses, watched.pending) })
}

/// The first load, before the core has its thread: what was decided before is published when this returns.
fn begin(core: &mut Core, saved: Vec<Saved>, mut fresh: PreparedLoad) {
    let started = vec![Happened::Started { fresh: saved.is_empty() }];
    core.writer.keep(core.clock.now(), Vec::new(), Vec::new(), started, Durable::Later);
    core.recorder.begin(core.clock.now(), false, saved);
    fresh.load.undecided.wait = Some(fresh.load.config.server.loading.first_round);
    core.load(fresh);
    core.pending.send_replace(core.engine.pending_first_round());
}

/// Opens to others: control and heartbeats, and last of all DNS; then secondaries are told.
fn serve(
    rooms: Rooms,
    listeners: Listeners,
    addresses: Addresses,
    pending: watch::Receiver<usize>,
) -> Running {
    let Listeners { dns: sockets, control: (listener, bound), heartbeat, shares } = listeners;
    let handle = Arc::new(rooms.handle());
    let (close_control, closed) = oneshot::channel::<()>();
    // A dropped sender closes control as a sent word does.
    let shutdown = async move { drop(closed.await) };
    let api = api::serve(listener, shares.control, rooms.access, handle.clone(), shutdown);
    let control = tokio::spawn(api);
    info!("control on {bound}");
    let heartbeats = rooms.heartbeats;
    let heartbeat = heartbeat.map(|(listener, bound)| {
        let (close, closed) = oneshot::channel::<()>();
        let shutdown = async move { drop(closed.await) };
        info!("heartbeats on {bound}");
        (close, tokio::spawn(api::heartbeat::serve(listener, shares.heartbeat, heartbeats, shutdown)))
    });
    let runtime = runtime::Handle::current();
    let running = sockets.serve(rooms.table, rooms.settings, Some(rooms.router), &rooms.taps, &runtime);
    for address in &addresses.dns {
        info!("listening on {address}");
    }
    let open = Open { addresses: addresses.dns.clone(), running: Arc::new(running) };
    *handle.sockets.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
    let (first_round, dns) = (rooms.config.server.loading.first_round, addresses.dns.clone());
    let (teller, undecided) = (rooms.teller, pending.clone());
    // Not before others can ask for what they are told of.
    let telling = tokio::spawn(async move {
        await_first_round(first_round, pending).await;
        teller.run(dns).await;
    });
    Running {
        handle,
        addresses,
        close_control,
        control,
        heartbeat,
        telling,
        telling_tools: None,
        undecided,
        _probing: rooms.probing,
    }
}

/// Has zones' serials go on after those that secondaries are found to have.
async fn raise_serials(mut seen: mpsc::Receiver<(Name, Serial)>, loader: mpsc::Sender<Ask>) {
    while let Some((zone, serial)) = seen.recv().await {
        if loader.send(Ask::Raise(zone, serial)).await.is_err() {
            return;
        }
    }
}

/// Waits until every service has its first decision.
async fn await_first_round(within: Duration, mut pending: watch::Receiver<usize>) {
    let services = *pending.borrow();
    if services > 0 {
        info!(
            services,
            "first round of checks, at most {within:?}; these services are answered SERVFAIL meanwhile"
        );
    }
    match timeout(within + FIRST_ROUND_SLACK, pending.wait_for(|left| *left == 0)).await {
        Ok(_) => info!("{FIRST_ROUND_OVER}"),
        Err(_) => error!("the first round of checks did not end in time; see /healthz"),
    }
}

/// Keys the table's hash, so that nobody outside can choose names that collide.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// Tells tools on this host where the daemon listens.
async fn write_addresses(state_dir: &Path, addresses: &Addresses) -> io::Result<()> {
    let (path, text) = (state_dir.join("addresses.json"), serde_json::to_vec(addresses)?);
    let write = move || files::keep(&path, Reach::Sometime, |out| out.write_all(&text));
    spawn_blocking(write).await.unwrap_or_else(|e| Err(io::Error::other(e)))
}

/// The same; what does it once the disk takes it, where that is not now.
async fn tell_tools(state_dir: &Path, addresses: &Addresses) -> Option<tokio::task::JoinHandle<()>> {
    let why = write_addresses(state_dir, addresses).await.err()?;
    let place = state_dir.display();
    warn!(
        "{place}/addresses.json: {why}; until it is written, tools know this daemon by the configuration alone"
    );
    Some(tokio::spawn(write_addresses_later(state_dir.to_owned(), addresses.clone())))
}

/// Does so as soon as the disk takes it.
async fn write_addresses_later(state_dir: PathBuf, addresses: Addresses) {
    while write_addresses(&state_dir, &addresses).await.is_err() {
        sleep(ADDRESSES_AGAIN).await;
    }
}

impl Running {
    /// Waits until every service has its first decision.
    pub async fn decided(&self) {
        // The sender goes with the core, and then there is nothing to wait for.
        let _ = self.undecided.clone().wait_for(|left| *left == 0).await;
    }

    /// Ends in order: no new commands, the last word written, then the sockets, which answer until then.
    pub async fn stop(self) {
        drop(self.close_control);
        if let Some((close, heartbeat)) = self.heartbeat {
            drop(close);
            if timeout(STOP_TIMEOUT, heartbeat).await.is_err() {
                warn!("the listener for heartbeats did not close in time");
            }
        }
        if timeout(STOP_TIMEOUT, self.control).await.is_err() {
            warn!("control did not close in time");
        }
        self.telling.abort();
        self.telling_tools.iter().for_each(tokio::task::JoinHandle::abort);
        self.handle.keeper.stop();
        self.handle.prober.stop().await;
        let (done, ended) = oneshot::channel();
        let stopped = async { self.handle.core.send(Input::Stop(done)).await.is_ok() && ended.await.is_ok() };
        if !timeout(STOP_TIMEOUT, stopped).await.unwrap_or(false) {
            error!("the core did not end in order; the state file holds its last commit");
        }
        let open = self.handle.sockets.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(open) = open {
            open.running.stop().await;
        }
        info!("ended in order");
    }

    /// The time now, as the daemon counts it.
    pub fn now(&self) -> Time {
        self.handle.clock.now()
    }
}
