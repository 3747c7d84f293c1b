//! The prober against real sockets on loopback: servers that behave, and servers that do not.

#![allow(clippy::unwrap_used)] // a helper that panics fails its test, as it should

mod answers;
mod certificates;
mod checks;
mod connects;
mod dns;
mod echoes;
mod execs;
mod grpc;
mod holes;
mod http_two;
mod names;
mod namespace;
mod nginx;
mod options;
#[path = "../peers/mod.rs"]
mod peers;
mod schedules;
mod servers;
mod talks;
mod watches;
