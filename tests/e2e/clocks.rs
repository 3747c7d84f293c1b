//! A host whose clock is wrong at the start, and is set while the daemon runs.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::{APP, CLOCK, Detour, MACHINE, Setup, config, detour, own_address, until, zone};
use crate::site::{Site, sites};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// As faketime counts them.
const TEN_YEARS: i64 = 3_650 * 24 * HOUR;

/// The time of this host, in milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap()
}

/// Whether two times are the same but for how long a test may take.
fn about(at: i64, expect: i64) -> bool {
    at.abs_diff(expect) < 20 * MINUTE.unsigned_abs()
}

struct Host {
    fra: Site,
    iad: Site,
    detour: Detour,
}

impl Host {
    /// A daemon whose host's clock is so far off.
    fn start(off: &str, more: &str) -> Host {
        let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
        let config = config(&Setup::default(), fra.port, &fra.addresses, &iad.addresses) + more;
        let zone = zone(1, "");
        let files = [("example.com.zone", zone.as_bytes()), (CLOCK, off.as_bytes())];
        let mut detour = Detour::spawn_beside(&config, &files);
        detour.await_listening();
        Host { fra, iad, detour }
    }

    /// Sets the clock.
    fn set(&self, off: &str) {
        self.detour.replace(CLOCK, off.as_bytes());
    }

    fn engine(&self) -> Value {
        self.detour.json("/v1/status")["engine"].take()
    }

    fn shows(&self, expect: impl Fn() -> i64) {
        until("the daemon shows the host's time", || {
            about(self.engine()["now"].as_i64().unwrap(), expect()).then_some(())
        });
    }

    /// By how many milliseconds the event log says that the clock was set, the latest first.
    fn sets(&self) -> Vec<i64> {
        let page = self.detour.json("/v1/history?limit=1000");
        let entries = page["entries"].as_array().unwrap().iter();
        let sets = entries.filter(|entry| entry["what"]["event"] == "clock_set");
        sets.map(|entry| entry["what"]["by_ms"].as_i64().unwrap()).collect()
    }

    fn settles_on(&self, site: &Site) {
        let address = site.addresses[0].to_string();
        until(&format!("{APP} answers {address}"), || {
            (self.detour.ask(APP, "A").data() == [&address]).then_some(())
        });
    }

    fn decision(&self) -> u64 {
        let explained = self.detour.json(&format!("/v1/services/{APP}"));
        explained["decision"]["id"].as_u64().unwrap_or_else(|| panic!("{explained}"))
    }
}

/// A zone from a primary that is not there, last confirmed just now.
const TRANSFERRED: &str = "$TTL 60\n\
    example.org. SOA ns1.example.org. h.example.org. 7 3600 600 604800 60\n\
    example.org. NS ns1.example.org.\n\
    ns1.example.org. A 192.0.2.53\n";

#[test]
fn a_zone_from_a_primary_is_no_older_than_it_is() {
    let _machine = MACHINE.read();
    let primary = own_address();
    let zone = format!("[[zone]]\nname = \"example.org\"\nprimary = [\"{primary}\"]\n");
    let mut host = Host::start("+0", &zone);
    assert_eq!(host.detour.stop(), 0);
    let kept = host.detour.state_dir().join("transferred/example.org.zone");
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, TRANSFERRED).unwrap();
    host.set("+10y");
    host.detour.start_again();
    let serial =
        |host: &Host| host.detour.ask("example.org", "SOA").records.first().map(|soa| soa.data.clone());
    assert_eq!(serial(&host), None, "ten years after it was confirmed it has expired");
    host.set("+0");
    until("it has not expired any more", || serial(&host));
    // Whoever is looked after already is not judged by a clock that is set, at a reload either.
    host.set("+10y");
    host.shows(|| now() + TEN_YEARS);
    host.detour.told(&["reload"]);
    assert!(serial(&host).is_some());
}

/// A maintenance of `fra` that began half an hour ago, by the true clock, and lasts an hour more.
fn window() -> String {
    let began = (now() - HOUR / 2) / MINUTE;
    let (minute, hour) = (began % 60, began / 60 % 24);
    format!("[[maintenance]]\nsite = \"fra\"\nschedule = \"{minute} {hour} * * *\"\nduration = \"90m\"\n")
}

#[test]
fn three_hours_behind_at_the_start_and_corrected() {
    let _machine = MACHINE.read();
    let host = Host::start("-3h", &window());
    host.settles_on(&host.fra);
    host.shows(|| now() - 3 * HOUR);
    let open = |host: &Host| host.engine()["maintenance"][0]["until"].as_i64();
    assert_eq!(open(&host), None, "three hours ago it was not open");
    assert_eq!(host.sets(), Vec::<i64>::new());

    host.set("+0");
    host.shows(now);
    until("the window is open", || open(&host).map(|until| assert!(about(until, now() + HOUR))));
    let sets = host.sets();
    assert!(sets.len() == 1 && about(sets[0], 3 * HOUR), "{sets:?}");
    let status = host.detour.told(&["status"]);
    assert!(status.contains("the host's clock was set forward by "), "{status}");
    host.settles_on(&host.fra);

    // What happened before is shown by the corrected clock, in its order, and durations are what they were.
    let page = host.detour.json("/v1/history?limit=1000");
    let at: Vec<i64> =
        page["entries"].as_array().unwrap().iter().map(|e| e["at"].as_i64().unwrap()).collect();
    assert!(at.iter().all(|at| about(*at, now())), "{at:?}");
    assert!(at.is_sorted_by(|later, earlier| later >= earlier), "{at:?}");
    let started = host.detour.json("/v1/status")["started"].as_i64().unwrap();
    assert!(about(started, now()), "{started}");
    // On the disk, too.
    let state = host.detour.state_dir();
    let past = explain_past(&state, &host);
    assert!(past.contains("before:"), "{past}");
}

/// `detour explain --at` reads the recording, by the host's clock.
fn explain_past(state: &Path, host: &Host) -> String {
    let (state, config) = (state.to_str().unwrap(), host.detour.config_path());
    until("the recording is written", || {
        let args = ["explain", APP, "--at", "1s", "--history", state, "-c", config.to_str().unwrap()];
        let ran = detour(&args);
        (ran.code == 0).then_some(ran.stdout)
    })
}

#[test]
fn ten_years_ahead_at_the_start_and_corrected_and_started_again() {
    let _machine = MACHINE.read();
    let mut host = Host::start("+10y", "");
    host.settles_on(&host.fra);
    host.shows(|| now() + TEN_YEARS);
    host.detour.told(&["drain", "iad", "--for", "1h", "--reason", "a drill"]);
    let left = |host: &Host| {
        let engine = host.engine();
        let until = engine["overrides"][0]["until"].as_i64().unwrap_or_else(|| panic!("no drain: {engine}"));
        until - engine["now"].as_i64().unwrap()
    };
    assert!(about(left(&host), HOUR));
    let decision = host.decision();

    host.set("+0");
    host.shows(now);
    assert!(about(left(&host), HOUR), "an hour is an hour: {}", left(&host));
    assert_eq!(host.decision(), decision, "a clock that is set decides nothing");
    let serial = host.detour.serial();

    assert_eq!(host.detour.stop(), 0);
    host.detour.start_again();
    host.shows(now);
    assert!(about(left(&host), HOUR), "{}", left(&host));
    let sets = host.sets();
    assert!(sets.len() == 1 && about(sets[0], -TEN_YEARS), "told once: {sets:?}");
    assert!(host.detour.serial() >= serial);
    host.settles_on(&host.fra);

    // Set back while a site fails: it is left as soon as ever.
    host.detour.told(&["undrain", "iad", "--reason", "the drill is over"]);
    host.set("-3h");
    host.fra.kill();
    host.settles_on(&host.iad);
    host.shows(|| now() - 3 * HOUR);
    // An earlier run's times are shown by the clock as it is now.
    let log = host.detour.told(&["history"]);
    let in_five_years = now() / (365 * 24 * HOUR) + 1970 + 5;
    let is_past =
        |line: &str| line.get(..4).is_some_and(|y| y.parse::<i64>().is_ok_and(|y| y < in_five_years));
    assert!(log.lines().all(is_past), "{log}");
}
