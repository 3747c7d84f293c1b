//! Routes: whose doing it is that this host has no route to an endpoint's network.
//!
//! A run that finds no route says nothing by itself. The site may be gone from the routing tables, or this host may
//! have lost its uplink. What the other checks find decides it:
//!
//! - Another address answered in a run that began after the first run without a route: the way to this endpoint
//!   is gone, and the run counts as a failure. Addresses of the other family are no evidence: a host without
//!   IPv6 must not withdraw everybody's IPv6 addresses.
//! - No check works: it is this vantage that is cut off, which is a vantage fault ([`super::canary`]).
//! - Neither is known yet: the run stays discarded.

use std::net::IpAddr;

use super::Watched;
use crate::health::{Discard, Failure, Outcome, Sample};
use crate::model::Whereto;
use crate::time::Time;

/// Kinds of places whose routes have nothing to do with each other: IPv4, IPv6, and names, whose family is not known.
const FAMILIES: usize = 3;
/// Addresses of a family that are remembered to have answered: the question is whether another one did.
const REMEMBERED: usize = 2;

/// What the last run of a check says of the way there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// There was no run yet.
    #[default]
    Silent,
    /// The endpoint did what was expected.
    Works,
    /// No route; the first of such runs in a row began then.
    NoRoute(Time),
    /// Something else is wrong.
    Other,
}

/// What the last runs of all checks say of the ways to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes {
    /// For each family the last addresses that answered, and when those runs began; the newest first.
    answered: [[Option<(Whereto, Time)>; REMEMBERED]; FAMILIES],
    silent: usize,
    working: usize,
    without_route: usize,
    checks: usize,
}

fn family(place: &Whereto) -> usize {
    match place {
        Whereto::Addr(IpAddr::V4(_)) => 0,
        Whereto::Addr(IpAddr::V6(_)) => 1,
        Whereto::Name(_) => 2,
    }
}

impl Routes {
    /// Takes in what a run of a check found, whose way was `before`. A run without a route becomes a failure where
    /// another address is reachable.
    pub fn judge(&mut self, before: Way, sample: &mut Sample) -> Way {
        let place = &sample.check.whereto;
        let began = sample.at - sample.latency;
        let way = match &sample.outcome {
            Outcome::Ok => {
                self.note_answer(place, began);
                Way::Works
            }
            Outcome::Discarded(Discard::NoRoute) => {
                self.forget(place);
                let since = if let Way::NoRoute(since) = before { since } else { began };
                if let Some(other) = self.another(place, since) {
                    let why = format!("no route to its network, though {other} is reachable");
                    sample.outcome = Outcome::Failed(Failure::Unreachable(why));
                }
                Way::NoRoute(since)
            }
            // The process stood still, which says nothing of any way.
            Outcome::Discarded(Discard::Stalled(_)) if before != Way::Silent => before,
            Outcome::Discarded(_) | Outcome::Failed(_) => Way::Other,
        };
        if let Some(count) = self.count(before) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.count(way) {
            *count += 1;
        }
        way
    }

    /// Counts anew, as the checks changed.
    pub fn recount<'a>(&mut self, all: impl Iterator<Item = &'a Watched>) {
        (self.silent, self.working, self.without_route, self.checks) = (0, 0, 0, 0);
        for watched in all {
            self.checks += 1;
            if let Some(count) = self.count(watched.way) {
                *count += 1;
            }
        }
    }

    /// Why this vantage is cut off, where it is.
    pub fn verdict(&self) -> Option<String> {
        let cut_off = self.without_route > 0 && self.working == 0 && self.silent == 0;
        let (lost, all) = (self.without_route, self.checks);
        cut_off.then(|| format!("no check works; {lost} of {all} find no route to the endpoint's network"))
    }

    fn count(&mut self, way: Way) -> Option<&mut usize> {
        match way {
            Way::Silent => Some(&mut self.silent),
            Way::Works => Some(&mut self.working),
            Way::NoRoute(_) => Some(&mut self.without_route),
            Way::Other => None,
        }
    }

    fn note_answer(&mut self, place: &Whereto, began: Time) {
        let [newest, second] = &mut self.answered[family(place)];
        if newest.as_ref().is_none_or(|(known, _)| known != place) {
            *second = newest.take();
            *newest = Some((place.clone(), began));
        } else if let Some((_, known)) = newest {
            *known = began.max(*known);
        }
    }

    fn forget(&mut self, place: &Whereto) {
        for slot in &mut self.answered[family(place)] {
            slot.take_if(|(known, _)| known == place);
        }
    }

    /// Another place that answered in a run that began at `since` or later.
    fn another(&self, place: &Whereto, since: Time) -> Option<String> {
        let own = family(place);
        // Whatever answers shows that there is a way from here for a name, which may have addresses of either family.
        let families = self.answered.iter().enumerate().filter(|(at, _)| *at == own || own == 2);
        let mut found = families.flat_map(|(_, slots)| slots).flatten();
        found.find(|(other, began)| other != place && *began >= since).map(|(other, _)| match other {
            Whereto::Addr(address) => address.to_string(),
            Whereto::Name(name) => name.to_string(),
        })
    }
}
