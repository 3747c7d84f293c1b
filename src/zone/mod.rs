//! Zones: master files, RRsets, serials and changesets. Pure.
//!
//! In: the bytes of zone files, handed over by the caller. Out: a checked [`Zone`], and [`Changeset`]s
//! that say how a published zone moves from one serial to the next. This room must never know where
//! bytes come from, what health is, or how an answer is laid out.

mod changeset;
mod contents;
mod name;
mod rrset;
mod serial;

pub use changeset::Changeset;
pub use contents::{RrSetRef, Zone};
pub use name::{MAX_LABEL_LEN, MAX_NAME_LEN, Name, NameError};
pub use rrset::{RrSet, RrType};
pub use serial::Serial;
