//! Zones: master files, RRsets, serials and changesets. Pure.
//!
//! In: the bytes of zone files, handed over by the caller. Out: a checked [`Zone`], and [`Changeset`]s
//! that say how a published zone moves from one serial to the next. This room must never know where
//! bytes come from, what health is, or how an answer is laid out.

mod changeset;
mod contents;
mod name;
mod owners;
mod rdata;
mod rrset;
mod serial;
mod soa;

pub use changeset::{Changeset, diff};
pub use contents::{RrSetRef, Zone};
pub use name::{MAX_LABEL_LEN, MAX_NAME_LEN, Name, NameError};
pub use rdata::{UnknownType, rdata_text};
pub use rrset::{RrSet, RrType};
pub use serial::Serial;
pub use soa::{soa_minimum, soa_serial, soa_with_serial};
