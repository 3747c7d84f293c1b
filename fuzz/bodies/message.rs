//! Any bytes as a DNS message: it is read in one pass that ends within it, and what is read and written anew is read as
//! the same. As a NOTIFY, it is answered by its own number or not at all.

use detour::dns::message::{Header, Owner, RESPONSE, Reader, Writer};
use detour::transfer::inbound::notify;

/// Takes one input.
pub fn run(message: &[u8]) {
    let Some(reader) = Reader::new(message) else { return };
    let header = reader.header();
    let mut writer = Writer::new(header.id, header.flags);
    let mut read = Vec::new();
    for record in reader.records().map_while(Result::ok) {
        assert!(record.end() <= message.len());
        // Its data as its type has it, every name spelled out; it need not be right.
        let _ = record.data();
        let Some(owner) = record.owner() else { continue };
        let rdata = &message[record.rdata.clone()];
        let what = (record.rtype, record.class);
        writer = writer.record_of_class(record.section, Owner::Name(&owner), what, record.ttl, rdata);
        read.push((record.section, owner, what, record.ttl, rdata.to_vec()));
    }
    let written = writer.finish();
    let again = Reader::new(&written).expect("what was written has a header");
    assert_eq!((again.header().id, again.header().flags), (header.id, header.flags));
    let again: Vec<_> = again
        .records()
        .map(|record| {
            let record = record.expect("what was written can be read");
            let owner = record.owner().expect("a name that was written can be read");
            let rdata = written[record.rdata.clone()].to_vec();
            (record.section, owner, (record.rtype, record.class), record.ttl, rdata)
        })
        .collect();
    assert_eq!(again, read);

    let rcode = match notify::read(message) {
        Ok(_) => notify::NotifyRcode::NoError,
        Err(rcode) => rcode,
    };
    if let Some(answer) = notify::answer(message, rcode) {
        let answered = Header::read(&answer).expect("an answer has a header");
        assert_eq!((answered.id, answered.flags & RESPONSE), (header.id, RESPONSE));
        assert!(answer.len() <= message.len());
    }
}
