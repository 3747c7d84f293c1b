//! Serving: the threads and tasks that answer, what they count, and their end.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, watch};
use tokio::task::{self, JoinHandle};
use tokio::time::timeout;

use super::admission::{Admission, Bounds};
use super::counters::{Counters, Tallies, Tally};
use super::rate_limit::Limiting;
use super::responder::{Published, Responder};
use super::sampler::{Spigot, Taps};
use super::slow_path::{Desk, Slip};
use super::sockets::Sockets;
use super::tcp::{Patience, Tcp};
use super::udp::Worker;
use crate::answer::{Settings, Table};

/// TCP connections open at once over all listeners, at most. With the buffers of `tcp`, 200 MB where every one
/// of them sends and is sent messages of 64 KB.
pub const MAX_CONNECTIONS: usize = 1024;
/// TCP connections open at once from one source, at most.
const MAX_CONNECTIONS_PER_SOURCE: usize = 64;

/// Bounds on TCP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bounds: Bounds,
    pub(super) patience: Patience,
}

impl Limits {
    /// With so many connections at once, [`MAX_CONNECTIONS`] at most; one source has half of few.
    pub(super) fn of(connections: usize) -> Limits {
        let total = connections.clamp(1, MAX_CONNECTIONS);
        let per_source = total.div_ceil(2).min(MAX_CONNECTIONS_PER_SOURCE);
        let bounds = Bounds { total, per_source, kept_for_loopback: 0 };
        Limits { bounds, patience: Patience::default() }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::of(MAX_CONNECTIONS)
    }
}

/// Sockets being served. Dropped without [`Running::stop`], they end soon after by themselves.
pub struct Running {
    pub(super) tallies: Tallies,
    admission: Arc<Admission>,
    failed: Arc<AtomicU64>,
    stop_desk: watch::Sender<bool>,
    stop_tcp: watch::Sender<bool>,
    stop_udp: Arc<AtomicBool>,
    last_letters: Duration,
    parts: Mutex<Parts>,
}

/// What has to end before the sockets are closed.
#[derive(Default)]
struct Parts {
    workers: Vec<thread::JoinHandle<()>>,
    listeners: Vec<JoinHandle<()>>,
    /// Who sees to datagrams at the desk.
    clerk: Option<JoinHandle<()>>,
}

impl Sockets {
    /// Serves `table` as it stands at each moment, until [`Running::stop`]: UDP from threads of its
    /// own, TCP on `runtime`. What is no plain query goes to the desk, where there is one; some of what is, to the taps.
    pub fn serve(
        self,
        table: Arc<ArcSwap<Table>>,
        settings: Arc<Settings>,
        desk: Option<Arc<dyn Desk>>,
        taps: &Arc<Taps>,
        runtime: &Handle,
    ) -> Running {
        let limits = Limits::of(self.connections);
        let limiting = settings.rate_limit.clone().map(|limit| Arc::new(Limiting::new(limit)));
        Running::start(self, &Published { table, settings, limiting }, desk, taps, limits, runtime)
    }
}

impl Running {
    /// Starts every worker and listener of `sockets`.
    pub(super) fn start<R: Responder>(
        sockets: Sockets,
        responder: &R,
        desk: Option<Arc<dyn Desk>>,
        taps: &Arc<Taps>,
        limits: Limits,
        runtime: &Handle,
    ) -> Running {
        let (stop_desk, desk_stopped) = watch::channel(false);
        let (stop_tcp, tcp_stopped) = watch::channel(false);
        let mut running = Running {
            tallies: Tallies { udp: Vec::new(), tcp: Arc::default() },
            admission: Admission::new("DNS over TCP", limits.bounds),
            failed: Arc::default(),
            stop_desk,
            stop_tcp,
            stop_udp: Arc::default(),
            last_letters: limits.patience.last_letters,
            parts: Mutex::default(),
        };
        let tcp = Tcp {
            responder: responder.clone(),
            admission: Arc::clone(&running.admission),
            tally: Arc::clone(&running.tallies.tcp),
            spigot: Arc::new(Spigot::of(taps)),
            // Each listener has its own.
            address: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            patience: limits.patience,
            desk: desk.clone(),
            stop: tcp_stopped,
        };
        let mut parts = Parts::default();
        let way = |desk| Slip::to(desk, Arc::clone(&tcp.tally), desk_stopped, runtime);
        let (slip, clerk) = desk.map(way).unzip();
        parts.clerk = clerk;
        for bound in sockets.bound {
            let failed = Arc::clone(&running.failed);
            let listening = Tcp { address: bound.address, ..tcp.clone() }.listen(bound.tcp);
            parts.listeners.push(runtime.spawn(async move {
                if let Err(error) = listening.await {
                    tracing::error!(%error, address = %bound.address, "cannot serve TCP");
                    failed.fetch_add(1, Relaxed);
                }
            }));
            for (core, socket) in bound.udp.into_iter().enumerate() {
                let worker = Worker {
                    socket: Arc::new(socket),
                    tells_local_address: bound.address.ip().is_unspecified(),
                    core,
                    desk: slip.clone(),
                    tally: Arc::new(Tally::default()),
                    spigot: Spigot::of(taps),
                    address: bound.address,
                    stop: Arc::clone(&running.stop_udp),
                    failed: Arc::clone(&running.failed),
                };
                running.tallies.udp.push(Arc::clone(&worker.tally));
                let responder = responder.at(bound.address.ip());
                let thread = thread::Builder::new().name(format!("udp-{core}"));
                match thread.spawn(move || worker.work(&responder)) {
                    Ok(thread) => parts.workers.push(thread),
                    Err(error) => {
                        tracing::error!(%error, address = %bound.address, "cannot start a UDP worker");
                        running.failed.fetch_add(1, Relaxed);
                    }
                }
            }
        }
        running.parts = Mutex::new(parts);
        running
    }

    /// What was received and answered so far.
    pub fn counters(&self) -> Counters {
        Counters::read(&self.tallies, &self.admission)
    }

    /// How many workers cannot receive just now, and how many workers and listeners could not start or ended
    /// before they were told to. Above zero, some queries get no answer.
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// How many UDP workers there were to be.
    pub fn workers(&self) -> u64 {
        self.tallies.udp.len() as u64
    }

    /// Ends what waits for others first, then connections, and the workers last, so that plain queries are
    /// answered until their sockets close; answers what has been received. Takes two seconds or so at most;
    /// a second caller waits with the first.
    pub async fn stop(&self) {
        let mut parts = self.parts.lock().await;
        self.stop_desk.send_replace(true);
        if let Some(mut clerk) = parts.clerk.take() {
            // What it works on may wait for others, who may be gone.
            if timeout(self.last_letters, &mut clerk).await.is_err() {
                clerk.abort();
            }
        }
        self.stop_tcp.send_replace(true);
        for listener in std::mem::take(&mut parts.listeners) {
            // A panic in a listener ended it, which is what is asked for.
            let _ = listener.await;
        }
        self.stop_udp.store(true, Relaxed);
        let workers = std::mem::take(&mut parts.workers);
        let joined = task::spawn_blocking(move || workers.into_iter().all(|worker| worker.join().is_ok()));
        let _ = joined.await;
    }

    #[cfg(test)]
    pub(super) fn is_stopping(&self) -> bool {
        *self.stop_desk.borrow()
    }

    fn signal(&self) {
        self.stop_desk.send_replace(true);
        self.stop_tcp.send_replace(true);
        self.stop_udp.store(true, Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("failed", &self.failed()).finish_non_exhaustive()
    }
}
