//! Zones that come from a primary: asked for, checked, kept (RFC 1034 section 4.3.5, RFC 1995, RFC 5936).
//!
//! In: which zones have which primaries, and NOTIFYs that others took in. Out: files in `state_dir` that hold
//! what the primaries sent, and the word that one of them changed or is too old, upon which they are loaded
//! as any zone file is. This room must never know what is laid over a zone, how it is answered from, or who
//! may send a NOTIFY to this server but by the configuration.
//!
//! ```text
//!            refresh is due ┌───────────────┐ NOTIFY
//!                           ▼               │
//!   refresh ──► fetch: SOA by UDP ── newer ─► transfer: IXFR, else AXFR ──► kept ──► load
//!      ▲            │ same                        │ wrong, or none               │
//!      └────────────┴─────────────────────────────┴──────────────────────────────┘
//!   no primary confirmed the zone for as long as its SOA says: it expires, and is answered SERVFAIL
//! ```
//!
//! `refresh`, `message`, `notify` and `transfer` are pure; `fetch` has the sockets, `kept` the files, `keeper` a task for
//! each zone.

mod fetch;
mod keeper;
mod kept;
mod message;
pub mod notify;
mod permits;
mod refresh;
#[cfg(test)]
mod tests;
mod transfer;

pub use fetch::{FetchError, fetch, serial};
pub use keeper::{Keeper, NotifyFrom, Reload, TransferredView};
pub use kept::discard_expired;
pub use message::BadMessage;
pub use notify::NotifyRcode;
pub use refresh::{Confirmed, Refresh, Timers};
pub use transfer::{BadTransfer, MAX_TRANSFER_BYTES, Progress, Received, Transfer};
