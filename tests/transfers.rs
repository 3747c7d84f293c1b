//! Zones on their way out, to the nameservers people have: NSD, Knot DNS and BIND as secondaries of a real
//! daemon, with and without signatures, and `dig` for what a transfer holds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

#[allow(dead_code, reason = "shared with tests/e2e, which uses all of it")]
#[path = "e2e/dig.rs"]
mod dig;
#[allow(dead_code, reason = "shared with tests/e2e, which uses all of it")]
#[path = "e2e/harness.rs"]
mod harness;
#[allow(dead_code, reason = "shared with tests/e2e, which uses all of it")]
#[path = "e2e/site.rs"]
mod site;

#[path = "transfers/catalog.rs"]
mod catalog;
#[path = "transfers/kills.rs"]
mod kills;
#[path = "peers/nameserver.rs"]
#[allow(dead_code, reason = "each target uses its own part")]
mod nameserver;
#[path = "peers/ports.rs"]
mod ports;
#[path = "transfers/primary.rs"]
mod primary;
#[path = "transfers/recipes.rs"]
mod recipes;
#[path = "transfers/secondaries.rs"]
mod secondaries;
#[path = "transfers/servers.rs"]
mod servers;
