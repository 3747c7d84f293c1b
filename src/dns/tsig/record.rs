//! The record in a message: finding it, taking it off, putting one on (RFC 8945 section 4.2).

use super::algorithm::Running;
use super::{Key, TSIG};
use crate::dns::message::{CLASS_ANY, HEADER_LEN, Malformed, Reader, Section};
use crate::dns::{Name, name_in_message};

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
    let mut reader = Reader::new(message).ok_or(Malformed)?;
    while let Some(record) = reader.record()? {
        if record.rtype.0 != TSIG {
            continue;
        }
        let is_last =
            reader.is_done() && record.section == Section::Additional && record.end() == message.len();
        if !is_last || record.class != CLASS_ANY || record.ttl != 0 {
            return Err(Malformed);
        }
        return read(message, record.at, record.rdata.start).ok_or(Malformed).map(Some);
    }
    Ok(None)
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
        running.update(&CLASS_ANY.to_be_bytes());
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
    message.extend_from_slice(&CLASS_ANY.to_be_bytes());
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

/// Signs a message and gives the signature; `prior` is the one before it, where there is one.
pub(super) fn put(
    message: &mut Vec<u8>,
    key: &Key,
    prior: Option<&[u8]>,
    times_alone: bool,
    variables: &Variables,
) -> Box<[u8]> {
    let algorithm = key.algorithm().wire();
    let mut running = key.running();
    if let Some(prior) = prior {
        digest_mac(&mut running, prior);
    }
    running.update(message);
    if times_alone {
        variables.digest_times(&mut running);
    } else {
        variables.digest(&mut running, key.name(), &algorithm);
    }
    let mac = running.finish();
    let id = u16::from_be_bytes([message[0], message[1]]);
    append(message, key.name(), &algorithm, variables, &mac, id);
    mac
}
