//! Damping, canaries and maintenance.

use std::time::Duration;

use detour::model::{Damping, MaintenanceScope, Surroundings, worst_case};
use detour::time::HostTime;

use crate::refused::{check, check_head};
use crate::{HEAD, folder, loaded};

const SERVICE: &str = r#"[[service]]
name = "app.example.com"
probes = ["web"]
endpoints = [{ site = "fra", addresses = ["192.0.2.10"] }, { site = "iad", addresses = ["198.51.100.10"] }]
"#;

/// What is reported of a file that ends with this, after 16 lines.
fn refused(rest: &str) -> String {
    folder(&format!("{SERVICE}{rest}")).report()
}

fn damping(text: &str) -> Option<Damping> {
    let head = HEAD.replace("port = 5432\n", &format!("port = 5432\n{text}\n"));
    loaded(&head).config.probes[1].damping
}

#[test]
fn damping_takes_each_of_its_shapes() {
    let secs = Duration::from_secs;
    let usual = Damping { changes: 6, within: secs(600), hold: secs(60), max_hold: secs(1800) };
    assert_eq!(damping(""), Some(usual));
    assert_eq!(damping("damping = 'on'"), Some(usual));
    assert_eq!(damping("damping = 'off'"), None);
    assert_eq!(damping("damping = { changes = 4 }"), Some(Damping { changes: 4, ..usual }));
    let long = Damping { hold: secs(3600), max_hold: secs(3600), ..usual };
    assert_eq!(damping("damping = { hold = '1h' }"), Some(long));
}

#[test]
fn damping_that_cannot_be_is_refused() {
    let refused = |text: &str| {
        let head = HEAD.replace("port = 5432\n", &format!("port = 5432\ndamping = {text}\n"));
        crate::Folder::new(&[("detour.toml", &head), ("example.com.zone", crate::ZONE)]).report()
    };
    check_head(&refused("'of'"), "detour.toml:10:11: error: damping \"of\" is unknown");
    check_head(
        &refused("{ changes = 1 }"),
        "detour.toml:10:23: error: \"changes\" is 1, not between 2 and 100",
    );
    check(
        &refused("{ hold = '2m', max_hold = '1m' }"),
        r"
detour.toml:10:37: error: max_hold 60s is below hold 120s
    damping = { hold = '2m', max_hold = '1m' }
                                        ^^^^
    help: holds grow from hold to max_hold: raise max_hold
",
    );
}

#[test]
fn canaries_are_checks_of_their_own() {
    let canaries = "[vantage]\ncanaries = [{ probe = 'db', addresses = ['203.0.113.1', '203.0.113.2', '203.0.113.3'] }]\n";
    let config = loaded(&format!("{HEAD}{SERVICE}{canaries}")).config;
    assert_eq!((config.vantage.canaries.len(), config.vantage.quorum), (3, 2));
    assert_eq!(config.vantage.canaries[0].key.to_string(), "db@203.0.113.1");
    assert_eq!(config.vantage.canaries[0].probe.thresholds.fall, 1);
    assert_eq!(config.checks().len(), 2, "no service relies on them");
    assert_eq!(config.vantage.wait(), Duration::from_secs(4));
    // Two further runs of 2 s each are as long as the canaries take.
    let detection =
        |vouch| worst_case(&config.services[0], &Surroundings { vouch, ..Surroundings::default() }).detection;
    assert_eq!(detection(config.vantage.wait()), detection(Duration::ZERO));
    assert_eq!(detection(Duration::from_secs(5)), Duration::from_secs(12));
    assert!(loaded(&format!("{HEAD}{SERVICE}")).config.vantage.canaries.is_empty());
}

#[test]
fn canaries_that_prove_nothing_are_refused() {
    check_head(
        &refused("[vantage]\ncanaries = [{ probe = \"db\", addresses = [\"192.0.2.10\"] }]"),
        "detour.toml:18:42: error: 192.0.2.10 is a service's address, not a canary's",
    );
    check_head(
        &refused("[vantage]\nquorum = 2\ncanaries = [{ probe = \"db\", addresses = [\"203.0.113.1\"] }]"),
        "detour.toml:18:10: error: quorum 2 is more than there are canaries, 1",
    );
    check_head(&refused("[vantage]\n"), "detour.toml:17:1: error: [vantage] has no \"canaries\"");
}

#[test]
fn maintenance_windows_open_and_close() {
    let text =
        "[[maintenance]]\nsite = 'fra'\nschedule = '0 3 * * 0'\nduration = '2h'\nzone = 'Europe/Berlin'\n";
    let config = loaded(&format!("{HEAD}{SERVICE}{text}")).config;
    let plan = &config.maintenance[0];
    assert_eq!(plan.scope, MaintenanceScope::Site("fra".into()));
    // Sunday, 22 November 2026, 03:00 in Berlin is 02:00 UTC.
    let begins = HostTime(1_795_312_800_000);
    let hour = Duration::from_secs(3600);
    let before = plan.window(begins - Duration::from_millis(1));
    assert_eq!((before.until, before.next), (None, Some(begins)));
    for at in [begins, begins + hour] {
        let within = plan.window(at);
        assert_eq!((within.until, within.next), (Some(begins + 2 * hour), Some(begins + 2 * hour)));
    }
    let after = plan.window(begins + 2 * hour);
    assert_eq!((after.until, after.next), (None, Some(begins + 7 * 24 * hour)));
}

#[test]
fn maintenance_of_nothing_is_refused() {
    let window =
        |keys: &str| refused(&format!("[[maintenance]]\nschedule = '0 3 * * 0'\nduration = '2h'\n{keys}"));
    check_head(&window(""), "detour.toml:17:1: error: a maintenance is of one site or of one service");
    check_head(&window("site = 'frq'"), "detour.toml:20:8: error: unknown site \"frq\"");
    check_head(
        &window("service = 'www.example.com'"),
        "detour.toml:20:11: error: there is no service \"www.example.com.\"",
    );
    check_head(
        &window("site = 'fra'\nzone = 'Europe/Bonn'"),
        "detour.toml:21:8: error: \"Europe/Bonn\" is not a time zone of the IANA database",
    );
    check_head(
        &refused("[[maintenance]]\nsite = 'fra'\nduration = '2h'\nschedule = '0 25 * * *'"),
        "detour.toml:20:12: error: \"0 25 * * *\" is not minute, hour, day of the month, month and day of the week, as crontab has them",
    );
}

#[test]
fn a_history_that_cannot_be_is_refused() {
    for (text, expect) in [
        ("[history]\nmax = '256MB'", "\"256MB\" is not a size"),
        ("[history]\nmax = '1KiB'", "\"max\" is 1KiB, not between 1MiB and 1TiB"),
        ("[history]\nkeep = '1s'", "\"keep\" is 1s, not between"),
        ("[history]\nkept = '1h'", "unknown key \"kept\" in [history]"),
    ] {
        let report = refused(text);
        assert!(report.contains(expect), "{report}");
    }
}
