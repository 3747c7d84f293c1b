//! Numbers on the command line: what is none is told with what it should be.

use std::str::FromStr;

/// The most entries that one page of a list has.
const MAX_ENTRIES: u16 = 1000;

fn number<N: FromStr>(text: &str, should_be: &str) -> Result<N, String> {
    text.parse().map_err(|_| should_be.to_owned())
}

/// The number of a proposal.
pub(super) fn proposal(text: &str) -> Result<u64, String> {
    number(text, "write the number of a proposal; `detour status` lists those that wait")
}

/// The number of an incident.
pub(super) fn incident(text: &str) -> Result<u64, String> {
    number(text, "write the number of an incident; `detour report --list` lists them")
}

/// A zone's serial.
pub(super) fn serial(text: &str) -> Result<u32, String> {
    number(text, "write a serial, a number up to 4294967295; `detour zone history ZONE` lists them")
}

/// How many entries of a list.
pub(super) fn entries(text: &str) -> Result<u16, String> {
    let should_be = format!("write a number from 1 to {MAX_ENTRIES}");
    number(text, &should_be).ok().filter(|count| (1..=MAX_ENTRIES).contains(count)).ok_or(should_be)
}
