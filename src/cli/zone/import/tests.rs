//! Configurations as the other servers' manuals show them, and what is found in them.

use std::fs;

use super::*;

fn found(kind: &str, files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let path = folder.path().join(files[0].0);
    let found = match kind {
        "bind" => named::read(&path),
        "nsd" => nsd::read(&path),
        "knot" => knot::read(&path),
        _ => powerdns(&path),
    }
    .unwrap();
    let here = format!("{}/", folder.path().display());
    let bare = |text: String| text.replace(&here, "");
    let zones =
        found.zones.iter().map(|zone| bare(format!("{} {} {}", zone.place, zone.name, zone.file.display())));
    (zones.collect(), found.notes.into_iter().map(bare).collect())
}

#[test]
fn named_conf() {
    let main = r#"include "zones.conf"; // comment { ; }
options { directory "/var/bind"; allow-transfer { none; }; };
/* zone "no" {
}; */

view "inside" { match-clients { any; }; zone "example.net" { type master; file "x"; }; };
"#;
    let zones = r#"zone "example.com" IN { type primary; file "example.com.db"; allow-update { key k; }; }; # one
zone "." { type hint; file "/usr/share/dns/root.hints"; };
zone "2.0.192.in-addr.arpa" {
    type master; file "/abs/rev";
};
zone "bind" CH { type master; file "x"; };
"#;
    let (zones, notes) = found("bind", &[("named.conf", main), ("zones.conf", zones)]);
    assert_eq!(
        zones,
        ["zones.conf:1 example.com. /var/bind/example.com.db", "zones.conf:3 2.0.192.in-addr.arpa. /abs/rev"]
    );
    assert_eq!(notes.len(), 5, "{notes:#?}");
    assert!(notes.contains(&"named.conf:2: the option allow-transfer".to_owned()), "{notes:#?}");
    assert!(notes.contains(&"zones.conf:1: allow-update of zone \"example.com\"".to_owned()), "{notes:#?}");
    assert!(
        notes.iter().any(|note| note.starts_with("named.conf:6: view \"inside\" and its 1 zones")),
        "{notes:#?}"
    );
}

#[test]
fn nsd_conf() {
    let main = "server:\n  zonesdir: \"zones\" # here\n\tip-address: ::1\ninclude: \"*.inc\"\npattern:\n  name: out\n  zonefile: %s.zone\n  provide-xfr: 192.0.2.1 NOKEY\n";
    let zones = "zone:\n name: \"example.com\"\n zonefile: example.com.db\nzone: name: example.net include-pattern: out\nzone:\n name: example.org\n request-xfr: 192.0.2.1 NOKEY\n zonefile: x\nkey:\n name: k\n";
    let (zones, notes) = found("nsd", &[("nsd.conf", main), ("a.inc", zones)]);
    assert_eq!(
        zones,
        ["a.inc:1 example.com. zones/example.com.db", "a.inc:4 example.net. zones/example.net.zone"]
    );
    assert_eq!(
        notes,
        [
            "nsd.conf:8: provide-xfr of zone \"example.net\"",
            "a.inc:5: zone \"example.org\", which is transferred from elsewhere",
            "a.inc:9: key k"
        ]
    );
}

#[test]
fn knot_conf() {
    let text = "server:\n    listen: 127.0.0.1@53\ntemplate:\n  - id: default\n    storage: \"/zones\"\n  - id: signed\n    storage: \"other\"\n    dnssec-signing: on\nzone:\n  - domain: example.com\n    file: \"com.db\" # c\n  - domain: example.net.\n    template: signed\n  - domain: example.org\n    master: hidden\nacl:\n  - id: all\n    action: transfer\n";
    let (zones, notes) = found("knot", &[("knot.conf", text)]);
    assert_eq!(
        zones,
        ["knot.conf:10 example.com. /zones/com.db", "knot.conf:12 example.net. other/example.net.zone"]
    );
    assert_eq!(
        notes,
        [
            "knot.conf:12: dnssec-signing of zone \"example.net.\"",
            "knot.conf:14: zone \"example.org\", which is transferred from elsewhere",
            "knot.conf:17: acl all"
        ]
    );
}

#[test]
fn pdns_conf() {
    let main = "# launch=gmysql\nlaunch=bind\nbind-config=named.conf\n";
    let (zones, notes) = found(
        "powerdns",
        &[
            ("pdns.conf", main),
            (
                "named.conf",
                "zone \"example.com\" { type native; file \"a\"; };\nzone \"example.net\" { type master; file \"b\"; };",
            ),
        ],
    );
    assert_eq!(zones, ["named.conf:1 example.com. a", "named.conf:2 example.net. b"]);
    assert_eq!(notes, [""; 0]);
}

#[test]
fn includes_are_found_where_the_server_looks_for_them() {
    // Before `directory` beside the file, after it in that folder; wildcards as in the shell.
    let main = "include \"first.conf\";\noptions { directory \"z\"; response-policy { zone \"rpz\"; }; catalog-zones { zone \"c\"; }; };\ninclude \"d/*.conf\";\n";
    let one = |name: &str| format!("zone \"{name}\" {{ type primary; file \"{name}.db\"; }};\n");
    let (zones, notes) = found(
        "bind",
        &[
            ("named.conf", main),
            ("first.conf", &one("a.example")),
            ("z/d/b.conf", &one("b.example")),
            ("z/d/c.conf", &one("c.example")),
            ("z/d/.hidden.conf", &one("x.example")),
        ],
    );
    assert_eq!(
        zones,
        [
            "first.conf:1 a.example. z/a.example.db",
            "z/d/b.conf:1 b.example. z/b.example.db",
            "z/d/c.conf:1 c.example. z/c.example.db"
        ]
    );
    assert_eq!(notes, ["named.conf:2: the option response-policy", "named.conf:2: the option catalog-zones"]);

    let knot = "include: conf.d\ninclude: more-?.conf\n";
    let zone = |name: &str| format!("zone:\n  - domain: {name}\n    storage: /s\n");
    let files = [("knot.conf", knot), ("conf.d/1", &zone("a.example")), ("more-1.conf", &zone("b.example"))];
    let (zones, _) = found("knot", &files);
    assert_eq!(
        zones,
        ["conf.d/1:2 a.example. /s/a.example.zone", "more-1.conf:2 b.example. /s/b.example.zone"]
    );

    let nsd = "server:\n  zonesdir: /z\npattern:\n  name: all\n  zonefile: \"db.%s\"\nzone:\n  name: example.com.\n  include-pattern: all\n";
    assert_eq!(found("nsd", &[("nsd.conf", nsd)]).0, ["nsd.conf:6 example.com. /z/db.example.com."]);

    let inner = "zone \"example.com\" { type native; file \"a\"; };";
    let files = [
        ("pdns.conf", "include-dir=more\n"),
        ("more/1.conf", "launch=bind\nbind-config=named.conf\n"),
        ("more/named.conf", inner),
    ];
    assert_eq!(found("powerdns", &files).0, ["more/named.conf:1 example.com. more/a"]);
}

#[test]
fn every_missing_file_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("named.conf");
    fs::write(&path, "include \"one\";\ninclude \"two\";\n").unwrap();
    let error = format!("{:#}", named::read(&path).unwrap_err());
    assert!(error.contains("/one: ") && error.contains("/two: "), "{error}");
}

#[test]
fn broken_configurations_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    for text in ["zone \"x\" {", "}", "options { \"x", "/* x", "include \"c\";", &"a {".repeat(100)] {
        fs::write(&path, text).unwrap();
        let error = format!("{:#}", named::read(&path).unwrap_err());
        assert!(error.contains(&*path.display().to_string()), "{error}");
    }
    fs::write(&path, "include: c\n").unwrap();
    assert!(nsd::read(&path).is_err() && knot::read(&path).is_err());
}
