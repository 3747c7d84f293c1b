//! The messages of a transfer (RFC 5936, RFC 1995): a zone as a table holds it, or what changed in one, cut
//! into messages that are made one at a time.
//!
//! Names are compressed against the question, which is the apex, and against the owner of the record: that is
//! nearly all there is to save, and takes no memory of what was written before. For that every name must lie
//! within the 14 bits of a pointer, which bounds a message; only a record that is longer alone goes past it.

use std::sync::Arc;

use super::MAX_MESSAGE_LEN;
use super::names::{POINTER, name_len};
use super::query::rcode;
use super::set::{self, QUESTION, RECORD_HEAD, Set, Sets, pointed_at};
use super::table::Table;
use super::walk::Walk;
use crate::dns::{Name, RrSet, RrType};

/// How long messages get, in bytes: as far as pointers reach.
const FULL: usize = 1 << 14;
/// The header's bits of an answer (RFC 1035 section 4.1.1): QR and AA; RD is the query's.
const ANSWER: u8 = 0x84;
const RD: u8 = 0x01;
/// An OPT record without options: root, type, our payload, no extended RCODE, no flags, no data.
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

/// What each message begins with.
#[derive(Clone, Debug)]
pub struct Head {
    bytes: Vec<u8>,
    /// Whether the query had an OPT record, so that the first message has one.
    edns: bool,
}

impl Head {
    /// The head of the answers to a query that asks for a transfer, and the apex it names. `None` where it
    /// has no question that can be read.
    pub fn of(query: &[u8], edns: bool) -> Option<(Head, Name, RrType)> {
        let header = query.first_chunk::<QUESTION>()?;
        let len = name_len(&query[QUESTION..])?;
        let question = query.get(QUESTION..QUESTION + len + 4)?;
        let apex = Name::from_wire(&question[..len].to_ascii_lowercase()).ok()?;
        let rtype = RrType(u16::from_be_bytes([question[len], question[len + 1]]));
        let mut bytes = vec![header[0], header[1], ANSWER | header[2] & RD, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(question);
        Some((Head { bytes, edns }, apex, rtype))
    }

    /// A message that says no, and with an extended error why.
    pub fn refuse(&self, rcode: u8, why: Option<u16>) -> Vec<u8> {
        let mut message = self.bytes.clone();
        message[2] &= !0x04;
        message[3] = rcode;
        if self.edns {
            message[11] = 1;
            message.extend_from_slice(&OPT);
            if let Some(why) = why {
                let at = message.len() - 2;
                message[at..].copy_from_slice(&6u16.to_be_bytes());
                message.extend_from_slice(&[0, 15, 0, 2]);
                message.extend_from_slice(&why.to_be_bytes());
            }
        }
        message
    }
}

/// A transfer on its way out. It holds the table it began with, so what it carries is one state of the zone,
/// whatever is published meanwhile.
#[derive(Debug)]
pub struct Outgoing {
    head: Head,
    apex: Vec<u8>,
    source: Source,
    /// The RRset being written: its owner, its bytes as the table lays them out, how much of its records is
    /// written, and how many of its pointers that took.
    owner: Vec<u8>,
    set: Vec<u8>,
    written: usize,
    pointers: usize,
    messages: usize,
}

/// Where RRsets come from.
#[derive(Debug)]
enum Source {
    /// A zone of a table, its SOA first and last.
    Zone(Box<Zone>),
    /// Just these.
    Sets(std::vec::IntoIter<RrSet>),
}

#[derive(Debug)]
struct Zone {
    table: Arc<Table>,
    number: u32,
    soa: RrSet,
    walk: Walk,
    /// What is left of the name being sent, by its place in its body.
    body: Option<usize>,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    First,
    Between,
    Ended,
}

impl Outgoing {
    /// A whole zone. `None` where the table does not have it.
    pub fn zone(table: Arc<Table>, apex: &Name, head: Head) -> Option<Outgoing> {
        let (number, _) = table.zone(apex)?;
        let soa = table.soa(apex)?;
        let (walk, part) = (Walk::default(), Part::First);
        let zone = Zone { table, number, soa, walk, body: None, part };
        Some(Outgoing::new(head, apex, Source::Zone(Box::new(zone))))
    }

    /// These RRsets, in this order.
    pub fn sets(sets: Vec<RrSet>, apex: &Name, head: Head) -> Outgoing {
        Outgoing::new(head, apex, Source::Sets(sets.into_iter()))
    }

    fn new(head: Head, apex: &Name, source: Source) -> Outgoing {
        let (owner, set, apex) = (Vec::new(), Vec::new(), apex.as_wire().to_vec());
        let mut made = Outgoing { head, apex, source, owner, set, written: 0, pointers: 0, messages: 0 };
        made.advance();
        made
    }

    /// The next message; none after the last. `reserve` bytes are left for what is appended to it.
    pub fn next(&mut self, reserve: usize) -> Option<Vec<u8>> {
        if self.set.is_empty() {
            return None;
        }
        let mut message = Vec::with_capacity(FULL);
        message.extend_from_slice(&self.head.bytes);
        let opt = if self.head.edns && self.messages == 0 { OPT.len() } else { 0 };
        let mut count = 0u16;
        while !self.set.is_empty() {
            let whole = self.put(&mut message, &mut count, reserve + opt);
            if !whole {
                break;
            }
            self.advance();
        }
        if count == 0 {
            // A record longer than any message: what is left cannot be sent.
            self.set.clear();
            self.source = Source::Sets(Vec::new().into_iter());
            return Some(self.head.refuse(rcode::SERV_FAIL as u8, None));
        }
        message[6..8].copy_from_slice(&count.to_be_bytes());
        if opt > 0 {
            message[11] = 1;
            message.extend_from_slice(&OPT);
        }
        self.messages += 1;
        Some(message)
    }

    /// Writes what fits of the current RRset; whether that is all that was left of it.
    fn put(&mut self, message: &mut Vec<u8>, count: &mut u16, reserve: usize) -> bool {
        let Some(set) = Sets::of(&self.set).next() else { return true };
        // A question that spells the apex in another way is echoed, and is no place to point to.
        let question = &self.head.bytes[QUESTION..self.head.bytes.len() - 4];
        let shared = if question == &self.apex[..] && question.len() > 1 { question.len() } else { 0 };
        let literal = self.owner.len() - shared;
        let mut owner_at = None;
        while self.written < set.wire.len() {
            let start = message.len();
            let (owner, place) = (&self.owner[..], Place { at: &mut owner_at, literal, shared });
            let (written, pointers) = put_record(message, owner, place, &set, self.written, self.pointers);
            let limit = if *count == 0 { MAX_MESSAGE_LEN } else { FULL };
            if message.len() + reserve > limit || *count == u16::MAX {
                message.truncate(start);
                return false;
            }
            (self.written, self.pointers) = (written, pointers);
            *count += 1;
        }
        true
    }

    /// Takes up the next RRset; where there is none, `set` is empty.
    fn advance(&mut self) {
        self.set.clear();
        (self.written, self.pointers) = (0, 0);
        match &mut self.source {
            Source::Sets(sets) => {
                if let Some(set) = sets.next() {
                    lay_out(&set, &mut self.owner, &mut self.set);
                }
            }
            Source::Zone(zone) => zone.advance(&mut self.owner, &mut self.set),
        }
    }
}

impl Zone {
    fn advance(&mut self, owner: &mut Vec<u8>, set: &mut Vec<u8>) {
        if self.part == Part::First {
            self.part = Part::Between;
            return lay_out(&self.soa, owner, set);
        }
        while self.part == Part::Between {
            let mut walk = self.walk;
            let Some((name, body)) = self.table.walk(self.number, &mut walk) else {
                self.part = Part::Ended;
                return lay_out(&self.soa, owner, set);
            };
            let from = self.body.unwrap_or(0);
            let at_apex = name == self.soa.owner.as_wire();
            let mut end = from;
            let found = Sets::of(&body[from..]).find(|found| {
                end += found.raw.len();
                !(at_apex && found.rtype == RrType::SOA)
            });
            let Some(found) = found else {
                (self.body, self.walk) = (None, walk);
                continue;
            };
            owner.clear();
            owner.extend_from_slice(name);
            set.extend_from_slice(found.raw);
            self.body = Some(end);
            return;
        }
    }
}

fn lay_out(set: &RrSet, owner: &mut Vec<u8>, into: &mut Vec<u8>) {
    owner.clear();
    owner.extend_from_slice(set.owner.as_wire());
    set::encode(into, owner, owner, (set.rtype, set.ttl), set.rdata.iter().map(|rdata| &**rdata));
}

/// Where the owner's labels are in a message: the first `literal` bytes at `at`, the others in the question.
struct Place<'a> {
    at: &'a mut Option<usize>,
    literal: usize,
    /// How many bytes of the owner the question spells out.
    shared: usize,
}

/// Writes the record at `from` in a set, whose first `pointers` pointers lie before it. Gives where the next
/// one begins, and how many pointers lie before that.
fn put_record(
    message: &mut Vec<u8>,
    owner: &[u8],
    place: Place<'_>,
    set: &Set<'_>,
    from: usize,
    mut pointers: usize,
) -> (usize, usize) {
    let pointer = |to: usize| (POINTER | to as u16).to_be_bytes();
    let wire = set.wire;
    let Place { at, literal, shared } = place;
    let start = message.len();
    match *at {
        Some(at) => message.extend_from_slice(&pointer(at)),
        None if literal == 0 => message.extend_from_slice(&pointer(QUESTION)),
        None => {
            if start < FULL && literal > 1 {
                *at = Some(start);
            }
            message.extend_from_slice(&owner[..literal]);
            if shared > 0 {
                message.extend_from_slice(&pointer(QUESTION));
            }
        }
    }
    let rdata = from + RECORD_HEAD;
    message.extend_from_slice(&wire[from + 2..rdata]);
    let length_at = message.len() - 2;
    let end = rdata + usize::from(u16::from_be_bytes([wire[rdata - 2], wire[rdata - 1]]));
    let mut done = rdata;
    while let Some(place) = set.pointer(pointers).filter(|&place| place < end) {
        message.extend_from_slice(&wire[done..place]);
        let into = pointed_at(wire, place);
        match *at {
            _ if into >= literal => message.extend_from_slice(&pointer(QUESTION + into - literal)),
            Some(at) => message.extend_from_slice(&pointer(at + into)),
            None => message.extend_from_slice(&owner[into..]),
        }
        done = place + 2;
        pointers += 1;
    }
    message.extend_from_slice(&wire[done..end]);
    let length = (message.len() - length_at - 2) as u16;
    message[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    (end, pointers)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::dns::{name_in_message, rdata_in_message};
    use crate::zone::{self, Zone};

    fn parsed(apex: &str, lines: &str) -> Zone {
        let text = format!("@ 60 SOA ns h 7 1 1 1 1\n@ 60 NS ns\n{lines}");
        let parsed =
            zone::parse(&apex.parse().unwrap(), "z", text.as_bytes(), &mut |_| Err("none".to_owned()));
        parsed.unwrap_or_else(|problems| panic!("{problems:?}")).0
    }

    fn query(apex: &[u8]) -> Vec<u8> {
        [b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0", apex, b"\0\xfc\0\x01"].concat()
    }

    /// The records of a message, read as any client would.
    fn records(message: &[u8]) -> Vec<RrSet> {
        let count = u16::from_be_bytes([message[6], message[7]]);
        let (_, question) = name_in_message(message, 12).unwrap();
        let mut at = question + 4;
        (0..count)
            .map(|_| {
                let (owner, end) = name_in_message(message, at).unwrap();
                let head: [u8; 10] = message[end..end + 10].try_into().unwrap();
                let rtype = RrType(u16::from_be_bytes([head[0], head[1]]));
                let ttl = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                let len = usize::from(u16::from_be_bytes([head[8], head[9]]));
                let rdata = rdata_in_message(rtype, message, end + 10..end + 10 + len).unwrap();
                at = end + 10 + len;
                RrSet::new(owner, rtype, ttl, [rdata])
            })
            .collect()
    }

    fn lines<'s>(sets: impl IntoIterator<Item = &'s RrSet>) -> BTreeSet<String> {
        sets.into_iter().flat_map(|set| set.to_lines().collect::<Vec<_>>()).collect()
    }

    fn all(mut outgoing: Outgoing, reserve: usize) -> (Vec<RrSet>, Vec<Vec<u8>>) {
        let messages: Vec<Vec<u8>> = std::iter::from_fn(|| outgoing.next(reserve)).collect();
        (messages.iter().flat_map(|message| records(message)).collect(), messages)
    }

    fn check(apex: &str, asked: &[u8], body: &str) -> Vec<Vec<u8>> {
        let zone = parsed(apex, body);
        let expect: Vec<RrSet> = zone.rrsets().map(|set| set.to_rrset()).collect();
        let table = Arc::new(Table::compile(vec![zone], &[], 1));
        let (head, name, rtype) = Head::of(&query(asked), true).unwrap();
        assert_eq!((&name, rtype), (&apex.parse().unwrap(), RrType::AXFR));
        let (got, messages) = all(Outgoing::zone(table, &name, head).unwrap(), 100);
        assert_eq!((got[0].rtype, got.last().unwrap().rtype), (RrType::SOA, RrType::SOA));
        assert_eq!(got.iter().filter(|set| set.rtype == RrType::SOA).count(), 2);
        assert_eq!(lines(&got), lines(&expect));
        assert!(messages.iter().all(|message| message.len() + 100 <= MAX_MESSAGE_LEN));
        messages
    }

    #[test]
    fn a_zone_arrives_whole() {
        let body = "ns A 192.0.2.1\n* MX 10 Mail\nmail A 192.0.2.2\na.b.c NS x.a.b.c\nx.a.b.c AAAA ::1\n\
                    r PTR a.b.c.r\n\\012odd CNAME other.example.\n";
        let body = format!("$TTL 60\n{body}");
        assert_eq!(check("a.test", b"\x01a\x04test\0", &body).len(), 1);
        check("a.test", b"\x01A\x04tEst\0", &body);
        check("test", b"\x04test\0", &body);
        check(".", b"\0", &body);
    }

    #[test]
    fn messages_are_full_and_no_longer_than_pointers_reach() {
        let hosts: String = (0..5000).fold("$TTL 60\nns A 192.0.2.1\n".to_owned(), |text, n| {
            format!("{text}host-{n} A 192.0.{}.{}\nhost-{n} MX 5 mx.host-{n}\n", n / 256, n % 256)
        });
        let messages = check("a.test", b"\x01a\x04test\0", &hosts);
        let full = &messages[..messages.len() - 1];
        assert!(full.iter().all(|message| (FULL - 300..=FULL).contains(&message.len())));
    }

    #[test]
    fn an_rrset_of_any_size_is_cut_where_a_message_ends() {
        let many: String = (0..2300).fold("$TTL 60\nns A 192.0.2.1\n".to_owned(), |text, n| {
            format!("{text}many TXT {n}\nmx MX {n} x.mx\n")
        });
        check("a.test", b"\x01a\x04test\0", &many);
        let long = format!("$TTL 60\nns A 192.0.2.1\nlong TXT {}\n", "\"012345678901234567\" ".repeat(3000));
        check("a.test", b"\x01a\x04test\0", &long);
    }

    /// RFC 4034 section 3: RRSIGs of one name that cover different types are no RRset.
    #[test]
    fn signatures_are_sent_with_the_ttls_of_what_they_cover() {
        let signature = |ttl, covered| {
            format!("@ {ttl} RRSIG {covered} 13 2 {ttl} 20300101000000 20200101000000 1 a.test. AAAA\n")
        };
        let body = format!("ns 60 A 192.0.2.1\n{}{}", signature(3600, "AAAA"), signature(172_800, "NS"));
        let messages = check("a.test", b"\x01a\x04test\0", &body);
        for ttl in [3600u32, 172_800] {
            let head = [&[0, 46, 0, 1][..], &ttl.to_be_bytes()].concat();
            assert_eq!(messages[0].windows(8).filter(|bytes| *bytes == head).count(), 1, "{ttl}");
        }
    }

    #[test]
    fn what_fits_no_message_ends_the_transfer_with_an_error() {
        let set = RrSet::new("a.test".parse().unwrap(), RrType(65280), 60, [vec![0; 65_535]]);
        let (head, apex, _) = Head::of(&query(b"\x01a\x04test\0"), false).unwrap();
        let mut outgoing = Outgoing::sets(vec![set], &apex, head);
        let message = outgoing.next(0).unwrap();
        assert_eq!((message[3], message[7]), (rcode::SERV_FAIL as u8, 0));
        assert!(outgoing.next(0).is_none());
    }

    #[test]
    fn a_refusal_says_why_where_it_may() {
        let (head, ..) = Head::of(&query(b"\x01a\x04test\0"), false).unwrap();
        assert_eq!(
            head.refuse(5, Some(18)),
            [b"\xab\xcd\x81\x05\0\x01\0\0\0\0\0\0", &query(b"\x01a\x04test\0")[12..]].concat()
        );
        let (head, ..) = Head::of(&query(b"\x01a\x04test\0"), true).unwrap();
        assert!(
            head.refuse(5, Some(18)).ends_with(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2, 0, 18])
        );
        assert!(Head::of(b"short", true).is_none());
    }
}
