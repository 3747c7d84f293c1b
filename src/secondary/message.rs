//! Questions to a primary, and the records of its answers. No socket, no clock.

use crate::dns::{Name, RrSet, RrType, name_in_message, rcode_name, rdata_in_message};

const HEADER_LEN: usize = 12;
/// Class IN, the only one there is.
const IN: u16 = 1;
/// The largest TTL; one above it counts as zero (RFC 2181 section 8).
const MAX_TTL: u32 = (1 << 31) - 1;

/// Why a message is no answer to what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// It cannot be read.
    #[error("a message that cannot be read")]
    Malformed,
    /// It answers something else.
    #[error("an answer to another question")]
    Foreign,
    /// The server does not do it.
    #[error("{}", rcode_name(u16::from(*.0)))]
    Rcode(u8),
}

/// One record of an answer.
pub(super) struct Record {
    pub owner: Name,
    pub rtype: RrType,
    /// Seconds.
    pub ttl: u32,
    pub rdata: Box<[u8]>,
}

/// A question about a zone; one for IXFR tells the SOA that is had already (RFC 1995 section 3).
pub fn question(id: u16, zone: &Name, qtype: RrType, have: Option<&RrSet>) -> Vec<u8> {
    let soa = have.and_then(|soa| Some((soa.ttl, soa.rdata.first()?)));
    let mut bytes = Vec::with_capacity(HEADER_LEN + zone.as_wire().len() + 4);
    for word in [id, 0, 1, 0, u16::from(soa.is_some()), 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(zone.as_wire());
    bytes.extend_from_slice(&qtype.0.to_be_bytes());
    bytes.extend_from_slice(&IN.to_be_bytes());
    if let Some((ttl, rdata)) = soa {
        // The owner is the question's name.
        bytes.extend_from_slice(&[0xc0, HEADER_LEN as u8]);
        bytes.extend_from_slice(&RrType::SOA.0.to_be_bytes());
        bytes.extend_from_slice(&IN.to_be_bytes());
        bytes.extend_from_slice(&ttl.to_be_bytes());
        bytes.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        bytes.extend_from_slice(rdata);
    }
    bytes
}

/// What a message says in answer to a question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'m> {
    message: &'m [u8],
    answers: u16,
    at: usize,
    /// Whether it did not fit (TC).
    pub truncated: bool,
    /// Whether the server has the zone itself (AA).
    pub authoritative: bool,
}

impl<'m> Answer<'m> {
    /// Reads the head of a message. In all but the first of several the question may be left out (RFC 5936
    /// section 2.2.1).
    pub fn read(
        message: &'m [u8],
        id: u16,
        zone: &Name,
        qtype: RrType,
        first: bool,
    ) -> Result<Answer<'m>, BadMessage> {
        let header = message.first_chunk::<HEADER_LEN>().ok_or(BadMessage::Malformed)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (flags, questions, answers) = (word(2), word(4), word(6));
        if word(0) != id || flags & 0xf800 != 0x8000 {
            return Err(BadMessage::Foreign);
        }
        let rcode = (flags & 0xf) as u8;
        if rcode != 0 {
            return Err(BadMessage::Rcode(rcode));
        }
        let at = match questions {
            0 if !first => HEADER_LEN,
            1 => {
                let (name, end) = name_in_message(message, HEADER_LEN).ok_or(BadMessage::Malformed)?;
                let rest = message.get(end..end + 4).ok_or(BadMessage::Malformed)?;
                let asked = [qtype.0.to_be_bytes(), IN.to_be_bytes()].concat();
                if name != *zone || rest != asked {
                    return Err(BadMessage::Foreign);
                }
                end + 4
            }
            _ => return Err(BadMessage::Foreign),
        };
        let (truncated, authoritative) = (flags & 0x0200 != 0, flags & 0x0400 != 0);
        Ok(Answer { message, answers, at, truncated, authoritative })
    }

    /// The records of the answer section. One of another class than IN makes the message unreadable.
    pub fn records(self) -> impl Iterator<Item = Result<Record, BadMessage>> {
        let Answer { message, answers, mut at, .. } = self;
        (0..answers).map(move |_| {
            let (record, end) = record(message, at).ok_or(BadMessage::Malformed)?;
            at = end;
            Ok(record)
        })
    }
}

fn record(message: &[u8], at: usize) -> Option<(Record, usize)> {
    let (owner, fixed) = name_in_message(message, at)?;
    let head = message.get(fixed..fixed + 10)?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let rtype = RrType(word(0));
    let ttl = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let end = fixed + 10 + usize::from(word(8));
    // OPT and its like, and the types of questions, are no records of a zone (RFC 6895 section 3.1).
    if word(2) != IN || matches!(rtype.0, 0 | 41 | 128..=255) {
        return None;
    }
    let rdata = rdata_in_message(rtype, message, fixed + 10..end)?;
    Some((Record { owner, rtype, ttl: if ttl > MAX_TTL { 0 } else { ttl }, rdata }, end))
}
