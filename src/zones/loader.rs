//! The loader: configuration, zone files, transfers and updates in; checked loads and changed contents out, each with
//! its compiled table, off the core's thread, one at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use super::freeze;
use super::held::Pending;
use super::journals::Journals;
use super::losses;
use super::messages::{
    Ask, Asker, Changed, Force, NotTaken, PreparedLoad, RELOAD_QUEUE, Refused, Rollback, RollbackAsk,
    TransferredAsk, UpdateAsk,
};
use super::outcome::{Frozen, Rejected, RolledBack};
use super::publisher::Publisher;
use super::rollback;
use super::sources::Sources;
use super::update::{self, Judged};
use crate::answer::Table;
use crate::dns::{Name, Serial};
use crate::engine::{Happened, Saved};
use crate::model::Config;
use crate::state::{COMMIT_TIMEOUT, Durable, Store, Unkept, Whole, Writer};
use crate::sys::clock::{Clock, wall};
use crate::time::Time;
use crate::transfer::inbound::{NewContent, Reload, Waiting};
use crate::zone::{UpdateError, Zone};

/// How long what people change waits for the disk before they are told that it was not changed.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// How often updates are judged anew because decisions were published meanwhile.
const MAX_JUDGED_ANEW: usize = 10;

/// Why a change of contents was not carried out.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    /// By the disk.
    #[error("{0}")]
    Refused(String),
    /// By the core.
    #[error("what is served changed each time while the update was judged; try again")]
    Outdated,
}

impl NotDone {
    fn refused(why: &str) -> NotDone {
        NotDone::Refused(format!("nothing was changed: {why}"))
    }
}

/// How many refused updates history is told of within [`REFUSALS_IN`]; further ones are counted alone.
const MAX_REFUSALS_TOLD: usize = 60;
const REFUSALS_IN: Duration = Duration::from_secs(60);

/// The loader's parts.
pub struct Loader<P> {
    /// Used by nobody else; shared with the thread that does the work.
    pub sources: Arc<Mutex<Sources>>,
    /// What is published.
    pub table: Arc<ArcSwap<Table>>,
    /// What the process was started with.
    pub running: Config,
    /// Who publishes what is made ready.
    pub publisher: P,
    /// What changed in zones.
    pub journals: Arc<Journals>,
    /// Has promises kept.
    pub writer: Arc<Writer>,
    /// What is kept, to begin again from.
    pub store: Arc<Store>,
    /// Says when something is kept.
    pub clock: Clock,
    /// Refusals that history was told of, and since when they are counted.
    pub refusals: Mutex<(Time, usize)>,
    /// Whether the disk took longer of late than the core waits for.
    pub is_slow: AtomicBool,
}

/// What is known of the sources. A panic while they were held leaves them as they were: they are changed
/// last of all.
pub fn lock(sources: &Mutex<Sources>) -> MutexGuard<'_, Sources> {
    sources.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads, checks and compiles on a thread where blocking harms nobody.
async fn load_aside(sources: Arc<Mutex<Sources>>, force: Force) -> Result<PreparedLoad, Refused> {
    let work = move || {
        let mut sources = lock(&sources);
        let read = sources.read()?;
        if force == Force::No
            && let Some(problems) = losses::too_much(&sources, &read)
        {
            return Err(Refused { problems, files: read.files, is_loss: true });
        }
        sources.build_again(read)
    };
    // A panic in there is a bug, and the last good configuration goes on all the same.
    spawn_blocking(work).await.unwrap_or_else(|e| {
        let problems = format!("loading the configuration failed: {e}");
        Err(Refused { problems, files: Vec::new(), is_loss: false })
    })
}

impl<P: Publisher> Loader<P> {
    /// Serves requests until nobody can ask any more. Those that wait while one is under way are answered
    /// together: reloads by one more load, updates by one more table, and so what primaries sent.
    pub async fn run(self, mut asks: mpsc::Receiver<Ask>) {
        while let Some(ask) = asks.recv().await {
            let mut waiting = vec![ask];
            while waiting.len() < RELOAD_QUEUE
                && let Ok(more) = asks.try_recv()
            {
                waiting.push(more);
            }
            if self.carry_out_all(waiting).await.is_some() {
                continue;
            }
            if self.publisher.is_gone() {
                return;
            }
            self.begin_again().await;
        }
    }

    /// One kind after the other. `None` when the core is gone, or panicked meanwhile: what is left is not done, and
    /// whoever waits for it hears that.
    async fn carry_out_all(&self, waiting: Vec<Ask>) -> Option<()> {
        let (mut askers, mut updates, mut freezes, mut transferred) = (vec![], vec![], vec![], vec![]);
        let (mut rollbacks, mut raises, mut forced) = (vec![], vec![], Force::No);
        for ask in waiting {
            match ask {
                Ask::Reload(asker, force) => {
                    askers.push(asker);
                    forced = if force == Force::Yes { force } else { forced };
                }
                Ask::Update(update) => updates.push(update),
                Ask::Rollback(rollback) => rollbacks.push(rollback),
                Ask::Raise(zone, seen) => raises.push((zone, seen)),
                Ask::Transferred(ask) => transferred.push(ask),
                Ask::Freeze(zone, who, reply) => freezes.push((zone, who, reply)),
            }
        }
        if !askers.is_empty() {
            self.reload(askers, Vec::new(), forced).await?;
        }
        if !transferred.is_empty() {
            self.transferred(transferred).await?;
        }
        for (zone, who, reply) in freezes {
            let outcome = self.freeze(zone, who).await?;
            // Whoever asked may have given up waiting.
            let _ = reply.send(outcome);
        }
        for ask in rollbacks {
            self.rollback(ask).await?;
        }
        for (zone, seen) in raises {
            self.raise(zone, seen).await?;
        }
        if !updates.is_empty() {
            self.update(updates).await?;
        }
        Some(())
    }

    /// The core panicked with something from here in its hands, and began again from its last good load and the state
    /// file: so does what is known of the sources.
    async fn begin_again(&self) {
        let (store, sources) = (self.store.clone(), self.sources.clone());
        let begin_again = move || store.saved().map(|saved| lock(&sources).begin_again(&saved));
        let begun = spawn_blocking(begin_again).await.map_err(|e| e.to_string());
        if let Err(e) = begun.and_then(|begun| begun.map_err(|e| e.to_string())) {
            error!("the edits of zones could not be read back from the state file: {e}");
        }
    }

    /// Writes a zone's edits into its file, and loads it: then they are edits no more. `None` when the core is
    /// gone.
    async fn freeze(&self, zone: Name, who: String) -> Option<Result<Frozen, String>> {
        // The edits leave the state when the file has them: a state that cannot be written would lay them over it again.
        if let Err(why) = self.promise(Vec::new()).await {
            return Some(Err(format!("nothing was changed: {why}")));
        }
        let (sources, table) = (self.sources.clone(), self.table.load_full());
        let now = wall();
        let work = move || freeze::write(&lock(&sources), &table, &zone, now);
        let frozen = match spawn_blocking(work).await.unwrap_or_else(|e| Err(e.to_string())) {
            Ok(frozen) => frozen,
            Err(why) => return Some(Err(why)),
        };
        let record = Happened::Frozen { zone: frozen.zone.clone(), edits: frozen.records, who };
        let (reply, loaded) = oneshot::channel();
        self.reload(vec![Some(reply)], vec![record], Force::No).await?;
        if let Err(Rejected { problems, .. }) = loaded.await.ok()? {
            let file = frozen.file.display();
            let why = format!("{file} holds the edits now, but the configuration was rejected:\n{problems}");
            return Some(Err(why));
        }
        let kept = self.promise(Vec::new()).await;
        Some(kept.map(|()| frozen).map_err(|why| format!("the zone's file holds the edits now, but {why}")))
    }

    /// Loads the files; `records` say what led to that, where they are taken up. `None` when the core is gone.
    async fn reload(&self, askers: Vec<Asker>, records: Vec<Happened>, force: Force) -> Option<()> {
        let loaded = load_aside(self.sources.clone(), force).await;
        let outcome = match loaded {
            Ok(mut fresh) => {
                fresh.records = records;
                fresh.warnings.extend(needs_restart(&self.running, &fresh.load.config));
                Ok(self.publisher.load(fresh).await?)
            }
            Err(refused) => Err(self.publisher.reject(refused).await?),
        };
        if outcome.is_ok() {
            lock(&self.sources).confirm();
            self.settle_copies().await;
        }
        for asker in askers.into_iter().flatten() {
            // An asker that gave up waiting misses nothing that status does not show.
            let _ = asker.send(outcome.clone());
        }
        Some(())
    }

    /// Lets go of copies of what was loaded before, unless the state file may still be of that.
    async fn settle_copies(&self) {
        let (writer, sources) = (self.writer.clone(), self.sources.clone());
        let settle = move || {
            if writer.flush(COMMIT_TIMEOUT) {
                lock(&sources).settle_copies();
            }
        };
        // It removes files, on a thread where that keeps nobody waiting; that it panics cannot be.
        let _ = spawn_blocking(settle).await;
    }

    /// How many more refusals history may be told of: who holds a key cannot push out of it what decided.
    fn room_for_refusals(&self) -> usize {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if now.since(refusals.0) >= REFUSALS_IN {
            *refusals = (now, 0);
        }
        MAX_REFUSALS_TOLD.saturating_sub(refusals.1)
    }

    /// Takes up what primaries sent: first what came as steps, in one turn, and then the rest. `None` when the core is
    /// gone.
    async fn transferred(&self, mut asks: Vec<TransferredAsk>) -> Option<()> {
        while !asks.is_empty() {
            let sources = self.sources.clone();
            let work = move || {
                let mut sources = lock(&sources);
                let (stepped, rest): (Vec<_>, Vec<_>) = asks.into_iter().partition(|ask| sources.steps(ask));
                let by_steps = !stepped.is_empty();
                let (taken, left) = if by_steps { (stepped, rest) } else { (rest, stepped) };
                let (zones, replies): (Vec<_>, Vec<_>) =
                    taken.into_iter().map(|ask| ((ask.zone, ask.new), ask.reply)).unzip();
                let received = if by_steps { sources.stepped(zones) } else { sources.received(zones) };
                (received, by_steps, replies, left)
            };
            // A panic drops the zones, and whoever waits for them hears that.
            let Ok(((outcomes, changed), by_steps, replies, left)) = spawn_blocking(work).await else {
                return Some(());
            };
            if let Some((changed, pending)) = changed {
                // Decisions have no say in what primaries send.
                if self.publisher.change(changed).await?.is_ok() {
                    lock(&self.sources).done(pending);
                    if !by_steps {
                        self.settle_copies().await;
                    }
                }
            }
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                // A zone that left the configuration meanwhile waits no more.
                let _ = reply.send(outcome);
            }
            asks = left;
        }
        Some(())
    }

    /// Has values on the disk, or nowhere; then why.
    async fn promise(&self, saves: Vec<Saved>) -> Result<(), String> {
        let (writer, now) = (self.writer.clone(), self.clock.now());
        let whole = Whole { saves, ..Whole::default() };
        let promised = spawn_blocking(move || writer.promise(now, whole, KEPT_WITHIN)).await;
        promised.map_err(|e| e.to_string())?.map(drop).map_err(|why| why.to_string())
    }

    /// Has a change kept and published. What the disk refuses is not published, and what the core does not take is not
    /// on the disk. `None` when the core is gone.
    async fn carry_out(&self, mut changed: Changed, pending: Option<Pending>) -> Option<Result<(), NotDone>> {
        let done = if pending.is_some() && self.is_slow.load(Ordering::Relaxed) {
            self.carry_out_in_two(changed).await?
        } else {
            changed.must_be_kept = pending.is_some();
            match self.publisher.change(changed.clone()).await? {
                Err(NotTaken::Unkept(Unkept::Late(_))) => {
                    self.is_slow.store(true, Ordering::Relaxed);
                    self.carry_out_in_two(changed).await?
                }
                Err(NotTaken::Unkept(Unkept::Refused(why))) => Err(NotDone::refused(&why)),
                Err(NotTaken::Outdated) => Err(NotDone::Outdated),
                Ok(()) => Ok(()),
            }
        };
        if let (Ok(()), Some(pending)) = (&done, pending) {
            lock(&self.sources).done(pending);
        }
        Some(done)
    }

    /// Where the disk is slower than the core waits for: has the disk keep what was changed first, and then the core
    /// publish it, however long the disk takes for that. `None` when the core is gone.
    async fn carry_out_in_two(&self, mut changed: Changed) -> Option<Result<(), NotDone>> {
        let writer = self.writer.clone();
        // What came too late for the core is taken back first.
        if !spawn_blocking(move || writer.is_free(KEPT_WITHIN)).await.unwrap_or(false) {
            return Some(Err(NotDone::refused(&format!("the state file took longer than {KEPT_WITHIN:?}"))));
        }
        // Until it is published the disk has it beside what is: a start in between has to tell the two apart.
        let forget = vec![Saved::Promised(None)];
        let begun = self.clock.now();
        if let Err(why) = self.promise(vec![promised(&changed.saves)]).await {
            return Some(Err(NotDone::refused(&why)));
        }
        self.is_slow.store(self.clock.now().since(begun) >= COMMIT_TIMEOUT, Ordering::Relaxed);
        changed.must_be_kept = false;
        changed.saves.extend(forget.iter().cloned());
        if self.publisher.change(changed).await?.is_err() {
            if self.promise(forget.clone()).await.is_err() {
                // It goes with whatever is written next.
                self.writer.keep(self.clock.now(), forget, Vec::new(), Vec::new(), Durable::Later);
            }
            return Some(Err(NotDone::Outdated));
        }
        // The serial is on its way to the disk, too: whoever asked sees both. That it may be late changes nothing.
        let writer = self.writer.clone();
        let _ = spawn_blocking(move || writer.settle(KEPT_WITHIN)).await;
        Some(Ok(()))
    }

    /// Has a zone's serials go on after one that a secondary has, and that a state knew which was lost. `None` when the
    /// core is gone.
    async fn raise(&self, zone: Name, seen: Serial) -> Option<()> {
        let is_behind = self.table.load().serial(&zone).is_some_and(|published| seen.is_after(published));
        let known = lock(&self.sources).file(&zone).is_some();
        if !is_behind || !known {
            return Some(());
        }
        let (sources, apex) = (self.sources.clone(), zone.clone());
        let raised = spawn_blocking(move || {
            let mut sources = lock(&sources);
            sources.hold().ok()?;
            sources.raise(&apex, seen)
        });
        let raised = raised.await;
        // Nothing comes of it where the files are refused just now; the secondary is asked again.
        let Ok(Some((changed, pending))) = raised else { return Some(()) };
        match self.carry_out(changed, pending).await? {
            Ok(()) => info!(
                "{zone} goes on after serial {seen}, which a secondary has from before the state was lost"
            ),
            Err(why) => warn!("{zone}: a secondary has serial {seen}, which is after ours, and {why}"),
        }
        Some(())
    }

    /// Puts a zone back, and tells who asked. `None` when the core is gone.
    async fn rollback(&self, ask: RollbackAsk) -> Option<()> {
        let outcome = self.rolled_back(ask.rollback).await?;
        // Whoever asked may have given up waiting.
        let _ = ask.reply.send(outcome);
        Some(())
    }

    async fn rolled_back(&self, ask: Rollback) -> Option<Result<RolledBack, String>> {
        // Before anything is read for it.
        let known = lock(&self.sources).file(&ask.zone).is_some();
        let reached = if known {
            rollback::reach(&self.journals.of(&ask.zone), &ask.zone, ask.to).map(drop)
        } else {
            Err(rollback::no_zone(&ask.zone))
        };
        if let Err(why) = reached {
            return Some(Err(why));
        }
        let journal = self.journals.of(&ask.zone);
        let (sources, zone) = (self.sources.clone(), ask.zone.clone());
        let judged = spawn_blocking(move || {
            let mut sources = lock(&sources);
            let only_for_this = sources.hold()?;
            let judged = rollback::judge(&sources, &journal, &ask);
            // A refusal leaves nothing behind.
            if judged.is_err() && only_for_this {
                sources.let_go();
            }
            judged
        });
        let ((changed, pending), done) = match judged.await.unwrap_or_else(|e| Err(e.to_string())) {
            Ok(judged) => judged,
            Err(why) => return Some(Err(why)),
        };
        // The past is no matter of what is served now, so that never changes under it.
        if let Err(why) = self.carry_out(changed, pending).await? {
            return Some(Err(why.to_string()));
        }
        let serial = self.table.load().serial(&zone).unwrap_or_default();
        Some(Ok(RolledBack { serial, ..done }))
    }

    /// Carries updates out, each of them whole or not at all; those that change something are answered when
    /// that is published and on the disk (RFC 2136 section 3.5). `None` when the core is gone.
    async fn update(&self, mut updates: Vec<UpdateAsk>) -> Option<()> {
        let mut tries = 0;
        while !updates.is_empty() {
            let (sources, table) = (self.sources.clone(), self.table.load_full());
            let room = self.room_for_refusals();
            let judged = spawn_blocking(move || {
                let judged = update::judge(&lock(&sources), &table, &updates, room);
                (updates, judged)
            });
            // A panic drops the updates, and whoever waits for them hears that.
            let (judged_here, Judged { outcomes, change }) = judged.await.unwrap_or_default();
            updates = judged_here;
            let mut kept = Ok(());
            if let Some((changed, pending)) = change {
                let is_refusal = |what: &&Happened| matches!(what, Happened::UpdateRefused { .. });
                let told = changed.records.iter().filter(is_refusal).count();
                match self.carry_out(changed, pending).await? {
                    Ok(()) => {}
                    Err(NotDone::Outdated) if tries < MAX_JUDGED_ANEW => {
                        tries += 1;
                        continue;
                    }
                    Err(why) => kept = Err(UpdateError::Failed(why.to_string())),
                }
                self.refusals.lock().unwrap_or_else(PoisonError::into_inner).1 += told;
            }
            tries = 0;
            let left = updates.split_off(outcomes.len());
            for (update, outcome) in updates.into_iter().zip(outcomes) {
                // One that changes nothing may do so because of one before it, which is not kept.
                let outcome = outcome.and_then(|_| kept.clone());
                // Whoever asked may have given up waiting.
                let _ = update.reply.send(outcome);
            }
            updates = left;
        }
        Some(())
    }
}

/// These edits as they are kept until they are published.
fn promised(saves: &[Saved]) -> Saved {
    let edits = saves.iter().filter_map(|saved| match saved {
        Saved::Edit(key, edit) => Some((key.clone(), edit.clone())),
        _ => None,
    });
    Saved::Promised(Some(edits.collect()))
}

/// The way of transferred zones to the loader.
pub struct Asks {
    /// Where it takes them.
    pub asks: mpsc::Sender<Ask>,
    /// What it has loaded.
    pub sources: Arc<Mutex<Sources>>,
}

impl Reload for Asks {
    fn reload(&self, zone: &Name, new: Option<NewContent>) -> Waiting<'_, Result<(), String>> {
        let zone = zone.clone();
        Box::pin(async move {
            let (reply, outcome) = oneshot::channel();
            let gone = || "the daemon takes no zones just now".to_owned();
            let ask = Ask::Transferred(TransferredAsk { zone, new, reply });
            self.asks.send(ask).await.map_err(|_| gone())?;
            outcome.await.map_err(|_| gone())?
        })
    }

    fn held(&self, zone: &Name) -> Waiting<'_, Option<Arc<Zone>>> {
        let zone = zone.clone();
        Box::pin(async move {
            let held = |sources: &Sources| sources.zone(&zone).map(|zone| zone.file.clone());
            if let Ok(sources) = self.sources.try_lock() {
                return held(&sources);
            }
            // A load may have them for long.
            let (sources, zone) = (self.sources.clone(), zone.clone());
            let wait = move || lock(&sources).zone(&zone).map(|zone| zone.file.clone());
            spawn_blocking(wait).await.ok().flatten()
        })
    }
}

/// The keys a reload cannot change in a running process, each named.
fn needs_restart(running: &Config, new: &Config) -> Vec<String> {
    let changed = [
        ("server.listen", running.server.listen != new.server.listen),
        ("server.state_dir", running.server.state_dir != new.server.state_dir),
        ("server.threads", running.server.threads != new.server.threads),
        ("server.nsid", running.server.nsid != new.server.nsid),
        ("server.chaos", running.server.chaos != new.server.chaos),
        ("server.cookie_secrets", running.server.cookie_secrets != new.server.cookie_secrets),
        ("server.rrset_order", running.server.rrset_order != new.server.rrset_order),
        (
            "heartbeat.listen",
            running.heartbeat.as_ref().map(|h| h.listen) != new.heartbeat.as_ref().map(|h| h.listen),
        ),
        ("log.format", running.observed.log != new.observed.log),
        ("control.listen", running.control.listen != new.control.listen),
    ];
    changed
        .into_iter()
        .filter(|(_, changed)| *changed)
        .map(|(key, _)| {
            format!("{key} changed in the file; the running daemon keeps its own until it is restarted")
        })
        .collect()
}
