//! Starts that meet something broken, busy or slow: all else is served from the first moment on.

use std::fmt::Write as _;
use std::net::UdpSocket;
use std::process::Command;

use crate::dig::{Client, dig};
use crate::harness::{APP, Detour, Ran, Setup, World, detour, own_address, until, zone};
use crate::site::sites;

/// As many zones as a small hoster has.
const ZONES: usize = 74;
/// The one whose file is broken.
const BROKEN: usize = 7;

fn apex(number: usize) -> String {
    format!("z{number:02}.example")
}

fn many_zones() -> (String, Vec<(String, String)>) {
    let mut config =
        "[server]\nlisten = [\"127.0.0.1:0\"]\nthreads = 1\n[control]\nlisten = \"127.0.0.1:0\"\n".to_owned();
    let mut files = Vec::new();
    for number in 0..ZONES {
        let apex = apex(number);
        writeln!(config, "[[zone]]\nname = \"{apex}\"\nfile = \"{apex}.zone\"").unwrap();
        files.push((format!("{apex}.zone"), zone(1, "")));
    }
    (config, files)
}

/// How many of the zones are answered, and how many are answered SERVFAIL.
fn answered(detour: &Detour) -> (usize, Vec<usize>) {
    let client = Client::of(detour.dns);
    let asked: Vec<u16> = (0..ZONES)
        .map(|number| {
            let answer = client.ask(&format!("www.{}", apex(number)), "A").expect("an answer");
            assert_eq!(answer.data().len(), usize::from(answer.rcode == 0), "{answer:?}");
            answer.rcode
        })
        .collect();
    let failing = (0..ZONES).filter(|&number| asked[number] == 2).collect();
    (asked.iter().filter(|&&rcode| rcode == 0).count(), failing)
}

fn checked(detour_: &Detour) -> Ran {
    detour(&["check", "-c", detour_.config_path().to_str().unwrap()])
}

/// What `/healthz` says: its status in HTTP and in words, and the reasons.
fn health(detour: &Detour) -> (u16, String) {
    let (status, body) = detour.get("/healthz");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let reasons = body["reasons"].as_array().into_iter().flatten();
    let reasons: Vec<&str> = reasons.map(|reason| reason.as_str().unwrap()).collect();
    (status, format!("{}: {}", body["status"].as_str().unwrap(), reasons.join("; ")))
}

fn metric(detour: &Detour, name: &str) -> Option<String> {
    let text = detour.get("/metrics").1;
    let line = text.lines().find(|line| line.split([' ', '{']).next() == Some(name))?;
    Some(line.rsplit(' ').next()?.to_owned())
}

#[test]
fn one_broken_zone_of_many_is_its_own_trouble_alone() {
    let (config, mut files) = many_zones();
    let broken = apex(BROKEN);
    let (file, sound) = files[BROKEN].clone();
    files[BROKEN].1 = format!("{sound}\nnonsense that is no record\n");
    let mut detour = Detour::spawn(&config, &files);
    detour.await_bound();

    assert_eq!(answered(&detour), (ZONES - 1, vec![BROKEN]), "nothing is known of the broken one");
    let (status, words) = health(&detour);
    assert_eq!(status, 200);
    assert!(
        words.starts_with(&format!("degraded: zone {broken}: its file is broken, it is answered")),
        "{words}"
    );
    assert_eq!(metric(&detour, "detour_zones_broken").as_deref(), Some("1"));
    let told = detour.told(&["status"]);
    assert!(told.contains(&broken) && told.contains(&format!("{file}:")), "{told}");
    assert!(detour.log().contains(&format!("zone {broken}: its file is broken")));
    let ran = checked(&detour);
    assert!(ran.code == 1 && format!("{}{}", ran.stdout, ran.stderr).contains(&file), "{ran:?}");
    // A load is all or nothing as ever.
    assert_eq!(detour.cli(&["reload"]).code, 1);

    // Mended, it comes in by itself.
    detour.write_file(&file, &sound);
    until("the mended zone is served", || (answered(&detour) == (ZONES, vec![])).then_some(()));
    until("all is well", || (health(&detour) == (200, "ok: ".to_owned())).then_some(()));
    assert_eq!(metric(&detour, "detour_zones_broken").as_deref(), Some("0"));
    assert_eq!(checked(&detour).code, 0);

    // Broken again, it is what was loaded last.
    detour.kill();
    detour.write_file(&file, "@ SOA half a li");
    detour.start_again();
    assert_eq!(answered(&detour), (ZONES, vec![]));
    let (status, words) = health(&detour);
    let copy =
        format!("degraded: zone {broken}: its file is broken, its last good copy (serial 1) is served");
    assert!(status == 200 && words.starts_with(&copy), "{words}");
    // The copy outlives further starts.
    detour.kill();
    detour.start_again();
    assert_eq!(answered(&detour), (ZONES, vec![]));

    // Who wants no start then says so.
    assert_eq!(detour.stop(), 0);
    detour.edit_config("[server]", "[server]\nstrict_start = true");
    let ran = self::detour(&["serve", "-c", detour.config_path().to_str().unwrap()]);
    assert!(ran.code == 1 && ran.stderr.contains(&file), "{ran:?}");
}

#[test]
fn a_service_of_a_broken_zone_is_steered_on_its_last_good_copy() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.kill();
    world.detour.write_zone("@ SOA half a li");
    world.fra.kill();
    world.detour.start_again();
    world.settles_on_iad();
    assert_eq!(world.detour.ask("www.example.com", "A").data(), ["192.0.2.80"]);
    world.detour.write_zone(&zone(2, "note TXT mended"));
    until("the mended file is loaded", || {
        (world.detour.ask("note.example.com", "TXT").data() == ["mended"]).then_some(())
    });
    world.settles_on_iad();
}

#[test]
fn a_start_answers_what_is_known_and_one_slow_service_keeps_nobody_waiting() {
    let [fra, iad] = [own_address(), own_address()].map(|address| address.to_string());
    // Nobody listens at port 1: its first round is over at once. A beat that never comes is never over.
    let config = format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
threads = 1
first_round = "10m"
[control]
listen = "127.0.0.1:0"
[heartbeat]
listen = "127.0.0.1:0"
tokens = "tokens"
[sites.fra]
[sites.iad]
[probes.port]
type = "tcp"
port = 1
[probes.beat]
type = "heartbeat"
interval = "10m"
[[zone]]
name = "example.com"
file = "example.com.zone"
transfer = ["127.0.0.0/8"]
[[service]]
name = "app.example.com"
probes = ["port"]
all_down = "primary"
endpoints = [{{ site = "fra", addresses = ["{fra}"] }}, {{ site = "iad", addresses = ["{iad}"] }}]
[[service]]
name = "slow.example.com"
probes = ["beat"]
endpoints = [{{ site = "fra", addresses = ["{fra}"] }}]
"#
    );
    let token = "slow.example.com fra fra-0123456789abcdef\n";
    let mail = zone(1, "slow A 192.0.2.1\n  TXT known\nalias CNAME slow");
    let mut detour = Detour::spawn(&config, &[("example.com.zone", mail.as_str()), ("tokens", token)]);
    detour.await_bound();
    assert_eq!(dig(detour.dns, "www.example.com", "A").data(), ["192.0.2.80"]);
    until("the quick service has its first decision", || {
        (dig(detour.dns, APP, "A").data() == [&fra]).then_some(())
    });
    let slow = |rtype: &str| {
        let server = format!("@{}", detour.dns.ip());
        let port = detour.dns.port().to_string();
        let output =
            Command::new("dig").args([&server, "-p", &port, "slow.example.com", rtype]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for rtype in ["A", "AAAA"] {
        let text = slow(rtype);
        assert!(text.contains("status: SERVFAIL") && text.contains("EDE: 14"), "{text}");
        assert!(!text.contains("192.0.2.1"), "{text}");
    }
    assert_eq!(dig(detour.dns, "slow.example.com", "TXT").data(), ["\"known\""], "nobody decides that");
    let alias = dig(detour.dns, "alias.example.com", "A");
    assert_eq!((alias.rcode, alias.data()), (0, vec!["slow.example.com."]), "the chain ends before it");
    // Half a zone goes to no secondary.
    let text = slow_transfer(&detour);
    assert!(text.contains("Transfer failed"), "{text}");
    assert!(detour.told(&["explain", "slow.example.com"]).contains("SERVFAIL (not ready)"));
    assert!(detour.log().contains("first round of checks, at most 600s"), "{}", detour.log());
}

fn slow_transfer(detour: &Detour) -> String {
    let (server, port) = (format!("@{}", detour.dns.ip()), detour.dns.port().to_string());
    let output = Command::new("dig").args([&server, "-p", &port, "example.com", "AXFR"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_port_in_use_is_one_message_and_no_panic() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::default();
    let [fra, iad] = [own_address(), own_address()];
    let config = crate::harness::config(&setup, 1, &[fra], &[iad]);
    let config = config.replace("\"127.0.0.1:0\"]", &format!("\"127.0.0.1:{port}\"]"));
    std::fs::write(folder.path().join("detour.toml"), config).unwrap();
    std::fs::write(folder.path().join("example.com.zone"), zone(1, "")).unwrap();
    let path = folder.path().join("detour.toml");
    for _ in 0..5 {
        let ran = detour(&["serve", "-c", path.to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(&format!("127.0.0.1:{port} is in use for UDP")), "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        assert!(!ran.stderr.contains("first round"), "it is told before anything is begun: {ran:?}");
    }
}

/// An address that no interface has, and a port that only the privileged may have.
#[test]
fn a_forbidden_listener_is_one_message_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let config = crate::harness::config(&Setup::default(), 1, &[own_address()], &[own_address()]);
    let path = folder.path().join("detour.toml");
    std::fs::write(folder.path().join("example.com.zone"), zone(1, "")).unwrap();
    let listening_on = |address: &str| {
        let config = config.replace("\"127.0.0.1:0\"]", &format!("\"{address}\"]"));
        std::fs::write(&path, config).unwrap();
    };
    let is_one_message = |ran: &Ran, message: &str| {
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(ran.stderr.matches(message).count(), 1, "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        assert!(!ran.stderr.contains("first round"), "it is told before anything is begun: {ran:?}");
    };
    for _ in 0..5 {
        // An address for documentation (RFC 5737).
        listening_on("192.0.2.1:0");
        let ran = detour(&["serve", "-c", path.to_str().unwrap()]);
        is_one_message(&ran, "192.0.2.1:0 is not an address of this host");

        // A network of its own has the kernel's own bound of what is privileged.
        listening_on("127.0.0.1:53");
        let denied = "ip link set lo up && exec setpriv --bounding-set=-net_bind_service \
                      --inh-caps=-net_bind_service \"$0\" serve -c \"$1\"";
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "sh", "-c", denied, env!("CARGO_BIN_EXE_detour")])
            .arg(&path)
            .output()
            .expect("the Debian package util-linux");
        let ran = Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        is_one_message(&ran, "not allowed to listen on 127.0.0.1:53: grant CAP_NET_BIND_SERVICE");
    }
}

/// 128 files leave 48 slow probe runs at once, for 300 checks of each site.
#[test]
fn a_limit_on_files_that_makes_failovers_slower_is_told_by_health_and_status_and_in_one_line() {
    let names: Vec<String> = (0..300).map(|n| format!("\"n{n}.example.com\"")).collect();
    let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
    let (at_fra, at_iad) = (fra.addresses[0], iad.addresses[0]);
    // Nothing else is wrong.
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nthreads = 1\n[control]\nlisten = \"127.0.0.1:0\"\n[sites.fra]\n[sites.iad]\n\
         [probes.web]\ntype = \"http\"\nport = {}\npath = \"/health\"\ninterval = \"1h\"\ntimeout = \"60s\"\n[[zone]]\nname = \"example.com\"\nfile = \"example.com.zone\"\n\
         [[service]]\nnames = [{}]\nprobes = [\"web\"]\nendpoints = [{{ site = \"fra\", addresses = [\"{at_fra}\"] }}, \
         {{ site = \"iad\", addresses = [\"{at_iad}\"] }}]\n",
        fra.port,
        names.join(", ")
    );
    let detour = Detour::start_within(128, &config, &zone(1, ""));
    let says = "the limit on open files lets 48 slow probe runs be under way at once, fewer than site ";
    let (status, words) = health(&detour);
    assert_eq!(status, 200, "a restart would not help");
    assert!(words.starts_with("degraded: ") && words.contains(says), "{words}");
    assert!(detour.told(&["status"]).contains(says));
    let kind = detour.json("/v1/status")["conditions"]["counts"]["probe-limit"].clone();
    assert_eq!(kind, 1, "it is a condition");
    let lines = detour.log().lines().filter(|line| line.contains(says)).count();
    assert!(lines <= 2, "{lines} lines say so:\n{}", detour.log());
    // A configuration that asks for less ends it.
    let few = config.replace(&names.join(", "), &names[..2].join(", "));
    detour.write_config(&few);
    detour.told(&["reload", "--force"]);
    assert!(!health(&detour).1.contains(says));
}
