//! Probes that are not asked over HTTP: their keys, and what is wrong with them.

use detour::dns::{RrType, rdata_from_text};
use detour::model::{Config, DnsProbe, GrpcProbe, Matching, ProbeKind, Surroundings, worst_case};

use crate::refused::check_head;
use crate::{Folder, HEAD, ZONE, loaded};

const TOKENS: &str = "\
# service site token
app.example.com. fra 0123456789abcdef

app.example.com fra fedcba9876543210
app.example.com iad abcdefghijklmnop
";

/// The head with this for its second probe, and a service that uses it.
fn text(probe: &str) -> String {
    let head = HEAD.replace("type = \"tcp\"\nport = 5432\n", &format!("{probe}\n"));
    format!(
        "{head}[[service]]\nname = \"app.example.com\"\nprobes = [\"db\"]\nendpoints = [\
         {{ site = \"fra\", addresses = [\"192.0.2.10\"] }}, {{ site = \"iad\", addresses = [\"192.0.2.20\"] }}]\n"
    )
}

fn dns(keys: &str) -> (Config, DnsProbe) {
    let config = loaded(&text(&format!("type = \"dns\"\n{keys}"))).config;
    let ProbeKind::Dns(dns) = config.probes[1].kind.clone() else { panic!("{:?}", config.probes[1]) };
    (config, dns)
}

#[test]
fn dns_probes() {
    let (config, probe) = dns("");
    let want = DnsProbe {
        name: None,
        qtype: RrType::A,
        tcp: false,
        recursion: false,
        rcode: 0,
        authoritative: None,
        records: vec![],
        empty: false,
        matching: Matching::All,
    };
    assert_eq!((&probe, config.probes[1].port), (&want, 53));
    assert_eq!(config.checks()[0].key.to_string(), "db@192.0.2.10 (app.example.com)");

    let (config, probe) =
        dns("name = \"Example.org\"\nqtype = \"mx\"\ntransport = \"tcp\"\nrecursion = true\nport = 5300\n\
         expect = { authoritative = true, records = [\"10 MAIL.example.org.\"], match = \"exact\" }");
    let want = DnsProbe {
        name: Some("example.org".parse().unwrap()),
        qtype: RrType::MX,
        tcp: true,
        recursion: true,
        authoritative: Some(true),
        records: vec![rdata_from_text(RrType::MX, "10 mail.example.org.").unwrap()],
        matching: Matching::Exact,
        ..want
    };
    assert_eq!((&probe, config.probes[1].port), (&want, 5300));
    assert_eq!(config.checks()[0].key.to_string(), "db@192.0.2.10 (example.org)");
    assert_eq!(dns("expect = { rcode = \"NXDOMAIN\" }").1.rcode, 3);
    assert!(dns("expect = { empty = true }").1.empty);
}

#[test]
fn dns_probes_that_are_refused() {
    let check = |line: &str, want: &str| {
        let text = text(&format!("type = \"dns\"\n{line}"));
        let folder = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]);
        check_head(&folder.report(), &format!("detour.toml:9:{want}"));
    };
    check("path = \"/\"", "1: error: \"path\" means nothing to a dns probe");
    check("watch = true", "1: error: \"watch\" means nothing to a dns probe");
    check("qtype = \"ANY\"", "9: error: \"ANY\" is not a type of records in a zone");
    check("transport = \"quic\"", "13: error: transport \"quic\" is unknown");
    check(
        "expect = { records = [\"192.0.2\"] }",
        "23: error: \"192.0.2\" is not the data of one A record: \"192.0.2\" is not an IPv4 address like 192.0.2.1",
    );
    check(
        "expect = { rcode = \"NXDOMAIN\", records = [\"192.0.2.1\"] }",
        "32: error: \"records\" means nothing to an answer that is not NOERROR",
    );
    check(
        "expect = { match = \"any\" }",
        "12: error: \"match\" means nothing to an answer without \"records\"",
    );
    check(
        "expect = { rcode = \"REFUSED\", empty = true }",
        "31: error: \"empty\" means nothing to an answer that is not NOERROR",
    );
    check(
        "expect = { empty = true, records = [\"192.0.2.1\"] }",
        "20: error: both \"empty\" and \"records\"",
    );
    check("expect = { rcode = \"NODATA\" }", "20: error: rcode \"NODATA\" is unknown");
}

fn grpc(keys: &str) -> (Config, GrpcProbe) {
    let config = loaded(&text(&format!("type = \"grpc\"\n{keys}"))).config;
    let ProbeKind::Grpc(grpc) = config.probes[1].kind.clone() else { panic!("{:?}", config.probes[1]) };
    (config, grpc)
}

#[test]
fn grpc_probes() {
    let (config, probe) = grpc("port = 50051\nservice = \"\"");
    let want = GrpcProbe { service: String::new(), host: None, tls: None, max_latency: None };
    assert_eq!((&probe, config.probes[1].port), (&want, 50051));
    assert_eq!(config.checks()[0].key.to_string(), "db@192.0.2.10 (app.example.com)");

    let (config, probe) = grpc(
        "service = \"shop.Cart\"\nhost = \"Cart.example.org\"\ntls = { min_days = 14 }\nmax_latency = \"300ms\"",
    );
    assert_eq!((&*probe.service, config.probes[1].port), ("shop.Cart", 443));
    assert_eq!(probe.tls.unwrap().min_days.unwrap().days, 14);
    assert_eq!(probe.max_latency, Some(std::time::Duration::from_millis(300)));
    assert_eq!(config.checks()[0].key.to_string(), "db@192.0.2.10 (cart.example.org)");
}

#[test]
fn grpc_probes_that_are_refused() {
    let check = |line: &str, want: &str| {
        let text = text(&format!("type = \"grpc\"\n{line}"));
        let folder = Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]);
        check_head(&folder.report(), &format!("detour.toml:{want}"));
    };
    check("", "7:1: error: [probes.db] has no \"port\"");
    check("port = 1\npath = \"/\"", "10:1: error: \"path\" means nothing to a grpc probe");
    check("service = 1\nport = 1", "9:11: error: \"service\" is an integer, not a string");
    check("tls = { alpn = [\"h2\"] }", "9:9: error: \"alpn\" means nothing to a grpc probe, which offers h2");
    check("port = 1\nmax_latency = \"2s\"", "10:15: error: max_latency 2s is not below timeout 2s");
}

/// The text with `[heartbeat]` before it.
fn heartbeat(probe: &str) -> String {
    format!("[heartbeat]\ntokens = \"tokens\"\n{}", text(&format!("type = \"heartbeat\"\n{probe}")))
}

fn with_tokens(text: &str, tokens: &str) -> Folder {
    Folder::new(&[("detour.toml", text), ("example.com.zone", ZONE), ("tokens", tokens)])
}

#[test]
fn heartbeats() {
    let folder = with_tokens(&heartbeat("interval = \"10s\"\ngrace = \"4s\""), TOKENS);
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    crate::warns_of_the_unused_alone(&loaded);
    let heartbeat = loaded.config.heartbeat.clone().unwrap();
    assert_eq!((heartbeat.listen, heartbeat.tokens.len()), ("127.0.0.1:8054".parse().unwrap(), 3));
    assert_eq!(&*heartbeat.tokens[1].token, "fedcba9876543210");
    assert!(!format!("{heartbeat:?}").contains("fedcba"), "secrets are not for logs");
    assert!(loaded.files.contains(&folder.path("tokens")));
    // Gone right after a beat: three intervals and the grace.
    let sum = worst_case(&loaded.config.services[0], &Surroundings::default()).to_string();
    assert_eq!(sum, "detection 34s + publish 0.1s + TTL 30s = 64.1s");
}

#[test]
fn heartbeats_that_are_refused() {
    let check = |probe: &str, tokens: &str, want: &str| {
        check_head(&with_tokens(&heartbeat(probe), tokens).report(), &format!("detour.toml:{want}"));
    };
    check("port = 80", TOKENS, "11:1: error: \"port\" means nothing to a heartbeat probe");
    check("watch = true", TOKENS, "11:1: error: \"watch\" means nothing to a heartbeat probe");
    check("timeout = \"1s\"", TOKENS, "11:1: error: \"timeout\" means nothing to a heartbeat probe");
    check("grace = \"6s\"", TOKENS, "11:9: error: grace 6s is above interval 5s");
    let unreadable = |tokens: &str, why: &str| {
        check("", tokens, &format!("2:10: error: cannot read heartbeat tokens \"tokens\": {why}"));
    };
    unreadable("", "it holds no line \"service site token\"");
    unreadable("app.example.com fra", "line 1 is not \"service site token\"");
    unreadable(
        "\napp.example.com fra secret",
        "line 2 has a token that is not 16 to 256 printable ASCII characters",
    );
    let third = format!("{TOKENS}app.example.com fra 0000000000000000");
    unreadable(&third, "line 6 is one more token of an endpoint that has two");
    let one = "app.example.com fra 0123456789abcdef";
    check(
        "",
        one,
        "2:10: error: no token for service \"app.example.com.\" at site \"iad\", from where a heartbeat is expected",
    );
    let text = text("type = \"heartbeat\"");
    check_head(
        &with_tokens(&text, TOKENS).report(),
        "detour.toml:13:8: error: sites call in for service \"app.example.com.\", and there is no [heartbeat] to call",
    );
}

#[test]
fn a_token_nobody_needs_is_a_warning() {
    let folder = with_tokens(&heartbeat(""), &format!("{TOKENS}www.example.com fra 0123456789abcdef"));
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    let shown = folder.shown(&loaded.warnings[0]);
    assert!(
        shown.starts_with(
            "detour.toml:2:10: warning: a token for service \"www.example.com.\" at site \"fra\""
        ),
        "{shown}"
    );
}
