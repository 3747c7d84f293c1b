//! One receiver's task: reads the history, groups, delivers, one message after the other.
//!
//! Nobody waits for it. It waits for the history to grow, for its own desk's times, and for the receiver no
//! longer than `timeout`.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::files::Kept;
use super::message::Message;
use super::queue::{Desk, Failed};
use super::send::{Line, SendError};
use crate::engine::{Happened, MAX_BEARING};
use crate::model::AlertReceiver;
use crate::state::{Durable, Store, StoreError};
use crate::sys::clock::{Clock, wall};
use crate::text::is_hidden;
use crate::time::{HostTime, Offset, Time, by_host, by_host_while};

/// Entries of the history that are read at once.
const READ: usize = 1_000;
/// How many numbers of the history it may be ahead of what is kept: far fewer than are kept.
const UNSAVED: u64 = 10_000;
/// After the disk has failed, until it is tried again.
const AFTER_DISK: Duration = Duration::from_secs(5);
/// The longest error that is shown, in characters.
const MAX_ERROR: usize = 300;

/// How a receiver stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReceiverView {
    /// Its key.
    pub id: String,
    /// Its type.
    pub way: String,
    /// Messages that wait, those still gathering counted as one.
    pub queued: usize,
    /// Messages delivered since the start.
    pub delivered: u64,
    /// Tries that failed since the start.
    pub failed: u64,
    /// Messages given up since the start.
    pub given_up: u64,
    /// How often entries of the history were dropped before they could be read, since the start.
    pub skipped: u64,
    /// When a message was delivered last.
    pub last_success: Option<Time>,
    /// When a try failed last, and why.
    pub last_error: Option<(Time, String)>,
    /// Whether the last try failed.
    pub failing: bool,
}

/// A metric's name, labels and value.
pub type Metric = (&'static str, Vec<(&'static str, String)>, u64);

impl ReceiverView {
    /// Name, labels and value of its metrics, where the host's clock is so far ahead.
    pub fn metrics(&self, offset: Offset) -> Vec<Metric> {
        let success = self.last_success.map_or(0, |at| at.on_host(offset).0 / 1000);
        let values = [
            ("detour_alerts_delivered_total", self.delivered),
            ("detour_alerts_failed_total", self.failed),
            ("detour_alerts_given_up_total", self.given_up),
            ("detour_alerts_skipped_total", self.skipped),
            ("detour_alerts_queued", self.queued as u64),
            ("detour_alerts_failing", u64::from(self.failing)),
            ("detour_alerts_last_success_timestamp_seconds", success),
        ];
        values.map(|(name, value)| (name, vec![("receiver", self.id.clone())], value)).to_vec()
    }
}

/// What a task works with.
pub(super) struct Task {
    pub config: Arc<AlertReceiver>,
    pub line: Arc<Line>,
    pub store: Arc<Store>,
    pub clock: Clock,
    pub kept: Kept,
    pub view: Arc<Mutex<ReceiverView>>,
    /// Changes whenever the history grows.
    pub grown: watch::Receiver<u64>,
    /// How far it has read since the desk was saved.
    pub unsaved: u64,
}

impl Task {
    /// Works until it is aborted; `first` is where a desk begins that is not kept yet.
    pub async fn run(mut self, mut first: Result<u64, StoreError>) {
        let first = loop {
            match first {
                Ok(first) => break first,
                // To guess would be to tell all of the history again.
                Err(why) => self.disk_failed(&why).await,
            }
            first = self.store.next_entry();
        };
        let mut desk = loop {
            match self.kept.load() {
                Ok(Some(desk)) => break self.fit(desk, first),
                Ok(None) => {
                    // At once: what happens from now on is told, however this run ends.
                    let desk = Desk::new(first);
                    self.save(&desk).await;
                    break desk;
                }
                Err(why) => self.disk_failed(&why).await,
            }
        };
        loop {
            let changed = self.turn(&mut desk).await;
            self.show(|view| view.queued = desk.queued());
            if changed {
                continue;
            }
            let now = self.clock.now();
            // Beyond any clock where nothing is due: then only the history wakes it.
            let due = desk.due(&self.config).map(|due| due.since(now));
            tokio::select! {
                () = sleep(due.unwrap_or_default()), if due.is_some() => {}
                grown = self.grown.changed() => if grown.is_err() { return },
            }
        }
    }

    /// The history may have been begun anew since the desk was kept: then it is read from this start on.
    fn fit(&self, mut desk: Desk, first: u64) -> Desk {
        if desk.next > first {
            warn!("alerts {}: the history ends at {first}, before what was read of it", self.config.id);
            desk.next = first;
        }
        desk
    }

    /// Does what there is to do now. Whether there may be more.
    async fn turn(&mut self, desk: &mut Desk) -> bool {
        let (mut changed, mut more) = (false, false);
        let from = desk.next;
        if desk.has_room() {
            self.grown.mark_unchanged();
            match self.store.entries_from(desk.next, READ) {
                Ok((oldest, entries)) => {
                    if oldest.is_some_and(|oldest| oldest > desk.next && desk.next > 0) {
                        self.note_skipped(desk.next);
                    }
                    more = !entries.is_empty();
                    let (now, offset) = (self.clock.now(), self.clock.offset());
                    // What it says is written here.
                    changed |= by_host(offset, || desk.read(now, &entries, &self.config));
                }
                // An entry of another version, say: those after it are told all the same.
                Err(StoreError::Entry { seq, .. }) => {
                    self.note_skipped(seq);
                    desk.next = seq + 1;
                    more = true;
                }
                Err(why) => self.disk_failed(&why).await,
            }
        }
        changed |= by_host(self.clock.offset(), || desk.group(self.clock.now(), &self.config));
        self.unsaved += desk.next - from;
        // What is of no interest is no change; but it must not be looked for where it was dropped long ago.
        if changed || self.unsaved >= UNSAVED {
            self.save(desk).await;
            self.unsaved = 0;
            self.show(|view| view.queued = desk.queued());
        }
        if let Some(message) = desk.ready(self.clock.now()).cloned() {
            self.deliver(desk, &message).await;
            self.save(desk).await;
            return true;
        }
        changed || more
    }

    async fn deliver(&self, desk: &mut Desk, message: &Message) {
        let sending = send(wall(), &self.line, &self.config, message);
        let sent = by_host_while(|| self.clock.offset(), sending).await;
        let (now, id) = (self.clock.now(), &self.config.id);
        let Err(error) = sent else {
            desk.delivered();
            self.show(|view| {
                view.delivered += 1;
                view.last_success = Some(now);
                if std::mem::take(&mut view.failing) {
                    info!("alerts {id}: delivered again");
                }
            });
            self.tell(&Happened::AlertSent {
                receiver: id.to_string(),
                title: message.title.clone(),
                site: message.site.clone(),
                services: message.services.iter().take(MAX_BEARING).cloned().collect(),
            });
            return;
        };
        let jitter = RandomState::new().hash_one(now.0) as u8;
        let became = desk.failed(now, error.refused, jitter);
        let why = shown(&error.why);
        self.show(|view| {
            // Once for each row of failures: a receiver that is gone for a day is no news every five minutes.
            if !std::mem::replace(&mut view.failing, true) {
                warn!("alerts {id}: not delivered, tried again: {why}");
            }
            view.failed += 1;
            view.given_up += u64::from(matches!(became, Some(Failed::GivenUp(_))));
            view.last_error = Some((now, why.clone()));
        });
        if let Some(Failed::GivenUp(lost)) = became {
            error!("alerts {id}: given up: {}: {why}", lost.title);
            let receiver = id.to_string();
            self.tell(&Happened::AlertLost { receiver, title: lost.title, why });
        }
    }

    /// Puts what became of a message into the history.
    fn tell(&self, what: &Happened) {
        // Now, for entries are read on from where the last one was: one that a crash takes back would give
        // its number to another.
        if let Err(why) = self.store.commit(self.clock.now(), &[], std::slice::from_ref(what), Durable::Now) {
            error!("alerts {}: not in the history: {what}: {why}", self.config.id);
        }
    }

    async fn save(&self, desk: &Desk) {
        while let Err(why) = self.kept.save(desk) {
            self.disk_failed(&why).await;
        }
    }

    async fn disk_failed(&self, why: &impl std::fmt::Display) {
        error!(
            "alerts {}: cannot read or write what is to be told, next try in {AFTER_DISK:?}: {why}",
            self.config.id
        );
        let (now, why) = (self.clock.now(), shown(&why.to_string()));
        self.show(|view| view.last_error = Some((now, why)));
        sleep(AFTER_DISK).await;
    }

    fn note_skipped(&self, next: u64) {
        warn!(
            "alerts {}: entry {next} of the history, or more of it, cannot be told any more",
            self.config.id
        );
        self.show(|view| view.skipped += 1);
    }

    fn show(&self, change: impl FnOnce(&mut ReceiverView)) {
        // Nothing that holds it can panic halfway through a change.
        change(&mut self.view.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Delivers one message within the receiver's timeout.
pub(super) async fn send(
    now: HostTime,
    line: &Line,
    to: &AlertReceiver,
    message: &Message,
) -> Result<(), SendError> {
    match timeout(to.timeout, line.send(now, to, message)).await {
        Ok(sent) => sent,
        Err(_) => Err(SendError::again(format!("no answer within {:?}", to.timeout))),
    }
}

/// An error in one line that fits a terminal.
pub(super) fn shown(why: &str) -> String {
    let plain: String = why.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect();
    plain.chars().take(MAX_ERROR).collect()
}
