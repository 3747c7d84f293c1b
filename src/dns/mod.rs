//! The DNS as bytes and text: names, types, record sets and their data, serials, and TSIG. Pure.
//!
//! In: text of zone files and bytes of messages. Out: values that are checked, and text and bytes made from them. This
//! room must never know what a zone is, or what a message is for.

pub(crate) mod lex;
pub mod message;
pub(crate) mod name;
mod network;
mod rcode;
pub(crate) mod rdata;
pub(crate) mod rrset;
mod rtype;
mod serial;
mod soa;
pub mod tsig;
pub(crate) mod ttl;

pub use name::{MAX_LABEL_LEN, MAX_NAME_LEN, Name, NameError};
pub use network::{Network, NetworkError};
pub use rcode::{RCODES, rcode_name};
pub use rdata::{
    UnknownType, checked_rdata, close_hints, from_base64, has_hints, hints, name_in_message, rdata_from_text,
    rdata_in_message, rdata_text, steered_rdata_from_text,
};

pub use rrset::{MAX_RRSET_BYTES, RrSet, record_ttl};
pub use rtype::RrType;
pub use serial::{Serial, SerialStyle};
pub use soa::{soa_minimum, soa_serial, soa_with_serial};
