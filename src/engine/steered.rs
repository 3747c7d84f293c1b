//! A service under the current configuration: which checks bear on it, and how its endpoints stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Engine, Watched};
use crate::config::{CheckKey, ProbeTree, Service, Whereto};
use crate::health::{self, Finding, Health};
use crate::policy::{Standing, ruling};
use crate::time::Time;

/// One service of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Steered {
    pub service: Arc<Service>,
    /// For each endpoint, its places.
    pub places: Vec<Vec<Place>>,
    /// How many of its checks have not reported yet.
    pub unreported: usize,
    /// What stands between a start and its first answer.
    pub first: First,
    /// When the hold that runs ends.
    pub hold_until: Option<Time>,
    /// Its place in the configuration: who comes first is served first.
    pub rank: usize,
    /// The next endpoint in order as last told of, and whether it could take over.
    pub standby: Option<(crate::config::SiteId, bool)>,
}

/// How far a service has come since a start that knew of no decision for it.
///
/// ```text
/// Waits ──every check has reported──► Answered
///   └──the first round takes too long──► Overdue ──every check has reported──► Answered
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum First {
    /// It has an answer: by a decision, or from its zone file.
    #[default]
    Answered,
    /// Its name is not answered, as nothing was verified.
    Waits,
    /// It was waited for long enough: it is decided with what is known.
    Overdue,
}

/// One place of an endpoint.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub whereto: Whereto,
    /// In the order of the leaves of the service's probes.
    pub checks: Vec<CheckKey>,
}

impl Steered {
    pub fn new(service: Arc<Service>, rank: usize) -> Steered {
        let place = |whereto: Whereto| {
            let of = |probe: &Arc<_>| CheckKey::of(&service, probe, whereto.clone());
            Place { checks: service.probes.leaves().map(of).collect(), whereto }
        };
        let endpoint =
            |endpoint: &crate::config::Endpoint| endpoint.places().into_iter().map(place).collect();
        let places = service.endpoints.iter().map(endpoint).collect();
        Steered {
            service,
            places,
            unreported: 0,
            first: First::Answered,
            hold_until: None,
            rank,
            standby: None,
        }
    }

    /// Whether it can be decided: every check has reported, or was waited for long enough.
    pub fn is_ripe(&self) -> bool {
        self.unreported == 0 || self.first == First::Overdue
    }

    /// Every check that bears on it, each once.
    pub fn checks(&self) -> BTreeSet<&CheckKey> {
        self.places.iter().flatten().flat_map(|place| &place.checks).collect()
    }
}

impl Engine {
    /// How each endpoint of a service stands.
    pub(super) fn standings(&self, steered: &Steered) -> Vec<Standing> {
        let (service, checks) = (&steered.service, &self.checks);
        let probes = &service.probes;
        let endpoints = service.endpoints.iter().zip(&steered.places);
        let standing = |(endpoint, of): (&crate::config::Endpoint, &Vec<Place>)| {
            let places: Vec<(Whereto, Finding)> =
                of.iter().map(|place| (place.whereto.clone(), place.found(probes, checks))).collect();
            let findings: Vec<Finding> = places.iter().map(|(_, found)| found.clone()).collect();
            let last_known =
                of.iter().zip(&findings).map(|(place, found)| place.last_known(probes, found, checks));
            let last_known: Vec<Health> = last_known.collect();
            Standing {
                site: endpoint.site.clone(),
                found: health::endpoint(&findings),
                places,
                last_known,
                overridden: ruling(&self.overrides, &service.name, &endpoint.site).cloned(),
                maintenance: self.maintenance_of(&service.name, &endpoint.site),
                full: service.moving.shed && self.would_be_over(service, &endpoint.site),
            }
        };
        endpoints.map(standing).collect()
    }
}

impl Place {
    /// What its checks say of it, combined as the service's `probes` say.
    pub fn found(&self, probes: &ProbeTree, checks: &BTreeMap<CheckKey, Watched>) -> Finding {
        // Every check of the configuration is watched.
        let found = |key| checks.get(key).map(Watched::found);
        health::place(probes, &self.checks.iter().map(found).collect::<Vec<_>>())
    }

    /// What samples last said of it, whether they are stale or damped or not.
    fn last_known(
        &self,
        probes: &ProbeTree,
        found: &Finding,
        checks: &BTreeMap<CheckKey, Watched>,
    ) -> Health {
        let watched = || self.checks.iter().filter_map(|key| checks.get(key));
        if watched().all(|watched| watched.found().health == watched.health.found().health) {
            return found.health;
        }
        let found = |key| checks.get(key).map(|watched| watched.health.found());
        health::place(probes, &self.checks.iter().map(found).collect::<Vec<_>>()).health
    }
}
