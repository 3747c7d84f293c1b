//! RDATA: what each type's holds, from text to wire and back.
//!
//! In: a type, and one record's RDATA as tokens or as wire bytes. Out: the other of the two. `types` says
//! once, as data, which fields a type has; `parse` (text to wire), `print` (wire to text) and `wire`
//! (is it well formed?) all follow it, so a type that one of them knows, all know.

mod encoding;
mod loc;
mod print;
mod svcb;
mod types;

pub use print::rdata_text;
pub use types::UnknownType;
