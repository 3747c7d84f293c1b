//! What is refused, where it is reported, and the way out that is shown.

use crate::refused::{END, check, check_head, endpoints, first, http, probe, service};
use crate::{Folder, HEAD, ZONE, folder};

#[test]
fn keys() {
    check(
        &service("name = \"app.example.com\"\ntime_to_live = \"30s\"\nttl_supsect = \"5s\""),
        r#"
detour.toml:15:1: error: unknown key "time_to_live" in [[service]]
    time_to_live = "30s"
    ^^^^^^^^^^^^
    help: known keys: name, names, policy, members, min_up, max_answers, pick, sticky, slow_start, geo, groups, ttl, ttl_suspect, probes, failback, failover, exempt_from_safety, load, shed, families and 3 more
detour.toml:16:1: error: unknown key "ttl_supsect" in [[service]]
    ttl_supsect = "5s"
    ^^^^^^^^^^^
    help: did you mean "ttl_suspect"? known keys: name, names, policy, members, min_up, max_answers, pick, sticky, slow_start, geo, groups, ttl, ttl_suspect, probes, failback, failover, exempt_from_safety, load, shed, families and 3 more
"#,
    );
    check(
        &first("[srever]\nnsid = \"ns1\""),
        r#"
detour.toml:1:2: error: unknown key "srever" in the file
    [srever]
     ^^^^^^
    help: did you mean "server"? known keys: server, control, keys, heartbeat, sites, probes, zone, catalog, vantage, geo, service, maintenance, history, alerts, safety, log, metrics, query_log, dnstap, otlp
"#,
    );
    check(
        &service("ttl = \"30s\""),
        r#"
detour.toml:13:1: error: [[service]] has no "name"
    [[service]]
    ^^^^^^^^^^^
    help: add name = "app.example.com"
"#,
    );
    check(
        &Folder::new(&[("detour.toml", "")]).report(),
        "detour.toml:1:1: error: the file has no \"zone\"\n    help: add a [[zone]] with a name and a file",
    );
    check_head(&probe("path = \"/\""), "detour.toml:10:1: error: \"path\" means nothing to a tcp probe");
    check_head(&http("verify = false"), "detour.toml:5:1: error: unknown key \"verify\" in [probes.web]");
}

#[test]
fn types() {
    check(
        &probe("interval = 5"),
        r#"
detour.toml:10:12: error: "interval" is an integer, not a duration
    interval = 5
               ^
    help: durations are strings, as in "500ms", "5s" or "1h"
"#,
    );
    check(
        &folder(&format!("[service]\nname = \"app.example.com\"\n{END}")).report(),
        r#"
detour.toml:13:1: error: "service" is a table, not a list
    [service]
    ^^^^^^^^^
    help: a table that can be repeated has two brackets, as in [[service]]
"#,
    );
    check_head(&probe("fall = \"3\""), "detour.toml:10:8: error: \"fall\" is a string, not an integer");
    check_head(
        &first("[server]\nlisten = \"[::]:53\""),
        "detour.toml:2:10: error: \"listen\" is a string, not a list",
    );
    check_head(&first("server = 1"), "detour.toml:1:10: error: \"server\" is an integer, not a table");
    check_head(&service("name = true"), "detour.toml:14:8: error: \"name\" is a boolean, not a domain name");
    check_head(
        &service("name = \"app.example.com\"\nall_down = 1"),
        "detour.toml:15:12: error: \"all_down\" is an integer, not a word or a table with \"fallback\"",
    );
}

#[test]
fn durations_and_numbers() {
    check(
        &probe("interval = \"5\""),
        r#"
detour.toml:10:12: error: duration "5" has no unit
    interval = "5"
               ^^^
    help: durations are a number and a unit, as in "500ms", "5s" or "1h"
"#,
    );
    let named = |ttl: &str| service(&format!("name = \"app.example.com\"\n{ttl}"));
    check_head(&named("ttl = \"-1s\""), "detour.toml:15:7: error: duration \"-1s\" is negative");
    check_head(
        &named("ttl = \"2147483648s\""),
        "detour.toml:15:7: error: \"ttl\" is 2147483648s, not between 0s and 2147483647s",
    );
    check_head(&named("ttl = \"1500ms\""), "detour.toml:15:7: error: \"ttl\" has a part of a second");
    check_head(&named("rto = \"0s\""), "detour.toml:15:7: error: \"rto\" is zero");
    check_head(
        &named("ttl = \"10s\"\nttl_suspect = \"11s\""),
        "detour.toml:16:15: error: ttl_suspect 11s is above ttl 10s",
    );
    check_head(&probe("interval = \"0s\""), "detour.toml:10:12: error: \"interval\" is zero");
    check_head(&probe("fall = 0"), "detour.toml:10:8: error: \"fall\" is zero");
    check_head(&probe("rise = -1"), "detour.toml:10:8: error: \"rise\" is -1, not between 0 and 100");
    check_head(
        &probe("window = 0x100"),
        "detour.toml:10:10: error: \"window\" is 0x100, not between 0 and 100",
    );
    check_head(
        &probe("interval = \"25h\""),
        "detour.toml:10:12: error: \"interval\" is 90000s, not between 0s and 86400s",
    );
    check_head(&http("port = 65536"), "detour.toml:5:8: error: \"port\" is 65536, not between 1 and 65535");
    check_head(
        &first("[sites.ams]\nlocation = [90.5, 0]"),
        "detour.toml:2:13: error: \"location\" is 90.5, not between -90 and 90",
    );
    check_head(
        &first("[sites.ams]\nlocation = [nan, 0]"),
        "detour.toml:2:13: error: \"location\" is NaN, not between -90 and 90",
    );
    check_head(
        &first("[sites.ams]\nlocation = [1]"),
        "detour.toml:2:12: error: \"location\" is a list, not a latitude and a longitude",
    );
}

#[test]
fn probes_keep_their_pace() {
    check(
        &probe("interval = \"2s\"\ntimeout = \"2s\""),
        r#"
detour.toml:11:11: error: timeout 2s is not below interval 2s
    timeout = "2s"
              ^^^^
    help: a run has to end before the next begins: lower timeout or raise interval
"#,
    );
    check_head(
        &probe("interval = \"1s\"\nconfirm = \"1001ms\""),
        "detour.toml:11:11: error: confirm 1.001s is above interval 1s",
    );
    check_head(&probe("fall = 4\nwindow = 3"), "detour.toml:11:10: error: window 3 is below fall 4");
    check_head(&probe("window = 2"), "detour.toml:10:10: error: window 2 is below fall 3");
}

#[test]
fn probe_types() {
    let of_type = |word: &str| {
        let text = HEAD.replace("\"http\"", word);
        Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report()
    };
    check(
        &of_type("\"htpps\""),
        r#"
detour.toml:4:8: error: type "htpps" is unknown
    type = "htpps"
           ^^^^^^^
    help: did you mean "https"? supported: http, https, tcp, tls, icmp, dns, grpc, exec, heartbeat
"#,
    );
    let text = HEAD.replace("port = 5432\n", "");
    let report = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report();
    check_head(&report, "detour.toml:7:1: error: [probes.db] has no \"port\"");
    let text = HEAD.replace("[probes.db]", "[probes.\"d b\"]");
    let report = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report();
    check_head(
        &report,
        "detour.toml:7:9: error: \"d b\" is not a key of at most 63 letters, digits, \"-\" and \"_\"",
    );
}

#[test]
fn what_http_probes_ask_and_expect() {
    let status = |list: &str| http(&format!("expect = {{ status = [{list}] }}"));
    for bad in ["", "20x", "2", "99", "600", "300-200", "200-", "+20", "200-299-300"] {
        check_head(
            &status(&format!("\"{bad}\"")),
            &format!("detour.toml:5:22: error: {bad:?} is not a status or a range of them"),
        );
    }
    check_head(
        &status("200"),
        "detour.toml:5:22: error: \"status\" is an integer, not a status like \"200\" or \"200-299\"",
    );
    check_head(&status(""), "detour.toml:5:21: error: \"status\" is an empty list");
    for bad in ["health", "/a b", "/ä", "/a#b"] {
        check_head(
            &http(&format!("path = \"{bad}\"")),
            &format!(
                "detour.toml:5:8: error: {bad:?} is not a path of printable ASCII that begins with \"/\""
            ),
        );
    }
    check_head(
        &http("path = \"/\\r\\nX-Evil: 1\""),
        "detour.toml:5:8: error: \"/\\r\\nX-Evil: 1\" is not a path of printable ASCII that begins with \"/\"",
    );
    for bad in ["", "a..b", "app.example.com:443", "http://app", "-a", "a b", "app.example.com."] {
        check_head(
            &http(&format!("host = \"{bad}\"")),
            &format!("detour.toml:5:8: error: {bad:?} is not a host name (the port has its own key)"),
        );
    }
}

#[test]
fn where_the_server_listens() {
    check_head(
        &first("[server]\nlisten = [\"127.0.0.1:53\", \"[::1]:53\", \"127.0.0.1:53\"]"),
        "detour.toml:2:39: error: 127.0.0.1:53 is listened on twice",
    );
    check_head(
        &first("[server]\nlisten = [\"localhost:53\"]"),
        "detour.toml:2:11: error: \"localhost:53\" is not an address with a port",
    );
    check(
        &first("[control]\nlisten = \"0.0.0.0:8053\""),
        r#"
detour.toml:2:10: error: 0.0.0.0:8053 is not a loopback address, and without tokens the API answers this host alone
    listen = "0.0.0.0:8053"
             ^^^^^^^^^^^^^^
    help: add tokens = "tokens", made by `detour token new`, or listen on loopback, as in "127.0.0.1:8053"
"#,
    );
    check_head(&first("[server]\nnsid = \"\""), "detour.toml:2:8: error: \"nsid\" is empty");
    check_head(
        &first("[server]\nnsid = \"a\\nb\""),
        "detour.toml:2:8: error: \"nsid\" has a control character",
    );
    check_head(
        &first(&format!("[server]\nnsid = \"{}\"", "x".repeat(200))),
        "detour.toml:2:8: error: \"nsid\" is longer than 128 bytes",
    );
    check_head(
        &first("[server]\nchaos = \"off\""),
        "detour.toml:2:9: error: \"chaos\" is a string, not true or false",
    );
    check_head(
        &first("[server]\nrrset_order = \"random\""),
        "detour.toml:2:15: error: rrset_order \"random\" is unknown",
    );
    check_head(
        &first("[server]\nthreads = 5000"),
        "detour.toml:2:11: error: \"threads\" is 5000, not between 0 and 256",
    );
}

#[test]
fn rate_limits() {
    let limited = |line: &str| first(&format!("[server.rate_limit]\n{line}"));
    check_head(
        &limited("responses_per_second = 20000"),
        "detour.toml:2:24: error: \"responses_per_second\" is 20000, not between 0 and 10000",
    );
    check_head(&limited("slip = 101"), "detour.toml:2:8: error: \"slip\" is 101, not between 0 and 100");
    check_head(
        &limited("window = \"500ms\""),
        "detour.toml:2:10: error: \"window\" is 500ms, not between 1s and 60s",
    );
    check_head(
        &limited("ipv4_prefix = 33"),
        "detour.toml:2:15: error: \"ipv4_prefix\" is 33, not between 1 and 32",
    );
    check_head(
        &limited("table_size = 5"),
        "detour.toml:2:14: error: \"table_size\" is 5, not between 1024 and 16777216",
    );
    for bad in ["192.0.2.1/24", "192.0.2.0/33", "::/129", "localhost", "192.0.2.0/"] {
        check_head(
            &limited(&format!("exempt = [\"{bad}\"]")),
            &format!("detour.toml:2:11: error: {bad:?} is not a network"),
        );
    }
    check_head(
        &limited("respnses = 5"),
        "detour.toml:2:1: error: unknown key \"respnses\" in [server.rate_limit]",
    );
}

#[test]
fn a_syntax_error_comes_alone() {
    check(
        &first("[server]\nnsid = ns1\nbogus = 1"),
        r"
detour.toml:2:8: error: not TOML: strings stand in quotes
    nsid = ns1
           ^^^
",
    );
    check_head(
        &first("[sites.fra]"),
        "detour.toml:2:8: error: not TOML: duplicate key; the first is on line 1",
    );
    let folder = Folder::new(&[]);
    std::fs::write(folder.path("detour.toml"), b"[server]\nnsid = \"\xff\"\n").unwrap();
    check_head(&folder.report(), "detour.toml:2:9: error: the file is not UTF-8");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = Folder::new(&[]);
    check(
        &folder.report(),
        "detour.toml: error: cannot read the configuration: No such file or directory (os error 2)",
    );
    std::fs::create_dir(folder.path("detour.toml")).unwrap();
    check(&folder.report(), "detour.toml: error: cannot read the configuration: it is not a regular file");
    check(
        &Folder::new(&[("detour.toml", HEAD)]).report(),
        r#"
detour.toml:12:8: error: cannot read zone file "example.com.zone": No such file or directory (os error 2)
    file = "example.com.zone"
           ^^^^^^^^^^^^^^^^^^
"#,
    );
}

/// A dozen things wrong and a bad zone file: each is reported once, and nothing because of another.
#[test]
fn every_problem_at_once() {
    let text = r#"
[server]
thread = 4
[control]
listen = "192.0.2.1:8053"
[sites.fra]
[probes.web]
type = "http"
interval = 5
timeout = "1m"
[probes.api]
type = "https"
expect = { status = ["2xx"] }
[[zone]]
name = "example.com"
file = "bad.zone"
[[zone]]
name = "example.net"
file = "missing.zone"
[[service]]
name = "app.example.com"
probes = ["web", "apj"]
ttl = "30"
endpoints = [{ site = "fra", addresses = ["192.0.2.10"] }, { site = "iad", addresses = ["192.0.2.300"] }]
[[service]]
names = ["www.example.org", "app.example.com"]
probes = ["api"]
"#;
    let zone = "@ 3600 SOA ns1 hostmaster 1 1h 15m 1w 5m\n  NS ns1\nns1 A 192.0.2.1000\n";
    let report = Folder::new(&[("detour.toml", text), ("bad.zone", zone)]).report();
    let heads: Vec<_> = report.lines().filter_map(|line| line.split_once(" error: ")).collect();
    let expect = [
        ("detour.toml:3:1:", "unknown key \"thread\" in [server]"),
        (
            "detour.toml:5:10:",
            "192.0.2.1:8053 is not a loopback address, and without tokens the API answers this host alone",
        ),
        ("detour.toml:9:12:", "\"interval\" is an integer, not a duration"),
        ("detour.toml:13:22:", "\"2xx\" is not a status or a range of them"),
        (
            "detour.toml:19:8:",
            "cannot read zone file \"missing.zone\": No such file or directory (os error 2)",
        ),
        ("detour.toml:22:18:", "unknown probe \"apj\""),
        ("detour.toml:23:7:", "duration \"30\" has no unit"),
        ("detour.toml:24:69:", "unknown site \"iad\""),
        ("detour.toml:24:89:", "\"192.0.2.300\" is not an IP address"),
        ("detour.toml:25:1:", "[[service]] has no \"endpoints\""),
        ("detour.toml:26:10:", "service \"www.example.org.\" lies in no configured zone"),
        ("detour.toml:26:29:", "service \"app.example.com.\" is configured twice"),
    ];
    assert_eq!(&heads[..expect.len()], expect, "\n{report}");
    assert!(heads[expect.len()..].iter().all(|(place, _)| place.starts_with("bad.zone:")), "\n{report}");
    assert!(heads.len() > expect.len(), "the zone file's problem is missing\n{report}");
}

/// What is wrong with a section is not told again of the services that name it.
#[test]
fn one_mistake_is_one_problem() {
    let one = |from: &str, to: &str, expect: &str| {
        let rest = format!("[[service]]\nname = \"app.example.com\"\n{END}");
        let text = format!("{HEAD}{rest}").replacen(from, to, 1);
        check_head(&Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report(), expect);
    };
    one("file = \"example.com.zone\"\n", "", "detour.toml:10:1: error: [[zone]] has no \"file\"");
    one(
        "name = \"example.com\"",
        "name = 1",
        "detour.toml:11:8: error: \"name\" is an integer, not a domain name",
    );
    one(
        "[sites.fra]",
        "[sites.fra]\nlocation = 1",
        "detour.toml:2:12: error: \"location\" is an integer, not a list",
    );
    one("type = \"http\"", "type = \"htp\"", "detour.toml:4:8: error: type \"htp\" is unknown");
}

#[test]
fn a_flood_of_problems_is_cut_short() {
    let keys: Vec<_> = (0..5000).map(|n| format!("key{n} = 1")).collect();
    let report = first(&format!("[server]\n{}", keys.join("\n")));
    assert_eq!(report.matches(" error: ").count(), 100);
    assert!(report.ends_with("\nand 4900 more"), "{}", &report[report.len() - 100..]);
}

/// What people type by mistake: one fault, where it is, and what to type.
#[test]
fn a_common_mistake_is_one_fault_with_its_place_and_what_to_type() {
    let says = |report: &str, at: &str, helps: &str| {
        check_head(report, at);
        assert!(report.contains(helps), "{report}");
    };
    says(
        &endpoints("{ site = \"fra\", address = \"192.0.2.10\" }"),
        "detour.toml:16:30: error: unknown key \"address\" in the endpoint",
        "help: write addresses = [\"192.0.2.10\"]",
    );
    says(
        &service("name = \"app.example.com\"\nfailback = true"),
        "detour.toml:15:12: error: \"failback\" is a boolean, not \"auto\", \"manual\", \"approve\" or a table",
        "help: write failback = \"manual\", or failback = { mode = \"auto\", hold = \"60s\" }",
    );
    says(
        &http("expect_status = 200"),
        "detour.toml:5:1: error: unknown key \"expect_status\" in [probes.web]",
        "help: write expect = { status = [\"200-299\"] }",
    );
    says(
        &first("[server]\nlisten = \"[::]:53\""),
        "detour.toml:2:10: error: \"listen\" is a string, not a list",
        "help: put it into a list, as in listen = [\"[::]:53\"]",
    );
    says(
        &first("server:\n  listen: \"[::]:53\""),
        "detour.toml:1:1: error: the file is YAML, and the configuration is TOML",
        "key = value",
    );
    says(
        &first("[server]\nlisten = [\"[::]:53\"\n"),
        "detour.toml:2:10: error: this [ is never closed",
        "help: add the ] that ends it",
    );
    says(&first("[server\nnsid = \"a\""), "detour.toml:1:1: error: this [ is never closed", "add the ]");
    says(
        &first("[server]\nnsid = \"a\"\nchaos = true\nnsid = \"b\""),
        "detour.toml:4:1: error: not TOML: duplicate key; the first is on line 2",
        "nsid = \"b\"",
    );
    let twice = format!("[[service]]\nname = \"app.example.com\"\n{END}");
    says(
        &folder(&format!("{twice}{twice}")).report(),
        "detour.toml:18:8: error: service \"app.example.com.\" is configured twice",
        "help: the first is on line 14",
    );
    says(
        &first("[server]\nlisten = [\n\"[::1]:53\",\n\"127.0.0.1:53\",\n\"[::1]:53\"]"),
        "detour.toml:5:1: error: [::1]:53 is listened on twice",
        "help: the first is on line 3; delete one of them",
    );
    let probes = END.replace("[\"web\"]", "[\"web\",\n\"web\"]");
    let probes = format!("[[service]]\nname = \"app.example.com\"\n{probes}");
    says(
        &folder(&probes).report(),
        "detour.toml:16:1: error: probe \"web\" is listed twice",
        "help: the first is on line 15; delete one of them",
    );
    let hash = ZONE.replace("txt ", "# the text (and more\ntxt ");
    let text = format!("{HEAD}{twice}");
    let report = Folder::new(&[("detour.toml", &text), ("example.com.zone", &hash)]).report();
    assert_eq!(
        report.lines().next().unwrap(),
        "example.com.zone:8:1: error: comments in a zone file begin with \";\", not with \"#\"",
        "{report}"
    );
    assert_eq!(report.matches(" error: ").count(), 1, "{report}");
}
