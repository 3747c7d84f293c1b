//! The record in a message: finding it, taking it off, putting one on (RFC 8945 section 4.2).

use super::TSIG;
use super::algorithm::Running;
use crate::dns::{Name, RrType, name_in_message};

const HEADER_LEN: usize = 12;
/// Class ANY, which is this record's (RFC 8945 section 4.2).
const ANY: u16 = 255;

/// A message that cannot be read as far as it takes to find a signature in it, or with one where none
/// belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A signature as it stands in a message.
#[derive(Debug)]
pub(super) struct Record<'m> {
    /// Where it begins.
    pub at: usize,
    pub key: Name,
    pub algorithm: Name,
    pub mac: &'m [u8],
    pub original_id: u16,
    pub variables: Variables<'m>,
}

/// What is signed beside the message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variables<'m> {
    /// When it was signed, in seconds since 1970.
    pub time: u64,
    /// Seconds.
    pub fudge: u16,
    pub error: u16,
    pub other: &'m [u8],
}

/// The signature at a message's end, where there is one. It stands in no other place, and there is but one
/// (RFC 8945 section 5.2).
pub(super) fn find(message: &[u8]) -> Result<Option<Record<'_>>, Malformed> {
    let header = message.first_chunk::<HEADER_LEN>().ok_or(Malformed)?;
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let mut at = HEADER_LEN;
    for _ in 0..count(4) {
        at = after_name(message, at)? + 4;
    }
    // Each record takes eleven bytes, so that the counts alone cost nobody anything.
    let (before, additional) = (count(6) + count(8), count(10));
    for number in 0..before + additional {
        let start = at;
        let fixed = after_name(message, at)?;
        let head = message.get(fixed..fixed + 10).ok_or(Malformed)?;
        let rdata = fixed + 10;
        at = rdata + usize::from(u16::from_be_bytes([head[8], head[9]]));
        if u16::from_be_bytes([head[0], head[1]]) != TSIG {
            continue;
        }
        let is_last = number + 1 == before + additional && additional > 0 && at == message.len();
        let class = u16::from_be_bytes([head[2], head[3]]);
        if !is_last || class != ANY || head[4..8] != [0; 4] {
            return Err(Malformed);
        }
        return read(message, start, rdata).ok_or(Malformed).map(Some);
    }
    if at > message.len() { Err(Malformed) } else { Ok(None) }
}

/// Whether a message has an OPT record (RFC 6891), as far as it can be read.
pub(super) fn has_edns(message: &[u8]) -> bool {
    let Some(header) = message.first_chunk::<HEADER_LEN>() else { return false };
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let mut at = HEADER_LEN;
    for _ in 0..count(4) {
        let Ok(end) = after_name(message, at) else { return false };
        at = end + 4;
    }
    for _ in 0..count(6) + count(8) + count(10) {
        let Ok(fixed) = after_name(message, at) else { return false };
        let Some(head) = message.get(fixed..fixed + 10) else { return false };
        if u16::from_be_bytes([head[0], head[1]]) == RrType::OPT.0 {
            return true;
        }
        at = fixed + 10 + usize::from(u16::from_be_bytes([head[8], head[9]]));
    }
    false
}

fn read(message: &[u8], at: usize, rdata: usize) -> Option<Record<'_>> {
    let (key, _) = name_in_message(message, at)?;
    let (algorithm, mut here) = name_in_message(message, rdata)?;
    let mut take = |len: usize| {
        let taken = message.get(here..here + len)?;
        here += len;
        Some(taken)
    };
    let time = take(6)?.iter().fold(0, |time, &byte| time << 8 | u64::from(byte));
    let word = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    let fudge = word(take(2)?);
    let mac_len = word(take(2)?);
    let mac = take(usize::from(mac_len))?;
    let original_id = word(take(2)?);
    let error = word(take(2)?);
    let other_len = word(take(2)?);
    let other = take(usize::from(other_len))?;
    let variables = Variables { time, fudge, error, other };
    (here == message.len()).then_some(Record { at, key, algorithm, mac, original_id, variables })
}

/// Where a name ends, without a look at where it leads.
fn after_name(message: &[u8], mut at: usize) -> Result<usize, Malformed> {
    loop {
        match *message.get(at).ok_or(Malformed)? {
            0 => return Ok(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xc0.. => return Ok(at + 2),
            _ => return Err(Malformed),
        }
    }
}

/// Takes a message's signature off; the message keeps the id it came with.
pub(super) fn strip(message: &mut Vec<u8>, at: usize) {
    message.truncate(at);
    let additional = u16::from_be_bytes([message[10], message[11]]);
    message[10..12].copy_from_slice(&additional.saturating_sub(1).to_be_bytes());
}

/// Has a message signed as it was before its signature was put on (RFC 8945 section 4.3.2).
pub(super) fn digest_signed(running: &mut Running, message: &[u8], record: &Record) {
    let mut header = message[..HEADER_LEN].to_vec();
    header[..2].copy_from_slice(&record.original_id.to_be_bytes());
    let additional = u16::from_be_bytes([header[10], header[11]]);
    header[10..].copy_from_slice(&additional.saturating_sub(1).to_be_bytes());
    running.update(&header);
    running.update(&message[HEADER_LEN..record.at]);
}

/// Has an earlier signature signed: the request's, or that of the message before (RFC 8945 section 4.3.1).
pub(super) fn digest_mac(running: &mut Running, mac: &[u8]) {
    running.update(&(mac.len() as u16).to_be_bytes());
    running.update(mac);
}

impl Variables<'_> {
    /// All of them (RFC 8945 section 4.3.3).
    pub fn digest(&self, running: &mut Running, key: &Name, algorithm: &[u8]) {
        running.update(key.as_wire());
        running.update(&ANY.to_be_bytes());
        running.update(&[0; 4]);
        running.update(algorithm);
        self.digest_times(running);
        running.update(&self.error.to_be_bytes());
        running.update(&(self.other.len() as u16).to_be_bytes());
        running.update(self.other);
    }

    /// Those of the second and later messages of a stream (RFC 8945 section 5.3.1).
    pub fn digest_times(&self, running: &mut Running) {
        running.update(&self.time.to_be_bytes()[2..]);
        running.update(&self.fudge.to_be_bytes());
    }
}

/// Puts a signature on a message.
pub(super) fn append(
    message: &mut Vec<u8>,
    key: &Name,
    algorithm: &[u8],
    variables: &Variables,
    mac: &[u8],
    original_id: u16,
) {
    let additional = u16::from_be_bytes([message[10], message[11]]);
    message[10..12].copy_from_slice(&additional.saturating_add(1).to_be_bytes());
    message.extend_from_slice(key.as_wire());
    message.extend_from_slice(&TSIG.to_be_bytes());
    message.extend_from_slice(&ANY.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    let len = algorithm.len() + 16 + mac.len() + variables.other.len();
    message.extend_from_slice(&(len as u16).to_be_bytes());
    message.extend_from_slice(algorithm);
    message.extend_from_slice(&variables.time.to_be_bytes()[2..]);
    message.extend_from_slice(&variables.fudge.to_be_bytes());
    message.extend_from_slice(&(mac.len() as u16).to_be_bytes());
    message.extend_from_slice(mac);
    message.extend_from_slice(&original_id.to_be_bytes());
    message.extend_from_slice(&variables.error.to_be_bytes());
    message.extend_from_slice(&(variables.other.len() as u16).to_be_bytes());
    message.extend_from_slice(variables.other);
}
