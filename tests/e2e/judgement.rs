//! What stands between failures and a move: canaries, maintenance windows, damping.

use serde_json::Value;

use crate::harness::{APP, Detour, Setup, config, own_address, until, zone};
use crate::site::{Site, sites};

/// A service at `fra` and `iad`, which goes back at once, and the daemon, whose configuration has `more`.
struct World {
    fra: Site,
    iad: Site,
    detour: Detour,
}

impl World {
    fn start(setup: &Setup, edit: impl FnOnce(String) -> String) -> World {
        let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
        let config = edit(config(setup, fra.port, &fra.addresses, &iad.addresses));
        World { detour: Detour::start(&config, &zone(1, "")), fra, iad }
    }

    fn answers(&self) -> Vec<String> {
        self.detour.ask(APP, "A").data().into_iter().map(str::to_owned).collect()
    }

    fn settles_on(&self, site: &Site) {
        let address = site.addresses[0].to_string();
        until(&format!("{APP} answers {address}"), || (self.answers() == [&*address]).then_some(()));
    }

    /// The check of this site, with all its samples that are kept.
    fn check(&self, site: &Site) -> Value {
        let explained = self.detour.json(&format!("/v1/explain?name={APP}"));
        let address = site.addresses[0].to_string();
        let checks = explained["explanation"]["checks"].as_array().unwrap();
        checks.iter().find(|check| check["key"]["whereto"].to_string().contains(&address)).unwrap().clone()
    }

    /// Waits until the last samples of this site, as many as are shown, have this in common.
    fn samples(&self, site: &Site, what: &str, fits: impl Fn(&Value) -> bool) {
        until(what, || {
            let check = self.check(site);
            let recent = check["recent"].as_array().unwrap();
            (recent.len() == 16 && recent.iter().all(&fits)).then_some(())
        });
    }

    fn metric(&self, name: &str) -> Option<String> {
        let (_, metrics) = self.detour.get("/metrics");
        let line = metrics.lines().find(|line| line.starts_with(name))?.to_owned();
        line.rsplit(' ').next().map(str::to_owned)
    }
}

fn quick() -> Setup {
    Setup {
        interval: "200ms",
        timeout: "190ms",
        failback: "{ mode = \"auto\", hold = \"0s\" }",
        ..Setup::default()
    }
}

#[test]
fn when_canaries_fail_the_vantage_abstains() {
    let [mut canary] = sites(&[vec![own_address()]]);
    let vantage = format!(
        "[probes.uplink]\ntype = \"tcp\"\nport = {}\ninterval = \"500ms\"\nconfirm = \"50ms\"\ntimeout = \"400ms\"\n\
         [vantage]\ncanaries = [{{ probe = \"uplink\", addresses = [\"{}\"] }}]\n",
        canary.port, canary.addresses[0]
    );
    let mut world = World::start(&quick(), |config| config + &vantage);
    world.settles_on(&world.fra);
    assert_eq!(world.metric("detour_vantage_in_doubt"), Some("0".into()));

    // The way out is gone, and with it, as far as can be seen from here, every site.
    canary.kill();
    world.fra.kill();
    world.iad.kill();
    until("it doubts itself", || {
        world.detour.told(&["status"]).contains("no result counts and nothing moves").then_some(())
    });
    let status = world.detour.told(&["status"]);
    assert!(
        status.contains("no result counts and nothing moves: 0 of 1 canaries work, 1 must; uplink@"),
        "{status}"
    );
    assert_eq!(world.metric("detour_vantage_in_doubt"), Some("1".into()));
    let (code, healthz) = world.detour.get("/healthz");
    assert!(code == 200 && healthz.contains("degraded") && healthz.contains("no result counts"), "{healthz}");
    for site in [&world.fra, &world.iad] {
        world.samples(site, "its samples are kept, and marked", |sample| {
            sample["outcome"]["discarded"]["doubt"].as_str().is_some_and(|was| was == "connection refused")
        });
        assert_ne!(world.check(site)["health"], "down");
    }
    assert_eq!(world.answers(), [world.fra.addresses[0].to_string()], "nothing has moved");

    // The way out is back, and one of the two sites.
    world.iad.revive();
    canary.revive();
    world.settles_on(&world.iad);
    assert_eq!(world.metric("detour_vantage_in_doubt"), Some("0".into()));
    assert!(!world.detour.told(&["status"]).contains("no result counts"));
    let story = world.detour.told(&["explain", APP]);
    assert!(story.contains("connection refused"), "{story}");
}

/// A window that begins every minute is always open, from one reload to another.
#[test]
fn in_maintenance_failures_are_recorded_and_nothing_moves() {
    let window = "[[maintenance]]\nsite = \"fra\"\nschedule = \"* * * * *\"\nduration = \"10m\"\n";
    let mut world = World::start(&quick(), |config| config);
    world.settles_on(&world.fra);
    let without = world.detour.config();
    world.detour.write_config(&format!("{without}{window}"));
    world.detour.told(&["reload"]);
    let serial = world.detour.serial();
    world.fra.kill();
    let failed = |sample: &Value| sample["outcome"]["failed"] == "refused";
    world.samples(&world.fra, "its failures are recorded", failed);
    assert_eq!(world.check(&world.fra)["health"], "down");
    let answer = world.detour.ask(APP, "A");
    assert_eq!((answer.data(), answer.ttl()), (vec![&*world.fra.addresses[0].to_string()], Some(30)));
    assert_eq!(world.detour.serial(), serial, "nothing has moved");
    let story = world.detour.told(&["explain", APP]);
    assert!(story.contains("in maintenance until "), "{story}");
    let metric = format!("detour_endpoint_maintenance{{service=\"{APP}\",site=\"fra\"}}");
    assert_eq!(world.metric(&metric), Some("1".into()));

    world.detour.write_config(&without);
    world.detour.told(&["reload"]);
    world.settles_on(&world.iad);
    assert_eq!(world.metric(&metric), Some("0".into()));
}

#[test]
fn a_place_that_flaps_is_held_down_and_status_says_until_when() {
    // The second change within ten minutes, when it is a recovery, is not believed for an hour.
    let damping = "damping = { changes = 2, within = \"10m\", hold = \"1h\", max_hold = \"1h\" }\nfall = 3";
    let mut world = World::start(&quick(), |config| config.replace("fall = 3", damping));
    world.settles_on(&world.fra);
    world.fra.kill();
    world.settles_on(&world.iad);
    world.fra.revive();
    let held = until("its recovery is not believed", || {
        let check = world.check(&world.fra);
        (check["held_until"].is_u64()).then_some(check)
    });
    assert_eq!(held["health"], "down");
    let because = held["because"].as_str().unwrap();
    assert!(
        because.starts_with("held Down until ") && because.contains(": 2 changes within 600s"),
        "{because}"
    );
    world.samples(&world.fra, "its samples go on, and are good", |sample| sample["outcome"] == "ok");
    assert_eq!(world.answers(), [world.iad.addresses[0].to_string()]);
    let line = world.detour.told(&["status"]);
    assert!(line.lines().any(|line| line.starts_with("web@") && line.contains("held Down until ")), "{line}");
    let damped = || {
        let (_, metrics) = world.detour.get("/metrics");
        metrics
            .lines()
            .filter(|line| line.starts_with("detour_check_damped{") && line.ends_with(" 1"))
            .count()
    };
    assert_eq!(damped(), 1);

    // An operator knows better.
    let fra = format!("{APP}@fra");
    world.detour.told(&["force-up", &fra, "--reason", "the switch was replaced"]);
    world.settles_on(&world.fra);
    world.detour.told(&["undrain", &fra]);
    world.settles_on(&world.iad);

    // What is only held is used before a service is left with nothing.
    world.iad.kill();
    world.settles_on(&world.fra);
}
