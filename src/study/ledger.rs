//! What was decided, in order.

use std::net::IpAddr;

use super::StudyError;
use crate::config::{SiteId, Whereto};
use crate::engine::{Effect, Happened};
use crate::policy::Decision;
use crate::time::Time;
use crate::zone::{Name, RrType};

/// The most decisions a ledger holds.
pub const MAX_DECISIONS: usize = 1_000_000;

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

    /// What is in one and not in the other, in the order of time: `true` stands for what is in `other`.
    pub fn difference<'a>(&'a self, other: &'a Ledger) -> Vec<(bool, &'a Decided)> {
        let mut different = Vec::new();
        let key = |decided: &Decided| (decided.at, decided.service.clone());
        let sorted = |ledger: &'a Ledger| {
            let mut all: Vec<&Decided> = ledger.decisions.iter().collect();
            all.sort_by_key(|decided| key(decided));
            all
        };
        let (mine, others) = (sorted(self), sorted(other));
        let (mut i, mut j) = (0, 0);
        while i < mine.len() || j < others.len() {
            match (mine.get(i), others.get(j)) {
                (Some(a), Some(b)) if a == b => (i, j) = (i + 1, j + 1),
                (Some(a), Some(b)) if key(a) <= key(b) => {
                    different.push((false, *a));
                    i += 1;
                }
                (Some(a), None) => {
                    different.push((false, *a));
                    i += 1;
                }
                (_, Some(b)) => {
                    different.push((true, *b));
                    j += 1;
                }
                (None, None) => break,
            }
        }
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
            text: format!("TTL {}: {}", decision.ttl, decision.reason),
        }
    }

    /// Whether a place of one of its sites is answered.
    pub fn answers(&self, place: &Whereto) -> bool {
        match place {
            Whereto::Addr(address) => self.addresses.contains(address),
            Whereto::Name(_) => true,
        }
    }
}
