//! Safety rules: a circuit breaker on ourselves. What has moved of late and which site carries what, in;
//! whether one more move would break a rule, out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::steer::ALL;
use super::{Decision, Family, Move, Steer};
use crate::dns::Name;
use crate::model::{Safety, Seconds, Service, SiteId};
use crate::time::Time;

/// What `max_switches_per_hour` looks back over.
pub const HOUR: Duration = Duration::from_secs(3_600);
/// How many of its last moves are kept of each service.
pub const MAX_SWITCHES_KEPT: usize = 64;

/// What has moved within the last hour, moves that an operator ordered aside.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    switches: BTreeSet<(Time, Name)>,
    /// The last move of each service that moved within the window.
    movers: BTreeMap<Name, Time>,
    by_time: BTreeSet<(Time, Name)>,
}

/// What one site carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Services answered from it.
    pub services: usize,
    /// The sum of their loads.
    pub load: u64,
}

/// What each site carries, as decided now.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    each: BTreeMap<SiteId, Carried>,
    changed: BTreeSet<SiteId>,
}

impl Ledger {
    /// Takes note of a move.
    pub fn add(&mut self, at: Time, service: &Name) {
        self.switches.insert((at, service.clone()));
        if let Some(before) = self.movers.insert(service.clone(), at) {
            self.by_time.remove(&(before, service.clone()));
        }
        self.by_time.insert((at, service.clone()));
    }

    /// Forgets what is too old to count.
    fn prune(&mut self, now: Time, window: Duration) {
        let old = |at: Time, span| now.since(at) >= span;
        while self.switches.first().is_some_and(|(at, _)| old(*at, HOUR)) {
            self.switches.pop_first();
        }
        while self.by_time.first().is_some_and(|(at, _)| old(*at, window)) {
            if let Some((_, service)) = self.by_time.pop_first() {
                self.movers.remove(&service);
            }
        }
    }

    /// How many of `total` services `max_share_moved` lets move; at least one.
    pub fn allowed(total: usize, percent: u8) -> usize {
        (total * usize::from(percent) / 100).max(1)
    }

    /// Moves within the last hour, and services that moved within `window`.
    pub fn counts(&self, now: Time, window: Duration) -> (usize, usize) {
        let recent = |at: Time, span| now.since(at) < span;
        let switches = self.switches.iter().rev().take_while(|(at, _)| recent(*at, HOUR)).count();
        let movers = self.by_time.iter().rev().take_while(|(at, _)| recent(*at, window)).count();
        (switches, movers)
    }

    /// The first rule that these services' moving now would break, in words. `tally` is what each site
    /// carries before, `after` what it would carry then; `total` is how many services there are.
    pub fn limit<'a>(
        &mut self,
        now: Time,
        safety: &Safety,
        total: usize,
        movers: impl IntoIterator<Item = &'a Name>,
        in_service: (usize, usize),
    ) -> Option<String> {
        self.prune(now, safety.window);
        let movers: Vec<&Name> = movers.into_iter().collect();
        let (made, more) = (self.switches.len(), movers.len());
        if let Some(max) = safety.max_switches_per_hour.filter(|&max| made + more > max as usize) {
            return Some(format!("max_switches_per_hour: {}", exceeding(made, more, max as usize)));
        }
        let moved = self.movers.len();
        let more = movers.iter().filter(|name| !self.movers.contains_key(**name)).count();
        let allowed = |max| Ledger::allowed(total, max);
        if let Some(max) = safety.max_share_moved.filter(|&max| moved + more > allowed(max)) {
            let (within, text) = (Seconds(safety.window), exceeding(moved, more, allowed(max)));
            return Some(format!("max_share_moved, {max} % of {total} services within {within}: {text}"));
        }
        let (before, after) = in_service;
        let min = safety.min_sites_in_service.filter(|&min| after < min && after < before)?;
        Some(format!(
            "min_sites_in_service: {before} in service; this would leave {after}; the limit is {min}"
        ))
    }
}

/// `1 moved; this would be the second; the limit is 1`
fn exceeding(moved: usize, more: usize, limit: usize) -> String {
    match more {
        0 => format!("{moved} moved; the limit is {limit}"),
        1 => format!("{moved} moved; this would be the {}; the limit is {limit}", ordinal(moved + 1)),
        more => format!("{moved} moved; these {more} would make {}; the limit is {limit}", moved + more),
    }
}

fn ordinal(number: usize) -> String {
    let word = match number {
        1 => "first",
        2 => "second",
        3 => "third",
        4 => "fourth",
        5 => "fifth",
        _ => "",
    };
    let end = match (number % 10, number % 100) {
        _ if !word.is_empty() => return word.to_owned(),
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{end}")
}

impl Tally {
    /// Counts a service in, as decided.
    pub fn add(&mut self, service: &Service, decision: &Decision) {
        for (site, load) in loads(service, decision) {
            let carried = self.each.entry(site.clone()).or_default();
            carried.services += 1;
            carried.load += load;
            self.changed.insert(site);
        }
    }

    /// Counts it out again.
    pub fn remove(&mut self, service: &Service, decision: &Decision) {
        for (site, load) in loads(service, decision) {
            if let Some(carried) = self.each.get_mut(&site) {
                carried.services = carried.services.saturating_sub(1);
                carried.load = carried.load.saturating_sub(load);
                self.changed.insert(site);
            }
        }
    }

    /// Says that these sites are to be looked at again.
    pub fn mark(&mut self, sites: impl IntoIterator<Item = SiteId>) {
        self.changed.extend(sites);
    }

    /// The sites that carry something else than when this was last asked.
    pub fn take_changed(&mut self) -> BTreeSet<SiteId> {
        std::mem::take(&mut self.changed)
    }

    /// What a site carries.
    pub fn of(&self, site: &SiteId) -> Carried {
        self.each.get(site).copied().unwrap_or_default()
    }

    /// How many sites answer for some service, now and after these moves.
    pub fn in_service(&self, moves: &[Move]) -> (usize, usize) {
        let mut services: BTreeMap<&SiteId, i64> = self
            .each
            .iter()
            .map(|(site, carried)| (site, i64::try_from(carried.services).unwrap_or(i64::MAX)))
            .collect();
        let before = services.values().filter(|count| **count > 0).count();
        for moving in moves {
            *services.entry(&moving.from).or_default() -= i64::from(!moving.keeps);
            *services.entry(&moving.to).or_default() += 1;
        }
        (before, services.values().filter(|count| **count > 0).count())
    }
}

/// What a service adds to each site it is answered from: all of its load, or where it shares clients out, the
/// site's part of it. Those who get several sites in one answer are taken to use them alike.
/// While its families are answered from different sites, each is taken to be half of it.
pub fn loads(service: &Service, decision: &Decision) -> Vec<(SiteId, u64)> {
    let load = u64::from(service.moving.load);
    if decision.families.is_empty() {
        return loads_of(service, load, &decision.sites, decision.steer.as_deref());
    }
    let mut loads: BTreeMap<&SiteId, u64> = decision.sites.iter().map(|site| (site, 0)).collect();
    // What does not divide by two is the second one's.
    for (family, half) in Family::BOTH.into_iter().zip([load / 2, load - load / 2]) {
        let (sites, steer) = match decision.part(family) {
            Some(part) => (&part.sites[..], part.steer.as_deref()),
            None => (decision.own_sites(), decision.steer.as_deref()),
        };
        for (site, load) in loads_of(service, half, sites, steer) {
            if let Some(sum) = loads.get_mut(&site) {
                *sum += load;
            }
        }
    }
    loads.into_iter().map(|(site, load)| (site.clone(), load)).collect()
}

fn loads_of(service: &Service, load: u64, sites: &[SiteId], steer: Option<&Steer>) -> Vec<(SiteId, u64)> {
    if service.tree.is_none() {
        return sites.iter().map(|site| (site.clone(), load)).collect();
    }
    let shares = match steer {
        None => vec![(sites, ALL)],
        Some(steer) => {
            let shares = steer.flow(0).shares().into_iter();
            shares.map(|(variant, share)| (&steer.variants[usize::from(variant)].sites[..], share)).collect()
        }
    };
    let of = |site: &SiteId| {
        let parts = shares.iter().filter(|(sites, _)| sites.contains(site));
        parts.map(|(sites, share)| share / sites.len().max(1) as u64).sum::<u64>()
    };
    // A load is below 2^30 and a share at most 2^32: the product fits.
    sites.iter().map(|site| (site.clone(), (load * of(site) + ALL / 2) / ALL)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Name {
        format!("s{number}.example.com").parse().expect("a name")
    }

    fn at(secs: u64) -> Time {
        Time(1_000_000_000 + secs * 1_000)
    }

    #[test]
    fn rules_count_within_their_windows() {
        let safety =
            Safety { max_switches_per_hour: Some(3), max_share_moved: Some(30), ..Safety::default() };
        let mut ledger = Ledger::default();
        let mut broken = |secs, service: usize, moves: bool| {
            let broken = ledger.limit(at(secs), &safety, 10, [&name(service)], (2, 2));
            if moves {
                ledger.add(at(secs), &name(service));
            }
            broken
        };
        assert_eq!(broken(0, 0, true), None);
        assert_eq!(broken(0, 1, true), None);
        assert_eq!(broken(0, 2, true), None, "three in ten are thirty percent");
        let hour = "max_switches_per_hour: 3 moved; this would be the fourth; the limit is 3";
        assert_eq!(broken(0, 3, false).as_deref(), Some(hour));
        assert_eq!(broken(3_599, 3, false).as_deref(), Some(hour));
        assert_eq!(broken(3_600, 3, true), None);

        let safety = Safety { max_switches_per_hour: None, ..safety };
        let mut share = |secs, services: &[usize]| {
            let names: Vec<Name> = services.iter().map(|&number| name(number)).collect();
            ledger.limit(at(secs), &safety, 10, &names, (2, 2))
        };
        assert_eq!(share(3_700, &[3, 4, 5]), None, "who moved already is one of those who did");
        let text =
            "max_share_moved, 30 % of 10 services within 300s: 1 moved; these 3 would make 4; the limit is 3";
        assert_eq!(share(3_700, &[4, 5, 6]).as_deref(), Some(text));
        assert_eq!(share(3_900, &[4, 5, 6]), None);
    }

    #[test]
    fn the_text_of_a_limit_counts_what_has_moved_and_what_would() {
        let safety = Safety { max_share_moved: Some(50), ..Safety::default() };
        let mut ledger = Ledger::default();
        assert_eq!(ledger.limit(at(0), &safety, 3, [&name(0)], (2, 2)), None);
        ledger.add(at(0), &name(0));
        let text = "max_share_moved, 50 % of 3 services within 300s: 1 moved; this would be the second; the limit is 1";
        assert_eq!(ledger.limit(at(1), &safety, 3, [&name(1)], (2, 2)).as_deref(), Some(text));
        let ordinals = [6, 11, 12, 13, 21, 22, 33, 101, 111].map(ordinal);
        assert_eq!(ordinals, ["6th", "11th", "12th", "13th", "21st", "22nd", "33rd", "101st", "111th"]);
    }

    #[test]
    fn one_service_may_always_move() {
        let safety = Safety { max_share_moved: Some(1), ..Safety::default() };
        let mut ledger = Ledger::default();
        assert_eq!(ledger.limit(at(0), &safety, 3, [&name(0)], (2, 1)), None);
        assert!(ledger.limit(at(0), &safety, 3, [&name(0), &name(1)], (2, 1)).is_some());
    }

    #[test]
    fn a_site_too_few_is_one_less_than_before() {
        let safety = Safety { min_sites_in_service: Some(2), ..Safety::default() };
        let limit = |in_service| Ledger::default().limit(at(0), &safety, 9, [&name(0)], in_service);
        assert_eq!(limit((2, 2)), None);
        let text = "min_sites_in_service: 2 in service; this would leave 1; the limit is 2";
        assert_eq!(limit((2, 1)).as_deref(), Some(text));
        assert_eq!(limit((1, 1)), None, "it was no better before");
        assert_eq!(limit((3, 2)), None);
    }
}
