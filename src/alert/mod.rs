//! Alerts: telling people what happened.
//!
//! In: the history, as it grows; the receivers of a configuration. Out: messages, each to its receiver, at
//! least once. Every message is derived from a record that was committed together with what it tells of, so
//! none is lost between a decision and its delivery, and each prints the decision's own reason. This room
//! must never know how a decision is made, nor make anybody wait: it reads what was kept, and nobody but
//! control asks it anything.
//!
//! ```text
//!   history ──Entry──► derive ──News──► desk ──Message──► send: webhook, slack, pagerduty, email, command
//!                                        │ ▲                │
//!                                        ▼ └── delivered ───┘
//!                                    one file for each receiver, in `state_dir/alerts`
//! ```
//!
//! Each receiver is a task with a desk of its own, on a thread that does nothing else: one that is stuck
//! delays neither a decision nor another receiver.

mod derive;
mod files;
mod kind;
mod message;
pub mod queue;
mod receiver;
mod send;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use self::files::Kept;
use self::receiver::Task;
use self::send::Line;
use crate::model::AlertReceiver;
use crate::state::Store;
use crate::sys::clock::{Clock, wall};
use crate::time::by_host_while;

pub use self::derive::{News, Turn, derive};
pub use self::kind::Kind;
pub use self::message::{MAX_NAMED, Message, State};
pub use self::receiver::ReceiverView;

/// All receivers.
pub struct Alerts {
    clock: Clock,
    store: Arc<Store>,
    state_dir: PathBuf,
    grown: watch::Receiver<u64>,
    threads: Threads,
    receivers: Arc<Mutex<BTreeMap<Arc<str>, Running>>>,
}

/// A receiver, and the task that works for it.
struct Running {
    config: Arc<AlertReceiver>,
    line: Arc<Line>,
    view: Arc<Mutex<ReceiverView>>,
    task: JoinHandle<()>,
}

/// The thread that all receivers share, and no one else.
struct Threads {
    handle: runtime::Handle,
    runtime: Option<runtime::Runtime>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A runtime may not be waited for on another one's threads; what is under way is sent again.
        self.runtime.take().into_iter().for_each(runtime::Runtime::shutdown_background);
    }
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tested {
    /// The receiver.
    pub id: String,
    /// Its type.
    pub way: String,
    /// Why it was not delivered; `None` where it was.
    pub error: Option<String>,
}

impl Alerts {
    /// Ready for receivers; `grown` changes whenever the history has more entries.
    pub fn start(
        clock: Clock,
        store: Arc<Store>,
        state_dir: &Path,
        grown: watch::Receiver<u64>,
    ) -> io::Result<Alerts> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("alerts")
            .enable_all()
            .build()?;
        let threads = Threads { handle: runtime.handle().clone(), runtime: Some(runtime) };
        let receivers = Arc::default();
        Ok(Alerts { clock, store, state_dir: state_dir.to_owned(), grown, threads, receivers })
    }

    /// Takes up the configuration's receivers; those that did not change go on as they are.
    pub fn set(&self, configured: &[Arc<AlertReceiver>]) {
        let mut receivers = self.lock();
        let mut old = std::mem::take(&mut *receivers);
        for config in configured {
            let running = match old.remove(&config.id) {
                Some(running) if running.config == *config => running,
                replaced => self.run(config, replaced),
            };
            receivers.insert(config.id.clone(), running);
        }
        for gone in old.into_values() {
            gone.task.abort();
        }
        drop(receivers);
        // Whoever loads a configuration does not wait for the disk.
        let (receivers, state_dir) = (self.receivers.clone(), self.state_dir.clone());
        self.threads.handle.spawn(async move {
            let is_known = |id: &str| lock(&receivers).contains_key(id);
            if let Err(why) = files::forget_others(&state_dir, is_known) {
                warn!("what was kept for receivers that are no more stays: {why}");
            }
        });
    }

    fn run(&self, config: &Arc<AlertReceiver>, replaced: Option<Running>) -> Running {
        let view = replaced.as_ref().map(|running| running.view.clone()).unwrap_or_default();
        {
            let mut view = view.lock().unwrap_or_else(PoisonError::into_inner);
            (view.id, view.way) = (config.id.to_string(), config.way.word().to_owned());
        }
        let line = Arc::new(Line::default());
        let task = Task {
            config: config.clone(),
            line: line.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            kept: Kept::of(&self.state_dir, &config.id),
            view: view.clone(),
            grown: self.grown.clone(),
            unsaved: 0,
        };
        // Now, so that what this very load leads to is told.
        let first = self.store.next_entry();
        let task = self.threads.handle.spawn(async move {
            if let Some(replaced) = replaced {
                replaced.task.abort();
                // Whatever it ended with, it has let go of the desk's file.
                let _ = replaced.task.await;
            }
            task.run(first).await;
        });
        Running { config: config.clone(), line, view, task }
    }

    /// How every receiver stands, by their keys.
    pub fn views(&self) -> Vec<ReceiverView> {
        let receivers = self.lock();
        let view = |running: &Running| running.view.lock().unwrap_or_else(PoisonError::into_inner).clone();
        receivers.values().map(view).collect()
    }

    /// Sends a test to one receiver, or to all, at once. `None` where there is none of that name.
    pub async fn test(&self, id: Option<&str>) -> Option<Vec<Tested>> {
        let chosen: Vec<(Arc<AlertReceiver>, Arc<Line>)> = {
            let receivers = self.lock();
            let wanted = receivers.values().filter(|running| id.is_none_or(|id| *running.config.id == *id));
            wanted.map(|running| (running.config.clone(), running.line.clone())).collect()
        };
        if id.is_some() && chosen.is_empty() {
            return None;
        }
        let (now, offset) = (self.clock.now(), self.clock.offset());
        let sent: Vec<_> = chosen
            .into_iter()
            .map(|(config, line)| {
                let (id, way) = (config.id.to_string(), config.way.word().to_owned());
                let sending = self.threads.handle.spawn(async move {
                    // There is always one: it is of one piece of news.
                    let Some(message) = Message::test(now, &config) else { return Ok(()) };
                    by_host_while(|| offset, receiver::send(wall(), &line, &config, &message)).await
                });
                (id, way, sending)
            })
            .collect();
        let mut tested = Vec::new();
        for (id, way, sending) in sent {
            let error = match sending.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(receiver::shown(&error.why)),
                Err(ended) => Some(format!("the test did not end in order: {ended}")),
            };
            tested.push(Tested { id, way, error });
        }
        Some(tested)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
        lock(&self.receivers)
    }
}

fn lock(receivers: &Mutex<BTreeMap<Arc<str>, Running>>) -> MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
    // A panic while holding it leaves whole receivers, if not all of them.
    receivers.lock().unwrap_or_else(PoisonError::into_inner)
}
