//! A daemon for tests: it holds a fixed picture, notes what it is told, and keeps a real history.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;

use super::*;
use crate::engine::{Action, Engine, Happened, scope_of};
use crate::policy::{Scope, Target};
use crate::probe::WatchView;
use crate::state::{Durable, Store};
use crate::sys::histogram::Distribution;
use crate::telemetry::Measured;
use crate::zones::unreached;

/// A daemon whose engine is a fixed picture.
pub(crate) struct Fixed {
    store: Store,
    grow: watch::Sender<u64>,
    _dir: tempfile::TempDir,
    pub(crate) told: Mutex<Vec<Command>>,
    /// The engine answers nothing any more.
    pub(crate) gone: AtomicBool,
    /// Loads are refused, and the daemon is not well.
    pub(crate) failing: AtomicBool,
    /// What is wrong.
    pub(crate) wrong: Mutex<Summary>,
    /// How often something was asked whose cost grows with what is configured.
    pub(crate) costly: AtomicUsize,
    /// By how much the host's clock is ahead, in milliseconds.
    pub(crate) ahead: AtomicI64,
    /// A reload would remove too much.
    pub(crate) losing: AtomicBool,
    /// How long a reload takes.
    pub(crate) reload_takes: Mutex<Duration>,
}

impl Fixed {
    /// Puts entries into its history.
    pub(crate) fn keep(&self, at: Time, records: &[Happened]) {
        self.store.commit(at, &[], records, Durable::Now).unwrap();
        self.grow.send_modify(|times| *times += 1);
    }

    fn answer<T>(&self, value: T) -> Result<T, Gone> {
        if self.gone.load(Ordering::Relaxed) { Err(Gone) } else { Ok(value) }
    }
}

impl Daemon for Fixed {
    async fn status(&self) -> Result<DaemonStatus, Gone> {
        self.costly.fetch_add(1, Ordering::Relaxed);
        self.answer(fixture::status())
    }
    async fn explain(&self, name: Name) -> Result<Option<Explanation>, Gone> {
        self.costly.fetch_add(1, Ordering::Relaxed);
        let explanation = fixture::explanation();
        self.answer((explanation.service.name == name).then_some(explanation))
    }
    async fn plots(&self, name: Name) -> Result<Option<PlotsAt>, Gone> {
        let plots = fixture::plots();
        self.answer((name == fixture::name("app.example.com")).then_some(plots))
    }
    async fn snapshot(&self) -> Result<Snapshot, Gone> {
        self.answer(Snapshot { now: fixture::NOW, engine: Box::new(Engine::new(1, Vec::new())) })
    }
    async fn resolve(&self, target: Target, _: bool) -> Result<Result<Scope, CommandError>, Gone> {
        let status = fixture::status().engine;
        let is_service = |name: &Name| status.services.iter().any(|service| service.name == *name);
        self.answer(match target {
            Target::Scope(scope) => Ok(scope),
            Target::Word(word) => {
                let sites: Vec<_> = status.sites.iter().map(|site| &site.id).collect();
                scope_of(&word, &sites, is_service)
            }
        })
    }
    async fn command(&self, command: Command) -> Result<Result<Vec<Decision>, CommandError>, Gone> {
        let refused = match &command.action {
            Action::Failover { to, .. } if &**to == "fra" => {
                Some(CommandError::NotUsable("fra is Down: 3 of 3 failed".to_owned()))
            }
            Action::Clear { scope: scope @ Scope::Site(site) } if &**site == "iad" => {
                Some(CommandError::NoOverride(scope.clone()))
            }
            _ => None,
        };
        self.told.lock().unwrap().push(command);
        let decision = fixture::decision(13, "app.example.com", "iad", [198, 51, 100, 10]);
        self.answer(refused.map_or(Ok(vec![decision]), Err))
    }
    async fn reload(&self, force: bool) -> Result<Result<Reloaded, Rejected>, Gone> {
        let takes = *self.reload_takes.lock().unwrap();
        tokio::time::sleep(takes).await;
        if self.failing.load(Ordering::Relaxed) {
            let problems = "detour.toml:3:1: error: unknown key".to_owned();
            return self.answer(Err(Rejected { problems, is_loss: false }));
        }
        if self.losing.load(Ordering::Relaxed) && !force {
            let problems =
                "detour.toml: error: this load would remove 1 service (app.example.com)".to_owned();
            return self.answer(Err(Rejected { problems, is_loss: true }));
        }
        self.answer(Ok(Reloaded { services: 3, zones: 1, zones_read: 1, warnings: vec![] }))
    }
    async fn edits(&self, zone: Name) -> Result<Option<ZoneEdits>, Gone> {
        let (removed, added) = (vec![], vec!["new.example.com. 60 IN TXT \"x\"".to_owned()]);
        let edits =
            ZoneEdits { zone: zone.clone(), file: "example.com.zone".into(), records: 1, removed, added };
        self.answer((zone.to_string() == "example.com.").then_some(edits))
    }
    async fn freeze(&self, zone: Name, _: String) -> Result<Result<Frozen, String>, Gone> {
        if self.failing.load(Ordering::Relaxed) {
            return self.answer(Err("cannot write example.com.zone: Permission denied".to_owned()));
        }
        let file = "example.com.zone".into();
        self.answer(Ok(Frozen { zone, file, records: 1, serial: Serial(2_026_112_103) }))
    }
    async fn rollback(
        &self,
        zone: Name,
        to: Serial,
        _: String,
        _: String,
    ) -> Result<Result<RolledBack, String>, Gone> {
        if let Err(why) = self.journal(&zone).condense(to).ok_or(unreached(&zone, &self.journal(&zone), to)) {
            return self.answer(Err(why));
        }
        let left = vec![fixture::name("app.example.com")];
        self.answer(Ok(RolledBack { zone, to, serial: Serial(2_026_112_103), counts: (1, 2), left }))
    }
    async fn test_alerts(&self, id: Option<String>) -> Option<Vec<Tested>> {
        let tested = |error: Option<&str>| Tested {
            id: "oncall".to_owned(),
            way: "pagerduty".to_owned(),
            error: error.map(str::to_owned),
        };
        let failing = self.failing.load(Ordering::Relaxed).then_some("no answer within 10s");
        id.is_none_or(|id| id == "oncall").then(|| vec![tested(failing)])
    }
    fn history(&self, query: &Query) -> Result<Vec<Entry>, StoreError> {
        self.store.history(query)
    }
    fn entries_from(&self, seq: u64, limit: usize) -> Result<(Option<u64>, Vec<Entry>), StoreError> {
        self.store.entries_from(seq, limit)
    }
    fn next_entry(&self) -> Result<u64, StoreError> {
        self.store.next_entry()
    }
    async fn audit(&self, audit: Audit) {
        self.keep(fixture::NOW, &[Happened::Audit(audit)]);
    }
    fn grown(&self) -> watch::Receiver<u64> {
        self.grow.subscribe()
    }
    fn table(&self) -> Arc<Table> {
        fixture::table()
    }
    fn journal(&self, _: &Name) -> Journal {
        fixture::journal()
    }
    fn answered_to(&self, name: &Name, _: IpAddr) -> Option<ChoiceFor> {
        let rrsets = vec![fixture::a_records("app.example.com", [192, 0, 2, 10], 30)];
        let to_app = name.to_string() == "app.example.com.";
        to_app.then_some(ChoiceFor { region: 2, variant: Some(1), scope: 16, rrsets })
    }
    fn answered(&self, name: &Name) -> Vec<RrSet> {
        match name.to_string().as_str() {
            "app.example.com." => vec![fixture::a_records("app.example.com", [198, 51, 100, 10], 30)],
            "plain.example.com." => vec![fixture::a_records("plain.example.com", [192, 0, 2, 1], 300)],
            _ => vec![],
        }
    }
    fn watches(&self) -> Vec<WatchView> {
        self.costly.fetch_add(1, Ordering::Relaxed);
        Vec::new()
    }

    fn now(&self) -> Time {
        fixture::NOW
    }

    fn offset(&self) -> Offset {
        Offset(self.ahead.load(Ordering::Relaxed))
    }

    fn liveness(&self) -> Liveness {
        let failing = self.failing.load(Ordering::Relaxed);
        Liveness {
            engine_idle_ms: if failing { ENGINE_STALLED_MS + 1 } else { 40 },
            checks_idle_ms: if failing { CHECKS_STALLED_MS + 1 } else { 0 },
            udp_workers: 1,
            udp_workers_failed: u64::from(failing),
        }
    }

    fn conditions(&self) -> Summary {
        self.wrong.lock().unwrap().clone()
    }

    fn measurements(&self) -> Measurements {
        self.costly.fetch_add(1, Ordering::Relaxed);
        let labels = |transport: &str| vec![("transport", transport.to_owned())];
        Measurements {
            last_load_ok: !self.failing.load(Ordering::Relaxed),
            endpoints: 100,
            measured: vec![Measured {
                name: "detour_probe_lateness_seconds",
                labels: vec![],
                of: Distribution { upto: vec![(0.05, 3), (f64::INFINITY, 4)], sum: 0.12 },
            }],
            counters: vec![
                ("detour_queries_total", labels("udp"), 7),
                ("detour_tcp_connections", vec![], 2),
                ("detour_queries_total", labels("t\"c\\p\n"), 1),
            ],
        }
    }
}

pub(crate) struct Served {
    pub(crate) daemon: Arc<Fixed>,
    pub(crate) access: Arc<Access>,
    pub(crate) addr: SocketAddr,
    pub(crate) stop: Option<tokio::sync::oneshot::Sender<()>>,
    pub(crate) ended: tokio::task::JoinHandle<()>,
}

/// Control on a free port over such a daemon.
pub(crate) async fn served() -> Served {
    served_within(gate::Timeouts::default()).await
}

/// The same, and how long it waits for an answer.
pub(super) async fn served_within(timeouts: gate::Timeouts) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap().store;
    let decided = |n| Happened::Decision(fixture::decision(n, "app.example.com", "iad", [198, 51, 100, 10]));
    let sample = |n: usize| Happened::Sample(fixture::status().engine.checks[0].recent[n].clone());
    let records = [Happened::Started { fresh: true }, sample(0), decided(11), sample(1), decided(12)];
    store.commit(fixture::NOW, &[], &records, Durable::Now).unwrap();
    let daemon = Arc::new(Fixed {
        store,
        grow: watch::Sender::default(),
        _dir: dir,
        told: Mutex::default(),
        gone: AtomicBool::new(false),
        failing: AtomicBool::new(false),
        wrong: Mutex::default(),
        costly: AtomicUsize::new(0),
        ahead: AtomicI64::new(0),
        losing: AtomicBool::new(false),
        reload_takes: Mutex::default(),
    });
    let access = Arc::new(Access::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    let serving = serve_within(timeouts, listener, MAX_CONNECTIONS, access.clone(), daemon.clone(), shutdown);
    let ended = tokio::spawn(serving);
    Served { daemon, access, addr, stop: Some(stop), ended }
}

impl Served {
    /// The last command the engine was told.
    pub(crate) fn told(&self) -> Command {
        self.daemon.told.lock().unwrap().pop().expect("a command")
    }
}
