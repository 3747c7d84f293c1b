//! Zones and what they are made of: one way for any of them to change.
//!
//! In: what is asked of the [`Loader`]: to read the files, to carry out an UPDATE, a rollback or a freeze, to take up what a
//! primary sent. Out: loads and changed contents, checked and compiled, to a [`Publisher`]; what came of it, to those who
//! asked. Whoever publishes them, and what decisions change, does so through the [`PublishStage`] alone. This room must
//! never know what steers a name, or who asks by which protocol.
//!
//! ```text
//!   files ───────────┐
//!   primaries ───────┤
//!   UPDATE ──────────┼─ Ask ──► Loader ── promise ──► disk
//!   rollback, freeze ┘            │
//!                                 └── load, change ──► Publisher ── Event ──► engine
//!                                                                              │ Changes
//!   secondaries ◄── table ◄── disk ◄── journals ◄────────── PublishStage ◄─────┘
//! ```

mod changes;
mod diff;
mod freeze;
mod held;
mod journals;
mod loader;
mod losses;
mod messages;
mod outcome;
mod packs;
mod patch;
mod publish;
mod publisher;
mod recovery;
mod rollback;
mod snapshots;
mod sources;
mod update;

pub use diff::Differences;
pub use freeze::edits;
pub use journals::{Journals, unreached};
pub use loader::{Asks, Loader, lock};
pub use messages::{
    Ask, Asker, Changed, Contents, Force, How, NotTaken, OnlyContents, PreparedLoad, RELOAD_QUEUE, Refused,
    Rollback, RollbackAsk, TransferredAsk, UpdateAsk,
};
pub use outcome::{Frozen, LoadOutcome, Rejected, Reloaded, RolledBack, ZoneEdits};
pub use publish::{Changes, NewContents, PublishStage, Published};
pub use publisher::Publisher;
pub use recovery::PublishedState;
pub use sources::Sources;
