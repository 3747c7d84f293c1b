//! What would be, and what would have been, on small stories.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::engine::{Action, Command, Effect, Engine, Event, Happened, Load};
use crate::health::{Detail, Failure, Outcome, Sample, Vantage};
use crate::model::{CheckKey, Config, Whereto};
use crate::policy::{OverrideKind, Regions, Scope};
use crate::recording::{Head, LoadNote, Moment, Note};
use crate::time::Time;
use crate::zone::ClientsId;

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
names = ["app.example.com", "www.example.com"]
probes = ["web"]
failback = { mode = "auto", hold = "60s" }
endpoints = [{ site = "fra", addresses = ["192.0.2.10"] }, { site = "iad", addresses = ["198.51.100.10"] }]
[[service]]
name = "one.example.com"
probes = ["web"]
endpoints = [{ site = "fra", addresses = ["192.0.2.11"] }]
"#;
const ZONE: &str = "$TTL 60\n@ SOA ns hostmaster 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.53\n";

fn load() -> Load {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("detour.toml");
    std::fs::write(&path, CONFIG).unwrap();
    std::fs::write(folder.path().join("example.com.zone"), ZONE).unwrap();
    let loaded = crate::config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    Load::of(Arc::new(loaded.config), &loaded.zones, std::collections::BTreeMap::new())
}

fn names(consequences: &[Consequence]) -> Vec<String> {
    consequences.iter().map(|c| c.service.to_string()).collect()
}

#[test]
fn what_is_supposed_must_be_something_that_there_is() {
    let load = load();
    let check = |supposed: Supposition| supposed.check(&load.config).map_err(|why| why.to_string());
    let of = |sites: &[&str]| Supposition {
        down: sites.iter().map(|site| (*site).into()).collect(),
        ..Supposition::default()
    };
    assert_eq!(check(of(&["fra"])), Ok(()));
    assert!(check(of(&[])).is_err_and(|why| why.contains("suppose something")));
    assert!(check(of(&["fra", "ams"])).is_err_and(|why| why.contains("there is no site \"ams\"")));
    assert!(check(of(&["fra"; MAX_SUPPOSED + 1])).is_err_and(|why| why.contains("more than 1000")));
}

/// Recordings of earlier versions do not tell which sites clients preferred: what a replay of them would say of
/// a service of policy `geo` would not be what was answered.
#[test]
fn a_recording_without_the_regions_it_needs_is_refused() {
    let text = CONFIG.replacen("[[service]]", "[geo.world]\ndefault = [\"iad\"]\n[[service]]", 1);
    let text = text.replacen("failback =", "policy = \"geo\"\ngeo = \"world\"\nfailback =", 1);
    let config = Arc::new(crate::config::recall("/etc/detour.toml".as_ref(), &text).expect("it is read"));
    let zones = load().zones;
    let regions = Regions { id: ClientsId("map".into()), orders: vec![vec![1, 0]] };
    let names = config.services.iter().map(|service| service.name.clone());
    let regions = names.map(|name| (name, Arc::new(regions.clone()))).collect();
    let load = Load { config, zones, regions, undecided: crate::engine::Undecided::default() };
    let note = LoadNote::of(&load, text.into());
    let play = |note: LoadNote| {
        let mut player = Player::new(Run::AsRecorded);
        let head = Head { at: Time(1_000), continues: false, saved: Vec::new(), load: Some(note) };
        player.take(&Moment::Begin(head.into()), &mut |_, _| ())
    };
    assert!(play(note.clone()).is_ok());
    let earlier = LoadNote { regions: Arc::new([]), ..note };
    let why = play(earlier).expect_err("nothing is known of clients").to_string();
    assert!(why.contains("which sites the clients of app.example.com."), "{why}");
}

#[test]
fn a_site_that_would_fail_moves_its_names_and_strands_those_without_another() {
    let load = load();
    let (engine, now) = healthy(&load, Time(1_000_000));
    let before = engine.status(now);
    let down = Supposition { down: vec!["fra".into()], ..Supposition::default() };
    let outlook = suppose(engine.clone(), now, &load.config, &down);
    assert_eq!(names(&outlook.moved), ["app.example.com.", "www.example.com."]);
    assert_eq!(outlook.moved[0].to, ["iad".into()]);
    assert!(outlook.moved[0].because.contains("fra Down: 3 of 3 failed"), "{:?}", outlook.moved[0]);
    assert_eq!(names(&outlook.stays), ["one.example.com."]);
    assert!(outlook.stays[0].stranded && !outlook.moved[0].stranded);
    assert_eq!(outlook.untouched, 0);
    // Suspect shortens the TTL, then they move: one changeset each for the whole zone.
    assert_eq!(outlook.changesets.values().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(engine.status(now), before, "nothing happened");

    let iad = Supposition { down: vec!["iad".into()], ..Supposition::default() };
    let outlook = suppose(engine.clone(), now, &load.config, &iad);
    assert_eq!((outlook.moved.len(), outlook.stays.len(), outlook.untouched), (0, 2, 1));

    let both = Supposition { down: vec!["fra".into(), "iad".into()], ..Supposition::default() };
    let outlook = suppose(engine.clone(), now, &load.config, &both);
    assert!(outlook.moved.iter().chain(&outlook.stays).all(|c| c.stranded), "{outlook:?}");

    let drain = Supposition { drain: vec![Scope::Site("fra".into()).into()], ..Supposition::default() };
    let outlook = suppose(engine, now, &load.config, &drain);
    assert_eq!(names(&outlook.moved), ["app.example.com.", "www.example.com."]);
    assert!(outlook.moved[0].because.contains("fra drained by whatif"), "{:?}", outlook.moved[0]);
}

#[test]
fn what_an_operator_would_order_is_supposed_as_it_would_be_given() {
    let load = load();
    let (engine, now) = healthy(&load, Time(1_000_000));
    let app: crate::dns::Name = "app.example.com".parse().expect("a name");
    let suppose =
        |engine: &Engine, supposed: Supposition| suppose(engine.clone(), now, &load.config, &supposed);
    let order = |engine: &mut Engine, action: Action| {
        let command = Command { who: "ana".into(), reason: "disk swap".into(), action };
        engine.step(now, Event::Command(command));
    };

    let failover = Supposition { failover: vec![(app.clone(), "iad".into())], ..Supposition::default() };
    let outlook = suppose(&engine, failover);
    assert_eq!(names(&outlook.moved), ["app.example.com."]);
    assert!(outlook.moved[0].latched);
    let nowhere = Supposition { failover: vec![(app.clone(), "ams".into())], ..Supposition::default() };
    assert_eq!(suppose(&engine, nowhere).refused.len(), 1);

    let mut latched = engine.clone();
    order(&mut latched, Action::Failover { service: app.clone(), to: "iad".into() });
    let back = suppose(&latched, Supposition { failback: vec![app], ..Supposition::default() });
    assert_eq!(
        (names(&back.moved), back.moved[0].to.clone()),
        (vec!["app.example.com.".into()], vec!["fra".into()])
    );

    let mut drained = engine.clone();
    let scope = Scope::Site("iad".into());
    let kind = OverrideKind::Drain;
    order(&mut drained, Action::Override { scope: scope.clone(), kind, until: None, force: false });
    let clear = Supposition { clear: vec![scope.into()], ..Supposition::default() };
    let outlook = suppose(&drained, clear.clone());
    assert_eq!((outlook.moved.len(), outlook.stays.len(), outlook.refused.len()), (0, 2, 0));
    assert_eq!(suppose(&engine, clear).refused.len(), 1, "there is nothing to clear");
    assert_eq!(suppose(&engine, Supposition { approve: vec![7], ..Supposition::default() }).refused.len(), 1);
}

#[test]
fn a_hold_that_keeps_a_name_where_it_is_is_told() {
    let load = load();
    let (mut engine, mut now) = healthy(&load, Time(1_000_000));
    let fra = "192.0.2.10".parse().unwrap();
    for _ in 0..3 {
        now = now + Duration::from_secs(1);
        engine.step(now, Event::Sample(sample(now, fra, false)));
    }
    now = now + Duration::from_secs(1);
    engine.step(now, Event::Tick);
    let up = Supposition { up: vec!["fra".into()], ..Supposition::default() };
    let outlook = suppose(engine, now, &load.config, &up);
    assert!(outlook.moved.is_empty());
    let app = &outlook.stays[0];
    assert!(app.hold_until.is_some() && app.because.contains("fra Up; iad stays until"), "{app:?}");
}

fn sample(at: Time, address: std::net::IpAddr, ok: bool) -> Sample {
    let check = CheckKey { probe: "web".into(), whereto: Whereto::Addr(address), host: None };
    let outcome = if ok { Outcome::Ok } else { Outcome::Failed(Failure::Refused) };
    let (vantage, latency, detail) = (Vantage::local(), Duration::ZERO, Detail::default());
    Sample { check, vantage, at, latency, outcome, detail }
}

/// A recording of every second, in which fra fails from and to these seconds.
fn recorded(failing: &[(u64, u64)], seconds: u64) -> Vec<Moment> {
    let head = Head { at: Time(0), continues: false, saved: Vec::new(), load: None };
    let mut moments = vec![Moment::Begin(Box::new(head))];
    for second in 0..seconds {
        let at = Time(second * 1_000);
        for (address, fra) in [("192.0.2.10", true), ("192.0.2.11", true), ("198.51.100.10", false)] {
            let fails = fra && failing.iter().any(|(from, to)| (from..to).contains(&&second));
            let sample = sample(at, address.parse().unwrap(), !fails);
            moments.push(Moment::Input(at, Box::new(Note::Sample(sample))));
        }
    }
    moments
}

fn play(moments: &[Moment], load: &Load) -> (Ledger, Truth) {
    let (mut player, mut ledger, mut truth) =
        (Player::new(Run::With(load.clone())), Ledger::default(), Truth::default());
    for moment in moments {
        let mut tell = |at, effect: &Effect| ledger.note(at, effect);
        player.take(moment, &mut tell).unwrap();
        if let Moment::Input(_, note) = moment
            && let Note::Sample(sample) = &**note
        {
            truth.note(&Effect::Record(Happened::Sample(sample.clone())));
        }
    }
    (ledger, truth)
}

fn with_fall(load: &Load, fall: u32) -> Load {
    let config: Config = Candidate { interval: 1, confirm: 1, fall }.apply(&load.config);
    Load { config: Arc::new(config), ..load.clone() }
}

#[test]
fn what_thresholds_cost_is_counted() {
    let load = load();
    // A blip of four seconds, and an outage of forty.
    let moments = recorded(&[(100, 104), (300, 340)], 500);
    let span = (Time(0), Time(u64::MAX));
    let blip = Duration::from_secs(20);
    let cost = |fall| {
        let load = with_fall(&load, fall);
        let (ledger, truth) = play(&moments, &load);
        Cost::of(&ledger, &truth, &load.config, span, blip)
    };
    let (eager, calm) = (cost(1), cost(5));
    // Two names leave fra for the blip and for the outage, and come back from both.
    assert_eq!((eager.false_failovers.len(), eager.switches), (2, 8), "{eager:?}");
    assert_eq!(eager.false_failovers[0].from, "fra".into());
    assert_eq!(eager.false_failovers[0].failed_ms, 4_000);
    assert_eq!((calm.false_failovers.len(), calm.switches), (0, 4), "{calm:?}");
    // `one` has nowhere to go: forty seconds; the two others only until it is noticed.
    assert!(eager.dead_ms >= 40_000 && calm.dead_ms > eager.dead_ms, "{eager:?} {calm:?}");
    assert!(calm.dead_ms < 40_000 + 2 * 15_000, "{calm:?}");
}

#[test]
fn a_longer_interval_takes_fewer_of_the_recorded_samples() {
    let load = load();
    let moments = recorded(&[], 120);
    let (ledger, _) = play(&moments, &load);
    assert_eq!(ledger.samples, 3 * 24, "one in five seconds");
}

#[test]
fn the_fewest_false_failovers_within_the_promise_are_advised() {
    let advice = |interval, fall, worst_ms, wrong: usize| {
        let one = FalseFailover {
            at: Time(0),
            service: "a.example.com".parse().unwrap(),
            from: "fra".into(),
            failed_ms: 1,
        };
        let cost = Cost { false_failovers: vec![one; wrong], ..Cost::default() };
        let candidate = Candidate { interval, confirm: 1, fall };
        Advice { candidate, detection_ms: worst_ms, worst_ms, cost }
    };
    let tried =
        [advice(1, 1, 30_000, 3), advice(1, 3, 40_000, 0), advice(2, 3, 55_000, 0), advice(6, 3, 90_000, 0)];
    let best = |rto| advise(&tried, Duration::from_secs(rto)).map(|best| best.candidate);
    assert_eq!(best(60), Some(tried[2].candidate), "the cheapest of those without one");
    assert_eq!(best(45), Some(tried[1].candidate));
    assert_eq!(best(35), Some(tried[0].candidate));
    assert_eq!(best(20), None);
}

#[test]
fn a_ledger_tells_what_differs() {
    let load = load();
    let moments = recorded(&[(100, 104)], 200);
    let (same, _) = play(&moments, &load);
    let (eager, _) = play(&moments, &with_fall(&load, 1));
    assert!(same.difference(&same).is_empty());
    let different = same.difference(&eager);
    assert!(different.iter().any(|(new, decided)| *new && decided.sites == ["iad".into()]), "{different:?}");
}

/// A busy host wakes an engine late, and a kill ends it between two wakes: the same configuration is woken as it was then.
#[test]
fn an_unchanged_configuration_replays_to_the_recorded_decisions_whatever_the_host_was_busy_with() {
    let load = load();
    let note = LoadNote::of(&load, CONFIG.into());
    let (mut moments, mut lateness) = (Vec::new(), (0..).map(|n: u64| n * 37 % 140));
    let input = |at: u64, note| Moment::Input(Time(at), Box::new(note));
    for run in 0..20 {
        let start = run * 20_000;
        // What was saved is left out: each run begins from nothing.
        let head = Head { at: Time(start), continues: false, saved: Vec::new(), load: None };
        moments.push(Moment::Begin(Box::new(head)));
        moments.push(input(start + 7, Note::Load(note.clone())));
        for second in 0..15 {
            let at = start + 100 + second * 1_000;
            let fails = (4..11).contains(&second);
            for (n, address) in ["192.0.2.10", "192.0.2.11", "198.51.100.10"].iter().enumerate() {
                let ok = n == 2 || !fails;
                let after = at + n as u64 * 15;
                moments.push(input(after, Note::Sample(sample(Time(at), address.parse().unwrap(), ok))));
            }
            // The wake was due 20 ms after the first of them.
            moments.push(input(at + 30 + lateness.next().unwrap_or_default(), Note::Tick));
        }
    }
    let decided = |run: Run| {
        let (mut player, mut ledger) = (Player::new(run), Ledger::default());
        for moment in &moments {
            player.take(moment, &mut |at, effect| ledger.note(at, effect)).expect("it plays");
        }
        ledger
    };
    let (recorded, replayed) = (decided(Run::AsRecorded), decided(Run::With(load.clone())));
    assert!(recorded.decisions.len() >= 20 * 4, "{}", recorded.decisions.len());
    assert_eq!(recorded.decisions, replayed.decisions);
}
