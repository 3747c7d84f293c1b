//! Questions to a primary, and the records of its answers. No socket, no clock.

use crate::dns::message::{
    self, AUTHORITATIVE, CLASS_IN, Malformed, OPCODE_QUERY, Owner, Reader, Section, TRUNCATED, Writer,
};
use crate::dns::{Name, RrSet, RrType, rcode_name};

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
    let question = Writer::new(id, 0).question(zone, qtype);
    match have.and_then(|soa| Some((soa.ttl, soa.rdata.first()?))) {
        Some((ttl, rdata)) => {
            question.record(Section::Authority, Owner::Question, RrType::SOA, ttl, rdata).finish()
        }
        None => question.finish(),
    }
}

/// What a message says in answer to a question.
#[derive(Clone, Debug)]
pub(super) struct Answer<'m> {
    reader: Reader<'m>,
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
        let mut reader = Reader::new(message).ok_or(BadMessage::Malformed)?;
        let header = reader.header();
        if header.id != id || !header.is_response() || header.opcode() != OPCODE_QUERY {
            return Err(BadMessage::Foreign);
        }
        if header.rcode() != 0 {
            return Err(BadMessage::Rcode(header.rcode()));
        }
        match header.questions() {
            0 if !first => {}
            1 => {
                let asked = reader.question().ok_or(BadMessage::Malformed)?;
                if (&asked.name, asked.rtype, asked.class) != (zone, qtype, CLASS_IN) {
                    return Err(BadMessage::Foreign);
                }
            }
            _ => return Err(BadMessage::Foreign),
        }
        let (truncated, authoritative) = (header.has(TRUNCATED), header.has(AUTHORITATIVE));
        Ok(Answer { reader, truncated, authoritative })
    }

    /// The records of the answer section. One of another class than IN makes the message unreadable.
    pub fn records(self) -> impl Iterator<Item = Result<Record, BadMessage>> {
        let answers = usize::from(self.reader.header().count(Section::Answer));
        self.reader.records().take(answers).map(|found| {
            let found = found.map_err(|Malformed| BadMessage::Malformed)?;
            record(&found).ok_or(BadMessage::Malformed)
        })
    }
}

fn record(found: &message::Record<'_>) -> Option<Record> {
    let &message::Record { rtype, class, ttl, .. } = found;
    // OPT and its like, and the types of questions, are no records of a zone (RFC 6895 section 3.1).
    if class != CLASS_IN || matches!(rtype.0, 0 | 41 | 128..=255) {
        return None;
    }
    let (owner, rdata) = (found.owner()?, found.data()?);
    Some(Record { owner, rtype, ttl: if ttl > MAX_TTL { 0 } else { ttl }, rdata })
}
