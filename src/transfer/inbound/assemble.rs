//! A transfer: messages in, the zone's new content out (RFC 5936 section 2.2, RFC 1995 section 4). No socket,
//! no clock.
//!
//! ```text
//!   AXFR   SOA, every other record, SOA
//!   IXFR   SOA, then for each step: old SOA, what goes, new SOA, what comes; at last the SOA again
//!          or as AXFR, or the SOA alone: nothing is newer
//! ```
//!
//! What comes out was checked as a zone file is: it is one, and [`Received::text`] is its content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::client::{Answer, BadMessage, Record};
use crate::dns::{Name, RrSet, RrType, Serial, rdata_text, soa_serial};
use crate::zone::{MAX_RECORDS, Severity, Zone, parse};

/// The most bytes of messages that one transfer takes.
pub const MAX_TRANSFER_BYTES: usize = 512 << 20;
/// The most bytes of text a transferred zone takes, as much as a zone file may have.
const MAX_TEXT: usize = 1 << 30;

/// Why a transfer is of no use; what was had before goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTransfer {
    /// One of its messages.
    #[error("it sent {0}")]
    Message(#[from] BadMessage),
    /// It does not begin with the zone's SOA.
    #[error("its first record is {0}, not the zone's SOA")]
    NoSoa(String),
    /// An SOA that belongs to no form of transfer.
    #[error("an SOA of serial {0} stands where none belongs")]
    StraySoa(Serial),
    /// Something after the end.
    #[error("records follow its last one")]
    AfterEnd,
    /// A record of another zone.
    #[error("{0} does not lie in the zone")]
    OutOfZone(Name),
    /// A step takes away what is not there.
    #[error("a step takes away {0}, which is not there")]
    NotThere(String),
    /// It never ends, or is too large.
    #[error("it has more than {0}")]
    TooLarge(&'static str),
    /// Read as a zone file, the content has errors.
    #[error("the zone has errors: {0}")]
    Zone(String),
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is.
    More,
    /// That was all.
    Done,
}

/// What came of a transfer.
#[derive(Debug)]
pub enum Received {
    /// The primary has nothing newer.
    Current,
    /// The zone.
    Zone {
        /// Its content.
        zone: Box<Zone>,
        /// The same as a zone file.
        text: String,
        /// Whether it came as steps from what was had before.
        incremental: bool,
    },
}

/// A transfer on its way.
#[derive(Debug)]
pub struct Transfer {
    zone: Name,
    id: u16,
    /// What is asked for: IXFR where something is had already.
    have: Option<Zone>,
    /// The first SOA, once it came.
    first: Option<RrSet>,
    state: State,
    messages: usize,
    bytes: usize,
    records: usize,
}

#[derive(Debug)]
enum State {
    /// The first record.
    Begin,
    /// The second, which shows the form.
    Second,
    /// Every record, as text.
    Full(String),
    /// A step: what goes.
    Removing(Touched),
    /// A step: what comes, up to this serial.
    Adding(Touched, Serial),
    Ended(Ended),
}

#[derive(Debug)]
enum Ended {
    Current,
    Full(String),
    Steps(Touched),
}

/// The RRsets that steps change, as they are so far.
type Touched = BTreeMap<(Name, RrType), (u32, BTreeSet<Box<[u8]>>)>;

impl Transfer {
    /// A transfer of `zone` in answer to a question under this id: an incremental one from `have` on, or the
    /// whole zone.
    pub fn new(zone: Name, id: u16, have: Option<Zone>) -> Transfer {
        let state = State::Begin;
        Transfer { zone, id, have, first: None, state, messages: 0, bytes: 0, records: 0 }
    }

    /// What is asked for.
    pub fn qtype(&self) -> RrType {
        if self.have.is_some() { RrType::IXFR } else { RrType::AXFR }
    }

    /// What is had already, for the question.
    pub fn have(&self) -> Option<RrSet> {
        self.have.as_ref().map(Zone::soa)
    }

    /// Takes the next message, its signature checked and taken off.
    pub fn take(&mut self, message: &[u8]) -> Result<Progress, BadTransfer> {
        self.bytes += message.len();
        if self.bytes > MAX_TRANSFER_BYTES {
            return Err(BadTransfer::TooLarge("512 MiB"));
        }
        let answer = Answer::read(message, self.id, &self.zone, self.qtype(), self.messages == 0)?;
        self.messages += 1;
        let before = self.records;
        for record in answer.records() {
            self.records += 1;
            if self.records > MAX_RECORDS {
                return Err(BadTransfer::TooLarge("a zone's records"));
            }
            self.take_record(record?)?;
        }
        if self.records == before {
            // Nothing but empty messages would be endless.
            return Err(BadMessage::Malformed.into());
        }
        // The SOA alone: nothing is newer, whatever its serial is.
        if self.records == 1 && self.have.is_some() && self.is_current() {
            self.state = State::Ended(Ended::Current);
        }
        Ok(if matches!(self.state, State::Ended(_)) { Progress::Done } else { Progress::More })
    }

    /// Whether the first SOA is not after the one that is had.
    fn is_current(&self) -> bool {
        let new = self.first.as_ref().map(soa_serial);
        new.zip(self.have.as_ref()).is_some_and(|(new, have)| !new.is_after(have.serial()))
    }

    fn take_record(&mut self, record: Record) -> Result<(), BadTransfer> {
        if !record.owner.is_at_or_below(&self.zone) {
            return Err(BadTransfer::OutOfZone(record.owner));
        }
        let soa = (record.rtype == RrType::SOA && record.owner == self.zone)
            .then(|| RrSet::new(record.owner.clone(), RrType::SOA, record.ttl, [record.rdata.clone()]));
        let Some(first) = &self.first else {
            let none = || BadTransfer::NoSoa(format!("{} {}", record.owner, record.rtype));
            self.first = Some(soa.ok_or_else(none)?);
            self.state = State::Second;
            return Ok(());
        };
        let serial = soa.as_ref().map(soa_serial);
        self.state = match std::mem::replace(&mut self.state, State::Begin) {
            State::Second => {
                let old = self.have.as_ref().map(Zone::serial);
                if serial.is_some() && serial == old && old != Some(soa_serial(first)) {
                    State::Removing(Touched::new())
                } else {
                    full(String::new(), &record, soa.as_ref(), first)?
                }
            }
            State::Full(text) => full(text, &record, soa.as_ref(), first)?,
            State::Removing(touched) => match serial {
                Some(to) => State::Adding(touched, to),
                None => State::Removing(self.removed(touched, &record)?),
            },
            State::Adding(touched, to) => match serial {
                None => State::Adding(self.added(touched, record), to),
                Some(last) if last == to && to == soa_serial(first) => State::Ended(Ended::Steps(touched)),
                Some(from) if from == to => State::Removing(touched),
                Some(other) => return Err(BadTransfer::StraySoa(other)),
            },
            State::Begin | State::Ended(_) => return Err(BadTransfer::AfterEnd),
        };
        Ok(())
    }

    fn removed(&self, mut touched: Touched, record: &Record) -> Result<Touched, BadTransfer> {
        let (_, held) = self.touch(&mut touched, record);
        if held.remove(&record.rdata) {
            return Ok(touched);
        }
        Err(BadTransfer::NotThere(format!("{} {}", record.owner, record.rtype)))
    }

    fn added(&self, mut touched: Touched, record: Record) -> Touched {
        let (ttl, held) = self.touch(&mut touched, &record);
        // All records of a set have one (RFC 2181 section 5.2), and the new ones tell it.
        *ttl = record.ttl;
        held.insert(record.rdata);
        touched
    }

    /// A record's RRset as it is so far.
    fn touch<'t>(&self, touched: &'t mut Touched, record: &Record) -> &'t mut (u32, BTreeSet<Box<[u8]>>) {
        touched.entry((record.owner.clone(), record.rtype)).or_insert_with(|| {
            let held = self.have.as_ref().and_then(|have| have.rrset(&record.owner, record.rtype));
            held.map_or((record.ttl, BTreeSet::new()), |set| (set.ttl, set.rdata.into_iter().collect()))
        })
    }

    /// What came of it, once it is [`Progress::Done`].
    pub fn finish(self) -> Result<Received, BadTransfer> {
        let State::Ended(ended) = self.state else { return Err(BadMessage::Malformed.into()) };
        let (text, incremental) = match ended {
            Ended::Current => return Ok(Received::Current),
            Ended::Full(text) => (text, false),
            Ended::Steps(touched) => (after_steps(self.first.as_ref(), self.have.as_ref(), &touched)?, true),
        };
        drop(self.have);
        let file = format!("transfer of {}", self.zone);
        let mut no_includes = |_: &str| Err("a transfer includes nothing".to_owned());
        match parse(&self.zone, &file, text.as_bytes(), &mut no_includes) {
            Ok((zone, _)) => Ok(Received::Zone { zone: Box::new(zone), text, incremental }),
            Err(problems) => {
                let first = problems.into_iter().find(|problem| problem.severity == Severity::Error);
                Err(BadTransfer::Zone(first.map(|problem| problem.message).unwrap_or_default()))
            }
        }
    }
}

/// The next record of a whole zone.
fn full(mut text: String, record: &Record, soa: Option<&RrSet>, first: &RrSet) -> Result<State, BadTransfer> {
    match soa {
        // The end is the beginning again, or the zone changed on the way (RFC 5936 section 2.2).
        Some(last) if last.rdata == first.rdata => {
            push(&mut text, &first.owner, RrType::SOA, first.ttl, &last.rdata[0])?;
            Ok(State::Ended(Ended::Full(text)))
        }
        Some(other) => Err(BadTransfer::StraySoa(soa_serial(other))),
        None => {
            push(&mut text, &record.owner, record.rtype, record.ttl, &record.rdata)?;
            Ok(State::Full(text))
        }
    }
}

/// The content that steps lead to, as text.
fn after_steps(first: Option<&RrSet>, have: Option<&Zone>, touched: &Touched) -> Result<String, BadTransfer> {
    let mut text = String::new();
    if let Some(soa) = first {
        push(&mut text, &soa.owner, RrType::SOA, soa.ttl, &soa.rdata[0])?;
    }
    for set in have.into_iter().flat_map(Zone::rrsets).filter(|set| set.rtype != RrType::SOA) {
        // Every owner of a zone is a name.
        let owner = Name::from_wire(set.owner).map_err(|_| BadMessage::Malformed)?;
        if !touched.contains_key(&(owner.clone(), set.rtype)) {
            for rdata in set.rdata() {
                push(&mut text, &owner, set.rtype, set.ttl, rdata)?;
            }
        }
    }
    for ((owner, rtype), (ttl, rdata)) in touched {
        for rdata in rdata {
            push(&mut text, owner, *rtype, *ttl, rdata)?;
        }
    }
    Ok(text)
}

fn push(text: &mut String, owner: &Name, rtype: RrType, ttl: u32, rdata: &[u8]) -> Result<(), BadTransfer> {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{owner} {ttl} IN {rtype} {}", rdata_text(rtype, rdata));
    if text.len() > MAX_TEXT { Err(BadTransfer::TooLarge("1 GiB of text")) } else { Ok(()) }
}
