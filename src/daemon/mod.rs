//! The daemon: starts the rooms, carries events in and effects out, stops them.
//!
//! ```text
//!  probe ──Sample──►┐                         ┌──► zones: journals, commit, table, NOTIFY
//!  api ─────Command─► core: Engine::step ─────┤
//!  zones ────Load──►┘        one thread       └──► then probe (pace), log
//! ```
//!
//! In: the path of a configuration file, signals. Out: a running server. Nothing here decides anything.
//! The core thread alone owns the engine; everybody else sends it an [`messages::Input`] or reads the
//! published table. The answer path shares nothing with it but that table.

mod clock;
mod core;
mod exempt;
mod first;
mod handle;
mod host_clock;
#[cfg(test)]
mod kills;
mod listeners;
mod messages;
mod open_files;
#[cfg(test)]
mod reload_tests;
mod rooms;
mod signals;
mod stalls;
mod start;
mod status;
#[cfg(test)]
mod tests;
mod watch;

pub use first::StartError;
pub use handle::Handle;
pub use listeners::Addresses;
pub use signals::serve;
pub use start::{Running, start, start_with};
