//! What a configuration means.

use std::time::Duration;

use detour::model::{
    AllDown, Failback, HttpProbe, PolicyKind, ProbeKind, RrsetOrder, Service, Surroundings, Target, TcpProbe,
    Thresholds, worst_case,
};

use crate::{Folder, HEAD, ZONE, loaded};

#[test]
fn rate_limits() {
    let limit = |lines: &str| loaded(&format!("{lines}\n{HEAD}{SERVICE}")).config.server.rate_limit;
    assert_eq!(limit(""), None);
    let default = limit("[server.rate_limit]").unwrap();
    assert_eq!((default.responses, default.errors, default.slip, default.table_size), (100, 100, 2, 65_536));
    assert_eq!((default.v4_bits, default.v6_bits, default.window), (24, 56, Duration::from_secs(1)));
    assert!(default.exempt.contains(&("127.0.0.0".parse().unwrap(), 8)) && default.exempt_peers);
    assert_eq!(default.listeners, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let chosen = limit(
        "[server.rate_limit]
        responses_per_second = 5
        nxdomains_per_second = 0
        exempt = [\"192.0.2.0/24\", \"2001:db8::/32\", \"0.0.0.0/0\", \"198.51.100.7\"]",
    );
    let chosen = chosen.unwrap();
    assert_eq!((chosen.responses, chosen.nxdomains, chosen.nodata, chosen.referrals), (5, 0, 5, 5));
    let exempt: Vec<String> =
        chosen.exempt.iter().map(|(address, bits)| format!("{address}/{bits}")).collect();
    assert_eq!(exempt, ["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "198.51.100.7/32"]);
    assert!(!chosen.exempt_peers);
}

#[test]
fn what_strangers_can_reach_has_a_rate_limit_unless_it_is_turned_off() {
    let server = |listen: &str, more: &str| {
        loaded(&format!("[server]\nlisten = [{listen}]\n{more}\n{HEAD}{SERVICE}")).config.server.clone()
    };
    let limited = |listen: &str, more: &str| -> Vec<String> {
        let limit = server(listen, more).rate_limit;
        limit.iter().flat_map(|limit| limit.listeners.iter().map(ToString::to_string)).collect()
    };
    let private = "\"127.0.0.1:53\", \"10.9.8.7:53\", \"100.127.0.1:53\", \"[fd00::1]:53\", \"[fe80::1]:53\", \"[::1]:53\"";
    assert!(limited(private, "").is_empty());
    assert_eq!(limited(&format!("{private}, \"192.0.2.53:53\""), ""), ["192.0.2.53"]);
    assert_eq!(limited("\"0.0.0.0:53\", \"[::]:53\"", ""), ["0.0.0.0", "::"]);
    assert_eq!(limited("\"127.0.0.1:53\"", "[server.rate_limit]"), ["127.0.0.1"]);
    assert!(limited("\"0.0.0.0:53\"", "[server.rate_limit]\nenabled = false").is_empty());

    let said = |listen, more| detour::model::rate_limit::describe(&server(listen, more));
    assert_eq!(said("\"127.0.0.1:53\"", ""), None);
    assert_eq!(
        said("\"192.0.2.53:53\", \"127.0.0.1:53\"", "").unwrap(),
        "rate limit on 192.0.2.53: 100 responses per second to each network"
    );
    assert_eq!(
        said("\"192.0.2.53:53\"", "[server.rate_limit]\nenabled = false").unwrap(),
        "rate limit: off, so forged queries to 192.0.2.53 can flood others with its answers"
    );
}

#[test]
fn name_servers_of_a_zone_have_no_rate_limit() {
    let more = "transfer = [\"198.51.100.0/24\", \"203.0.0.0/8\"]\nnotify = [\"198.51.101.7\"]";
    let head = HEAD.replacen("[[zone]]", &format!("[[zone]]\n{more}"), 1);
    assert!(head.contains(more));
    let exempt = |section: &str| {
        let config =
            loaded(&format!("[server]\nlisten = [\"192.0.2.53:53\"]\n{section}\n{head}{SERVICE}")).config;
        let limit = config.server.rate_limit.clone().unwrap();
        let exempt = limit.exempt(&config.zones);
        exempt.iter().map(|(address, bits)| format!("{address}/{bits}")).collect::<Vec<_>>()
    };
    let default = exempt("");
    for network in ["127.0.0.0/8", "10.0.0.0/8", "fc00::/7", "198.51.100.0/24", "198.51.101.7/32"] {
        assert!(default.iter().any(|exempt| exempt == network), "{network} is not in {default:?}");
    }
    assert!(!default.iter().any(|exempt| exempt == "203.0.0.0/8"), "too many to be name servers");
    assert_eq!(exempt("[server.rate_limit]\nexempt = [\"192.0.2.1\"]"), ["192.0.2.1/32"]);
}

const SERVICE: &str = r#"
[[service]]
name = "app.example.com"
probes = ["web"]
endpoints = [{ site = "fra", addresses = ["192.0.2.10"] }, { site = "iad", addresses = ["198.51.100.10"] }]
"#;

/// A service that has `more` keys, after those it must have.
fn service(more: &str) -> Service {
    Service::clone(&loaded(&format!("{HEAD}{SERVICE}{more}")).config.services[0])
}

#[test]
fn everything_that_may_be_left_out_has_its_default() {
    let config = loaded(&format!("{HEAD}{SERVICE}")).config;
    let base = config.path.parent().unwrap();

    assert_eq!(config.server.listen, ["127.0.0.1:5353".parse().unwrap()]);
    assert_eq!(config.server.state_dir, base.join("state"));
    assert!(config.server.threads >= 1);
    assert_eq!((config.server.nsid, config.server.chaos), (None, true));
    assert_eq!((config.server.cookie_secrets, config.server.rrset_order), (None, RrsetOrder::Fixed));
    assert_eq!(config.control.listen, "127.0.0.1:8053".parse().unwrap());
    assert_eq!(config.zones[0].file, base.join("example.com.zone"));
    assert_eq!((config.sites[0].name.as_str(), config.sites[0].location), ("fra", None));

    let [db, web] = [&config.probes[1], &config.probes[0]];
    assert_eq!((web.port, db.port), (80, 5432));
    assert_eq!([web.interval, web.confirm, web.timeout].map(|d| d.as_millis()), [5000, 250, 2000]);
    assert_eq!(web.thresholds, Thresholds { fall: 3, rise: 2, window: None });
    let http = HttpProbe { host: Some("app.example.com".to_owned()), ..HttpProbe::default() };
    assert_eq!((&web.kind, &db.kind), (&ProbeKind::Http(http), &ProbeKind::Tcp(TcpProbe::default())));

    let service = &config.services[0];
    assert_eq!(service.policy, PolicyKind::Failover);
    assert_eq!((service.ttl, service.ttl_suspect, service.rto), (30, 5, None));
    assert_eq!(service.failback, Failback::Auto { hold: Duration::from_secs(60) });
    assert_eq!(service.all_down, AllDown::Keep);
}

#[test]
fn defaults_stay_within_what_is_given() {
    let probe = |keys: &str| {
        let text = HEAD.replace("port = 5432\n", &format!("port = 5432\n{keys}\n"));
        let probe = loaded(&text).config.probes[1].clone();
        [probe.interval, probe.confirm, probe.timeout].map(|d| d.as_millis())
    };
    assert_eq!(probe("interval = '1s'"), [1000, 250, 500]);
    assert_eq!(probe("interval = '100ms'"), [100, 100, 50]);
    assert_eq!(probe("interval = '1m'"), [60_000, 250, 2000]);
    assert_eq!(probe("timeout = '4999ms'"), [5000, 250, 4999]);
    assert_eq!(service("ttl = '2s'").ttl_suspect, 2);
    assert_eq!(service("ttl = '0s'").ttl_suspect, 0);
}

#[test]
fn sites_and_probes_keep_the_order_of_the_file() {
    let text = HEAD.replace("[sites.iad]", "[sites.zrh]\n[sites.ams]\n[sites.iad]");
    let sites: Vec<_> = loaded(&text).config.sites.iter().map(|site| site.id.to_string()).collect();
    assert_eq!(sites, ["fra", "zrh", "ams", "iad"]);
}

#[test]
fn names_make_a_service_each() {
    let text = format!("{HEAD}{SERVICE}")
        .replace(r#"name = "app.example.com""#, r#"names = ["A.example.com.", "b.example.com"]"#);
    let names: Vec<_> = loaded(&text).config.services.iter().map(|s| s.name.to_string()).collect();
    // The first line of that kind was the head's zone, which keeps its own name.
    assert_eq!(names, ["a.example.com.", "b.example.com."]);
}

#[test]
fn failback_and_all_down_take_each_of_their_shapes() {
    let failback = |text: &str| service(&format!("failback = {text}")).failback;
    let auto = |secs| Failback::Auto { hold: Duration::from_secs(secs) };
    assert_eq!(failback("'manual'"), Failback::Manual);
    assert_eq!(failback("'auto'"), auto(60));
    assert_eq!(failback("{ mode = 'manual' }"), Failback::Manual);
    assert_eq!(failback("{ mode = 'auto', hold = '5m' }"), auto(300));
    assert_eq!(failback("{ hold = '0s' }"), auto(0));

    let all_down = |text: &str| service(&format!("all_down = {text}")).all_down;
    assert_eq!(all_down("'keep'"), AllDown::Keep);
    assert_eq!(all_down("'all'"), AllDown::All);
    assert_eq!(all_down("'primary'"), AllDown::Primary);
    assert_eq!(all_down("'empty'"), AllDown::Empty);
    let fallback = ["192.0.2.99", "2001:db8::99"].map(|addr| addr.parse().unwrap()).to_vec();
    assert_eq!(all_down("{ fallback = ['192.0.2.99', '2001:db8::99'] }"), AllDown::Fallback(fallback));
}

#[test]
fn a_service_lies_in_the_deepest_zone_around_it() {
    let sub = "$TTL 60\n@ SOA ns hostmaster 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.54\n";
    let text = format!("{HEAD}[[zone]]\nname = 'sub.example.com'\nfile = 'sub.zone'\n{SERVICE}")
        .replace("name = \"app.example.com\"", "name = \"www.sub.example.com\"");
    let folder = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE), ("sub.zone", sub)]);
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.config.services[0].zone, "sub.example.com".parse().unwrap());
    let apexes: Vec<_> = loaded.zones.iter().map(|zone| zone.apex().to_string()).collect();
    assert_eq!(apexes, ["example.com.", "sub.example.com."]);
}

#[test]
fn cname_targets_may_stand_at_some_endpoints_and_addresses_at_others() {
    let text =
        format!("{HEAD}{SERVICE}").replace(r#"addresses = ["198.51.100.10"]"#, r#"cname = "lb.example.net""#);
    let endpoints = loaded(&text).config.services[0].endpoints.clone();
    let v4 = vec!["192.0.2.10".parse().unwrap()];
    assert_eq!(endpoints[0].target, Target::Addresses { v4, v6: vec![] });
    assert_eq!(endpoints[1].target, Target::Cname("lb.example.net".parse().unwrap()));
}

/// One secret, or two while one follows the other; a change to the file is worth a reload.
#[test]
fn cookie_secrets_come_from_a_file_of_their_own() {
    let text = format!("[server]\ncookie_secrets = \"cookies\"\n{HEAD}{SERVICE}");
    let check = |file: &str, want: Result<(u8, Option<u8>), &str>| {
        let files = [("detour.toml", &*text), ("example.com.zone", ZONE), ("cookies", file)];
        let folder = Folder::new(&files);
        match (folder.load(), want) {
            (Ok(loaded), Ok((current, other))) => {
                let secrets = loaded.config.server.cookie_secrets.unwrap();
                let want = ([current; 16], other.map(|byte| [byte; 16]));
                assert_eq!((secrets.current, secrets.other), want, "{file:?}");
                assert!(loaded.files.contains(&folder.path("cookies")));
                assert_eq!(format!("{secrets:?}"), "CookieSecrets { .. }");
            }
            (Err(report), Err(want)) => {
                let shown = report.to_string();
                assert!(
                    shown.contains(&format!("cannot read cookie secrets \"cookies\": {want}")),
                    "{shown}"
                );
            }
            (Ok(_), Err(want)) => panic!("{file:?} is read, and not: {want}"),
            (Err(report), Ok(_)) => panic!("{report}"),
        }
    };
    let [one, two] = ["ab".repeat(16), "CD".repeat(16)];
    check(&one, Ok((0xab, None)));
    check(&format!("# ours\n\n  {two}\n{one}\n"), Ok((0xcd, Some(0xab))));
    check("", Err("it holds 0 secrets, not one or two"));
    check(&format!("{one}\n{two}\n{one}"), Err("it holds 3 secrets, not one or two"));
    check(&one[1..], Err("line 1 is not 32 hexadecimal digits"));
    check(&format!("{one}\n+{}", &one[1..]), Err("line 2 is not 32 hexadecimal digits"));
}

#[test]
fn one_family_less_at_one_site_is_a_warning() {
    let text = format!("{HEAD}{SERVICE}").replace(r#"["192.0.2.10"]"#, r#"["192.0.2.10", "2001:db8::10"]"#);
    let folder = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]);
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    let warnings: Vec<_> = loaded.warnings.iter().map(|problem| folder.shown(problem)).collect();
    let warnings: Vec<_> =
        warnings.iter().filter(|warning| warning.contains("has no IPv6 address")).collect();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with(
            "detour.toml:17:85: warning: endpoint \"iad\" has no IPv6 address, while \"fra\" has one\n"
        ),
        "{}",
        warnings[0]
    );
}

/// The sum of the documentation: found well at 0s, then hanging; runs begin at 5s, 7s and 9s and take 2s
/// each, which is 11s; an answer given just before the change lives 30s.
#[test]
fn the_worst_case_adds_up() {
    let sum = |probe: &str, more: &str| {
        let text =
            format!("{HEAD}{SERVICE}{more}").replace("type = \"http\"", &format!("type = 'http'\n{probe}"));
        worst_case(&loaded(&text).config.services[0], &Surroundings::default()).to_string()
    };
    assert_eq!(sum("", ""), "detection 11s + publish 0.1s + TTL 30s = 41.1s");
    // confirm above timeout sets the pace
    assert_eq!(sum("confirm = '3s'", "ttl = '5s'"), "detection 13s + publish 0.1s + TTL 5s = 18.1s");
    // one failure is enough
    assert_eq!(sum("fall = 1", "ttl = '0s'"), "detection 7s + publish 0.1s + TTL 0s = 7.1s");
    let fast = "interval = '1s'\nconfirm = '100ms'\ntimeout = '500ms'";
    assert_eq!(sum(fast, ""), "detection 2.5s + publish 0.1s + TTL 30s = 32.6s");
    // the slowest probe counts
    let both = format!("{HEAD}{SERVICE}").replace(r#"["web"]"#, r#"["web", "db"]"#);
    let both = both.replace("port = 5432", "port = 5432\nfall = 5");
    let sum = worst_case(&loaded(&both).config.services[0], &Surroundings::default());
    assert_eq!(sum.detection, Duration::from_secs(15));
}

#[test]
fn history_takes_a_size_and_an_age() {
    use detour::model::HistoryBounds;
    let bounds = |text: &str| loaded(&format!("{HEAD}{text}")).config.history;
    let days = |days: u64| Duration::from_secs(days * 86_400);
    assert_eq!(bounds(""), HistoryBounds { max: 256 << 20, keep: days(30) });
    assert_eq!(
        bounds("[history]\nmax = '2 GiB'\nkeep = '48h'"),
        HistoryBounds { max: 2 << 30, keep: days(2) }
    );
}
