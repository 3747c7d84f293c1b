//! One run: a random configuration, a random course of events, then quiet, in which all must settle.

use std::collections::BTreeSet;
use std::time::Duration;

use detour::dns::Name;
use detour::engine::{Action, COALESCE, Command, Effect, Event, Happened};
use detour::health::{Detail, Discard, Failure, Outcome, Sample, Vantage};
use detour::model::CheckKey;
use detour::policy::{OverrideKind, Scope};
use detour::time::Offset;

use super::agree::Agreement;
use super::configured::{SERVICES, SITES, ZONES, change_service, near, setup_of};
use super::judge::{Before, Judge, Kind, check_settled};
use super::random::Random;
use detour::simulate::scenario::{Given, Setup, World, decisions, load, zero};

/// Steps of the eventful part.
const STEPS: usize = 50;
/// Time between the quiet part's rounds.
const QUIET_ROUND: Duration = Duration::from_secs(10);
/// Rounds in which everything settles: the longest window, the longest hold, and where there are such the longest
/// delay, wait, and steps have passed.
const QUIET_ROUNDS: usize = 12;
const QUIET_ROUNDS_MOVING: usize = 24;

/// What came of a run.
#[derive(Default)]
pub struct Played {
    pub effects: Vec<Effect>,
    pub given: Vec<Given>,
    pub moves: usize,
    pub failbacks: usize,
    pub all_down: usize,
    pub restarts: usize,
    pub clock_sets: usize,
    pub refused: usize,
    pub dead_sites: usize,
    /// What else a run is to meet, or it proves nothing.
    pub seen: Vec<(&'static str, usize)>,
}

struct Run {
    kind: Kind,
    random: Random,
    world: World,
    judge: Judge,
    setup: Setup,
    /// Checks that fail, as things really are.
    dead: BTreeSet<CheckKey>,
    played: Played,
}

/// Plays one seed to its end.
pub fn play(kind: Kind, seed: u64) -> Played {
    let mut random = Random::new(seed);
    let setup = setup_of(kind, &mut random);
    let world = World::start(zero(), load(&setup).expect("a load"));
    let judge = Judge::of(kind);
    let mut run = Run { kind, random, world, judge, setup, dead: BTreeSet::new(), played: Played::default() };
    if run.random.chance(80) {
        run.round();
    }
    for _ in 0..STEPS {
        run.act();
    }
    run.quiet();
    run.judge.tell(&mut run.played);
    run.played.given = std::mem::take(&mut run.world.given);
    run.played
}

impl Run {
    fn act(&mut self) {
        match self.random.below(100) {
            0..35 => self.round(),
            35..60 => {
                let keys = self.checks();
                let key = self.random.pick(&keys).clone();
                for _ in 0..=self.random.below(4) {
                    self.sample(key.clone());
                }
            }
            60..75 => self.break_or_mend(),
            75..88 => self.command(),
            88..93 => self.reload(),
            93..96 => self.restart(),
            96..98 => self.set_clock(),
            _ => {}
        }
        // Often so short that several events fall into one flush.
        let wait = *self.random.pick(&[0, 1, 5, 19, 20, 25, 250, 5_000, 20_000]);
        self.wait(Duration::from_millis(wait));
    }

    fn checks(&self) -> Vec<CheckKey> {
        self.world.load.config.checks().into_iter().map(|check| check.key).collect()
    }

    fn step(&mut self, event: Event) {
        let before = Before::of(&self.world, &event);
        let effects = self.world.step(event);
        self.after(&before, effects);
    }

    fn wait(&mut self, wait: Duration) {
        let to = self.world.now + wait;
        // One wake at a time: the judge looks at each moment at which something can change.
        while self.world.now < to {
            let until = self.world.wake.map_or(to, |at| at.clamp(self.world.now, to));
            let before = Before::of(&self.world, &Event::Tick);
            let effects = self.world.advance(until);
            self.after(&before, effects);
        }
    }

    fn after(&mut self, before: &Before, effects: Vec<Effect>) {
        self.judge.after(&mut self.random, &self.world, before, &effects);
        self.played.effects.extend(effects);
    }

    /// The host's clock is set: that decides nothing, and changes no answer.
    fn set_clock(&mut self) {
        let steps = [1, 150, 2_000, 3 * 3_600_000, 10 * 365 * 86_400_000];
        let step = *self.random.pick(&steps) * if self.random.chance(50) { -1 } else { 1 };
        let offset = Offset(self.world.engine.offset().0 + step);
        let without = self.world.engine.clone().step(self.world.now, Event::Tick);
        let from = self.played.effects.len();
        self.step(Event::Clock(offset));
        let with = &self.played.effects[from..];
        let moved = |effects: &[Effect]| {
            let moves = effects.iter().filter(|effect| match effect {
                Effect::Publish(_) | Effect::Pace(..) => true,
                Effect::Record(what) => matches!(what, Happened::Decision(_) | Happened::Expired(_)),
                _ => false,
            });
            format!("{:?}", moves.collect::<Vec<_>>())
        };
        assert_eq!(moved(with), moved(&without), "the clock was set by {step} ms");
        let told = with
            .iter()
            .filter(|e| matches!(e, Effect::Record(Happened::ClockSet { by_ms }) if *by_ms == step));
        assert_eq!(told.count(), usize::from(step.abs() >= 2_000), "a step is told once");
        self.played.clock_sets += 1;
    }

    /// One sample of each check.
    fn round(&mut self) {
        for key in self.checks() {
            self.sample(key);
        }
    }

    fn sample(&mut self, check: CheckKey) {
        let outcome = match self.dead.contains(&check) {
            _ if self.random.chance(5) => Outcome::Discarded(Discard::Stalled(Duration::from_secs(1))),
            dead if dead != self.random.chance(5) => Outcome::Failed(Failure::Refused),
            _ => Outcome::Ok,
        };
        self.sample_as(check, outcome);
    }

    fn sample_as(&mut self, check: CheckKey, outcome: Outcome) {
        let (vantage, at, latency) = (Vantage::local(), self.world.now, Duration::ZERO);
        self.step(Event::Sample(Sample { check, vantage, at, latency, outcome, detail: Detail::default() }));
    }

    /// A whole site or one check of it dies or comes back.
    fn break_or_mend(&mut self) {
        let keys = self.checks();
        let whereto = self.random.pick(&keys).clone();
        let whole = self.random.chance(60);
        let dies = self.random.chance(55);
        for key in keys
            .into_iter()
            .filter(|key| if whole { key.whereto == whereto.whereto } else { *key == whereto })
        {
            if dies {
                self.dead.insert(key)
            } else {
                self.dead.remove(&key)
            };
        }
    }

    fn command(&mut self) {
        let site = (*self.random.pick(&SITES)).into();
        let service: Name = self.random.pick(&SERVICES).parse().expect("a name");
        let scope = match self.random.below(3) {
            0 => Scope::Site(site),
            1 => Scope::Service(service.clone()),
            _ => Scope::Endpoint(service.clone(), site),
        };
        let action = match self.random.below(10) {
            0..4 => {
                let kinds = [OverrideKind::Drain, OverrideKind::ForceUp, OverrideKind::ForceDown];
                let until = self.world.now + Duration::from_secs(1 + self.random.below(30) as u64);
                let until = self.random.chance(60).then_some(until);
                // Safety rules are never to be broken; all else an operator may order.
                let force = self.kind != Kind::Moving;
                Action::Override { scope, kind: *self.random.pick(&kinds), until, force }
            }
            4..6 => match self.world.status().overrides.first() {
                Some(forced) => Action::Clear { scope: forced.scope.clone() },
                None => Action::Clear { scope },
            },
            6..8 => Action::Failover { service, to: (*self.random.pick(&SITES)).into() },
            8 if self.kind == Kind::Moving => match self.world.status().proposals.first() {
                Some(held) if self.random.chance(30) => Action::Reject { proposal: held.id },
                Some(held) if self.random.chance(50) => {
                    Action::Approve { proposal: Some(held.id), force: true }
                }
                _ => Action::Approve { proposal: None, force: true },
            },
            _ => Action::Failback { service },
        };
        let reason = if self.random.chance(97) { "a drill" } else { "" };
        self.step(Event::Command(Command { who: "ann".to_owned(), reason: reason.to_owned(), action }));
    }

    fn reload(&mut self) {
        // Who was counted is counted on: such runs keep their services and zones.
        let what = if self.kind == Kind::Moving { 0 } else { self.random.below(5) };
        match what {
            0 => {}
            1 => {
                let zone = (*self.random.pick(&ZONES)).to_owned();
                let serial = *self.random.pick(&[0, 7, 2_000_000_000, 4_000_000_000, u32::MAX]);
                self.setup.zones.insert(zone, serial);
            }
            2 => {
                let ttl = self.random.below(100) as u32;
                let value = "192.0.2.201".to_owned();
                self.setup.file = vec![(SERVICES[0].to_owned(), "A".to_owned(), value, ttl)];
            }
            3 if self.setup.services.len() > 1 => {
                let names: Vec<String> = self.setup.services.keys().cloned().collect();
                let name = self.random.pick(&names).clone();
                self.setup.services.remove(&name);
                // Its zone may go with it.
                if self.random.chance(50) && self.setup.services.keys().all(|name| !name.contains(".sub.")) {
                    self.setup.zones.remove("sub.example.com");
                }
            }
            _ => {
                let template = self.setup.services.values().next().expect("a service").clone();
                let spec = change_service(self.kind, &mut self.random, &template);
                if self.random.chance(50) {
                    self.setup.near = near(&mut self.random);
                }
                let name = (*self.random.pick(&SERVICES)).to_owned();
                self.setup.services.insert(name, spec);
            }
        }
        self.step(Event::Load(load(&self.setup).expect("a load")));
    }

    fn restart(&mut self) {
        self.played.restarts += 1;
        let settled = self.random.chance(70);
        if settled {
            self.wait(COALESCE);
        }
        let zones = self.world.zones.clone();
        let before = Before::of(&self.world, &Event::Load(self.world.load.clone()));
        self.judge.agreement.restarted(self.world.now);
        let effects = self.world.restart();
        if settled {
            assert_eq!(self.world.zones, zones, "a restart changes no answer");
        }
        self.after(&before, effects);
    }

    /// Everything stays as it is and every probe tells the truth: answers settle, and on the right sites.
    fn quiet(&mut self) {
        let rounds = if self.kind == Kind::Plain { QUIET_ROUNDS } else { QUIET_ROUNDS_MOVING };
        for _ in 0..rounds {
            self.truth();
        }
        assert!(self.world.engine.first_round_done(), "every service is decided");
        Agreement::check_settled(&self.world);
        if self.kind != Kind::Moving {
            check_settled(&self.world, &self.dead);
        }
        let zones = self.world.zones.clone();
        for _ in 0..3 {
            let before = self.played.effects.len();
            self.truth();
            let effects = &self.played.effects[before..];
            assert_eq!(decisions(effects).next(), None, "decisions settle");
            let saves = effects.iter().filter(|effect| matches!(effect, Effect::Save(_)));
            assert_eq!(saves.count(), 0, "steady samples save nothing");
        }
        assert_eq!(self.world.zones, zones, "answers settle");
    }

    fn truth(&mut self) {
        for key in self.checks() {
            let dead = self.dead.contains(&key);
            self.sample_as(key, if dead { Outcome::Failed(Failure::Refused) } else { Outcome::Ok });
        }
        self.wait(QUIET_ROUND);
    }
}
