//! The handle: what control may ask of a running daemon.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::messages::Input;
use crate::alert::{Alerts, Tested};
use crate::answer::{ChoiceFor, Table};
use crate::api::{Daemon, DaemonStatus, Gone, Liveness, Measurements, PlotsAt, Snapshot};
use crate::condition::Summary;
use crate::dns::{Name, RrSet, Serial};
use crate::engine::{Audit, Command, CommandError, Explanation, Happened};
use crate::policy::{Decision, Scope, Target};
use crate::probe::{ProbeTimes, Prober, WatchView};
use crate::requests::{Office, RequestRouter};
use crate::server;
use crate::state::{Durable, Entry, Query, Store, StoreError};
use crate::sys::clock::Clock;
use crate::telemetry::Measured;
use crate::telemetry::failovers::Phases;
use crate::telemetry::pulse::Pulse;
use crate::telemetry::querylog::Watchers;
use crate::time::{Offset, Time};
use crate::transfer::inbound::Keeper;
use crate::transfer::outbound::Teller;
use crate::zone::Journal;
use crate::zones::{
    self, Ask, Force, Frozen, Journals, Rejected, Reloaded, Rollback, RollbackAsk, RolledBack, Sources,
    ZoneEdits, lock,
};

/// How long control waits for the core. It answers within milliseconds; longer means it is stuck.
const CORE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a write's answer waits for its entry in the audit log.
const AUDIT_PATIENCE: Duration = Duration::from_millis(250);

/// A running daemon, as others see it.
pub struct Handle {
    pub(super) clock: Clock,
    pub(super) started: Time,
    pub(super) config: PathBuf,
    pub(super) core: mpsc::Sender<Input>,
    pub(super) reloads: mpsc::Sender<Ask>,
    pub(super) store: Arc<Store>,
    /// Changes whenever the history grows.
    pub(super) grow: Arc<watch::Sender<u64>>,
    pub(super) table: Arc<ArcSwap<Table>>,
    pub(super) prober: Arc<Prober>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) alerts: Arc<Alerts>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) phases: Arc<Phases>,
    pub(super) sources: Arc<Mutex<Sources>>,
    /// What the sockets count, once they are open.
    pub(super) sockets: Mutex<Option<Open>>,
    /// Who sees to what is no plain query.
    pub(super) router: Arc<RequestRouter>,
    /// Who sees to transfers.
    pub(super) office: Arc<Office>,
    /// What changed in zones.
    pub(super) journals: Arc<Journals>,
    /// Who tells secondaries.
    pub(super) teller: Arc<Teller>,
}

/// The open sockets.
pub(super) struct Open {
    pub addresses: Vec<SocketAddr>,
    pub running: Arc<server::Running>,
}

impl Handle {
    async fn ask<T>(&self, input: Input, reply: oneshot::Receiver<T>) -> Result<T, Gone> {
        let asked = async {
            self.core.send(input).await.map_err(|_| Gone)?;
            reply.await.map_err(|_| Gone)
        };
        timeout(CORE_TIMEOUT, asked).await.map_err(|_| Gone)?
    }

    fn with_open<T>(&self, read: impl FnOnce(Option<&Open>) -> T) -> T {
        // A panic while holding it cannot leave the pair half changed: it is set once, whole.
        read(self.sockets.lock().unwrap_or_else(PoisonError::into_inner).as_ref())
    }
}

impl Daemon for Handle {
    async fn status(&self) -> Result<DaemonStatus, Gone> {
        let (reply, answer) = oneshot::channel();
        let view = self.ask(Input::Status(reply), answer).await?;
        Ok(DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            config: self.config.clone(),
            listen: self.with_open(|open| open.map(|o| o.addresses.clone()).unwrap_or_default()),
            conditions: self.conditions(),
            engine: view.status,
            last_load: view.last_load,
            warnings: view.warnings,
            watches: self.prober.watches(),
            secondaries: self.teller.secondaries(),
            transferred: self.keeper.views(),
            alerts: self.alerts.views(),
        })
    }

    async fn explain(&self, name: Name) -> Result<Option<Explanation>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.ask(Input::Explain(name, reply), answer).await
    }

    async fn plots(&self, name: Name) -> Result<Option<PlotsAt>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.ask(Input::Plots(name, reply), answer).await
    }

    async fn snapshot(&self) -> Result<Snapshot, Gone> {
        let (reply, answer) = oneshot::channel();
        self.ask(Input::Snapshot(reply), answer).await
    }

    async fn resolve(&self, target: Target, clears: bool) -> Result<Result<Scope, CommandError>, Gone> {
        if let Target::Scope(scope) = target {
            return Ok(Ok(scope));
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Input::Resolve(target, clears, reply), answer).await
    }

    async fn command(&self, command: Command) -> Result<Result<Vec<Decision>, CommandError>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.ask(Input::Command(command, reply), answer).await
    }

    async fn reload(&self, force: bool) -> Result<Result<Reloaded, Rejected>, Gone> {
        let (reply, answer) = oneshot::channel();
        let force = if force { Force::Yes } else { Force::No };
        self.reloads.send(Ask::Reload(Some(reply), force)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    async fn edits(&self, zone: Name) -> Result<Option<ZoneEdits>, Gone> {
        let sources = self.sources.clone();
        // The loader holds them while it reads and compiles.
        spawn_blocking(move || zones::edits(&lock(&sources), &zone)).await.map_err(|_| Gone)
    }

    async fn freeze(&self, zone: Name, who: String) -> Result<Result<Frozen, String>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.reloads.send(Ask::Freeze(zone, who, reply)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    async fn rollback(
        &self,
        zone: Name,
        to: Serial,
        who: String,
        reason: String,
    ) -> Result<Result<RolledBack, String>, Gone> {
        let (reply, answer) = oneshot::channel();
        let ask = RollbackAsk { rollback: Rollback { zone, to, who, reason }, reply };
        self.reloads.send(Ask::Rollback(ask)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    async fn test_alerts(&self, id: Option<String>) -> Option<Vec<Tested>> {
        self.alerts.test(id.as_deref()).await
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

    fn grown(&self) -> watch::Receiver<u64> {
        self.grow.subscribe()
    }

    async fn audit(&self, audit: Audit) {
        if audit.is_done() {
            info!("{audit}");
        } else {
            warn!("{audit}");
        }
        let (store, grow, now) = (self.store.clone(), self.grow.clone(), self.clock.now());
        let kept = spawn_blocking(move || {
            let record = [Happened::Audit(audit)];
            match store.commit(now, &[], &record, Durable::Now) {
                Ok(()) => grow.send_modify(|times| *times += 1),
                Err(why) => error!("an entry of the audit log is in this log alone: {why}"),
            }
        });
        // A disk that stalls keeps nobody from steering; the entry goes to it all the same.
        let _ = timeout(AUDIT_PATIENCE, kept).await;
    }

    fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    fn journal(&self, zone: &Name) -> Journal {
        self.journals.of(zone)
    }

    fn answered(&self, name: &Name) -> Vec<RrSet> {
        self.table.load().rrsets_at(name)
    }

    fn watches(&self) -> Vec<WatchView> {
        self.prober.watches()
    }

    fn answered_to(&self, name: &Name, client: IpAddr) -> Option<ChoiceFor> {
        self.table.load().choice_for(name, client)
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    fn offset(&self) -> Offset {
        self.clock.offset()
    }

    fn liveness(&self) -> Liveness {
        let now = self.clock.now();
        let turned = Time(self.pulse.turned.load(Ordering::Relaxed));
        let (udp_workers, udp_workers_failed) = self
            .with_open(|open| open.map_or((0, 0), |open| (open.running.workers(), open.running.failed())));
        Liveness {
            engine_idle_ms: millis(now.since(turned)),
            checks_idle_ms: millis(self.prober.idle(now)),
            udp_workers,
            udp_workers_failed,
        }
    }

    fn conditions(&self) -> Summary {
        self.pulse.found.load().and(&self.pulse.board.summary())
    }

    fn measurements(&self) -> Measurements {
        let mut counters = self.phases.counters();
        let mut measured = self.phases.measured(&self.teller);
        let mut measure = |name, labels, of| measured.push(Measured { name, labels, of });
        measure("detour_probe_lateness_seconds", vec![], self.prober.lateness());
        for ProbeTimes { probe, result, took } in self.prober.times() {
            let labels = vec![("probe", probe.to_string()), ("result", result.to_owned())];
            measure("detour_probe_duration_seconds", labels, took);
        }
        self.with_open(|open| {
            let Some(open) = open else { return };
            let counted = open.running.counters();
            counters.extend(counted.metrics());
            for (transport, sizes) in counted.sizes() {
                measure("detour_answer_size_bytes", vec![("transport", transport.to_owned())], sizes);
            }
        });
        let write_errors = self.pulse.write_errors.load(Ordering::Relaxed);
        counters.push(("detour_state_write_errors_total", vec![], write_errors));
        let late = self.pulse.late_writes.load(Ordering::Relaxed);
        counters.push(("detour_state_late_writes_total", vec![], late));
        counters.extend(self.office.metrics());
        counters.extend(self.teller.metrics());
        counters.extend(self.watchers.metrics());
        counters.extend(self.router.metrics());
        counters.push(("detour_probe_runs", vec![], self.prober.runs() as u64));
        let writable = u64::from(self.pulse.disk_trouble().is_none());
        counters.push(("detour_state_writable", vec![], writable));
        let broken = self.pulse.broken.load(Ordering::Relaxed);
        counters.push(("detour_zones_broken", vec![], broken as u64));
        let offset = self.clock.offset();
        counters.extend(self.alerts.views().iter().flat_map(|view| view.metrics(offset)));
        Measurements {
            last_load_ok: self.pulse.load_ok.load(Ordering::Relaxed),
            measured,
            endpoints: self.pulse.endpoints.load(Ordering::Relaxed),
            counters,
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
