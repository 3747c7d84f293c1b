//! The rooms of a daemon, made and joined before any of them serves: what each needs of the others.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::runtime;
use tokio::sync::{mpsc, watch};

use super::core::{self, Core, QUORUM};
use super::first::{First, Found, StartError};
use super::handle::Handle;
use super::host_clock::HostClock;
use super::messages::{INPUT_QUEUE, Input, SAMPLE_QUEUE};
use super::stalls::StallWatch;
use super::status::Showing;
use crate::alert::Alerts;
use crate::answer::{Networks, RateLimit, Secrets, Settings, Table};
use crate::api::{Access, Heartbeats};
use crate::engine::{Engine, Saved, clock_of};
use crate::health::Sample;
use crate::model::{Config, RrsetOrder, Server};
use crate::probe::Prober;
use crate::recording::Recorder;
use crate::requests::{Office, RequestRouter};
use crate::server::Taps;
use crate::state::{StateDisk, Store, WriteObserver as _, Writer};
use crate::sys::clock::Clock;
use crate::telemetry::failovers::{Phases, Served};
use crate::telemetry::log::Standbys;
use crate::telemetry::otlp::Exporter;
use crate::telemetry::pulse::Pulse;
use crate::telemetry::querylog::Watchers;
use crate::transfer::inbound::Keeper;
use crate::transfer::outbound::Teller;
use crate::zone::JournalRow;
use crate::zones::{Ask, Asks, Journals, LoadOutcome, Loader, PublishStage, RELOAD_QUEUE, Sources};

/// The rooms, as others hold them.
pub struct Rooms {
    pub clock: Clock,
    pub config: Arc<Config>,
    pub store: Arc<Store>,
    pub sources: Arc<Mutex<Sources>>,
    pub table: Arc<ArcSwap<Table>>,
    pub probing: Probing,
    pub prober: Arc<Prober>,
    pub access: Arc<Access>,
    pub heartbeats: Arc<Heartbeats>,
    pub pulse: Arc<Pulse>,
    pub keeper: Arc<Keeper>,
    pub grow: Arc<watch::Sender<u64>>,
    pub writer: Arc<Writer>,
    pub journals: Arc<Journals>,
    pub exempt: Arc<ArcSwap<Networks>>,
    pub settings: Arc<Settings>,
    pub teller: Arc<Teller>,
    pub office: Arc<Office>,
    pub router: Arc<RequestRouter>,
    pub alerts: Arc<Alerts>,
    pub phases: Arc<Phases>,
    pub taps: Arc<Taps>,
    pub watchers: Arc<Watchers>,
    /// The ways to the core and to the loader.
    pub inputs: mpsc::Sender<Input>,
    pub asks: mpsc::Sender<Ask>,
}

/// What one task alone takes.
pub struct Ends {
    pub samples: mpsc::Receiver<Sample>,
    pub inputs: mpsc::Receiver<Input>,
    pub asks: mpsc::Receiver<Ask>,
    pub recorder: Recorder,
    /// Rows of the journals that are of no use any more.
    pub useless: Vec<JournalRow>,
}

/// What the core tells of by watches.
pub struct Watched {
    /// The files that make the configuration.
    pub files: watch::Receiver<Vec<PathBuf>>,
    /// How many services have no decision yet.
    pub pending: watch::Receiver<usize>,
}

/// The threads that probes run on, which nothing else does: whoever reads a status or the metrics of 100,000
/// checks, or reloads them, makes no run late.
pub struct Probing {
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

impl Rooms {
    /// Opens them over what a start found. None of them has done anything yet.
    pub fn open(first: &First, seed: u64) -> Result<(Rooms, Ends), StartError> {
        let (config, store, found) = (first.fresh.load.config.clone(), first.store.clone(), &first.found);
        let clock = Clock::resume(found.last.unwrap_or_default(), clock_of(&found.saved).unwrap_or_default());
        let (sampled, samples) = mpsc::channel(SAMPLE_QUEUE);
        let (to_core, inputs) = mpsc::channel(INPUT_QUEUE);
        let (to_loader, asks) = mpsc::channel(RELOAD_QUEUE);
        let table = Arc::new(ArcSwap::from_pointee(Table::compile(&[], &[], seed)));
        let probing = Probing::start().map_err(StartError::Thread)?;
        let prober = Arc::new(Prober::start(clock.clone(), sampled, &probing.handle));
        let pulse = Arc::new(Pulse::default());
        let reload = Arc::new(Asks { asks: to_loader.clone(), sources: first.sources.clone() });
        let keeper = Arc::new(Keeper::new(clock.clone(), reload, pulse.board.clone()));
        pulse.turned.store(clock.now().0, Ordering::Relaxed);
        if let Some(why) = &found.trouble {
            pulse.wrote(clock.now(), Some(why));
        }
        let (grow, grown) = watch::channel(0_u64);
        let grow = Arc::new(grow);
        let grows = grow.clone();
        let grew = move || grows.send_modify(|times| *times += 1);
        let writer =
            Writer::start(pulse.clone(), StateDisk { clock: clock.clone(), store: store.clone(), grew });
        let writer = Arc::new(writer.map_err(StartError::Thread)?);
        let (journals, useless) = journals(&store, found)?;
        let exempt = Arc::new(ArcSwap::from_pointee(Networks::default()));
        let settings = Arc::new(settings(&config.server, &exempt).map_err(StartError::Secret)?);
        let teller = Arc::new(Teller::new(table.clone()));
        let office = Office::new(table.clone(), settings.clone(), journals.clone(), teller.clone());
        let office = Arc::new(office);
        let router = RequestRouter::new(&config, to_loader.clone(), office.clone(), keeper.clone());
        let alerts = Alerts::start(clock.clone(), store.clone(), &config.server.state_dir, grown);
        let alerts = Arc::new(alerts.map_err(StartError::Thread)?);
        let bounds = core::bounds(&config);
        let recorder = Recorder::start(&config.server.state_dir, bounds).map_err(StartError::Thread)?;
        let (taps, seen) = Taps::new();
        let rooms = Rooms {
            heartbeats: Arc::new(Heartbeats::new(prober.clone())),
            access: Arc::new(Access::default()),
            office,
            router: Arc::new(router),
            phases: Arc::new(Phases::new(Exporter::start(config.server.nsid.clone()))),
            watchers: Arc::new(Watchers::new(taps.clone(), seen, config.server.nsid.clone())),
            sources: first.sources.clone(),
            inputs: to_core,
            asks: to_loader,
            clock,
            config,
            store,
            table,
            probing,
            prober,
            pulse,
            keeper,
            grow,
            writer,
            journals,
            exempt,
            settings,
            teller,
            alerts,
            taps,
        };
        Ok((rooms, Ends { samples, inputs, asks, recorder, useless }))
    }

    /// What reads files and takes changes in.
    pub fn loader(&self) -> Loader<mpsc::Sender<Input>> {
        Loader {
            sources: self.sources.clone(),
            table: self.table.clone(),
            running: Config::clone(&self.config),
            publisher: self.inputs.clone(),
            journals: self.journals.clone(),
            writer: self.writer.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            refusals: Mutex::default(),
            is_slow: AtomicBool::new(false),
        }
    }

    /// The core, before its first load; the journals' rows are to go with what it commits first.
    pub fn core(&self, found: &Found, recorder: Recorder, useless: Vec<JournalRow>) -> (Core, Watched) {
        let (files, files_seen) = watch::channel(Vec::new());
        let (pending, pending_seen) = watch::channel(0);
        let stage = PublishStage::new(
            self.clock.clone(),
            self.journals.clone(),
            self.writer.clone(),
            self.table.clone(),
            self.teller.clone(),
            &found.saved,
            useless,
        );
        let core = Core {
            clock: self.clock.clone(),
            engine: Engine::new(QUORUM, found.saved.clone()),
            recorder,
            store: self.store.clone(),
            writer: self.writer.clone(),
            stage,
            office: self.office.clone(),
            teller: self.teller.clone(),
            prober: self.prober.clone(),
            heartbeats: self.heartbeats.clone(),
            access: self.access.clone(),
            keeper: self.keeper.clone(),
            router: self.router.clone(),
            exempt: self.exempt.clone(),
            alerts: self.alerts.clone(),
            pulse: self.pulse.clone(),
            showing: Showing::default(),
            watchers: self.watchers.clone(),
            phases: self.phases.clone(),
            served: Served::restored(&found.saved),
            files,
            pending,
            last_load: LoadOutcome { at: self.clock.now(), ok: true, problems: None },
            loaded: None,
            changed: std::collections::BTreeMap::new(),
            start_warnings: found.warnings.clone(),
            load_warnings: Vec::new(),
            wake: None,
            standbys: Standbys::default(),
            summarized: None,
            host_clock: HostClock::default(),
            stalls: StallWatch::default(),
        };
        (core, Watched { files: files_seen, pending: pending_seen })
    }

    /// What control may ask of the daemon.
    pub fn handle(&self) -> Handle {
        Handle {
            started: self.clock.now(),
            clock: self.clock.clone(),
            config: self.config.path.clone(),
            core: self.inputs.clone(),
            reloads: self.asks.clone(),
            store: self.store.clone(),
            grow: self.grow.clone(),
            table: self.table.clone(),
            prober: self.prober.clone(),
            keeper: self.keeper.clone(),
            alerts: self.alerts.clone(),
            pulse: self.pulse.clone(),
            watchers: self.watchers.clone(),
            phases: self.phases.clone(),
            sources: self.sources.clone(),
            sockets: Mutex::new(None),
            journals: self.journals.clone(),
            router: self.router.clone(),
            office: self.office.clone(),
            teller: self.teller.clone(),
        }
    }
}

/// The journals that lead to what was published, and the rows that lead nowhere.
fn journals(store: &Store, found: &Found) -> Result<(Arc<Journals>, Vec<JournalRow>), StartError> {
    let serials = found.saved.iter().filter_map(|saved| match saved {
        Saved::Zone(apex, Some(zone)) => Some((apex.clone(), zone.published)),
        _ => None,
    });
    let (journals, useless) = Journals::restore(store.journals()?, &serials.collect());
    Ok((Arc::new(journals), useless))
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

fn rate_limit(chosen: &crate::model::RateLimit, exempt: Arc<ArcSwap<Networks>>, key: [u8; 16]) -> RateLimit {
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
