//! Records as the text of a zone file, and that as a zone: by the rules of zone files, whatever way it came.

use std::fmt::Write as _;

use super::client::BadMessage;
use crate::dns::{Name, RrType, Serial, rdata_text};
use crate::zone::{Severity, Zone, parse};

/// The most bytes of text a transferred zone takes, as much as a zone file may have.
pub(super) const MAX_TEXT: usize = 1 << 30;

/// Why a transfer is of no use; what was had before goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTransfer {
    /// One of its messages.
    #[error("it sent {0}")]
    Message(#[from] BadMessage),
    /// It does not begin with the zone's SOA.
    #[error("its first record is {0}, not the zone's SOA")]
    NoSoa(String),
    /// An SOA that belongs to no form of transfer.
    #[error("an SOA of serial {0} stands where none belongs")]
    StraySoa(Serial),
    /// Something after the end.
    #[error("records follow its last one")]
    AfterEnd,
    /// A record of another zone.
    #[error("{0} does not lie in the zone")]
    OutOfZone(Name),
    /// A step takes away what is not there.
    #[error("a step takes away {0}, which is not there")]
    NotThere(String),
    /// A step adds what is there.
    #[error("a step adds {0}, which is there")]
    There(String),
    /// It never ends, or is too large.
    #[error("it has more than {0}")]
    TooLarge(&'static str),
    /// Read as a zone file, the content has errors.
    #[error("the zone has errors: {0}")]
    Zone(String),
}

/// One more record as a zone file's line.
pub(super) fn push(
    text: &mut String,
    owner: &Name,
    rtype: RrType,
    ttl: u32,
    rdata: &[u8],
) -> Result<(), BadTransfer> {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{owner} {ttl} IN {rtype} {}", rdata_text(rtype, rdata));
    if text.len() > MAX_TEXT { Err(BadTransfer::TooLarge("1 GiB of text")) } else { Ok(()) }
}

/// Text as a zone, by the rules of zone files.
pub(super) fn read(zone: &Name, text: &[u8]) -> Result<Zone, BadTransfer> {
    let file = format!("transfer of {zone}");
    let mut no_includes = |_: &str| Err("a transfer includes nothing".to_owned());
    parse(zone, &file, text, &mut no_includes).map(|(zone, _)| zone).map_err(|problems| {
        let first = problems.into_iter().find(|problem| problem.severity == Severity::Error);
        BadTransfer::Zone(first.map(|problem| problem.message).unwrap_or_default())
    })
}
