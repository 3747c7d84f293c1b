//! What a message asks for, as far as the desk needs to know.

use crate::answer::Head;
use crate::dns::message::{CLASS_IN, Header, Reader, Section};
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};

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
    Header::read(message).map(Header::opcode)
}

/// Reads a message; `None` where it does not have the shape of one.
pub(super) fn read(message: &[u8]) -> Option<Asked> {
    let mut reader = Reader::new(message)?;
    if reader.header().questions() != 1 {
        return None;
    }
    let (head, apex, rtype) = Head::of(message, false)?;
    let class_in = reader.question()?.class == CLASS_IN;
    let mut asked = Asked { head, apex, rtype, class_in, payload: None, serial: None };
    while let Some(record) = reader.record().ok()? {
        match (record.rtype, record.section) {
            (RrType::OPT, Section::Additional) => asked.payload = Some(record.class),
            (RrType::SOA, Section::Authority) if record.owner()? == asked.apex => {
                let (owner, rdata) = (asked.apex.clone(), vec![record.data()?]);
                asked.serial = Some(soa_serial(&RrSet { owner, rtype: RrType::SOA, ttl: 0, rdata }));
            }
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
