//! The question as bytes, and what bytes say in answer to it. No socket, no clock.

use crate::dns::message::{
    AUTHORITATIVE, CLASS_IN, HEADER_LEN, Header, OPCODE_QUERY, RECURSION, Reader, Section, TRUNCATED, Writer,
};
use crate::dns::{Name, RrType, rcode_name, rdata_text};
use crate::health::{Failure, Outcome};
use crate::model::{DnsProbe, Matching};
use crate::probe::failure::bounded;

/// Records of an answer that are looked at.
const MAX_RECORDS: usize = 1024;
/// CNAMEs that are followed from the name asked for.
const MAX_CHAIN: usize = 16;
/// Records that a failure lists.
const MAX_LISTED: usize = 4;

/// A question, and what is expected in answer.
#[derive(Debug)]
pub struct Question {
    name: Name,
    expect: DnsProbe,
    bytes: Vec<u8>,
}

/// What some bytes are to a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// No answer to it: another id or question, or no answer at all.
    Foreign,
    /// An answer that did not fit (TC).
    Truncated,
    /// The answer, judged.
    Outcome(Outcome),
}

impl Question {
    /// The question for `name` under this id.
    pub fn new(id: u16, name: &Name, expect: &DnsProbe) -> Question {
        let flags = if expect.recursion { RECURSION } else { 0 };
        let bytes = Writer::new(id, flags).question(name, expect.qtype).finish();
        Question { name: name.clone(), expect: expect.clone(), bytes }
    }

    /// The question as it is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads bytes that came from where the question went.
    pub fn reply(&self, bytes: &[u8]) -> Reply {
        let Some(header) = Header::read(bytes) else { return Reply::Foreign };
        let is_response = header.is_response() && header.opcode() == OPCODE_QUERY;
        if bytes[..2] != self.bytes[..2] || !is_response {
            return Reply::Foreign;
        }
        // A server that could not read the question, or did not care to, may leave it out.
        match header.questions() {
            0 if header.rcode() != 0 => {}
            1 if self.is_echoed(bytes) => {}
            _ => return Reply::Foreign,
        }
        if header.has(TRUNCATED) {
            return Reply::Truncated;
        }
        Reply::Outcome(match self.judge(bytes, header) {
            Ok(()) => Outcome::Ok,
            Err(failure) => Outcome::Failed(failure),
        })
    }

    /// Whether the question stands in the answer, in whatever case.
    fn is_echoed(&self, bytes: &[u8]) -> bool {
        let asked = &self.bytes[HEADER_LEN..];
        // Lengths of labels, type and class are no letters that the comparison could fold: lengths are at
        // most 63, and the last four bytes are compared as they are.
        let (name, rest) = asked.split_at(asked.len() - 4);
        bytes.get(HEADER_LEN..self.bytes.len()).is_some_and(|echo| {
            let (echoed, tail) = echo.split_at(name.len());
            echoed.eq_ignore_ascii_case(name) && tail == rest
        })
    }

    fn judge(&self, bytes: &[u8], header: Header) -> Result<(), Failure> {
        let rcode = header.rcode();
        if rcode != self.expect.rcode {
            return Err(Failure::Rcode(rcode_name(u16::from(rcode))));
        }
        match (self.expect.authoritative, header.has(AUTHORITATIVE)) {
            (Some(true), false) => return Err(Failure::Dns("not authoritative".into())),
            (Some(false), true) => return Err(Failure::Dns("authoritative".into())),
            _ => {}
        }
        // Another code than NOERROR has no records to look at.
        let any = self.expect.records.is_empty();
        if rcode != 0 || any && self.expect.empty {
            return Ok(());
        }
        let found = self.found(bytes).ok_or_else(|| Failure::Dns("the answer is broken".into()))?;
        if !any {
            return self.compare(&found);
        }
        if found.is_empty() { Err(Failure::Records(self.listed(&found))) } else { Ok(()) }
    }

    /// The records of the type asked for at the end of the chain of CNAMEs that begins at the name asked
    /// for; `None` where the bytes are no answer section.
    fn found(&self, bytes: &[u8]) -> Option<Vec<Box<[u8]>>> {
        let reader = Reader::new(bytes)?;
        let answers = usize::from(reader.header().count(Section::Answer)).min(MAX_RECORDS);
        let mut records = Vec::new();
        for record in reader.records().take(answers) {
            let record = record.ok()?;
            let wanted = record.rtype == self.expect.qtype || record.rtype == RrType::CNAME;
            if record.class == CLASS_IN && wanted {
                records.push((record.owner()?, record.rtype, record.data()?));
            }
        }
        let mut name = self.name.clone();
        for _ in 0..MAX_CHAIN {
            let here = |of: RrType| {
                let name = &name;
                records.iter().filter(move |(owner, rtype, _)| owner == name && *rtype == of)
            };
            let found: Vec<Box<[u8]>> = here(self.expect.qtype).map(|(_, _, rdata)| rdata.clone()).collect();
            let next = here(RrType::CNAME).next().and_then(|(_, _, rdata)| Name::from_wire(rdata).ok());
            match next {
                Some(next) if found.is_empty() => name = next,
                _ => return Some(found),
            }
        }
        Some(Vec::new())
    }

    fn compare(&self, found: &[Box<[u8]>]) -> Result<(), Failure> {
        let expected = &self.expect.records;
        let fits = match self.expect.matching {
            Matching::Any => expected.iter().any(|record| found.contains(record)),
            Matching::All | Matching::Exact => expected.iter().all(|record| found.contains(record)),
        };
        let alone =
            self.expect.matching != Matching::Exact || found.iter().all(|record| expected.contains(record));
        if fits && alone {
            return Ok(());
        }
        let wanted = match self.expect.matching {
            Matching::Any => "none of",
            Matching::All => "not all of",
            Matching::Exact => "not just",
        };
        let (found, expected) = (self.listed(found), self.listed(expected));
        Err(Failure::Records(bounded(&format!("{found}, {wanted} {expected}"))))
    }

    fn listed(&self, records: &[Box<[u8]>]) -> String {
        let mut texts: Vec<String> =
            records.iter().take(MAX_LISTED).map(|rdata| rdata_text(self.expect.qtype, rdata)).collect();
        // Servers rotate what they answer; the same failure should read the same each time.
        texts.sort();
        match records.len().saturating_sub(MAX_LISTED) {
            0 if texts.is_empty() => format!("no {} record", self.expect.qtype),
            0 => texts.join(" "),
            more => format!("{} and {more} more", texts.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::rdata_from_text;

    fn expecting(records: &[&str], matching: Matching) -> DnsProbe {
        DnsProbe {
            name: None,
            qtype: RrType::A,
            tcp: false,
            recursion: false,
            rcode: 0,
            authoritative: None,
            records: records.iter().map(|text| rdata_from_text(RrType::A, text).unwrap()).collect(),
            empty: false,
            matching,
        }
    }

    fn question(expect: &DnsProbe) -> Question {
        Question::new(0x1234, &"www.example.com".parse().unwrap(), expect)
    }

    /// An answer with these flags, and A records at the name asked for.
    fn answer(question: &Question, flags: u16, addresses: &[[u8; 4]]) -> Vec<u8> {
        let mut bytes = question.bytes().to_vec();
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        bytes[7] = addresses.len() as u8;
        for address in addresses {
            bytes.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04");
            bytes.extend_from_slice(address);
        }
        bytes
    }

    fn failed(reply: &Reply) -> String {
        let Reply::Outcome(outcome) = reply else { panic!("{reply:?}") };
        outcome.to_string()
    }

    #[test]
    fn what_is_not_the_answer_is_passed_over() {
        let question = question(&expecting(&[], Matching::All));
        let good = answer(&question, 0x8400, &[[192, 0, 2, 1]]);
        assert_eq!(question.reply(&good), Reply::Outcome(Outcome::Ok));
        let shouted = good.to_ascii_uppercase();
        assert_eq!(question.reply(&shouted), Reply::Outcome(Outcome::Ok), "case is echoed or not");
        let bent = |at: usize, by: u8| {
            let mut bytes = good.clone();
            bytes[at] ^= by;
            question.reply(&bytes)
        };
        // The id, the QR bit, the opcode, the count of questions, a letter of the name, the type, the class.
        for (at, by) in [(0, 1), (1, 1), (2, 0x80), (2, 0x08), (5, 1), (5, 3), (13, 1), (30, 1), (32, 1)] {
            assert_eq!(bent(at, by), Reply::Foreign, "byte {at}");
        }
        for len in 0..question.bytes().len() {
            assert_eq!(question.reply(&good[..len]), Reply::Foreign, "{len} bytes");
        }
        assert_eq!(bent(2, 0x02), Reply::Truncated);
        // FORMERR may come without the question.
        let bare = b"\x12\x34\x80\x01\0\0\0\0\0\0\0\0";
        assert_eq!(failed(&question.reply(bare)), "answered FORMERR");
    }

    #[test]
    fn code_and_authority_are_held_against_what_is_expected() {
        let any = DnsProbe { empty: true, ..expecting(&[], Matching::All) };
        let check = |expect: &DnsProbe, flags: u16, want: &str| {
            let question = question(expect);
            assert_eq!(failed(&question.reply(&answer(&question, flags, &[]))), want, "{flags:04x}");
        };
        check(&any, 0x8000, "ok");
        check(&any, 0x8002, "answered SERVFAIL");
        check(&any, 0x800f, "answered RCODE15");
        check(&DnsProbe { rcode: 3, ..any.clone() }, 0x8003, "ok");
        check(&DnsProbe { rcode: 3, ..any.clone() }, 0x8000, "answered NOERROR");
        check(&DnsProbe { authoritative: Some(true), ..any.clone() }, 0x8400, "ok");
        check(&DnsProbe { authoritative: Some(true), ..any.clone() }, 0x8000, "DNS: not authoritative");
        check(&DnsProbe { authoritative: Some(false), ..any.clone() }, 0x8400, "DNS: authoritative");
    }

    #[test]
    fn an_answer_without_a_record_is_a_failure_unless_it_may_be_empty() {
        let expect = expecting(&[], Matching::All);
        let check = |expect: &DnsProbe, addresses: &[[u8; 4]], want: &str| {
            let question = question(expect);
            assert_eq!(failed(&question.reply(&answer(&question, 0x8400, addresses))), want);
        };
        check(&expect, &[], "answered no A record");
        check(&expect, &[[192, 0, 2, 1]], "ok");
        check(
            &DnsProbe { qtype: RrType::AAAA, ..expect.clone() },
            &[[192, 0, 2, 1]],
            "answered no AAAA record",
        );
        check(&DnsProbe { empty: true, ..expect.clone() }, &[], "ok");
    }

    #[test]
    fn records_are_held_against_what_is_expected() {
        let (one, two, three) = ([192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 2, 3]);
        let check = |matching, answered: &[[u8; 4]], want: &str| {
            let question = question(&expecting(&["192.0.2.1", "192.0.2.2"], matching));
            let said = failed(&question.reply(&answer(&question, 0x8000, answered)));
            assert_eq!(said, want, "{matching:?} {answered:?}");
        };
        check(Matching::All, &[two, one, three], "ok");
        check(Matching::All, &[two], "answered 192.0.2.2, not all of 192.0.2.1 192.0.2.2");
        check(Matching::Any, &[three, two], "ok");
        check(Matching::Any, &[three], "answered 192.0.2.3, none of 192.0.2.1 192.0.2.2");
        check(Matching::Any, &[], "answered no A record, none of 192.0.2.1 192.0.2.2");
        check(Matching::Exact, &[two, one], "ok");
        check(
            Matching::Exact,
            &[three, two, one],
            "answered 192.0.2.1 192.0.2.2 192.0.2.3, not just 192.0.2.1 192.0.2.2",
        );
    }

    #[test]
    fn a_chain_of_cnames_is_followed_and_other_names_are_not() {
        let expect = expecting(&["192.0.2.1"], Matching::All);
        let question = question(&expect);
        let cname = b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x06\x03LB2\xc0\x10";
        let target = |owner: &[u8]| [owner, b"\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01"].concat();
        let check = |records: &[&[u8]], want: &str| {
            let mut bytes = answer(&question, 0x8000, &[]);
            bytes[7] = records.len() as u8;
            bytes.extend(records.concat());
            assert_eq!(failed(&question.reply(&bytes)), want);
        };
        let (ours, others) = (target(b"\x03lb2\xc0\x10"), target(b"\x03lb9\xc0\x10"));
        check(&[cname, &ours], "ok");
        check(&[&ours, cname], "ok");
        check(&[cname, &others], "answered no A record, not all of 192.0.2.1");
        check(&[&ours], "answered no A record, not all of 192.0.2.1");
        // A circle ends, and a record cut short is no answer.
        let circle = b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x02\xc0\x0c";
        check(&[circle], "answered no A record, not all of 192.0.2.1");
        check(&[cname, &ours[..ours.len() - 1]], "DNS: the answer is broken");
    }
}
