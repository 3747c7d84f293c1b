//! The record sets a choice answers with.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::endpoint::Standing;
use super::reason::LastResort;
use super::situation::Situation;
use super::steer::Steer;
use crate::dns::{self, Name, RrSet, RrType, has_hints};
use crate::model::{AllDown, Endpoint, Service, SiteId, Target, Whereto};

/// The records of these endpoints, each given with its place in order, of the places that are answered.
pub(super) fn of(service: &Service, ttl: u32, endpoints: &[(usize, &Standing)]) -> Vec<RrSet> {
    let mut addresses = Vec::new();
    for &(at, standing) in endpoints {
        let before = standing.stand_ins();
        for place in standing.answered().map(|(place, _)| place).chain(before) {
            match place {
                Whereto::Addr(address) => addresses.push(*address),
                Whereto::Name(text) => {
                    // A CNAME stands alone at its owner (RFC 1034 section 3.6.2).
                    let target = match (text.parse(), &service.endpoints[at].target) {
                        (Ok(target), _) => target,
                        (Err(_), Target::Cname(target)) => target.clone(),
                        (Err(_), Target::Addresses { .. }) => continue,
                    };
                    return vec![RrSet::cname(service.name.clone(), ttl, &target)];
                }
            }
        }
    }
    let mut sets = of_addresses(&service.name, ttl, &addresses);
    add_own(&mut sets, service, ttl, endpoints.iter().map(|&(at, _)| &service.endpoints[at]));
    sets
}

/// Adds the records that endpoints have beside their addresses.
fn add_own<'a>(
    sets: &mut Vec<RrSet>,
    service: &Service,
    ttl: u32,
    endpoints: impl Iterator<Item = &'a Endpoint>,
) {
    let mut own: BTreeMap<RrType, Vec<Box<[u8]>>> = BTreeMap::new();
    for (rtype, rdata) in endpoints.flat_map(|endpoint| &endpoint.records) {
        own.entry(*rtype).or_default().push(rdata.clone());
    }
    let owner = &service.name;
    sets.extend(own.into_iter().map(|(rtype, rdata)| RrSet::new(owner.clone(), rtype, ttl, rdata)));
}

/// Gives open hints the addresses among these records of one name.
pub(super) fn close_hints(sets: &mut [RrSet]) {
    if sets.iter().any(|set| has_hints(set.rtype)) {
        let (v4, v6) = addresses(sets);
        close_with(sets, &v4, &v6);
    }
}

fn addresses(sets: &[RrSet]) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
    let of = |rtype| sets.iter().filter(move |set| set.rtype == rtype).flat_map(|set| &set.rdata);
    let v4 = of(RrType::A).filter_map(|rdata| Some(Ipv4Addr::from(*rdata.first_chunk::<4>()?)));
    let v6 = of(RrType::AAAA).filter_map(|rdata| Some(Ipv6Addr::from(*rdata.first_chunk::<16>()?)));
    (v4.collect(), v6.collect())
}

fn close_with(sets: &mut [RrSet], v4: &[Ipv4Addr], v6: &[Ipv6Addr]) {
    for set in sets.iter_mut().filter(|set| has_hints(set.rtype)) {
        let closed = |rdata: &[u8]| dns::close_hints(rdata, v4, v6).unwrap_or_else(|| rdata.into());
        let rdata: Vec<Box<[u8]>> = set.rdata.iter().map(|rdata| closed(rdata)).collect();
        *set = RrSet::new(set.owner.clone(), set.rtype, set.ttl, rdata);
    }
}

/// What depended on the client goes on doing so, with this TTL, where the last answer is kept.
pub(super) fn kept_steer(situation: &Situation, ttl: u32) -> Option<Box<Steer>> {
    let mut steer = situation.last?.steer.clone()?;
    let map = situation.regions.map(|regions| &regions.id);
    if steer.clients.is_some() && steer.clients.as_ref() != map {
        return None;
    }
    for set in steer.variants.iter_mut().flat_map(|variant| &mut variant.records) {
        set.ttl = ttl;
    }
    Some(steer)
}

fn of_addresses(owner: &Name, ttl: u32, addresses: &[IpAddr]) -> Vec<RrSet> {
    let v4 = addresses.iter().filter_map(|addr| if let IpAddr::V4(v4) = addr { Some(*v4) } else { None });
    let v6 = addresses.iter().filter_map(|addr| if let IpAddr::V6(v6) = addr { Some(*v6) } else { None });
    let sets = [RrSet::a(owner.clone(), ttl, v4), RrSet::aaaa(owner.clone(), ttl, v6)];
    sets.into_iter().filter(|set| !set.rdata.is_empty()).collect()
}

/// What is answered when no endpoint is eligible, and what it was in the end: `keep` becomes `primary`
/// where there is nothing to keep. Never empty but for [`AllDown::Empty`].
pub(super) fn last_resort(
    situation: &Situation,
    asked: LastResort,
    ttl: u32,
) -> (Vec<SiteId>, Vec<RrSet>, LastResort) {
    let (service, standings) = (situation.service, situation.standings);
    match (asked, &service.all_down) {
        (LastResort::Empty, _) => (Vec::new(), Vec::new(), asked),
        (LastResort::Fallback, AllDown::Fallback(addresses)) => {
            (Vec::new(), of_addresses(&service.name, ttl, addresses), asked)
        }
        (LastResort::All, _) => {
            let endpoints = all(service, standings);
            let sites = endpoints.iter().map(|(_, standing)| standing.site.clone()).collect();
            (sites, of(service, ttl, &endpoints), asked)
        }
        (LastResort::Keep, _) => match kept(situation, ttl).or_else(|| renewed(situation, ttl)) {
            Some((sites, records)) => (sites, records, asked),
            None => primary(service, standings, ttl),
        },
        (LastResort::Primary | LastResort::Fallback, _) => primary(service, standings, ttl),
    }
}

/// The first endpoint that is not drained, or the first where all are.
fn primary(service: &Service, standings: &[Standing], ttl: u32) -> (Vec<SiteId>, Vec<RrSet>, LastResort) {
    let at = standings.iter().zip(&service.endpoints).position(|it| !is_drained(it)).unwrap_or(0);
    let standing = &standings[at];
    (vec![standing.site.clone()], of(service, ttl, &[(at, standing)]), LastResort::Primary)
}

/// Every endpoint that is not drained, or every one where all are. A CNAME stands alone at its owner
/// (RFC 1034 section 3.6.2), so as soon as one endpoint has a CNAME, the first alone is answered.
fn all<'a>(service: &Service, standings: &'a [Standing]) -> Vec<(usize, &'a Standing)> {
    let drained = |at: usize| is_drained((&standings[at], &service.endpoints[at]));
    let undrained = (0..standings.len()).any(|at| !drained(at));
    let mut all: Vec<_> =
        standings.iter().enumerate().filter(|&(at, _)| !undrained || !drained(at)).collect();
    if all.iter().any(|&(at, _)| matches!(service.endpoints[at].target, Target::Cname(_))) {
        all.truncate(1);
    }
    all
}

/// Whether it must not be answered with even as a last resort: by an operator, or a weight of zero.
fn is_drained((standing, endpoint): (&Standing, &Endpoint)) -> bool {
    standing.is_drained() || endpoint.weight == 0 || standing.is_absent()
}

/// The last answer with nothing changed but its TTL, whatever the configuration has by now.
pub(super) fn last(situation: &Situation, ttl: u32) -> Option<Vec<RrSet>> {
    let records = &situation.last?.records;
    (!records.is_empty()).then(|| records.iter().map(|set| RrSet { ttl, ..set.clone() }).collect())
}

/// The last answer with nothing changed but its TTL, if the configuration still has all of it.
pub(super) fn kept(situation: &Situation, ttl: u32) -> Option<(Vec<SiteId>, Vec<RrSet>)> {
    let last = situation.last?;
    let sites = last.own_sites();
    // What is decided of one family by itself is kept by itself.
    let own = |set: &&RrSet| last.families.iter().all(|part| part.family.rtype() != set.rtype);
    let records: Vec<&RrSet> = last.records.iter().filter(own).collect();
    let named = |endpoint: &&Endpoint| sites.contains(&endpoint.site);
    let endpoints: Vec<&Endpoint> = situation.service.endpoints.iter().filter(named).collect();
    if sites.is_empty() || endpoints.len() != sites.len() || records.is_empty() {
        return None;
    }
    let mut configured: Vec<RrSet> = whole(situation.service, &endpoints);
    // What was answered had its hints closed by the addresses that were answered.
    let (v4, v6) = addresses(&last.records);
    close_with(&mut configured, &v4, &v6);
    let still = |set: &&RrSet| {
        let same = configured.iter().find(|have| have.rtype == set.rtype);
        same.is_some_and(|have| set.rdata.iter().all(|rdata| have.rdata.contains(rdata)))
    };
    if !records.iter().all(still) {
        return None;
    }
    let records = records.into_iter().map(|set| RrSet { ttl, ..set.clone() }).collect();
    Some((sites.to_vec(), records))
}

/// The endpoints that were answered last, as the configuration has them by now: a reload in an outage is no reason to
/// send people to another endpoint that does not work.
fn renewed(situation: &Situation, ttl: u32) -> Option<(Vec<SiteId>, Vec<RrSet>)> {
    let last = situation.last.filter(|last| last.steer.is_none())?;
    let (service, sites) = (situation.service, last.own_sites());
    let all = situation.standings.iter().zip(&service.endpoints).enumerate();
    let same = all.filter(|(_, it)| sites.contains(&it.0.site) && !is_drained(*it));
    let endpoints: Vec<(usize, &Standing)> = same.map(|(at, (standing, _))| (at, standing)).collect();
    let is_whole = !sites.is_empty() && endpoints.len() == sites.len();
    is_whole.then(|| (sites.to_vec(), of(service, ttl, &endpoints)))
}

/// Every record these endpoints could be answered with, whatever their health.
fn whole(service: &Service, endpoints: &[&Endpoint]) -> Vec<RrSet> {
    let mut sets = Vec::new();
    let mut addresses = Vec::new();
    for endpoint in endpoints {
        match &endpoint.target {
            Target::Cname(target) => sets.push(RrSet::cname(service.name.clone(), 0, target)),
            Target::Addresses { v4, v6 } => {
                addresses.extend(v4.iter().copied().map(IpAddr::V4));
                addresses.extend(v6.iter().copied().map(IpAddr::V6));
            }
        }
    }
    sets.extend(of_addresses(&service.name, 0, &addresses));
    add_own(&mut sets, service, 0, endpoints.iter().copied());
    sets
}
