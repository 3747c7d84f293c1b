//! The keys of http, https and tls probes, and the files their table `tls` names, right and wrong.

use std::time::Duration;

use detour::model::{BodyExpect, HttpProbe, HttpVersion, MinDays, Pattern, ProbeKind, TlsOptions, TlsProbe};

use crate::peers::authority::Authority;
use crate::refused::check_head;
use crate::{Folder, HEAD, ZONE};

const HTTP: &str = "type = \"http\"";
const HTTPS: &str = "type = \"https\"";
const TLS: &str = "type = \"tls\"";

/// A folder whose second probe is of this type, on line 8, and has these keys, from line 9 on. There are
/// `ca.pem`, `own.pem` with `own.key` and `other.key`, and files that hold no PEM.
fn with(kind: &str, keys: &str) -> Folder {
    let text = HEAD.replace("type = \"tcp\"\nport = 5432\n", &format!("{kind}\n{keys}\n"));
    let service = "[[service]]\nname = \"app.example.com\"\nprobes = [\"db\"]\n\
                   endpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]\n";
    let text = format!("{text}{service}");
    let ours = Authority::new("ours");
    let ((own, key), (_, other)) = (ours.pem(&["own"]), ours.pem(&["other"]));
    let broken = ours.pem.replace("BEGIN CERT", "BEGIN CRET");
    let cut = ours.pem.replace("-----END", "!!!!!\n-----END");
    Folder::new(&[
        ("detour.toml", &text),
        ("example.com.zone", ZONE),
        ("pem/ca.pem", &ours.pem),
        ("pem/own.pem", &own),
        ("pem/own.key", &key),
        ("pem/other.key", &other),
        ("empty", ""),
        ("broken.pem", &broken),
        ("cut.pem", &cut),
        ("large.pem", &"# nothing\n".repeat(120_000)),
    ])
}

fn loaded(kind: &str, keys: &str) -> (Folder, ProbeKind, u16) {
    let folder = with(kind, keys);
    let loaded = folder.load().unwrap_or_else(|report| panic!("{keys}\n{report}"));
    let probe = &loaded.config.probes[1];
    let (kind, port) = (probe.kind.clone(), probe.port);
    (folder, kind, port)
}

fn http(kind: &str, keys: &str) -> HttpProbe {
    match loaded(kind, keys).1 {
        ProbeKind::Http(http) => http,
        other => panic!("{other:?}"),
    }
}

/// That the file is refused with this one problem on line 9: its column, and what follows.
#[track_caller]
fn refused(kind: &str, keys: &str, want: &str) {
    check_head(&with(kind, keys).report(), &format!("detour.toml:9:{want}"));
}

#[test]
fn an_http_probe_with_every_key() {
    assert_eq!(http(HTTP, ""), HttpProbe::default());
    let keys = r#"
method = "POST"
path = "/health?deep=1"
host = "API.example.com"
headers = { X-Probe = "yes", user-agent = "me" }
body = "ping\n"
http = "2"
max_latency = "1s"
expect = { status = ["204", "300-399"], headers = { X-State = "ready" }, body_regex = "^o.$" }
"#;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let want = HttpProbe {
        tls: None,
        version: HttpVersion::Two,
        method: "POST".into(),
        path: "/health?deep=1".into(),
        host: Some("api.example.com".into()),
        headers: vec![pair("x-probe", "yes"), pair("user-agent", "me")],
        request_body: Some("ping\n".into()),
        status: vec![204..=204, 300..=399],
        expect_headers: vec![pair("x-state", "ready")],
        body: Some(BodyExpect::Regex(Pattern::new("^o.$").unwrap())),
        max_latency: Some(Duration::from_secs(1)),
    };
    assert_eq!(http(HTTP, keys), want);
    // The same keys over TLS, and TLS as it is when nothing is said of it.
    let https = http(HTTPS, keys);
    assert_eq!(https.tls.as_deref(), Some(&TlsOptions::default()));
    assert_eq!(HttpProbe { tls: None, ..https }, want);
    let text = http(HTTP, "expect = { body = \"OK\" }").body;
    assert_eq!(text, Some(BodyExpect::Text("OK".into())));
    assert_eq!([loaded(HTTP, "").2, loaded(HTTPS, "").2, loaded(TLS, "").2], [80, 443, 443]);
}

#[test]
fn what_http_asks_is_held_against_what_http_allows() {
    let wrong_type = |key: &str, value: &str, column: usize, is: &str| {
        refused(HTTP, &format!("{key} = {value}"), &format!("{column}: error: \"{key}\" is {is}"));
    };
    wrong_type("method", "1", 10, "an integer, not a string");
    wrong_type("path", "[]", 8, "a list, not a string");
    wrong_type("host", "true", 8, "a boolean, not a host name");
    wrong_type("headers", "\"x: y\"", 11, "a string, not a table");
    wrong_type("body", "{}", 8, "a table, not a string");
    wrong_type("http", "2", 8, "an integer, not a string");
    wrong_type("max_latency", "1", 15, "an integer, not a duration");
    wrong_type("expect", "\"OK\"", 10, "a string, not a table");

    let method = |text: &str| format!("10: error: {text:?} is not a method in capitals other than CONNECT");
    for text in ["get", "CONNECT", "GET /", "GÉT"] {
        refused(HTTP, &format!("method = {text:?}"), &method(text));
    }
    refused(HTTP, "method = \"\"", "10: error: \"method\" is empty");
    let long = |bytes: usize| "X".repeat(bytes);
    let limit = |key: &str, bytes: usize, column: usize| {
        let want = format!("{column}: error: \"{key}\" is longer than {bytes} bytes");
        refused(HTTP, &format!("{key} = \"{}\"", long(bytes + 1)), &want);
    };
    limit("method", 32, 10);
    limit("path", 2_048, 8);
    limit("body", 16_384, 8);
    assert_eq!(http(HTTP, &format!("body = \"{}\"", long(16_384))).request_body.unwrap().len(), 16_384);
    refused(HTTP, "http = \"3\"", "8: error: http \"3\" is unknown");
    refused(HTTP, "max_latency = \"0s\"", "15: error: \"max_latency\" is zero");
    refused(HTTP, "max_latency = \"2s\"", "15: error: max_latency 2s is not below timeout 2s");
}

#[test]
fn headers_are_names_and_values() {
    let header = |pair: &str, want: &str| refused(HTTP, &format!("headers = {{ {pair} }}"), want);
    header("\"x y\" = \"1\"", "13: error: \"x y\" is not a header's name");
    header("\"x:\" = \"1\"", "13: error: \"x:\" is not a header's name");
    header("\"\" = \"1\"", "13: error: \"\" is not a header's name");
    header("x = 1", "17: error: \"x\" is an integer, not a string");
    header("x = \"a\\r\\nb: c\"", "17: error: \"x\" has a control character");
    header(&format!("x = \"{}\"", "y".repeat(2_049)), "17: error: \"x\" is longer than 2048 bytes");
    for own in ["Host", "connection", "Content-Length", "transfer-encoding", "TE", "upgrade", "keep-alive"] {
        let want = format!("11: error: header {:?} is the probe's own to write", own.to_ascii_lowercase());
        header(&format!("{own} = \"x\""), &want);
    }
    let many: Vec<String> = (0..33).map(|n| format!("x{n} = \"\"")).collect();
    header(&many.join(", "), "11: error: more than 32 headers");
    let expect = |keys: &str, want: &str| refused(HTTP, &format!("expect = {{ {keys} }}"), want);
    expect("headers = { \"x y\" = \"1\" }", "24: error: \"x y\" is not a header's name");
    expect("headers = { x = false }", "28: error: \"x\" is a boolean, not a string");
}

#[test]
fn what_is_expected_of_an_answer() {
    let expect = |keys: &str, want: &str| refused(HTTP, &format!("expect = {{ {keys} }}"), want);
    expect("statsu = [\"200\"]", "12: error: unknown key \"statsu\" in \"expect\"");
    expect("body = 1", "19: error: \"body\" is an integer, not a string");
    expect("body = \"\"", "19: error: \"body\" is empty");
    expect(&format!("body = \"{}\"", "x".repeat(1_025)), "19: error: \"body\" is longer than 1024 bytes");
    expect("body_regex = \"(\"", "25: error: pattern \"(\": unclosed group");
    expect("body_regex = [\"a\"]", "25: error: \"body_regex\" is a list, not a string");
    expect("body = \"a\", body_regex = \"a\"", "37: error: both \"body\" and \"body_regex\"");
    expect(
        &format!("status = [{}]", vec!["\"200\""; 33].join(", ")),
        "21: error: more than 32 status ranges",
    );
    let head = "method = \"HEAD\"\nexpect = { body = \"OK\" }";
    check_head(
        &with(HTTP, head).report(),
        "detour.toml:10:12: error: \"body\" means nothing to a HEAD request, which is answered without a body",
    );
}

#[test]
fn keys_of_other_types_mean_nothing() {
    refused(HTTP, "tls = {}", "1: error: \"tls\" means nothing to an http probe");
    refused(HTTPS, "send = \"x\"", "1: error: \"send\" means nothing to an https probe");
    for key in ["path = \"/\"", "host = \"a.example\"", "method = \"GET\"", "http = \"2\"", "expect = {}"] {
        let name = key.split(' ').next().unwrap();
        refused(TLS, key, &format!("1: error: {name:?} means nothing to a tls probe"));
    }
    refused(HTTP, "serve_name = \"a\"", "1: error: unknown key \"serve_name\" in [probes.db]");
}

#[test]
fn the_table_tls_with_every_key() {
    let keys = "tls = { ca = \"pem/ca.pem\", certificate = \"pem/own.pem\", key = \"pem/own.key\", \
                server_name = \"Other.example\", min_days = 14, min_days_is = \"warning\", alpn = [\"h2\", \"dot\"] }\n\
                max_latency = \"1s\"";
    let (folder, kind, port) = loaded(TLS, keys);
    let ProbeKind::Tls(TlsProbe { tls, max_latency }) = kind else { panic!("{kind:?}") };
    assert_eq!((max_latency, port), (Some(Duration::from_secs(1)), 443));
    assert_eq!(tls.ca.as_ref().unwrap().certificates.len(), 1);
    assert_eq!(tls.ca.as_ref().unwrap().file, folder.path("pem/ca.pem"));
    assert_eq!(tls.identity.as_ref().unwrap().chain.len(), 1);
    assert_eq!(tls.server_name.as_deref(), Some("other.example"));
    assert_eq!(tls.min_days, Some(MinDays { days: 14, fails: false }));
    assert_eq!(tls.alpn, ["h2", "dot"]);
    // Whoever replaces one of them expects it to be taken up.
    let files = folder.load().unwrap_or_else(|report| panic!("{report}")).files;
    for file in ["pem/ca.pem", "pem/own.pem", "pem/own.key"] {
        assert!(files.contains(&folder.path(file)), "{file} is watched");
    }
    let tls = http(HTTPS, "tls = { verify = false, min_days = 1 }").tls.unwrap();
    assert_eq!((tls.verify, tls.min_days), (false, Some(MinDays { days: 1, fails: true })));
}

#[test]
fn the_table_tls_with_something_wrong() {
    let tls = |keys: &str, want: &str| refused(HTTPS, &format!("tls = {{ {keys} }}"), want);
    refused(HTTPS, "tls = true", "7: error: \"tls\" is a boolean, not a table");
    tls("verfy = false", "9: error: unknown key \"verfy\" in \"tls\"");
    tls("verify = \"no\"", "18: error: \"verify\" is a string, not true or false");
    tls("verify = false, ca = \"pem/ca.pem\"", "25: error: \"ca\" means nothing to tls without verify");
    tls("server_name = 1", "23: error: \"server_name\" is an integer, not a host name");
    tls(
        "server_name = \"https://a\"",
        "23: error: \"https://a\" is not a host name (the port has its own key)",
    );
    tls("min_days = \"14d\"", "20: error: \"min_days\" is a string, not an integer");
    tls("min_days = 0", "20: error: \"min_days\" is zero");
    tls("min_days = 3651", "20: error: \"min_days\" is 3651, not between 0 and 3650");
    tls("min_days = 14, min_days_is = \"fatal\"", "38: error: min_days_is \"fatal\" is unknown");
    tls("min_days_is = \"warning\"", "7: error: \"tls\" has no \"min_days\"");
    tls("alpn = [\"h2\"]", "9: error: \"alpn\" means nothing to an https probe, whose \"http\" says it");
    let alpn = |list: &str, want: &str| refused(TLS, &format!("tls = {{ alpn = {list} }}"), want);
    alpn("\"h2\"", "16: error: \"alpn\" is a string, not a list");
    alpn("[]", "16: error: \"alpn\" is an empty list");
    alpn("[1]", "17: error: \"alpn\" is an integer, not a string");
    alpn("[\"\"]", "17: error: \"alpn\" is empty");
    alpn(&format!("[\"{}\"]", "x".repeat(256)), "17: error: \"alpn\" is longer than 255 bytes");
    alpn(&format!("[{}]", vec!["\"h2\""; 17].join(", ")), "16: error: more than 16 protocols");
}

#[test]
fn pem_files_that_are_not_there_or_not_right() {
    let tls = |keys: &str, want: &str| refused(HTTPS, &format!("tls = {{ {keys} }}"), want);
    let ca = |file: &str, why: &str| {
        let want = format!("14: error: cannot read CA certificates \"{file}\": {why}");
        tls(&format!("ca = \"{file}\""), &want);
    };
    ca("none.pem", "No such file or directory (os error 2)");
    ca("pem", "it is not a regular file");
    ca("empty", "it holds no certificate in PEM form");
    ca("pem/own.key", "it holds no certificate in PEM form");
    ca("large.pem", "it is larger than 1048576 bytes");
    tls("ca = [\"pem/ca.pem\"]", "14: error: \"ca\" is a list, not a string");

    let pair = |certificate: &str, key: &str, want: &str| {
        tls(&format!("key = \"{key}\", certificate = \"{certificate}\""), want);
    };
    let no_file = "No such file or directory (os error 2)";
    pair(
        "pem/own.pem",
        "none.key",
        &format!("15: error: cannot read the client key \"none.key\": {no_file}"),
    );
    pair(
        "none.pem",
        "pem/own.key",
        &format!("44: error: cannot read the client certificate \"none.pem\": {no_file}"),
    );
    pair(
        "pem/own.pem",
        "pem/own.pem",
        "15: error: cannot read the client key \"pem/own.pem\": it holds no private key in PEM form",
    );
    pair(
        "pem/own.key",
        "pem/own.key",
        "44: error: cannot read the client certificate \"pem/own.key\": it holds no certificate in PEM form",
    );
    pair(
        "pem/own.pem",
        "pem/other.key",
        "15: error: key \"pem/other.key\" does not belong to certificate \"pem/own.pem\"",
    );
    tls("certificate = \"pem/own.pem\"", "7: error: \"tls\" has no \"key\"");
    tls("key = \"pem/own.key\"", "7: error: \"tls\" has no \"certificate\"");
    // Whatever the reader makes of these, it is no certificate.
    for file in ["broken.pem", "cut.pem"] {
        let report = with(HTTPS, &format!("tls = {{ ca = \"{file}\" }}")).report();
        let want = format!("detour.toml:9:14: error: cannot read CA certificates \"{file}\": ");
        assert!(report.starts_with(&want), "{report}");
    }
}

/// The listener that sites call in on shows a certificate too.
#[test]
fn the_certificate_of_the_heartbeat_listener() {
    let tls = |keys: &str| {
        let folder = with("type = \"heartbeat\"", "");
        let text = std::fs::read_to_string(folder.path("detour.toml")).unwrap();
        let text = format!("[heartbeat]\ntokens = \"tokens\"\ntls = {keys}\n{text}");
        std::fs::write(folder.path("detour.toml"), text).unwrap();
        std::fs::write(folder.path("tokens"), "app.example.com fra 0123456789abcdef\n").unwrap();
        folder
    };
    let folder = tls("{ certificate = \"pem/own.pem\", key = \"pem/own.key\" }");
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.config.heartbeat.unwrap().tls.unwrap().chain.len(), 1);
    for file in ["pem/own.pem", "pem/own.key"] {
        assert!(loaded.files.contains(&folder.path(file)), "{file} is watched");
    }
    let refused = |keys: &str, want: &str| {
        check_head(&tls(keys).report(), &format!("detour.toml:3:{want}"));
    };
    refused("true", "7: error: \"tls\" is a boolean, not a table");
    refused("{}", "7: error: \"tls\" has no \"certificate\"");
    refused("{ certificate = \"pem/own.pem\" }", "7: error: \"tls\" has no \"key\"");
    refused(
        "{ certificate = \"pem/own.pem\", key = \"pem/own.key\", ca = \"pem/ca.pem\" }",
        "59: error: unknown key \"ca\" in \"tls\"",
    );
    refused(
        "{ key = \"pem/other.key\", certificate = \"pem/own.pem\" }",
        "15: error: key \"pem/other.key\" does not belong to certificate \"pem/own.pem\"",
    );
    refused(
        "{ key = \"empty\", certificate = \"pem/own.pem\" }",
        "15: error: cannot read the server key \"empty\": it holds no private key in PEM form",
    );
}
