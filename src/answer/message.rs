//! The answer as it is written: header, question, sections, OPT.

use super::cookie::{COOKIE, Cookies};
use super::names::{POINTER, label_at, same_name, suffix_at};
use super::query::{CLASS_CH, Edns, KEEPALIVE, NSID, SUBNET};
use super::set::{QUESTION, RECORD_HEAD, Set, pointed_at};
use crate::dns::RrType;

/// An OPT record without options (RFC 6891 section 6.1.2).
const OPT_LEN: usize = 11;
/// The option that says why (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;
/// An option's code and length.
const OPTION_HEAD: usize = 4;
/// Where the client subnet option has the two prefix lengths (RFC 7871 section 6).
const SUBNET_SOURCE: usize = 2;
const SUBNET_SCOPE: usize = 3;
/// The furthest a compression pointer reaches (RFC 1035 section 4.1.4).
const LAST_POINTED: usize = 0x3fff;

/// The sections records go to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Section {
    Answer,
    Authority,
    Additional,
}

/// A name in the message that owns records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    /// Where it stands.
    pub(super) at: usize,
    /// Its length as if uncompressed.
    pub(super) len: usize,
}

/// Something did not fit; nothing of it was written.
#[derive(Debug)]
pub(super) struct Full;

/// An answer under way. It grows by whole RRsets (RFC 2181 section 9) and never past its bounds.
pub(super) struct Message<'o> {
    out: &'o mut [u8],
    at: usize,
    /// Where the sections begin.
    head: usize,
    /// What the sections may fill; the rest is kept for OPT.
    limit: usize,
    counts: [u16; 3],
    pub(super) authoritative: bool,
    pub(super) truncated: bool,
    /// What the answer is about, to those who count answers: a node, or a zone's number.
    pub(super) subject: u32,
    /// Whether [`Message::turn`] does anything.
    pub(super) turns: bool,
    /// How many bits of the client's address the answer section depends on.
    pub(super) scope: u8,
}

/// What the OPT record of an answer says.
pub(super) struct Opt<'s> {
    pub(super) edns: Edns<'s>,
    /// The largest UDP message this server takes.
    pub(super) payload: u16,
    pub(super) nsid: Option<&'s [u8]>,
    pub(super) cookies: Option<Cookies>,
    /// How long a connection may be idle, in tenths of a second.
    pub(super) keepalive: Option<u16>,
}

impl Opt<'_> {
    fn len(&self) -> usize {
        let nsid = self.nsid.map_or(0, |nsid| OPTION_HEAD + nsid.len());
        let cookies = self.cookies.map_or(0, |cookies| OPTION_HEAD + cookies.len());
        let keepalive = self.keepalive.map_or(0, |_| OPTION_HEAD + size_of::<u16>());
        let subnet = self.edns.subnet.map_or(0, |subnet| OPTION_HEAD + subnet.len());
        OPT_LEN + nsid + cookies + keepalive + subnet
    }
}

impl<'o> Message<'o> {
    /// Begins an answer with the query's header and question. `None` where `out` does not hold even that.
    #[inline]
    pub(super) fn begin(out: &'o mut [u8], query: &[u8], opt: Option<&Opt<'_>>) -> Option<Message<'o>> {
        let limit = out.len().checked_sub(opt.map_or(0, Opt::len))?;
        if query.len() > limit {
            return None;
        }
        out[..query.len()].copy_from_slice(query);
        let at = query.len();
        Some(Message {
            out,
            at,
            head: at,
            limit,
            counts: [0; 3],
            authoritative: false,
            truncated: false,
            subject: 0,
            turns: false,
            scope: 0,
        })
    }

    /// Takes everything back but header and question, which end at `head`.
    pub(super) fn empty(&mut self, head: usize, truncated: bool) {
        (self.at, self.counts) = (head, [0; 3]);
        (self.authoritative, self.truncated, self.scope) = (false, truncated, 0);
    }

    /// Records in each section so far.
    pub(super) fn counts(&self) -> [u16; 3] {
        self.counts
    }

    /// What has been written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.out[..self.at]
    }

    /// Adds an RRset stored for an owner of `stored` bytes, owned here by `owner`, and says where it
    /// begins. The two differ in length where a wildcard stands for a name.
    #[inline]
    pub(super) fn push(
        &mut self,
        section: Section,
        set: &Set<'_>,
        owner: Owner,
        stored: usize,
    ) -> Result<usize, Full> {
        let start = self.at;
        let end = start + set.wire.len();
        if end > self.limit {
            return Err(Full);
        }
        self.out[start..end].copy_from_slice(set.wire);
        if owner.at != QUESTION || owner.len != stored {
            self.aim(start, set, owner, stored).ok_or(Full)?;
        }
        self.at = end;
        self.counts[section as usize] += set.count;
        Ok(start)
    }

    /// Has another record of the set that was pushed at `start` come first, and those before it last: which
    /// one, the query's id decides, so that clients spread over all of them. Gives the place in the set
    /// that came to the front. Records point back to names before the set alone, so they may move.
    pub(super) fn turn(&mut self, set: &Set<'_>, start: usize) -> usize {
        if !self.turns || set.count < 2 {
            return 0;
        }
        let id = u16::from_be_bytes([self.out[0], self.out[1]]);
        let mut front = 0;
        for _ in 0..id % set.count {
            let len = u16::from_be_bytes([set.wire[front + 10], set.wire[front + 11]]);
            front += RECORD_HEAD + usize::from(len);
        }
        self.out[start..start + set.wire.len()].rotate_left(front);
        front
    }

    /// Leads the pointers of a set, which was stored for an answer to its own name, to where the names are
    /// in this message.
    fn aim(&mut self, start: usize, set: &Set<'_>, owner: Owner, stored: usize) -> Option<()> {
        let to = label_at(self.bytes(), owner.at)?;
        let mut record = start;
        while record < start + set.wire.len() {
            self.point(record, to)?;
            let len = u16::from_be_bytes([self.out[record + 10], self.out[record + 11]]);
            record += RECORD_HEAD + usize::from(len);
        }
        for place in set.pointers() {
            let skip = (pointed_at(set.wire, place) + owner.len).checked_sub(stored)?;
            let to = suffix_at(self.bytes(), owner.at, skip)?;
            self.point(start + place, to)?;
        }
        Some(())
    }

    fn point(&mut self, place: usize, to: usize) -> Option<()> {
        let to = u16::try_from(to).ok().filter(|&to| usize::from(to) <= LAST_POINTED)?;
        self.out[place..place + 2].copy_from_slice(&(POINTER | to).to_be_bytes());
        Some(())
    }

    /// Where each record of the answer section begins, and its type.
    fn answers(&self) -> impl Iterator<Item = (usize, RrType)> {
        let mut next = self.head;
        (0..self.counts[Section::Answer as usize]).map(move |_| {
            let at = next;
            let head = &self.out[at..at + RECORD_HEAD];
            next += RECORD_HEAD + usize::from(u16::from_be_bytes([head[10], head[11]]));
            (at, RrType(u16::from_be_bytes([head[2], head[3]])))
        })
    }

    /// Whether the answer has a CNAME of the name that stands at `name` already.
    pub(super) fn has_alias_of(&self, name: usize) -> bool {
        let aliases = self.answers().filter(|&(_, rtype)| rtype == RrType::CNAME);
        aliases.into_iter().any(|(at, _)| same_name(self.bytes(), at, name))
    }

    /// Where the answer has the DNAME of the name that stands at `name`.
    pub(super) fn dname_of(&self, name: usize) -> Option<usize> {
        let mut dnames = self.answers().filter(|&(_, rtype)| rtype == RrType::DNAME);
        dnames.find(|&(at, _)| same_name(self.bytes(), at, name)).map(|(at, _)| at)
    }

    /// Adds a CNAME to the answer section whose target is a name's first labels and another name, which stands in
    /// the message already: both are in wire form. Says where the target begins.
    pub(super) fn push_cname(
        &mut self,
        at: usize,
        ttl: [u8; 4],
        first: &[u8],
        (rest, rest_at): (&[u8], usize),
    ) -> Result<usize, Full> {
        let pointer = u16::try_from(rest_at).ok().filter(|&at| usize::from(at) <= LAST_POINTED);
        let pointer = pointer.map(|at| (POINTER | at).to_be_bytes());
        let rest = pointer.as_ref().map_or(rest, |to| if rest.len() > to.len() { to } else { rest });
        let len = first.len() + rest.len();
        let (start, target) = (self.at, self.at + RECORD_HEAD);
        if target + len > self.limit {
            return Err(Full);
        }
        self.point(start, at).ok_or(Full)?;
        let head = &mut self.out[start + 2..target];
        head[..2].copy_from_slice(&RrType::CNAME.0.to_be_bytes());
        head[2..4].copy_from_slice(&1u16.to_be_bytes());
        head[4..8].copy_from_slice(&ttl);
        head[8..].copy_from_slice(&(len as u16).to_be_bytes());
        self.out[target..target + first.len()].copy_from_slice(first);
        self.out[target + first.len()..target + len].copy_from_slice(rest);
        self.at = target + len;
        self.counts[Section::Answer as usize] += 1;
        Ok(target)
    }

    /// Adds a TXT record of class CH that the question owns, of at most 255 bytes. Its TTL is zero: who
    /// answers may differ from one query to the next.
    pub(super) fn push_chaos_text(&mut self, text: &[u8]) -> Result<(), Full> {
        let len = u8::try_from(text.len()).map_err(|_| Full)?;
        let (start, rdata) = (self.at, self.at + RECORD_HEAD);
        let end = rdata + 1 + text.len();
        if end > self.limit {
            return Err(Full);
        }
        self.point(start, QUESTION).ok_or(Full)?;
        let head = &mut self.out[start + 2..rdata];
        head[..2].copy_from_slice(&RrType::TXT.0.to_be_bytes());
        head[2..4].copy_from_slice(&CLASS_CH.to_be_bytes());
        head[4..8].copy_from_slice(&[0; 4]);
        head[8..].copy_from_slice(&(u16::from(len) + 1).to_be_bytes());
        self.out[rdata] = len;
        self.out[rdata + 1..end].copy_from_slice(text);
        self.at = end;
        self.counts[Section::Answer as usize] += 1;
        Ok(())
    }

    /// Completes header and OPT, which says `why` where there is more to say than the RCODE does, and
    /// gives the answer's length.
    #[inline]
    pub(super) fn finish(
        mut self,
        has_question: bool,
        rcode: u16,
        why: Option<u16>,
        opt: Option<&Opt<'_>>,
    ) -> usize {
        // QR, the opcode and RD as asked; RA, AD and CD clear: this server neither resolves nor validates
        // (RFC 4035 section 3.1.6).
        let asked = self.out[2] & 0x79;
        let flags = u8::from(self.authoritative) << 2 | u8::from(self.truncated) << 1;
        self.out[2] = 0x80 | asked | flags;
        self.out[3] = (rcode & 0xf) as u8;
        self.out[4..6].copy_from_slice(&u16::from(has_question).to_be_bytes());
        self.out[6..8].copy_from_slice(&self.counts[0].to_be_bytes());
        self.out[8..10].copy_from_slice(&self.counts[1].to_be_bytes());
        if let Some(opt) = opt {
            self.push_opt(rcode, why, opt);
        }
        self.out[10..12].copy_from_slice(&self.counts[2].to_be_bytes());
        self.at
    }

    fn push_opt(&mut self, rcode: u16, why: Option<u16>, opt: &Opt<'_>) {
        // Nothing is kept back for it: where it does not fit it is left out.
        let why = why.map(u16::to_be_bytes);
        let why = why.filter(|why| self.at + opt.len() + OPTION_HEAD + why.len() <= self.out.len());
        let options = opt.len() - OPT_LEN + why.map_or(0, |why| OPTION_HEAD + why.len());
        // In bounds, and so are the options: `begin` kept this much back.
        let out = &mut self.out[self.at..self.at + OPT_LEN];
        let [payload_high, payload_low] = opt.payload.to_be_bytes();
        let dnssec_ok = u8::from(opt.edns.dnssec_ok) << 7;
        let [options_high, options_low] = (options as u16).to_be_bytes();
        let extended = (rcode >> 4) as u8;
        out.copy_from_slice(&[
            0,
            0,
            RrType::OPT.0 as u8,
            payload_high,
            payload_low,
            extended,
            0,
            dnssec_ok,
            0,
            options_high,
            options_low,
        ]);
        self.at += OPT_LEN;
        self.counts[Section::Additional as usize] += 1;
        if let Some(nsid) = opt.nsid {
            self.push_option(NSID, nsid);
        }
        if let Some(cookies) = &opt.cookies {
            self.push_option(COOKIE, cookies);
        }
        if let Some(idle) = opt.keepalive {
            self.push_option(KEEPALIVE, &idle.to_be_bytes());
        }
        if let Some(subnet) = opt.edns.subnet {
            // As it came, but for the scope: zero where the answer is for everybody (RFC 7871 section 7.2.1).
            self.push_option(SUBNET, subnet);
            // Who tells of no client was answered for the resolver's own address, and may share that.
            if subnet[SUBNET_SOURCE] > 0 {
                self.out[self.at - subnet.len() + SUBNET_SCOPE] = self.scope;
            }
        }
        if let Some(why) = why {
            self.push_option(EXTENDED_ERROR, &why);
        }
    }

    fn push_option(&mut self, code: u16, data: &[u8]) {
        let out = &mut self.out[self.at..self.at + OPTION_HEAD + data.len()];
        out[..2].copy_from_slice(&code.to_be_bytes());
        out[2..OPTION_HEAD].copy_from_slice(&(data.len() as u16).to_be_bytes());
        out[OPTION_HEAD..].copy_from_slice(data);
        self.at += out.len();
    }
}
