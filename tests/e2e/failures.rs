//! Every way a site can fail: the name moves, the reason is told, and it moves back.

use std::net::{IpAddr, Ipv6Addr};

use crate::dig::dig;
use crate::harness::{APP, Detour, Setup, World, config, own_address, until, zone};
use crate::site::{Site, sites};

/// Breaks `fra`, sees the name move to `iad` for the given reason, mends `fra`, sees it move back.
fn check(fails: impl FnOnce(&mut Site), mends: impl FnOnce(&mut Site), because: &str) {
    let mut world = World::start(&Setup::default());
    assert_eq!(world.settles_on_fra().ttl(), Some(30));
    let before = world.detour.serial();

    fails(&mut world.fra);
    let moved = world.settles_on_iad();
    assert!(moved.authoritative);
    assert_eq!(moved.ttl(), Some(30), "iad is well, so the TTL is the full one");
    assert_eq!(dig(world.detour.dns, APP, "A"), moved, "dig sees what the socket sees");
    let during = world.detour.serial();
    assert!(during > before, "{before} -> {during}");
    let story = world.detour.told(&["explain", APP]);
    assert!(story.contains(because), "no \"{because}\" in:\n{story}");

    mends(&mut world.fra);
    assert_eq!(world.settles_on_fra().ttl(), Some(30));
    assert!(world.detour.serial() > during);
}

#[test]
fn killed() {
    check(Site::kill, Site::revive, "connection refused");
}

#[test]
fn frozen() {
    check(|fra| fra.freeze(), |fra| fra.thaw(), "timeout in first byte");
}

#[test]
fn listener_closed() {
    check(|fra| fra.be("close"), |fra| fra.be("open"), "connection refused");
}

#[test]
fn status_503() {
    check(|fra| fra.be("status 503"), |fra| fra.be("ok"), "status 503");
}

#[test]
fn wrong_body() {
    check(|fra| fra.be("body gone fishing"), |fra| fra.be("ok"), "body mismatch");
}

#[test]
fn slow_answer() {
    check(|fra| fra.be("slow 3"), |fra| fra.be("ok"), "timeout in first byte");
}

#[test]
fn one_family_dead() {
    let (fra_v4, iad_v4) = (own_address(), own_address());
    let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let [mut four, mut six, mut iad] = sites(&[vec![fra_v4], vec![v6], vec![iad_v4]]);
    let fra = [fra_v4, v6];
    let detour = Detour::start(&config(&Setup::default(), four.port, &fra, &[iad_v4]), &zone(1, ""));
    let answers = |rtype: &str| -> Vec<String> {
        detour.ask(APP, rtype).records.into_iter().map(|record| record.data).collect()
    };
    let settles = |a: &[&str], aaaa: &[&str]| {
        until(&format!("A {a:?}, AAAA {aaaa:?}"), || {
            (answers("A") == a && answers("AAAA") == aaaa).then_some(())
        });
    };
    let (fra_v4, iad_v4) = (fra_v4.to_string(), iad_v4.to_string());
    settles(&[&fra_v4], &["::1"]);

    // Nobody else has IPv6: the last answer stays, with a TTL that says so.
    six.kill();
    let ttl_is = |ttl: u32| (detour.ask(APP, "AAAA").ttl() == Some(ttl)).then_some(());
    until("AAAA is answered as a last resort", || ttl_is(5));
    settles(&[&fra_v4], &["::1"]);
    six.revive();
    until("AAAA works again", || ttl_is(30));

    // IPv4 works elsewhere.
    four.kill();
    settles(&[&iad_v4], &["::1"]);
    // Nothing of fra works: the service is iad's, which was given no IPv6.
    six.kill();
    settles(&[&iad_v4], &[]);
    // With every site dead, what was answered last stays.
    iad.kill();
    until("iad is Down too", || detour.all_down().then_some(()));
    settles(&[&iad_v4], &[]);
}

#[test]
fn all_down() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.fra.kill();
    world.settles_on_iad();
    world.iad.kill();
    let answer = until("the TTL says that the last answer is not a good one", || {
        let answer = world.settles_on_iad();
        (answer.ttl() == Some(5)).then_some(answer)
    });
    assert_eq!(answer.rcode, 0);
    until("both sites are Down", || world.detour.all_down().then_some(()));
    let story = world.detour.told(&["explain", APP]);
    assert!(story.contains("connection refused"), "{story}");
    assert_eq!(world.settles_on_iad(), answer);

    // The first to come back is the one that is used.
    world.fra.revive();
    world.settles_on_fra();
}

#[test]
fn flapping_below_fall_moves_nothing() {
    let setup = Setup { interval: "1s", timeout: "900ms", ..Setup::default() };
    let mut world = World::start(&setup);
    world.settles_on_fra();
    for _ in 0..5 {
        world.fra.be("fail 2");
        let fails = world.fra.count() + 2;
        let mut seen = 0;
        while seen < fails + 1 {
            let answer = world.detour.ask(APP, "A");
            assert_eq!(answer.data(), [world.fra.addresses[0].to_string()]);
            seen = world.fra.count();
        }
        until("fra is Up again", || (world.settles_on_fra().ttl() == Some(30)).then_some(()));
    }
    let history = world.detour.told(&["history", "--limit", "1000"]);
    assert!(history.contains("-> Suspect"), "the failures were seen:\n{history}");
    assert!(!history.contains("-> Down"), "two of three make nothing Down:\n{history}");
}
