//! Policy: health, overrides and the time in; which endpoints a service answers with, and the typed
//! [`Reason`], out. Pure.
//!
//! In: a [`Situation`]: the service as configured, how each endpoint stands, what was last decided and
//! what is remembered of it. Out: a [`Choice`]. This room must never know where a finding comes from,
//! which serial a zone has, or how an answer reaches a client.
//!
//! ```text
//!            the endpoint in use fails                 a preferred one is Up again
//!  InOrder ─────────────────────────────► InOrder ─────────────────────────────► Holding, Latched
//!  (first)                                (next)  ◄── it fails within the hold ──   │      │
//!     ▲ ▲                                   │                                      │      │
//!     │ └─── one works ─── AllDown ◄────────┘ none works               hold ended  │      │ `failback`
//!     │ └─── one works ─── Unproven ◄── it fails once more, and one is Unknown        │      │
//!     └────────────────────────────────────────────────────────────────────────────┴──────┘
//! ```

mod choice;
mod decision;
mod endpoint;
mod failover;
mod family;
mod member;
mod moving;
mod overrides;
mod proposal;
mod reason;
mod records;
mod safety;
mod steer;
mod target;
mod tree;

pub use choice::{Choice, Order, Situation, choose, refuse_failover};
pub use decision::Decision;
pub use endpoint::{Earlier, Standing};
pub use failover::{Mark, Marks};
pub use family::{Apart, Family, FamilyMemories, FamilyMemory, FamilyPart, Joined, join_families};
pub use moving::{Move, MoveKind, Partial, Step, delayed_until, movement, standby, stay, step, unready};
pub use overrides::{Override, OverrideKind, Scope, ruling};
pub use proposal::{IfUnanswered, NOBODY, Proposal, ProposalNews, ProposalState, unmade};
pub use reason::{Forced, LastResort, Latch, Noted, Portion, Reason, Rule, Toward, Withheld};
pub use safety::{Carried, HOUR, Ledger, MAX_SWITCHES_KEPT, Tally, loads};
pub use steer::{ALL, Branch, Flow, MAX_SETS, Steer, Variant};
pub use target::Target;
pub use tree::{MIN_STEP, Memories, Memory, Regions, SLOW_STEPS};
