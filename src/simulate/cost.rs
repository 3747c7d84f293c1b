//! What a run's decisions cost, held against what was true.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Decided, Ledger, Truth};
use crate::dns::Name;
use crate::model::{CheckKey, Config, SiteId, Whereto};
use crate::time::Time;

/// A move away from a site that was not really dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FalseFailover {
    /// When.
    pub at: Time,
    /// Of what.
    pub service: Name,
    /// Away from where.
    pub from: SiteId,
    /// How long its checks failed in all, in milliseconds.
    pub failed_ms: u64,
}

/// What it comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Decisions.
    pub decisions: usize,
    /// Those among them that changed the sites of an answer.
    pub switches: usize,
    /// Milliseconds in which an answer named a place that was dead, of all services together.
    pub dead_ms: u64,
    /// Moves away from what was not dead.
    pub false_failovers: Vec<FalseFailover>,
}

impl Cost {
    /// Of the decisions between two moments. What fails for `blip` or longer is dead; what fails for less
    /// was not worth moving away from.
    pub fn of(ledger: &Ledger, truth: &Truth, config: &Config, span: (Time, Time), blip: Duration) -> Cost {
        let places = places(config);
        let mut by_service: BTreeMap<&Name, Vec<&Decided>> = BTreeMap::new();
        for decided in &ledger.decisions {
            by_service.entry(&decided.service).or_default().push(decided);
        }
        let mut cost = Cost::default();
        for (name, decisions) in by_service {
            let Some(places) = places.get(name) else { continue };
            for (index, decided) in decisions.iter().enumerate() {
                let end = decisions.get(index + 1).map_or(truth.end(), |next| next.at).min(span.1);
                let here = (decided.at.max(span.0), end);
                if here.0 < here.1 {
                    let answered: Vec<&CheckKey> = places
                        .iter()
                        .filter(|(site, place, _)| decided.sites.contains(site) && decided.answers(place))
                        .map(|(_, _, key)| key)
                        .collect();
                    cost.dead_ms += millis(truth.dead(&answered, here, blip));
                }
                if decided.at < span.0 || decided.at > span.1 {
                    continue;
                }
                cost.decisions += 1;
                let Some(before) = index.checked_sub(1).map(|index| decisions[index]) else { continue };
                if before.sites == decided.sites {
                    continue;
                }
                cost.switches += 1;
                for left in before.sites.iter().filter(|site| !decided.sites.contains(site)) {
                    let checks: Vec<&CheckKey> =
                        places.iter().filter(|(site, _, _)| site == left).map(|(_, _, key)| key).collect();
                    if let Some(failed) = truth.failing(&checks, decided.at).filter(|failed| *failed < blip) {
                        let (at, service, from) = (decided.at, name.clone(), left.clone());
                        let failed_ms = millis(failed);
                        cost.false_failovers.push(FalseFailover { at, service, from, failed_ms });
                    }
                }
            }
        }
        cost
    }
}

/// Of each service: site, place and check.
fn places(config: &Config) -> BTreeMap<Name, Vec<(SiteId, Whereto, CheckKey)>> {
    let of = |service: &crate::model::Service| {
        let mut places = Vec::new();
        for endpoint in &service.endpoints {
            for place in endpoint.places() {
                for probe in service.probes.leaves() {
                    let key = CheckKey::of(service, probe, place.clone());
                    places.push((endpoint.site.clone(), place.clone(), key));
                }
            }
        }
        (service.name.clone(), places)
    };
    config.services.iter().map(|service| of(service)).collect()
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
