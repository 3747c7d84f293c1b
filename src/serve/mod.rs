<<<<<<< HEAD
//! Sockets: query bytes in from the network, answer bytes out to it. The only room with `unsafe`,
//! for system calls.
//!
//! In: the addresses to listen on and the published [`Table`](crate::answer::Table), watched through
//! one atomic pointer. Out: answers, [`Counters`], and how many parts have [failed](Running::failed).
//! This room must never know what a query means, where the table comes from, or what health is:
//! `answer` turns bytes into bytes, and only the length, the rcode and the truncation are looked at.
//!
//! ```text
//! bind ─► Sockets ─► serve ─► Running ─► stop
//!                      │
//!                      ├─ a thread per (worker × address): recvmmsg ─► answer ─► sendmmsg
//!                      └─ a task per address: accept ─► admission ─► a task per connection
//!
//! a TCP connection:  Reading ──whole queries──► Answering ──► Writing ──► Reading
//!                       │ idle, stop, end of stream,            │ the reader is too slow
//!                       ▼ or not DNS                            ▼
//!                     Closed ◄──────────────────────────────────┘
//! ```

mod admission;
mod batch;
mod counters;
mod options;
mod pin;
mod responder;
mod running;
mod sockets;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;

pub use counters::Counters;
pub use running::Running;
pub use sockets::{BindError, Sockets};
=======
//! The sockets: datagrams and streams in, the answers of [`crate::answer`] out.
//!
//! In: addresses to listen on, the published table, and whatever the network sends. Out: answers, and
//! counts of them. This room must never know what is in a table or why: it hands bytes to
//! [`crate::answer::answer`], and reads the table's pointer once for every batch of datagrams.
//!
//! ```text
//!  bind ──► Sockets ──serve──► Running ──stop──► (all queries already here answered, all closed)
//!                                │
//!            UDP: one thread for each worker and address, on a core of its own, in batches
//!            TCP: a task for each address and each connection, on the runtime
//! ```
//!
//! A worker that panics is counted, said in the log and started again; one that the system takes its
//! socket from makes [`Running::failed`] true.

mod batch;
mod bind;
mod counters;
mod limits;
mod tcp;
mod udp;

pub use bind::{BindError, Sockets};
pub use counters::{Counters, Tally};
pub use limits::TcpLimits;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answer::{Settings, Table};
use counters::{TcpCounters, WorkerCounters};

/// How long [`Running::stop`] lets TCP connections finish what they have begun.
const DRAIN: Duration = Duration::from_secs(2);

/// What every worker shares.
#[derive(Clone)]
struct Shared {
    table: Arc<ArcSwap<Table>>,
    settings: Arc<Settings>,
    /// Set once, when the server stops.
    stopping: Arc<AtomicBool>,
    /// Set when a worker has ended that should not have.
    failed: Arc<AtomicBool>,
}

/// A server at work. Dropped without [`Running::stop`], it ends without finishing anything.
pub struct Running {
    addresses: Vec<SocketAddr>,
    shared: Shared,
    threads: Vec<std::thread::JoinHandle<()>>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    udp: Vec<Arc<WorkerCounters>>,
    tcp: Arc<TcpCounters>,
}

impl Sockets {
    /// Begins to answer. The table is read anew for every batch, so a store to it is a publish.
    pub fn serve(self, table: Arc<ArcSwap<Table>>, settings: Arc<Settings>, runtime: &Handle) -> Running {
        let addresses = self.addresses().to_vec();
        let shared = Shared { table, settings, stopping: Arc::default(), failed: Arc::default() };
        let (stop, stopped) = watch::channel(false);
        let (limits, udp_sockets, listeners) = self.into_parts();

        let (mut threads, mut udp) = (Vec::new(), Vec::new());
        let cores = udp::cores();
        for socket in udp_sockets {
            let counters = Arc::new(WorkerCounters::default());
            udp.push(counters.clone());
            let core = cores.get(socket.worker % cores.len().max(1)).copied();
            match udp::spawn(socket, shared.clone(), counters, core) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    tracing::error!(%error, "no thread for a UDP worker");
                    shared.failed.store(true, Ordering::Relaxed);
                }
            }
        }
        let tcp = Arc::new(TcpCounters::default());
        let doorkeeper = Arc::new(limits::Doorkeeper::new(limits, tcp.clone()));
        let mut tasks = JoinSet::new();
        for listener in listeners {
            let task = tcp::accept(listener, shared.clone(), doorkeeper.clone(), stopped.clone());
            tasks.spawn_on(task, runtime);
        }
        Running { addresses, shared, threads, tasks, stop, udp, tcp }
    }
}

impl Running {
    /// The addresses served, over UDP and TCP, with the ports the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What has been asked and answered since the start.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for worker in &self.udp {
            worker.add_to(&mut counters.udp);
            counters.panics += worker.panics();
        }
        self.tcp.read(&mut counters);
        counters
    }

    /// Whether a worker has ended on its own: queries to its address may be lost.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Answers what has arrived, lets connections finish, and closes everything.
    pub async fn stop(mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || {
            // A thread's panic has been caught and counted inside it.
            for thread in threads {
                drop(thread.join());
            }
        });
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            self.tasks.shutdown().await;
        }
        drop(joined.await);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
    }
}
>>>>>>> answer
