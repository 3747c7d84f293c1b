//! What the engine asks of the daemon around a decision: paces, wakes, what is kept, what is shown.

use std::collections::BTreeMap;
use std::time::Duration;

use detour::dns::{Name, RrSet};
use detour::engine::{Action, Command, Effect, Engine, Event, Happened, Load, Pace, Saved, Undecided};
use detour::health::{Detail, Failure, Health, Outcome, Sample, Vantage};
use detour::model::CheckKey;
use detour::policy::{OverrideKind, Rule, Scope};
use detour::time::Time;
use detour::zone::Changeset;

use detour::simulate::scenario::{Setup, World, decisions, parse, settle, zero};

fn load(setup: &Setup) -> Load {
    detour::simulate::scenario::load(setup).expect("a load")
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn setup(text: &str) -> Setup {
    parse(text).expect("a setup").setup
}

fn one() -> World {
    World::start(zero(), load(&setup("service app.example.com failover fra iad fall 3 rise 2 interval 5s")))
}

fn check_at(world: &World, place: &str) -> CheckKey {
    let checks = world.load.config.checks();
    let check = checks.into_iter().find(|check| check.key.whereto.to_string() == place);
    check.expect("a check of this place").key
}

fn sample(world: &mut World, place: &str, ok: bool) -> Vec<Effect> {
    let outcome = if ok { Outcome::Ok } else { Outcome::Failed(Failure::Refused) };
    let (check, vantage, at) = (check_at(world, place), Vantage::local(), world.now);
    world.step(Event::Sample(Sample {
        check,
        vantage,
        at,
        latency: Duration::ZERO,
        outcome,
        detail: Detail::default(),
    }))
}

const FRA: &str = "192.0.2.10";
const IAD: &str = "198.51.100.10";

#[test]
fn a_failing_check_is_run_faster_until_it_is_certain() {
    let mut world = one();
    let mut check = |ok: bool, expect: Option<Pace>| {
        let effects = sample(&mut world, FRA, ok);
        let pace = effects.iter().find_map(|effect| match effect {
            Effect::Pace(_, pace) => Some(*pace),
            _ => None,
        });
        assert_eq!(pace, expect);
    };
    check(true, None);
    check(false, Some(Pace::Confirm));
    check(true, Some(Pace::Normal));
    check(false, Some(Pace::Confirm));
    check(false, None);
    check(false, Some(Pace::Normal)); // Down
    check(false, None);
    check(true, Some(Pace::Confirm)); // recovering
    check(true, Some(Pace::Normal)); // Up
}

#[test]
fn a_restored_suspect_is_run_faster_from_the_start() {
    let mut world = one();
    sample(&mut world, FRA, false);
    let effects = world.restart();
    let key = check_at(&world, FRA);
    assert!(effects.contains(&Effect::Pace(key, Pace::Confirm)));
}

#[test]
fn steady_samples_are_recorded_and_nothing_else() {
    let mut world = one();
    for place in [FRA, IAD] {
        sample(&mut world, place, true);
    }
    settle(&mut world);
    for ok in [true, true] {
        let effects = sample(&mut world, FRA, ok);
        assert!(matches!(effects[..], [Effect::Record(Happened::Sample(_))]), "{effects:?}");
    }
}

#[test]
fn samples_of_unknown_checks_and_commands_before_a_load_do_nothing() {
    let mut world = one();
    let mut key = check_at(&world, FRA);
    key.probe = "other".into();
    let (vantage, at, outcome) = (Vantage::local(), world.now, Outcome::Ok);
    let stray =
        Sample { check: key, vantage, at, latency: Duration::ZERO, outcome, detail: Detail::default() };
    assert_eq!(world.step(Event::Sample(stray.clone())), []);

    let mut engine = Engine::new(1, Vec::new());
    assert_eq!(engine.step(zero(), Event::Sample(stray)), []);
    let action = Action::Failback { service: name("app.example.com") };
    let command = Command { who: "ann".to_owned(), reason: "why".to_owned(), action };
    assert!(matches!(engine.step(zero(), Event::Command(command))[..], [Effect::Refused(_)]));
    assert!(!engine.first_round_done());
}

#[test]
fn the_first_round_is_done_when_every_service_is_decided() {
    let mut world = one();
    assert_eq!(world.engine.pending_first_round(), 1);
    sample(&mut world, FRA, true);
    sample(&mut world, IAD, true);
    assert_eq!(world.engine.pending_first_round(), 1);
    settle(&mut world);
    assert!(world.engine.first_round_done());
    // With what was saved there is nothing to wait for.
    world.restart();
    assert!(world.engine.first_round_done());
}

#[test]
fn an_override_that_runs_out_is_recorded() {
    let mut world = one();
    sample(&mut world, FRA, true);
    sample(&mut world, IAD, true);
    settle(&mut world);
    let until = Some(world.now + Duration::from_secs(60));
    let action =
        Action::Override { scope: Scope::Site("fra".into()), kind: OverrideKind::Drain, until, force: false };
    let command = Command { who: "ann".to_owned(), reason: "new switch".to_owned(), action };
    let effects = world.step(Event::Command(command.clone()));
    assert!(effects.contains(&Effect::Record(Happened::Command(command))));
    assert_eq!(decisions(&effects).count(), 1);
    let effects = world.advance(world.now + Duration::from_secs(60));
    let expired = effects.iter().any(|effect| matches!(effect, Effect::Record(Happened::Expired(_))));
    assert!(expired, "{effects:?}");
    assert!(effects.contains(&Effect::Save(Saved::Override(Scope::Site("fra".into()), None))));
    assert_eq!(world.status().overrides, []);
}

#[test]
fn a_dead_site_of_thousands_of_names_is_one_changeset() {
    const SERVICES: usize = 10_000;
    let mut setup = setup("service app.example.com failover fra iad");
    let spec = setup.services.remove("app.example.com").expect("the service");
    setup.services = (0..SERVICES).map(|at| (format!("app{at}.example.com"), spec.clone())).collect();
    let mut world = World::start(zero(), load(&setup));
    sample(&mut world, FRA, true);
    sample(&mut world, IAD, true);
    settle(&mut world);
    let serial = world.zones[&name("example.com")].serial;
    for _ in 0..3 {
        sample(&mut world, FRA, false);
    }
    let effects = settle(&mut world);
    let published: Vec<_> = effects
        .iter()
        .filter_map(|effect| if let Effect::Publish(changeset) = effect { Some(changeset) } else { None })
        .collect();
    assert_eq!(published.len(), 1);
    assert_eq!((published[0].remove.len(), published[0].add.len()), (SERVICES, SERVICES));
    assert_eq!(world.zones[&name("example.com")].serial, serial.next());
    assert_eq!(decisions(&effects).count(), SERVICES);
}

#[test]
fn status_and_explain_tell_the_whole_story() {
    let mut world = one();
    sample(&mut world, FRA, true);
    sample(&mut world, IAD, true);
    settle(&mut world);
    sample(&mut world, FRA, false);
    sample(&mut world, FRA, false);
    settle(&mut world);
    let app = name("app.example.com");
    let explanation = world.engine.explain(world.now, &app).expect("a service");
    let fra = &explanation.service.endpoints[0];
    assert_eq!((fra.health, fra.serving, fra.places[0].serving), (Health::Suspect, true, true));
    let check = explanation.checks.iter().find(|check| check.key.whereto.to_string() == FRA);
    let check = check.expect("the check");
    assert_eq!(check.because, "2 of 3 failed, connection refused");
    assert_eq!((check.every_ms, check.recent.len()), (250, 3));
    assert_eq!(check.recent[0].outcome, Outcome::Failed(Failure::Refused));
    assert_eq!(
        explanation.next,
        [
            "should fra be Down, iad takes over",
            "web@192.0.2.10 runs every 250ms: the next failed sample makes it Down",
        ]
    );
    assert_eq!(world.engine.explain(world.now, &name("www.example.com")), None);

    let status = world.status();
    let counts: BTreeMap<_, _> =
        status.sites.iter().map(|site| (&*site.id, (site.up, site.suspect, site.serving))).collect();
    assert_eq!(counts, BTreeMap::from([("fra", (0, 1, 1)), ("iad", (1, 0, 0)), ("sin", (0, 0, 0))]));
    assert!(status.checks.iter().all(|check| !check.stale));
    let later: Time = world.now + Duration::from_secs(16);
    assert!(world.engine.status(later).checks.iter().all(|check| check.stale));
}

/// At most so long does a start wait for a service's first round.
const WITHIN: Duration = Duration::from_secs(10);

fn started(text: &str) -> (World, Vec<Name>) {
    let undecided = Undecided { wait: Some(WITHIN), answered: Vec::new() };
    let world = World::start(zero(), Load { undecided, ..load(&setup(text)) });
    let names = world.status().services.into_iter().map(|service| service.name).collect();
    (world, names)
}

/// The names that wait from now on, or no longer do.
fn waits(effects: &[Effect]) -> Vec<(&Name, bool)> {
    let changesets = effects.iter().flat_map(|effect| match effect {
        Effect::Publish(changeset) => std::slice::from_ref(changeset),
        Effect::Rebase(changesets) => changesets,
        _ => &[],
    });
    waits_of(changesets)
}

fn waits_of<'c>(changesets: impl IntoIterator<Item = &'c Changeset>) -> Vec<(&'c Name, bool)> {
    changesets.into_iter().flat_map(|made| &made.wait).map(|(name, types)| (name, types.is_some())).collect()
}

#[test]
fn at_a_start_a_name_waits_for_its_own_checks_and_no_other_name_does() {
    let (mut world, names) =
        started("service app.example.com failover fra\nservice slow.example.com failover iad");
    assert_eq!(waits_of(&world.overlays()), [(&names[0], true), (&names[1], true)]);
    sample(&mut world, FRA, true);
    let effects = settle(&mut world);
    assert_eq!((decisions(&effects).count(), waits(&effects)), (1, vec![(&names[0], false)]));
    // What waits still does when zones are laid over anew.
    assert_eq!(waits_of(&world.overlays()), [(&names[1], true)]);
    sample(&mut world, IAD, true);
    assert_eq!(waits(&settle(&mut world)), [(&names[1], false)]);
}

#[test]
fn a_first_round_that_takes_too_long_ends_in_what_is_known() {
    let (mut world, names) = started("service app.example.com failover fra iad");
    sample(&mut world, IAD, true);
    let effects = world.advance(world.now + WITHIN - Duration::from_millis(1));
    assert_eq!((decisions(&effects).count(), waits(&effects)), (0, vec![]));
    let effects = world.advance(world.now + Duration::from_millis(1));
    let decided: Vec<_> = decisions(&effects).map(|decision| &decision.reason.rule).collect();
    assert_eq!(decided, [&Rule::InOrder], "iad is known to work, and fra is not");
    assert_eq!(waits(&effects), [(&names[0], false)]);
    assert!(world.answer(&names[0])[0].rdata[0].starts_with(&[198, 51, 100]), "{effects:#?}");
    // It is a service like any other from then on.
    assert_eq!(waits_of(&world.overlays()), []);
    sample(&mut world, FRA, true);
    settle(&mut world);
    assert!(world.engine.first_round_done());
}

#[test]
fn a_first_answer_that_is_what_the_file_holds_ends_the_wait_without_a_serial() {
    let (mut world, _) =
        started("file app.example.com A 192.0.2.10 ttl 60\nservice app.example.com failover fra ttl 60s");
    let serial = world.zones[&name("example.com")].serial;
    sample(&mut world, FRA, true);
    let effects = settle(&mut world);
    assert_eq!(waits(&effects), [(&name("app.example.com"), false)]);
    assert_eq!(world.zones[&name("example.com")].serial, serial);
}

#[test]
fn a_reload_that_steers_a_name_leaves_its_answer_until_the_first_decision() {
    let mut world = one();
    sample(&mut world, FRA, true);
    sample(&mut world, IAD, true);
    settle(&mut world);
    let more = "service app.example.com failover fra iad fall 3 rise 2 interval 5s\n\
                service new.example.com failover sin";
    let new = name("new.example.com");
    let before = RrSet::a(new.clone(), 300, [[203, 0, 113, 99].into()]);
    let undecided = Undecided { wait: None, answered: vec![before.clone()] };
    world.step(Event::Load(Load { undecided, ..load(&setup(more)) }));
    assert_eq!(world.answer(&new), [before]);
    let place = world.load.config.services.iter().find(|service| service.name == new).expect("the service");
    let place = place.endpoints[0].places()[0].to_string();
    sample(&mut world, &place, true);
    settle(&mut world);
    assert_eq!(world.status().services.iter().filter(|service| service.decision.is_none()).count(), 0);
    assert_ne!(world.answer(&new)[0].rdata[0][..], [203, 0, 113, 99]);
}
