//! NOTIFY (RFC 1996): a message in, what it tells and the message that answers it out. No socket, no clock.

use crate::dns::message::{
    AUTHORITATIVE, CLASS_IN, HEADER_LEN, OPCODE_NOTIFY, Question, RESPONSE, Reader, Record, Section, Writer,
    has_edns,
};
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};

/// The largest UDP message that is taken, which an answer's OPT tells.
const PAYLOAD: u16 = 1232;

/// What a NOTIFY tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The zone that changed.
    pub zone: Name,
    /// Its serial, as a hint.
    pub serial: Option<Serial>,
}

/// The response codes that answer one (RFC 1035 section 4.1.1, RFC 2136 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NotifyRcode {
    /// It counts.
    NoError = 0,
    /// It cannot be read.
    FormErr = 1,
    /// It tells of something else than an SOA (RFC 1996 section 3.7).
    NotImp = 4,
    /// Whoever sent it has no say in the zone.
    Refused = 5,
    /// The zone comes from no primary.
    NotAuth = 9,
}

/// Reads a NOTIFY; its signature is cut off. Errors: what it is answered with.
pub fn read(message: &[u8]) -> Result<Told, NotifyRcode> {
    let mut reader = Reader::new(message).ok_or(NotifyRcode::FormErr)?;
    if reader.header().questions() != 1 {
        return Err(NotifyRcode::FormErr);
    }
    let Question { name: zone, rtype, class } = reader.question().ok_or(NotifyRcode::FormErr)?;
    if (rtype, class) != (RrType::SOA, CLASS_IN) {
        return Err(NotifyRcode::NotImp);
    }
    // The answer section is a hint and no more (section 3.7): one that cannot be read is none.
    let serial = reader.records().next().and_then(|record| serial(&record.ok()?, &zone));
    Ok(Told { zone, serial })
}

fn serial(record: &Record<'_>, zone: &Name) -> Option<Serial> {
    let is_answer = record.section == Section::Answer && record.rtype == RrType::SOA;
    let owner = record.owner().filter(|owner| is_answer && owner == zone)?;
    let rdata = record.data().filter(|rdata| rdata.len() >= 20)?;
    Some(soa_serial(&RrSet::new(owner, RrType::SOA, 0, [rdata])))
}

/// The answer to a NOTIFY: its header and question with the response code (section 4.7), and an OPT where it
/// has one. `None` for what is itself an answer, or none of either.
pub fn answer(message: &[u8], rcode: NotifyRcode) -> Option<Vec<u8>> {
    let mut reader = Reader::new(message)?;
    let header = reader.header();
    if header.is_response() {
        return None;
    }
    let flags = RESPONSE | AUTHORITATIVE | u16::from(OPCODE_NOTIFY) << 11 | rcode as u16;
    let answer = Writer::new(header.id, flags);
    // Its name is told as it was asked, letter for letter.
    let question = reader.question().filter(|_| header.questions() == 1);
    let Some(question) = question.and_then(|_| message.get(HEADER_LEN..reader.at())) else {
        return Some(answer.finish());
    };
    let answer = answer.question_as_it_is(question);
    Some(if has_edns(message) { answer.edns(PAYLOAD, &[]).finish() } else { answer.finish() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A NOTIFY of example.com, with the SOA of a serial, and an OPT if `edns`.
    fn notify(serial: Option<u32>, edns: bool) -> Vec<u8> {
        let mut message =
            vec![0x12, 0x34, 0x24, 0, 0, 1, 0, u8::from(serial.is_some()), 0, 0, 0, u8::from(edns)];
        message.extend_from_slice(b"\x07Example\x03com\0\0\x06\0\x01");
        if let Some(serial) = serial {
            message.extend_from_slice(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x18\xc0\x0c\xc0\x0c");
            message.extend_from_slice(&serial.to_be_bytes());
            message.extend_from_slice(&[0; 16]);
        }
        if edns {
            message.extend_from_slice(b"\0\x00\x29\x04\xd0\0\0\0\0\0\0");
        }
        message
    }

    #[test]
    fn it_tells_a_zone_and_may_tell_its_serial() {
        let zone: Name = "example.com".parse().unwrap();
        assert_eq!(read(&notify(None, true)), Ok(Told { zone: zone.clone(), serial: None }));
        assert_eq!(read(&notify(Some(7), true)), Ok(Told { zone: zone.clone(), serial: Some(Serial(7)) }));
        let cut = notify(Some(7), false);
        assert_eq!(read(&cut[..cut.len() - 1]), Ok(Told { zone, serial: None }));
    }

    #[test]
    fn what_is_no_notify_of_an_soa_is_refused() {
        let whole = notify(None, false);
        assert_eq!(read(&whole[..whole.len() - 1]), Err(NotifyRcode::FormErr));
        assert_eq!(read(&whole[..11]), Err(NotifyRcode::FormErr));
        let mut other = whole.clone();
        other[26] = 1;
        assert_eq!(read(&other), Err(NotifyRcode::NotImp));
        let mut none = whole;
        none[5] = 0;
        assert_eq!(read(&none), Err(NotifyRcode::FormErr));
    }

    #[test]
    fn the_answer_is_the_head_of_the_question() {
        let message = notify(Some(7), true);
        let told = answer(&message, NotifyRcode::NoError).expect("an answer");
        assert_eq!(told[..12], [0x12, 0x34, 0xa4, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(told[12..29], message[12..29]);
        let refused = answer(&notify(None, false), NotifyRcode::Refused).expect("an answer");
        assert_eq!((refused[3], refused[11]), (5, 0));
        assert_eq!(answer(&told, NotifyRcode::NoError), None, "an answer gets none");
        assert_eq!(answer(&message[..11], NotifyRcode::FormErr), None);
    }
}
