//! RRsets in wire form, ready to be copied into an answer.
//!
//! ```text
//! 0      2       4          8          10      12
//! type   count   wire len   pointers   links   records   pointers (2 bytes each)   links (8 bytes each)
//! ```
//!
//! The records are laid out for the answer that is asked for most: one whose question is their owner.
//! Each begins with a pointer to offset 12, and names in the RDATA of the types of RFC 1035 (RFC 3597
//! section 4 allows no others) point into the owner there. For any other answer `pointers` says which
//! two-byte places in RDATA are to be moved. `links` lead from the names in RDATA to the nodes whose
//! addresses belong into the additional section.

use std::collections::BTreeSet;

use super::id::NodeId;
use super::names::{POINTER, common_suffix, is_at_or_below, name_len};
use crate::dns::{Name, RrSet, RrType, record_ttl};

/// Where the question's name begins in every message (RFC 1035 section 4.1.1).
pub(super) const QUESTION: usize = 12;
/// A record's bytes before its RDATA: pointer, type, class, TTL, RDLENGTH.
pub(super) const RECORD_HEAD: usize = 12;

const HEAD: usize = 12;
const LINK: usize = 8;
/// Past this place in a set nothing is compressed or linked: 16 bits could not say where. Such a set is
/// larger than any message and is never sent.
const LAST_PLACE: usize = u16::MAX as usize - 512;

/// Where a type's RDATA holds names.
struct Shape {
    /// Bytes before the first name.
    skip: usize,
    /// How many names follow each other there and may be compressed.
    compressed: usize,
    /// Whether the first name's addresses are additional data.
    linked: bool,
}

fn shape(rtype: RrType) -> Shape {
    let (skip, compressed, linked) = match rtype {
        RrType::NS => (0, 1, true),
        RrType::CNAME | RrType::PTR => (0, 1, false),
        RrType::SOA => (0, 2, false),
        RrType::MX => (2, 1, true),
        RrType::SRV => (6, 0, true),
        RrType::SVCB | RrType::HTTPS => (2, 0, true),
        _ => (0, 0, false),
    };
    Shape { skip, compressed, linked }
}

/// One RRset of a body, read in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set<'a> {
    pub(super) rtype: RrType,
    /// How many records; a set that has more than 65,535 of them is too large for any message.
    pub(super) count: u16,
    /// The records.
    pub(super) wire: &'a [u8],
    pointers: &'a [u8],
    links: &'a [u8],
    /// All of the above as stored.
    pub(super) raw: &'a [u8],
}

/// A way from a name in a set's RDATA to that name's node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Where in the set's records the name stands.
    pub(super) at: usize,
    /// The name lies at or below the set's owner: without its addresses a referral leads nowhere, so they
    /// may not be left out in silence (RFC 9471 section 3.1).
    pub(super) required: bool,
    /// `NONE` where that is another zone's: those come and go.
    pub(super) node: NodeId,
}

impl<'a> Set<'a> {
    /// The places in `wire` that hold pointers to the owner, those of the records' owners left out.
    pub(super) fn pointers(&self) -> impl Iterator<Item = usize> + use<'a> {
        self.pointers.chunks_exact(2).map(|at| usize::from(u16::from_le_bytes([at[0], at[1]])))
    }

    /// The pointer of this number.
    pub(super) fn pointer(&self, number: usize) -> Option<usize> {
        let at = self.pointers.get(number * 2..number * 2 + 2)?;
        Some(usize::from(u16::from_le_bytes([at[0], at[1]])))
    }

    #[inline]
    pub(super) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    pub(super) fn links(&self) -> impl Iterator<Item = Link> + use<'a> {
        self.links.chunks_exact(LINK).map(|l| {
            let node = NodeId(u32::from_le_bytes([l[4], l[5], l[6], l[7]]));
            Link { at: usize::from(u16::from_le_bytes([l[0], l[1]])), required: l[2] != 0, node }
        })
    }

    /// The whole RRset, its names uncompressed.
    pub(super) fn decode(&self, owner: &Name) -> RrSet {
        let mut rdata = Vec::with_capacity(usize::from(self.count));
        let mut pointers = self.pointers().peekable();
        let (mut ttl, mut at) = (u32::MAX, 0);
        while at < self.wire.len() {
            let head = &self.wire[at..at + RECORD_HEAD];
            ttl = ttl.min(u32::from_be_bytes([head[6], head[7], head[8], head[9]]));
            at += RECORD_HEAD;
            let end = at + usize::from(u16::from_be_bytes([head[10], head[11]]));
            let mut plain = Vec::with_capacity(end - at);
            while let Some(place) = pointers.next_if(|&place| place < end) {
                plain.extend_from_slice(&self.wire[at..place]);
                plain.extend_from_slice(&owner.as_wire()[pointed_at(self.wire, place)..]);
                at = place + 2;
            }
            plain.extend_from_slice(&self.wire[at..end]);
            rdata.push(plain.into());
            at = end;
        }
        RrSet { owner: owner.clone(), rtype: self.rtype, ttl, rdata }
    }
}

/// How far into the owner the pointer at `place` leads.
#[inline]
pub(super) fn pointed_at(wire: &[u8], place: usize) -> usize {
    usize::from(u16::from_be_bytes([wire[place], wire[place + 1]]) & !POINTER) - QUESTION
}

/// The sets of a body.
#[derive(Clone, Debug)]
pub(super) struct Sets<'a>(&'a [u8]);

impl<'a> Sets<'a> {
    #[inline]
    pub(super) fn of(body: &'a [u8]) -> Sets<'a> {
        Sets(body)
    }
}

impl<'a> Iterator for Sets<'a> {
    type Item = Set<'a>;

    #[inline]
    fn next(&mut self) -> Option<Set<'a>> {
        let head = self.0.first_chunk::<HEAD>()?;
        let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let wire = HEAD + u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let pointers = wire + usize::from(short(8)) * 2;
        let links = pointers + usize::from(short(10)) * LINK;
        let (raw, rest) = self.0.split_at(links);
        self.0 = rest;
        Some(Set {
            rtype: RrType(short(0)),
            count: short(2),
            wire: &raw[HEAD..wire],
            pointers: &raw[wire..pointers],
            links: &raw[pointers..],
            raw,
        })
    }
}

/// Appends an RRset to a body. Links are laid down for names in the zone of `apex`, leading nowhere yet.
pub(super) fn encode<'r>(
    body: &mut Vec<u8>,
    apex: &[u8],
    owner: &[u8],
    (rtype, ttl): (RrType, u32),
    rdata: impl Iterator<Item = &'r [u8]>,
) {
    let head = body.len();
    body.resize(head + HEAD, 0);
    let shape = shape(rtype);
    let (mut count, mut pointers, mut links) = (0u16, Vec::new(), Vec::new());
    let mut linked = BTreeSet::new();
    for rdata in rdata {
        // RDLENGTH has 16 bits; a checked zone holds no longer RDATA.
        let rdata = &rdata[..rdata.len().min(usize::from(u16::MAX))];
        count = count.saturating_add(1);
        body.extend_from_slice(&(POINTER | QUESTION as u16).to_be_bytes());
        body.extend_from_slice(&rtype.0.to_be_bytes());
        body.extend_from_slice(&1u16.to_be_bytes());
        body.extend_from_slice(&record_ttl(rtype, ttl, rdata).to_be_bytes());
        let len_at = body.len();
        body.extend_from_slice(&[0, 0]);
        let at = body.len() - head - HEAD;
        if at > LAST_PLACE {
            body.extend_from_slice(rdata);
        } else {
            if shape.linked
                && let Some((place, target)) = target(rtype, &shape, rdata, owner)
                && is_at_or_below(target, apex)
                // Several records of a service may have one target, whose addresses are wanted once.
                && (rtype == RrType::NS || linked.insert(target.to_ascii_lowercase()))
            {
                links.push(((at + place) - RECORD_HEAD, is_at_or_below(target, owner)));
            }
            compress(body, head + HEAD, owner, rdata, &shape, &mut pointers);
        }
        let len = (body.len() - len_at - 2) as u16;
        body[len_at..len_at + 2].copy_from_slice(&len.to_be_bytes());
    }
    let wire = (body.len() - head - HEAD) as u32;
    body[head..head + 2].copy_from_slice(&rtype.0.to_le_bytes());
    body[head + 2..head + 4].copy_from_slice(&count.to_le_bytes());
    body[head + 4..head + 8].copy_from_slice(&wire.to_le_bytes());
    body[head + 8..head + 10].copy_from_slice(&(pointers.len() as u16).to_le_bytes());
    body[head + 10..head + 12].copy_from_slice(&(links.len() as u16).to_le_bytes());
    for at in pointers {
        body.extend_from_slice(&(at as u16).to_le_bytes());
    }
    for (at, required) in links {
        body.extend_from_slice(&(at as u16).to_le_bytes());
        body.extend_from_slice(&u16::from(required).to_le_bytes());
        body.extend_from_slice(&NodeId::NONE.0.to_le_bytes());
    }
}

/// The name whose addresses belong to a record, and where it stands, from the record's beginning on.
fn target<'r>(rtype: RrType, shape: &Shape, rdata: &'r [u8], owner: &'r [u8]) -> Option<(usize, &'r [u8])> {
    let (before, target) = rdata.split_at_checked(shape.skip)?;
    match name_len(target)? {
        // The root stands for the owner, unless the record is an alias, whose priority is zero (RFC 9460 section
        // 2.5): the record's first bytes point there.
        1 if matches!(rtype, RrType::SVCB | RrType::HTTPS) && before != [0, 0] => Some((0, owner)),
        1 => None,
        len => Some((RECORD_HEAD + shape.skip, &target[..len])),
    }
}

/// Appends RDATA whose names end in pointers into the owner wherever they share its last labels.
fn compress(
    body: &mut Vec<u8>,
    records: usize,
    owner: &[u8],
    rdata: &[u8],
    shape: &Shape,
    pointers: &mut Vec<usize>,
) {
    let mut done = 0;
    let mut at = shape.skip;
    for _ in 0..shape.compressed {
        let Some(len) = rdata.get(at..).and_then(name_len) else { break };
        if let Some((keep, into)) = common_suffix(&rdata[at..at + len], owner) {
            body.extend_from_slice(&rdata[done..at + keep]);
            pointers.push(body.len() - records);
            body.extend_from_slice(&(POINTER | (QUESTION + into) as u16).to_be_bytes());
            done = at + len;
        }
        at += len;
    }
    body.extend_from_slice(&rdata[done..]);
}

/// The places of links in a body, and the names they are to lead to, uncompressed and in lower case.
pub(super) fn link_targets(body: &[u8], owner: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut targets = Vec::new();
    let mut start = 0;
    for set in Sets::of(body) {
        let first = start + set.raw.len() - set.links.len();
        for (i, link) in set.links.chunks_exact(LINK).enumerate() {
            let at = usize::from(u16::from_le_bytes([link[0], link[1]]));
            let mut target = plain_name(set.wire, at, owner);
            target.make_ascii_lowercase();
            targets.push((first + i * LINK, target));
        }
        start += set.raw.len();
    }
    targets
}

/// Makes the link at `place` lead to `node`.
pub(super) fn set_link(body: &mut [u8], place: usize, node: NodeId) {
    body[place + 4..place + LINK].copy_from_slice(&node.0.to_le_bytes());
}

/// A name out of a set's records, its pointer into the owner followed.
fn plain_name(wire: &[u8], mut at: usize, owner: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    loop {
        let len = usize::from(wire[at]);
        if len >= 0xc0 {
            name.extend_from_slice(&owner[pointed_at(wire, at)..]);
            return name;
        }
        name.extend_from_slice(&wire[at..=at + len]);
        if len == 0 {
            return name;
        }
        at += 1 + len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn wire(text: &str) -> Box<[u8]> {
        name(text).as_wire().into()
    }

    fn encoded(set: &RrSet) -> Vec<u8> {
        let mut body = Vec::new();
        let rdata = set.rdata.iter().map(|rdata| &**rdata);
        encode(&mut body, &wire("example.com"), set.owner.as_wire(), (set.rtype, set.ttl), rdata);
        body
    }

    #[test]
    fn what_goes_in_comes_out() {
        let mx = |target: &str| [&[0, 10], name(target).as_wire()].concat().into();
        let soa = [name("ns1.example.com").as_wire(), name("h.example.com").as_wire(), &[7; 20]].concat();
        let check = |owner: &str, rtype, rdata: Vec<Box<[u8]>>| {
            let set = RrSet { owner: name(owner), rtype, ttl: 300, rdata };
            let body = encoded(&set);
            let sets: Vec<RrSet> = Sets::of(&body).map(|s| s.decode(&set.owner)).collect();
            assert_eq!(sets, [set]);
        };
        check("www.example.com", RrType::A, vec![Box::new([192, 0, 2, 1]), Box::new([192, 0, 2, 2])]);
        check(
            "example.com",
            RrType::NS,
            vec![wire("ns1.example.com"), wire("ns.other."), wire("example.com")],
        );
        check("example.com", RrType::SOA, vec![soa.into()]);
        check("a.example.com", RrType::MX, vec![mx("a.example.com"), mx("b.example.com"), mx(".")]);
        check("*.example.com", RrType::CNAME, vec![wire("x.example.com")]);
        check("x.example.com", RrType::TXT, vec![Box::new([]), Box::new([1, b'a'])]);
        check("x.example.com", RrType::NS, vec![Box::new([9, 9])]);
        check("x.example.com", RrType(65_280), (0..9000u16).map(|i| i.to_be_bytes().into()).collect());
    }

    #[test]
    fn names_point_into_the_owner_and_no_further_than_needed() {
        let check = |owner: &str, target: &str, want: &[u8]| {
            let set = RrSet { owner: name(owner), rtype: RrType::CNAME, ttl: 0, rdata: vec![wire(target)] };
            assert_eq!(&encoded(&set)[HEAD + RECORD_HEAD..][..want.len()], want, "{owner} {target}");
        };
        check("www.example.com", "app.example.com", b"\x03app\xc0\x10");
        check("www.example.com", "example.com", b"\xc0\x10");
        check("www.example.com", "example.net", b"\x07example\x03net\0");
        // A wildcard's own name is not in the message: its answers have another.
        check("*.example.com", "*.example.com", b"\x01*\xc0\x0e");
    }

    #[test]
    fn links_know_their_names() {
        let rdata = vec![wire("ns.sub.example.com"), wire("ns.else.example.com"), wire("ns.example.net")];
        let set = RrSet { owner: name("sub.example.com"), rtype: RrType::NS, ttl: 0, rdata };
        let mut body = encoded(&set);
        let targets = link_targets(&body, set.owner.as_wire());
        let names: Vec<&[u8]> = targets.iter().map(|(_, name)| &name[..]).collect();
        assert_eq!(names, [name("ns.sub.example.com").as_wire(), name("ns.else.example.com").as_wire()]);
        assert!(
            Sets::of(&body).flat_map(|s| s.links()).all(|l| l.node == NodeId::NONE),
            "they lead nowhere yet"
        );
        for (i, (place, _)) in targets.iter().enumerate() {
            set_link(&mut body, *place, NodeId(i as u32));
        }
        let links: Vec<(bool, u32)> =
            Sets::of(&body).flat_map(|s| s.links()).map(|l| (l.required, l.node.0)).collect();
        assert_eq!(links, [(true, 0), (false, 1)]);
    }

    #[test]
    fn a_body_holds_many_sets() {
        let set = |rtype, rdata: &[u8]| RrSet { owner: name("a."), rtype, ttl: 1, rdata: vec![rdata.into()] };
        let all = [set(RrType::A, &[1; 4]), set(RrType::NS, &wire("b.")), set(RrType::TXT, &[0])];
        let body: Vec<u8> = all.iter().flat_map(encoded).collect();
        assert_eq!(Sets::of(&body).map(|s| s.decode(&name("a."))).collect::<Vec<_>>(), all);
    }
}
