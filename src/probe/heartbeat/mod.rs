//! Heartbeats: sites call in, and a beat that does not come is a failure (a dead man's switch).
//!
//! ```text
//!              beat: an ok sample, or the site's own failure
//!            ┌────┐
//!            ▼    │                     due: a failed sample, "no beat for 12s"
//!   (new) ─► waiting for one ──────────────────────────────────────────────────► waiting for one
//!            due interval + grace after the last, or after the start               due interval later
//! ```
//!
//! After a start nothing is known of earlier beats, so absence counts from there. What this process may
//! have slept through is no absence: the sample is discarded, and the wait begins anew.
//!
//! `awaited` says what is due, without a clock; here are the task that waits and the way in for beats.

mod awaited;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use self::awaited::{Awaited, Missed};
pub use self::awaited::{MIN_GAP, TooSoon};
use super::failure::bounded;
use super::stall::Stalls;
use crate::health::{Detail, Discard, Failure, Outcome, Sample, Vantage};
use crate::model::{Check, CheckKey};
use crate::sys::clock::Clock;
use crate::time::Time;

/// A timer this late, or a stall of at least this much, may have kept a beat from being seen.
const MIN_STALL: Duration = Duration::from_millis(250);
/// The part of an interval that has to be lost to a stall to matter: beats of a shorter one wait in the
/// kernel's queue, and are late, which is what the grace is for.
const STALLED_PART: u32 = 4;
/// How long the task sleeps with nothing to wait for; whatever changes wakes it.
const IDLE: Duration = Duration::from_secs(3600);

/// What a site says when it calls in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// That it is well.
    Well,
    /// That it is not, and why.
    Sick(String),
}

/// Every heartbeat check, and where its samples go.
#[derive(Debug)]
pub(super) struct Heartbeats {
    clock: Clock,
    /// Nothing once it is closed, so that whoever takes the samples learns of the end.
    out: Mutex<Option<mpsc::Sender<Sample>>>,
    awaited: Mutex<Awaited>,
    changed: Notify,
}

impl Heartbeats {
    pub(super) fn new(clock: Clock, out: mpsc::Sender<Sample>) -> Arc<Heartbeats> {
        Arc::new(Heartbeats {
            clock,
            out: Mutex::new(Some(out)),
            awaited: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Makes `checks` the ones that are waited for; those that stay as they are go on undisturbed.
    pub(super) fn set(&self, checks: Vec<Check>) {
        self.awaited().set(checks, self.clock.now());
        self.changed.notify_one();
    }

    /// Takes a beat. An unknown check is none of ours any more.
    pub(super) async fn beat(&self, check: &CheckKey, beat: Beat) -> Result<(), TooSoon> {
        let now = self.clock.now();
        if !self.awaited().beat(check, now)? {
            return Ok(());
        }
        let outcome = match beat {
            Beat::Well => Outcome::Ok,
            Beat::Sick(why) => Outcome::Failed(Failure::Reported(bounded(&why))),
        };
        self.give(check.clone(), now, outcome).await;
        Ok(())
    }

    /// For how long a beat is overdue that nobody has missed.
    pub(super) fn idle(&self, now: Time) -> Duration {
        self.awaited().idle(now)
    }

    /// Waits for beats that do not come, for ever.
    pub(super) async fn wait(&self, stalls: &Stalls) {
        loop {
            let now = self.clock.now();
            let missed = self.awaited().missed(now, |from, due, interval| {
                let stalled = stalls.met(from).max(now.since(due));
                (stalled >= MIN_STALL.max(interval / STALLED_PART).min(interval)).then_some(stalled)
            });
            if let Some(Missed { check, silence, stalled }) = missed {
                let outcome = match stalled {
                    Some(stalled) => Outcome::Discarded(Discard::Stalled(stalled)),
                    None => Outcome::Failed(Failure::NoBeat(tenths(silence))),
                };
                self.give(check, now, outcome).await;
                continue;
            }
            let wake = self.awaited().next_due().unwrap_or(now + IDLE);
            tokio::select! {
                () = sleep_until(Instant::from_std(self.clock.instant(wake))) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    async fn give(&self, check: CheckKey, at: Time, outcome: Outcome) {
        let sample = Sample {
            check,
            vantage: Vantage::local(),
            at,
            latency: Duration::ZERO,
            outcome,
            detail: Detail::default(),
        };
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(out) = out {
            // Whoever takes them is gone: the daemon ends.
            let _ = out.send(sample).await;
        }
    }

    /// No sample comes any more, but for one that is being handed over.
    pub(super) fn close(&self) {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn awaited(&self) -> MutexGuard<'_, Awaited> {
        // Its methods leave it whole, or panic before they change it.
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole tenths of a second: more would be different in every sample, and mean nothing.
fn tenths(silence: Duration) -> Duration {
    Duration::from_millis(u64::try_from(silence.as_millis() / 100 * 100).unwrap_or(u64::MAX))
}
