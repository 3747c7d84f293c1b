//! Stories of a real engine whose sites fail and recover, and what they come to as incidents.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::engine::{Action, Command, Effect, Engine, Event, Happened, Load};
use crate::health::{Detail, Failure, Outcome, Sample, Vantage};
use crate::policy::{OverrideKind, Scope};
use crate::state::Entry;

const CONFIG: &str = r#"
[sites.fra]
[sites.iad]
[sites.ams]
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
"#;
const ZONE: &str = "$TTL 60\n@ SOA ns hostmaster 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.53\n";
const FRA: &str = "192.0.2.";
const IAD: &str = "198.51.100.";

/// A service at both sites, with addresses of its own.
fn service(name: &str, last: u8, more: &str) -> String {
    format!(
        "[[service]]\nname = \"{name}.example.com\"\nprobes = [\"web\"]\nttl = \"30s\"\nttl_suspect = \"5s\"\nrto = \"60s\"\n\
         {more}\nendpoints = [{{ site = \"fra\", addresses = [\"{FRA}{last}\"] }}, \
         {{ site = \"iad\", addresses = [\"{IAD}{last}\"] }}]\n"
    )
}

const HOLD: &str = "failback = { mode = \"auto\", hold = \"10s\" }";

fn load(services: &str) -> Load {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("detour.toml");
    std::fs::write(&path, format!("{CONFIG}{services}")).unwrap();
    std::fs::write(folder.path().join("example.com.zone"), ZONE).unwrap();
    let loaded = crate::config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    Load::of(Arc::new(loaded.config), &loaded.zones, BTreeMap::new())
}

/// An engine, the time, and what its history holds.
struct World {
    engine: Engine,
    load: Load,
    now: Time,
    wake: Option<Time>,
    entries: Vec<Entry>,
}

impl World {
    fn new(services: &str) -> World {
        let (engine, load, now) = (Engine::new(1, Vec::new()), load(services), Time(1_000_000));
        let mut world = World { engine, load: load.clone(), now, wake: None, entries: Vec::new() };
        world.note(Happened::Started { fresh: true });
        world.step(Event::Load(load));
        world.run(5, &[]);
        world
    }

    fn note(&mut self, what: Happened) {
        self.entries.push(Entry { seq: self.entries.len() as u64, at: self.now, what });
    }

    fn step(&mut self, event: Event) {
        for effect in self.engine.step(self.now, event) {
            match effect {
                Effect::Wake(at) => self.wake = Some(at),
                Effect::Record(Happened::Sample(_)) => {}
                Effect::Record(what) => self.note(what),
                Effect::Refused(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    fn pass(&mut self, to: Time) {
        while let Some(at) = self.wake.filter(|&at| at <= to) {
            (self.now, self.wake) = (self.now.max(at), None);
            self.step(Event::Tick);
        }
        self.now = to;
    }

    /// So many seconds, in each of which every check runs; places that begin with one of `dead` fail.
    fn run(&mut self, secs: u32, dead: &[&str]) {
        for _ in 0..secs {
            let to = self.now + Duration::from_secs(1);
            self.pass(to);
            for check in self.load.config.checks() {
                let place = check.key.to_string();
                let fails = dead.iter().any(|dead| place.contains(&format!("@{dead}")));
                let outcome = if fails { Outcome::Failed(Failure::Refused) } else { Outcome::Ok };
                let (vantage, latency) = (Vantage::local(), Duration::from_millis(2));
                let (at, detail) = (self.now, Detail::default());
                self.step(Event::Sample(Sample { check: check.key, vantage, at, latency, outcome, detail }));
            }
        }
    }

    fn command(&mut self, action: Action, reason: &str) {
        let (who, reason) = ("ana@ops1".to_owned(), reason.to_owned());
        self.step(Event::Command(Command { who, reason, action }));
    }

    fn incidents(&self) -> Vec<Incident> {
        Incidents::of(&self.entries, self.now)
    }

    /// The only one.
    fn incident(&self) -> Incident {
        let mut all = self.incidents();
        assert_eq!(all.len(), 1, "{all:#?}\n{}", told(&self.entries));
        all.remove(0)
    }
}

fn told(entries: &[Entry]) -> String {
    entries.iter().fold(String::new(), |mut out, entry| {
        let _ = writeln!(out, "{entry}");
        out
    })
}

/// The kinds of its lines, each row of the same once.
fn kinds(incident: &Incident) -> Vec<What> {
    let mut kinds: Vec<What> = incident.timeline.iter().map(|line| line.what).collect();
    kinds.dedup();
    kinds
}

fn names(incident: &Incident) -> Vec<String> {
    incident.services.iter().map(ToString::to_string).collect()
}

#[test]
fn a_site_that_dies_with_three_services_is_one_incident_until_the_last_old_ttl_has_ended() {
    let services = ["api", "app", "www"].into_iter().zip(10..).map(|(name, last)| service(name, last, HOLD));
    let mut world = World::new(&services.collect::<String>());
    assert_eq!(world.incidents(), [], "all is well");
    let died = world.now + Duration::from_secs(1);
    world.run(1, &[FRA]);
    assert_eq!(world.incidents(), [], "one failure is none yet");
    world.run(3, &[FRA]);

    let open = world.incident();
    assert!(open.is_open());
    assert_eq!(open.began, died - Duration::from_millis(2), "the first failed run began then");
    assert_eq!((open.sites.clone(), open.services_total), (vec!["fra".into()], 3));
    assert_eq!(names(&open), ["api.example.com.", "app.example.com.", "www.example.com."]);
    assert_eq!(open.moves.len(), 3);
    assert!(open.moves.iter().all(|made| made.way == Way::Away && made.to == ["iad".into()]));
    assert_eq!(open.causes.len(), 3);
    assert!(open.causes.iter().all(|cause| cause.why == "connection refused" && cause.falls == 1));
    assert_eq!(open.waiting.len(), 3);
    assert!(open.waiting.iter().all(|waiting| waiting.for_what == For::Recovery));

    world.run(60, &[FRA]);
    world.run(15, &[]);
    let back = world.incident();
    assert!(back.is_open(), "clients may hold iad's answer for its TTL: {:?}", back.clear);
    assert_eq!(back.waiting, []);
    world.run(30, &[]);
    let over = world.incident();
    assert_eq!(over.ended, over.clear);
    assert_eq!(over.moves.len(), 6);
    assert_eq!(
        kinds(&over),
        [
            What::FirstFailed,
            What::Suspect,
            What::Answer,
            What::Down,
            What::Decided,
            What::Published,
            What::OldTtlGone,
            What::Recovered,
            What::Waiting,
            What::Failback,
            What::Published,
            What::OldTtlGone,
        ]
    );
    let decided = over.timeline.iter().find(|line| line.what == What::Decided).unwrap();
    assert_eq!(decided.count, 3);
    assert!(
        decided
            .text
            .starts_with("api.example.com, app.example.com and www.example.com move from fra to iad: "),
        "{decided:?}"
    );
    assert!(
        over.summary.starts_with("fra failed (connection refused): 3 services moved to iad within 2s; over")
    );

    let phases = over.phases.unwrap();
    let near = |got: f64, want: f64| assert!((got - want).abs() < 0.05, "{got} is not {want}: {phases:?}");
    near(phases.detect, 2.0);
    near(phases.decide, 0.02);
    near(phases.publish, 0.0);
    // The answers before the first failure had 30 s, and were last given 2 s before the move.
    near(phases.ttl, 28.0);
    near(phases.total, 30.0);
    assert_eq!((phases.rto, phases.kept), (Some(60.0), Some(true)));

    let app: Vec<_> = over.served.iter().filter(|s| s.service.to_string() == "app.example.com.").collect();
    let answers: Vec<_> = app.iter().map(|s| (s.answer[0].as_str(), s.ttl, s.to.is_some())).collect();
    let (fra, iad) = ("A 192.0.2.11", "A 198.51.100.11");
    assert_eq!(answers, [(fra, 30, true), (fra, 5, true), (iad, 30, true), (fra, 30, false)]);
}

#[test]
fn a_blip_is_no_incident_and_one_that_falls_again_at_once_is_the_same() {
    let mut world = World::new(&service("app", 10, HOLD));
    world.run(2, &[FRA]);
    world.run(60, &[]);
    assert_eq!(world.incidents(), [], "it was never Down:\n{}", told(&world.entries));
    for _ in 0..3 {
        world.run(5, &[FRA]);
        world.run(30, &[]);
    }
    // Damping holds it Down for a minute after so many changes.
    world.run(120, &[]);
    let flapped = world.incident();
    let ways: Vec<_> = flapped.moves.iter().map(|made| made.way).collect();
    assert_eq!(flapped.causes[0].falls, 3);
    assert_eq!(ways, [[Way::Away, Way::Back]; 3].as_flattened(), "{}", told(&world.entries));

    // Much later the same is another one.
    world.run(900, &[]);
    world.run(5, &[FRA]);
    let two = world.incidents();
    assert_eq!(two.len(), 2);
    assert!(two[0].id > two[1].id && two[0].is_open() && !two[1].is_open(), "the newest first");
    assert_eq!(two[1].id, flapped.id, "it keeps its id");
}

#[test]
fn a_drain_is_no_incident_and_a_failover_during_one_is_in_its_timeline() {
    let mut world = World::new(&service("app", 10, HOLD));
    let drain = Action::Override {
        scope: Scope::Site("fra".into()),
        kind: OverrideKind::Drain,
        until: None,
        force: false,
    };
    world.command(drain, "new routers");
    world.run(30, &[]);
    world.command(Action::Clear { scope: Scope::Site("fra".into()) }, "done");
    world.run(60, &[]);
    assert_eq!(world.incidents(), [], "{}", told(&world.entries));

    world.run(1, &[FRA]);
    let name: Name = "app.example.com".parse().unwrap();
    world.command(Action::Failover { service: name.clone(), to: "iad".into() }, "fra looks bad");
    world.run(10, &[FRA]);
    world.run(60, &[]);
    let open = world.incident();
    let command = open.timeline.iter().find(|line| line.what == What::Command).expect("it is told");
    assert_eq!(command.who.as_deref(), Some("ana@ops1"));
    assert!(command.text.contains("failover") && command.text.contains("fra looks bad"), "{command:?}");
    assert!(open.is_open(), "what an operator latched waits for an operator");
    assert_eq!(open.waiting[0].for_what, For::Failback);
    assert!(open.summary.ends_with("a service waits for `detour failback`"), "{}", open.summary);

    world.command(Action::Failback { service: name }, "fra is fine");
    world.run(31, &[]);
    let over = world.incident();
    assert!(!over.is_open());
    let back = over.moves.last().unwrap();
    assert_eq!((back.way, back.to.clone()), (Way::Back, vec!["fra".into()]));
}

#[test]
fn a_rejected_move_leaves_the_service_where_it_is_until_the_site_recovers() {
    let approval = "failover = { mode = \"approve\", wait = \"1h\", unanswered = \"stay\" }";
    let mut world = World::new(&service("app", 10, approval).replace("rto = \"60s\"\n", ""));
    world.run(5, &[FRA]);
    let waits = world.incident();
    assert_eq!(waits.waiting[0].for_what, For::Approval);
    assert!(waits.summary.ends_with("a service waits for `detour approve`"), "{}", waits.summary);
    assert_eq!(waits.phases, None, "nothing moved");
    let id = world.engine.status(world.now).proposals[0].id;
    world.command(Action::Reject { proposal: id }, "iad has no capacity");
    world.run(5, &[FRA]);
    world.run(60, &[]);
    let over = world.incident();
    let text: Vec<_> = over.timeline.iter().map(|line| (line.what, line.text.as_str())).collect();
    assert!(text.iter().any(|(what, _)| *what == What::Proposal), "{text:?}");
    assert!(
        text.iter().any(|(what, t)| *what == What::Command && t.contains("iad has no capacity")),
        "{text:?}"
    );
    assert!(!over.is_open() && over.moves.is_empty(), "{over:#?}");
    assert!(over.summary.contains("no answer moved"), "{}", over.summary);
}

#[test]
fn a_restart_in_the_middle_goes_on_with_the_same_incident() {
    let mut world = World::new(&service("app", 10, HOLD));
    world.run(10, &[FRA]);
    let before = world.incident();
    world.engine = Engine::new(1, world.engine.saved());
    world.wake = None;
    world.note(Happened::Started { fresh: false });
    let load = world.load.clone();
    world.step(Event::Load(load));
    world.run(10, &[FRA]);
    world.run(60, &[]);
    let over = world.incident();
    assert_eq!(over.id, before.id);
    assert!(!over.is_open(), "{over:#?}");
    assert!(kinds(&over).contains(&What::Started));
    assert_eq!(over.moves.len(), 2, "away and back, and nothing by the restart");
}

#[test]
fn a_standby_that_dies_meanwhile_is_part_of_it_and_one_that_dies_alone_moves_nothing() {
    let mut world = World::new(&service("app", 10, HOLD));
    world.run(5, &[IAD]);
    let alone = world.incident();
    assert_eq!((alone.sites.clone(), alone.moves.len()), (vec!["iad".into()], 0));
    world.run(400, &[]);
    world.run(5, &[FRA]);
    world.run(5, &[FRA, IAD]);
    let both = &world.incidents()[0];
    assert_eq!(both.sites, ["fra".into(), "iad".into()]);
    world.run(400, &[]);
    assert_eq!(world.incidents().len(), 2);
    assert!(world.incidents().iter().all(|incident| !incident.is_open()));
}

/// A site that leaves the configuration while it is Down never recovers; nobody waits for it.
#[test]
fn what_leaves_the_configuration_is_waited_for_no_more() {
    let mut world = World::new(&(service("app", 10, HOLD) + &service("old", 11, HOLD)));
    world.run(5, &[IAD]);
    assert!(world.incident().is_open());
    let alone = service("app", 10, HOLD).replace(", { site = \"iad\", addresses = [\"198.51.100.10\"] }", "");
    world.load = load(&alone);
    world.step(Event::Load(world.load.clone()));
    world.run(31, &[]);
    assert!(!world.incident().is_open(), "{}", told(&world.entries));
}

/// What happened to one service happens to so many of its kind, each with a check of its own.
fn multiplied(entries: &[Entry], by: u64) -> Vec<Entry> {
    let mut all = Vec::new();
    for entry in entries {
        let copies =
            if matches!(entry.what, Happened::Health { .. } | Happened::Decision(_)) { by } else { 1 };
        for copy in 0..copies {
            let name: Name = format!("s{copy}.example.com").parse().unwrap();
            let mut what = entry.what.clone();
            match &mut what {
                Happened::Health { check, of, .. } => {
                    check.host = Some(name.to_string().into());
                    if let Some(of) = of {
                        of.services = vec![name];
                    }
                }
                Happened::Decision(decision) => {
                    (decision.id, decision.service) = (decision.id * by + copy, name);
                }
                Happened::Published { decisions, .. } => {
                    *decisions =
                        decisions.iter().flat_map(|id| (0..by).map(move |copy| id * by + copy)).collect();
                }
                _ => {}
            }
            all.push(Entry { seq: all.len() as u64, at: entry.at, what });
        }
    }
    all
}

#[test]
fn ten_thousand_moves_are_a_few_lines() {
    let mut world = World::new(&service("app", 10, HOLD));
    world.run(10, &[FRA]);
    let open = Incidents::of(&multiplied(&world.entries, 10_000), world.now).remove(0);
    assert_eq!((open.services_total, open.services.len()), (10_000, MAX_NAMED));
    assert_eq!((open.moves_total, open.moves.len()), (10_000, MAX_NAMED));
    assert!(open.served.len() <= MAX_SERVED && open.timeline.len() < 10, "{:#?}", open.timeline);
    let decided = open.timeline.iter().find(|line| line.what == What::Decided).unwrap();
    assert!(decided.text.contains("and 9997 more move from fra to iad"), "{decided:?}");
    let published = open.timeline.iter().rfind(|line| line.what == What::Published).unwrap();
    assert!(published.text.ends_with("10000 moves"), "{published:?}");
}

/// What earlier versions wrote does not say whose a check is: decisions tell.
#[test]
fn entries_of_an_earlier_version_are_enough() {
    let mut world = World::new(&service("app", 10, HOLD));
    world.run(10, &[FRA]);
    world.run(60, &[]);
    for entry in &mut world.entries {
        match &mut entry.what {
            Happened::Health { of, .. } => *of = None,
            Happened::Decision(decision) => decision.rto_ms = None,
            _ => {}
        }
    }
    let over = world.incident();
    assert_eq!((over.sites.clone(), over.moves.len()), (vec!["fra".into()], 2));
    assert!(!over.is_open());
    assert_eq!(over.phases.unwrap().rto, None);
}

#[test]
fn a_summary_counts_by_site_and_takes_as_long_as_the_last_publish() {
    let elsewhere = service("www", 12, HOLD).replace("\"iad\"", "\"ams\"");
    let mut world =
        World::new(&format!("{}{}{elsewhere}", service("app", 10, HOLD), service("api", 11, HOLD)));
    world.run(10, &[FRA]);
    // The disk took its time.
    let published = |entry: &&mut Entry| matches!(entry.what, Happened::Published { .. });
    let last = world.entries.iter_mut().rev().find(published).unwrap();
    last.at = last.at + Duration::from_secs(3);
    let summary = world.incidents()[0].summary.clone();
    let says = "fra failed (connection refused): 3 services moved to iad (2) and ams (1) within 5s; ";
    assert!(summary.starts_with(says), "{summary}");
}
