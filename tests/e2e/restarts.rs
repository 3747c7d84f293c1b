//! What was decided survives the process.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::dig::{Answer, Client};
use crate::harness::{APP, Setup, World, until};

/// The daemon again, at the port it had: only so can a client ask it from its first instant on.
fn keep_port(world: &World) {
    let port = format!("127.0.0.1:{}", world.detour.dns.port());
    world.detour.edit_config("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{port}\"]"));
}

#[test]
fn kill_9_in_an_outage() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.fra.kill();
    world.settles_on_iad();
    keep_port(&world);
    let dead = world.fra.addresses[0].to_string();

    for round in 0..3 {
        let serial = world.detour.serial();
        let (client, up) = (Client::of(world.detour.dns), AtomicBool::new(false));
        world.detour.kill();
        let answers = thread::scope(|scope| {
            let asking = scope.spawn(|| first_answers(&client, &up));
            world.detour.start_again();
            world.settles_on_iad();
            up.store(true, Ordering::Relaxed);
            asking.join().unwrap()
        });
        for answer in &answers {
            assert_eq!(answer.rcode, 0, "{answer:?}");
            assert!(!answer.records.is_empty() && !answer.data().contains(&dead.as_str()), "{answer:?}");
        }
        let after = world.detour.serial();
        assert!(after >= serial, "round {round}: serial went back from {serial} to {after}");
    }

    world.fra.revive();
    world.settles_on_fra();
}

/// Every answer from the first one on, until the test has seen enough.
fn first_answers(client: &Client, enough: &AtomicBool) -> Vec<Answer> {
    let mut answers = Vec::new();
    while answers.is_empty() || !enough.load(Ordering::Relaxed) {
        match client.ask(APP, "A") {
            Some(answer) => answers.push(answer),
            None => thread::sleep(Duration::from_millis(1)), // nobody listens yet
        }
    }
    answers
}

#[test]
fn a_cold_start_answers_nothing_unverified() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    keep_port(&world);
    let (client, up) = (Client::of(world.detour.dns), AtomicBool::new(false));
    assert_eq!(world.detour.stop(), 0);
    fs::remove_dir_all(world.detour.state_dir()).unwrap();
    world.fra.kill();

    let answers = thread::scope(|scope| {
        let asking = scope.spawn(|| first_answers(&client, &up));
        world.detour.start_again();
        world.settles_on_iad();
        up.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    let alive = world.iad.addresses[0].to_string();
    let not_ready = |answer: &Answer| answer.rcode == 2 && answer.records.is_empty();
    assert!(answers.iter().all(|answer| not_ready(answer) || answer.data() == [&alive]), "{answers:?}");
}

#[test]
fn overrides_and_latches_survive() {
    let mut world = World::start(&Setup { failback: "\"manual\"", ..Setup::default() });
    world.settles_on_fra();
    world.detour.told(&["drain", "fra", "--reason", "new routers"]);
    world.settles_on_iad();
    world.detour.kill();
    world.detour.start_again();
    world.settles_on_iad();
    assert!(world.detour.told(&["status"]).contains("new routers"));

    world.detour.told(&["undrain", "fra"]);
    world.detour.kill();
    world.detour.start_again();
    let latched = world.detour.json("/v1/status")["engine"]["services"][0]["latched"].clone();
    assert_eq!(latched, true, "manual failback waits for an operator");
    world.settles_on_iad();
    until("fra can be used", || (world.detour.cli(&["failback", APP]).code == 0).then_some(()));
    world.settles_on_fra();
}

#[test]
fn a_corrupt_state_file_is_kept_aside() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    assert_eq!(world.detour.stop(), 0);
    let garbage = b"this is not a database".repeat(1000);
    fs::write(world.detour.state_dir().join("detour.redb"), &garbage).unwrap();

    world.detour.start_again();
    world.settles_on_fra();
    let kept: Vec<_> = fs::read_dir(world.detour.state_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("unreadable"))
        .collect();
    let [kept] = &kept[..] else { panic!("one file kept aside, not {kept:?}") };
    assert_eq!(fs::read(kept).unwrap(), garbage);
    let name = kept.file_name().unwrap().to_string_lossy().into_owned();
    assert!(world.detour.log().contains(&name), "the log names {name}");
}

#[test]
fn a_second_daemon_on_the_same_state_is_turned_away() {
    let world = World::start(&Setup::default());
    let path = world.detour.config_path();
    let second = crate::harness::detour(&["serve", "-c", path.to_str().unwrap()]);
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains("state"), "{second:?}");
    world.settles_on_fra();
}

/// A daemon that did not run for a while must not take its own silence for the sites'.
#[test]
fn a_stopped_daemon_blames_no_site() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    // The last one is five intervals long: no sample could come for more than three.
    for stopped_ms in [1200, 1200, 1200, 2600] {
        world.detour.signal("STOP");
        thread::sleep(Duration::from_millis(stopped_ms));
        world.detour.signal("CONT");
        for _ in 0..100 {
            assert_eq!(world.detour.ask(APP, "A").data(), [world.fra.addresses[0].to_string()]);
            thread::sleep(Duration::from_millis(5));
        }
    }
    let history = world.detour.told(&["history", "--limit", "1000"]);
    assert!(!history.contains("-> Down"), "{history}");
    assert!(!history.contains("-> Unknown"), "{history}");
}
