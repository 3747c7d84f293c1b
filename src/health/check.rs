//! One check as all vantages see it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Detail, Finding, Health, Outcome, Plot, Sample, Tracker, Vantage};
use crate::model::{CheckKey, Thresholds};
use crate::time::Time;

/// How many vantages one check listens to; samples of further ones are shown and not counted.
pub const MAX_VANTAGES: usize = 64;
/// How many of the last samples are kept to be shown.
pub const MAX_RECENT: usize = 16;

/// A sample as it is kept to be shown: its check is known from where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// From where.
    pub vantage: Vantage,
    /// When the run ended.
    pub at: Time,
    /// From the run's start to its end.
    pub latency: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// How it went.
    pub detail: Detail,
}

impl Recent {
    /// The whole sample again, given the check it is of.
    pub fn of(&self, check: &CheckKey) -> Sample {
        Sample {
            check: check.clone(),
            vantage: self.vantage.clone(),
            at: self.at,
            latency: self.latency,
            outcome: self.outcome.clone(),
            detail: self.detail.clone(),
        }
    }
}

/// What the samples of every vantage say of one check.
#[derive(Clone, Debug)]
pub struct CheckHealth {
    /// What stands for vantages that have not reported: the finding an earlier run ended with.
    seed: Finding,
    found: Finding,
    vantages: BTreeMap<Vantage, Tracker>,
    recent: VecDeque<Recent>,
    /// In a box: checks lie in the nodes of a tree, which are half empty.
    plot: Box<Plot>,
    reported: bool,
    passed: bool,
    confirmed: bool,
}

impl CheckHealth {
    /// A check nothing is known of, or one an earlier run had found something of, and whether it had `passed` then.
    pub fn new(restored: Option<Finding>, passed: bool) -> CheckHealth {
        let reported = restored.is_some();
        let seed = restored.unwrap_or_default();
        let found = seed.clone();
        CheckHealth {
            seed,
            found,
            vantages: BTreeMap::new(),
            recent: VecDeque::new(),
            plot: Box::default(),
            reported,
            passed,
            confirmed: false,
        }
    }

    /// What it comes to.
    pub fn found(&self) -> &Finding {
        &self.found
    }

    /// Whether there was a sample, counted or discarded, or an earlier run's finding: until then, a
    /// service that needs this check has not finished its first round.
    pub fn has_reported(&self) -> bool {
        self.reported
    }

    /// Whether a run has ever passed. What never has may be Suspect, and is no endpoint to move to.
    pub fn has_passed(&self) -> bool {
        self.passed
    }

    /// Whether it is Down, and a further run has failed since it is.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// The last samples, newest first.
    pub fn recent(&self) -> impl Iterator<Item = &Recent> {
        self.recent.iter().rev()
    }

    /// Its last hour.
    pub fn plot(&self) -> &Plot {
        &self.plot
    }

    /// Whether the next run should come after `confirm` and not after `interval`.
    pub fn wants_confirming(&self) -> bool {
        self.vantages.values().any(Tracker::wants_confirming)
            || self.vantages.is_empty() && self.found.health == Health::Suspect
    }

    /// Takes a sample in. Says whether the health changed.
    ///
    /// It becomes Down only where its failures are `vouched` for; see [`CheckHealth::settle`].
    pub fn take(&mut self, sample: &Sample, limits: Thresholds, quorum: usize, vouched: bool) -> bool {
        self.reported = true;
        self.show(sample);
        let outcome = match &sample.outcome {
            Outcome::Ok => Ok(()),
            Outcome::Failed(failure) => Err(failure),
            Outcome::Discarded(_) => return false,
        };
        self.passed |= outcome.is_ok();
        self.confirmed = outcome.is_err() && self.found.health == Health::Down;
        if self.vantages.len() >= MAX_VANTAGES && !self.vantages.contains_key(&sample.vantage) {
            return false;
        }
        let seed = &self.seed;
        let tracker =
            self.vantages.entry(sample.vantage.clone()).or_insert_with(|| Tracker::restored(seed.clone()));
        if !tracker.count(sample.at, outcome, limits, vouched) {
            return false;
        }
        self.conclude(sample.at, quorum)
    }

    /// The failures so far are vouched for. Says whether the health changed.
    pub fn settle(&mut self, at: Time, limits: Thresholds, quorum: usize) -> bool {
        let mut settled = false;
        for tracker in self.vantages.values_mut() {
            settled |= tracker.settle(at, limits);
        }
        settled && self.conclude(at, quorum)
    }

    /// When the first failure since it last worked ended, from any vantage; `None` while it works.
    pub fn failing_since(&self) -> Option<Time> {
        self.vantages.values().filter_map(Tracker::failing_since).min()
    }

    /// Forgets how far every vantage was on the way to the next change.
    pub fn count_anew(&mut self) {
        self.vantages.values_mut().for_each(Tracker::count_anew);
    }

    /// What is Down has to show it once more: it is Suspect, with no failure counted. Says whether the
    /// health changed.
    pub fn put_on_probation(&mut self, at: Time, quorum: usize) -> bool {
        let mut seed = Tracker::restored(self.seed.clone());
        seed.put_on_probation(at);
        self.seed = seed.found().clone();
        self.vantages.values_mut().for_each(|tracker| tracker.put_on_probation(at));
        self.conclude(at, quorum)
    }

    fn conclude(&mut self, at: Time, quorum: usize) -> bool {
        let next = self.verdict(at, quorum);
        let changed = next.health != self.found.health;
        if changed {
            self.found = next;
            self.confirmed = false;
        }
        changed
    }

    fn show(&mut self, sample: &Sample) {
        self.plot.note(sample.at, sample.latency, &sample.outcome);
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent {
            vantage: sample.vantage.clone(),
            at: sample.at,
            latency: sample.latency,
            outcome: sample.outcome.clone(),
            detail: sample.detail.clone(),
        });
    }

    /// Down once a quorum of vantages says Down; short of that, one vantage that fails makes Suspect.
    fn verdict(&self, at: Time, quorum: usize) -> Finding {
        let silent = quorum.saturating_sub(self.vantages.len());
        let all =
            || self.vantages.values().map(Tracker::found).chain(std::iter::repeat_n(&self.seed, silent));
        let first = |health| all().find(|found| found.health == health);
        let down = all().filter(|found| found.health == Health::Down).count();
        let (health, of) = if down >= quorum.max(1) {
            (Health::Down, first(Health::Down))
        } else if let Some(found) = first(Health::Down).or_else(|| first(Health::Suspect)) {
            (Health::Suspect, Some(found))
        } else if let Some(found) = first(Health::Up) {
            (Health::Up, Some(found))
        } else {
            (Health::Unknown, None)
        };
        let because = of.map_or_else(String::new, |found| match self.vantages.len() {
            0 | 1 => found.because.clone(),
            vantages if down > 0 => format!("Down from {down} of {vantages} vantages: {}", found.because),
            _ => found.because.clone(),
        });
        Finding { health, since: at, because }
    }

    /// How the count stands: `2 of 3 failed, connection refused`; `1 of 2 ok`.
    pub fn progress(&self, limits: Thresholds) -> String {
        match self.sole() {
            Some(tracker) => tracker.progress(limits),
            None => self.found.because.clone(),
        }
    }

    /// What would change the health next, in words, where one vantage alone decides it.
    pub fn ahead(&self, limits: Thresholds) -> Option<String> {
        self.sole()?.ahead(limits)
    }

    fn sole(&self) -> Option<&Tracker> {
        self.vantages.values().next().filter(|_| self.vantages.len() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Discard, Failure};
    use crate::model::Whereto;

    const LIMITS: Thresholds = Thresholds { fall: 2, rise: 1, window: None };

    fn sample(vantage: &str, outcome: Outcome) -> Sample {
        let whereto = Whereto::Addr("192.0.2.10".parse().expect("an address"));
        Sample {
            check: CheckKey { probe: "web".into(), whereto, host: None },
            vantage: Vantage(vantage.into()),
            at: Time(5),
            latency: Duration::ZERO,
            outcome,
            detail: Detail::default(),
        }
    }

    fn check(health: &mut CheckHealth, quorum: usize, vantage: &str, ok: bool, expect: Health) {
        let outcome = if ok { Outcome::Ok } else { Outcome::Failed(Failure::Refused) };
        let before = health.found().health;
        let changed = health.take(&sample(vantage, outcome), LIMITS, quorum, true);
        assert_eq!(health.found().health, expect);
        assert_eq!(changed, before != expect);
    }

    #[test]
    fn one_vantage_decides_alone_where_the_quorum_is_one() {
        let mut health = CheckHealth::new(None, false);
        check(&mut health, 1, "local", true, Health::Up);
        check(&mut health, 1, "local", false, Health::Suspect);
        check(&mut health, 1, "local", false, Health::Down);
        assert_eq!(health.found().because, "2 of 2 failed, connection refused");
        check(&mut health, 1, "local", true, Health::Up);
    }

    #[test]
    fn down_takes_a_quorum_of_vantages() {
        let mut health = CheckHealth::new(None, false);
        for (vantage, ok, expect) in [
            ("a", true, Health::Up),
            ("b", true, Health::Up),
            ("c", true, Health::Up),
            ("a", false, Health::Suspect),
            ("a", false, Health::Suspect),
            ("b", false, Health::Suspect),
            ("b", false, Health::Down),
        ] {
            check(&mut health, 2, vantage, ok, expect);
        }
        assert_eq!(health.found().because, "Down from 2 of 3 vantages: 2 of 2 failed, connection refused");
        check(&mut health, 2, "a", true, Health::Suspect);
        check(&mut health, 2, "b", true, Health::Up);
    }

    #[test]
    fn a_restored_finding_stands_for_silent_vantages() {
        let down = Finding { health: Health::Down, since: Time(1), because: "old".to_owned() };
        let mut health = CheckHealth::new(Some(down), true);
        assert!(health.has_reported());
        check(&mut health, 2, "a", false, Health::Down);
        check(&mut health, 2, "a", true, Health::Suspect);
        check(&mut health, 2, "b", true, Health::Up);
    }

    #[test]
    fn a_fall_is_confirmed_by_the_next_run_and_by_no_other() {
        let mut health = CheckHealth::new(None, false);
        let mut step = |ok: bool, passed: bool, confirmed: bool| {
            let outcome = if ok { Outcome::Ok } else { Outcome::Failed(Failure::Refused) };
            health.take(&sample("local", outcome), LIMITS, 1, true);
            assert_eq!((health.has_passed(), health.is_confirmed()), (passed, confirmed));
        };
        step(false, false, false);
        step(false, false, false); // Down
        step(false, false, true);
        step(true, true, false);
        step(false, true, false);
        step(false, true, false); // Down again
        step(false, true, true);
        let stalled = Outcome::Discarded(Discard::Stalled(Duration::from_secs(1)));
        health.take(&sample("local", stalled), LIMITS, 1, true);
        assert!(health.is_confirmed(), "what says nothing takes nothing back");
    }

    #[test]
    fn discarded_samples_are_shown_and_never_counted() {
        let mut health = CheckHealth::new(None, false);
        let stalled = Outcome::Discarded(Discard::Stalled(Duration::from_secs(1)));
        for _ in 0..20 {
            assert!(!health.take(&sample("local", stalled.clone()), LIMITS, 1, true));
        }
        assert_eq!(health.found().health, Health::Unknown);
        assert!(health.has_reported());
        assert_eq!(health.recent().count(), MAX_RECENT);
    }
}
