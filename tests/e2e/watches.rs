//! Watches: a process that dies is noticed long before its next probe is due.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Detour, Setup, config, own_address, until, zone};
use crate::site::sites;

/// The harness's configuration with a watch, at the pace the manual promises 300 ms for.
fn watched(config: &str) -> String {
    let config = config.replace("confirm = \"100ms\"", "confirm = \"50ms\"\nwatch = true");
    assert!(config.contains("watch = true"));
    config
}

fn watches(detour: &Detour, state: &str) -> usize {
    let status = detour.json("/v1/status");
    status["watches"].as_array().unwrap().iter().filter(|watch| watch["state"] == state).count()
}

#[test]
fn a_killed_process_is_noticed_whatever_the_interval() {
    // An hour, so that nothing but the watch can have noticed.
    let setup = Setup { interval: "1h", timeout: "2s", ..Setup::default() };
    let (fra_at, iad_at) = (own_address(), own_address());
    let [mut fra, iad] = sites(&[vec![fra_at], vec![iad_at]]);
    let detour = Detour::start(&watched(&config(&setup, fra.port, &[fra_at], &[iad_at])), &zone(1, ""));
    let answers = |address: &str| (detour.ask(crate::harness::APP, "A").data() == [address]).then_some(());
    until("fra is answered", || answers(&fra_at.to_string()));
    until("both watches stand", || (watches(&detour, "standing") == 2).then_some(()));
    let story = detour.told(&["explain", crate::harness::APP]);
    assert!(story.contains("watch: stands"), "{story}");

    let killed = Instant::now();
    fra.kill();
    until("iad is answered", || answers(&iad_at.to_string()));
    println!("a killed process changed the answer after {:?}", killed.elapsed());
    let story = detour.told(&["explain", crate::harness::APP]);
    assert!(story.contains("3 of 3 failed"), "a hint is no sample, it takes `fall` runs:\n{story}");
    let status = detour.told(&["status"]);
    assert!(status.contains("waiting for a run to pass"), "{status}");
    drop(iad);
}

/// Of the files a process may open, half are for runs and watches, and half of those for watches: 256 leave 64.
#[test]
fn more_watches_than_allowed_are_told_of() {
    let address = own_address();
    let [mut site] = sites(&[vec![address]]);
    let setup = Setup { interval: "1h", timeout: "5s", ..Setup::default() };
    let names: Vec<String> = (0..70).map(|n| format!("\"n{n}.example.com\"")).collect();
    // Each is asked for by its own name, so none share a check.
    let config = watched(&config(&setup, site.port, &[address], &[own_address()]))
        .replace("name = \"app.example.com\"", &format!("names = [{}]", names.join(", ")));
    let (head, _) = config.split_once("endpoints = [").unwrap();
    let config = format!("{head}endpoints = [{{ site = \"fra\", addresses = [\"{address}\"] }}]\n");
    let detour = Detour::start_within(256, &config, &zone(1, ""));
    until("as many watches as allowed stand", || (watches(&detour, "standing") == 64).then_some(()));
    assert_eq!(watches(&detour, "no_room"), 6);
    let (_, metrics) = detour.get("/metrics");
    for line in ["detour_watches{state=\"standing\"} 64", "detour_watches{state=\"no_room\"} 6"] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in:\n{metrics}");
    }
    let status = detour.told(&["status"]);
    assert_eq!(status.matches("none: there are as many as allowed").count(), 6, "{status}");
    assert!(detour.log().contains("more watches than allowed"), "{}", detour.log());
    // All of them are run all the same, and the site's end is noticed where a watch stands.
    let healths = |health: &str| {
        let status = detour.json("/v1/status");
        let checks = status["engine"]["checks"].as_array().unwrap();
        checks.iter().filter(|check| check["health"] == health).count()
    };
    assert_eq!(healths("up"), 70);
    site.kill();
    until("the watches have told", || (healths("down") >= 64).then_some(()));
}

/// A server that closes idle connections after 200 ms, as servers do, only sooner.
#[test]
fn an_idle_timeout_is_no_failure_and_the_server_is_not_hammered() {
    let address = own_address();
    let listener = TcpListener::bind(SocketAddr::new(address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    // Ends with the test's process: nothing stops an accept.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
                let _ = stream.read(&mut [0; 1]);
            });
        }
    });
    let setup = Setup { interval: "1h", timeout: "2s", ..Setup::default() };
    let config = watched(&config(&setup, port, &[address], &[own_address()]));
    let config = config.replace("type = \"http\"", "type = \"tcp\"");
    let config =
        config.replace("path = \"/health\"\nexpect = { status = [\"200-299\"], body = \"OK\" }\n", "");
    let detour = Detour::start(&config, &zone(1, ""));
    until("the watch is called not useful", || (watches(&detour, "not_useful") == 1).then_some(()));
    let status = detour.told(&["status"]);
    assert!(status.contains("not useful: the site closes idle connections"), "{status}");
    let history = detour.told(&["history", "--limit", "1000"]);
    let suspected =
        history.lines().any(|line| line.contains(&address.to_string()) && line.contains("-> Suspect"));
    assert!(!suspected, "{history}");
    // Five watches, the run each asked for, and the first; the last of them may be under way.
    let connections = connections.load(Ordering::SeqCst);
    assert!((10..=11).contains(&connections), "{connections}");
}
