//! What a message asks for, as far as the desk needs to know.

use crate::answer::Head;
use crate::dns::{Name, RrSet, RrType, Serial, name_in_message, rdata_in_message, soa_serial};

/// The opcode of a plain query.
pub(super) const QUERY: u8 = 0;
const CLASS_IN: u16 = 1;

/// A message with one question.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) head: Head,
    pub(super) apex: Name,
    pub(super) rtype: RrType,
    pub(super) class_in: bool,
    /// The largest UDP message the sender takes, where it says so.
    pub(super) payload: Option<u16>,
    /// The serial of the SOA in its authority section: what the sender has (RFC 1995 section 3).
    pub(super) serial: Option<Serial>,
}

/// The opcode of a message that has a header.
pub(super) fn opcode(message: &[u8]) -> Option<u8> {
    message.get(..12).map(|header| header[2] >> 3 & 0xf)
}

/// Reads a message; `None` where it does not have the shape of one.
pub(super) fn read(message: &[u8]) -> Option<Asked> {
    let header = message.get(..12)?;
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    if count(4) != 1 {
        return None;
    }
    let (head, apex, rtype) = Head::of(message, false)?;
    let (_, end) = name_in_message(message, 12)?;
    let class_in = message.get(end + 2..end + 4)? == CLASS_IN.to_be_bytes();
    let mut asked = Asked { head, apex, rtype, class_in, payload: None, serial: None };
    let (mut at, authority) = (end + 4, count(6)..count(6) + count(8));
    for number in 0..authority.end + count(10) {
        let (owner, end) = name_in_message(message, at)?;
        let record: [u8; 10] = message.get(end..end + 10)?.try_into().ok()?;
        let rtype = RrType(u16::from_be_bytes([record[0], record[1]]));
        let rdata = end + 10..end + 10 + usize::from(u16::from_be_bytes([record[8], record[9]]));
        at = rdata.end;
        match rtype {
            RrType::OPT if number >= authority.end => {
                asked.payload = Some(u16::from_be_bytes([record[2], record[3]]));
            }
            RrType::SOA if authority.contains(&number) && owner == asked.apex => {
                let rdata = rdata_in_message(rtype, message, rdata)?;
                asked.serial = Some(soa_serial(&RrSet { owner, rtype, ttl: 0, rdata: vec![rdata] }));
            }
            _ if at > message.len() => return None,
            _ => {}
        }
    }
    if asked.payload.is_some() {
        asked.head = Head::of(message, true)?.0;
    }
    Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ixfr_says_what_its_sender_has() {
        let mut query = b"\0\x01\0\0\0\x01\0\0\0\x01\0\x01\x01a\0\0\xfb\0\x01".to_vec();
        query.extend_from_slice(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
        query.extend([7u32, 1, 1, 1, 1].iter().flat_map(|number| number.to_be_bytes()));
        query.extend_from_slice(b"\0\0\x29\x10\0\0\0\0\0\0\0");
        let asked = read(&query).unwrap();
        assert_eq!((asked.apex, asked.rtype), ("a".parse().unwrap(), RrType::IXFR));
        assert_eq!((asked.serial, asked.payload, asked.class_in), (Some(Serial(7)), Some(4096), true));
        for len in 0..query.len() {
            assert!(read(&query[..len]).is_none(), "{len}");
        }
    }
}
