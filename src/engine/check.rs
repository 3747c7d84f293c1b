//! A check under watch: its samples in, its health and its pace out.
//!
//! What samples say of a check ([`CheckHealth`]) is not all that counts. Two things stand between it and a
//! decision, and what comes out is what status shows and history tells:
//!
//! - **Nothing stale.** A health that says "it works" needs samples. After [`STALE_INTERVALS`] intervals
//!   without one that counts it is Unknown. What is Down stays Down: nobody has seen it work. Policy never
//!   moves away from what is Unknown, and to it only where everything else is Down.
//! - **Damping.** What works again after too many changes is held Down for a while (`health::damping`).

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use super::routes::Way;
use super::{Bearing, CheckView, Effect, Engine, Happened, MAX_BEARING, Pace, Saved, SavedCheck};
use crate::dns::Name;
use crate::health::{CheckHealth, Damper, Discard, Finding, Health, Outcome, Sample, works};
use crate::model::{Check, CheckKey, Probe};
use crate::time::{Stalls, Time};

/// Intervals without a sample that make a check stale.
const STALE_INTERVALS: u32 = 3;
/// How many checks that are looked at no more an entry of the history names.
const MAX_DROPPED: usize = 1_000;

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
    /// When the last sample that counted came, or from when on one was to be expected.
    counted: Time,
    damper: Damper,
    /// What counts.
    judged: Finding,
    /// Whether the last run that succeeded had a warning.
    warned: bool,
    /// What its last run says of the way there.
    pub way: Way,
    /// When the agenda has it looked at again.
    pub due: Option<Time>,
}

/// What taking up the checks of a load came to.
pub(super) struct Stirred {
    /// Services one of whose checks comes to something else than before.
    pub services: BTreeSet<Name>,
    /// Checks that are no longer, and were not Up; [`MAX_DROPPED`] at most.
    pub dropped: Vec<CheckKey>,
}

impl From<SavedCheck> for Finding {
    fn from(SavedCheck { health, since, because, .. }: SavedCheck) -> Finding {
        Finding { health, since, because }
    }
}

impl Watched {
    pub fn new(now: Time, probe: Arc<Probe>, restored: Option<SavedCheck>) -> Watched {
        let damper = restored.as_ref().map(|saved| saved.damper.clone()).unwrap_or_default();
        let warned = restored.as_ref().is_some_and(|saved| saved.warned);
        let passed = restored.as_ref().is_some_and(|saved| !saved.untried);
        let health = CheckHealth::new(restored.map(Finding::from), passed);
        let judged = health.found().clone();
        let (services, pace) = (Vec::new(), Pace::Normal);
        let mut watched = Watched {
            probe,
            health,
            services,
            pace,
            added: now,
            counted: now,
            damper,
            judged,
            warned,
            way: Way::Silent,
            due: None,
        };
        watched.judge(now, false, &Stalls::default());
        watched
    }

    /// Puts it under the configuration just loaded.
    pub fn reload(&mut self, now: Time, probe: Arc<Probe>) {
        self.probe = probe;
        // The probe may have run seldom until now.
        self.counted = now;
        self.due = None;
    }

    /// What counts: the samples' word, unless it is stale or damped.
    pub fn found(&self) -> &Finding {
        &self.judged
    }

    /// Whether samples say that it works, and damping alone says Down.
    pub fn is_damped(&self) -> bool {
        self.judged.health == Health::Down && works(self.health.found().health)
    }

    /// What it comes to once a sample was taken: whether that counted, and whether it changed anything.
    pub fn take(&mut self, sample: &Sample, quorum: usize, vouched: bool) -> bool {
        let before = self.health.found().health;
        let changed = self.health.take(sample, self.probe.thresholds, quorum, vouched);
        if !matches!(sample.outcome, Outcome::Discarded(_)) {
            // One from before it was expected again says nothing of the time since.
            self.counted = self.counted.max(sample.at);
        }
        self.note_change(sample.at, before);
        changed
    }

    /// Whether what its successful runs warn of has begun, or has ended.
    fn warns_anew(&mut self, sample: &Sample) -> bool {
        let warned = sample.detail.warning.is_some();
        // A run that fails does not come so far as to see what others warn of.
        sample.outcome == Outcome::Ok && std::mem::replace(&mut self.warned, warned) != warned
    }

    /// Its failures are vouched for. Says whether that made it Down.
    pub fn settle(&mut self, now: Time, quorum: usize) -> bool {
        let before = self.health.found().health;
        let changed = self.health.settle(now, self.probe.thresholds, quorum);
        self.note_change(now, before);
        changed
    }

    /// Samples were worth nothing until now: what it was on the way to is forgotten, and it is not late.
    pub fn count_anew(&mut self, now: Time) {
        self.health.count_anew();
        self.counted = now;
    }

    /// What holds it Down is postponed by so much, where it was in force when this process came to stand still.
    pub fn hold_on(&mut self, began: Time, length: Duration) -> bool {
        self.probe.damping.is_some() && self.damper.postpone(began, length)
    }

    fn note_change(&mut self, at: Time, before: Health) {
        let after = self.health.found().health;
        if let Some(limits) = &self.probe.damping
            && ![before, after].contains(&Health::Unknown)
            && works(before) != works(after)
        {
            self.damper.changed(at, works(after), limits);
        }
    }

    /// Draws the conclusion anew; the health before it where that changed. While the vantage is `doubted`,
    /// nothing goes stale: what was known last stands.
    pub fn judge(&mut self, now: Time, doubted: bool, stalls: &Stalls) -> Option<Health> {
        let found = self.health.found();
        let held = self.damper.held(now).filter(|_| self.probe.damping.is_some() && works(found.health));
        let stale = !doubted && works(found.health) && self.is_late(now, stalls);
        let next = if stale {
            let because = with_discard(format!("no sample for {:?}", self.patience()), self.discarded());
            Finding { health: Health::Unknown, since: now, because }
        } else if let Some(held) = held {
            let because = format!("{held}; samples say {}", found.health);
            Finding { health: Health::Down, since: found.since, because }
        } else {
            let mut found = found.clone();
            if works(found.health)
                && let Some(released) = self.damper.released(now)
            {
                found.since = found.since.max(released);
            }
            found
        };
        let before = self.judged.health;
        let changed = before != next.health;
        if changed || !stale {
            self.judged = next;
        }
        changed.then_some(before)
    }

    /// Why its last run counted for nothing, where it did.
    fn discarded(&self) -> Option<&Discard> {
        match &self.health.recent().next()?.outcome {
            Outcome::Discarded(why) => Some(why),
            Outcome::Ok | Outcome::Failed(_) => None,
        }
    }

    /// Whether there was no result that counts for so long that what was known is known no more.
    pub fn is_late(&self, now: Time, stalls: &Stalls) -> bool {
        now.since(stalls.count_from(self.counted)) > self.patience()
    }

    fn patience(&self) -> Duration {
        self.probe.interval * STALE_INTERVALS
    }

    /// When the passing of time alone changes what it comes to; `verdict` is until when its failures may
    /// wait for canaries.
    pub fn next_due(&self, now: Time, verdict: Option<Time>, stalls: &Stalls) -> Option<Time> {
        // A moment is late once it has passed.
        let late = stalls.count_from(self.counted) + self.patience() + Duration::from_millis(1);
        let late = Some(late).filter(|_| works(self.health.found().health));
        let late = late.filter(|_| self.judged.health != Health::Unknown);
        // In doubt nothing is late: it is looked at again an interval later.
        let late = late.map(|late| if late <= now { now + self.probe.interval } else { late });
        let held = self.damper.held(now).map(|held| held.until);
        let verdict = verdict.filter(|_| self.health.found().health == Health::Suspect);
        [late, held, verdict.filter(|&verdict| verdict > now)].into_iter().flatten().min()
    }

    /// What outlives the process.
    pub fn saved(&self) -> SavedCheck {
        let Finding { health, since, because } = self.health.found().clone();
        let (damper, warned, untried) = (self.damper.clone(), self.warned, !self.health.has_passed());
        SavedCheck { health, since, because, damper, warned, untried }
    }

    /// The pace it is run at.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The pace it wants from now on; `None` where that is what it has.
    fn change_pace(&mut self) -> Option<Pace> {
        self.set_pace(if self.health.wants_confirming() { Pace::Confirm } else { Pace::Normal })
    }

    /// Changes its pace; `None` where it has it.
    pub fn set_pace(&mut self, wanted: Pace) -> Option<Pace> {
        (std::mem::replace(&mut self.pace, wanted) != wanted).then_some(wanted)
    }

    /// The pace to tell after a load: probes that were changed or are new start at their interval.
    pub fn pace_after_load(&mut self) -> Option<Pace> {
        self.change_pace();
        (self.pace != Pace::Normal).then_some(self.pace)
    }

    /// The check with its last `samples`.
    pub fn view(&self, now: Time, stalls: &Stalls, key: &CheckKey, samples: usize) -> CheckView {
        let found = self.found();
        let last = self.health.recent().next().map(|recent| recent.at);
        let every = match self.pace {
            Pace::Normal => self.probe.interval,
            Pace::Confirm => self.probe.confirm,
        };
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let because = if found.health == self.health.found().health {
            with_discard(self.health.progress(self.probe.thresholds), self.discarded())
        } else {
            found.because.clone()
        };
        CheckView {
            key: key.clone(),
            health: found.health,
            // What nothing was ever found of is Unknown since it is there.
            since: if found.since == Time(0) { self.added } else { found.since },
            because,
            every_ms: millis(every),
            last_sample_age_ms: last.map(|at| millis(now.since(at))),
            stale: now.since(stalls.count_from(last.unwrap_or(self.added))) > self.patience(),
            held_until: self.damper.held(now).filter(|_| self.is_damped()).map(|held| held.until),
            recent: self.health.recent().take(samples).map(|recent| recent.of(key)).collect(),
        }
    }
}

/// A health's reason, and why the last run counted for nothing.
fn with_discard(because: String, discarded: Option<&Discard>) -> String {
    match discarded {
        Some(why) if because.is_empty() => format!("last result discarded: {why}"),
        Some(why) => format!("{because}; last result discarded: {why}"),
        None => because,
    }
}

impl Engine {
    /// Takes a sample in. One of a check that a reload has dropped is ignored.
    pub(super) fn sample(&mut self, now: Time, mut sample: Sample, out: &mut Vec<Effect>) {
        // A run ends before the engine hears of it.
        sample.at = sample.at.min(now);
        if self.canaries.has(&sample.check) {
            self.canary(now, sample, out);
            return;
        }
        let Some(watched) = self.checks.get_mut(&sample.check) else {
            return;
        };
        let cut_off = self.routes.verdict().is_some();
        watched.way = self.routes.judge(watched.way, &mut sample);
        if self.routes.verdict().is_some() != cut_off {
            self.weigh(now, out);
        }
        let Some(watched) = self.checks.get_mut(&sample.check) else {
            return;
        };
        self.canaries.mark(&mut sample);
        let first = !watched.health.has_reported();
        let failing_since = watched.health.failing_since().unwrap_or(sample.at);
        let vouched = self.canaries.vouch(now, failing_since, &self.stalls);
        let [passed, confirmed] = [watched.health.has_passed(), watched.health.is_confirmed()];
        let changed = watched.take(&sample, self.quorum, vouched);
        // A fall that is no longer confirmed lets nothing move that could not before.
        let proven = watched.health.has_passed() && !passed;
        let changed = changed || proven || watched.health.is_confirmed() && !confirmed;
        let warns = watched.warns_anew(&sample);
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
        if changed || warns {
            out.push(Effect::Save(Saved::Check(key.clone(), Some(watched.saved()))));
        }
        if warns {
            let warning = sample.detail.warning.clone();
            out.push(Effect::Record(Happened::Warned { check: key.clone(), warning }));
        }
        let began = changed.then(|| sample.at - sample.latency);
        self.note_discarded(now, &key, &sample.outcome);
        out.push(Effect::Record(Happened::Sample(sample)));
        self.follow(now, &key, (changed, began), out);
    }

    /// A check was sampled, settled, or looked at because time passed: tells what that changes.
    fn follow(
        &mut self,
        now: Time,
        key: &CheckKey,
        (touched, began): (bool, Option<Time>),
        out: &mut Vec<Effect>,
    ) {
        let Some(watched) = self.checks.get_mut(key) else { return };
        let before = watched.judge(now, self.canaries.in_doubt(), &self.stalls);
        if let Some(from) = before {
            let Finding { health: to, because, .. } = watched.found().clone();
            let of = self.bearing(key, began).map(Box::new);
            out.push(Effect::Record(Happened::Health { check: key.clone(), from, to, because, of }));
            self.note_check(now, key, from);
        }
        let Some(watched) = self.checks.get_mut(key) else { return };
        if before.is_some() || touched {
            for name in &watched.services {
                self.agenda.touch(now, name.clone());
            }
        }
        if let Some(pace) = watched.change_pace() {
            out.push(Effect::Pace(key.clone(), pace));
        }
        let suspect = watched.health.found().health == Health::Suspect;
        let verdict = self.canaries.deadline(watched.health.failing_since(), &self.stalls);
        // An entry that comes too early is looked at and put off; one that would come too late is moved.
        let next = watched.next_due(now, verdict, &self.stalls);
        if watched.due.is_none_or(|due| due <= now || next.is_some_and(|next| next < due)) {
            self.agenda.look_at(key, watched.due, next);
            watched.due = next;
        }
        self.canaries.note_suspect(key, suspect);
        self.pace_canaries(out);
    }

    /// What a check bears on; `began` is when the run began that changed it.
    fn bearing(&self, key: &CheckKey, began: Option<Time>) -> Option<Bearing> {
        let watched = self.checks.get(key)?;
        let site_of = |name: &Name| {
            let steered = self.services.get(name)?;
            let endpoints = steered.service.endpoints.iter().zip(&steered.places);
            let mut here =
                endpoints.filter(|(_, places)| places.iter().any(|place| place.checks.contains(key)));
            here.next().map(|(endpoint, _)| endpoint.site.clone())
        };
        let services: Vec<Name> = watched.services.iter().take(MAX_BEARING).cloned().collect();
        let site = services.iter().find_map(site_of)?;
        let maintained = services.iter().all(|name| self.maintenance_of(name, &site).is_some());
        Some(Bearing { site, services, began, maintained })
    }

    /// What its maintenance has made Down has to show by failures that it still is.
    pub(super) fn put_on_probation(&mut self, now: Time, key: &CheckKey, out: &mut Vec<Effect>) {
        let Some(watched) = self.checks.get_mut(key) else { return };
        if watched.health.put_on_probation(now, self.quorum) {
            out.push(Effect::Save(Saved::Check(key.clone(), Some(watched.saved()))));
            self.follow(now, key, (true, None), out);
        }
    }

    /// Looks at the checks that the passing of time may have changed.
    pub(super) fn look(&mut self, now: Time, out: &mut Vec<Effect>) {
        for key in self.agenda.take_checks(now) {
            let Some(watched) = self.checks.get_mut(&key) else { continue };
            watched.due = None;
            self.settle_check(now, &key, out);
        }
    }

    /// A check whose failures may be vouched for by now.
    pub(super) fn settle_check(&mut self, now: Time, key: &CheckKey, out: &mut Vec<Effect>) {
        let Some(watched) = self.checks.get_mut(key) else { return };
        let vouched =
            watched.health.failing_since().is_some_and(|since| self.canaries.vouch(now, since, &self.stalls));
        let changed = vouched && watched.settle(now, self.quorum);
        if changed {
            out.push(Effect::Save(Saved::Check(key.clone(), Some(watched.saved()))));
        }
        self.follow(now, key, (changed, None), out);
    }

    /// Puts `checks`, in their order, under watch, those already watched with all that is known of them, and
    /// forgets the others.
    pub(super) fn watch(&mut self, now: Time, checks: Vec<Check>, out: &mut Vec<Effect>) -> Stirred {
        let mut restored = std::mem::take(&mut self.restored);
        self.agenda.clear_checks();
        let (mut wanted, mut gone) = (checks.iter().peekable(), Vec::new());
        self.checks.retain(|key, watched| {
            while wanted.next_if(|check| check.key < *key).is_some() {}
            let stays = wanted.next_if(|check| check.key == *key).is_some();
            if !stays {
                gone.push((key.clone(), watched.judged.health));
            }
            stays
        });
        let doubted = self.canaries.in_doubt();
        let (mut services, mut dropped) = (BTreeSet::new(), Vec::new());
        for Check { key, probe } in checks {
            let watched = match self.checks.entry(key.clone()) {
                Entry::Occupied(known) => {
                    let watched = known.into_mut();
                    let before = watched.found().clone();
                    watched.reload(now, probe);
                    watched.judge(now, doubted, &self.stalls);
                    if *watched.found() != before {
                        services.extend(watched.services.iter().cloned());
                    }
                    watched
                }
                Entry::Vacant(free) => {
                    let watched = free.insert(Watched::new(now, probe, restored.remove(&key)));
                    watched.judge(now, doubted, &self.stalls);
                    watched
                }
            };
            let verdict = self.canaries.deadline(watched.health.failing_since(), &self.stalls);
            watched.due = watched.next_due(now, verdict, &self.stalls);
            self.agenda.look_at(&key, None, watched.due);
            self.canaries.note_suspect(&key, watched.health.found().health == Health::Suspect);
        }
        self.routes.recount(self.checks.values().chain(self.canaries.all()));
        self.weigh(now, out);
        let restored = restored.into_iter().map(|(key, saved)| (key, saved.health));
        for (key, health) in gone.into_iter().chain(restored) {
            if [Health::Suspect, Health::Down].contains(&health) {
                dropped.push(key.clone());
            }
            out.push(Effect::Save(Saved::Check(key, None)));
        }
        dropped.truncate(MAX_DROPPED);
        Stirred { services, dropped }
    }
}
