//! Who may have a zone, and who is told of its changes.

use std::net::SocketAddr;

use detour::model::{Access, Config, Peer, Told};

use crate::{Folder, HEAD, ZONE};

/// A folder whose zone has this line, and which has a key `xfr`.
fn with(line: &str) -> Folder {
    let text = format!("{HEAD}{line}\n[keys.xfr]\nalgorithm = \"hmac-sha256\"\nsecret_file = \"secret\"\n");
    let files =
        [("detour.toml", &*text), ("example.com.zone", ZONE), ("secret", "c2VjcmV0IG9mIGEgdGVzdA==\n")];
    Folder::new(&files)
}

fn loaded(line: &str) -> Config {
    with(line).load().unwrap_or_else(|report| panic!("{report}")).config
}

#[test]
fn nobody_may_and_nobody_is_told_unless_the_file_says_so() {
    let config = loaded("");
    assert_eq!(config.zones[0].transfer, Access::default());
    assert_eq!(config.zones[0].notify, Told::default());
    assert_eq!(config.server.journal, 1_000);
}

#[test]
fn networks_and_keys_may_have_a_zone() {
    let config = loaded(
        "transfer = [\"192.0.2.0/24\", \"2001:db8::1\", { key = \"xfr\" }, { from = \"10.0.0.0/8\", key = \"XFR.\" }]",
    );
    let read: Vec<_> = config.zones[0]
        .transfer
        .0
        .iter()
        .map(|allowed| {
            let from = allowed.from.map(|from| from.to_string()).unwrap_or_default();
            let key = allowed.key.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{from} {key}")
        })
        .collect();
    assert_eq!(read, ["192.0.2.0/24 ", "2001:db8::1/128 ", " xfr.", "10.0.0.0/8 xfr."]);
}

#[test]
fn secondaries_are_told_at_their_addresses() {
    let config = loaded(
        "notify = [\"ns\", \"192.0.2.7\", \"192.0.2.7:53\", { address = \"[2001:db8::7]:5353\", key = \"xfr\" }]",
    );
    let peer = |address: &str, key: Option<&str>| Peer {
        address: address.parse::<SocketAddr>().unwrap(),
        key: key.map(|key| key.parse().unwrap()),
    };
    let peers = vec![peer("192.0.2.7:53", None), peer("[2001:db8::7]:5353", Some("xfr"))];
    assert_eq!(config.zones[0].notify, Told { peers, name_servers: true });
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    for (line, expect) in [
        ("transfer = []", "13:12: error: \"transfer\" is an empty list"),
        ("transfer = \"192.0.2.1\"", "13:12: error: \"transfer\" is a string, not a list"),
        ("transfer = [\"192.0.2.1/24\"]", "13:13: error: \"192.0.2.1/24\" is not a network"),
        ("transfer = [\"anybody\"]", "13:13: error: \"anybody\" is not a network"),
        ("transfer = [{}]", "13:13: error: an entry of transfer has no \"from\""),
        ("transfer = [{ key = \"xfer\" }]", "13:21: error: unknown key \"xfer.\""),
        (
            "transfer = [{ from = \"::/0\", port = 1 }]",
            "13:30: error: unknown key \"port\" in an entry of transfer",
        ),
        ("notify = [\"ns1\"]", "13:11: error: \"ns1\" is not an address of a server"),
        ("notify = [\"192.0.2.1:0\"]", "13:11: error: \"192.0.2.1:0\" is not an address of a server"),
        ("notify = [\"0.0.0.0\"]", "13:11: error: 0.0.0.0 is not an address a host can have"),
        ("notify = [{ key = \"xfr\" }]", "13:11: error: an entry of notify has no \"address\""),
    ] {
        let report = with(line).report();
        assert!(report.contains(&format!("detour.toml:{expect}")), "{line}\n{report}");
    }
    let report = with("transfer = [{ key = \"xfer\" }]").report();
    assert!(report.contains("did you mean \"xfr.\"?"), "{report}");
    let long = vec!["\"192.0.2.1\""; 65].join(", ");
    assert!(with(&format!("transfer = [{long}]")).report().contains("more than 64 entries"));
}
