//! Query bytes in, what they ask for out.

use std::net::IpAddr;

use super::cookie::{CLIENT_LEN, COOKIE, WITH_SERVER};
use super::names::Sought;
use super::set::QUESTION;
use crate::dns::{MAX_NAME_LEN, RrType};

/// RCODEs (RFC 1035 section 4.1.1; 16 and up need EDNS, RFC 6891 section 6.1.3).
pub(super) mod rcode {
    pub(crate) const NO_ERROR: u16 = 0;
    pub(crate) const FORM_ERR: u16 = 1;
    pub(crate) const SERV_FAIL: u16 = 2;
    pub(crate) const NX_DOMAIN: u16 = 3;
    pub(crate) const NOT_IMP: u16 = 4;
    pub(crate) const REFUSED: u16 = 5;
    pub(crate) const YX_DOMAIN: u16 = 6;
    pub(crate) const BAD_VERS: u16 = 16;
    pub(crate) const BAD_COOKIE: u16 = 23;
    /// None that is ever sent: REFUSED, by everybody but the desk.
    pub(crate) const PRIVATE: u16 = u16::MAX;
    /// Neither is this one: SERVFAIL, of a name that has no answer yet.
    pub(crate) const NOT_READY: u16 = u16::MAX - 1;
}

/// The only EDNS version there is (RFC 6891 section 6.1.3).
const EDNS_VERSION: u8 = 0;
/// Opcodes as they stand in the header's third byte (RFC 1996, RFC 2136).
const NOTIFY: u8 = 4 << 3;
const UPDATE: u8 = 5 << 3;
/// The classes of the Internet and of CHAOS (RFC 1035 section 3.2.4).
const CLASS_IN: u16 = 1;
pub(super) const CLASS_CH: u16 = 3;
/// The NSID option (RFC 5001 section 2.3).
pub(super) const NSID: u16 = 3;

/// Extended errors (RFC 8914 section 4): what an RCODE leaves open.
pub(super) mod extended {
    /// This server is not able to answer yet, and soon will be (RFC 8914 section 4.15).
    pub(crate) const NOT_READY: u16 = 14;
    pub(crate) const PROHIBITED: u16 = 18;
    pub(crate) const NOT_AUTHORITATIVE: u16 = 20;
    /// A zone this server should have and has not, or one that expired (RFC 8914 section 4.25).
    pub(crate) const INVALID_DATA: u16 = 24;
}

/// The edns-tcp-keepalive option (RFC 7828 section 3.1).
pub(super) const KEEPALIVE: u16 = 11;
/// The client subnet option (RFC 7871 section 6): family, two prefix lengths, an address.
pub(super) const SUBNET: u16 = 8;
const SUBNET_HEAD: usize = 4;

/// A well-formed header and what follows it.
pub(super) struct Query<'q> {
    pub(super) bytes: &'q [u8],
    /// What to answer at once with, without looking anything up.
    pub(super) verdict: Option<u16>,
    /// The question, if it could be read.
    pub(super) question: Option<Question>,
    /// The OPT record, if there is one; what it says may be unsound.
    pub(super) edns: Option<Edns<'q>>,
    /// It is no plain query.
    pub(super) desk: bool,
    /// It has a TSIG record.
    pub(super) signed: bool,
}

/// The one question, but for its name.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) rtype: RrType,
    pub(super) class: u16,
    /// Where it ends in the query.
    pub(super) end: usize,
}

/// What an OPT record says (RFC 6891 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edns<'q> {
    /// The largest UDP message the sender takes.
    pub(super) payload: u16,
    /// DNSSEC records wanted (RFC 3225); an answer repeats it.
    pub(super) dnssec_ok: bool,
    /// The sender asks who answers.
    pub(super) wants_nsid: bool,
    /// The COOKIE option: a client's cookie, and perhaps a server's.
    pub(super) cookie: Option<&'q [u8]>,
    /// The sender asks how long a connection may be idle.
    pub(super) wants_keepalive: bool,
    /// The client subnet option, a sound one.
    pub(super) subnet: Option<&'q [u8]>,
}

/// Reads a query, and its question's name into `name`, which is empty. `None` is silence: too short for a
/// header, or itself a response, to which an answer could go round for ever.
#[inline]
pub(super) fn read<'q>(bytes: &'q [u8], name: &mut Sought) -> Option<Query<'q>> {
    let header = bytes.first_chunk::<QUESTION>()?;
    if header[2] & 0x80 != 0 {
        return None;
    }
    let mut query = Query { bytes, verdict: None, question: None, edns: None, desk: false, signed: false };
    if header[2] & 0x78 != 0 {
        query.other(header[2] & 0x78, name);
        return Some(query);
    }
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    // RFC 9619 section 4: more than one question is a format error. None at all may ask for a cookie.
    if count(4) == 1 {
        query.question = read_question(bytes, name);
    }
    let records = match &query.question {
        Some(question) => question.end,
        None if count(4) == 0 => QUESTION,
        None => {
            query.verdict = Some(rcode::FORM_ERR);
            return Some(query);
        }
    };
    query.verdict = match query.read_records(records, header) {
        Err(Malformed) => Some(rcode::FORM_ERR),
        Ok(version) if version > EDNS_VERSION => Some(rcode::BAD_VERS),
        Ok(_) => None,
    };
    query.desk |= query.signed;
    if query.verdict.is_none() && query.question.as_ref().is_some_and(Question::is_refused) {
        query.verdict = Some(rcode::REFUSED);
        query.desk |= query.question.as_ref().is_some_and(Question::is_transfer);
    }
    Some(query)
}

impl Question {
    /// Another class than those there are, or a transfer.
    fn is_refused(&self) -> bool {
        !matches!(self.class, CLASS_IN | CLASS_CH) || self.is_transfer()
    }

    pub(super) fn is_transfer(&self) -> bool {
        matches!(self.rtype, RrType::AXFR | RrType::IXFR)
    }
}

#[inline]
fn read_question(bytes: &[u8], name: &mut Sought) -> Option<Question> {
    name.read(&bytes[QUESTION..])?;
    let at = QUESTION + name.name().len();
    let rest = bytes.get(at..at + 4)?;
    let rtype = RrType(u16::from_be_bytes([rest[0], rest[1]]));
    Some(Question { rtype, class: u16::from_be_bytes([rest[2], rest[3]]), end: at + 4 })
}

/// The address of a sound client subnet option, zeros after its prefix; `None` where it tells of no client.
#[inline]
pub(super) fn subnet_ip(option: &[u8]) -> Option<IpAddr> {
    let (head, address) = option.split_first_chunk::<SUBNET_HEAD>()?;
    match (head[1], head[2]) {
        (_, 0) => None,
        (1, _) => {
            let mut bytes = [0; 4];
            bytes.get_mut(..address.len())?.copy_from_slice(address);
            Some(IpAddr::from(bytes))
        }
        _ => {
            let mut bytes = [0; 16];
            bytes.get_mut(..address.len())?.copy_from_slice(address);
            Some(IpAddr::from(bytes))
        }
    }
}

struct Malformed;

impl Query<'_> {
    /// Of another opcode. An OPT is answered with one whatever else is said (RFC 6891 section 6.1.1), and a signature is
    /// looked at before what was signed (RFC 8945 section 5.2).
    #[cold]
    fn other(&mut self, opcode: u8, name: &mut Sought) {
        self.verdict = Some(rcode::NOT_IMP);
        self.desk = matches!(opcode, NOTIFY | UPDATE);
        let Some(header) = self.bytes.first_chunk::<QUESTION>() else { return };
        let records = match header[4..6] {
            [0, 0] => Some(QUESTION),
            [0, 1] => read_question(self.bytes, name).map(|question| question.end),
            _ => None,
        };
        // What cannot be read is no less unknown here.
        let _ = records.map(|at| self.read_records(at, header));
        self.signed &= self.desk;
    }

    /// Walks the records from `at` on, of which only one OPT in the additional section and a TSIG count; gives the OPT's
    /// version. What was read of them before something that is malformed stays read.
    fn read_records(&mut self, at: usize, header: &[u8; QUESTION]) -> Result<u8, Malformed> {
        let count = |at: usize| u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
        let before = count(6) + count(8);
        let (mut rest, mut version) = (&self.bytes[at..], 0);
        // Every record takes bytes, so the message's length bounds this whatever the counts claim.
        for i in 0..before + count(10) {
            let owner = owner_len(rest).ok_or(Malformed)?;
            let head = rest.get(owner..owner + 10).ok_or(Malformed)?;
            let end = owner + 10 + usize::from(u16::from_be_bytes([head[8], head[9]]));
            let rdata = rest.get(owner + 10..end).ok_or(Malformed)?;
            let rtype = u16::from_be_bytes([head[0], head[1]]);
            if rtype == RrType::OPT.0 {
                // One at most, in the additional section, owned by the root (RFC 6891 section 6.1.1).
                if self.edns.is_some() || i < before || owner != 1 {
                    return Err(Malformed);
                }
                let edns = self.edns.insert(Edns {
                    payload: u16::from_be_bytes([head[2], head[3]]),
                    dnssec_ok: head[6] & 0x80 != 0,
                    wants_nsid: false,
                    cookie: None,
                    wants_keepalive: false,
                    subnet: None,
                });
                version = head[5];
                let sound = edns.read_options(rdata);
                // What the options of another version look like is not known.
                if version == EDNS_VERSION {
                    sound?;
                }
            } else if rtype == RrType::TSIG.0 {
                self.signed = true;
            }
            rest = &rest[end..];
        }
        // What lies past the last record belongs to no message.
        if rest.is_empty() { Ok(version) } else { Err(Malformed) }
    }
}

/// The bytes a record's owner takes, a pointer at its end included.
fn owner_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let label @ 1.. = *bytes.get(at)? {
        if label >= 0xc0 {
            return Some(at + 2);
        }
        at += 1 + usize::from(label);
        if label > 63 || at > MAX_NAME_LEN {
            return None;
        }
    }
    Some(at + 1)
}

impl<'q> Edns<'q> {
    /// Takes in the options it knows and passes over the others (RFC 6891 section 6.1.2).
    fn read_options(&mut self, mut options: &'q [u8]) -> Result<(), Malformed> {
        while !options.is_empty() {
            let head = options.first_chunk::<4>().ok_or(Malformed)?;
            let end = 4 + usize::from(u16::from_be_bytes([head[2], head[3]]));
            let data = options.get(4..end).ok_or(Malformed)?;
            match u16::from_be_bytes([head[0], head[1]]) {
                NSID => self.wants_nsid = true,
                COOKIE => self.read_cookie(data)?,
                KEEPALIVE => self.wants_keepalive = true,
                SUBNET => self.read_subnet(data)?,
                _ => {}
            }
            options = &options[end..];
        }
        Ok(())
    }

    /// The address has as many bytes as its prefix needs, and no bit past it; the scope is for answers to
    /// fill in. All else is a format error (RFC 7871 section 6).
    fn read_subnet(&mut self, data: &'q [u8]) -> Result<(), Malformed> {
        let (head, address) = data.split_first_chunk::<SUBNET_HEAD>().ok_or(Malformed)?;
        let [family, prefix] = [u16::from_be_bytes([head[0], head[1]]), u16::from(head[2])];
        let longest = match family {
            // No address at all: some clients say so that theirs is not to be told.
            0 => 0,
            1 => 32,
            2 => 128,
            _ => return Err(Malformed),
        };
        let past = match prefix % 8 {
            0 => 0,
            used => address.last().map_or(0, |last| last & 0xff >> used),
        };
        let sound = prefix <= longest && address.len() == usize::from(prefix.div_ceil(8)) && past == 0;
        if !sound || head[3] != 0 {
            return Err(Malformed);
        }
        self.subnet = self.subnet.or(Some(data));
        Ok(())
    }

    /// Of several cookies the first counts (RFC 7873 section 5.2); one of a length that none can have is
    /// a format error (section 5.2.2).
    fn read_cookie(&mut self, data: &'q [u8]) -> Result<(), Malformed> {
        if self.cookie.is_none() {
            if data.len() != CLIENT_LEN && !WITH_SERVER.contains(&data.len()) {
                return Err(Malformed);
            }
            self.cookie = Some(data);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION_A: &[u8] = b"\x03www\0\x00\x01\x00\x01";

    fn header(flags: u8, counts: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, flags, 0];
        bytes.extend(counts.iter().flat_map(|&count| [0, count]));
        bytes
    }

    /// The verdict, whether the question was read, whether EDNS was.
    fn check(parts: &[&[u8]], want: Option<(Option<u16>, bool, bool)>) {
        let bytes = parts.concat();
        let got =
            read(&bytes, &mut Sought::empty()).map(|q| (q.verdict, q.question.is_some(), q.edns.is_some()));
        assert_eq!(got, want, "{bytes:02x?}");
    }

    #[test]
    fn silence_for_what_is_no_query() {
        check(&[], None);
        check(&[&header(0, [1, 0, 0, 0])[..11]], None);
        check(&[&header(0x80, [1, 0, 0, 0]), QUESTION_A], None);
    }

    #[test]
    fn the_question_is_one_and_whole() {
        let plain = header(0, [1, 0, 0, 0]);
        check(&[&plain, QUESTION_A], Some((None, true, false)));
        check(&[&header(0x20, [1, 0, 0, 0]), QUESTION_A], Some((Some(rcode::NOT_IMP), false, false)));
        let broken = Some((Some(rcode::FORM_ERR), false, false));
        check(&[&plain], broken);
        check(&[&plain, &QUESTION_A[..8]], broken);
        check(&[&plain, b"\xc0\x0c\x00\x01\x00\x01"], broken);
        check(&[&header(0, [0, 0, 0, 0])], Some((None, false, false)));
        let opt = b"\0\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";
        check(&[&header(0, [0, 0, 0, 1]), opt], Some((None, false, true)));
        check(&[&header(0, [2, 0, 0, 0]), QUESTION_A, QUESTION_A], broken);
        check(&[&plain, QUESTION_A, b"\0"], Some((Some(rcode::FORM_ERR), true, false)));
    }

    #[test]
    fn other_classes_and_transfers_are_refused() {
        let plain = header(0, [1, 0, 0, 0]);
        let refused = Some((Some(rcode::REFUSED), true, false));
        check(&[&plain, b"\0\x00\x01\x00\x02"], refused);
        check(&[&plain, b"\0\x00\xfc\x00\x03"], refused);
        check(&[&plain, b"\0\x00\x01\x00\xff"], refused);
        check(&[&plain, b"\0\x00\xfc\x00\x01"], refused);
        check(&[&plain, b"\0\x00\xfb\x00\x01"], refused);
        let soa = b"\xc0\x0c\x00\x06\x00\x01\0\0\0\0\x00\x01\0";
        check(&[&header(0, [1, 0, 1, 0]), b"\0\x00\xfb\x00\x01", soa], refused);
    }

    #[test]
    fn what_is_no_plain_query_is_for_the_desk() {
        let check = |parts: &[&[u8]], want: bool| {
            let bytes = parts.concat();
            assert_eq!(read(&bytes, &mut Sought::empty()).map(|q| q.desk), Some(want), "{bytes:02x?}");
        };
        let plain = header(0, [1, 0, 0, 0]);
        check(&[&plain, QUESTION_A], false);
        check(&[&plain, b"\0\x00\xfc\x00\x01"], true);
        check(&[&plain, b"\0\x00\xfb\x00\x01"], true);
        check(&[&header(0x20, [1, 0, 0, 0]), QUESTION_A], true);
        check(&[&header(0x28, [1, 0, 0, 0]), QUESTION_A], true);
        check(&[&header(0x10, [1, 0, 0, 0]), QUESTION_A], false);
        let tsig = b"\x01k\0\x00\xfa\x00\xff\0\0\0\0\x00\x01x";
        check(&[&header(0, [1, 0, 0, 1]), QUESTION_A, tsig], true);
        let opt = b"\0\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";
        check(&[&header(0, [1, 0, 0, 2]), QUESTION_A, opt, tsig], true);
        check(&[&header(0, [1, 0, 0, 1]), QUESTION_A, opt], false);
    }

    #[test]
    fn edns_is_one_sound_opt() {
        let one = header(0, [1, 0, 0, 1]);
        let opt = b"\0\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";
        check(&[&one, QUESTION_A, opt], Some((None, true, true)));
        let broken = Some((Some(rcode::FORM_ERR), true, false));
        // An OPT is answered with one, also where something else is wrong (RFC 6891 section 6.1.1).
        let with_opt = Some((Some(rcode::FORM_ERR), true, true));
        check(&[&header(0, [1, 0, 0, 2]), QUESTION_A, opt, opt], with_opt);
        check(&[&one, QUESTION_A, opt, b"\0"], with_opt);
        check(&[&header(0x10, [1, 0, 0, 1]), QUESTION_A, opt], Some((Some(rcode::NOT_IMP), false, true)));
        check(&[&header(0x28, [1, 0, 0, 1]), QUESTION_A, opt], Some((Some(rcode::NOT_IMP), false, true)));
        check(&[&header(0, [1, 1, 0, 0]), QUESTION_A, opt], broken);
        check(&[&one, QUESTION_A], broken);
        check(&[&one, QUESTION_A, b"\x01a\0\x00\x29\x04\xd0\0\0\0\0\0\0"], broken);
        check(&[&one, QUESTION_A, b"\0\x00\x29\x04\xd0\0\0\0\0\x00\x03\x00\x03\x00"], with_opt);
        check(&[&one, QUESTION_A, b"\0\x00\x29\x04\xd0\0\0\0\0\x00\x04\x00\x03\x00\x01"], with_opt);
        let newer = b"\0\x00\x29\x04\xd0\x00\x01\x00\x00\x00\x00";
        check(&[&one, QUESTION_A, newer], Some((Some(rcode::BAD_VERS), true, true)));
        // A counted record that is something else, with a compressed owner, is stepped over.
        let a = b"\xc0\x0c\x00\x01\x00\x01\0\0\0\0\x00\x04\x01\x02\x03\x04";
        check(&[&header(0, [1, 0, 0, 2]), QUESTION_A, a, opt], Some((None, true, true)));
    }

    #[test]
    fn edns_says_what_it_says() {
        let check = |tail: &[u8], want: Edns| {
            let bytes = [&header(0, [1, 0, 0, 1]), QUESTION_A, tail].concat();
            assert_eq!(read(&bytes, &mut Sought::empty()).and_then(|query| query.edns), Some(want));
        };
        let bare = Edns {
            payload: 0,
            dnssec_ok: false,
            wants_nsid: false,
            cookie: None,
            wants_keepalive: false,
            subnet: None,
        };
        let want = Edns { payload: 1232, dnssec_ok: true, ..bare };
        check(b"\0\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00", want);
        let want = Edns { wants_nsid: true, ..bare };
        check(b"\0\x00\x29\x00\x00\0\0\0\0\x00\x09\xff\xf0\x00\x01z\x00\x03\x00\x00", want);
        // The first of two cookies.
        let want = Edns { cookie: Some(b"8 bytes."), ..bare };
        let two = b"\0\x00\x29\x00\x00\0\0\0\0\x00\x18\x00\x0a\x00\x088 bytes.\x00\x0a\x00\x08seconds.";
        check(two, want);
        let want = Edns { wants_keepalive: true, ..bare };
        check(b"\0\x00\x29\x00\x00\0\0\0\0\x00\x04\x00\x0b\x00\x00", want);
    }

    #[test]
    fn a_subnet_is_sound_or_a_format_error() {
        let check = |data: &[u8], sound: bool| {
            let opt = [0, 0, 0x29, 4, 0xd0, 0, 0, 0, 0, 0, data.len() as u8 + 4, 0, 8, 0, data.len() as u8];
            let bytes = [&header(0, [1, 0, 0, 1]), QUESTION_A, &opt, data].concat();
            let query = read(&bytes, &mut Sought::empty()).expect("a query");
            assert_eq!(query.edns.and_then(|edns| edns.subnet), sound.then_some(data), "{data:02x?}");
            assert_eq!(query.verdict, (!sound).then_some(rcode::FORM_ERR), "{data:02x?}");
        };
        check(&[0, 1, 24, 0, 192, 0, 2], true);
        check(&[0, 1, 0, 0], true);
        check(&[0, 1, 32, 0, 192, 0, 2, 1], true);
        check(&[0, 1, 20, 0, 192, 0, 0xf0], true);
        check(&[0, 2, 56, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 0xab], true);
        check(&[0, 0, 0, 0], true);
        // Too short, too long, past the prefix, a scope, unknown families, longer than an address.
        check(&[0, 1, 24], false);
        check(&[0, 1, 24, 0, 192, 0], false);
        check(&[0, 1, 24, 0, 192, 0, 2, 0], false);
        check(&[0, 1, 20, 0, 192, 0, 0xf8], false);
        check(&[0, 1, 24, 24, 192, 0, 2], false);
        check(&[0, 3, 8, 0, 1], false);
        check(&[0, 0, 8, 0, 1], false);
        check(&[0, 1, 33, 0, 192, 0, 2, 1, 0], false);
    }
}
