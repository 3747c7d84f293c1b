//! Zones that come from a primary: asked for, checked, kept (RFC 1034 section 4.3.5, RFC 1995, RFC 5936).
//!
//! In: which zones have which primaries, and NOTIFYs that others took in. Out: files in `state_dir` that hold
//! what the primaries sent, and the word that one of them changed or is too old, with what it holds then. Where that came
//! as steps, they are held against what is served, RRset by RRset, kept as they are, and handed on: it all costs what
//! they change. This room must never know what is laid over a zone, how it is answered from, or who
//! may send a NOTIFY to this server but by the configuration.
//!
//! ```text
//!            refresh is due ┌───────────────┐ NOTIFY
//!                           ▼               │
//!   timers ───► fetch: SOA by UDP ── newer ─► assemble: IXFR, else AXFR ──► files ─► load
//!      ▲            │ same                        │ wrong, or none               │
//!      └────────────┴─────────────────────────────┴──────────────────────────────┘
//!   no primary confirmed the zone for as long as its SOA says: it expires, and is answered SERVFAIL
//! ```
//!
//! `timers`, `client`, `notify`, `assemble`, `steps` and `content` are pure; `fetch` has the sockets, `files` the files, `refresher` a task for
//! each zone.

mod assemble;
mod client;
mod content;
mod fetch;
mod files;
pub mod notify;
mod permits;
mod refresher;
mod steps;
#[cfg(test)]
mod tests;
mod timers;

pub use assemble::{MAX_TRANSFER_BYTES, Progress, Received, Transfer};
pub use client::BadMessage;
pub use content::BadTransfer;
pub use fetch::{FetchError, fetch, serial};
pub use files::discard_expired;
pub use notify::NotifyRcode;
pub use refresher::{Keeper, NewContent, NotifyFrom, Reload, TransferredView, Waiting};
pub use timers::{Confirmed, Refresh, Timers};
