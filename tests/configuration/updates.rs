//! A zone's `update`: who may change what.

use detour::dns::RrType;
use detour::model::{UpdateRule, Wild};

use crate::{Folder, HEAD, ZONE};

/// A folder whose zone has these rules, and a key `acme`.
fn ruled(rules: &str) -> Folder {
    let text = format!("{HEAD}update = {rules}\n[keys.acme]\nsecret_file = \"acme.key\"\n");
    let files = [
        ("detour.toml", text.as_str()),
        ("example.com.zone", ZONE),
        ("acme.key", "c2VjcmV0LXNlY3JldC1zZWNyZXQ="),
    ];
    Folder::new(&files)
}

fn rules(rules: &str) -> Vec<UpdateRule> {
    let loaded = ruled(rules).load().unwrap_or_else(|report| panic!("{report}"));
    loaded.config.zones[0].update.clone()
}

#[test]
fn rules_are_read() {
    let found = rules(
        r#"[{ key = "acme", names = ["_acme-challenge.*", "@"], types = ["TXT", "TYPE65280"] }, { from = "192.0.2.0/24" }]"#,
    );
    let name = |text: &str| Wild::new(text.parse().unwrap());
    let first = UpdateRule {
        key: Some("acme".parse().unwrap()),
        from: None,
        names: vec![name("_acme-challenge.*.example.com"), name("example.com")],
        types: vec![RrType::TXT, RrType(65280)],
    };
    let second =
        UpdateRule { key: None, from: Some("192.0.2.0/24".parse().unwrap()), names: vec![], types: vec![] };
    assert_eq!(found, [first, second]);
    assert_eq!(rules("[]"), []);
}

#[test]
fn what_is_wrong_with_a_rule_is_told() {
    let check = |rules: &str, want: &str| {
        let report = ruled(rules).report();
        assert!(report.contains(want), "{rules}: {report}");
    };
    check("[{ names = [\"www\"] }]", "key");
    check("[{ key = \"amce\" }]", "amce");
    check("[{ key = \"acme\", name = [\"www\"] }]", "name");
    check("[{ key = \"acme\", names = [] }]", "names");
    check("[{ key = \"acme\", names = [\"www.example.net.\"] }]", "is not a name in its zone");
    check("[{ key = \"acme\", names = [\"a..b\"] }]", "has an empty label");
    check("[{ key = \"acme\", types = [\"TEXT\"] }]", "is not a record type");
    check("[{ from = \"192.0.2.1/24\" }]", "is not a network");
    check("\"acme\"", "update");
}

#[test]
fn edits_have_a_bound() {
    let max = |line: &str| {
        let text = format!("{HEAD}{line}\n");
        let folder = Folder::new(&[("detour.toml", text.as_str()), ("example.com.zone", ZONE)]);
        folder.load().map(|loaded| loaded.config.zones[0].max_edits).map_err(|report| report.to_string())
    };
    assert_eq!(max(""), Ok(64 << 20));
    assert_eq!(max("max_edits = \"64KiB\""), Ok(64 << 10));
    assert_eq!(max("max_edits = \"1GiB\""), Ok(1 << 30));
    for (line, why) in [
        ("max_edits = \"1KiB\"", "64KiB"),
        ("max_edits = \"2GiB\"", "1GiB"),
        ("max_edits = 10000", "a size"),
        ("max_edits = \"lots\"", "a size"),
    ] {
        let problem = max(line).unwrap_err();
        assert!(problem.contains("max_edits") && problem.contains(why), "{problem}");
    }
}
