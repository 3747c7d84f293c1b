//! RDATA: what each type's holds, from text to wire and back.
//!
//! In: a type, and one record's RDATA as tokens or as wire bytes. Out: the other of the two. `types` says
//! once, as data, which fields a type has; `parse` (text to wire) and `print` (wire to text) both follow it,
//! so a type that one of them knows, both know.

mod compressed;
mod encoding;
mod hints;
mod loc;
mod parse;
mod print;
mod rare;
mod svcb;
#[cfg(test)]
pub(crate) mod tests;
mod types;

pub use compressed::{
    checked_rdata, name_in_message, rdata_from_text, rdata_in_message, steered_rdata_from_text,
};
pub(crate) use encoding::parse_escaped;
pub use hints::{close_hints, has_hints, hints};
pub(crate) use parse::parse_rdata;
pub use print::rdata_text;
pub use types::UnknownType;

/// The bytes that base64 with its padding stands for (RFC 4648 section 4); `None` where it is none.
pub fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    encoding::parse_base64(text, &mut bytes).map(|()| bytes)
}
