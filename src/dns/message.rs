//! Messages (RFC 1035 section 4.1): the reader and the writer that everything but the answering of plain queries uses.
//!
//! In: bytes from anywhere. Out: a header, questions and records, each only as far as the bytes reach; or, the other way,
//! bytes. A [`Reader`] goes from front to back once, so that no message costs more than its length: names are followed
//! only where somebody asks for one.

use std::ops::Range;

use super::rdata::{name_in_message, rdata_in_message};
use super::{Name, RrType};

/// The length of a header.
pub const HEADER_LEN: usize = 12;
/// The Internet's class.
pub const CLASS_IN: u16 = 1;
/// In an UPDATE: there is no such thing, or it goes (RFC 2136 section 2.4).
pub const CLASS_NONE: u16 = 254;
/// Any class; the class of TSIG (RFC 8945 section 4.2).
pub const CLASS_ANY: u16 = 255;

/// It is a response (QR).
pub const RESPONSE: u16 = 0x8000;
/// Whoever answers has the zone itself (AA).
pub const AUTHORITATIVE: u16 = 0x0400;
/// It did not fit (TC).
pub const TRUNCATED: u16 = 0x0200;
/// Recursion is asked for (RD).
pub const RECURSION: u16 = 0x0100;

/// A plain query.
pub const OPCODE_QUERY: u8 = 0;
/// RFC 1996.
pub const OPCODE_NOTIFY: u8 = 4;
/// RFC 2136.
pub const OPCODE_UPDATE: u8 = 5;

/// What a message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its number.
    pub id: u16,
    /// QR, opcode, AA, TC, RD, RA, and the response code.
    pub flags: u16,
    /// Questions; then the records of each section.
    counts: [u16; 4],
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Answers; the prerequisites of an UPDATE.
    Answer = 1,
    /// Authority; what an UPDATE changes.
    Authority = 2,
    /// Additional.
    Additional = 3,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RrType,
    /// The class.
    pub class: u16,
}

/// A record as it stands in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'m> {
    message: &'m [u8],
    /// Where it begins.
    pub at: usize,
    /// In which section.
    pub section: Section,
    /// The type.
    pub rtype: RrType,
    /// The class.
    pub class: u16,
    /// Seconds, as they stand there.
    pub ttl: u32,
    /// Where its data is.
    pub rdata: Range<usize>,
}

/// Reads a message from front to back.
#[derive(Clone, Debug)]
pub struct Reader<'m> {
    message: &'m [u8],
    header: Header,
    at: usize,
    questions: u16,
    /// How many records were read.
    records: usize,
}

impl Header {
    /// That of a message; `None` where it is shorter.
    pub fn read(message: &[u8]) -> Option<Header> {
        let bytes = message.first_chunk::<HEADER_LEN>()?;
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        Some(Header { id: word(0), flags: word(2), counts: [word(4), word(6), word(8), word(10)] })
    }

    /// Whether it is a response.
    pub fn is_response(self) -> bool {
        self.flags & RESPONSE != 0
    }

    /// Whether it has one of these flags.
    pub fn has(self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// What kind of message it is.
    pub fn opcode(self) -> u8 {
        (self.flags >> 11 & 0xf) as u8
    }

    /// The response code, as far as the header has it.
    pub fn rcode(self) -> u8 {
        (self.flags & 0xf) as u8
    }

    /// How many questions it says that there are.
    pub fn questions(self) -> u16 {
        self.counts[0]
    }

    /// How many records of a section it says that there are.
    pub fn count(self, section: Section) -> u16 {
        self.counts[section as usize]
    }
}

impl Record<'_> {
    /// Whose it is.
    pub fn owner(&self) -> Option<Name> {
        name_in_message(self.message, self.at).map(|(owner, _)| owner)
    }

    /// Its data in wire form with every name spelled out, checked; `None` where it is not what its type has.
    pub fn data(&self) -> Option<Box<[u8]>> {
        rdata_in_message(self.rtype, self.message, self.rdata.clone())
    }

    /// Where it ends.
    pub fn end(&self) -> usize {
        self.rdata.end
    }
}

impl<'m> Reader<'m> {
    /// At the first question; `None` where the message is shorter than its header.
    pub fn new(message: &'m [u8]) -> Option<Reader<'m>> {
        let header = Header::read(message)?;
        Some(Reader { message, header, at: HEADER_LEN, questions: header.questions(), records: 0 })
    }

    /// The header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Whether every record was read.
    pub fn is_done(&self) -> bool {
        self.section().is_none()
    }

    /// Where it has come to.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next question; `None` where there is none, or it cannot be read.
    pub fn question(&mut self) -> Option<Question> {
        self.questions = self.questions.checked_sub(1)?;
        let (name, end) = name_in_message(self.message, self.at)?;
        let [t0, t1, c0, c1] = *self.message.get(end..)?.first_chunk()?;
        self.at = end + 4;
        let (rtype, class) = (RrType(u16::from_be_bytes([t0, t1])), u16::from_be_bytes([c0, c1]));
        Some(Question { name, rtype, class })
    }

    /// The next record, behind whatever questions are left; `None` behind the last one.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the message ends within it, or it cannot be one.
    pub fn record(&mut self) -> Result<Option<Record<'m>>, Malformed> {
        while self.questions > 0 {
            self.at = after_name(self.message, self.at)? + 4;
            self.questions -= 1;
        }
        let Some(section) = self.section() else {
            return if self.at > self.message.len() { Err(Malformed) } else { Ok(None) };
        };
        let at = self.at;
        let fixed = after_name(self.message, at)?;
        let head = self.message.get(fixed..).and_then(<[u8]>::first_chunk::<10>).ok_or(Malformed)?;
        let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let ttl = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let rdata = fixed + 10..fixed + 10 + usize::from(word(8));
        if rdata.end > self.message.len() {
            return Err(Malformed);
        }
        self.at = rdata.end;
        self.records += 1;
        let (rtype, class, message) = (RrType(word(0)), word(2), self.message);
        Ok(Some(Record { message, at, section, rtype, class, ttl, rdata }))
    }

    /// Every record that is left; nothing follows one that cannot be read.
    pub fn records(mut self) -> impl Iterator<Item = Result<Record<'m>, Malformed>> {
        let mut ended = false;
        std::iter::from_fn(move || {
            let next = if ended { None } else { self.record().transpose() };
            ended = !matches!(next, Some(Ok(_)));
            next
        })
    }

    /// The section of the next record.
    fn section(&self) -> Option<Section> {
        let mut before = 0;
        [Section::Answer, Section::Authority, Section::Additional].into_iter().find(|&section| {
            before += usize::from(self.header.count(section));
            self.records < before
        })
    }
}

/// The bytes are no message, or end within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message ends within a record, or has a name that is none")]
pub struct Malformed;

/// Where a name ends, without a look at where it leads.
fn after_name(message: &[u8], mut at: usize) -> Result<usize, Malformed> {
    loop {
        match *message.get(at).ok_or(Malformed)? {
            0 => return Ok(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xc0.. => return Ok(at + 2),
            _ => return Err(Malformed),
        }
    }
}

/// Whether a message has an OPT record (RFC 6891), as far as it can be read.
pub fn has_edns(message: &[u8]) -> bool {
    let records = Reader::new(message).into_iter().flat_map(Reader::records);
    records.map_while(Result::ok).any(|record| record.rtype == RrType::OPT)
}

/// Whose a record is that is written.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'n> {
    /// The first question's name, which it points to.
    Question,
    /// This one, spelled out.
    Name(&'n Name),
    /// The root.
    Root,
}

/// Writes a message.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// One with a header alone.
    pub fn new(id: u16, flags: u16) -> Writer {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&id.to_be_bytes());
        bytes.extend_from_slice(&flags.to_be_bytes());
        bytes.extend_from_slice(&[0; 8]);
        Writer { bytes }
    }

    /// A question for a plain query, NOTIFY or UPDATE, which all of them have one of.
    #[must_use]
    pub fn question(mut self, name: &Name, rtype: RrType) -> Writer {
        self.count(0);
        self.bytes.extend_from_slice(name.as_wire());
        self.bytes.extend_from_slice(&rtype.0.to_be_bytes());
        self.bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
        self
    }

    /// The question of another message, letter for letter.
    #[must_use]
    pub fn question_as_it_is(mut self, question: &[u8]) -> Writer {
        self.count(0);
        self.bytes.extend_from_slice(question);
        self
    }

    /// An OPT record that says how large a UDP message is taken, with these options (RFC 6891 section 6.1.2).
    #[must_use]
    pub fn edns(self, payload: u16, options: &[u8]) -> Writer {
        self.record_of_class(Section::Additional, Owner::Root, (RrType::OPT, payload), 0, options)
    }

    /// A record of class IN. Sections are written in their order.
    #[must_use]
    pub fn record(self, section: Section, owner: Owner<'_>, rtype: RrType, ttl: u32, rdata: &[u8]) -> Writer {
        self.record_of_class(section, owner, (rtype, CLASS_IN), ttl, rdata)
    }

    /// A record of any class. Data that is longer than a record can have (RFC 1035 section 3.2.1) is cut off.
    #[must_use]
    pub fn record_of_class(
        mut self,
        section: Section,
        owner: Owner<'_>,
        (rtype, class): (RrType, u16),
        ttl: u32,
        rdata: &[u8],
    ) -> Writer {
        self.count(section as usize);
        match owner {
            Owner::Question => self.bytes.extend_from_slice(&[0xc0, HEADER_LEN as u8]),
            Owner::Name(name) => self.bytes.extend_from_slice(name.as_wire()),
            Owner::Root => self.bytes.push(0),
        }
        let rdata = &rdata[..rdata.len().min(usize::from(u16::MAX))];
        self.bytes.extend_from_slice(&rtype.0.to_be_bytes());
        self.bytes.extend_from_slice(&class.to_be_bytes());
        self.bytes.extend_from_slice(&ttl.to_be_bytes());
        self.bytes.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(rdata);
        self
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn count(&mut self, section: usize) {
        let at = 4 + 2 * section;
        let count = u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
        self.bytes[at..at + 2].copy_from_slice(&count.saturating_add(1).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    #[test]
    fn a_message_is_read_as_it_was_written_and_no_shorter_one_is() {
        let apex = name("a.test");
        let soa = [&b"\x01a\0\x01b\0"[..], &[0; 20]].concat();
        let message = Writer::new(7, RESPONSE | AUTHORITATIVE)
            .question(&apex, RrType::SOA)
            .record(Section::Answer, Owner::Question, RrType::SOA, 60, &soa)
            .record(Section::Authority, Owner::Name(&name("b.test")), RrType::A, 5, &[192, 0, 2, 1])
            .edns(1232, &[])
            .finish();
        let mut reader = Reader::new(&message).expect("a message");
        let header = reader.header();
        assert_eq!((header.id, header.opcode(), header.rcode()), (7, OPCODE_QUERY, 0));
        assert!(header.is_response() && header.has(AUTHORITATIVE) && !header.has(TRUNCATED));
        let question = Question { name: apex.clone(), rtype: RrType::SOA, class: CLASS_IN };
        assert_eq!((reader.question(), reader.question()), (Some(question), None));
        let records: Vec<_> = reader.records().map(|record| record.expect("a record")).collect();
        let told: Vec<_> = records.iter().map(|it| (it.section, it.owner(), it.rtype, it.ttl)).collect();
        assert_eq!(
            told,
            [
                (Section::Answer, Some(apex), RrType::SOA, 60),
                (Section::Authority, Some(name("b.test")), RrType::A, 5),
                (Section::Additional, Some(name(".")), RrType::OPT, 0),
            ]
        );
        assert_eq!(records[0].data().as_deref(), Some(&soa[..]));
        assert_eq!((records[2].class, records[2].end()), (1232, message.len()));
        assert!(has_edns(&message));
        for len in 0..message.len() {
            let whole = Reader::new(&message[..len]).is_some_and(|it| it.records().all(|it| it.is_ok()));
            assert!(!whole && !has_edns(&message[..len]), "{len} bytes");
        }
    }

    fn names() -> impl Strategy<Value = Name> {
        proptest::sample::select(&["a.test", "b.a.test", ".", "x.y.z.example"][..]).prop_map(name)
    }

    fn sections() -> impl Strategy<Value = Section> {
        proptest::sample::select(&[Section::Answer, Section::Authority, Section::Additional][..])
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            id: u16,
            flags: u16,
            question in names(),
            mut records in proptest::collection::vec(
                (sections(), names(), 1u16..=300, any::<u16>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40)),
                0..12,
            ),
        ) {
            records.sort_by_key(|record| record.0);
            let mut writer = Writer::new(id, flags).question(&question, RrType::SOA);
            for (section, owner, rtype, class, ttl, rdata) in &records {
                let what = (RrType(*rtype), *class);
                writer = writer.record_of_class(*section, Owner::Name(owner), what, *ttl, rdata);
            }
            let message = writer.finish();
            let mut reader = Reader::new(&message).expect("a message");
            prop_assert_eq!((reader.header().id, reader.header().flags), (id, flags));
            prop_assert_eq!(reader.question().map(|it| it.name), Some(question));
            let read: Vec<_> = reader
                .records()
                .map(|record| record.expect("a record"))
                .map(|it| {
                    let owner = it.owner().expect("an owner");
                    (it.section, owner, it.rtype.0, it.class, it.ttl, message[it.rdata.clone()].to_vec())
                })
                .collect();
            prop_assert_eq!(read, records);
        }

        #[test]
        fn whatever_comes_is_read_in_one_pass(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let Some(reader) = Reader::new(&bytes) else { return Ok(()) };
            let mut last = HEADER_LEN;
            for record in reader.records().map_while(Result::ok) {
                prop_assert!(record.at >= last && record.end() <= bytes.len());
                last = record.end();
                // Neither panics.
                let _ = (record.owner(), record.data());
            }
        }
    }
}
