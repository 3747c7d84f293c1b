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

mod apart;
mod choice;
mod choose;
mod decision;
mod endpoint;
mod failover;
mod family;
mod last_resort;
mod member;
mod memory;
mod moves;
mod moving;
mod overrides;
mod proposal;
mod reason;
mod records;
mod safety;
mod situation;
mod steer;
mod target;
mod tree;

pub use apart::{Apart, Joined, join_families};
pub use choice::Choice;
pub use choose::{choose, refuse_failover};
pub use decision::{Decision, FamilyPart};
pub use endpoint::{Earlier, Standing};
pub use family::Family;
pub use memory::{FamilyMemories, FamilyMemory, Mark, Marks, Memories, Memory};
pub use moves::{Move, MoveKind, Partial, Step};
pub use moving::{delayed_until, movement, standby, stay, step, unready};
pub use overrides::{Override, OverrideKind, Scope, ruling};
pub use proposal::{IfUnanswered, NOBODY, Proposal, ProposalNews, ProposalState, unmade};
pub use reason::{Forced, LastResort, Latch, Noted, Portion, Reason, Rule, Toward, Withheld};
pub use safety::{Carried, HOUR, Ledger, MAX_SWITCHES_KEPT, Tally, loads};
pub use situation::{Order, Regions, Situation};
pub use steer::{ALL, Branch, Flow, MAX_SETS, Steer, Variant};
pub use target::Target;
pub use tree::{MIN_STEP, SLOW_STEPS};
