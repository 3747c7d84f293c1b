//! What people and programs do to a daemon, and what it tells them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{APP, Setup, World, config, detour, until, zone};

#[test]
fn drain_and_undrain() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.told(&["drain", "fra", "--reason", "new routers"]);
    world.settles_on_iad();
    let status = world.detour.told(&["status"]);
    assert!(status.contains("drain") && status.contains("new routers"), "{status}");
    world.detour.told(&["undrain", "fra"]);
    world.settles_on_fra();
    let again = world.detour.cli(&["undrain", "fra"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("there is no override"), "{again:?}");
}

#[test]
fn a_drain_runs_out() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.told(&["drain", "app.example.com@fra", "--reason", "a quick look", "--for", "2s"]);
    world.settles_on_iad();
    world.settles_on_fra();
    let history = world.detour.told(&["history"]);
    assert!(history.contains("a quick look"), "{history}");
}

#[test]
fn forced_up_and_down() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.told(&["force-down", "app.example.com@fra", "--reason", "it lies"]);
    world.settles_on_iad();
    world.detour.told(&["undrain", "app.example.com@fra"]);
    world.settles_on_fra();
    world.detour.told(&["force-up", "app.example.com@fra", "--reason", "the probe lies"]);
    world.fra.kill();
    until("fra is seen to be Down", || {
        world.detour.told(&["explain", APP]).contains("3 of 3 failed").then_some(())
    });
    world.settles_on_fra();
}

#[test]
fn failover_and_failback() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.told(&["failover", APP, "--to", "iad", "--reason", "a drill"]);
    world.settles_on_iad();
    world.detour.told(&["failback", APP]);
    world.settles_on_fra();
    world.detour.told(&["drain", "iad", "--reason", "new routers"]);
    let refused = world.detour.cli(&["failover", APP, "--to", "iad"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("iad"), "{refused:?}");
    world.settles_on_fra();
}

#[test]
fn exit_codes() {
    let world = World::start(&Setup::default());
    let check = |args: &[&str], code: i32| {
        let ran = world.detour.cli(args);
        assert_eq!(ran.code, code, "detour {args:?}: {ran:?}");
        assert_eq!(ran.code == 0, ran.stderr.is_empty(), "detour {args:?}: {ran:?}");
    };
    check(&["status"], 0);
    check(&["healthz"], 0);
    check(&["explain", APP], 0);
    check(&["explain", "nobody.example.com"], 1);
    check(&["drain", "nowhere", "--reason", "x"], 1);
    check(&["drain", "fra"], 2);
    check(&["no-such-command"], 2);
    check(&["whatif"], 2);
    for (args, says) in [
        (&["history", "--limit", "abc"][..], "write a number from 1 to 1000"),
        (&["history", "--limit", "0"], "write a number from 1 to 1000"),
        (&["report", "nope"], "`detour report --list` lists them"),
        (
            &["zone", "rollback", "example.com", "abc", "--reason", "x"],
            "`detour zone history ZONE` lists them",
        ),
    ] {
        let ran = world.detour.cli(args);
        assert_eq!((ran.code, ran.stderr.contains(says)), (2, true), "{args:?}: {ran:?}");
    }
    check(&["explain", APP, "--at", "yesterday"], 2);
    assert_eq!(detour(&["status", "--control", "nonsense"]).code, 2);
    let ran = world.detour.cli(&["approve", "abc", "--reason", "x"]);
    assert_eq!(
        (ran.code, ran.stderr.contains("`detour status` lists those that wait")),
        (2, true),
        "{ran:?}"
    );
    check(&["failover", APP, "--to", "nowhere"], 1);
    for command in [&["status"][..], &["healthz"], &["drain", "fra", "--reason", "x"]] {
        let ran = detour(&[command, &["--control", "127.0.0.1:1"]].concat());
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains("127.0.0.1:1"), "it says where it looked: {ran:?}");
    }
}

#[test]
fn a_daemon_that_is_stopped_keeps_nobody_waiting() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.signal("STOP");
    let commands = [&["status"][..], &["drain", "fra", "--reason", "x"], &["whatif", "--down", "fra"]];
    std::thread::scope(|scope| {
        for command in commands {
            let detour = &world.detour;
            scope.spawn(move || {
                let ran = detour.cli(command);
                assert_eq!(ran.code, 3, "{command:?}: {ran:?}");
                assert!(ran.stderr.contains("takes connections and answers nothing"), "{command:?}: {ran:?}");
            });
        }
    });
    // Without a word of where to ask, it is worked out from what the daemon recorded.
    let config = world.detour.config_path();
    let ran = detour(&["whatif", "--down", "fra", "--config", config.to_str().unwrap()]);
    assert!(ran.stderr.contains("this is from its recording"), "{ran:?}");
    world.detour.signal("CONT");
    world.detour.told(&["undrain", "fra"]);
}

#[test]
fn explain_tells_the_whole_story() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.told(&["drain", "app.example.com@iad", "--reason", "new routers"]);
    world.detour.told(&["undrain", "app.example.com@iad"]);
    world.fra.be("status 503");
    let answer = world.settles_on_iad();
    world.detour.told(&["drain", "fra", "--reason", "repairs"]);

    let story = world.detour.told(&["explain", APP]);
    let serial = world.detour.serial().to_string();
    let address = world.iad.addresses[0].to_string();
    let told = ["status 503", "3 of 3 failed", "Down", "Up", "drain", "repairs", "iad", &serial, &address];
    for part in told {
        assert!(story.contains(part), "no \"{part}\" in:\n{story}");
    }
    assert!(story.contains(&answer.ttl().unwrap().to_string()), "{story}");

    let json: serde_json::Value =
        serde_json::from_str(&world.detour.told(&["explain", APP, "--json"])).unwrap();
    assert!(json.is_object(), "{json}");
}

#[test]
fn health_of_the_daemon() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let (status, body) = world.detour.get("/healthz");
    assert_eq!(status, 200, "{body}");

    // A frozen daemon answers nobody; whoever asks is told so within a bound.
    world.detour.signal("STOP");
    let asked = Instant::now();
    let ran = world.detour.cli(&["healthz"]);
    world.detour.signal("CONT");
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    until("it is well again", || (world.detour.cli(&["healthz"]).code == 0).then_some(()));
}

#[test]
fn metrics_tell_what_is_served() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.fra.kill();
    world.settles_on_iad();
    let (status, text) = world.detour.get("/metrics");
    assert_eq!(status, 200);
    let value = |start: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("no {start} in:\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(value("detour_up").to_string(), "1");
    assert_eq!(value("detour_zone_serial{").to_string(), world.detour.serial().to_string());
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("detour_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn check_tells_every_problem_where_it_is() {
    let world = World::start(&Setup::default());
    let path = world.detour.config_path();
    let check = || detour(&["check", "-c", path.to_str().unwrap()]);
    let good = check();
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.stdout.contains(APP) && good.stdout.contains("TTL 30s"), "{good:?}");

    let setup = Setup { service: "rto = \"10s\"", ..Setup::default() };
    fs::write(&path, config(&setup, world.fra.port, &world.fra.addresses, &world.iad.addresses)).unwrap();
    let slow = check();
    assert_eq!(slow.code, 1, "{slow:?}");
    assert!(slow.stderr.contains("rto"), "{slow:?}");

    world.detour.edit_config("rto = \"10s\"", "colour = \"red\"");
    world.detour.edit_config("[\"web\"]", "[\"wbe\"]");
    world.detour.write_zone(&zone(2, "www CNAME elsewhere"));
    let bad = check();
    assert_eq!(bad.code, 1, "{bad:?}");
    for part in ["detour.toml:", "colour", "wbe", "example.com.zone:6:"] {
        assert!(bad.stderr.contains(part), "no \"{part}\" in:\n{}", bad.stderr);
    }
    assert_eq!(detour(&["check", "-c", "/nowhere/detour.toml"]).code, 1);
}

#[test]
fn the_demo_shows_a_failover_and_a_failback() {
    let started = Instant::now();
    let demo = Command::new(env!("CARGO_BIN_EXE_detour")).arg("demo").stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8(demo.stdout).unwrap();
    assert!(demo.status.success(), "{shown}\n{}", String::from_utf8_lossy(&demo.stderr));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    for part in [
        "dig ",
        "the primary fails",
        "the primary recovers",
        "detection",
        "publish",
        "failback",
        "worst case",
    ] {
        assert!(shown.contains(part), "no \"{part}\" in:\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "not a terminal: plain lines");
}
