//! `[keys.NAME]`, and `primary` of a zone.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use detour::dns::tsig::Algorithm;
use detour::model::Access;

use crate::Folder;

const SECRET: &str = "c2l4dGVlbiBieXRlIGtleQ==\n";

/// A folder with a configuration, and the secret of a key.
fn folder(text: &str) -> Folder {
    let folder = Folder::new(&[("detour.toml", text), ("keys/xfr", SECRET)]);
    fs::set_permissions(folder.path("keys/xfr"), Permissions::from_mode(0o600)).unwrap();
    folder
}

const KEY: &str = "[keys.xfr]\nsecret_file = \"keys/xfr\"\n";

fn zone(rest: &str) -> String {
    format!("{KEY}[[zone]]\nname = \"example.com\"\n{rest}\n")
}

#[test]
fn a_zone_comes_from_its_primaries_with_a_key_or_without() {
    let text = zone(
        "primary = [\"192.0.2.53\", \"[2001:db8::53]:5353\", { address = \"192.0.2.54:54\", key = \"XFR.\" }]",
    );
    let loaded = folder(&text).load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(loaded.warnings, []);
    let source = &loaded.config.zones[0];
    assert!(source.is_transferred());
    let primaries: Vec<String> = source
        .primaries
        .iter()
        .map(|primary| {
            let key = primary.key.as_ref().map(|key| key.name().to_string());
            format!("{} {}", primary.address, key.unwrap_or_default())
        })
        .collect();
    assert_eq!(primaries, ["192.0.2.53:53 ", "[2001:db8::53]:5353 ", "192.0.2.54:54 xfr."]);
    assert_eq!(source.forward_updates, Access::default());
    let text = zone("primary = [\"192.0.2.53\"]\nforward_updates = [{ key = \"xfr\" }]");
    let forwards = folder(&text).load().unwrap_or_else(|report| panic!("{report}"));
    let forwards = &forwards.config.zones[0].forward_updates;
    let (here, key) = ("192.0.2.1".parse().unwrap(), "xfr".parse().unwrap());
    assert_eq!([None, Some(&key)].map(|key| forwards.allows(here, key)), [false, true]);
    assert!(source.file.ends_with("state/transferred/example.com.zone"), "{}", source.file.display());
    // Nothing was sent yet.
    assert!(loaded.zones[0].is_empty());
    assert!(!loaded.files.contains(&source.file), "what changes by itself is no reason for a reload");
    let key = loaded.config.keys.get(&"xfr".parse().unwrap()).expect("the key");
    assert_eq!(key.algorithm(), Algorithm::HmacSha256);
    assert!(loaded.files.iter().any(|file| file.ends_with("keys/xfr")));
    assert!(!format!("{:?}", loaded.config).contains("sixteen"), "secrets are not for logs");
}

#[test]
fn what_was_kept_is_the_zone_and_what_is_no_zone_is_transferred_again() {
    let folder = folder(&zone("primary = [\"192.0.2.53\"]"));
    fs::create_dir_all(folder.path("state/transferred")).unwrap();
    let file = folder.path("state/transferred/example.com.zone");
    fs::write(&file, "example.com. 60 IN SOA ns. h. 7 1 1 1 1\nexample.com. 60 IN NS ns.\n").unwrap();
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!((loaded.zones[0].len(), loaded.zones[0].serial().0), (2, 7));
    fs::write(&file, "example.com. 60 IN SOA ns. h. 7 1 1\n").unwrap();
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.zones[0].is_empty());
    let warning = folder.shown(&loaded.warnings[0]);
    let expect = "which the primary of \"example.com.\" sent, cannot be used: ";
    assert!(warning.contains(expect), "{warning}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let check = |text: &str, expect: &str| {
        let report = folder(text).report();
        assert!(report.contains(expect), "{expect:?} is not in\n{report}");
    };
    check(&zone("primary = []"), "detour.toml:5:11: error: \"primary\" is an empty list");
    check(&zone("primary = [\"ns.example.net\"]"), "is not an address of a server");
    check(&zone("primary = [\"192.0.2.53:0\"]"), "is not an address of a server");
    check(&zone("primary = [\"0.0.0.0\"]"), "0.0.0.0 is not an address a host can have");
    check(
        &zone("primary = [\"192.0.2.53\", \"192.0.2.53:53\"]"),
        "detour.toml:5:26: error: primary 192.0.2.53:53 is listed twice",
    );
    check(&zone("primary = [\"192.0.2.53\", \"192.0.2.53:53\"]"), "help: the first is on line 5");
    check(&zone("primary = [{ address = \"192.0.2.53\", key = \"xfer\" }]"), "unknown key \"xfer.\"\n");
    check(&zone("primary = [{ address = \"192.0.2.53\", port = 53 }]"), "unknown key \"port\"");
    check(&zone("primary = [{ key = \"xfr\" }]"), "an entry of primary has no \"address\"");
    check(&zone("primary = [\"192.0.2.53\"]\nfile = \"a.zone\""), "both \"file\" and \"primary\"");
    check(&zone(""), "[[zone]] has no \"file\"");
    check(
        &zone("file = \"a.zone\"\nforward_updates = [\"192.0.2.0/24\"]"),
        "\"forward_updates\" needs a \"primary\"",
    );
    let both =
        "primary = [\"192.0.2.53\"]\nforward_updates = [{ key = \"xfr\" }]\nupdate = [{ key = \"xfr\" }]";
    check(&zone(both), "both \"update\" and \"forward_updates\"");
    check(
        &zone("primary = [\"192.0.2.53\"]\nforward_updates = [{ key = \"xfer\" }]"),
        "unknown key \"xfer.\"",
    );
    let key = |text: &str| format!("{text}\n[[zone]]\nname = \"example.com\"\nprimary = [\"192.0.2.53\"]\n");
    check(&key("[keys.xfr]"), "[keys.xfr.] has no \"secret_file\"");
    check(&key("[keys.xfr]\nsecret_file = \"no/where\""), "cannot read secret \"no/where\"");
    check(&key("[keys.xfr]\nsecret_file = \"detour.toml\""), "it is not base64, and that alone");
    check(
        &key("[keys.xfr]\nalgorithm = \"hmac-md5\"\nsecret_file = \"keys/xfr\""),
        "algorithm \"hmac-md5\" is unknown",
    );
    check(&key(&format!("{KEY}[keys.XFR]\nsecret_file = \"keys/xfr\"")), "key \"xfr.\" is configured twice");
    check(&key(&format!("{KEY}[keys.XFR]\nsecret_file = \"keys/xfr\"")), "help: the first is on line ");
    check(&key("[keys.\"a..b\"]\nsecret_file = \"keys/xfr\""), "name \"a..b\" has an empty label");
}

#[test]
fn a_secret_that_everybody_can_read_is_told_of() {
    let folder = folder(&zone("primary = [\"192.0.2.53\"]"));
    fs::set_permissions(folder.path("keys/xfr"), Permissions::from_mode(0o644)).unwrap();
    let loaded = folder.load().unwrap_or_else(|report| panic!("{report}"));
    let warning = folder.shown(&loaded.warnings[0]);
    assert!(warning.starts_with("detour.toml:2:15: warning: everybody on this host can read"), "{warning}");
}
