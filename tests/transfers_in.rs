//! Zones that come from a primary: from NSD, Knot DNS and BIND as they run elsewhere, and from primaries that
//! mean harm.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

#[path = "e2e/dig.rs"]
#[allow(dead_code, reason = "shared with the other tests of the real binary")]
mod dig;
#[path = "e2e/harness.rs"]
#[allow(dead_code, reason = "shared with the other tests of the real binary")]
mod harness;
#[path = "transfers_in/hostile.rs"]
mod hostile;
#[path = "transfers_in/life.rs"]
mod life;
#[path = "peers/nameserver.rs"]
#[allow(dead_code, reason = "each target uses its own part")]
mod nameserver;
#[path = "transfers_in/others.rs"]
mod others;
#[path = "peers/ports.rs"]
mod ports;
#[path = "e2e/site.rs"]
#[allow(dead_code, reason = "shared with the other tests of the real binary")]
mod site;
#[path = "transfers_in/steps.rs"]
mod steps;
#[path = "transfers_in/updates.rs"]
mod updates;

use std::net::SocketAddr;

use harness::{Detour, until};
use ports::free_port;

/// The secret of the key `xfr`, as all know it.
const SECRET: &str = "c2l4dGVlbiBieXRlIGtleSwgYW5kIHNvbWUgbW9yZSE=";

/// A zone that changes, expires and retries as quickly as its SOA says.
fn zone(serial: u32, timers: &str, more: &str) -> String {
    format!(
        "$TTL 300\n@ SOA ns1 hostmaster {serial} {timers} 60\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.80\n{more}\n"
    )
}

/// A configuration that takes example.com from these primaries, TOML values all, and steers nothing.
fn config(listen: u16, primaries: &str) -> String {
    format!(
        r#"
[server]
listen = ["127.0.0.1:{listen}"]
state_dir = "state"
threads = 1

[control]
listen = "127.0.0.1:0"

[keys.xfr]
algorithm = "hmac-sha256"
secret_file = "xfr.key"

[[zone]]
name = "example.com"
primary = [{primaries}]
"#
    )
}

/// A daemon that takes example.com from primaries.
fn secondary(config: &str) -> Detour {
    let mut detour = Detour::spawn(config, &[("xfr.key", SECRET)]);
    detour.await_listening();
    detour
}

/// How the daemon says the zone stands.
fn transferred(detour: &Detour) -> serde_json::Value {
    detour.json("/v1/status")["transferred"][0].clone()
}

/// Waits until the daemon answers with this serial.
fn settles_on_serial(detour: &Detour, serial: u32) {
    until(&format!("serial {serial}, and not {}", transferred(detour)), || {
        let soa = detour.ask("example.com", "SOA");
        let found = soa.records.first()?.data.split_whitespace().nth(2)?.parse::<u32>().ok()?;
        (found == serial).then_some(())
    });
}

/// The addresses a name has.
fn addresses(detour: &Detour, name: &str) -> Vec<String> {
    detour.ask(name, "A").data().into_iter().map(str::to_owned).collect()
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
