//! What the engine says is wrong, as things go wrong and are mended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use detour::condition::{ConditionKind, Summary};
use detour::engine::{Action, Command, Effect, Engine, Event, Happened, Load};
use detour::health::{Detail, Discard, Failure, Outcome, Sample, Vantage};
use detour::time::Time;

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
[[service]]
name = "app.example.com"
probes = ["web"]
failback = { mode = "manual" }
failover = { mode = "MODE" }
endpoints = [{ site = "fra", addresses = ["192.0.2.1"] }, { site = "iad", addresses = ["198.51.100.1"] }]
"#;
const ZONE: &str = "$TTL 60\n@ SOA ns hostmaster 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.53\n";
const FRA: &str = "web@192.0.2.1";
const IAD: &str = "web@198.51.100.1";
const APP: &str = "app.example.com";

fn load(mode: &str) -> Load {
    load_of(&CONFIG.replace("MODE", mode))
}

fn load_of(config: &str) -> Load {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("detour.toml");
    std::fs::write(&path, config).expect("written");
    std::fs::write(folder.path().join("example.com.zone"), ZONE).expect("written");
    let loaded = detour::config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    Load::of(Arc::new(loaded.config), &loaded.zones, BTreeMap::new())
}

struct World {
    engine: Engine,
    load: Load,
    now: Time,
    told: Vec<Happened>,
    wake: Option<Time>,
}

impl World {
    fn new(mode: &str) -> World {
        World::of(load(mode))
    }

    fn of(load: Load) -> World {
        let engine = Engine::new(1, Vec::new());
        let mut world =
            World { engine, load: load.clone(), now: Time(1_000_000), told: Vec::new(), wake: None };
        world.step(Event::Load(load));
        world
    }

    fn step(&mut self, event: Event) {
        for effect in self.engine.step(self.now, event) {
            match effect {
                Effect::Record(what) => self.told.push(what),
                Effect::Refused(why) => panic!("{why}"),
                Effect::Wake(at) => self.wake = Some(at),
                _ => {}
            }
        }
    }

    /// So many seconds, in each of which every check runs and comes to what is said of its place.
    fn run(&mut self, secs: u32, outcome: impl Fn(&str) -> Outcome) {
        for _ in 0..secs {
            self.now = self.now + Duration::from_secs(1);
            self.step(Event::Tick);
            for check in self.load.config.checks() {
                let outcome = outcome(&check.key.to_string());
                let (vantage, at, latency) = (Vantage::local(), self.now, Duration::ZERO);
                let detail = Detail::default();
                self.step(Event::Sample(Sample { check: check.key, vantage, at, latency, outcome, detail }));
            }
            self.now = self.now + Duration::from_millis(100);
            self.step(Event::Tick);
        }
    }

    fn dead(&mut self, dead: &[&str]) {
        self.run(10, |place| {
            let fails = dead.iter().any(|dead| place.starts_with(dead));
            if fails { Outcome::Failed(Failure::Refused) } else { Outcome::Ok }
        });
    }

    /// The kinds there are, the worst first.
    fn wrong(&self) -> Vec<ConditionKind> {
        self.engine.conditions().iter().map(|condition| condition.kind).collect()
    }

    fn text(&self) -> String {
        self.engine.conditions().iter().next().expect("something is wrong").text.clone()
    }
}

#[test]
fn nothing_is_wrong_while_all_is_well() {
    let mut world = World::new("auto");
    world.dead(&[]);
    assert_eq!(world.wrong(), []);
    world.dead(&[FRA]);
    assert_eq!(world.wrong(), [ConditionKind::NoStandby], "clients are served, and nobody could take over");
    assert!(!Summary::of(world.engine.conditions()).is_degraded());
    world.dead(&[]);
    assert_eq!(world.wrong(), []);
}

#[test]
fn a_move_that_waits_leaves_clients_at_a_dead_site_until_it_is_approved() {
    let mut world = World::new("approve");
    world.dead(&[]);
    world.dead(&[FRA]);
    assert_eq!(world.wrong(), [ConditionKind::DeadSite]);
    let since = world.engine.conditions().iter().next().expect("one").since;
    let says = "app.example.com is answered from fra, which is Down (3 of 3 failed, connection refused); \
                the move to iad is pending approval; run `detour approve ";
    assert!(world.text().starts_with(says), "{}", world.text());
    assert!(Summary::of(world.engine.conditions()).is_degraded());
    world.dead(&[FRA]);
    let still = world.engine.conditions().iter().next().expect("one").since;
    assert_eq!(still, since, "it goes on");
    let (who, reason) = ("ana".to_owned(), "the site is gone".to_owned());
    world.step(Event::Command(Command {
        who,
        reason,
        action: Action::Approve { proposal: None, force: false },
    }));
    assert!(!world.engine.conditions().has(ConditionKind::DeadSite, APP));
}

/// Both families at both sites.
fn dual(mode: &str, more: &str) -> Load {
    let config = CONFIG.replace("MODE", mode).replace("\"192.0.2.1\"", "\"192.0.2.1\", \"2001:db8:1::1\"");
    let config = config.replace("\"198.51.100.1\"", "\"198.51.100.1\", \"2001:db8:2::1\"");
    load_of(&config.replace("probes = [\"web\"]", &format!("probes = [\"web\"]\n{more}")))
}

const FRA_V6: &str = "web@2001:db8:1::1";
const IAD_V6: &str = "web@2001:db8:2::1";

#[test]
fn a_family_whose_move_waits_is_answered_from_a_dead_site() {
    for (mode, next) in
        [("approve", "the move to iad is pending approval"), ("auto\", delay = \"1h", "it moves to iad at")]
    {
        let mut world = World::of(dual(mode, ""));
        world.dead(&[]);
        assert_eq!(world.wrong(), []);
        world.dead(&[FRA_V6]);
        assert_eq!(world.wrong(), [ConditionKind::DeadSite], "{mode}");
        let says = "AAAA of app.example.com is answered from fra, where AAAA is Down (3 of 3 failed, connection refused); ";
        assert!(world.text().starts_with(&format!("{says}{next}")), "{}", world.text());
        world.dead(&[]);
        assert_eq!(world.wrong(), [], "{mode}");
    }
}

#[test]
fn a_family_that_is_withheld_while_both_move_together_is_told() {
    let mut world = World::of(dual("auto", "families = \"together\""));
    world.dead(&[]);
    world.dead(&[IAD_V6]);
    assert!(!world.engine.conditions().has(ConditionKind::FamilyDown, APP), "{:?}", world.wrong());
    world.dead(&[IAD_V6, FRA]);
    assert!(world.engine.conditions().has(ConditionKind::FamilyDown, APP), "{:?}", world.wrong());
    let says = "A of app.example.com is not answered from fra: 192.0.2.1 is Down (3 of 3 failed, connection refused)";
    assert_eq!(world.text(), says);
    world.dead(&[IAD_V6]);
    assert!(!world.engine.conditions().has(ConditionKind::FamilyDown, APP), "{:?}", world.wrong());
}

#[test]
fn what_was_wrong_before_a_restart_has_been_so_since_then() {
    let mut world = World::new("auto");
    world.dead(&[]);
    world.dead(&[FRA, IAD]);
    let since = |world: &World| {
        let found = world.engine.conditions().iter().find(|it| it.kind == ConditionKind::AllDown);
        found.map(|condition| condition.since)
    };
    let before = since(&world).expect("it is told");
    world.now = world.now + Duration::from_secs(60);
    world.engine = Engine::new(1, world.engine.saved());
    world.step(Event::Load(world.load.clone()));
    assert_eq!(since(&world), Some(before));
}

#[test]
fn nothing_works_and_one_site_is_in_maintenance() {
    let config = CONFIG.replace("MODE", "auto");
    let window =
        "[[maintenance]]\nsite = \"fra\"\nschedule = \"17 0 * * *\"\nzone = \"UTC\"\nduration = \"2h\"\n";
    let mut world = World::of(load_of(&config.replace("[[zone]]", &format!("{window}[[zone]]"))));
    world.dead(&[]);
    world.dead(&[]);
    world.dead(&[FRA]);
    assert!(
        !world.engine.conditions().has(ConditionKind::AllDown, APP),
        "iad could take over: {:?}",
        world.wrong()
    );
    world.dead(&[FRA, IAD]);
    assert!(world.engine.conditions().has(ConditionKind::AllDown, APP), "{:?}", world.wrong());
    assert!(
        world.text().contains("fra Down: 3 of 3 failed, connection refused (in maintenance"),
        "{}",
        world.text()
    );
}

#[test]
fn nothing_works_and_then_it_does() {
    let mut world = World::new("auto");
    world.dead(&[]);
    world.dead(&[FRA, IAD]);
    assert!(world.engine.conditions().has(ConditionKind::AllDown, APP), "{:?}", world.wrong());
    assert!(
        world.text().contains("fra Down: 3 of 3 failed, connection refused; iad Down"),
        "{}",
        world.text()
    );
    world.dead(&[]);
    assert_eq!(world.wrong(), []);
}

#[test]
fn a_check_that_cannot_run_is_told_with_what_its_runs_come_to() {
    let mut world = World::new("auto");
    let no_rights = || Outcome::Discarded(Discard::Local("no rights to open a raw socket".to_owned()));
    world.run(12, |place| if place.starts_with(IAD) { no_rights() } else { Outcome::Ok });
    assert!(!world.wrong().contains(&ConditionKind::CheckCannotRun), "not yet");
    world.run(4, |place| if place.starts_with(IAD) { no_rights() } else { Outcome::Ok });
    let found: Vec<_> = world.engine.conditions().iter().cloned().collect();
    let one = found.iter().find(|it| it.kind == ConditionKind::CheckCannotRun).expect("it is told");
    assert!(one.subject.starts_with(IAD) && one.text.contains("no rights to open a raw socket"), "{one:?}");
    let turns = |world: &World| {
        let turns = world.told.iter().filter_map(|what| match what {
            Happened::Condition(turn) => Some(turn.over),
            _ => None,
        });
        turns.collect::<Vec<_>>()
    };
    assert_eq!(turns(&world), [false], "and recorded once");
    world.dead(&[]);
    assert_eq!((world.wrong(), turns(&world)), (vec![], vec![false, true]));
}

/// A process that stood still hears of nothing, whenever it goes on: before what is due, at that very moment or after.
#[test]
fn a_process_that_stood_still_takes_no_check_for_silent() {
    for late in [-200, 0, 1, 19, 140, 60_000_i64] {
        let silent = |world: &World| world.engine.conditions().count(ConditionKind::CheckSilent);
        let mut world = World::new("auto");
        world.dead(&[]);
        // Three intervals without a result, to the millisecond, in which it stood still but for the first 300 ms.
        let last = world.now - Duration::from_millis(100);
        let patience = Duration::from_secs(15);
        let went_on = Time((last + patience).0.saturating_add_signed(late));
        let stood = went_on.since(last + Duration::from_millis(300));
        world.now = went_on;
        world.step(Event::Stalled(stood));
        world.step(Event::Tick);
        assert_eq!(silent(&world), 0, "{late} ms after");
        // What is due then comes when it would have come.
        while world.wake.is_some_and(|at| at <= last + stood + patience) {
            world.now = world.wake.take().expect("a wake").max(world.now);
            world.step(Event::Tick);
            assert_eq!(silent(&world), 0, "{late} ms after, at {}", world.now);
        }
        world.now = last + stood + patience + Duration::from_millis(60);
        world.step(Event::Tick);
        assert_eq!(silent(&world), 2, "{late} ms after, nothing came after all");
        // What is silent stays so: nobody has seen it work.
        world.now = world.now + patience;
        world.step(Event::Stalled(patience));
        world.step(Event::Tick);
        assert_eq!(silent(&world), 2, "{late} ms after");
    }
}

#[test]
fn what_is_configured_no_more_is_wrong_no_more() {
    let mut world = World::new("auto");
    world.dead(&[]);
    world.dead(&[FRA, IAD]);
    let mut load = world.load.clone();
    let mut config = (*load.config).clone();
    config.services.clear();
    load.config = Arc::new(config);
    world.step(Event::Load(load));
    assert_eq!(world.wrong(), []);
    let over = |what: &Happened| matches!(what, Happened::Condition(turn) if turn.over);
    assert!(world.told.iter().any(over), "alerts of it end too");
}

/// Two services that share both sites, each with a load of 80.
fn loaded(capacity: u32) -> Load {
    let config = CONFIG.replace("MODE", "auto");
    let config = config.replace("[sites.iad]", &format!("[sites.iad]\ncapacity = {capacity}"));
    let (head, service) = config.split_at(config.find("[[service]]").expect("a service"));
    let service = format!("{service}load = 80\n");
    let other = service.replace("app.", "api.").replace("\"fra\"", "\"x\"").replace("\"iad\"", "\"fra\"");
    let other = other.replace("\"x\"", "\"iad\"").replace("192.0.2.1", "198.51.100.2");
    load_of(&format!("{head}{service}{}", other.replace("198.51.100.1\"", "192.0.2.2\"")))
}

#[test]
fn a_site_that_carries_more_than_its_capacity_is_told_until_it_does_not() {
    let mut world = World::of(loaded(100));
    world.dead(&[]);
    assert_eq!(world.wrong(), [], "each site carries one of them");
    world.dead(&["web@192.0.2."]);
    assert!(world.wrong().contains(&ConditionKind::OverCapacity), "{:?}", world.wrong());
    let over = world.engine.conditions().iter().find(|it| it.kind == ConditionKind::OverCapacity);
    let text = "site iad carries a load of 160, and its capacity is 100";
    assert_eq!(over.map(|it| (&*it.subject, &*it.text)), Some(("iad", text)));
    assert!(!Summary::of(world.engine.conditions()).is_degraded(), "clients are served");
    let told = |world: &World| {
        let turns = world.told.iter().filter_map(|what| match what {
            Happened::Condition(turn) if turn.condition.kind == ConditionKind::OverCapacity => {
                Some(turn.over)
            }
            _ => None,
        });
        turns.collect::<Vec<bool>>()
    };
    assert_eq!(told(&world), [false], "once");
    // A load that gives it more room ends it.
    world.load = loaded(160);
    world.step(Event::Load(world.load.clone()));
    assert!(!world.wrong().contains(&ConditionKind::OverCapacity), "{:?}", world.wrong());
    assert_eq!(told(&world), [false, true]);
}

#[test]
fn a_family_that_no_endpoint_works_for_is_told_beside_a_service_that_works() {
    let config = CONFIG.replace("MODE", "auto");
    let config = config.replace("\"192.0.2.1\"", "\"192.0.2.1\", \"2001:db8:1::1\"");
    let mut world =
        World::of(load_of(&config.replace("\"198.51.100.1\"", "\"198.51.100.1\", \"2001:db8:2::1\"")));
    world.dead(&[]);
    assert_eq!(world.wrong(), []);
    world.dead(&["web@2001:", "web@[2001:"]);
    assert!(world.engine.conditions().has(ConditionKind::FamilyDown, APP), "{:?}", world.wrong());
    assert!(world.text().contains("AAAA of app.example.com has no endpoint that works"), "{}", world.text());
    assert!(Summary::of(world.engine.conditions()).is_degraded(), "clients with IPv6 alone have no service");
    world.dead(&[]);
    world.dead(&[]);
    assert!(!world.engine.conditions().has(ConditionKind::FamilyDown, APP), "{:?}", world.wrong());
}
