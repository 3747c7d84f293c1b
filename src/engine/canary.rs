//! Self-doubt: the canaries, and what their failing means for everybody else's samples. A host that has lost its
//! routes doubts itself without canaries too ([`super::routes`]).
//!
//! A canary is a check of something that is well known to work. Where fewer than `quorum` of them do, it is
//! this vantage that is broken, and it abstains: its samples are kept, marked, and count for nothing; the
//! last decision stands. A canary that has not reported, or not for long, counts as working: silence is no
//! evidence of anything.
//!
//! ```text
//!             fewer than `quorum` canaries work
//!   trusted ──────────────────────────────────────► in doubt
//!      ▲   failures in a row are forgotten             │
//!      └───────────────────────────────────────────────┘ `quorum` of them work again
//!          what began before this moment is marked too
//! ```
//!
//! An outage of this vantage must be noticed no later than the failures it makes are believed. So once a
//! check fails, canaries run at their confirm pace, and the check is not Down before `quorum` canaries have
//! succeeded in runs that *began* after its first failure. That wait is bounded: where no canary says
//! anything for [`Canaries::wait`], the failures count without them. Without canaries, nothing waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::doubt::Doubt;
use super::{CheckView, Effect, Engine, Happened, Pace, Watched};
use crate::health::{Discard, Health, Outcome, Sample};
use crate::model::{Check, CheckKey, VantageSetup};
use crate::time::{Stalls, Time};

/// The canaries of the configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Canaries {
    each: BTreeMap<CheckKey, Watched>,
    /// When the last run of each that succeeded began.
    worked: BTreeMap<CheckKey, Time>,
    quorum: usize,
    wait: Duration,
    doubt: Option<Doubt>,
    /// Runs that began before this say nothing: it is when the last doubt ended.
    trusted_from: Time,
    /// The checks that are Suspect: they may wait for a canary.
    suspects: BTreeSet<CheckKey>,
}

impl Canaries {
    pub fn has(&self, key: &CheckKey) -> bool {
        self.each.contains_key(key)
    }

    pub fn all(&self) -> impl Iterator<Item = &Watched> {
        self.each.values()
    }

    pub fn in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    pub fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }

    /// Takes up the configuration's.
    fn set(&mut self, now: Time, setup: &VantageSetup) {
        let mut old = std::mem::take(&mut self.each);
        for Check { key, probe } in setup.canaries.iter().cloned() {
            let mut watched = match old.remove(&key) {
                Some(mut watched) => {
                    watched.reload(now, probe);
                    watched
                }
                None => Watched::new(now, probe, None),
            };
            // Probes that were changed start at their interval; whoever is urgent is told so again.
            watched.set_pace(Pace::Normal);
            self.each.insert(key, watched);
        }
        self.worked.retain(|key, _| self.each.contains_key(key));
        self.suspects.clear();
        (self.quorum, self.wait) = (setup.quorum, setup.wait());
    }

    /// Marks a sample that says nothing: it began before the vantage could be trusted.
    pub fn mark(&self, sample: &mut Sample) {
        let began = sample.at - sample.latency;
        let void = self.in_doubt() || began < self.trusted_from;
        if void && !matches!(sample.outcome, Outcome::Discarded(_)) {
            sample.outcome = Outcome::Discarded(Discard::Doubt(sample.outcome.to_string()));
        }
    }

    /// Whether failures that began to come in at `since` may be believed.
    pub fn vouch(&self, now: Time, since: Time, stalls: &Stalls) -> bool {
        if self.each.is_empty() || now >= stalls.count_from(since) + self.wait {
            return !self.in_doubt();
        }
        let working = self.worked.values().filter(|&&began| began >= since).count();
        !self.in_doubt() && working >= self.quorum
    }

    /// Until when failures that began at `since` may wait for a canary.
    pub fn deadline(&self, since: Option<Time>, stalls: &Stalls) -> Option<Time> {
        since.filter(|_| !self.each.is_empty()).map(|since| stalls.count_from(since) + self.wait)
    }

    pub fn note_suspect(&mut self, key: &CheckKey, suspect: bool) {
        if self.each.is_empty() {
            return;
        }
        if !suspect {
            self.suspects.remove(key);
        } else if !self.suspects.contains(key) {
            self.suspects.insert(key.clone());
        }
    }

    /// Who fails and why, where that is too many.
    fn verdict(&self) -> Option<String> {
        let failing = self.each.iter().filter(|(_, canary)| canary.health.found().health == Health::Down);
        let failing: Vec<_> = failing.collect();
        let (all, working) = (self.each.len(), self.each.len() - failing.len());
        let (key, canary) = failing.first().filter(|_| working < self.quorum)?;
        let because = canary.health.progress(canary.probe.thresholds);
        Some(format!("{working} of {all} canaries work, {} must; {key}: {because}", self.quorum))
    }

    pub fn views<'a>(&'a self, now: Time, stalls: &'a Stalls) -> impl Iterator<Item = CheckView> + 'a {
        self.each.iter().map(move |(key, canary)| canary.view(now, stalls, key, 1))
    }
}

impl Engine {
    /// Takes up the canaries of a load. Doubt goes on until canaries end it, or there are none left.
    pub(super) fn set_canaries(&mut self, now: Time, setup: &VantageSetup, out: &mut Vec<Effect>) {
        self.canaries.set(now, setup);
        self.weigh(now, out);
    }

    /// Takes a canary's sample in.
    pub(super) fn canary(&mut self, now: Time, mut sample: Sample, out: &mut Vec<Effect>) {
        let Some(canary) = self.canaries.each.get_mut(&sample.check) else { return };
        canary.way = self.routes.judge(canary.way, &mut sample);
        let from = canary.health.found().health;
        let changed = canary.take(&sample, 1, true);
        let key = sample.check.clone();
        if matches!(sample.outcome, Outcome::Ok) {
            self.canaries.worked.insert(key.clone(), sample.at - sample.latency);
        }
        out.push(Effect::Record(Happened::Sample(sample)));
        if changed {
            canary.judge(now, false, &self.stalls);
            let found = canary.health.found();
            let (to, because) = (found.health, found.because.clone());
            out.push(Effect::Record(Happened::Health { check: key, from, to, because, of: None }));
        }
        self.weigh(now, out);
        if !self.canaries.in_doubt() {
            for key in self.canaries.suspects.clone() {
                self.settle_check(now, &key, out);
            }
        }
    }

    /// Begins or ends the doubt.
    pub(super) fn weigh(&mut self, now: Time, out: &mut Vec<Effect>) {
        let verdict = self.canaries.verdict().or_else(|| self.routes.verdict());
        match (verdict, self.canaries.doubt.take()) {
            (Some(because), None) => {
                let doubt = Doubt { since: now, because };
                out.push(Effect::Record(Happened::Doubt(doubt.clone())));
                self.canaries.doubt = Some(doubt);
                self.count_anew(now);
            }
            (None, Some(ended)) => {
                out.push(Effect::Record(Happened::Trust(ended)));
                self.canaries.trusted_from = now;
                self.count_anew(now);
            }
            (_, same) => self.canaries.doubt = same,
        }
        self.note_vantage(now);
        self.pace_canaries(out);
    }

    fn count_anew(&mut self, now: Time) {
        self.checks.values_mut().for_each(|watched| watched.count_anew(now));
    }

    /// Canaries are asked at their faster pace as long as something hangs on what they say.
    pub(super) fn pace_canaries(&mut self, out: &mut Vec<Effect>) {
        let urgent = self.canaries.in_doubt() || !self.canaries.suspects.is_empty();
        let pace = if urgent { Pace::Confirm } else { Pace::Normal };
        for (key, canary) in &mut self.canaries.each {
            out.extend(canary.set_pace(pace).map(|pace| Effect::Pace(key.clone(), pace)));
        }
    }
}
