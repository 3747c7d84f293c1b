//! The messages between this server and its secondaries: NOTIFY (RFC 1996) and a question for the SOA.

use crate::dns::{Name, RrSet, RrType, Serial, name_in_message, rdata_in_message, soa_serial};

/// The header's third byte: NOTIFY, with AA (RFC 1996 section 3.7).
const NOTIFY: u8 = 0x24;
/// The opcode's bits, and QR.
const OPCODE: u8 = 0x78;
const RESPONSE: u8 = 0x80;

/// A question for the SOA.
pub(super) fn look(id: u16, apex: &Name) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend_from_slice(apex.as_wire());
    message.extend_from_slice(&RrType::SOA.0.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// A NOTIFY with the SOA that is published now.
pub(super) fn notify(id: u16, soa: &RrSet) -> Vec<u8> {
    let mut message = look(id, &soa.owner);
    message[2] = NOTIFY;
    for rdata in soa.rdata.iter().take(1) {
        message[7] = 1;
        message.extend_from_slice(&[0xc0, 12]);
        message.extend_from_slice(&soa.rtype.0.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        message.extend_from_slice(&soa.ttl.to_be_bytes());
        message.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        message.extend_from_slice(rdata);
    }
    message
}

/// An answer's id, if it is one of that kind.
pub(super) fn answer_id(message: &[u8]) -> Option<u16> {
    let header = message.get(..12)?;
    (header[2] & RESPONSE != 0).then(|| u16::from_be_bytes([header[0], header[1]]))
}

/// What an answer to a NOTIFY or a look says; the rcode where it is no yes. `None` where it answers something
/// else.
pub(super) fn verdict(message: &[u8], notify: bool) -> Option<Result<(), u8>> {
    let header = message.get(..12)?;
    if (header[2] & OPCODE == NOTIFY & OPCODE) != notify {
        return None;
    }
    let rcode = header[3] & 0xf;
    Some(if rcode == 0 { Ok(()) } else { Err(rcode) })
}

/// The serial of a zone in the answer section of a message.
pub(super) fn serial(message: &[u8], apex: &Name) -> Option<Serial> {
    let count = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    message.get(..12)?;
    let mut at = 12;
    for _ in 0..count(4) {
        at = name_in_message(message, at)?.1 + 4;
    }
    for _ in 0..count(6) {
        let (owner, end) = name_in_message(message, at)?;
        let head: [u8; 10] = message.get(end..end + 10)?.try_into().ok()?;
        let rtype = RrType(u16::from_be_bytes([head[0], head[1]]));
        at = end + 10 + usize::from(u16::from_be_bytes([head[8], head[9]]));
        if rtype == RrType::SOA && owner == *apex {
            let rdata = rdata_in_message(rtype, message, end + 10..at)?;
            return Some(soa_serial(&RrSet { owner, rtype, ttl: 0, rdata: vec![rdata] }));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::soa_with_serial;

    #[test]
    fn a_notify_carries_the_soa_and_its_answer_is_known() {
        let apex: Name = "a.test".parse().unwrap();
        let soa = RrSet::new(apex.clone(), RrType::SOA, 60, [[&b"\x01a\0\x01b\0"[..], &[0; 20]].concat()]);
        let soa = soa_with_serial(&soa, Serial(77));
        let mut message = notify(0xabcd, &soa);
        assert_eq!(serial(&message, &apex), Some(Serial(77)));
        assert_eq!(answer_id(&message), None);
        message[2] |= RESPONSE;
        assert_eq!((answer_id(&message), verdict(&message, true)), (Some(0xabcd), Some(Ok(()))));
        assert_eq!(verdict(&message, false), None);
        message[3] = 5;
        assert_eq!(verdict(&message, true), Some(Err(5)));
        for len in 0..message.len() {
            assert!(serial(&message[..len], &apex).is_none(), "{len}");
        }
        assert_eq!(look(1, &apex), b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x06\0\x01");
    }
}
