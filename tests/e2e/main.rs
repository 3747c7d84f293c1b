//! The real daemon with real sites, seen from outside: by `dig`, by UDP sockets, by its own commands.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod dig;
mod failures;
mod flood;
mod harness;
mod heartbeats;
mod hostile;
mod kinds;
#[path = "../scenarios/language.rs"]
#[allow(dead_code, reason = "the pure engine is held to more of it")]
mod language;
mod operators;
mod rate_limit;
mod reloads;
mod restarts;
mod scenarios;
#[path = "../scenarios/setup.rs"]
#[allow(dead_code, reason = "the pure engine is held to more of it")]
mod setup;
mod setup_files;
mod site;
mod watches;
