//! What the engine shows of itself: `status` and `explain`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::families::next_of;
use super::maintenance::Maintained;
use super::service::Place;
use super::{
    CheckView, Doubt, EndpointView, Engine, Explanation, Fall, Pace, PlaceView, PlotView, SavedService,
    ServiceView, SiteView, StandbyView, Status, Steered, ZoneView,
};
use crate::dns::{Name, soa_serial};
use crate::health::Health;
use crate::model::{CheckKey, Site, SiteId};
use crate::policy::{Decision, Latch, Reason, Rule, Scope, Standing};
use crate::time::Time;

/// A status that is read a part at a time, so that a picture of a hundred thousand checks holds up nobody who
/// has something to decide. Each part is as it was when it was read.
#[derive(Debug, Default)]
pub struct Survey {
    services: Vec<ServiceView>,
    checks: Vec<CheckView>,
}

impl Engine {
    /// The whole picture.
    pub fn status(&self, now: Time) -> Status {
        let mut survey = Survey::default();
        loop {
            if let Some(status) = self.read_on(now, &mut survey, usize::MAX) {
                return status;
            }
        }
    }

    /// How many services and checks a status shows.
    pub fn size(&self) -> usize {
        self.services.len() + self.checks.len()
    }

    /// Reads at most so many further services and checks; once there are no more, the whole picture, and the
    /// survey begins anew.
    pub fn read_on(&self, now: Time, survey: &mut Survey, items: usize) -> Option<Status> {
        let Survey { services, checks } = survey;
        // What a load takes away or adds meanwhile is behind the last one read or ahead of it.
        let from = checks.last().map_or(Bound::Unbounded, |last| Bound::Excluded(&last.key));
        let from_service = services.last().map_or(Bound::Unbounded, |last| Bound::Excluded(&last.name));
        let mut room = items;
        if checks.is_empty() {
            let next = self.services.range::<Name, _>((from_service, Bound::Unbounded)).take(room);
            let next: Vec<ServiceView> = next.map(|(_, steered)| self.service(now, steered)).collect();
            room -= next.len();
            services.extend(next);
        }
        let next = self.checks.range::<CheckKey, _>((from, Bound::Unbounded)).take(room);
        let next: Vec<CheckView> =
            next.map(|(key, watched)| watched.view(now, &self.stalls, key, 1)).collect();
        room -= next.len();
        checks.extend(next);
        if room == 0 {
            return None;
        }
        let Survey { services, checks } = std::mem::take(survey);
        Some(Status {
            now,
            sites: self.sites(&services),
            services,
            checks,
            zones: self.zones().collect(),
            overrides: self.overrides.values().cloned().collect(),
            canaries: self.canaries.views(now, &self.stalls).collect(),
            doubt: self.canaries.doubt().cloned(),
            proposals: self.proposals().into_iter().cloned().collect(),
            rules: self.rules(now),
            maintenance: self.maintained.iter().map(Maintained::view).collect(),
        })
    }

    /// Since when and why the vantage abstains; `None` while it is trusted.
    pub fn doubt(&self) -> Option<&Doubt> {
        self.canaries.doubt()
    }

    /// The chain behind one service's answer; `None` for a name that is no service.
    pub fn explain(&self, now: Time, name: &Name) -> Option<Explanation> {
        let steered = self.services.get(name)?;
        let keys = steered.checks().into_iter();
        let checks: Vec<CheckView> = keys
            .filter_map(|key| {
                self.checks.get(key).map(|watched| watched.view(now, &self.stalls, key, usize::MAX))
            })
            .collect();
        Some(Explanation { now, service: self.service(now, steered), checks, next: self.next(now, steered) })
    }

    /// How a service's endpoint at a site came to be Down; `None` where no check of it is.
    pub fn fall(&self, name: &Name, site: &SiteId) -> Option<Fall> {
        let steered = self.services.get(name)?;
        let at = steered.service.endpoints.iter().position(|endpoint| endpoint.site == *site)?;
        let checks = steered.places.get(at)?.iter().flat_map(|place| &place.checks);
        let down = checks.filter_map(|key| self.checks.get(key));
        let down = down.filter(|watched| watched.found().health == Health::Down);
        down.fold(None, |fall: Option<Fall>, watched| {
            let (first, since) = (watched.health.failing_since(), watched.found().since);
            let fall = fall.unwrap_or(Fall { first_failed: first, since });
            let firsts = [fall.first_failed, first];
            Some(Fall { first_failed: firsts.into_iter().flatten().min(), since: fall.since.max(since) })
        })
    }

    /// The last hour of each check of a service, in the order of its endpoints; `None` for a name that is no
    /// service. A check that several of its places share is shown with the first of them.
    pub fn plots(&self, now: Time, name: &Name) -> Option<Vec<PlotView>> {
        let steered = self.services.get(name)?;
        let mut seen = BTreeSet::new();
        let mut plots = Vec::new();
        for (endpoint, places) in steered.service.endpoints.iter().zip(&steered.places) {
            for key in places.iter().flat_map(|place| &place.checks) {
                let Some(watched) = self.checks.get(key).filter(|_| seen.insert(key)) else { continue };
                let (site, buckets) = (endpoint.site.clone(), watched.health.plot().buckets(now));
                plots.push(PlotView { site, check: key.clone(), buckets });
            }
        }
        Some(plots)
    }

    fn sites(&self, services: &[ServiceView]) -> Vec<SiteView> {
        let mut at: BTreeMap<&SiteId, Vec<&EndpointView>> = BTreeMap::new();
        for endpoint in services.iter().flat_map(|service| &service.endpoints) {
            at.entry(&endpoint.site).or_default().push(endpoint);
        }
        let sites = self.config.iter().flat_map(|config| &config.sites);
        sites.map(|site| self.site(site, at.get(&site.id).map_or(&[], Vec::as_slice))).collect()
    }

    fn site(&self, site: &Site, here: &[&EndpointView]) -> SiteView {
        let count = |health| here.iter().filter(|endpoint| endpoint.health == health).count();
        SiteView {
            id: site.id.clone(),
            name: site.name.clone(),
            up: count(Health::Up),
            suspect: count(Health::Suspect),
            down: count(Health::Down),
            unknown: count(Health::Unknown),
            serving: here.iter().filter(|endpoint| endpoint.serving).count(),
            overridden: self.overrides.get(&Scope::Site(site.id.clone())).cloned(),
            load: self.tally.of(&site.id).load,
            capacity: site.capacity,
            location: site.location,
        }
    }

    fn zones(&self) -> impl Iterator<Item = ZoneView> {
        self.zones.iter().map(|(apex, zone)| {
            let file_serial = soa_serial(&zone.soa);
            let serial = self.published.get(apex).map_or(file_serial, |saved| saved.published);
            ZoneView {
                apex: apex.clone(),
                serial,
                file_serial,
                services: zone.services.len(),
                edits: zone.edits,
            }
        })
    }

    fn service(&self, now: Time, steered: &Steered) -> ServiceView {
        let service = &steered.service;
        let saved = self.decided.get(&service.name);
        let decision = saved.map(|saved| &saved.decision);
        let standings = self.standings(now, steered);
        let serving = decision.and_then(|decision| decision.reason.serving.as_ref());
        let standby = steered.standby_of(&standings, serving);
        let tried = standings.iter().any(|standing| standing.stand_ins().next().is_some());
        let endpoints = standings.into_iter().zip(&steered.places);
        let endpoints = endpoints.map(|(standing, places)| endpoint(standing, places, decision));
        let manual = |reason: &Reason| matches!(reason.rule, Rule::Latched { by: Latch::Manual });
        let manual = decision.is_some_and(|decision| decision.reasons().any(manual));
        ServiceView {
            name: service.name.clone(),
            zone: service.zone.clone(),
            policy: service.policy_in_words(),
            probes: service.probes.to_string(),
            serial: self.published.get(&service.zone).map(|zone| zone.published),
            decision: decision.cloned(),
            since: saved.map(|saved| saved.since),
            latched: manual || saved.is_some_and(SavedService::is_latched),
            hold_until: steered.hold_until.filter(|_| !tried && !decision.is_some_and(waits)),
            standby: standby.map(|(site, unready)| StandbyView { site, unready }),
            endpoints: endpoints.collect(),
        }
    }

    /// What can happen next to a service, and when, in words.
    fn next(&self, now: Time, steered: &Steered) -> Vec<String> {
        let name = &steered.service.name;
        let mut next = Vec::new();
        if let Some(doubt) = self.canaries.doubt() {
            next.push(format!("no sample counts until canaries work again: {}", doubt.because));
        }
        if steered.unreported > 0 {
            next.push(format!(
                "{} of its checks have not reported yet; then it is decided",
                steered.unreported
            ));
        }
        let standings = self.standings(now, steered);
        match self.decided.get(name).map(|saved| &saved.decision.reason) {
            Some(reason) => next.extend(next_by_rule(reason, &standings)),
            None => next.push(match self.agenda.first_round.filter(|_| self.waits(name)) {
                Some(until) => format!(
                    "its name is answered SERVFAIL (not ready) until all its checks have reported, or until {until}"
                ),
                None => "until it is decided, the zone file's records are answered".to_owned(),
            }),
        }
        if let Some(saved) = self.decided.get(name) {
            next.extend(next_of(&saved.decision));
        }
        let serving = self.decided.get(name).map(|saved| saved.decision.own_sites());
        if let Some([serving]) = serving
            && steered.service.tree.is_none()
        {
            next.push(self.if_it_fails(now, steered, &standings, serving));
        }
        next.extend(self.next_of_checks(steered));
        let expiries = standings.iter().filter_map(|standing| standing.overridden.as_ref());
        for forced in expiries {
            if let Some(until) = forced.until {
                let line = format!("the {} on {} runs out at {until}", forced.kind, forced.scope);
                if !next.contains(&line) {
                    next.push(line);
                }
            }
        }
        next
    }

    fn next_of_checks<'a>(&'a self, steered: &'a Steered) -> impl Iterator<Item = String> + 'a {
        steered.checks().into_iter().filter_map(|key| {
            let watched = self.checks.get(key)?;
            let ahead = watched.health.ahead(watched.probe.thresholds)?;
            let every = match watched.pace() {
                Pace::Normal => watched.probe.interval,
                Pace::Confirm => watched.probe.confirm,
            };
            Some(format!("{key} runs every {every:?}: {ahead}"))
        })
    }
}

/// What the rule that chose lets happen next.
fn next_by_rule(reason: &Reason, standings: &[Standing]) -> Vec<String> {
    let one = |text: String| vec![text];
    let used_again =
        |back: &SiteId, until: &Time| format!("{back} is used again at {until}, if it stays Up until then");
    match (&reason.rule, &reason.serving) {
        (Rule::Holding { back, until }, _) => one(used_again(back, until)),
        (Rule::Latched { .. }, _) => {
            one("`detour failback` returns it to the first in order that is Up".to_owned())
        }
        (Rule::AllDown { .. } | Rule::Unverified { .. } | Rule::Damped | Rule::Unproven, _) | (_, None) => {
            let unknown = standings.iter().find(|standing| standing.is_unknown());
            let unknown = unknown.filter(|_| matches!(reason.rule, Rule::AllDown { .. }));
            let unknown = unknown.map(|unknown| {
                format!("{}, which is Unknown, is used if what is Down fails once more", unknown.site)
            });
            let first = "the first endpoint to be Up is used at once".to_owned();
            std::iter::once(first).chain(unknown).collect()
        }
        (Rule::Delayed { to, until }, _) => {
            one(format!("at {until} it moves to {to}, unless it works again until then"))
        }
        (Rule::Proposed { to, proposal, .. }, _) => {
            one(format!("`detour approve {proposal}` moves it to {to}, `detour reject {proposal}` does not"))
        }
        (Rule::Rejected { to, proposal, .. }, _) => {
            one(format!("`detour approve {proposal}` moves it to {to} all the same"))
        }
        (Rule::Stepping { back, next, at, .. }, _) => vec![
            format!("{back} gets {next} % of the clients at {at}, if it stays Up until then"),
            format!("should {back} not be Up, all clients leave it at once"),
        ],
        (Rule::Steered { notes, .. }, _) => {
            let next = notes.iter().map(|(_, rule)| match rule {
                Rule::Holding { back, until } => used_again(back, until),
                Rule::Unproven => "the first endpoint to be Up is used at once".to_owned(),
                _ => "`detour failback` returns to what is preferred and Up".to_owned(),
            });
            next.collect()
        }
        (Rule::InOrder, Some(_)) => Vec::new(),
    }
}

/// Whether a decision waits for something else than a hold to end.
fn waits(decision: &Decision) -> bool {
    let waits = |rule: &Rule| {
        matches!(
            rule,
            Rule::Delayed { .. } | Rule::Proposed { .. } | Rule::Rejected { .. } | Rule::Stepping { .. }
        )
    };
    decision.reasons().any(|reason| waits(&reason.rule))
}

fn endpoint(standing: Standing, places: &[Place], decision: Option<&Decision>) -> EndpointView {
    let serving = decision.is_some_and(|decision| decision.sites.contains(&standing.site));
    let unproven = standing.is_eligible() && !standing.is_proven();
    let views = standing.places.into_iter().zip(places).map(|((whereto, found), place)| PlaceView {
        serving: serving && decision.is_some_and(|decision| decision.answers(&whereto)),
        place: whereto,
        health: found.health,
        because: found.because,
        checks: place.checks.clone(),
    });
    let places = views.collect();
    EndpointView {
        site: standing.site,
        health: standing.found.health,
        unproven,
        since: Some(standing.found.since).filter(|since| *since > Time(0)),
        serving,
        overridden: standing.overridden,
        maintenance: standing.maintenance,
        places,
    }
}
