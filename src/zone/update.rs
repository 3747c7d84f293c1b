//! UPDATE (RFC 2136): from a message to what a zone is to hold.
//!
//! In: the bytes of a message, and the contents of the zone it names. Out: the RRsets that change, or the
//! RCODE that refuses it. Never known here: who asks, what they may do, and where contents come from.
//!
//! ```text
//! bytes ─ read ─► Update ─ check ─► its prerequisites hold ─ changes ─► what it asks for ─ effects ─► RRsets
//!         FORMERR           NXDOMAIN, YXDOMAIN,              FORMERR,     between the two the caller
//!                           NXRRSET, YXRRSET, NOTZONE        NOTZONE      asks who may do what
//! ```

mod effects;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::dns::message::{
    self, CLASS_ANY, CLASS_IN, CLASS_NONE, HEADER_LEN, Malformed, Question, Reader, Section,
};
use crate::dns::rdata::checked_rdata;
use crate::dns::ttl::MAX_TTL;
use crate::dns::{Name, RrType};

pub use effects::effects;
pub use view::{UpdateView, Wanted};

/// The most RRs in one message, prerequisites counted.
pub const MAX_UPDATE_RECORDS: usize = 4_096;

/// Why an update is refused. Each has its RCODE.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// The message cannot be read, or asks for what there is not.
    #[error("{0}")]
    Form(&'static str),
    /// A name lies outside the zone.
    #[error("{0} is not in the zone")]
    NotZone(Name),
    /// A name is to be in use, and is not.
    #[error("a prerequisite is that {0} is in use, but it is not")]
    NxDomain(Name),
    /// A name is not to be in use, and is.
    #[error("a prerequisite is that {0} is not in use, but it is")]
    YxDomain(Name),
    /// An RRset is to be there, or to be like this, and is not.
    #[error("a prerequisite is that {0} has such {1} records, but it has not")]
    NxRrSet(Name, RrType),
    /// An RRset is not to be there, and is.
    #[error("a prerequisite is that {0} has no {1} records, but it has")]
    YxRrSet(Name, RrType),
    /// The zone is none of this server's.
    #[error("{0} is no zone here that takes updates")]
    NotAuth(Name),
    /// It is not allowed.
    #[error("{0}")]
    Refused(String),
    /// It could not be carried out or kept.
    #[error("{0}")]
    Failed(String),
}

impl UpdateError {
    /// The RCODE (RFC 2136 section 2.2).
    pub fn rcode(&self) -> u8 {
        match self {
            UpdateError::Form(_) => 1,
            UpdateError::Failed(_) => 2,
            UpdateError::NxDomain(_) => 3,
            UpdateError::Refused(_) => 5,
            UpdateError::YxDomain(_) => 6,
            UpdateError::YxRrSet(..) => 7,
            UpdateError::NxRrSet(..) => 8,
            UpdateError::NotAuth(_) => 9,
            UpdateError::NotZone(_) => 10,
        }
    }
}

/// A message that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The zone it is for.
    pub zone: Name,
    prerequisites: Vec<Record>,
    updates: Vec<Record>,
}

/// One RR, as it stands in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    owner: Name,
    rtype: RrType,
    class: u16,
    ttl: u32,
    /// Whether there is RDATA at all.
    empty: bool,
    /// `None` where it is not what its type has.
    rdata: Option<Box<[u8]>>,
}

/// One thing an update asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A record comes (RFC 2136 section 2.5.1).
    Add {
        /// The owner.
        owner: Name,
        /// The type.
        rtype: RrType,
        /// Seconds.
        ttl: u32,
        /// In wire form, checked.
        rdata: Box<[u8]>,
    },
    /// An RRset goes (section 2.5.2).
    RemoveSet(Name, RrType),
    /// All RRsets of a name go (section 2.5.3).
    RemoveName(Name),
    /// A record goes (section 2.5.4).
    Remove(Name, RrType, Box<[u8]>),
}

impl Change {
    /// The owner, and the type where it is of one.
    pub fn subject(&self) -> (&Name, Option<RrType>) {
        match self {
            Change::Add { owner, rtype, .. }
            | Change::RemoveSet(owner, rtype)
            | Change::Remove(owner, rtype, _) => (owner, Some(*rtype)),
            Change::RemoveName(owner) => (owner, None),
        }
    }
}

impl Update {
    /// Reads a message whose TSIG, if it had one, is cut off (RFC 2136 section 2).
    pub fn read(message: &[u8]) -> Result<Update, UpdateError> {
        let form = UpdateError::Form;
        let mut reader = Reader::new(message).ok_or(form("the message is shorter than its header"))?;
        let header = reader.header();
        if header.questions() != 1 {
            return Err(form("an update is for one zone"));
        }
        let count = |section| usize::from(header.count(section));
        if count(Section::Answer) + count(Section::Authority) > MAX_UPDATE_RECORDS {
            return Err(form("the message has too many records"));
        }
        let short = form("the message ends within a record");
        let Question { name: zone, rtype, class } = reader.question().ok_or(short.clone())?;
        // RFC 2136 section 2.3; a class that is not ours is no zone of ours.
        if rtype != RrType::SOA {
            return Err(form("the type of the zone section is not SOA"));
        }
        if class != CLASS_IN {
            return Err(UpdateError::NotAuth(zone));
        }
        let (mut prerequisites, mut updates) = (Vec::new(), Vec::new());
        while let Some(found) = reader.record().map_err(|Malformed| short.clone())? {
            let section = found.section;
            let record = Record::of(message, &found).ok_or(short.clone())?;
            match section {
                Section::Answer => prerequisites.push(record),
                Section::Authority => updates.push(record),
                // Glue and OPT; none of it is used, but all of it must be there.
                Section::Additional => {}
            }
        }
        if reader.at() != message.len() {
            return Err(form("something follows the last record"));
        }
        Ok(Update { zone, prerequisites, updates })
    }

    /// The zone section of a message that may be none, for its answer.
    pub fn zone_section(message: &[u8]) -> Option<&[u8]> {
        let mut reader = Reader::new(message).filter(|reader| reader.header().questions() == 1)?;
        reader.question()?;
        message.get(HEADER_LEN..reader.at())
    }

    /// The names it asks about or is to change.
    pub fn names(&self) -> BTreeSet<&Name> {
        self.prerequisites.iter().chain(&self.updates).map(|record| &record.owner).collect()
    }

    /// Whether what comes of it depends on the SOA that is served: its serial is asked about, or is to be moved.
    pub fn depends_on_soa(&self) -> bool {
        let is_soa = |record: &Record| record.rtype == RrType::SOA && record.class == CLASS_IN;
        self.prerequisites
            .iter()
            .chain(&self.updates)
            .any(|record| is_soa(record) && record.owner == self.zone)
    }

    /// Whether its prerequisites hold (RFC 2136 section 3.2).
    pub fn check(&self, view: &UpdateView<'_>) -> Result<(), UpdateError> {
        let form = UpdateError::Form;
        let mut sets: BTreeMap<(&Name, RrType), Vec<Box<[u8]>>> = BTreeMap::new();
        for record in &self.prerequisites {
            let Record { owner, rtype, class, ttl, empty, rdata } = record;
            if *ttl != 0 {
                return Err(form("a prerequisite has a TTL"));
            }
            if !owner.is_at_or_below(&self.zone) {
                return Err(UpdateError::NotZone(owner.clone()));
            }
            if matches!(*class, CLASS_ANY | CLASS_NONE) && !empty {
                return Err(form("a prerequisite of class ANY or NONE has RDATA"));
            }
            let in_use = || !view.types_at(owner).is_empty();
            let there = || view.has(owner, *rtype);
            match (*class, *rtype) {
                (CLASS_ANY, RrType::ANY) if !in_use() => return Err(UpdateError::NxDomain(owner.clone())),
                (CLASS_NONE, RrType::ANY) if in_use() => return Err(UpdateError::YxDomain(owner.clone())),
                (CLASS_ANY | CLASS_NONE, RrType::ANY) => {}
                (_, rtype) if is_meta(rtype) => {
                    return Err(form("a prerequisite has a type that is no data"));
                }
                (CLASS_ANY, rtype) if !there() => return Err(UpdateError::NxRrSet(owner.clone(), rtype)),
                (CLASS_NONE, rtype) if there() => return Err(UpdateError::YxRrSet(owner.clone(), rtype)),
                (CLASS_ANY | CLASS_NONE, _) => {}
                (CLASS_IN, rtype) => {
                    let rdata = rdata.clone().ok_or(form("a prerequisite's RDATA is not of its type"))?;
                    sets.entry((owner, rtype)).or_default().push(rdata);
                }
                _ => return Err(form("a prerequisite has an unknown class")),
            }
        }
        for ((owner, rtype), mut rdata) in sets {
            rdata.sort_unstable();
            rdata.dedup();
            if view.rrset(owner, rtype).is_none_or(|set| set.rdata != rdata) {
                return Err(UpdateError::NxRrSet(owner.clone(), rtype));
            }
        }
        Ok(())
    }

    /// What it asks for (RFC 2136 section 3.4.1).
    pub fn changes(&self) -> Result<Vec<Change>, UpdateError> {
        let form = UpdateError::Form;
        let mut changes = Vec::new();
        for Record { owner, rtype, class, ttl, empty, rdata } in &self.updates {
            if !owner.is_at_or_below(&self.zone) {
                return Err(UpdateError::NotZone(owner.clone()));
            }
            let (owner, rtype, ttl) = (owner.clone(), *rtype, *ttl);
            let any = rtype == RrType::ANY && *class == CLASS_ANY;
            if is_meta(rtype) && !any {
                return Err(form("an update has a type that is no data"));
            }
            let rdata = || rdata.clone().ok_or(form("an update's RDATA is not of its type"));
            if *class == CLASS_IN && owner != self.zone && belongs_to_apex(rtype, &rdata()?) {
                let why =
                    format!("{owner} cannot have {rtype} records: they stand at the apex, {}", self.zone);
                return Err(UpdateError::Refused(why));
            }
            changes.push(match *class {
                CLASS_IN if ttl > MAX_TTL => return Err(form("a TTL is higher than there is")),
                CLASS_IN => Change::Add { owner, rtype, ttl, rdata: rdata()? },
                CLASS_ANY | CLASS_NONE if ttl != 0 => return Err(form("a removal has a TTL")),
                CLASS_ANY if !empty => return Err(form("the removal of an RRset has RDATA")),
                CLASS_ANY if any => Change::RemoveName(owner),
                CLASS_ANY => Change::RemoveSet(owner, rtype),
                CLASS_NONE => Change::Remove(owner, rtype, rdata()?),
                _ => return Err(form("an update has an unknown class")),
            });
        }
        Ok(changes)
    }
}

impl Record {
    /// As it was found.
    fn of(message: &[u8], found: &message::Record<'_>) -> Option<Record> {
        let &message::Record { rtype, class, ttl, .. } = found;
        let rdata = checked_rdata(rtype, message, found.rdata.clone());
        Some(Record { owner: found.owner()?, rtype, class, ttl, empty: found.rdata.is_empty(), rdata })
    }
}

/// Whether a record says something of its zone as a whole, which it can do at the apex alone. An SOA, too, but an
/// update that adds one elsewhere is passed over (RFC 2136 section 3.4.2.2).
fn belongs_to_apex(rtype: RrType, rdata: &[u8]) -> bool {
    match rtype {
        // RFC 5155 section 4, RFC 7344 section 4.1, RFC 7477 section 3, RFC 8976 section 2.
        RrType::NSEC3PARAM | RrType::CDS | RrType::CDNSKEY | RrType::CSYNC | RrType::ZONEMD => true,
        // With the flag that makes it a zone's key (RFC 4034 section 2.1.1).
        RrType::DNSKEY => rdata.first().is_some_and(|flags| flags & 1 != 0),
        _ => false,
    }
}

/// Types of questions and of transactions (RFC 6895 section 3.1), which no zone holds, OPT, and 0.
fn is_meta(rtype: RrType) -> bool {
    matches!(rtype.0, 0 | 128..=255) || rtype == RrType::OPT
}

#[cfg(test)]
mod tests;
