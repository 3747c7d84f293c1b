//! What is allowed and probably not meant, and what `check` says of it.

use crate::refused::{check_head, endpoints};
use crate::{Folder, HEAD, ZONE};

/// The warnings of a configuration that loads, each without its excerpt.
fn warnings(text: &str, zone: &str) -> Vec<String> {
    let folder = Folder::new(&[("detour.toml", text), ("example.com.zone", zone)]);
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    loaded.warnings.iter().map(|warning| folder.shown(warning)).collect()
}

/// A configuration in which nothing is left unused, with these lines in its one service.
fn service(lines: &str) -> String {
    format!(
        "[sites.fra]\n[sites.iad]\n[probes.web]\ntype = \"tcp\"\nport = 80\n[[zone]]\nname = \"example.com\"\n\
         file = \"example.com.zone\"\n[[service]]\nname = \"app.example.com\"\nprobes = [\"web\"]\n{lines}\n"
    )
}

const TWO: &str = "endpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }, \
                   { site = \"iad\", addresses = [\"198.51.100.10\"] }]";

#[track_caller]
fn warns(lines: &str, says: &str, helps: &str) {
    let told = warnings(&service(lines), ZONE);
    assert!(told.iter().any(|w| w.contains(says) && w.contains(helps)), "{says}: {told:?}");
}

#[test]
fn a_service_in_which_everything_is_meant_has_no_warning() {
    assert_eq!(warnings(&service(TWO), ZONE), Vec::<String>::new());
}

#[test]
fn what_is_probably_not_meant_is_a_warning_that_says_what_to_do() {
    let one = "endpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]";
    warns(
        one,
        "service \"app.example.com.\" has one endpoint and nothing to fail over to",
        "at another site",
    );
    warns(one, "detour.toml:2:8: warning: site \"iad\" has no endpoint", "or delete it");
    let spare = format!("{one}\nall_down = {{ fallback = [\"192.0.2.99\"] }}");
    assert!(!warnings(&service(&spare), ZONE).iter().any(|w| w.contains("fail over to")));
    warns(&format!("{TWO}\nttl = \"0s\""), "detour.toml:13:7: warning: ttl is 0s", "ttl = \"5s\"");
    let same = "endpoints = [{ site = \"fra\", cname = \"lb.example.net\" }, \
                { site = \"iad\", cname = \"LB.example.net.\" }]";
    warns(same, "\"fra\" and \"iad\" have the same CNAME target, \"lb.example.net.\"", "fail over to itself");
    let unused = service(TWO).replace("[[zone]]", "[probes.old]\ntype = \"tcp\"\nport = 1\n[[zone]]");
    let told = warnings(&unused, ZONE);
    assert!(told[0].starts_with("detour.toml:6:9: warning: probe \"old\" is not used"), "{told:?}");
    let literal = service(TWO).replace("app.example.com", "${APP}.example.com");
    let told = warnings(&literal, ZONE);
    assert!(
        told[0].contains("\"${APP}.example.com\" has a placeholder, and nothing fills it in"),
        "{told:?}"
    );
}

#[test]
fn cname_targets_of_services_that_lead_to_each_other_are_an_error() {
    let ring = |targets: &[(&str, &str)]| {
        let services = targets.iter().map(|(name, target)| {
            format!(
                "[[service]]\nname = \"{name}.example.com\"\nprobes = [\"db\"]\nendpoints = [\
                 {{ site = \"fra\", cname = \"{target}\" }}, {{ site = \"iad\", addresses = [\"192.0.2.20\"] }}]\n"
            )
        });
        let text = format!("{HEAD}{}", services.collect::<String>());
        let folder = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]);
        folder.load().map(|_| ()).map_err(|report| folder.shown(&report))
    };
    let report = ring(&[("a", "b.example.com"), ("b", "c.example.com"), ("c", "a.example.com")]).unwrap_err();
    let says = "CNAME targets of services lead to each other: a.example.com → b.example.com → c.example.com → a.example.com";
    assert!(report.contains(says), "{report}");
    assert_eq!(report.matches(" error: ").count(), 1, "{report}");
    // A chain is no ring, and neither is a name that two lead to.
    ring(&[("a", "b.example.com"), ("b", "c.example.com"), ("c", "lb.example.net")]).unwrap();
    ring(&[("a", "c.example.com"), ("b", "c.example.com"), ("c", "lb.example.net")]).unwrap();
    let report = ring(&[("x", "a.example.com"), ("a", "b.example.com"), ("b", "a.example.com")]).unwrap_err();
    assert!(report.contains(": a.example.com → b.example.com → a.example.com"), "{report}");
}

#[test]
fn a_cname_target_of_one_label_is_an_error_that_guesses_the_name() {
    let report = endpoints("{ site = \"fra\", cname = \"mail\" }");
    let says = "CNAME target \"mail\" is a single label, and CNAME targets are absolute names";
    check_head(&report, &format!("detour.toml:16:38: error: {says}"));
    assert!(report.contains("help: did you mean \"mail.example.com\"?"), "{report}");
}

#[test]
fn negative_caching_is_part_of_the_promise_where_a_name_can_become_empty() {
    use detour::model::{Surroundings, worst_case};
    let zone = ZONE.replace("1w 5m", "1w 1h");
    let sum = |lines: &str| {
        let folder = Folder::new(&[("detour.toml", &service(lines)), ("example.com.zone", &zone)]);
        let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
        let sum = worst_case(&loaded.config.services[0], &Surroundings::of(&loaded.config, usize::MAX));
        let warned: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        (sum.to_string(), warned.into_iter().any(|w| w.contains("negative answers of zone \"example.com.\"")))
    };
    let plain = ("detection 11s + publish 0.1s + TTL 30s = 41.1s".to_owned(), false);
    let negative = ("detection 11s + publish 0.1s + negative TTL 3600s = 3611.1s".to_owned(), true);
    assert_eq!(sum(TWO), plain);
    assert_eq!(sum(&format!("{TWO}\nall_down = \"empty\"")), negative);
    // The other endpoint has no IPv6, so AAAA is withheld while it is the one in use.
    let mixed = TWO.replace("\"192.0.2.10\"", "\"192.0.2.10\", \"2001:db8::10\"");
    assert_eq!(sum(&mixed), negative);
    let promise = service(&format!("{TWO}\nall_down = \"empty\"\nrto = \"60s\""));
    let folder = Folder::new(&[("detour.toml", &promise), ("example.com.zone", &zone)]);
    let report = folder.report();
    check_head(&report, "detour.toml:14:7: error: a worst case of 3611.1s exceeds rto 60s");
    assert!(report.contains("lower the minimum of the zone's SOA"), "{report}");
}

#[test]
fn a_secret_that_stands_in_the_configuration_by_mistake_is_in_no_message() {
    let secret = "QmFzZTY0U2VjcmV0";
    let report = |lines: &str| {
        let text = service(TWO).replace("[[zone]]", &format!("{lines}\n[[zone]]"));
        let report = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report();
        assert!(!report.contains(secret), "{report}");
        report
    };
    let named = report(&format!("[keys.xfr]\nsecret_file = \"{secret}\""));
    assert!(named.contains("cannot read secret \"***\": "), "{named}");
    assert!(named.contains("    secret_file = \"****************\""), "{named}");
    assert!(named.contains("help: this key names a file"), "{named}");
    let unknown = report(&format!("[keys.xfr]\nsecret = \"{secret}\""));
    assert!(unknown.contains("help: write secret_file = \"keys/xfr\""), "{unknown}");
    report(&format!("[keys]\nxfr = \"{secret}\""));
    report(&format!("[heartbeat]\ntokens = [\"{secret}\"]"));
    report(&format!("[alerts.mail]\ntype = \"email\"\npassword = \"{secret}\""));
    report(&format!("[alerts.mail]\ntype = \"email\"\npassword = {secret}"));
    report(&format!("[probes.api]\ntype = \"http\"\nheaders = {{ Authorization = \"{secret}\" }}, x"));
}
