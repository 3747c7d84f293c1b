//! A task for each zone that comes from a primary: it waits, asks, transfers and keeps.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, info, warn};

use super::assemble::Received;
use super::fetch::{fetch, serial};
use super::files;
use super::permits::Permits;
use super::timers::{Confirmed, Refresh, Timers};
use crate::condition::{Board, ConditionKind};
use crate::config::{steps_file, transferred};
use crate::dns::{Name, Serial};
use crate::model::{Primary, ZoneSource};
use crate::sys::aside;
use crate::sys::clock::{Clock, wall_secs};
use crate::time::{Offset, Time};
use crate::zone::{Steps, Zone};

/// How long the first transfer of a zone may take before people are told that it is answered SERVFAIL.
const FIRST_TRANSFER: Duration = Duration::from_secs(5);

/// What a zone holds by now.
#[derive(Clone, Debug)]
pub struct NewContent {
    /// The zone.
    pub zone: Arc<Zone>,
    /// How it came to that from a version before, where it came as steps: what of it did not change is shared by both.
    pub steps: Option<(Arc<Zone>, Steps)>,
}

/// What waits for an answer.
pub type Waiting<'w, T> = Pin<Box<dyn Future<Output = T> + Send + 'w>>;

/// Who takes up what was kept.
pub trait Reload: Send + Sync + 'static {
    /// What is kept of a zone changed, or is gone: has it loaded; `new` is what it holds, or else it is read. Errors: why
    /// it was refused; what was served goes on.
    fn reload(&self, zone: &Name, new: Option<NewContent>) -> Waiting<'_, Result<(), String>>;

    /// What was loaded last of a zone, where that is held.
    fn held(&self, zone: &Name) -> Waiting<'_, Option<Arc<Zone>>>;
}

/// What became of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyFrom {
    /// A primary of the zone sent it: it is asked.
    Primary,
    /// Somebody else did.
    Stranger,
    /// The zone comes from no primary.
    NoSecondary,
}

/// How a transferred zone stands, for people and metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TransferredView {
    /// The zone.
    pub zone: Name,
    /// Where it comes from.
    #[schema(value_type = Vec<String>)]
    pub primaries: Vec<SocketAddr>,
    /// The serial that was received, before anything is laid over it; nothing where nothing is served.
    pub serial: Option<Serial>,
    /// When a primary last confirmed that.
    pub confirmed: Option<Time>,
    /// When it will be too old unless one does again.
    pub expires: Option<Time>,
    /// Whether it was too old already.
    pub expired: bool,
    /// When the primaries are asked next.
    pub next: Time,
    /// Checks that failed in a row.
    pub failures: u32,
    /// Transfers of the whole zone.
    pub full: u64,
    /// Transfers of steps.
    pub incremental: u64,
    /// What the last check came to.
    pub last: String,
}

impl TransferredView {
    /// Why the zone is answered SERVFAIL, where it is. A zone that is asked for since a moment ago will be there in
    /// another.
    fn trouble(&self, waited: bool) -> Option<String> {
        let TransferredView { last, .. } = self;
        let zone = self.zone.bare();
        match (self.serial, self.expired) {
            (None, true) => Some(format!("zone {zone} expired and is answered SERVFAIL: {last}")),
            (None, false) if self.failures > 0 || waited => {
                Some(format!("zone {zone} was not transferred yet and is answered SERVFAIL: {last}"))
            }
            (Some(_), _) | (None, false) => None,
        }
    }
}

/// All zones that come from a primary.
pub struct Keeper {
    clock: Clock,
    reload: Arc<dyn Reload>,
    permits: Arc<Permits>,
    runtime: Handle,
    zones: Mutex<BTreeMap<Name, Kept>>,
    board: Arc<Board>,
}

/// One zone's task, which ends with this.
struct Kept {
    source: ZoneSource,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    board: Arc<Board>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
        // The task may be in the midst of telling how it stands.
        *lock(&self.shared.over) = true;
        self.board.clear(ConditionKind::ZoneUnserved, &self.source.name.bare());
    }
}

/// What a task shares with those who look at it.
struct Shared {
    /// Rung by a NOTIFY.
    bell: Notify,
    /// Who rang it.
    rang: Mutex<Option<IpAddr>>,
    view: Mutex<TransferredView>,
    begun: Time,
    /// Whether the zone is kept no more, and so has no condition.
    over: Mutex<bool>,
}

impl Shared {
    /// Says whether the zone is answered SERVFAIL.
    fn tell(&self, now: Time, board: &Board) {
        let over = lock(&self.over);
        let view = lock(&self.view);
        let zone = view.zone.bare();
        match view.trouble(now.since(self.begun) >= FIRST_TRANSFER) {
            Some(_) if *over => {}
            Some(why) => board.set(ConditionKind::ZoneUnserved, &zone, now, &why),
            None => board.clear(ConditionKind::ZoneUnserved, &zone),
        }
    }
}

impl Keeper {
    /// Nothing yet; tasks run on the runtime this is called from.
    pub fn new(clock: Clock, reload: Arc<dyn Reload>, board: Arc<Board>) -> Keeper {
        let permits = Arc::new(Permits::new());
        Keeper { clock, reload, permits, runtime: Handle::current(), zones: Mutex::default(), board }
    }

    /// Takes up the zones of a configuration. What has the same primaries as before is not disturbed.
    pub fn set(&self, sources: &[ZoneSource]) {
        let mut zones = lock(&self.zones);
        let mut before = std::mem::take(&mut *zones);
        for source in sources.iter().filter(|source| source.is_transferred()) {
            let kept = before.remove(&source.name).filter(|kept| kept.source == *source);
            zones.insert(source.name.clone(), kept.unwrap_or_else(|| self.begin(source)));
        }
    }

    fn begin(&self, source: &ZoneSource) -> Kept {
        let view = TransferredView {
            zone: source.name.clone(),
            primaries: source.primaries.iter().map(|primary| primary.address).collect(),
            serial: None,
            confirmed: None,
            expires: None,
            expired: files::has_expired(&source.file),
            next: self.clock.now(),
            failures: 0,
            full: 0,
            incremental: 0,
            last: "not asked yet".to_owned(),
        };
        let shared = Arc::new(Shared {
            bell: Notify::new(),
            rang: Mutex::default(),
            view: Mutex::new(view),
            begun: self.clock.now(),
            over: Mutex::default(),
        });
        let task = Task {
            source: source.clone(),
            shared: shared.clone(),
            clock: self.clock.clone(),
            reload: self.reload.clone(),
            permits: self.permits.clone(),
            held: None,
            steps: 0,
            aside_at: files::has_expired(&source.file).then(|| self.clock.offset()),
            board: self.board.clone(),
        };
        let task = self.runtime.spawn(task.run());
        // The first transfer may wait its turn, or drip, for long.
        let (waiting, clock, board) = (shared.clone(), self.clock.clone(), self.board.clone());
        self.runtime.spawn(async move {
            sleep(FIRST_TRANSFER).await;
            waiting.tell(clock.now(), &board);
        });
        Kept { source: source.clone(), shared, task, board: self.board.clone() }
    }

    /// A NOTIFY came (RFC 1996): from where, signed with which key, and the serial it tells, if it does. It
    /// counts if it comes from a primary's address or is signed with a primary's key; it is no more than a
    /// reason to ask the primary, so an address is trusted that far.
    pub fn notified(
        &self,
        zone: &Name,
        from: IpAddr,
        key: Option<&Name>,
        serial: Option<Serial>,
    ) -> NotifyFrom {
        let zones = lock(&self.zones);
        let Some(kept) = zones.get(zone) else { return NotifyFrom::NoSecondary };
        let is_sender = |primary: &Primary| {
            let signed = primary.key.as_ref().is_some_and(|theirs| Some(theirs.name()) == key);
            primary.address.ip() == from || signed
        };
        if !kept.source.primaries.iter().any(is_sender) {
            return NotifyFrom::Stranger;
        }
        let held = lock(&kept.shared.view).serial;
        if serial.zip(held).is_none_or(|(theirs, held)| theirs.is_after(held)) {
            *lock(&kept.shared.rang) = Some(from);
            kept.shared.bell.notify_one();
        }
        NotifyFrom::Primary
    }

    /// How each zone stands.
    pub fn views(&self) -> Vec<TransferredView> {
        lock(&self.zones).values().map(|kept| lock(&kept.shared.view).clone()).collect()
    }

    /// Ends every task.
    pub fn stop(&self) {
        lock(&self.zones).clear();
    }
}

struct Task {
    source: ZoneSource,
    shared: Arc<Shared>,
    clock: Clock,
    reload: Arc<dyn Reload>,
    permits: Arc<Permits>,
    /// What is served.
    held: Option<(Serial, Timers)>,
    /// How many bytes of steps are kept beside the zone's file.
    steps: u64,
    /// Where the host's clock was when content was found to have expired before this task began.
    aside_at: Option<Offset>,
    board: Arc<Board>,
}

impl Task {
    async fn run(mut self) {
        let (zone, file) = (self.source.name.clone(), self.source.file.clone());
        let kept = self.begin().await;
        let kept = kept.zip(files::age(&file, wall_secs()));
        self.held = kept.as_ref().map(|(zone, _)| (zone.serial(), Timers::of(&zone.soa())));
        let now = self.clock.now();
        let held = kept.map(|(zone, age)| (Timers::of(&zone.soa()), now - age));
        let mut refresh = Refresh::start(now, held);
        loop {
            self.show(&refresh);
            tokio::select! {
                () = sleep_until(Instant::from_std(self.clock.instant(refresh.next()))) => {}
                () = self.shared.bell.notified() => {
                    refresh.notified(self.clock.now());
                    continue;
                }
            }
            if refresh.expire(self.clock.now()) {
                warn!("zone {zone} expired: no primary confirmed it for as long as its SOA says");
                files::discard(&file);
                (self.held, self.aside_at, self.steps) = (None, None, 0);
                lock(&self.shared.view).expired = true;
                self.show(&refresh);
                self.take_up(None).await;
            }
            if refresh.due() <= self.clock.now() {
                let confirmed = self.check().await;
                refresh.checked(self.clock.now(), confirmed);
                if files::wants_fold(&file, self.steps) {
                    self.show(&refresh);
                    self.fold().await;
                }
                if self.held.is_none()
                    && let Some((timers, age)) = self.revive().await
                {
                    let now = self.clock.now();
                    refresh = Refresh::start(now, Some((timers, now - age)));
                }
            }
        }
    }

    fn show(&self, refresh: &Refresh) {
        let mut view = lock(&self.shared.view);
        view.serial = self.held.map(|(serial, _)| serial);
        view.confirmed = refresh.confirmed();
        view.expires = refresh.expires();
        view.expired &= self.held.is_none();
        view.next = refresh.due();
        view.failures = refresh.failures();
        drop(view);
        self.shared.tell(self.clock.now(), &self.board);
    }

    /// Asks one primary after the other until one confirms; first the one that sent a NOTIFY.
    async fn check(&mut self) -> Confirmed {
        let rang = lock(&self.shared.rang).take();
        let mut primaries: Vec<Primary> = self.source.primaries.clone();
        primaries.sort_by_key(|primary| Some(primary.address.ip()) != rang);
        let mut said = String::new();
        for primary in &primaries {
            match self.ask(primary).await {
                Ok((timers, outcome)) => {
                    lock(&self.shared.view).last = outcome;
                    return Confirmed::Yes(timers);
                }
                Err(why) => {
                    said.push_str(if said.is_empty() { "" } else { "; " });
                    // Writing to a String cannot fail.
                    let _ = write!(said, "{}: {why}", primary.address);
                }
            }
        }
        let zone = &self.source.name;
        let before = std::mem::replace(&mut lock(&self.shared.view).last, said.clone());
        // What is said already is not said again at each retry.
        if before == said {
            debug!("zone {zone}: no primary confirmed it: {said}");
        } else {
            warn!("zone {zone}: no primary confirmed it: {said}");
        }
        Confirmed::No
    }

    /// Has one primary confirm the zone, or send what is newer. Gives the timers of what is had then.
    async fn ask(&mut self, primary: &Primary) -> Result<(Timers, String), String> {
        let (zone, file) = (self.source.name.clone(), self.source.file.clone());
        let address = primary.address;
        let theirs = {
            let _permit = self.permits.checks.take(address.ip()).await;
            serial(primary, &zone).await.map_err(|e| e.to_string())?
        };
        let current = |serial: Serial| format!("{address} has serial {serial}, as here");
        if let Some((held, timers)) = self.held {
            if theirs == held {
                files::confirm(&file, wall_secs()).map_err(|e| e.to_string())?;
                return Ok((timers, current(held)));
            }
            if !theirs.is_after(held) {
                return Err(format!("it has serial {theirs}, which is before {held}"));
            }
        }
        let permits = self.permits.clone();
        let _permit = permits.transfers.take(address.ip()).await;
        // Steps that could not be written into the zone's file do not become ever more.
        let by_steps = self.held.is_some() && !files::wants_fold(&file, self.steps);
        let have = if by_steps { self.have().await } else { None };
        let received = fetch(primary, &zone, have).await.map_err(|e| e.to_string())?;
        let Some(new) = received.zone().cloned() else {
            let (held, timers) = self.held.ok_or("it sent nothing")?;
            files::confirm(&file, wall_secs()).map_err(|e| e.to_string())?;
            return Ok((timers, current(held)));
        };
        let (serial, timers) = (new.serial(), Timers::of(&new.soa()));
        self.check_size(&received)?;
        if self.held.is_some_and(|(held, _)| !serial.is_after(held)) {
            return Err(format!("it sent serial {serial}, which is not after what is here"));
        }
        let how = if matches!(received, Received::Steps { .. }) { "IXFR" } else { "AXFR" };
        let content = self.keep(received).await.map_err(|e| format!("it cannot be kept: {e}"))?;
        self.held = Some((serial, timers));
        info!("zone {zone}: serial {serial} from {address} by {how}, {} records", new.len());
        {
            let mut view = lock(&self.shared.view);
            *(if content.steps.is_some() { &mut view.incremental } else { &mut view.full }) += 1;
        }
        let outcome = match self.take_up(Some(content)).await {
            None => format!("serial {serial} from {address} by {how}"),
            Some(why) => format!("serial {serial} from {address} by {how}, not loaded: {why}"),
        };
        Ok((timers, outcome))
    }

    /// Refuses RRsets that are larger than the zone's may be. What came as steps is looked at where they touch it.
    fn check_size(&self, received: &Received) -> Result<(), String> {
        let max = self.source.max_rrset_bytes;
        let larger = match received {
            Received::Current => None,
            Received::Whole { zone, .. } => zone.larger_rrset(max),
            Received::Steps { zone, steps, .. } => steps.sets.iter().find_map(|set| {
                let size = zone.rrset(&set.owner, set.rtype)?.size();
                (size > max).then(|| (set.owner.clone(), set.rtype, size))
            }),
        };
        let (Some((owner, rtype, size)), Some(zone)) = (larger, received.zone()) else { return Ok(()) };
        let what = format!("the {rtype} records of {owner} take {size} bytes in an answer");
        Err(format!("it sent serial {}, but {what}; max_rrset_bytes is {max}", zone.serial()))
    }

    /// Has the disk keep what was received.
    async fn keep(&mut self, received: Received) -> io::Result<NewContent> {
        let (file, len) = (self.source.file.clone(), self.steps);
        let kept = spawn_blocking(move || match received {
            Received::Current => Err(io::Error::other("nothing came")),
            Received::Whole { zone, text } => {
                files::store(&file, &text).map(|()| (NewContent { zone, steps: None }, 0))
            }
            Received::Steps { mut zone, from, steps } => {
                let append = || {
                    let len = files::append(&file, len, &steps)?;
                    files::confirm(&file, wall_secs()).map(|()| len)
                };
                // Should that fail the whole zone may still be written.
                let len = append().or_else(|_| files::store_zone(&file, &zone).map(|()| 0))?;
                Arc::make_mut(&mut zone).pack_when_due();
                Ok((NewContent { zone, steps: Some((from, steps)) }, len))
            }
        });
        let (content, len) = kept.await.map_err(io::Error::other)??;
        self.steps = len;
        Ok(content)
    }

    /// What is kept: what steps are asked for from.
    async fn have(&self) -> Option<Arc<Zone>> {
        let is_held = |zone: &Arc<Zone>| self.held.is_some_and(|(held, _)| held == zone.serial());
        match self.reload.held(&self.source.name).await.filter(is_held) {
            None => self.read().await.map(Arc::new),
            held => held,
        }
    }

    /// What was loaded of the zone; steps that did not lead there are of no use.
    async fn begin(&mut self) -> Option<Arc<Zone>> {
        let held = self.reload.held(&self.source.name).await.filter(|zone| !zone.is_empty());
        let zone = match held {
            None => Arc::new(self.read().await?),
            Some(held) => held,
        };
        let (file, serial) = (self.source.file.clone(), zone.serial());
        let (steps, name) = (steps_file(&file), &self.source.name);
        let cut = spawn_blocking(move || files::cut_steps(&file, serial)).await;
        match cut.map_err(io::Error::other).and_then(|cut| cut) {
            Ok((len, damage)) => {
                self.steps = len;
                if let Some(damage) = damage {
                    warn!(
                        "{}: {damage}; what comes after serial {serial} of zone {name} is cut off, and its primary is asked for it",
                        steps.display()
                    );
                }
            }
            Err(error) => {
                // More than they can be: so they are not added to.
                self.steps = u64::MAX;
                warn!("{}: {error}; zone {name} is written whole instead", steps.display());
            }
        }
        Some(zone)
    }

    /// Writes the zone with its steps into its file: nobody waits for that but its own next check.
    async fn fold(&mut self) {
        let Some(zone) = self.have().await else { return };
        let file = self.source.file.clone();
        let folded = aside("fold", move || files::fold(&file, &zone)).await;
        match folded.and_then(|folded| folded) {
            Ok(()) => self.steps = 0,
            Err(error) => {
                let (zone, file) = (&self.source.name, self.source.file.display());
                warn!(
                    "{file}: the steps of zone {zone} cannot be written into it: {error}; its next transfer is an AXFR"
                );
            }
        }
    }

    /// Content that had expired when this task began is no more so where the host's clock was ahead then: brought back
    /// once that was set, with how long ago a primary confirmed it.
    async fn revive(&mut self) -> Option<(Timers, Duration)> {
        let offset = self.clock.offset();
        let file = self.source.file.clone();
        if self.aside_at.is_none_or(|at| at == offset) || !files::bring_back(&file) {
            return None;
        }
        self.aside_at = Some(offset);
        let kept = self.read().await.zip(files::age(&file, wall_secs()));
        let Some((zone, age)) = kept.filter(|(zone, age)| *age < Timers::of(&zone.soa()).expire) else {
            files::discard(&file);
            return None;
        };
        let (serial, timers) = (zone.serial(), Timers::of(&zone.soa()));
        info!(
            "zone {}: serial {serial} has not expired, by the host's clock as it was set",
            self.source.name
        );
        self.held = Some((serial, timers));
        // What steps there are led to it, or are cut off with the next start.
        self.steps = fs::metadata(steps_file(&file)).map_or(0, |steps| steps.len());
        self.take_up(Some(NewContent { zone: Arc::new(zone), steps: None })).await;
        Some((timers, age))
    }

    /// What is kept, where it is any use.
    async fn read(&self) -> Option<Zone> {
        let (zone, file) = (self.source.name.clone(), self.source.file.clone());
        let read = spawn_blocking(move || transferred(&zone, &file)).await;
        read.ok().and_then(Result::ok).flatten()
    }

    /// Has the change served; why not, where it is not.
    async fn take_up(&self, new: Option<NewContent>) -> Option<String> {
        let refused = self.reload.reload(&self.source.name, new).await.err()?;
        warn!("zone {}: what is kept was not loaded: {refused}", self.source.name);
        Some(refused)
    }
}

/// A panic while one of these is held leaves nothing half done: each is set whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
