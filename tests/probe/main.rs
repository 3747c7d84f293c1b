//! The prober against real sockets on loopback: servers that behave, and servers that do not.

#![allow(clippy::unwrap_used)] // a helper that panics fails its test, as it should

mod answers;
mod certificates;
mod checks;
mod connects;
mod schedules;
mod servers;
mod watches;
