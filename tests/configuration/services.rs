//! What is refused of services and their endpoints.

use crate::refused::{END, check, check_head, endpoints, service};
use crate::{Folder, HEAD, ZONE, folder, loaded};

#[test]
fn what_services_name_must_exist() {
    check(
        &folder("[[service]]\nname = \"app.example.com\"\nprobes = [\"wbe\"]\nendpoints = [{ site = \"frankfurt\", addresses = [\"192.0.2.10\"] }]").report(),
        r#"
detour.toml:15:11: error: unknown probe "wbe"
    probes = ["wbe"]
              ^^^^^
    help: did you mean "web"? configured probes: db, web
detour.toml:16:23: error: unknown site "frankfurt"
    endpoints = [{ site = "frankfurt", addresses = ["192.0.2.10"] }]
                          ^^^^^^^^^^^
    help: configured sites: fra, iad
"#,
    );
    check(
        &service("name = \"app.example.org\""),
        r#"
detour.toml:14:8: error: service "app.example.org." lies in no configured zone
    name = "app.example.org"
           ^^^^^^^^^^^^^^^^^
    help: configured zones: example.com.
"#,
    );
    let twice = "name = \"app.example.com\"\nprobes = [\"web\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]\n[[service]]\nname = \"APP.example.com.\"";
    check_head(&service(twice), "detour.toml:18:8: error: service \"app.example.com.\" is configured twice");
    check_head(
        &service("names = [\"a.example.com\", \"a.example.com\"]"),
        "detour.toml:14:27: error: service \"a.example.com.\" is configured twice",
    );
    check_head(
        &service("name = \"a.example.com\"\nnames = [\"b.example.com\"]"),
        "detour.toml:15:9: error: both \"name\" and \"names\"",
    );
    check_head(
        &service("name = \"a..example.com\""),
        "detour.toml:14:8: error: name \"a..example.com\" has an empty label",
    );
    check_head(
        &service("name = \"bücher.example.com\""),
        "detour.toml:14:8: error: name \"bücher.example.com\" has a character that is not printable ASCII",
    );
    check_head(
        &folder("[[service]]\nname = \"app.example.com\"\nprobes = [\"db\", \"db\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]").report(),
        "detour.toml:15:17: error: probe \"db\" is listed twice",
    );
}

#[test]
fn words_that_are_not_known() {
    let named = |line: &str| service(&format!("name = \"app.example.com\"\n{line}"));
    check_head(&named("policy = \"failovr\""), "detour.toml:15:10: error: policy \"failovr\" is unknown");
    check_head(&named("all_down = \"none\""), "detour.toml:15:12: error: all_down \"none\" is unknown");
    check_head(
        &named("all_down = { fallback = [] }"),
        "detour.toml:15:25: error: \"fallback\" is an empty list",
    );
    check_head(&named("all_down = {}"), "detour.toml:15:12: error: \"all_down\" has no \"fallback\"");
    check_head(
        &named("failback = { mode = \"never\" }"),
        "detour.toml:15:21: error: mode \"never\" is unknown",
    );
    check_head(
        &named("failback = { mode = \"manual\", hold = \"5s\" }"),
        "detour.toml:15:31: error: \"hold\" means nothing to a manual failback",
    );
}

#[test]
fn endpoints_must_be_able_to_fail_over() {
    let fra = "{ site = \"fra\", addresses = [\"192.0.2.10\"] }";
    check(
        &endpoints(&format!("{fra}, {{ site = \"iad\", addresses = [\"192.0.2.10\"] }}")),
        r#"
detour.toml:16:89: error: address 192.0.2.10 is at two sites, fra and iad: it cannot fail over to itself
    endpoints = [{ site = "fra", addresses = ["192.0.2.10"] }, { site = "iad", addresses = ["192.0.2.10"] }]
                                                                                            ^^^^^^^^^^^^
    help: each endpoint needs addresses of its own
"#,
    );
    check(
        &endpoints("{ site = \"fra\", addresses = [\"192.0.2.10\"], cname = \"lb.example.net\" }"),
        r#"
detour.toml:16:66: error: endpoint "fra" has a CNAME target beside addresses
    endpoints = [{ site = "fra", addresses = ["192.0.2.10"], cname = "lb.example.net" }]
                                                                     ^^^^^^^^^^^^^^^^
    help: keep one of them: nothing stands beside a CNAME (RFC 1034 section 3.6.2)
"#,
    );
    let twice = [
        (
            "{ site = \"fra\", addresses = [\"2001:db8::1\",\n\"2001:DB8:0::1\"] }".to_owned(),
            "detour.toml:17:1: error: address 2001:db8::1 is listed twice",
        ),
        (
            format!("{fra},\n{{ site = \"fra\", addresses = [\"192.0.2.11\"] }}"),
            "detour.toml:17:10: error: site \"fra\" has two endpoints",
        ),
    ];
    for (text, head) in twice {
        let report = endpoints(&text);
        check_head(&report, head);
        assert!(report.contains("help: the first is on line 16; delete one of them"), "{report}");
    }
    check_head(
        &endpoints("{ site = \"fra\" }"),
        "detour.toml:16:14: error: endpoint \"fra\" has neither addresses nor a CNAME target",
    );
    check_head(
        &endpoints("{ site = \"fra\", addresses = [] }"),
        "detour.toml:16:42: error: \"addresses\" is an empty list",
    );
    check_head(&endpoints(""), "detour.toml:16:13: error: \"endpoints\" is an empty list");
    for (bad, why) in [
        ("192.0.2.256", "\"192.0.2.256\" is not an IP address"),
        ("192.0.2.1:80", "\"192.0.2.1:80\" is not an IP address"),
        ("0.0.0.0", "0.0.0.0 is not an address a host can have"),
        ("255.255.255.255", "255.255.255.255 is not an address a host can have"),
        ("224.0.0.1", "224.0.0.1 is not an address a host can have"),
        ("ff02::1", "ff02::1 is not an address a host can have"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1 is not an address a host can have"),
    ] {
        let report = endpoints(&format!("{{ site = \"fra\", addresses = [\"{bad}\"] }}"));
        check_head(&report, &format!("detour.toml:16:43: error: {why}"));
    }
}

#[test]
fn cname_targets_stand_alone() {
    let cname = |name: &str, more: &str| {
        let end = "probes = [\"web\"]\nendpoints = [{ site = \"fra\", cname = \"lb.example.com\" }]\n";
        folder(&format!("[[service]]\nname = \"{name}\"\n{more}\n{end}")).report()
    };
    check_head(
        &cname("example.com", ""),
        "detour.toml:14:8: error: service \"example.com.\" is its zone's apex, where no CNAME may stand",
    );
    check_head(
        &cname("lb.example.com", ""),
        "detour.toml:17:38: error: the CNAME target is the service itself",
    );
    check_head(
        &cname("app.example.com", "all_down = \"all\""),
        "detour.toml:15:12: error: all_down \"all\" with a CNAME target: a name has one CNAME and nothing beside it",
    );
    check_head(
        &cname("txt.example.com", ""),
        "detour.toml:14:8: error: service \"txt.example.com.\" has a CNAME target, but the zone file holds TXT at that name",
    );
}

#[test]
fn probes_need_a_host_to_ask_for() {
    let text = format!("{HEAD}[[service]]\nname = \"*.example.com\"\n{END}")
        .replace("host = \"app.example.com\"", "");
    let report = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report();
    check(
        &report,
        r#"
detour.toml:14:8: error: probe "web" has no host to ask for: service "*.example.com." is no host name
    name = "*.example.com"
           ^^^^^^^^^^^^^^^
    help: set "host" at the probe
"#,
    );
}

#[test]
fn an_rto_is_a_promise() {
    check(
        &service("name = \"app.example.com\"\nrto = \"30s\""),
        r#"
detour.toml:15:7: error: a worst case of 41.1s exceeds rto 30s
    rto = "30s"
          ^^^^^
    help: detection 11s + publish 0.1s + TTL 30s = 41.1s; lower ttl, interval, timeout or fall, or raise rto
"#,
    );
    check_head(
        &service("names = [\"a.example.com\", \"b.example.com\"]\nrto = \"41099ms\""),
        "detour.toml:15:7: error: a worst case of 41.1s exceeds rto 41.099s",
    );
}

/// A service whose `probes` are this, on line 15.
fn probes(value: &str) -> String {
    let service = format!("[[service]]\nname = \"app.example.com\"\nprobes = {value}\n");
    let endpoints = "endpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]\n";
    format!("{HEAD}{service}{endpoints}")
}

#[test]
fn combinations_of_probes_are_read() {
    let check = |value: &str, expect: &str| {
        let config = loaded(&probes(value)).config;
        assert_eq!(config.services[0].probes.to_string(), expect, "{value}");
    };
    check("[\"web\"]", "web");
    check("[\"web\", \"db\"]", "all of (web, db)");
    check("{ all = [\"web\", \"db\"] }", "all of (web, db)");
    check("{ any = [\"web\", \"db\"] }", "any of (web, db)");
    check("{ at_least = 1, of = [\"web\", \"db\"] }", "any of (web, db)");
    check(
        "{ at_least = 2, of = [\"web\", \"db\", { any = [\"web\", \"db\"] }] }",
        "2 of (web, db, any of (web, db))",
    );
    check("[\"web\", { any = [\"db\"] }]", "all of (web, db)");
}

#[test]
fn combinations_of_probes_say_what_is_wrong() {
    let refused =
        |value: &str| Folder::new(&[("detour.toml", &probes(value)), ("example.com.zone", ZONE)]).report();
    let unclear = "error: probes are combined by one of \"all\", \"any\", and \"at_least\" with \"of\"";
    check(
        &refused("{ at_least = 2 }"),
        &format!(
            "detour.toml:15:10: {unclear}\n    probes = {{ at_least = 2 }}\n             ^^^^^^^^^^^^^^^^\n    \
             help: write {{ any = [\"a\", \"b\"] }}, or {{ at_least = 2, of = [\"a\", \"b\", \"c\"] }}"
        ),
    );
    check_head(&refused("{ any = [\"web\"], all = [\"db\"] }"), &format!("detour.toml:15:10: {unclear}"));
    check_head(
        &refused("{ at_least = 3, of = [\"web\", \"db\"] }"),
        "detour.toml:15:23: error: \"at_least\" is 3, not between 1 and 2",
    );
    check_head(&refused("{ any = [] }"), "detour.toml:15:18: error: \"any\" is an empty list");
    check_head(
        &refused("{ one = [\"web\"], any = [\"db\"] }"),
        "detour.toml:15:12: error: unknown key \"one\" in \"probes\"",
    );
    check_head(
        &refused("{ any = [\"web\", \"web\"] }"),
        "detour.toml:15:26: error: probe \"web\" is listed twice",
    );
    check_head(
        &refused("[[\"web\"]]"),
        "detour.toml:15:11: error: \"probes\" is a list, not a probe's key, or a table that combines probes",
    );
    let deep = |depth: usize| {
        (0..depth).fold("\"web\"".to_owned(), |inner, _| format!("{{ any = [\"db\", {inner}] }}"))
    };
    assert_eq!(loaded(&probes(&deep(4))).config.services[0].probes.leaves().count(), 5);
    let too_deep = refused(&deep(5));
    assert!(
        too_deep.contains("error: combinations of probes lie more than 4 deep in one another"),
        "{too_deep}"
    );
    let many = ["{ any = [\"web\", \"db\"] }"; 9].join(", ");
    check_head(&refused(&format!("[{many}]")), "detour.toml:15:10: error: more than 16 probes of a service");
}

#[test]
fn a_probe_is_watched_where_it_says_so() {
    let watched = |key: &str| {
        let text = HEAD.replace("port = 5432\n", &format!("port = 5432\n{key}\n"));
        loaded(&text).config.probes[1].watch
    };
    assert!(!watched(""));
    assert!(watched("watch = true"));
    assert!(!watched("watch = false"));
    check_head(
        &crate::refused::probe("watch = \"yes\""),
        "detour.toml:10:9: error: \"watch\" is a string, not true or false",
    );
}
