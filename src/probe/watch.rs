//! Watches: a connection held open to each place of a probe with `watch = true`, so that a process that
//! dies is noticed when its kernel closes the connection, whatever the interval.
//!
//! **In:** the checks, and word of each run that passed. **Out:** hints that a check be run now. A hint
//! is never a sample: servers close idle connections too, and then the run it asks for passes.
//!
//! ```text
//!             a run passed, pause over           accepted
//!   Waiting ───────────────────────────► connect ─────────► Standing
//!    ▲   ▲                                  │ failed: hint      │ closed, reset, silent
//!    │   └──────────────────────────────────┘                   │ host: hint
//!    └──────────────────────────────────────────────────────────┘
//! ```
//!
//! - A place that is Down costs nothing: nothing connects to it before a run has passed.
//! - Nothing is sent, whatever the protocol: TCP alone shows that a process is there, and a TLS handshake
//!   would put off the moment at which a server loses patience with a silent client by nothing.
//! - A server that closes at once is asked less and less: [`MAX_SHORT`] closings in a row at growing
//!   pauses, then one each [`SLOW`], and status says that the watch is not useful there.
//! - TCP's keepalive finds a host that died without a word, after [`DEAD_AFTER`].

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::lookup::resolve;
use crate::model::{Check, CheckKey, Whereto};
use crate::sys::clock::Clock;
use crate::time::Time;

/// A connection that stood for less than this, or than an interval, was of little use: with the run each
/// end asks for, it costs more than the interval's runs do.
const SHORT: Duration = Duration::from_secs(10);
/// Short connections in a row after which a watch counts as not useful.
const MAX_SHORT: u32 = 5;
/// The pause after the first short connection; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The pause of a watch that is not useful.
const SLOW: Duration = Duration::from_secs(300);
/// What a server may send unasked, in bytes, before its connection counts as a short one: a greeting.
const MAX_GREETING: usize = 64 * 1024;
/// Silence before TCP asks whether the host is still there, and from one such question to the next.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_PROBES: u32 = 3;
/// How long a host may stay silent in all. It stands above the probes' count, where it is set (tcp(7)).
const DEAD_AFTER: Duration = Duration::from_secs(8);

/// How a watch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WatchState {
    /// It waits for a run to pass, and then for the pause after short connections to end.
    Waiting,
    /// Its connection stands.
    Standing,
    /// The site closes idle connections so soon that the watch is tried once in five minutes.
    NotUseful,
    /// There are as many watches as allowed.
    NoRoom,
}

impl fmt::Display for WatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WatchState::Waiting => "waiting for a run to pass",
            WatchState::Standing => "stands",
            WatchState::NotUseful => "not useful: the site closes idle connections",
            WatchState::NoRoom => "none: there are as many as allowed",
        })
    }
}

/// A watch, as status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WatchView {
    /// The check it has run.
    pub check: CheckKey,
    /// How it stands.
    pub state: WatchState,
    /// Since when.
    pub since: Time,
}

/// Every watch. Bounded by the room it is made with.
#[derive(Debug)]
pub(super) struct Watches {
    room: usize,
    clock: Clock,
    held: Mutex<HashMap<CheckKey, Held>>,
}

#[derive(Debug)]
struct Held {
    check: Check,
    state: Arc<Mutex<(WatchState, Time)>>,
    passed: watch::Sender<()>,
    task: Option<AbortHandle>,
}

/// A watch that goes takes its connection with it.
impl Drop for Held {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Watches {
    /// No watches yet, and at most `room`.
    pub(super) fn new(room: usize, clock: Clock) -> Watches {
        Watches { room, clock, held: Mutex::default() }
    }

    /// Watches those of `checks` that ask for it. Those that stay as they are keep their connections.
    pub(super) fn set<F>(&self, checks: &[Check], runtime: &Handle, hint: &F)
    where
        F: Fn(&CheckKey) + Clone + Send + Sync + 'static,
    {
        let mut held = self.held();
        let mut before = std::mem::take(&mut *held);
        let (mut count, mut without) = (0, 0);
        for check in checks.iter().filter(|check| check.probe.watch) {
            let same = before.remove(&check.key).filter(|held| held.check == *check && held.task.is_some());
            let kept = if count < self.room {
                same.unwrap_or_else(|| self.start(check, runtime, hint.clone()))
            } else {
                without += 1;
                Held::new(check, WatchState::NoRoom, self.clock.now())
            };
            count += usize::from(kept.task.is_some());
            held.insert(check.key.clone(), kept);
        }
        if without > 0 {
            tracing::warn!(without, allowed = self.room, "more watches than allowed: some checks have none");
        }
    }

    fn start<F>(&self, check: &Check, runtime: &Handle, hint: F) -> Held
    where
        F: Fn(&CheckKey) + Send + Sync + 'static,
    {
        let mut held = Held::new(check, WatchState::Waiting, self.clock.now());
        let watch = Watch {
            check: check.clone(),
            clock: self.clock.clone(),
            state: held.state.clone(),
            passed: held.passed.subscribe(),
            short: 0,
        };
        held.task = Some(runtime.spawn(watch.go(hint)).abort_handle());
        held
    }

    /// A run of this check has passed.
    pub(super) fn passed(&self, check: &CheckKey) {
        if let Some(held) = self.held().get(check) {
            held.passed.send_replace(());
        }
    }

    /// How many may hold a connection.
    pub(super) fn count(&self) -> usize {
        self.held().len().min(self.room)
    }

    /// Ends every watch.
    pub(super) fn stop(&self) {
        self.held().clear();
    }

    pub(super) fn views(&self) -> Vec<WatchView> {
        let held = self.held();
        let view = |(check, held): (&CheckKey, &Held)| {
            let (state, since) = *locked(&held.state);
            WatchView { check: check.clone(), state, since }
        };
        let mut views: Vec<WatchView> = held.iter().map(view).collect();
        views.sort_by(|a, b| a.check.cmp(&b.check));
        views
    }

    fn held(&self) -> MutexGuard<'_, HashMap<CheckKey, Held>> {
        locked(&self.held)
    }
}

/// Whoever panics while holding one of these leaves whole values behind.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    fn new(check: &Check, state: WatchState, now: Time) -> Held {
        let state = Arc::new(Mutex::new((state, now)));
        Held { check: check.clone(), state, passed: watch::Sender::new(()), task: None }
    }
}

/// One watch, in its task.
struct Watch {
    check: Check,
    clock: Clock,
    state: Arc<Mutex<(WatchState, Time)>>,
    passed: watch::Receiver<()>,
    /// Short connections in a row.
    short: u32,
}

impl Watch {
    /// Holds connections until it is aborted, or nobody tells it of runs any more.
    async fn go(mut self, hint: impl Fn(&CheckKey)) {
        while self.passed.changed().await.is_ok() {
            sleep(pause(self.short)).await;
            let stood = match timeout(self.check.probe.timeout, self.connect()).await {
                Ok(Ok(stream)) => self.hold(stream).await,
                Ok(Err(_)) | Err(_) => Duration::ZERO,
            };
            // What passed before the end says nothing of the time after it.
            self.passed.mark_unchanged();
            self.short = if stood < self.long_enough() { self.short + 1 } else { 0 };
            self.is(if self.short < MAX_SHORT { WatchState::Waiting } else { WatchState::NotUseful });
            tracing::debug!(check = %self.check.key, ?stood, "the watch's connection has ended");
            hint(&self.check.key);
        }
    }

    fn is(&self, state: WatchState) {
        let mut held = locked(&self.state);
        if held.0 != state {
            *held = (state, self.clock.now());
        }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let addr = match &self.check.key.whereto {
            Whereto::Addr(addr) => *addr,
            Whereto::Name(name) => resolve(name).await.map_err(|_| io::ErrorKind::NotFound)?,
        };
        let to = SocketAddr::new(addr, self.check.probe.port);
        let stream = TcpStream::connect(to).await?;
        // A connect to a closed port of this host may meet itself (RFC 9293, section 3.5).
        if stream.local_addr()? == to {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE_IDLE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES);
        let socket = SockRef::from(&stream);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(DEAD_AFTER))?;
        Ok(stream)
    }

    /// Waits for the connection's end; how long it stood.
    async fn hold(&self, mut stream: TcpStream) -> Duration {
        let began = Instant::now();
        // One that is not useful says so until it has proven otherwise.
        let mut proven = self.short < MAX_SHORT;
        if proven {
            self.is(WatchState::Standing);
        }
        let mut proof = pin!(sleep(self.long_enough()));
        let mut heard = 0;
        let mut buffer = [0; 1024];
        loop {
            tokio::select! {
                () = &mut proof, if !proven => {
                    proven = true;
                    self.is(WatchState::Standing);
                }
                read = stream.read(&mut buffer) => match read {
                    Ok(read @ 1..) if heard + read <= MAX_GREETING => heard += read,
                    Ok(1..) => return Duration::ZERO,
                    Ok(0) | Err(_) => return began.elapsed(),
                }
            }
        }
    }

    /// How long a connection has to stand to be no short one.
    fn long_enough(&self) -> Duration {
        SHORT.min(self.check.probe.interval)
    }
}

/// Before a connect, after so many short connections in a row.
fn pause(short: u32) -> Duration {
    match short {
        0 => Duration::ZERO,
        1..MAX_SHORT => FIRST_PAUSE * 2_u32.pow(short - 1),
        MAX_SHORT.. => SLOW,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::tests::{check, tcp_probe};
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let check = |short: u32, want_ms: u64| assert_eq!(pause(short), Duration::from_millis(want_ms));
        check(0, 0);
        check(1, 200);
        check(4, 1600);
        check(5, 300_000);
        check(u32::MAX, 300_000);
    }

    #[tokio::test]
    async fn a_silent_host_is_noticed_by_keepalive() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Held::new(&check(&tcp_probe("web", port), [127, 0, 0, 1]), WatchState::Waiting, Time(0));
        let watch = Watch {
            check: held.check.clone(),
            clock: Clock::start(),
            state: held.state.clone(),
            passed: held.passed.subscribe(),
            short: 0,
        };
        let stream = watch.connect().await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_PROBES);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(DEAD_AFTER));
    }
}
