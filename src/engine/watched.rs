//! A check under watch: its samples in, its health and its pace out.

use std::sync::Arc;

use super::{CheckView, Effect, Engine, Happened, Pace, Saved, SavedCheck};
use crate::config::{Check, CheckKey, Probe};
use crate::health::{CheckHealth, Finding, Sample};
use crate::time::Time;
use crate::zone::Name;

/// Intervals without a sample that make a check stale.
const STALE_INTERVALS: u32 = 3;

/// One check of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub probe: Arc<Probe>,
    pub health: CheckHealth,
    /// The services that need it, each once.
    pub services: Vec<Name>,
    pace: Pace,
    /// When it came under watch.
    added: Time,
}

impl From<SavedCheck> for Finding {
    fn from(SavedCheck { health, since, because }: SavedCheck) -> Finding {
        Finding { health, since, because }
    }
}

impl From<Finding> for SavedCheck {
    fn from(Finding { health, since, because }: Finding) -> SavedCheck {
        SavedCheck { health, since, because }
    }
}

impl Watched {
    pub fn new(now: Time, probe: Arc<Probe>, restored: Option<SavedCheck>) -> Watched {
        let health = CheckHealth::new(restored.map(Finding::from));
        Watched { probe, health, services: Vec::new(), pace: Pace::Normal, added: now }
    }

    /// The same check under the configuration just loaded.
    pub fn reloaded(self, probe: Arc<Probe>) -> Watched {
        Watched { probe, services: Vec::new(), ..self }
    }

    /// The pace it is run at.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The pace it wants from now on; `None` where that is what it has.
    fn change_pace(&mut self) -> Option<Pace> {
        let wanted = if self.health.wants_confirming() { Pace::Confirm } else { Pace::Normal };
        (std::mem::replace(&mut self.pace, wanted) != wanted).then_some(wanted)
    }

    /// The pace to tell after a load: probes that were changed or are new start at their interval.
    pub fn pace_after_load(&mut self) -> Option<Pace> {
        self.change_pace();
        (self.pace != Pace::Normal).then_some(self.pace)
    }

    /// The check as `status` shows it.
    pub fn view(&self, now: Time, key: &CheckKey) -> CheckView {
        let found = self.health.found();
        let last = self.health.recent().next().map(|recent| recent.at);
        let every = match self.pace {
            Pace::Normal => self.probe.interval,
            Pace::Confirm => self.probe.confirm,
        };
        let millis = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        CheckView {
            key: key.clone(),
            health: found.health,
            since: found.since,
            because: self.health.progress(self.probe.thresholds),
            every_ms: millis(every),
            last_sample_age_ms: last.map(|at| millis(now.since(at))),
            stale: now.since(last.unwrap_or(self.added)) > self.probe.interval * STALE_INTERVALS,
            recent: self.health.recent().map(|recent| recent.of(key)).collect(),
        }
    }
}

impl Engine {
    /// Takes a sample in. One of a check that a reload has dropped is ignored.
    pub(super) fn sample(&mut self, now: Time, mut sample: Sample, out: &mut Vec<Effect>) {
        let Some(watched) = self.checks.get_mut(&sample.check) else {
            return;
        };
        // A run ends before the engine hears of it.
        sample.at = sample.at.min(now);
        let before = watched.health.found().health;
        let first = !watched.health.has_reported();
        let changed = watched.health.take(&sample, watched.probe.thresholds, self.quorum);
        if first {
            for name in &watched.services {
                let Some(steered) = self.services.get_mut(name) else { continue };
                steered.unreported -= 1;
                if steered.unreported == 0 {
                    self.agenda.touch(now, name.clone());
                }
            }
        }
        let key = sample.check.clone();
        if changed {
            let found = watched.health.found();
            out.push(Effect::Save(Saved::Check(key.clone(), Some(found.clone().into()))));
            out.push(Effect::Record(Happened::Sample(sample)));
            out.push(Effect::Record(Happened::Health {
                check: key.clone(),
                from: before,
                to: found.health,
                because: found.because.clone(),
            }));
            for name in &watched.services {
                self.agenda.touch(now, name.clone());
            }
        } else {
            out.push(Effect::Record(Happened::Sample(sample)));
        }
        if let Some(pace) = watched.change_pace() {
            out.push(Effect::Pace(key, pace));
        }
    }

    /// Puts the checks of the configuration under watch, those already watched with all that is known
    /// of them, and forgets the others.
    pub(super) fn watch(&mut self, now: Time, checks: Vec<Check>, out: &mut Vec<Effect>) {
        let mut old = std::mem::take(&mut self.checks);
        let mut restored = std::mem::take(&mut self.restored);
        for Check { key, probe } in checks {
            let watched = match old.remove(&key) {
                Some(watched) => watched.reloaded(probe),
                None => Watched::new(now, probe, restored.remove(&key)),
            };
            self.checks.insert(key, watched);
        }
        let forgotten = old.into_keys().chain(restored.into_keys());
        out.extend(forgotten.map(|key| Effect::Save(Saved::Check(key, None))));
    }
}
