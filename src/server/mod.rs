//! Sockets: query bytes in from the network, answer bytes out to it. With `sys`, the only room with
//! `unsafe`, for system calls.
//!
//! Where somebody watches, [`Taps`] give copies of some queries and answers away.
//!
//! In: the addresses to listen on and the published [`Table`](crate::answer::Table), watched through
//! one atomic pointer; and a [`Desk`] for what is no plain query. Out: answers, [`Counters`], and how many parts have [failed](Running::failed).
//! This room must never know what a query means, where the table comes from, or what health is:
//! `answer` turns bytes into bytes, and only the length, the rcode and the truncation are looked at.
//!
//! ```text
//! bind ─► Sockets ─► serve ─► Running ─► stop
//!                      │
//!                      ├─ a thread per (worker × address): recvmmsg ─► answer ─► sendmmsg
//!                      └─ a task per address: accept ─► admission ─► a task per connection
//!
//! what is no plain query: a transfer, NOTIFY, UPDATE, whatever is signed ──► the desk
//!
//! a TCP connection:  Reading ──whole queries──► Answering ──► Writing ──► Reading
//!                       │ idle, stop, end of stream,            │ the reader is too slow
//!                       ▼ or not DNS                            ▼
//!                     Closed ◄──────────────────────────────────┘
//! ```

mod accept;
mod admission;
mod batch;
mod counters;
mod options;
mod pin;
mod rate_limit;
mod responder;
mod running;
mod sampler;
mod slow_path;
mod sockets;
mod stopping;
mod tcp;
#[cfg(test)]
mod testing;
mod udp;

pub use accept::Acceptor;
pub use admission::{Admission, Bounds, Permit};
pub use counters::{Counters, Metric};
pub use running::{MAX_CONNECTIONS, Running};
pub use sampler::{Seen, Taps};
pub use slow_path::{Desk, Replies, Request};
pub use sockets::{BindError, Sockets};
