//! What people are told of what would come, beside what then comes.

use std::time::Duration;

use detour::dns::Name;
use detour::engine::{Action, Command, Event};
use detour::health::{Detail, Failure, Outcome, Sample, Vantage};
use detour::model::CheckKey;
use detour::policy::{Scope, Target};
use detour::simulate::scenario::{World, load, parse, settle, zero};
use detour::simulate::{Outlook, Supposition, suppose};

const FRA: &str = "192.0.2.10";
const IAD: &str = "198.51.100.10";

fn world(setup: &str) -> World {
    let setup = parse(setup).expect("a setup").setup;
    let mut world = World::start(zero(), load(&setup).expect("a load"));
    sample(&mut world, FRA, true);
    sample(&mut world, IAD, true);
    settle(&mut world);
    world
}

fn sample(world: &mut World, place: &str, ok: bool) {
    let checks = world.load.config.checks();
    let keys = checks.into_iter().map(|check| check.key).filter(|key| key.whereto.to_string() == place);
    for check in keys.collect::<Vec<CheckKey>>() {
        let outcome = if ok { Outcome::Ok } else { Outcome::Failed(Failure::Refused) };
        let (vantage, at, detail) = (Vantage::local(), world.now, Detail::default());
        world.step(Event::Sample(Sample { check, vantage, at, latency: Duration::ZERO, outcome, detail }));
    }
    settle(world);
}

fn outlook(world: &World, supposition: &Supposition) -> Outlook {
    suppose(world.engine.clone(), world.now, &world.load.config, supposition)
}

fn down(site: &str) -> Supposition {
    Supposition { down: vec![site.into()], ..Supposition::default() }
}

fn app() -> Name {
    "app.example.com".parse().expect("a name")
}

#[test]
fn what_damping_holds_down_is_said_to_take_over_as_it_does() {
    let mut world =
        world("service app.example.com failover fra iad fall 1 rise 1 failback auto 0s damping 4 10m 1m 3m");
    for ok in [false, true, false, true] {
        sample(&mut world, FRA, ok);
    }
    let explanation = world.engine.explain(world.now, &app()).expect("a service");
    let told = "should iad be Down, fra takes over, although damping holds it Down";
    assert!(explanation.next.iter().any(|line| line == told), "{:?}", explanation.next);
    let outlook = outlook(&world, &down("iad"));
    assert_eq!(
        (&outlook.moved[0].to[..], outlook.moved[0].stranded),
        (&["fra".into()][..], false),
        "{outlook:?}"
    );
    sample(&mut world, IAD, false);
    assert_eq!(world.status().services[0].decision.as_ref().expect("a decision").sites, ["fra".into()]);
}

#[test]
fn a_move_to_what_is_unknown_is_foreseen() {
    let setup = parse("service app.example.com failover fra iad").expect("a setup").setup;
    let mut world = World::start(zero(), load(&setup).expect("a load"));
    sample(&mut world, FRA, true);
    let stall = Outcome::Discarded(detour::health::Discard::Stalled(Duration::from_secs(1)));
    let iad = world.load.config.checks().into_iter().find(|check| check.key.whereto.to_string() == IAD);
    let (vantage, at, detail) = (Vantage::local(), world.now, Detail::default());
    let check = iad.expect("a check").key;
    world.step(Event::Sample(Sample { check, vantage, at, latency: Duration::ZERO, outcome: stall, detail }));
    settle(&mut world);
    let explanation = world.engine.explain(world.now, &app()).expect("a service");
    let told = "should fra be Down and its next check fail too, iad takes over, which is Unknown";
    assert!(explanation.next.iter().any(|line| line == told), "{:?}", explanation.next);
    let outlook = outlook(&world, &down("fra"));
    assert_eq!(outlook.moved[0].to, ["iad".into()], "{outlook:?}");
}

#[test]
fn services_that_would_have_no_working_site_are_stranded() {
    let mut world =
        world("service app.example.com failover fra iad\nservice www.example.com failover fra iad");
    for _ in 0..3 {
        sample(&mut world, FRA, false);
    }
    let outlook = outlook(&world, &down("iad"));
    assert!(outlook.moved.is_empty());
    assert_eq!(outlook.stays.iter().filter(|one| one.stranded).count(), 2, "{outlook:?}");
}

#[test]
fn the_preview_of_an_order_is_of_that_order_alone() {
    let text = "service app.example.com failover fra iad ttl 30s approval 10m move\n\
                service www.example.com failover fra iad ttl 30s approval 10m move";
    let mut world = world(text);
    let drain = Supposition { drain: vec![Target::Word("fra".to_owned())], ..Supposition::default() };
    // Publishing and the TTL: nothing has to be detected, and nobody is waited for.
    let worst = |outlook: &Outlook| outlook.moved.iter().map(|one| one.worst_ms).collect::<Vec<_>>();
    assert_eq!(worst(&outlook(&world, &drain)), [30_100, 30_100]);
    for _ in 0..3 {
        sample(&mut world, FRA, false);
    }
    let proposals = world.status().proposals;
    assert_eq!(proposals.len(), 2);
    let of_app = proposals.iter().find(|held| held.service == app()).expect("a proposal");
    let approve = Supposition { approve: vec![of_app.id], ..Supposition::default() };
    let outlook = outlook(&world, &approve);
    assert_eq!((worst(&outlook), &outlook.held[..]), (vec![30_100], &[][..]), "{outlook:?}");
    assert_eq!(outlook.moved[0].service, app());
}

#[test]
fn an_override_is_cleared_by_the_word_it_was_set_by() {
    let mut world = world("service app.example.com failover fra iad");
    let word = |text: &str| Target::Word(text.to_owned());
    let scope = world.engine.resolve(&word("app.example.com@fra"), false);
    let scope = scope.expect("an endpoint");
    assert_eq!(scope, Scope::Endpoint(app(), "fra".into()));
    let kind = detour::policy::OverrideKind::Drain;
    let action = Action::Override { scope: scope.clone(), kind, until: None, force: false };
    world.step(Event::Command(Command { who: "ann".into(), reason: "new switch".into(), action }));
    assert_eq!(world.engine.resolve(&word("app.example.com@fra"), true), Ok(scope));
    let why = world.engine.resolve(&word("muc"), true).expect_err("no such word").to_string();
    assert!(why.contains("neither a service") && why.contains("fra"), "{why}");
}
