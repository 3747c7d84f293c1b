//! Zones on their way out: NOTIFY to who is to ask for what was published.
//!
//! In: what was published; from the configuration who is told. Out: what secondaries say they have ([`Teller`]). This room
//! must never know why a zone changed, or what health is.
//!
//! ```text
//!   core ─── published ──► Teller ── NOTIFY ──► secondaries ── which serial they have ──► status, metrics
//! ```

mod messages;
mod notifier;
mod schedule;

pub use notifier::{Secondary, Teller};
