//! What was decided, in order.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::StudyError;
use crate::dns::{Name, RrType};
use crate::engine::{Effect, Happened};
use crate::model::{SiteId, Whereto};
use crate::policy::Decision;
use crate::time::Time;

/// The most decisions a ledger holds.
pub const MAX_DECISIONS: usize = 1_000_000;

/// How far apart two decisions may be that are the same: the host was busy, or late to wake the engine.
pub const SAME: Duration = Duration::from_secs(2);

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// When.
    pub at: Time,
    /// Of what.
    pub service: Name,
    /// Which sites are answered.
    pub sites: Vec<SiteId>,
    /// Which addresses; a CNAME's target is its site's one place.
    pub addresses: Vec<IpAddr>,
    /// Why, and with which TTL.
    pub text: String,
}

/// The decisions of one run through a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// In order.
    pub decisions: Vec<Decided>,
    /// Samples that were taken up.
    pub samples: u64,
    /// Commands that were refused.
    pub refused: u64,
    full: bool,
}

impl Ledger {
    /// Takes note of an effect.
    pub fn note(&mut self, at: Time, effect: &Effect) {
        match effect {
            Effect::Record(Happened::Decision(decision)) => {
                self.full |= self.decisions.len() >= MAX_DECISIONS;
                if !self.full {
                    self.decisions.push(Decided::of(at, decision));
                }
            }
            Effect::Record(Happened::Sample(_)) => self.samples += 1,
            Effect::Refused(_) => self.refused += 1,
            _ => {}
        }
    }

    /// Whether it holds all there was.
    pub fn check(&self) -> Result<(), StudyError> {
        if self.full { Err(StudyError::TooMuch(MAX_DECISIONS, "decisions")) } else { Ok(()) }
    }

    /// What is in one and not in the other, in the order of time: `true` stands for what is in `other`. The
    /// same decision no more than [`SAME`] apart is no difference.
    pub fn difference<'a>(&'a self, other: &'a Ledger) -> Vec<(bool, &'a Decided)> {
        let mut others: BTreeMap<&Name, VecDeque<&Decided>> = BTreeMap::new();
        for decided in &other.decisions {
            others.entry(&decided.service).or_default().push_back(decided);
        }
        let mut different = Vec::new();
        for mine in &self.decisions {
            let theirs = others.entry(&mine.service).or_default();
            let near = theirs.iter().take_while(|their| their.at <= mine.at + SAME);
            match near.into_iter().position(|their| their.is_same(mine)) {
                Some(at) => {
                    // Those before it have no counterpart: decisions come in order on both sides.
                    different.extend(theirs.drain(..at).map(|their| (true, their)));
                    theirs.pop_front();
                }
                None => different.push((false, mine)),
            }
        }
        different.extend(others.into_values().flatten().map(|their| (true, their)));
        different.sort_by_key(|(_, decided)| decided.at);
        different
    }
}

impl Decided {
    fn of(at: Time, decision: &Decision) -> Decided {
        let addresses = decision.records.iter().flat_map(|set| {
            set.rdata.iter().filter_map(|rdata| match set.rtype {
                RrType::A => <[u8; 4]>::try_from(&**rdata).ok().map(IpAddr::from),
                RrType::AAAA => <[u8; 16]>::try_from(&**rdata).ok().map(IpAddr::from),
                _ => None,
            })
        });
        Decided {
            at,
            service: decision.service.clone(),
            sites: decision.sites.clone(),
            addresses: addresses.collect(),
            text: format!("TTL {}: {}", decision.ttl, decision.because()),
        }
    }

    fn is_same(&self, other: &Decided) -> bool {
        let near = self.at.since(other.at).max(other.at.since(self.at)) <= SAME;
        near && self.sites == other.sites && self.addresses == other.addresses && self.text == other.text
    }

    /// Whether a place of one of its sites is answered.
    pub fn answers(&self, place: &Whereto) -> bool {
        match place {
            Whereto::Addr(address) => self.addresses.contains(address),
            Whereto::Name(_) => true,
        }
    }
}
