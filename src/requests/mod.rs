//! What is no plain query: who sees to it, and what they answer.
//!
//! In: messages that the sockets do not answer from the table by themselves. Out: their answers. Signatures are verified
//! here, and who may do what is looked up; what it comes to is for others to know.
//!
//! ```text
//!   server ── Request ──► Office ─┬─ whose signature? ── none that counts ──► the answer that says so
//!                                 ├─ a plain query, signed ──► answer ──► signed
//!                                 ├─ AXFR, IXFR: who may? ──► table, journal ──► messages, one at a time
//!                                 └─ anything else ──► answer
//! ```

pub mod forward;
pub mod notify;
mod parse;
mod transfer;

pub use transfer::Office;
