//! The host's clock is set: windows, dates and what people are shown follow it, and nothing else does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use detour::engine::{Action, Command, Effect, Engine, Event, Happened, Load, Saved};
use detour::health::{Detail, Failure, Outcome, Sample, Vantage};
use detour::policy::{OverrideKind, Scope};
use detour::time::{Offset, Time};

const CONFIG: &str = r#"
[sites.fra]
[sites.iad]
[probes.web]
type = "tcp"
port = 443
interval = "5s"
confirm = "1s"
timeout = "500ms"
fall = 3
rise = 2
[[zone]]
name = "example.com"
file = "example.com.zone"
serial = "date"
[[maintenance]]
site = "fra"
schedule = "0 3 * * *"
duration = "1h"
[[service]]
name = "app.example.com"
probes = ["web"]
failback = { mode = "manual" }
failover = { mode = "auto", delay = "30s" }
endpoints = [{ site = "fra", addresses = ["192.0.2.1"] }, { site = "iad", addresses = ["198.51.100.1"] }]
"#;
const ZONE: &str = "$TTL 60\n@ SOA ns hostmaster 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.53\n";
const FRA: &str = "web@192.0.2.1";
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const TEN_YEARS: i64 = 3_652 * 24 * HOUR;
/// 2026-11-21T01:00:00Z, two hours before the window.
const ONE: Time = Time(1_795_230_000_000 - 2 * HOUR as u64);

struct World {
    engine: Engine,
    load: Load,
    now: Time,
    told: Vec<(Time, Happened)>,
    saved: Vec<Saved>,
    wake: Option<Time>,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("detour.toml");
        std::fs::write(&path, CONFIG).expect("written");
        std::fs::write(folder.path().join("example.com.zone"), ZONE).expect("written");
        let loaded = detour::config::load(&path).unwrap_or_else(|report| panic!("{report}"));
        let load = Load::of(Arc::new(loaded.config), &loaded.zones, BTreeMap::new());
        let (engine, told) = (Engine::new(1, Vec::new()), Vec::new());
        let mut world = World { engine, load: load.clone(), now: ONE, told, saved: Vec::new(), wake: None };
        world.step(Event::Load(load));
        world
    }

    fn step(&mut self, event: Event) {
        for effect in self.engine.step(self.now, event) {
            match effect {
                Effect::Record(what) => self.told.push((self.now, what)),
                Effect::Save(saved) => self.saved.push(saved),
                Effect::Wake(at) => self.wake = Some(at),
                Effect::Refused(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    fn set_clock(&mut self, ahead_ms: i64) {
        self.step(Event::Clock(Offset(ahead_ms)));
    }

    /// To a moment, with a tick at each wake.
    fn wait(&mut self, to: Time) {
        while let Some(at) = self.wake.take_if(|at| *at <= to) {
            self.now = self.now.max(at);
            self.step(Event::Tick);
        }
        self.now = to;
    }

    /// So many seconds, in each of which every check runs.
    fn run(&mut self, secs: u32, dead: &str) {
        for _ in 0..secs {
            self.wait(self.now + Duration::from_secs(1));
            for check in self.load.config.checks() {
                let fails = !dead.is_empty() && check.key.to_string().starts_with(dead);
                let outcome = if fails { Outcome::Failed(Failure::Refused) } else { Outcome::Ok };
                let (vantage, at, latency) = (Vantage::local(), self.now, Duration::ZERO);
                let detail = Detail::default();
                self.step(Event::Sample(Sample { check: check.key, vantage, at, latency, outcome, detail }));
            }
        }
    }

    /// When the service moved, and where to.
    fn moves(&self) -> Vec<(Time, String)> {
        let mut moves: Vec<(Time, String)> = Vec::new();
        for (at, what) in &self.told {
            if let Happened::Decision(decision) = what {
                let sites = decision.sites.join(",");
                if moves.last().is_none_or(|(_, last)| *last != sites) {
                    moves.push((*at, sites));
                }
            }
        }
        moves
    }

    fn sets(&self) -> Vec<i64> {
        let set = |what: &Happened| if let Happened::ClockSet { by_ms } = what { Some(*by_ms) } else { None };
        self.told.iter().filter_map(|(_, what)| set(what)).collect()
    }

    /// From when to when, by the host's clock, where the window is open; else when it opens.
    fn window(&self) -> String {
        let shown = |at: Time| at.on_host(self.engine.offset()).to_string();
        let [window] = &self.engine.status(self.now).maintenance[..] else { panic!("one") };
        match window.until {
            Some(until) => format!("until {}", shown(until)),
            None => format!("opens {}", window.opens.map(shown).expect("some day")),
        }
    }

    fn serial(&self) -> u32 {
        self.engine.status(self.now).zones[0].serial.0
    }

    fn command(&mut self, action: Action) {
        self.step(Event::Command(Command { who: "ann".to_owned(), reason: "a drill".to_owned(), action }));
    }

    fn restart(&mut self) {
        self.engine = Engine::new(1, self.saved.clone());
        self.wake = None;
        self.step(Event::Load(self.load.clone()));
    }
}

#[test]
fn a_window_opens_by_the_hosts_clock_as_it_is_now() {
    let mut world = World::new();
    world.run(2, "");
    assert_eq!(world.window(), "opens 2026-11-21T03:00:00.000Z");
    // Three hours behind at the start, and corrected before anything else happens.
    world.set_clock(3 * HOUR);
    assert_eq!(world.window(), "opens 2026-11-22T03:00:00.000Z", "it was an hour ago");
    world.set_clock(2 * HOUR + MINUTE);
    assert_eq!(world.window(), "until 2026-11-21T04:00:00.000Z");
    world.run(60, FRA);
    assert_eq!(world.moves().len(), 1, "nothing moves in a window: {:?}", world.moves());
    // Set back: it is not three yet. What is Down has to show it again, and the delay is counted from then.
    world.set_clock(0);
    assert_eq!(world.window(), "opens 2026-11-21T03:00:00.000Z");
    world.run(2, FRA);
    assert_eq!(world.moves().len(), 1);
    world.run(60, FRA);
    assert_eq!(world.moves().last().map(|(_, to)| to.as_str()), Some("iad"));
    assert_eq!(world.sets(), [3 * HOUR, MINUTE - HOUR, -2 * HOUR - MINUTE], "each is told once");
}

#[test]
fn a_window_that_comes_is_woken_for_after_the_clock_was_set() {
    let mut world = World::new();
    world.run(2, "");
    world.set_clock(-HOUR);
    world.wait(ONE + Duration::from_secs(3 * 3600 - 1));
    assert_eq!(world.window(), "opens 2026-11-21T03:00:00.000Z");
    world.wait(ONE + Duration::from_secs(3 * 3600));
    assert_eq!(world.window(), "until 2026-11-21T04:00:00.000Z");
    world.wait(ONE + Duration::from_secs(4 * 3600));
    assert_eq!(world.window(), "opens 2026-11-22T03:00:00.000Z");
}

#[test]
fn a_delay_and_a_drain_stay_as_long_as_they_are() {
    let play = |sets: &[i64]| {
        let mut world = World::new();
        world.run(10, "");
        let until = Some(world.now + Duration::from_secs(100));
        let scope = Scope::Site("iad".into());
        world.command(Action::Override { scope, kind: OverrideKind::ForceUp, until, force: false });
        for at in 0..50 {
            world.run(1, FRA);
            if let Some(ahead) = sets.get(at) {
                world.set_clock(*ahead);
            }
        }
        world.run(60, FRA);
        let ended = world.told.iter().find(|(_, what)| matches!(what, Happened::Expired(_)));
        (world.moves(), ended.map(|(at, _)| *at), world.sets().len())
    };
    let still = play(&[]);
    assert_eq!(still.0.len(), 2, "{still:?}");
    assert!(still.1.is_some(), "{still:?}");
    let set = play(&[3 * HOUR, -3 * HOUR, TEN_YEARS, 0, -TEN_YEARS, 5, 1_000, -900, 0, MINUTE]);
    assert_eq!((&set.0, set.1), (&still.0, still.1), "a delay of 30 s is 30 s");
    assert_eq!(set.2, 7, "what is below two seconds is followed and not told");
}

#[test]
fn a_serial_that_tells_the_date_has_the_hosts_and_never_goes_back() {
    let mut world = World::new();
    world.run(2, "");
    assert_eq!(world.serial() / 100, 20_261_121);
    world.set_clock(TEN_YEARS);
    world.run(60, FRA);
    let ahead = world.serial();
    assert_eq!(ahead / 100, 20_361_120, "ten years ahead");
    world.set_clock(0);
    world.command(Action::Failover { service: "app.example.com".parse().unwrap(), to: "iad".into() });
    world.run(5, "");
    world.command(Action::Failback { service: "app.example.com".parse().unwrap() });
    world.run(5, "");
    assert_eq!(world.serial(), ahead + 1, "on from the last one");
}

#[test]
fn a_restart_goes_on_where_the_clock_was() {
    let mut world = World::new();
    world.run(2, "");
    world.set_clock(2 * HOUR + MINUTE);
    world.restart();
    assert_eq!(world.engine.offset(), Offset(2 * HOUR + MINUTE));
    assert_eq!(world.window(), "until 2026-11-21T04:00:00.000Z");
    // As the daemon says at each start.
    world.set_clock(2 * HOUR + MINUTE);
    assert_eq!(world.sets().len(), 1);
    let mut copy = Engine::new(1, world.engine.saved());
    copy.step(world.now, Event::Load(world.load.clone()));
    assert_eq!(copy.offset(), world.engine.offset(), "and so does a recording's next segment");
}
