//! Policy: health, overrides and the time in; which endpoints a service answers with, and the typed
//! [`Reason`], out. Pure.
//!
//! In: a [`Situation`]: the service as configured, how each endpoint stands, what was last decided and
//! what is remembered of it. Out: a [`Choice`]. This room must never know where a finding comes from,
//! which serial a zone has, or how an answer reaches a client.
//!
//! ```text
//!                first in order works
//!        ┌──────────────────────────────────────────────┐
//!        ▼            it is Down, drained, forced Down    │
//!     InOrder ──────────────► InOrder ───────────► Holding or Latched
//!     (first) ◄──┐           (next)    first is Up   │ (next)
//!                │              │      again          │
//!                │ one works    ▼ none works          │ hold ends; `failback`
//!                └────────── AllDown ◄────────────────┤
//!                                                      └──► InOrder (first)
//! ```

mod choice;
mod decision;
mod failover;
mod overrides;
mod reason;
mod records;
mod standing;

pub use choice::{Choice, Order, Situation, choose, refuse_failover};
pub use decision::Decision;
pub use failover::{Mark, Marks};
pub use overrides::{Override, OverrideKind, Scope, ruling};
pub use reason::{Forced, LastResort, Latch, Noted, Reason, Rule, Withheld};
pub use standing::Standing;
