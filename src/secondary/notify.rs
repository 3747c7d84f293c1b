//! NOTIFY (RFC 1996): a message in, what it tells and the message that answers it out. No socket, no clock.

use crate::dns::{Name, RrSet, RrType, Serial, name_in_message, rdata_in_message, soa_serial};

/// The operation's number.
pub const OPCODE_NOTIFY: u8 = 4;

const HEADER_LEN: usize = 12;
/// Class IN.
const IN: u16 = 1;
/// The records of a message that an OPT is looked for among.
const MAX_RECORDS: usize = 64;

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
    let header = message.first_chunk::<HEADER_LEN>().ok_or(NotifyRcode::FormErr)?;
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (zone, end) =
        name_in_message(message, HEADER_LEN).filter(|_| count(4) == 1).ok_or(NotifyRcode::FormErr)?;
    let rest = message.get(end..end + 4).ok_or(NotifyRcode::FormErr)?;
    if rest[..2] != RrType::SOA.0.to_be_bytes() || rest[2..] != IN.to_be_bytes() {
        return Err(NotifyRcode::NotImp);
    }
    // The answer section is a hint and no more (section 3.7): one that cannot be read is none.
    let serial = if count(6) > 0 { serial(message, end + 4, &zone) } else { None };
    Ok(Told { zone, serial })
}

fn serial(message: &[u8], at: usize, zone: &Name) -> Option<Serial> {
    let (owner, fixed) = name_in_message(message, at)?;
    let head = message.get(fixed..fixed + 10)?;
    if owner != *zone || head[..2] != RrType::SOA.0.to_be_bytes() {
        return None;
    }
    let end = fixed + 10 + usize::from(u16::from_be_bytes([head[8], head[9]]));
    let rdata = rdata_in_message(RrType::SOA, message, fixed + 10..end)?;
    (rdata.len() >= 20).then(|| soa_serial(&RrSet::new(owner, RrType::SOA, 0, [rdata])))
}

/// The answer to a NOTIFY: its header and question with the response code (section 4.7), and an OPT where it
/// has one. `None` for what is itself an answer, or none of either.
pub fn answer(message: &[u8], rcode: NotifyRcode) -> Option<Vec<u8>> {
    let header = message.first_chunk::<HEADER_LEN>().filter(|header| header[2] & 0x80 == 0)?;
    let mut answer = header[..2].to_vec();
    // QR and AA.
    answer.extend_from_slice(&[0x84 | OPCODE_NOTIFY << 3, rcode as u8, 0, 0, 0, 0, 0, 0, 0, 0]);
    let question = name_in_message(message, HEADER_LEN).and_then(|(_, end)| message.get(HEADER_LEN..end + 4));
    if let (Some(question), [0, 1]) = (question, &header[4..6]) {
        answer[5] = 1;
        answer.extend_from_slice(question);
        if has_edns(message, HEADER_LEN + question.len()).unwrap_or(false) {
            answer[11] = 1;
            answer.extend_from_slice(b"\0\x00\x29\x04\xd0\0\0\0\0\0\0");
        }
    }
    Some(answer)
}

fn has_edns(message: &[u8], mut at: usize) -> Option<bool> {
    let count = |at: usize| usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
    for _ in 0..(count(6) + count(8) + count(10)).min(MAX_RECORDS) {
        let (_, fixed) = name_in_message(message, at)?;
        let head = message.get(fixed..fixed + 10)?;
        if head[..2] == RrType::OPT.0.to_be_bytes() {
            return Some(true);
        }
        at = fixed + 10 + usize::from(u16::from_be_bytes([head[8], head[9]]));
    }
    Some(false)
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
