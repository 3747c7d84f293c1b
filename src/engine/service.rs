//! A service under the current configuration: which checks bear on it, and how its endpoints stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Engine, Watched};
use crate::health::{self, Finding, Health};
use crate::model::{CheckKey, ProbeTree, Service, SiteId, Whereto};
use crate::policy::{Decision, Earlier, Noted, Standing, ruling};
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
    pub standby: Option<(SiteId, bool)>,
    /// What endpoints in use were answered with until a reload gave them checks of which none has passed yet, by
    /// their place in order.
    pub earlier: BTreeMap<usize, Earlier>,
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
        let endpoint = |endpoint: &crate::model::Endpoint| endpoint.places().into_iter().map(place).collect();
        let places = service.endpoints.iter().map(endpoint).collect();
        let (unreported, hold_until, standby, earlier) = (0, None, None, BTreeMap::new());
        let first = First::Answered;
        Steered { service, places, unreported, first, hold_until, rank, standby, earlier }
    }

    /// What endpoints in use were answered with that `after` has other checks for, where it worked as far as was
    /// known: it is answered until `until` at most.
    pub fn earlier_of(&self, after: &Steered, last: &Decision, until: Time) -> BTreeMap<usize, Earlier> {
        let worked = |site: &SiteId| {
            let noted = last.reason.endpoints.iter().find(|noted| noted.site == *site);
            last.sites.contains(site) && noted.is_some_and(Noted::worked)
        };
        let mut earlier = BTreeMap::new();
        for (at, endpoint) in after.service.endpoints.iter().enumerate() {
            let site = &endpoint.site;
            let before = self.service.endpoints.iter().position(|before| before.site == *site);
            let Some(before) = before.filter(|_| worked(site)) else { continue };
            let places = self.places[before].iter().map(|place| &place.whereto);
            let kept = self.earlier.get(&before).into_iter().flat_map(|earlier| &earlier.places);
            let answered: BTreeSet<&Whereto> =
                places.chain(kept).filter(|place| last.answers(place)).collect();
            if !answered.is_empty() {
                let places = answered.into_iter().cloned().collect();
                earlier.insert(at, Earlier { places, until });
            }
        }
        earlier
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
    pub(super) fn standings(&self, now: Time, steered: &Steered) -> Vec<Standing> {
        let (service, checks) = (&steered.service, &self.checks);
        let probes = &service.probes;
        let endpoints = service.endpoints.iter().zip(&steered.places).enumerate();
        let standing = |(at, (endpoint, of)): (usize, (&crate::model::Endpoint, &Vec<Place>))| {
            let places: Vec<(Whereto, Finding)> =
                of.iter().map(|place| (place.whereto.clone(), place.found(probes, checks))).collect();
            let findings: Vec<Finding> = places.iter().map(|(_, found)| found.clone()).collect();
            let last_known =
                of.iter().zip(&findings).map(|(place, found)| place.last_known(probes, found, checks));
            let last_known: Vec<Health> = last_known.collect();
            let found = health::endpoint(&findings);
            let earlier = steered.earlier.get(&at).filter(|earlier| earlier.until > now);
            Standing {
                site: endpoint.site.clone(),
                places,
                last_known,
                passed: of.iter().map(|place| place.has_passed(probes, checks)).collect(),
                earlier: earlier.cloned(),
                confirmed: found.health == Health::Down && of.iter().all(|place| place.is_confirmed(checks)),
                found,
                overridden: ruling(&self.overrides, &service.name, &endpoint.site).cloned(),
                maintenance: self.maintenance_of(&service.name, &endpoint.site),
                full: service.moving.shed && self.would_be_over(service, &endpoint.site),
            }
        };
        let last = self.decided.get(&service.name).map(|last| &last.decision);
        steered.joined(endpoints.map(standing).collect(), last)
    }
}

impl Place {
    /// What its checks say of it, combined as the service's `probes` say.
    pub fn found(&self, probes: &ProbeTree, checks: &BTreeMap<CheckKey, Watched>) -> Finding {
        // Every check of the configuration is watched.
        let found = |key| checks.get(key).map(Watched::found);
        health::place(probes, &self.checks.iter().map(found).collect::<Vec<_>>())
    }

    /// Whether enough of its checks have passed once each.
    fn has_passed(&self, probes: &ProbeTree, checks: &BTreeMap<CheckKey, Watched>) -> bool {
        let passed = |key| checks.get(key).is_some_and(|watched| watched.health.has_passed());
        if self.checks.iter().all(passed) {
            return true;
        }
        let up = Finding { health: Health::Up, ..Finding::default() };
        let found = self.checks.iter().map(|key| passed(key).then_some(&up));
        health::place(probes, &found.collect::<Vec<_>>()).health == Health::Up
    }

    /// Whether each of its checks that is Down has failed once more since.
    fn is_confirmed(&self, checks: &BTreeMap<CheckKey, Watched>) -> bool {
        let down = self.checks.iter().filter_map(|key| checks.get(key));
        let mut down = down.filter(|watched| watched.health.found().health == Health::Down);
        down.all(|watched| watched.health.is_confirmed())
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
