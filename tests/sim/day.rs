//! A day of two sites that never fail, seen through a bad network by a daemon that stalls, is stopped, and
//! whose clock is set: every move is a false one.

use std::collections::BTreeMap;
use std::time::Duration;

use detour::engine::{Effect, Event, Happened, Pace};
use detour::health::{Detail, Discard, Failure, Outcome, Phase, Sample, Vantage};
use detour::model::CheckKey;
use detour::time::{Offset, Time};

use super::random::Random;
use detour::simulate::scenario::{ServiceSpec, Setup, World, decisions, load, zero};

const DAY: Duration = Duration::from_secs(86_400);
/// The defaults of a probe.
const INTERVAL: Duration = Duration::from_secs(5);
const CONFIRM: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a run takes that meets nothing.
const LATENCY: Duration = Duration::from_millis(8);

/// What happens to the daemon itself.
#[derive(Clone, Copy, Debug)]
pub enum Mishap {
    /// It does not run for so long.
    Stall(Duration),
    /// The host's clock is set while it runs: its own clock does not move, and what is under way goes on.
    ClockSet,
    /// It is killed and started so much later, as its clock has it: none at all where that was set back.
    Stop(Duration),
}

/// What came of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub samples: usize,
    pub lost: usize,
    pub health_changes: usize,
    pub false_failovers: usize,
}

/// A check as the prober runs it.
struct Runs {
    pace: Pace,
    started: Time,
    /// Whether it is under way and will be lost.
    under_way: Option<bool>,
    next: Time,
}

struct Day {
    world: World,
    random: Random,
    runs: BTreeMap<CheckKey, Runs>,
    loss_percent: usize,
    /// Whether the answer is not the first site.
    away: bool,
    seen: Seen,
}

/// Plays a day in which `loss_percent` of the runs are lost, with a mishap of one kind each half hour.
pub fn play(seed: u64, loss_percent: usize, mishap: Option<Mishap>) -> Seen {
    let sites = vec!["fra".to_owned(), "iad".to_owned()];
    let spec = ServiceSpec { sites, interval: INTERVAL, confirm: CONFIRM, ..ServiceSpec::default() };
    let mut setup = Setup::default();
    setup.services.insert("app.example.com".to_owned(), spec);
    let world = World::start(zero(), load(&setup).expect("a load"));
    let keys: Vec<CheckKey> = world.load.config.checks().into_iter().map(|check| check.key).collect();
    let mut day = Day {
        world,
        random: Random::new(seed),
        runs: BTreeMap::new(),
        loss_percent,
        away: false,
        seen: Seen::default(),
    };
    day.start_all(&keys);
    let mut next_mishap = zero() + Duration::from_secs(1800);
    while day.world.now < zero() + DAY {
        let Some(mishap) = mishap.filter(|_| day.world.now >= next_mishap) else {
            day.turn();
            continue;
        };
        next_mishap = day.world.now
            + Duration::from_millis(1_800_000 + day.random.below(INTERVAL.as_millis() as usize) as u64);
        day.meet(mishap, &keys);
    }
    day.seen
}

impl Day {
    fn start_all(&mut self, keys: &[CheckKey]) {
        let now = self.world.now;
        let fresh = |at: usize| Runs {
            pace: Pace::Normal,
            started: now,
            under_way: None,
            next: now + Duration::from_millis(7 * at as u64),
        };
        self.runs = keys.iter().cloned().enumerate().map(|(at, key)| (key, fresh(at))).collect();
    }

    /// The next thing that happens: a run begins or ends, or the engine is woken.
    fn turn(&mut self) {
        let (key, at) = self
            .runs
            .iter()
            .map(|(key, run)| (key.clone(), run.next))
            .min_by_key(|it| it.1)
            .expect("a check");
        let effects = self.world.advance(at);
        self.follow(effects);
        let lost = self.random.chance(self.loss_percent);
        let Some(run) = self.runs.get_mut(&key) else { return };
        match run.under_way.take() {
            None => {
                run.started = at;
                run.under_way = Some(lost);
                run.next = at + if lost { TIMEOUT } else { LATENCY };
            }
            Some(lost) => {
                let outcome =
                    if lost { Outcome::Failed(Failure::Timeout(Phase::Connect)) } else { Outcome::Ok };
                self.seen.lost += usize::from(lost);
                self.end(&key, outcome);
            }
        }
    }

    fn end(&mut self, key: &CheckKey, outcome: Outcome) {
        self.seen.samples += 1;
        let (at, started) = (self.world.now, self.runs[key].started);
        let sample = Sample {
            check: key.clone(),
            vantage: Vantage::local(),
            at,
            latency: at.since(started),
            outcome,
            detail: Detail::default(),
        };
        let effects = self.world.step(Event::Sample(sample));
        self.follow(effects);
        if let Some(run) = self.runs.get_mut(key) {
            run.next = (run.started + every(run.pace)).max(at);
        }
    }

    fn follow(&mut self, effects: Vec<Effect>) {
        for decision in decisions(&effects) {
            let moved = decision.sites.iter().any(|site| &**site != "fra");
            self.seen.false_failovers += usize::from(moved && !self.away);
            self.away = moved;
        }
        let now = self.world.now;
        for effect in effects {
            match effect {
                Effect::Record(Happened::Health { .. }) => self.seen.health_changes += 1,
                Effect::Pace(key, pace) => {
                    let Some(run) = self.runs.get_mut(&key) else { continue };
                    run.pace = pace;
                    if run.under_way.is_none() {
                        run.next = (run.started + every(pace)).max(now);
                    }
                }
                _ => {}
            }
        }
    }

    fn meet(&mut self, mishap: Mishap, keys: &[CheckKey]) {
        match mishap {
            Mishap::Stall(length) => {
                self.world.now = self.world.now + length;
                let effects = self.world.step(Event::Stalled(length));
                self.follow(effects);
                self.spoil(length);
                for run in self.runs.values_mut() {
                    run.next = run.next.max(self.world.now);
                }
            }
            Mishap::ClockSet => {
                let hours = *self.random.pick(&[1, -3, 24, -24]);
                let offset = Offset(self.world.engine.offset().0 + hours * 3_600_000);
                let effects = self.world.step(Event::Clock(offset));
                self.follow(effects);
            }
            Mishap::Stop(length) => {
                self.world.now = self.world.now + length;
                let effects = self.world.restart();
                self.follow(effects);
                self.start_all(keys);
            }
        }
    }

    /// What was under way is discarded, whatever came of it: the process or its clock was not itself.
    fn spoil(&mut self, length: Duration) {
        let under_way = self.runs.iter().filter(|(_, run)| run.under_way.is_some());
        for key in under_way.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            if let Some(run) = self.runs.get_mut(&key) {
                run.under_way = None;
            }
            self.end(&key, Outcome::Discarded(Discard::Stalled(length)));
        }
    }
}

fn every(pace: Pace) -> Duration {
    match pace {
        Pace::Normal => INTERVAL,
        Pace::Confirm => CONFIRM,
    }
}
