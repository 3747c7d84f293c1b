//! A transfer: messages in, the zone's new content out (RFC 5936 section 2.2, RFC 1995 section 4). No socket,
//! no clock.
//!
//! ```text
//!   AXFR   SOA, every other record, SOA
//!   IXFR   SOA, then for each step: old SOA, what goes, new SOA, what comes; at last the SOA again
//!          or as AXFR, or the SOA alone: nothing is newer
//! ```
//!
//! What comes out was checked as a zone file is. A whole zone is one, and its text is its content. Of steps the names
//! that they touch are checked, and what else is held is looked at nowhere.

use std::sync::Arc;

use super::client::{Answer, BadMessage, Record};
use super::content::{BadTransfer, push, read};
use super::steps::Touched;
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};
use crate::zone::{MAX_RECORDS, Steps, Zone};

/// The most bytes of messages that one transfer takes.
pub const MAX_TRANSFER_BYTES: usize = 512 << 20;
/// So many records are read in no time.
const SHORT: usize = 100;

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
    /// The whole zone.
    Whole {
        /// Its content.
        zone: Arc<Zone>,
        /// The same as a zone file.
        text: String,
    },
    /// Steps from what was had before.
    Steps {
        /// What they lead to.
        zone: Arc<Zone>,
        /// What they begin with.
        from: Arc<Zone>,
        /// What they come to, all of them taken together.
        steps: Steps,
    },
}

impl Received {
    /// The zone as it is then, where it is another one.
    pub fn zone(&self) -> Option<&Arc<Zone>> {
        match self {
            Received::Current => None,
            Received::Whole { zone, .. } | Received::Steps { zone, .. } => Some(zone),
        }
    }
}

/// A transfer on its way.
#[derive(Debug)]
pub struct Transfer {
    zone: Name,
    id: u16,
    /// What is asked for: IXFR where something is had already.
    have: Option<Arc<Zone>>,
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

impl Transfer {
    /// A transfer of `zone` in answer to a question under this id: an incremental one from `have` on, or the
    /// whole zone.
    pub fn new(zone: Name, id: u16, have: Option<Arc<Zone>>) -> Transfer {
        let state = State::Begin;
        Transfer { zone, id, have, first: None, state, messages: 0, bytes: 0, records: 0 }
    }

    /// What is asked for.
    pub fn qtype(&self) -> RrType {
        if self.have.is_some() { RrType::IXFR } else { RrType::AXFR }
    }

    /// What is had already, for the question.
    pub fn have(&self) -> Option<RrSet> {
        self.have.as_ref().map(|have| have.soa())
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
                let old = self.have.as_ref().map(|have| have.serial());
                if serial.is_some() && serial == old && old != Some(soa_serial(first)) {
                    State::Removing(Touched::default())
                } else {
                    full(String::new(), &record, soa.as_ref(), first)?
                }
            }
            State::Full(text) => full(text, &record, soa.as_ref(), first)?,
            State::Removing(mut touched) => match serial {
                Some(to) => State::Adding(touched, to),
                None => {
                    touched.remove(self.have.as_deref(), &record)?;
                    State::Removing(touched)
                }
            },
            State::Adding(mut touched, to) => match serial {
                None => {
                    touched.add(self.have.as_deref(), record)?;
                    State::Adding(touched, to)
                }
                Some(last) if last == to && to == soa_serial(first) => State::Ended(Ended::Steps(touched)),
                Some(from) if from == to => State::Removing(touched),
                Some(other) => return Err(BadTransfer::StraySoa(other)),
            },
            State::Begin | State::Ended(_) => return Err(BadTransfer::AfterEnd),
        };
        Ok(())
    }

    /// Whether what came is soon read.
    pub(super) fn is_short(&self) -> bool {
        self.records <= SHORT
    }

    /// What came of it, once it is [`Progress::Done`].
    pub fn finish(self) -> Result<Received, BadTransfer> {
        let State::Ended(ended) = self.state else { return Err(BadMessage::Malformed.into()) };
        match (ended, self.have, self.first) {
            (Ended::Full(text), _, _) => {
                let zone = Arc::new(read(&self.zone, text.as_bytes())?);
                Ok(Received::Whole { zone, text })
            }
            (Ended::Steps(touched), Some(from), Some(soa)) => {
                let (zone, steps) = touched.finish(&from, &soa)?;
                Ok(Received::Steps { zone: Arc::new(zone), from, steps })
            }
            (Ended::Current | Ended::Steps(_), _, _) => Ok(Received::Current),
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
