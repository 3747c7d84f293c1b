//! What is no plain query: who sees to it, and what they answer.
//!
//! In: messages that the sockets do not answer from the table by themselves. Out: their answers. Signatures are verified
//! here, and who may do what is looked up; what it comes to is for others to know.
//!
//! ```text
//!   server ── Request ──► RequestRouter
//!                            ├─ UPDATE: who may? ──► the loader, or a primary ──► what became of it
//!                            ├─ NOTIFY ──► the keeper of the zone
//!                            └─ Office ─┬─ whose signature? ── none that counts ──► the answer that says so
//!                                       ├─ a plain query, signed ──► answer ──► signed
//!                                       ├─ AXFR, IXFR: who may? ──► table, journal ──► messages, one at a time
//!                                       └─ anything else ──► answer
//! ```

mod forward;
mod notify;
mod parse;
mod router;
mod transfer;
mod update;

pub use router::RequestRouter;
pub use transfer::Office;
