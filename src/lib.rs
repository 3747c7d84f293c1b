//! Detour: an authoritative DNS server that routes around a dead site.
//!
//! The rooms, in the order data flows through them:
//!
//! ```text
//! config ─► probe ─► health ─► policy ─► engine ─► zone ─► answer ─► server
//!           Sample   Health    Decision  Changeset  published table   bytes
//! ```
//!
//! `geo` makes the maps by which `answer` tells clients apart. `zones` makes zones of their files and of what changes them, and
//! publishes what the engine decides. `state` keeps what must survive and `recording` what the engine was given. `requests` sees
//! to what is no plain query, `alert` tells people, `api` shows and steers, `daemon` starts and joins them all, `cli` is the
//! command line. ARCHITECTURE.md has the invariants and where to change what.

pub mod alert;
pub mod answer;
pub mod api;
pub mod certificate;
pub mod cli;
pub mod condition;
pub mod config;
pub mod daemon;
pub mod dns;
pub mod engine;
pub mod geo;
pub mod health;
pub mod incident;
pub mod model;
pub mod policy;
pub mod probe;
pub mod recording;
pub mod requests;
pub mod server;
pub mod simulate;
pub mod state;
pub mod sys;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod transfer;
pub mod zone;
pub mod zones;
