//! The real daemon with real sites, seen from outside: by `dig`, by UDP sockets, by its own commands.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod alerts;
mod certificates;
mod clients;
mod clocks;
mod commands;
mod dashboard;
mod dig;
mod disks;
mod failures;
mod families;
mod flood;
mod harness;
mod heartbeats;
mod hostile;
mod inbox;
mod incidents;
mod judgement;
mod kinds;
#[path = "../../src/geo/mmdb.rs"]
mod mmdb;
#[path = "../probe/namespace.rs"]
#[allow(dead_code, reason = "the tests of probes do more in theirs")]
mod namespace;
mod observing;
mod openapi;
mod operators;
#[path = "../peers/mod.rs"]
mod peers;
mod rate_limit;
mod recordings;
mod reloads;
mod restarts;
mod scenarios;
mod setup_files;
mod signatures;
mod site;
mod starts;
mod updates;
mod updates_served;
mod watches;
mod zones;

use detour::dns::Network;
