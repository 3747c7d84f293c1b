//! The zone that lists the others.

use detour::dns::Serial;
use detour::model::{Config, Told, catalog};
use detour::zone::canonical_lines;

use crate::{Folder, HEAD, ZONE};

/// A folder whose zone may be had, with this section.
fn with(section: &str) -> Folder {
    let text = format!(
        "{HEAD}transfer = [\"192.0.2.1\"]\n[[zone]]\nname = \"b\\\\.c.example\"\nfile = \"example.com.zone\"\n\
         transfer = [\"192.0.2.1\"]\n[[zone]]\nname = \"hidden.example\"\nfile = \"example.com.zone\"\n\
         [keys.xfr]\nalgorithm = \"hmac-sha256\"\nsecret_file = \"secret\"\n{section}"
    );
    let files =
        [("detour.toml", &*text), ("example.com.zone", ZONE), ("secret", "c2VjcmV0IG9mIGEgdGVzdA==\n")];
    Folder::new(&files)
}

#[test]
fn a_catalog_lists_the_zones_that_somebody_may_have() {
    let none = with("").load().unwrap();
    assert!(none.config.catalog.is_none() && catalog(&none.config, Serial(1)).is_none());

    let loaded =
        with("[catalog]\nname = \"Catalog.example\"\ntransfer = [{ key = \"xfr\" }]\n").load().unwrap();
    let Config { zones, catalog: name, .. } = &loaded.config;
    let last = zones.last().unwrap();
    assert_eq!((name.as_ref(), zones.len(), loaded.zones.len()), (Some(&last.name), 4, 4));
    assert_eq!((last.transfer.0.len(), &last.notify), (1, &Told::default()));
    let zone = catalog(&loaded.config, Serial(7)).unwrap();
    assert!(zone.is_private() && loaded.zones.last().unwrap().is_private());
    assert_eq!((zone.apex(), zone.serial()), (&last.name, Serial(7)));
    let text: Vec<String> = canonical_lines(&zone, false).collect();
    // Each id is the first half of the SHA-256 sum of the name as it stands in a message.
    assert_eq!(
        text,
        [
            "catalog.example. 0 IN SOA invalid. invalid. 7 3600 600 2147483646 0",
            "catalog.example. 0 IN NS invalid.",
            "version.catalog.example. 0 IN TXT \"2\"",
            "902e9c464fa43fcab109d1a6b95ddf83.zones.catalog.example. 0 IN PTR example.com.",
            "c38113c3c572bbdc2fd798c345de8881.zones.catalog.example. 0 IN PTR b\\.c.example.",
        ]
    );
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(25));
    let long = format!("[catalog]\nname = \"{long}\"\ntransfer = [\"::1\"]");
    for (section, expect) in [
        ("[catalog]\nname = \"c.example\"", "error: [catalog] has no \"transfer\""),
        ("[catalog]\ntransfer = [\"::1\"]", "error: [catalog] has no \"name\""),
        ("[catalog]\nname = \"c.example\"\ntransfer = []", "error: \"transfer\" is an empty list"),
        (
            "[catalog]\nname = \"c.example\"\ntransfer = [\"::1\"]\nfile = \"c\"",
            "error: unknown key \"file\" in [catalog]",
        ),
        ("[catalog]\nname = \"example.com\"\ntransfer = [\"::1\"]", "example.com"),
        (&long, "is not the name of a catalog"),
        (
            "[catalog]\nname = \"c.example.com\"\ntransfer = [\"::1\"]\n[[service]]\nname = \"app.c.example.com\"\n\
             policy = \"failover\"\nprobes = [\"web\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.1\"] }]",
            "lies in no configured zone",
        ),
    ] {
        let report = with(section).report();
        assert!(report.contains(expect), "{section}\n{report}");
    }
}
