//! The prober: one task that starts what is due, one task for each run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::exec::Commands;
use super::heartbeat::{Beat, Heartbeats, TooSoon};
use super::run::Runner;
use super::stall::Stalls;
use super::table::{Due, Id, Room, Table};
use super::times::{ProbeTimes, Times};
use super::tls::Trust;
use super::watch::{WatchView, Watches};
use crate::engine::Pace;
use crate::health::{Outcome, Sample, Vantage};
use crate::model::{Check, CheckKey, ProbeKind};
use crate::sys::clock::Clock;
use crate::sys::histogram::Distribution;
use crate::time::Time;

/// Runs under way at once, at most.
const MAX_RUNS: usize = 32_768;
/// Of the room for runs, the part that watches may take: each holds a connection for good.
const WATCH_SHARE: usize = 2;
/// File descriptors that probes leave to others, unless that is more than half of all.
const FILES_FOR_OTHERS: usize = 4096;
/// Runs started in a millisecond, on average. At start-up everything is due at once, and a herd of its own
/// making would have the process measure its own overload.
const RUNS_PER_MS: usize = 16;
/// What may be started in one go by a task that was woken late, to catch up.
const MAX_BURST: usize = 512;
/// First runs in one go, [`BURST_GAP`] apart.
const BURST: usize = 64;
/// From one full burst to the next.
const BURST_GAP: Duration = Duration::from_millis(4);
/// First runs in one go where the task was woken later than it asked to be: this process has all the work it
/// can do, and what is new has the most time.
const BURST_BUSY: usize = 8;
/// How long the task sleeps with nothing to wait for; whatever changes wakes it.
const IDLE: Duration = Duration::from_secs(3600);

/// Runs checks and hands out their samples.
#[derive(Debug)]
pub struct Prober {
    shared: Arc<Shared>,
    trust: Trust,
    runtime: Handle,
    ticker: AbortHandle,
    starter: AbortHandle,
    starter_end: Mutex<Option<JoinHandle<()>>>,
    heartbeats: Arc<Heartbeats>,
    waiter: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    stalls: Stalls,
    table: Mutex<Table>,
    changed: Notify,
    stopped: AtomicBool,
    running: AtomicUsize,
    commands: Commands,
    times: Times,
    /// Whether the log has that runs have to wait, since the last change of the checks.
    told_full: AtomicBool,
    /// Bounds the connections of runs and watches together.
    max_runs: usize,
    watches: Watches,
}

impl Prober {
    /// A prober without checks on `runtime`, trusting the authorities this host trusts. Samples go to
    /// `out`; where that is full the runs wait, and no check is run again before its sample is taken.
    pub fn start(clock: Clock, out: mpsc::Sender<Sample>, runtime: &Handle) -> Prober {
        Prober::start_trusting(Trust::of_host(), clock, out, runtime)
    }

    /// [`Prober::start`], trusting other authorities.
    pub fn start_trusting(trust: Trust, clock: Clock, out: mpsc::Sender<Sample>, runtime: &Handle) -> Prober {
        let max_runs = max_runs();
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            stalls: Stalls::new(clock.clone()),
            table: Mutex::default(),
            changed: Notify::new(),
            stopped: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            commands: Commands::new(),
            times: Times::new(),
            told_full: AtomicBool::new(false),
            max_runs,
            watches: Watches::new(max_runs / WATCH_SHARE, clock.clone()),
        });
        let watching = shared.clone();
        let ticker = runtime.spawn(async move { watching.stalls.watch().await }).abort_handle();
        let heartbeats = Heartbeats::new(clock, out.clone());
        let (waiting, stalling) = (heartbeats.clone(), shared.clone());
        let waiter = runtime.spawn(async move { waiting.wait(&stalling.stalls).await });
        let waiter = Mutex::new(Some(waiter));
        let starter_end = runtime.spawn(shared.clone().start_runs(out));
        let starter = starter_end.abort_handle();
        let runtime = runtime.clone();
        let starter_end = Mutex::new(Some(starter_end));
        Prober { shared, trust, runtime, ticker, starter, starter_end, heartbeats, waiter }
    }

    /// Makes `checks` the ones that are run: at start, and again on each reload. Those that stay as they
    /// are go on undisturbed; new and changed ones are run at once; no sample comes of a run that this
    /// breaks off, though samples of removed checks may still be in the channel.
    pub fn set(&self, checks: Vec<Check>) {
        let (beats, checks): (Vec<Check>, Vec<Check>) =
            checks.into_iter().partition(|check| check.probe.kind == ProbeKind::Heartbeat);
        self.heartbeats.set(beats);
        let trusts_host =
            |check: &Check| check.probe.kind.tls().is_some_and(|tls| tls.verify && tls.ca.is_none());
        if checks.iter().any(trusts_host)
            && let Err(why) = self.trust.load()
        {
            tracing::error!(%why, "probes over TLS cannot succeed");
        }
        // A hint for a check that the table does not know yet would be lost, but a watch begins with a run.
        let shared = self.shared.clone();
        let hint = move |check: &CheckKey| shared.hasten(check);
        self.shared.watches.set(&checks, &self.runtime, &hint);
        self.shared.times.set(&checks);
        self.shared.told_full.store(false, Ordering::Relaxed);
        let now = self.shared.clock.now();
        let runner = |check: &Check| Runner::new(check.clone(), self.trust.clone(), Vantage::local());
        self.shared.table().set(checks, now, runner);
        self.shared.changed.notify_one();
    }

    /// How many commands of `exec` probes may run at once, from now on; those that run go on.
    pub fn limit_commands(&self, max: usize) {
        self.shared.commands.limit(max);
    }

    /// Changes which of its two intervals a check is run at. Nothing happens for a check it does not run.
    pub fn pace(&self, check: &CheckKey, pace: Pace) {
        let now = self.shared.clock.now();
        self.shared.table().pace(check, pace, now);
        self.shared.changed.notify_one();
    }

    /// How each watch stands, in the order of their checks.
    pub fn watches(&self) -> Vec<WatchView> {
        self.shared.watches.views()
    }

    /// For how long no check has run although one is due; zero as long as they run. It costs the same however
    /// many there are.
    pub fn idle(&self, now: Time) -> Duration {
        self.shared.table().idle(now).max(self.heartbeats.idle(now))
    }

    /// How late runs were started, from the time they were due.
    pub fn lateness(&self) -> Distribution {
        self.shared.times.late.read()
    }

    /// How long runs took, by probe and result; heartbeats aside, which take no time.
    pub fn times(&self) -> Vec<ProbeTimes> {
        self.shared.times.read()
    }

    /// Runs under way.
    pub fn runs(&self) -> usize {
        self.shared.running.load(Ordering::Acquire)
    }

    /// A site calls in. Nothing happens for a check that is not waited for.
    pub async fn beat(&self, check: &CheckKey, beat: Beat) -> Result<(), TooSoon> {
        self.heartbeats.beat(check, beat).await
    }

    /// Breaks off every run; once it returns no sample comes any more.
    pub async fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.watches.stop();
        self.shared.changed.notify_one();
        self.ticker.abort();
        let waiter = self.waiter.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waiter) = waiter {
            waiter.abort();
            // It ends by being broken off, and in no other way.
            let _ = waiter.await;
        }
        self.heartbeats.close();
        let starter = self.starter_end.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(starter) = starter
            && let Err(error) = starter.await
            && error.is_panic()
        {
            tracing::error!(%error, "the prober's task had ended in a panic");
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.watches.stop();
        self.ticker.abort();
        self.starter.abort();
        if let Some(waiter) = self.waiter.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waiter.abort();
        }
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // The table's methods leave it whole, or panic before they change it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch has ended: its check is run now.
    fn hasten(&self, check: &CheckKey) {
        let now = self.clock.now();
        self.table().hasten(check, now);
        self.changed.notify_one();
    }

    /// Starts what is due until told to stop.
    async fn start_runs(self: Arc<Self>, out: mpsc::Sender<Sample>) {
        let mut runs = JoinSet::new();
        let mut gate = self.clock.now();
        let mut wake = gate;
        let (mut budget, mut filled) = (BURST, gate);
        while !self.stopped.load(Ordering::Acquire) {
            while runs.try_join_next().is_some() {}
            let now = self.clock.now();
            let room = self
                .max_runs
                .saturating_sub(self.watches.count())
                .saturating_sub(self.running.load(Ordering::Acquire));
            if room == 0 && !self.told_full.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    runs = self.max_runs,
                    "as many probe runs as allowed are under way; others wait. Raise the limit on open files; this is not logged again before the next reload"
                );
            }
            let full = room == 0;
            if now >= gate {
                let ms = usize::try_from(now.since(filled).as_millis()).unwrap_or(MAX_BURST);
                budget = budget.saturating_add(ms.saturating_mul(RUNS_PER_MS)).min(MAX_BURST);
                filled = now;
                let new = if now.since(wake) < BURST_GAP { BURST } else { BURST_BUSY };
                let room = Room { all: room.min(budget), new, slow_runs: self.slow_runs() };
                let (started, first) = self.start_due(now, room, &mut runs, &out);
                budget -= started;
                if budget == 0 || first >= new {
                    gate = now + BURST_GAP;
                }
            }
            let due = self.table().sleep(full, self.slow_runs());
            wake = due.map_or(now + IDLE, |due| due.max(gate));
            tokio::select! {
                () = sleep_until(Instant::from_std(self.clock.instant(wake))) => {}
                () = self.changed.notified() => {}
            }
        }
        runs.shutdown().await;
    }

    /// Runs under way at once of checks that are slow or new, at most.
    fn slow_runs(&self) -> usize {
        slow_of(self.max_runs)
    }

    /// Starts what is due and has room; how many that were, and how many of them first runs.
    fn start_due(
        self: &Arc<Self>,
        now: Time,
        room: Room,
        runs: &mut JoinSet<()>,
        out: &mpsc::Sender<Sample>,
    ) -> (usize, usize) {
        let started = self.table().start(now, room);
        let counts = (started.len(), started.iter().filter(|due| due.late.is_none()).count());
        for Due { id, runner, late } in started {
            late.inspect(|late| self.times.late.took(*late));
            let slot = Some(Slot::take(self));
            let run = Run { id, shared: self.clone(), slot, sampled: false };
            let abort = runs.spawn(run.go(runner, out.clone()));
            self.table().attach(id, abort);
        }
        counts
    }
}

/// A run under way. However it ends, broken off or in a panic, its check is run again.
struct Run {
    id: Id,
    shared: Arc<Shared>,
    slot: Option<Slot>,
    sampled: bool,
}

impl Run {
    async fn go(mut self, runner: Arc<Runner>, out: mpsc::Sender<Sample>) {
        if runner.takes_turns() {
            // Those that wait for a turn must not keep others from theirs. Turns are few, so the limit on
            // runs is exceeded by few.
            self.slot = None;
            self.shared.changed.notify_one();
        }
        let turn = runner.turn(&self.shared.commands).await;
        if self.slot.is_none() {
            self.slot = Some(Slot::take(&self.shared));
        }
        let sample = runner.run(&self.shared.clock, &self.shared.stalls).await;
        drop(turn);
        self.shared.times.ended(&sample);
        let passed = (sample.outcome == Outcome::Ok).then(|| sample.check.clone());
        self.sampled = out.send(sample).await.is_ok();
        if let Some(check) = passed {
            self.shared.watches.passed(&check);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Before the end, which says whether somebody waits for the room.
        self.slot = None;
        let now = self.shared.clock.now();
        let wake = self.shared.table().end(self.id, now, self.sampled);
        if wake {
            self.shared.changed.notify_one();
        }
    }
}

/// One of the runs that may be under way.
struct Slot(Arc<Shared>);

impl Slot {
    fn take(shared: &Arc<Shared>) -> Slot {
        shared.running.fetch_add(1, Ordering::AcqRel);
        Slot(shared.clone())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The file descriptors this process may open, but for those of others.
fn max_runs() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).ok().and_then(|(soft, _)| usize::try_from(soft).ok());
    files.map_or(MAX_RUNS, within)
}

/// Of so many runs, those that may be of checks that are slow or new: what is left is for the quick.
pub(super) fn slow_of(runs: usize) -> usize {
    (runs / 4 * 3).max(1)
}

pub(super) fn within(files: usize) -> usize {
    (files - files_for_others(files)).clamp(1, MAX_RUNS)
}

/// How many of the files that this process may open probes leave to others: half of them, or 4,096. A herd of slow
/// targets leaves enough for the clients of DNS over TCP.
pub fn files_for_others(files: usize) -> usize {
    (files / 2).min(FILES_FOR_OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_leave_files_for_others() {
        let check = |files: usize, want: usize| assert_eq!(within(files), want, "of {files}");
        check(0, 1);
        check(1024, 512);
        check(20_000, 15_904);
        check(usize::MAX, MAX_RUNS);
    }
}
