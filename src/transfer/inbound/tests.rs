//! Transfers as a property: whatever steps lead from one zone to another, what comes of them is the other, and
//! so is what comes of it whole, however the records are spread over messages.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::{BadMessage, BadTransfer, Progress, Received, Transfer};
use crate::dns::{Name, RrType, rdata_from_text};
use crate::zone::{Zone, canonical_lines, parse};

const ID: u16 = 7;

fn apex() -> Name {
    "example".parse().unwrap()
}

/// Owners and contents of TXT records.
type Texts = BTreeMap<u8, Vec<u8>>;

fn texts() -> impl Strategy<Value = Texts> {
    prop::collection::btree_map(0..5u8, prop::collection::btree_set(0..4u8, 1..4), 0..5)
        .prop_map(|map| map.into_iter().map(|(owner, set)| (owner, set.into_iter().collect())).collect())
}

fn zone(serial: usize, texts: &Texts) -> Zone {
    let mut text = format!("$TTL 60\n@ SOA ns h {serial} 2 3 4 5\n@ NS ns.example.net.\n");
    for (owner, record) in records(texts) {
        writeln!(text, "{owner} TXT {record}").unwrap();
    }
    parse(&apex(), "zone", text.as_bytes(), &mut |_| Err(String::new())).unwrap().0
}

fn records(texts: &Texts) -> Vec<(String, String)> {
    let each = texts.iter().flat_map(|(owner, set)| set.iter().map(move |byte| (owner, byte)));
    each.map(|(owner, byte)| (format!("n{owner}"), format!("t{byte}"))).collect()
}

fn wire(owner: &str, rtype: RrType, text: &str) -> Vec<u8> {
    let owner = Name::parse(owner.as_bytes(), &apex()).unwrap();
    let rdata = rdata_from_text(rtype, text).unwrap();
    let mut bytes = owner.as_wire().to_vec();
    bytes.extend_from_slice(&rtype.0.to_be_bytes());
    bytes.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
    bytes.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&rdata);
    bytes
}

fn soa(serial: usize) -> Vec<u8> {
    wire("@", RrType::SOA, &format!("ns.example. h.example. {serial} 2 3 4 5"))
}

fn txt((owner, text): &(String, String)) -> Vec<u8> {
    wire(owner, RrType::TXT, text)
}

/// The records as messages of at most `each` of them.
fn messages(records: &[Vec<u8>], each: usize, qtype: RrType) -> Vec<Vec<u8>> {
    let message = |records: &[Vec<u8>]| {
        let mut bytes = [ID, 0x8400, 1, records.len() as u16, 0, 0].map(u16::to_be_bytes).concat();
        bytes.extend_from_slice(apex().as_wire());
        bytes.extend_from_slice(&qtype.0.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend(records.concat());
        bytes
    };
    records.chunks(each).map(message).collect()
}

fn lines(zone: &Zone) -> Vec<String> {
    canonical_lines(zone, true).collect()
}

/// What comes of messages that are all wanted.
fn received(have: Option<Zone>, messages: &[Vec<u8>]) -> Result<Zone, BadTransfer> {
    let mut transfer = Transfer::new(apex(), ID, have.map(Arc::new));
    for (number, message) in messages.iter().enumerate() {
        let progress = transfer.take(message)?;
        assert_eq!(progress == Progress::Done, number + 1 == messages.len(), "message {number}");
    }
    match transfer.finish()? {
        Received::Whole { zone, .. } => Ok(Zone::clone(&zone)),
        Received::Steps { zone, from, steps } => {
            let mut gone = Zone::clone(&from);
            assert!(gone.go(&steps));
            assert_eq!(gone.fingerprint(), zone.fingerprint());
            Ok(gone)
        }
        Received::Current => panic!("nothing newer"),
    }
}

proptest! {
    #[test]
    fn steps_and_the_whole_come_to_the_same(versions in prop::collection::vec(texts(), 2..6), each in 1..8usize) {
        let last = versions.len();
        let wanted = zone(last, &versions[last - 1]);
        let mut steps = vec![soa(last)];
        for (number, two) in versions.windows(2).enumerate() {
            let (before, after) = (records(&two[0]), records(&two[1]));
            steps.push(soa(number + 1));
            steps.extend(before.iter().filter(|record| !after.contains(record)).map(txt));
            steps.push(soa(number + 2));
            steps.extend(after.iter().filter(|record| !before.contains(record)).map(txt));
        }
        steps.push(soa(last));
        let by_steps = received(Some(zone(1, &versions[0])), &messages(&steps, each, RrType::IXFR)).unwrap();
        prop_assert_eq!(lines(&by_steps), lines(&wanted));

        let mut whole = vec![soa(last), wire("@", RrType::NS, "ns.example.net.")];
        whole.extend(records(&versions[last - 1]).iter().map(txt));
        whole.push(soa(last));
        for (have, qtype) in [(None, RrType::AXFR), (Some(zone(1, &versions[0])), RrType::IXFR)] {
            let by_axfr = received(have, &messages(&whole, each, qtype)).unwrap();
            prop_assert_eq!(lines(&by_axfr), lines(&wanted));
        }
        // From another zone than the steps begin with: noticed where a record is to go that is not there.
        let gone = steps.iter().skip(2).take_while(|record| **record != soa(2)).count();
        if gone > 0 {
            let outcome = received(Some(zone(1, &Texts::new())), &messages(&steps, each, RrType::IXFR));
            prop_assert!(matches!(outcome, Err(BadTransfer::NotThere(_))));
        }
    }
}

/// What steps may not do, though each record is one.
#[test]
fn steps_are_held_against_the_names_they_touch() {
    let have = || Some(zone(1, &Texts::from([(0, vec![1]), (1, vec![2])])));
    let come = |gone: &[Vec<u8>], come: &[Vec<u8>]| {
        let steps = [&[soa(2), soa(1)], gone, &[soa(2)], come, &[soa(2)]].concat();
        received(have(), &messages(&steps, 9, RrType::IXFR)).map(|zone| lines(&zone).len())
    };
    let text = |owner: &str, text: &str| txt(&(owner.to_owned(), text.to_owned()));
    let before = lines(&have().unwrap()).len();
    assert_eq!(come(&[text("n0", "t1")], &[text("n2", "t1"), text("n1", "t3")]), Ok(before + 1));
    assert!(matches!(come(&[text("n0", "t2")], &[]), Err(BadTransfer::NotThere(_))));
    assert!(matches!(come(&[], &[text("n0", "t1")]), Err(BadTransfer::There(_))));
    // The same with another TTL is another record.
    let mut later = text("n0", "t1");
    let at = later.len() - 3 - 3;
    later[at] = 61;
    assert_eq!(come(&[], &[later]), Ok(before));
    let cname = |owner: &str| wire(owner, RrType::CNAME, "n1.example.");
    let ns = wire("@", RrType::NS, "ns.example.net.");
    for (gone, added) in [
        (vec![], vec![cname("n0")]),
        (vec![], vec![cname("n5"), text("n5", "t1")]),
        (vec![ns], vec![]),
        (vec![], vec![wire("n0", RrType::SOA, "ns.example. h.example. 1 2 3 4 5")]),
        (vec![], vec![wire("n0", RrType::NS, "n1.example."), wire("n0", RrType::DNAME, "n1.example.")]),
    ] {
        let outcome = come(&gone, &added);
        assert!(matches!(outcome, Err(BadTransfer::Zone(_))), "{outcome:?}");
    }
    // A CNAME may come where all else goes,
    assert_eq!(come(&[text("n0", "t1")], &[cname("n0")]), Ok(before));
    let outside = wire("n0.other.", RrType::TXT, "t1");
    assert!(matches!(come(&[], &[outside]), Err(BadTransfer::OutOfZone(_))));
}

#[test]
fn the_soa_alone_is_no_news_unless_it_is_newer() {
    let have = || Some(Arc::new(zone(5, &Texts::new())));
    for serial in [4, 5] {
        let mut transfer = Transfer::new(apex(), ID, have());
        let message = &messages(&[soa(serial)], 1, RrType::IXFR)[0];
        assert_eq!(transfer.take(message), Ok(Progress::Done));
        assert!(matches!(transfer.finish(), Ok(Received::Current)));
    }
    let mut transfer = Transfer::new(apex(), ID, have());
    assert_eq!(transfer.take(&messages(&[soa(6)], 1, RrType::IXFR)[0]), Ok(Progress::More));
    assert!(transfer.finish().is_err());
}

#[test]
fn answers_to_something_else_are_none() {
    let good = messages(&[soa(6)], 1, RrType::AXFR)[0].clone();
    let check = |at: usize, byte: u8, want: BadMessage| {
        let mut message = good.clone();
        message[at] = byte;
        let taken = Transfer::new(apex(), ID, None).take(&message);
        assert_eq!(taken, Err(BadTransfer::Message(want)), "byte {at}");
    };
    check(1, 8, BadMessage::Foreign);
    check(2, 0x04, BadMessage::Foreign);
    check(3, 5, BadMessage::Rcode(5));
    check(5, 0, BadMessage::Foreign);
    check(13, b'f', BadMessage::Foreign);
    check(22, 251, BadMessage::Foreign);
    check(7, 2, BadMessage::Malformed);
}
