//! The messages between this server and its secondaries: NOTIFY (RFC 1996) and a question for the SOA.

use crate::dns::message::{AUTHORITATIVE, Header, OPCODE_NOTIFY, Owner, Reader, Section, Writer};
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};

/// A question for the SOA.
pub(super) fn look(id: u16, apex: &Name) -> Vec<u8> {
    Writer::new(id, 0).question(apex, RrType::SOA).finish()
}

/// A NOTIFY with the SOA that is published now (RFC 1996 section 3.7).
pub(super) fn notify(id: u16, soa: &RrSet) -> Vec<u8> {
    let mut message =
        Writer::new(id, u16::from(OPCODE_NOTIFY) << 11 | AUTHORITATIVE).question(&soa.owner, RrType::SOA);
    for rdata in soa.rdata.iter().take(1) {
        message = message.record(Section::Answer, Owner::Question, soa.rtype, soa.ttl, rdata);
    }
    message.finish()
}

/// An answer's id, if it is one of that kind.
pub(super) fn answer_id(message: &[u8]) -> Option<u16> {
    Header::read(message).filter(|header| header.is_response()).map(|header| header.id)
}

/// What an answer to a NOTIFY or a look says; the rcode where it is no yes. `None` where it answers something
/// else.
pub(super) fn verdict(message: &[u8], notify: bool) -> Option<Result<(), u8>> {
    let header = Header::read(message).filter(|header| (header.opcode() == OPCODE_NOTIFY) == notify)?;
    Some(if header.rcode() == 0 { Ok(()) } else { Err(header.rcode()) })
}

/// The serial of a zone in the answer section of a message.
pub(super) fn serial(message: &[u8], apex: &Name) -> Option<Serial> {
    let records = Reader::new(message)?.records().map_while(Result::ok);
    let mut answers = records.take_while(|record| record.section == Section::Answer);
    let soa = answers.find(|record| record.rtype == RrType::SOA && record.owner().as_ref() == Some(apex))?;
    let (owner, rtype) = (apex.clone(), RrType::SOA);
    Some(soa_serial(&RrSet { owner, rtype, ttl: 0, rdata: vec![soa.data()?] }))
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
        message[2] |= 0x80;
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
