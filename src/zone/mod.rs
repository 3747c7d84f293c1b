//! Zones: master files, RRsets, serials and changesets. Pure.
//!
//! In: the bytes of zone files, handed over by the caller. Out: a checked [`Zone`], and [`Changeset`]s
//! that say how a published zone moves from one serial to the next. This room must never know where
//! bytes come from, what health is, or how an answer is laid out.

mod buckets;
mod canonical;
mod changeset;
mod contents;
mod editing;
mod edits;
mod journal;
mod kept;
mod layout;
mod master;
mod owners;
mod patches;
mod sets;
mod steering;
mod steps;
mod update;

pub use buckets::{BUCKETS, Buckets, WHOLE, Weighted, mix};
pub use canonical::canonical_lines;
pub use changeset::{Changeset, diff};
pub use contents::Zone;
pub use editing::{Difference, Editing, Laid, TooManyEdits};
pub use edits::{Edit, EditChange, EditKey, Edits};
pub use journal::{Ahead, Journal, JournalRow, MAX_JOURNAL_BYTES, Rows, Step};
pub use layout::{LayoutError, declared_apex, has_soa, lay_out, write_edits};
pub use master::{
    Include, Lint, MAX_GENERATE, MAX_INCLUDE_DEPTH, MAX_INCLUDES, MAX_LINE_TEXT, MAX_PROBLEMS, MAX_RECORDS,
    MAX_TEXT_LEN, Problem, Promises, Severity, UnknownLint, lint, parse,
};
pub use sets::RrSetRef;
pub use steering::{ClientsId, MAX_REGIONS, MAX_VARIANTS, Pick, Steering, SteeringError};
pub use steps::{Followed, STEPS_HEAD, SetSteps, Steps, led_to};
pub use update::{Change, MAX_UPDATE_RECORDS, Update, UpdateError, UpdateView, Wanted, effects};
