//! What is allowed and probably not meant, seen only once all sections are read: names that nothing uses, a service
//! that has nothing to fail over to. And what no section can see alone: CNAMEs of services that lead to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::advice::Advice;
use super::document::Draft;
use super::error::ConfigError;
use super::report::Findings;
use super::services::DraftService;
use crate::dns::{Name, has_hints, hints};
use crate::model::{AllDown, Endpoint, Service, Target, may_be_empty};

/// The most names of a ring that a message lists.
const MAX_RING: usize = 8;

/// Looks at a configuration without errors.
pub(super) fn look(draft: &Draft, negative_ttls: &BTreeMap<Name, u32>, findings: &mut Findings) {
    unused(draft, findings);
    let mut told = BTreeSet::new();
    let mut last = None;
    for DraftService { service, endpoints_at, ttl_at, name_at, .. } in &draft.services {
        let Service { name, zone, ttl, .. } = &**service;
        let ttl = Duration::from_secs((*ttl).into());
        let negative = negative_ttls.get(zone).map(|secs| Duration::from_secs((*secs).into()));
        if let Some(negative) = negative.filter(|negative| *negative > ttl)
            && may_be_empty(service)
            && told.insert(zone)
        {
            let advice = Advice::NegativeTtl { zone: zone.clone(), service: name.clone(), negative, ttl };
            findings.push(name_at, ConfigError::Advice(advice));
        }
        // All names of one [[service]] have these in common.
        if last.replace(endpoints_at.start) == Some(endpoints_at.start) {
            continue;
        }
        if let Some(at) = ttl_at {
            findings.push(at, ConfigError::Advice(Advice::NoTtl(name.clone())));
        }
        if let [_] = service.endpoints[..]
            && !matches!(service.all_down, AllDown::Fallback(_))
        {
            findings.push(endpoints_at, ConfigError::Advice(Advice::OneEndpoint(name.clone())));
        }
        for endpoint in &service.endpoints {
            let own = endpoint.records.iter().filter(|(rtype, _)| has_hints(*rtype));
            if own.filter_map(|(_, rdata)| hints(rdata)).any(|(_, addresses)| !addresses.is_empty()) {
                findings
                    .push(endpoints_at, ConfigError::Advice(Advice::FixedHints(endpoint.site.to_string())));
            }
        }
        let mut targets: BTreeMap<&Name, &Endpoint> = BTreeMap::new();
        for endpoint in &service.endpoints {
            let Target::Cname(target) = &endpoint.target else { continue };
            if let Some(first) = targets.insert(target, endpoint) {
                let [first, second] = [first, endpoint].map(|endpoint| endpoint.site.to_string());
                let advice = Advice::CnameAtTwoSites { target: target.clone(), first, second };
                findings.push(endpoints_at, ConfigError::Advice(advice));
            }
        }
    }
}

/// Sites without an endpoint, and probes that nobody asks by.
fn unused(draft: &Draft, findings: &mut Findings) {
    let services = || draft.services.iter().map(|draft| &draft.service);
    let sites: BTreeSet<&str> =
        services().flat_map(|service| &service.endpoints).map(|endpoint| &*endpoint.site).collect();
    for (site, at) in draft.sites.places() {
        if !sites.contains(&**site) {
            findings.push(at, ConfigError::Advice(Advice::UnusedSite(site.to_string())));
        }
    }
    let canaries = draft.vantage.iter().flat_map(|vantage| &vantage.canaries).map(|canary| &*canary.probe.id);
    let leaves = services().flat_map(|service| service.probes.leaves()).map(|probe| &*probe.id);
    let probes: BTreeSet<&str> = leaves.chain(canaries).collect();
    for (probe, at) in draft.probes.places() {
        if !probes.contains(&**probe) {
            findings.push(at, ConfigError::Advice(Advice::UnusedProbe(probe.to_string())));
        }
    }
}

/// Reports services whose CNAME targets are services and can lead back to them: once each endpoint on the way is
/// the one in use, no client gets an address (RFC 1034 section 3.6.2).
pub(super) fn rings(services: &[DraftService], findings: &mut Findings) {
    let targets = |service: &'_ Service| -> Vec<Name> {
        let of = |endpoint: &Endpoint| match &endpoint.target {
            Target::Cname(target) => Some(target.clone()),
            Target::Addresses { .. } => None,
        };
        service.endpoints.iter().filter_map(of).collect()
    };
    let leads: BTreeMap<&Name, (&DraftService, Vec<Name>)> = services
        .iter()
        .map(|draft| (&draft.service.name, (draft, targets(&draft.service))))
        .filter(|(_, (_, targets))| !targets.is_empty())
        .collect();
    let mut done: BTreeSet<&Name> = BTreeSet::new();
    for start in leads.keys() {
        // The way from `start` to where it is now, and at each step the next target to follow.
        let mut way: Vec<(&Name, usize)> = vec![(start, 0)];
        while let Some((here, next)) = way.last_mut() {
            let here = *here;
            let target = (!done.contains(here)).then(|| leads.get(here)?.1.get(*next)).flatten();
            let Some(target) = target else {
                done.insert(here);
                way.pop();
                continue;
            };
            *next += 1;
            let Some((known, _)) = leads.get_key_value(target) else { continue };
            let Some(from) = way.iter().position(|(name, _)| name == known) else {
                way.push((known, 0));
                continue;
            };
            // One that leads to itself has been reported where it stands.
            if way.len() - from > 1 {
                let mut names: Vec<String> =
                    way[from..].iter().take(MAX_RING).map(|(name, _)| text(name)).collect();
                if way.len() - from > MAX_RING {
                    names.push("…".to_owned());
                }
                names.push(text(known));
                findings.push(&leads[known].0.name_at, ConfigError::CnameRing(names.join(" → ")));
            }
        }
    }
}

fn text(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}
