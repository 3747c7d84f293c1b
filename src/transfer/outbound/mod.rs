//! Zones on their way out: the journals that transfers are read from, and NOTIFY to who is to ask.
//!
//! In: what was published and how it differs from what was before; from the configuration who is told. Out: steps for those who
//! ask for them ([`Journals`]), and what secondaries say they have ([`Teller`]). This room must never know why a zone changed,
//! or what health is.
//!
//! ```text
//!   core ─── published ──► Teller ── NOTIFY ──► secondaries ── which serial they have ──► status, metrics
//! ```

mod journals;
mod messages;
mod notifier;
mod schedule;

pub use journals::Journals;
pub use notifier::{Secondary, Teller};
