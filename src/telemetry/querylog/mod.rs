//! Tap: some of the queries, told to those who watch: a file of lines, and a reader of dnstap.
//!
//! In: what the taps of `server` give away, through bounded channels, and where it is to go. Out: lines; frames on a
//! unix socket; how many were written and lost. This room must never know what is answered, or why, and nobody
//! waits for it: what it cannot write in time is lost, and counted.
//!
//! ```text
//!  a worker ──one query of so many──► [channel] ──► a thread ──► queries.log
//!                                     [channel] ──► a thread ──► dnstap reader
//! ```
//!
//! Neither thread is there before it is first asked for.

mod lines;
mod payload;
mod stream;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::model::Observed;
use crate::server::{Metric, Seen, Taps};

/// How often a thread that gets nothing looks whether it should let go of what it holds, or try again.
const LOOK: Duration = Duration::from_secs(1);
/// What the taps are called, in their order.
const NAMES: [&str; 2] = ["query_log", "dnstap"];

/// Where it goes, and what became of it.
#[derive(Debug)]
pub struct Watchers {
    taps: Arc<Taps>,
    log: Arc<Outlet<Log>>,
    dnstap: Arc<Outlet<Reader>>,
    /// What no thread has taken up yet.
    waiting: Mutex<[Option<Receiver<Seen>>; 2]>,
    identity: Option<String>,
}

/// A file of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Log {
    file: PathBuf,
    max: u64,
}

/// Somebody who reads dnstap.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reader {
    socket: PathBuf,
    identity: Option<String>,
}

/// One way out.
#[derive(Debug)]
struct Outlet<T> {
    /// Where to, and how often that was said.
    target: Mutex<(Option<T>, u64)>,
    written: AtomicU64,
    lost: AtomicU64,
}

/// Who writes what comes out of a tap.
trait Sink<T> {
    /// Where to from now on; said anew at each load, so that what was put aside is opened again.
    fn aim(&mut self, target: Option<T>);
    /// Takes one; `Err` where it is lost.
    fn take(&mut self, seen: &Seen) -> io::Result<()>;
    /// Nothing more is waiting.
    fn pause(&mut self);
}

impl Watchers {
    /// Watchers of these taps, with nothing to do yet; `identity` is this server's for readers of dnstap.
    pub fn new(taps: Arc<Taps>, seen: [Receiver<Seen>; 2], identity: Option<String>) -> Watchers {
        let (log, dnstap) = (Arc::new(Outlet::new()), Arc::new(Outlet::new()));
        Watchers { taps, log, dnstap, waiting: Mutex::new(seen.map(Some)), identity }
    }

    /// Takes up where queries go from now on. Called at each load, which opens files anew.
    pub fn set(&self, observed: &Observed) {
        let log = observed.query_log.as_ref();
        let dnstap = observed.dnstap.as_ref();
        self.log.aim(log.map(|log| Log { file: log.file.clone(), max: log.max }));
        let identity = self.identity.clone();
        self.dnstap.aim(dnstap.map(|dnstap| Reader { socket: dnstap.socket.clone(), identity }));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let [log_seen, dnstap_seen] = &mut *waiting;
        let started = [
            log.and_then(|_| log_seen.take())
                .map(|seen| start("query-log", seen, &self.log, lines::Lines::default())),
            dnstap
                .and_then(|_| dnstap_seen.take())
                .map(|seen| start("dnstap", seen, &self.dnstap, stream::Stream::default())),
        ];
        for error in started.into_iter().flatten().filter_map(Result::err) {
            tracing::error!(%error, "a thread that writes queries could not be started");
        }
        self.taps.set([log.map_or(0, |log| log.sample), dnstap.map_or(0, |dnstap| dnstap.sample)]);
    }

    /// What was written and what was lost.
    pub fn metrics(&self) -> Vec<Metric> {
        let counts = [
            (self.log.written.load(Relaxed), self.log.lost.load(Relaxed)),
            (self.dnstap.written.load(Relaxed), self.dnstap.lost.load(Relaxed)),
        ];
        let each = NAMES.iter().zip(counts).zip(self.taps.lost());
        let each = each.flat_map(|((name, (written, lost)), full)| {
            let labels = || vec![("tap", (*name).to_owned())];
            [
                ("detour_tap_written_total", labels(), written),
                ("detour_tap_lost_total", labels(), lost + full),
            ]
        });
        each.collect()
    }
}

impl<T: Clone> Outlet<T> {
    fn new() -> Outlet<T> {
        Outlet { target: Mutex::new((None, 0)), written: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    fn aim(&self, target: Option<T>) {
        let mut held = self.lock();
        *held = (target, held.1 + 1);
    }

    /// Aims at what was said since it was `aimed` last. The lock is not held meanwhile.
    fn aim_anew(&self, aimed: &mut u64, aim: impl FnOnce(Option<T>)) {
        let (target, said) = self.lock().clone();
        if std::mem::replace(aimed, said) != said {
            aim(target);
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Option<T>, u64)> {
        // Nothing that holds it can panic halfway through a change.
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread that writes what is seen, for as long as there are taps.
fn start<T, S>(name: &str, seen: Receiver<Seen>, outlet: &Arc<Outlet<T>>, mut sink: S) -> io::Result<()>
where
    T: Clone + Send + 'static,
    S: Sink<T> + Send + 'static,
{
    let outlet = outlet.clone();
    let body = move || {
        let mut aimed = 0;
        loop {
            let next = if let Ok(next) = seen.try_recv() {
                Ok(next)
            } else {
                sink.pause();
                seen.recv_timeout(LOOK)
            };
            outlet.aim_anew(&mut aimed, |target| sink.aim(target));
            match next {
                Ok(seen) => {
                    let count = if sink.take(&seen).is_ok() { &outlet.written } else { &outlet.lost };
                    count.fetch_add(1, Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
}
