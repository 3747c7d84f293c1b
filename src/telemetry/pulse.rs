//! What others may read of the core, and of its disk, without asking it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tracing::{debug, error, info};

use crate::condition::{Board, ConditionKind, Summary};
use crate::state::{StoreError, WriteObserver};
use crate::time::Time;

/// The subject of the condition that the state file cannot be written.
const STATE: &str = "state";
/// The subject of the condition that a load was rejected.
const CONFIGURATION: &str = "configuration";
/// The subject of the condition that this host lets too few probes run.
const PROBES: &str = "probes";

/// What others may read of the core without asking it.
#[derive(Default)]
pub struct Pulse {
    /// When its loop last turned, on the daemon's clock, in milliseconds.
    pub turned: AtomicU64,
    /// Whether the last load was taken up.
    pub load_ok: AtomicBool,
    /// How many endpoints, and how many checks, have metrics of their own.
    pub endpoints: AtomicUsize,
    /// How many zones' files were broken at the start, and still are.
    pub broken: AtomicUsize,
    /// Writes to the state file that failed.
    pub write_errors: AtomicU64,
    /// Why the state file cannot be written just now.
    pub write_error: Mutex<Option<String>>,
    /// What the engine finds wrong, as of its last step.
    pub found: ArcSwap<Summary>,
    /// What everybody else finds wrong.
    pub board: Arc<Board>,
    /// Writes that a publish did not wait for.
    pub late_writes: AtomicU64,
}

impl Pulse {
    /// A load was rejected: what was loaded before goes on.
    pub fn rejected(&self, now: Time, problems: &str) {
        self.load_ok.store(false, Ordering::Relaxed);
        // Warnings stand among them, and are not why.
        let first = problems.lines().find(|line| line.contains(": error: "));
        let first = first.or_else(|| problems.lines().next()).unwrap_or_default();
        let text = format!("the configuration was rejected; still running the previous one: {first}");
        self.board.set(ConditionKind::LoadRejected, CONFIGURATION, now, &text);
    }

    /// A load was taken up; `crowding` is why probes cannot keep what it promises on this host.
    pub fn loaded(&self, now: Time, crowding: Option<String>) {
        self.load_ok.store(true, Ordering::Relaxed);
        self.board.clear(ConditionKind::LoadRejected, CONFIGURATION);
        let crowding = crowding.map(|text| (PROBES.to_owned(), text)).into_iter().collect();
        self.board.replace_all(ConditionKind::ProbeLimit, now, &crowding);
    }

    /// Why the state file cannot be written just now.
    pub fn disk_trouble(&self) -> Option<String> {
        self.write_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl WriteObserver for Pulse {
    fn wrote(&self, now: Time, failed: Option<&StoreError>) {
        let mut trouble = self.write_error.lock().unwrap_or_else(PoisonError::into_inner);
        match failed {
            None => {
                if trouble.take().is_some() {
                    self.board.clear(ConditionKind::StateUnwritten, STATE);
                    info!("the state file is written again, with everything that waited for it");
                }
            }
            // Nothing was tried, and what is known is why.
            Some(StoreError::Waiting(_)) => {}
            Some(why) => {
                self.write_errors.fetch_add(1, Ordering::Relaxed);
                let known = trouble.replace(why.to_string());
                self.board.set(ConditionKind::StateUnwritten, STATE, now, &unwritten(&why.to_string()));
                if known.is_none() {
                    error!("{why}; answers move all the same, and what cannot be kept waits for the disk");
                } else {
                    debug!("{why}");
                }
            }
        }
    }

    fn late(&self) {
        self.late_writes.fetch_add(1, Ordering::Relaxed);
    }
}

/// What people should know while the state file cannot be written.
pub fn unwritten(why: &str) -> String {
    format!("{why}; until it can be written, a restart forgets what happened since, and updates are refused")
}
