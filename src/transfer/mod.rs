//! Zones on their way out: transfers to who asks and may (AXFR, IXFR), and NOTIFY to who is to ask.
//!
//! In: messages that are no plain queries, from the sockets; the published table, the journals of what
//! changed, and from the configuration who may do what. Out: their answers ([`Office`]), and what is told to
//! secondaries and what they say they have ([`Teller`]). This room must never know why a zone changed, or what
//! health is.
//!
//! ```text
//!   serve ── Request ──► Office ─┬─ whose signature? ── none that counts ──► the answer that says so
//!                                ├─ a plain query, signed ──► answer ──► signed
//!                                ├─ AXFR, IXFR: who may? ──► table, journal ──► messages, one at a time
//!                                └─ anything else ──► answer
//!   core ─── published ──► Teller ── NOTIFY ──► secondaries ── which serial they have ──► status, metrics
//! ```

mod course;
mod desk;
mod journals;
mod request;
mod talk;
mod teller;

pub use desk::Office;
pub use journals::Journals;
pub use teller::{Secondary, Teller};
