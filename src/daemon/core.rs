//! The core: the one thread that owns the engine. Events in, effects out, in the order that makes a
//! published answer survive `kill -9`: commit, then publish.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tracing::{error, info};

use super::exempt;
use super::host_clock::HostClock;
use super::messages::{Input, View};
use super::stalls::{LIFE, StallWatch};
use super::status::Showing;
use crate::alert::Alerts;
use crate::answer::{Networks, Table};
use crate::api::{Access, Heartbeats, PlotsAt, Snapshot};
use crate::condition::{ConditionKind, Summary};
use crate::config::BrokenZone;
use crate::dns::Name;
use crate::engine::{Cause, CommandError, Effect, Engine, Event, Happened, Pace, ZoneBase};
use crate::health::Sample;
use crate::model::{CheckKey, Config};
use crate::policy::Decision;
use crate::probe::Prober;
use crate::recording::{Bounds, LoadNote, Recorder};
use crate::requests::{Office, RequestRouter};
use crate::state::{COMMIT_TIMEOUT, Durable, Store, Writer};
use crate::sys::clock::Clock;
use crate::telemetry::failovers::{Phases, Served};
use crate::telemetry::log;
use crate::telemetry::pulse::{Pulse, unwritten};
use crate::telemetry::querylog::Watchers;
use crate::time::{Time, by_host};
use crate::transfer::inbound::Keeper;
use crate::transfer::outbound::Teller;
use crate::zones::{
    Changed, Changes, Contents, How, LoadOutcome, NewContents, NotTaken, OnlyContents, PreparedLoad,
    PublishStage, Published, Refused, Rejected, Reloaded,
};

/// How many vantages must agree that a check is Down: a single node is one of one.
pub const QUORUM: usize = 1;
/// Samples taken up in one turn.
const SAMPLE_BATCH: usize = 1024;
/// From one batch of samples to the next, at least, so that ten thousand a second do not wake the core ten
/// thousand times. A sample after a pause is taken up at once.
const GATHER: Duration = Duration::from_millis(2);
/// How often the core shows that it lives, and writes the samples it holds, when nothing else happens.
const BEAT: Duration = Duration::from_millis(500);
/// Between two tries to begin again after a panic.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the end, and a new beginning, wait for a disk that stalls.
const LAST_PATIENCE: Duration = Duration::from_secs(4);
/// What `status` says from then on.
pub(super) const PANIC_NOTE: &str = "the core panicked and began again from the state file; see the log";

/// What a step came to.
pub(super) struct Done {
    decisions: Vec<Decision>,
    refused: Option<CommandError>,
}

/// The core's parts.
pub struct Core {
    pub clock: Clock,
    pub engine: Engine,
    pub recorder: Recorder,
    pub store: Arc<Store>,
    pub writer: Arc<Writer>,
    /// Through which whatever changes is published.
    pub stage: PublishStage,
    pub office: Arc<Office>,
    pub teller: Arc<Teller>,
    pub prober: Arc<Prober>,
    pub heartbeats: Arc<Heartbeats>,
    pub access: Arc<Access>,
    pub keeper: Arc<Keeper>,
    pub router: Arc<RequestRouter>,
    /// Who is answered however often.
    pub exempt: Arc<ArcSwap<Networks>>,
    pub alerts: Arc<Alerts>,
    pub pulse: Arc<Pulse>,
    /// Who is shown the status, and how much of it is read.
    pub showing: Showing,
    pub watchers: Arc<Watchers>,
    pub phases: Arc<Phases>,
    pub served: Served,
    /// The files the watcher polls.
    pub files: watch::Sender<Vec<PathBuf>>,
    /// Services that wait for their first round of samples.
    pub pending: watch::Sender<usize>,
    pub last_load: LoadOutcome,
    /// The last good load, to begin again from.
    pub loaded: Option<PreparedLoad>,
    /// Zones whose contents are others since then.
    pub changed: BTreeMap<Name, ZoneBase>,
    /// Warnings of the start, which stay; and of the last load.
    pub start_warnings: Vec<String>,
    pub load_warnings: Vec<String>,
    pub wake: Option<Time>,
    /// Standbys that the log is still to be told of.
    pub standbys: log::Standbys,
    /// Which change of the engine's conditions was told last.
    pub summarized: Option<u64>,
    pub host_clock: HostClock,
    pub stalls: StallWatch,
}

impl Core {
    /// Gives the core its thread. Should it panic, it says so and begins again from the state file and the
    /// last good load; the answers published last stand meanwhile, and `/healthz` shows the gap.
    pub fn spawn(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut samples: mpsc::Receiver<Sample>,
    ) -> io::Result<()> {
        let runtime = runtime::Handle::current();
        let body = move || {
            loop {
                let turn = AssertUnwindSafe(|| runtime.block_on(self.run(&mut inputs, &mut samples)));
                if catch_unwind(turn).is_ok() {
                    return;
                }
                error!("the core panicked: beginning again from the state file");
                while let Err(e) = catch_unwind(AssertUnwindSafe(|| self.begin_again()))
                    .unwrap_or_else(|_| Err("it panicked again".to_owned()))
                {
                    error!("the core could not begin again, next try in {AGAIN:?}: {e}");
                    thread::sleep(AGAIN);
                }
            }
        };
        thread::Builder::new().name("core".to_owned()).spawn(body).map(drop)
    }

    /// From the last good load, and not from the files: they may be broken just now.
    fn begin_again(&mut self) -> Result<(), String> {
        let mut fresh = self.loaded.clone().ok_or("nothing was loaded yet")?;
        fresh.load.zones.retain(|zone| !self.changed.contains_key(&zone.apex));
        let changed = self.changed.values().filter(|zone| !zone.is_hollow()).cloned();
        fresh.load.zones.extend(changed.map(Arc::new));
        if self.stage.table().waits() {
            // It was the first round that was broken off.
            fresh.load.undecided.wait = Some(fresh.load.config.server.loading.first_round);
        }
        self.writer.settle(LAST_PATIENCE);
        let saved = self.store.saved().map_err(|e| e.to_string())?;
        self.recorder.begin(self.clock.now(), false, saved.clone());
        // The new engine finds again what is still so.
        let over = self.engine.conditions().clone().into_turns();
        self.stage.hold(over.map(Happened::Condition));
        self.engine = Engine::new(QUORUM, saved);
        self.showing = Showing::default();
        self.wake = None;
        self.summarized = None;
        if !self.start_warnings.iter().any(|warning| warning == PANIC_NOTE) {
            self.start_warnings.push(PANIC_NOTE.to_owned());
        }
        self.load(fresh);
        Ok(())
    }

    /// Runs until told to stop or until every sender is gone.
    async fn run(&mut self, inputs: &mut mpsc::Receiver<Input>, samples: &mut mpsc::Receiver<Sample>) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut life = interval(LIFE);
        life.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(SAMPLE_BATCH);
        let mut gathered = Instant::now();
        loop {
            let now = self.clock.now();
            self.pulse.turned.store(now.0, Ordering::Relaxed);
            self.stalls.turn(now);
            let wake = self.wake.map(|at| Instant::from_std(self.clock.instant(at)));
            let reading = self.showing.next();
            tokio::select! {
                input = inputs.recv() => match input {
                    Some(Input::Stop(done)) => {
                        self.stage.keep(Vec::new(), Durable::Now);
                        if !self.writer.flush(LAST_PATIENCE) {
                            error!("the state file could not be written: the next start may have forgotten something");
                        }
                        self.recorder.settle(LAST_PATIENCE);
                        // The one who asked may be gone; there is nobody else to tell.
                        let _ = done.send(());
                        return;
                    }
                    Some(input) => self.take(input),
                    None => return,
                },
                () = gather(gathered, samples, &mut batch), if !samples.is_closed() => {
                    self.tell_stall();
                    gathered = Instant::now() + GATHER;
                    let mut effects = Vec::new();
                    for sample in batch.drain(..) {
                        effects.extend(self.step(self.clock.now(), Event::Sample(sample)));
                    }
                    self.perform(effects, None);
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.wake = None;
                    self.tell_stall();
                    let effects = self.step(self.clock.now(), Event::Tick);
                    self.perform(effects, None);
                }
                () = sleep_until(reading.unwrap_or_else(Instant::now)), if reading.is_some() => {
                    self.show(self.clock.now());
                }
                _ = life.tick() => self.tell_stall(),
                _ = beat.tick() => {
                    self.tell_stall();
                    self.look_at_clock();
                    self.standbys.tell();
                    self.record_turns();
                    self.stage.keep(Vec::new(), Durable::Later);
                    self.record();
                    self.stage.free_retired();
                }
            }
            let pending = self.engine.pending_first_round();
            self.pending.send_if_modified(|held| std::mem::replace(held, pending) != pending);
        }
    }

    fn take(&mut self, input: Input) {
        #[cfg(test)]
        super::tests::panic_if_asked(&input, self.loaded.as_ref());
        self.tell_stall();
        let now = self.clock.now();
        match input {
            Input::Status(reply) => self.showing.ask(reply),
            Input::Explain(name, reply) => {
                // Whoever asked may have given up waiting; so in each reply.
                let _ = reply.send(by_host(self.engine.offset(), || self.engine.explain(now, &name)));
            }
            Input::Plots(name, reply) => {
                let plots = self.engine.plots(now, &name).map(|plots| PlotsAt { now, plots });
                let _ = reply.send(plots);
            }
            Input::Resolve(target, clears, reply) => {
                let _ = reply.send(self.engine.resolve(&target, clears));
            }
            Input::Snapshot(reply) => {
                let _ = reply.send(Snapshot { now, engine: Box::new(self.engine.clone()) });
            }
            Input::Command(command, reply) => {
                let effects = self.step(now, Event::Command(command));
                let done = self.perform(effects, None);
                let _ = reply.send(done.refused.map_or(Ok(done.decisions), Err));
            }
            Input::Loaded(fresh, reply) => {
                let _ = reply.send(self.load(*fresh));
            }
            Input::Changed(changed, reply) => {
                let _ = reply.send(self.take_changed(*changed));
            }
            Input::Refused(Refused { problems, files, is_loss }, reply) => {
                if self.watches() {
                    self.files.send_modify(|watched| {
                        watched.extend(files);
                        watched.sort();
                        watched.dedup();
                    });
                }
                error!("the configuration was rejected; still running the previous one\n{problems}");
                self.pulse.rejected(now, &problems);
                self.last_load = LoadOutcome { at: now, ok: false, problems: Some(problems.clone()) };
                self.stage.hold([Happened::LoadRefused { problems: problems.clone() }]);
                self.stage.keep(Vec::new(), Durable::Now);
                let _ = reply.send(Rejected { problems, is_loss });
            }
            #[cfg(test)]
            Input::Panic => panic!("as a test asked"),
            Input::Stop(_) => {}
        }
    }

    /// Reads a part of the status that somebody asked for.
    fn show(&mut self, now: Time) {
        let read = by_host(self.engine.offset(), || self.showing.read_on(now, &self.engine));
        let Some((status, mut asked)) = read else { return };
        let view = View { status, last_load: self.last_load.clone(), warnings: self.warnings() };
        // It can be tens of megabytes: who asks alone gets it as it is.
        let last = asked.pop();
        for reply in asked {
            let _ = reply.send(view.clone());
        }
        if let Some(reply) = last {
            let _ = reply.send(view);
        }
    }

    /// Takes up a checked configuration.
    pub fn load(&mut self, mut fresh: PreparedLoad) -> Reloaded {
        // A service without a decision answers with what there was, and that is for the engine to match.
        let only = fresh.only.take().filter(|_| self.engine.pending_first_round() == 0);
        self.tell_clock();
        let now = self.clock.now();
        let loaded = fresh.to_begin_again();
        match only {
            Some(only) => self.take_only_contents(now, fresh, only),
            None => self.take_load(now, fresh),
        }
        let reloaded = self.note_load(now, &loaded);
        // Not before: a load that panics is not what to begin again from.
        self.loaded = Some(loaded);
        self.changed.clear();
        reloaded
    }

    /// Tells all who show it what was loaded.
    fn note_load(&mut self, now: Time, loaded: &PreparedLoad) -> Reloaded {
        let config = &loaded.load.config;
        self.pulse.loaded(now, loaded.crowding.clone());
        self.last_load = LoadOutcome { at: now, ok: true, problems: None };
        self.load_warnings.clone_from(&loaded.warnings);
        let files = if config.server.loading.watch { loaded.files.clone() } else { Vec::new() };
        self.files.send_replace(files);
        self.note_broken(now, &loaded.broken);
        let (services, zones, zones_read) = (config.services.len(), config.zones.len(), loaded.read);
        info!(services, zones, zones_read, "configuration loaded from {}", config.path.display());
        Reloaded { services, zones, zones_read, warnings: loaded.warnings.clone() }
    }

    /// Takes up what zones hold, under the configuration in force.
    fn take_only_contents(&mut self, now: Time, fresh: PreparedLoad, only: OnlyContents) {
        let PreparedLoad { load, table, saves, records, .. } = fresh;
        let OnlyContents { zones, how } = only;
        let config = load.config;
        let (services, given) = (config.services.len(), load.zones.len());
        let (dropped, removed) = (Vec::new(), Vec::new());
        let loaded = Happened::Loaded { services, zones: given, dropped, removed };
        let mut effects: Vec<Effect> = saves.into_iter().map(Effect::Save).collect();
        effects.extend(records.into_iter().chain([loaded]).map(Effect::Record));
        effects.extend(self.step(now, Event::Contents(zones)));
        let overlays = matches!(how, How::Replaced(_)).then(|| self.engine.overlays());
        let (contents, by) = (Contents { table, how }, Cause::Load);
        let before = self.loaded_config();
        let observed = config.observed.clone();
        let contents = NewContents { contents, overlays, before, config, past: None, by };
        self.perform(effects, Some(contents));
        // Every load opens their files anew.
        self.watchers.set(&observed);
    }

    /// Takes up a configuration, and zones under it.
    fn take_load(&mut self, now: Time, fresh: PreparedLoad) {
        let PreparedLoad { mut load, text, table, differences, past, saves, records, .. } = fresh;
        if load.undecided.wait.is_none() {
            // A reload takes no answer away.
            let undecided = self.engine.undecided(&load.config);
            let before = self.stage.table();
            load.undecided.answered = undecided.flat_map(|name| before.answered_at(name)).collect();
        }
        let config = load.config.clone();
        self.recorder.load(now, LoadNote::of(&load, text), bounds(&config));
        let mut effects: Vec<Effect> = saves.into_iter().map(Effect::Save).collect();
        effects.extend(records.into_iter().map(Effect::Record));
        effects.extend(self.step(now, Event::Load(load)));
        // Before the effects, which pace checks that are to run.
        let canaries = config.vantage.canaries.iter().cloned();
        let checks = self.engine.checks().chain(canaries).collect();
        self.prober.limit_commands(config.server.max_exec);
        self.prober.set(checks);
        self.heartbeats.set(&config);
        self.access.set(&config.control);
        self.alerts.set(&config.alerts);
        self.router.set(&config);
        self.exempt.store(Arc::new(exempt::of(&config)));
        self.stage.set(&config);
        let before = self.loaded_config();
        let by = Cause::Load;
        let contents = Contents { table, how: How::Replaced(differences) };
        let contents = NewContents { contents, overlays: None, before, config: config.clone(), past, by };
        self.perform(effects, Some(contents));
        self.office.set(&config);
        self.teller.set(&config);
        self.keeper.set(&config.zones);
        self.watchers.set(&config.observed);
        self.phases.set(&config.observed);
        self.pulse.endpoints.store(config.observed.endpoints, Ordering::Relaxed);
    }

    /// Whether files are watched.
    fn watches(&self) -> bool {
        self.loaded.as_ref().is_none_or(|loaded| loaded.load.config.server.loading.watch)
    }

    /// Tells of zones whose files are broken.
    fn note_broken(&mut self, now: Time, broken: &[BrokenZone]) {
        let lines = log::broken(broken);
        self.load_warnings.extend(lines.values().cloned());
        self.pulse.broken.store(lines.len(), Ordering::Relaxed);
        self.pulse.board.replace_all(ConditionKind::ZoneBroken, now, &lines);
    }

    /// Takes up zones whose contents changed: what is kept of that, and the serial, are one transaction.
    fn take_changed(&mut self, changed: Changed) -> Result<(), NotTaken> {
        let now = self.clock.now();
        if self.wake.is_some_and(|due| due <= now) {
            // What is due comes first, so that a step of the engine is the change alone.
            let effects = self.step(now, Event::Tick);
            self.perform(effects, None);
        }
        let Changed { zones, contents, saves, records, judged_by, must_be_kept } = changed;
        // Nobody else publishes, so from here on it stays as it was judged.
        if self.stage.has_moved_on(&judged_by) {
            return Err(NotTaken::Outdated);
        }
        let mut effects: Vec<Effect> = saves.into_iter().map(Effect::Save).collect();
        effects.extend(records.into_iter().map(Effect::Record));
        let Some((contents, config)) = contents.zip(self.loaded_config()) else {
            self.perform(effects, None);
            return Ok(());
        };
        let table = contents.table.clone();
        let new = |engine: &mut Engine| {
            let is_whole = matches!(contents.how, How::Replaced(_));
            let overlays = is_whole.then(|| engine.overlays());
            let (before, past, by) = (Some(config.clone()), None, Cause::Transfer);
            NewContents { contents, overlays, before, config, past, by }
        };
        if must_be_kept {
            let (tried, earlier) = self.engine.try_contents(now, zones.clone());
            effects.extend(tried);
            let new = new(&mut self.engine);
            match self.stage.publish_kept(Asked::by(effects).changes, new) {
                Ok(published) => {
                    self.recorder.note(now, &Event::Contents(zones.clone()));
                    self.note_changed(zones, table);
                    self.follow(&published);
                }
                Err(why) => {
                    self.engine.put_back(earlier);
                    return Err(NotTaken::Unkept(why));
                }
            }
        } else {
            effects.extend(self.step(now, Event::Contents(zones.clone())));
            let new = new(&mut self.engine);
            self.note_changed(zones, table);
            self.perform(effects, Some(new));
        }
        Ok(())
    }

    /// What to begin again from is another by now.
    fn note_changed(&mut self, zones: Vec<ZoneBase>, table: Table) {
        self.changed.extend(zones.into_iter().map(|zone| (zone.apex.clone(), zone)));
        if let Some(loaded) = &mut self.loaded {
            loaded.table = table;
        }
    }

    fn loaded_config(&self) -> Option<Arc<Config>> {
        self.loaded.as_ref().map(|loaded| loaded.load.config.clone())
    }

    /// Puts an event into the engine, and into the recording.
    pub(super) fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        self.recorder.note(now, &event);
        self.engine.step(now, event)
    }

    /// Hands what was recorded over, and begins another segment where it is time for one.
    fn record(&mut self) {
        self.recorder.flush();
        let now = self.clock.now();
        if self.recorder.wants_segment(now) {
            let edits = self.stage.edits().cloned();
            self.recorder.begin(now, true, self.engine.saved().into_iter().chain(edits).collect());
        }
    }

    /// Carries out what a step asks for.
    pub(super) fn perform(&mut self, effects: Vec<Effect>, contents: Option<NewContents>) -> Done {
        let Asked { changes, samples, paces, wake, refused } = Asked::by(effects);
        // They wait for the next commit: losing the last few in a crash loses no decision.
        self.stage.hold(samples);
        self.wake = wake.or(self.wake);
        if !changes.is_empty() {
            self.recorder.flush();
        }
        let published = self.stage.publish(changes, contents);
        self.pace(&paces);
        self.follow(&published);
        let decided = |what| if let Happened::Decision(decision) = what { Some(decision) } else { None };
        Done { decisions: published.records.into_iter().filter_map(decided).collect(), refused }
    }

    /// Tells of what was published.
    fn follow(&mut self, published: &Published) {
        let Published { records: told, next_seq } = published;
        let now = self.clock.now();
        self.phases.follow(&mut self.served, &self.engine, &self.teller, told, now);
        self.tell_conditions();
        // Last, for ten thousand lines in the log must not keep ten thousand answers waiting.
        let first = next_seq.and_then(|next| next.checked_sub(told.len() as u64));
        for (seq, what) in (0..).zip(told) {
            let sequence = first.map(|first| first + seq);
            if !self.standbys.gather(what, sequence) {
                by_host(self.clock.offset(), || log::log(what, sequence));
            }
        }
    }

    /// For all who tell how things stand, and never wait for the core.
    fn tell_conditions(&mut self) {
        let conditions = self.engine.conditions();
        if self.summarized.replace(conditions.changes()) != Some(conditions.changes()) {
            self.pulse.found.store(Arc::new(Summary::of(conditions)));
        }
    }

    /// What others found wrong, or found mended, goes into the event log, and so to receivers of alerts.
    fn record_turns(&mut self) {
        for turn in self.pulse.board.take_turns() {
            let what = Happened::Condition(turn);
            log::log(&what, None);
            self.stage.hold([what]);
        }
    }

    fn pace(&self, paces: &[(CheckKey, Pace)]) {
        for (check, pace) in paces {
            self.prober.pace(check, *pace);
        }
    }

    /// What people should know, the state file's trouble included.
    fn warnings(&self) -> Vec<String> {
        let trouble = self.pulse.disk_trouble().map(|why| unwritten(&why));
        let late = self.pulse.late_writes.load(Ordering::Relaxed);
        let slow = (late > 0).then(|| {
            format!("the state file took longer than {COMMIT_TIMEOUT:?} {late} times, and answers moved before it was written")
        });
        let lasting = self.start_warnings.iter().chain(&self.load_warnings).cloned();
        lasting
            .chain(self.host_clock.told(self.clock.now()))
            .chain(trouble)
            .chain(slow)
            .chain(self.recorder.trouble())
            .collect()
    }
}

/// What a step asks for, by who sees to it.
#[derive(Default)]
struct Asked {
    changes: Changes,
    samples: Vec<Happened>,
    paces: Vec<(CheckKey, Pace)>,
    wake: Option<Time>,
    refused: Option<CommandError>,
}

impl Asked {
    fn by(effects: Vec<Effect>) -> Asked {
        let mut asked = Asked::default();
        let changes = &mut asked.changes;
        for effect in effects {
            match effect {
                Effect::Save(saved) => changes.saves.push(saved),
                Effect::Record(what @ Happened::Sample(_)) => asked.samples.push(what),
                Effect::Record(what) => changes.records.push(what),
                Effect::Rebase(all) | Effect::Renew(all) => changes.rebased.extend(all),
                Effect::Publish(changeset) => changes.decided.push(changeset),
                Effect::Pace(check, pace) => asked.paces.push((check, pace)),
                Effect::Wake(at) => asked.wake = Some(at),
                Effect::Refused(why) => asked.refused = Some(why),
            }
        }
        asked
    }
}

/// Waits for samples, and until `from` for more of them. Broken off, it has lost none.
async fn gather(from: Instant, samples: &mut mpsc::Receiver<Sample>, batch: &mut Vec<Sample>) {
    sleep_until(from).await;
    samples.recv_many(batch, SAMPLE_BATCH).await;
}

/// How much of the recording is kept.
pub(super) fn bounds(config: &Config) -> Bounds {
    Bounds { bytes: config.history.max, age: config.history.keep }
}
