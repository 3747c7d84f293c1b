//! Starting and stopping: what opens when, and in which order it closes.
//!
//! The sockets are bound before anything is begun, so that a port in use is told at once. Then the start
//! answers with what is known: static names, and services as they were last decided. A service of which no
//! decision is known is not answered (SERVFAIL, not ready) until its own checks have run once, `first_round` at
//! most; nobody else waits for it. Secondaries are told of zones once that is over.

use std::fs;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::core::{self, Core, Pulse, QUORUM};
use super::desk::{Desk, Rules};
use super::handle::{Handle, Open};
use super::host_clock::HostClock;
use super::loader::{self, Asks, Loader};
use super::messages::{AHEAD_QUEUE, Ask, Fresh, INPUT_QUEUE, Input, RELOAD_QUEUE, Refused, SAMPLE_QUEUE};
use super::open_files::{self, Shares};
use super::phases::{Phases, Served};
use super::showing::Showing;
use super::sources::Sources;
use super::told::Standbys;
use super::watch as watcher;
use super::writer::{Kept, PATIENCE, Writer};
use crate::alert::Alerts;
use crate::answer::{Networks, RateLimit, Secrets, Settings, Table};
use crate::clock::Clock;
use crate::config::{self, Config, RrsetOrder, Server};
use crate::control::{self, Access, Heartbeats, LoadOutcome};
use crate::engine::{Engine, Happened, Saved, clock_of};
use crate::files::{self, Reach};
use crate::history::recording::Recorder;
use crate::history::{Durable, Newer, Opened, Store, StoreError};
use crate::otlp::Exporter;
use crate::probe::Prober;
use crate::secondary::Keeper;
use crate::serve::{BindError, Sockets, Taps, map_large_blocks};
use crate::tap::Watchers;
use crate::time::Time;
use crate::transfer::{Journals, Office, Teller};
use crate::zone::{Name, Serial};

/// How much later than it should the first round may end for secondaries to be told all the same.
const FIRST_ROUND_SLACK: Duration = Duration::from_secs(10);
/// Between two tries to write where the daemon listens.
const ADDRESSES_AGAIN: Duration = Duration::from_secs(5);
/// What is shared out where the limit on open files cannot be told: what processes are started with.
const UNRAISED_FILES: usize = 1024;
/// What the log says when every service has its first decision.
const FIRST_ROUND_OVER: &str = "the first round of checks is over: every service is decided";
/// The bound on each part of an orderly stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

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

/// Where a daemon listens; written to `addresses.json` in the state directory.
#[derive(Clone, Debug, Serialize)]
pub struct Addresses {
    /// UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// The API.
    pub control: SocketAddr,
    /// Where sites call in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<SocketAddr>,
}

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

/// The threads that probes run on, which nothing else does: whoever reads a status or the metrics of 100,000
/// checks, or reloads them, makes no run late.
struct Probing {
    handle: runtime::Handle,
    runtime: Option<runtime::Runtime>,
}

impl Probing {
    fn start() -> io::Result<Probing> {
        let runtime = runtime::Builder::new_multi_thread().thread_name("probe").enable_all().build()?;
        Ok(Probing { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        // A runtime may not be waited for on another one's threads; the prober has broken off its runs.
        self.runtime.take().into_iter().for_each(runtime::Runtime::shutdown_background);
    }
}

/// Starts a daemon from a configuration file and returns once it serves.
pub async fn start(path: &Path) -> Result<Running, StartError> {
    start_with(path, Newer::Refuse).await
}

/// The same, and what to do with a state that a newer version wrote.
pub async fn start_with(path: &Path, newer: Newer) -> Result<Running, StartError> {
    map_large_blocks();
    // Before the prober, which takes its share of them.
    let files = open_files::raise().unwrap_or_else(|why| {
        warn!("the limit on open files stays as it is: {why}");
        UNRAISED_FILES
    });
    let seed = seed();
    let refused = |refused: Refused| StartError::Config(refused.problems);
    let (store, opened, sources, mut fresh) =
        first_load(path.to_owned(), seed, newer).await?.map_err(refused)?;
    let Found { saved, last, warnings, trouble, lost } = opened;
    let config = fresh.load.config.clone();
    let restored = !saved.is_empty();
    let clock = Clock::resume(last.unwrap_or_default(), clock_of(&saved).unwrap_or_default());
    for warning in &warnings {
        error!("{warning}");
    }
    let shares = shares(files, &config);
    let sockets = Sockets::bind(&config.server.listen, config.server.threads)?.with_connections(shares.dns);
    let (control_listener, control_bound) =
        open(config.control.listen).await.map_err(|e| StartError::Control(config.control.listen, e))?;
    let heartbeat_listener = match config.heartbeat.as_ref().map(|heartbeat| heartbeat.listen) {
        Some(listen) => Some(open(listen).await.map_err(|e| StartError::Heartbeat(listen, e))?),
        None => None,
    };

    let (sample_tx, sample_rx) = mpsc::channel(SAMPLE_QUEUE);
    let (core_tx, core_rx) = mpsc::channel(INPUT_QUEUE);
    let (reload_tx, reload_rx) = mpsc::channel(RELOAD_QUEUE);
    let (files_tx, files_rx) = watch::channel(Vec::new());
    let (pending_tx, pending_rx) = watch::channel(0);
    let table = Arc::new(ArcSwap::from_pointee(Table::compile(&[], &[], seed)));
    let probing = Probing::start().map_err(StartError::Thread)?;
    let prober = Arc::new(Prober::start(clock.clone(), sample_tx, &probing.handle));
    let access = Arc::new(Access::default());
    let heartbeats = Arc::new(Heartbeats::new(prober.clone()));
    let pulse = Arc::new(Pulse::default());
    let keeper = Arc::new(Keeper::new(clock.clone(), Arc::new(Asks(reload_tx.clone())), pulse.board.clone()));
    pulse.turned.store(clock.now().0, Ordering::Relaxed);
    if let Some(why) = &trouble {
        pulse.wrote(clock.now(), Some(why));
    }
    let (grow, grown) = watch::channel(0_u64);
    let grow = Arc::new(grow);
    let grows = grow.clone();
    let grew = move || grows.send_modify(|times| *times += 1);
    let writer = Writer::start(pulse.clone(), Kept { clock: clock.clone(), store: store.clone(), grew });
    let writer = Arc::new(writer.map_err(StartError::Thread)?);
    let serials = saved.iter().filter_map(|saved| match saved {
        Saved::Zone(apex, Some(zone)) => Some((apex.clone(), zone.published)),
        _ => None,
    });
    let (journals, useless) = Journals::restore(store.journals()?, &serials.collect());
    let journals = Arc::new(journals);
    let loader = Loader {
        sources: sources.clone(),
        table: table.clone(),
        running: Config::clone(&config),
        core: core_tx.clone(),
        journals: journals.clone(),
        writer: writer.clone(),
        clock: clock.clone(),
        refusals: Mutex::default(),
    };
    let exempt = Arc::new(ArcSwap::from_pointee(Networks::default()));
    let settings = Arc::new(settings(&config.server, &exempt).map_err(StartError::Secret)?);
    let teller = Arc::new(Teller::new(table.clone()));
    if lost {
        let (ahead, seen) = mpsc::channel(AHEAD_QUEUE);
        teller.tell_ahead(ahead);
        tokio::spawn(raise_serials(seen, reload_tx.clone()));
    }
    let office = Office::new(table.clone(), settings.clone(), journals.clone(), teller.clone());
    let office = Arc::new(office);
    let rules = Arc::new(ArcSwap::from_pointee(Rules::of(&config)));
    let alerts = Alerts::start(clock.clone(), store.clone(), &config.server.state_dir, grown);
    let alerts = Arc::new(alerts.map_err(StartError::Thread)?);
    let bounds = core::bounds(&config);
    let recorder = Recorder::start(&config.server.state_dir, bounds).map_err(StartError::Thread)?;
    let phases = Arc::new(Phases::new(Exporter::start(config.server.nsid.clone())));
    let (taps, seen) = Taps::new();
    let watchers = Arc::new(Watchers::new(taps.clone(), seen, config.server.nsid.clone()));
    let mut core = Core {
        clock: clock.clone(),
        engine: Engine::new(QUORUM, saved.clone()),
        recorder,
        store: store.clone(),
        writer,
        journals: journals.clone(),
        office: office.clone(),
        teller: teller.clone(),
        table: table.clone(),
        prober: prober.clone(),
        heartbeats: heartbeats.clone(),
        access: access.clone(),
        keeper: keeper.clone(),
        rules: rules.clone(),
        exempt,
        alerts: alerts.clone(),
        pulse: pulse.clone(),
        showing: Showing::default(),
        watchers: watchers.clone(),
        phases: phases.clone(),
        served: Served::restored(&saved),
        files: files_tx,
        pending: pending_tx,
        last_load: LoadOutcome { at: clock.now(), ok: true, problems: None },
        loaded: None,
        start_warnings: warnings,
        load_warnings: Vec::new(),
        held: Vec::new(),
        rows: useless,
        retired: Vec::new(),
        wake: None,
        edits: core::edits(&saved),
        standbys: Standbys::default(),
        summarized: None,
        host_clock: HostClock::default(),
    };
    let started = vec![Happened::Started { fresh: !restored }];
    core.writer.keep(clock.now(), Vec::new(), Vec::new(), started, Durable::Later);
    core.recorder.begin(clock.now(), false, saved);
    let first_round = config.server.loading.first_round;
    fresh.load.undecided.wait = Some(first_round);
    begin(&mut core, fresh);
    if core.writer.flush(PATIENCE) {
        loader::lock(&sources).settle_copies();
    }

    let handle = Arc::new(Handle {
        started: clock.now(),
        clock,
        config: config.path.clone(),
        core: core_tx.clone(),
        reloads: reload_tx.clone(),
        store,
        grow,
        table: table.clone(),
        prober,
        keeper: keeper.clone(),
        alerts,
        pulse,
        watchers,
        phases,
        sources,
        sockets: Mutex::new(None),
        journals,
        office: office.clone(),
        teller: teller.clone(),
    });
    let dns = sockets.addresses();
    let heartbeat_bound = heartbeat_listener.as_ref().map(|(_, bound)| *bound);
    let addresses = Addresses { dns: dns.clone(), control: control_bound, heartbeat: heartbeat_bound };
    let state_dir = &config.server.state_dir;
    let telling_tools = write_addresses(state_dir, &addresses).await.err().map(|why| {
        let place = state_dir.display();
        warn!("{place}/addresses.json: {why}; until it is written, tools know this daemon by the configuration alone");
        tokio::spawn(write_addresses_later(state_dir.clone(), addresses.clone()))
    });
    // The last thing that can fail: a thread of its own would outlive the runtime that it waits in.
    core.spawn(core_rx, sample_rx).map_err(StartError::Thread)?;
    let (asks, desk_pulse) = (reload_tx.clone(), handle.pulse.clone());
    tokio::spawn(loader.run(reload_rx));
    tokio::spawn(watcher::run(files_rx, reload_tx));
    let (close_control, closed) = oneshot::channel::<()>();
    // A dropped sender closes control as a sent word does.
    let shutdown = async move { drop(closed.await) };
    let api = control::serve(control_listener, shares.control, access, handle.clone(), shutdown);
    let control = tokio::spawn(api);
    info!("control on {control_bound}");
    let heartbeat = heartbeat_listener.map(|(listener, bound)| {
        let (close, closed) = oneshot::channel::<()>();
        let shutdown = async move { drop(closed.await) };
        info!("heartbeats on {bound}");
        (close, tokio::spawn(control::heartbeat::serve(listener, shares.heartbeat, heartbeats, shutdown)))
    });

    let desk = Desk { rules, loader: asks, office: office.clone(), keeper, pulse: desk_pulse };
    let running =
        Arc::new(sockets.serve(table, settings, Some(Arc::new(desk)), &taps, &runtime::Handle::current()));
    for address in &dns {
        info!("listening on {address}");
    }
    *handle.sockets.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(Open { addresses: dns.clone(), running });
    let undecided = pending_rx.clone();
    // Not before others can ask for what they are told of.
    let telling = tokio::spawn(async move {
        await_first_round(first_round, pending_rx).await;
        teller.run(dns).await;
    });
    Ok(Running {
        handle,
        addresses,
        close_control,
        control,
        heartbeat,
        telling,
        telling_tools,
        undecided,
        _probing: probing,
    })
}

/// The open state file; what was found there; the sources of zones, and the first load.
type First = (Arc<Store>, Found, Arc<Mutex<Sources>>, Fresh);

/// What a start found of the state.
struct Found {
    saved: Vec<Saved>,
    /// The latest time in it.
    last: Option<Time>,
    /// What people should know.
    warnings: Vec<String>,
    /// Why it cannot be written.
    trouble: Option<StoreError>,
    /// Serials may have been published that it does not know of.
    lost: bool,
}

/// Has zones' serials go on after those that secondaries are found to have.
async fn raise_serials(mut seen: mpsc::Receiver<(Name, Serial)>, loader: mpsc::Sender<Ask>) {
    while let Some((zone, serial)) = seen.recv().await {
        if loader.send(Ask::Raise(zone, serial)).await.is_err() {
            return;
        }
    }
}

/// How many connections each listener may have open, and a word in the log where that is less than it could be.
fn shares(files: usize, config: &Config) -> Shares {
    let threads = match config.server.threads {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        given => given,
    };
    // A socket for each worker, and the listener.
    let shares = Shares::of(files, config.server.listen.len() * (threads + 1), config.heartbeat.is_some());
    if shares.are_small() {
        let Shares { dns, control, heartbeat } = shares;
        warn!(
            "at most {files} open files: so at most {dns} connections of DNS over TCP, {control} of the API and \
             {heartbeat} of heartbeats are open at once; raise the limit (LimitNOFILE= in a systemd unit)"
        );
    }
    shares
}

/// Reads the files, which say where the state is; then the state, which says what is laid over them.
async fn first_load(path: PathBuf, seed: u64, newer: Newer) -> Result<Result<First, Refused>, StartError> {
    let work = move || {
        let mut loaded = match Sources::new(path.clone(), seed).read_at_start() {
            Ok(loaded) => loaded,
            Err(refused) => return Ok(Err(refused)),
        };
        let state_dir = &loaded.config.server.state_dir;
        let opened = Store::open_with(state_dir, newer)?;
        // Not before it is known that no other daemon is at work there.
        for folder in ["", "alerts", "transferred"] {
            files::tidy(&state_dir.join(folder));
        }
        let Opened { store, saved, last, set_aside, trouble, exposed } = opened;
        let lost = set_aside.is_some();
        let set_aside = set_aside.iter().map(ToString::to_string);
        let warnings = set_aside.chain(exposed).collect();
        let mut sources = Sources::new(path, seed);
        sources.know_catalog(&loaded.config, &saved);
        sources.recall(&loaded.config.server.state_dir, &saved);
        sources.stand_in(&mut loaded);
        Ok(sources.build(loaded).map(|fresh| {
            let found = Found { saved, last, warnings, trouble, lost };
            (Arc::new(store), found, Arc::new(Mutex::new(sources)), fresh)
        }))
    };
    spawn_blocking(work).await.unwrap_or_else(|e| {
        let problems = format!("loading the configuration failed: {e}");
        Ok(Err(Refused { problems, files: Vec::new(), is_loss: false }))
    })
}

/// A listener, and where it came to listen.
async fn open(listen: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// The first load, before the core has its thread: what was decided before is published when this returns.
fn begin(core: &mut Core, fresh: Fresh) {
    core.load(fresh);
    core.pending.send_replace(core.engine.pending_first_round());
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

fn settings(server: &Server, exempt: &Arc<ArcSwap<Networks>>) -> io::Result<Settings> {
    let cookies = match server.cookie_secrets {
        Some(secrets) => Secrets { current: secrets.current, other: secrets.other },
        None => Secrets { current: random_secret()?, other: None },
    };
    let rate_limit = match &server.rate_limit {
        Some(chosen) => Some(rate_limit(chosen, exempt.clone(), random_secret()?)),
        None => None,
    };
    Ok(Settings {
        nsid: server.nsid.as_ref().map(|id| id.as_bytes().into()),
        chaos: server.chaos,
        cookies: Some(cookies),
        rotate: server.rrset_order == RrsetOrder::Rotate,
        rate_limit,
        ..Settings::default()
    })
}

fn rate_limit(chosen: &config::RateLimit, exempt: Arc<ArcSwap<Networks>>, key: [u8; 16]) -> RateLimit {
    RateLimit {
        // In the order of `answer::Kind`.
        rates: [chosen.responses, chosen.nodata, chosen.nxdomains, chosen.referrals, chosen.errors],
        slip: chosen.slip,
        window: chosen.window,
        v4_bits: chosen.v4_bits,
        v6_bits: chosen.v6_bits,
        listeners: chosen.listeners.clone(),
        exempt,
        buckets: chosen.table_size,
        key,
    }
}

fn random_secret() -> io::Result<[u8; 16]> {
    let mut secret = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
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
