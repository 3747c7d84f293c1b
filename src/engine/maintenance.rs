//! Maintenance windows: which endpoints are in one, and what its end means.
//!
//! In a window samples are taken and healths change as ever; they move nothing. An endpoint in use stays in
//! use, with the records it has; one that is not in use is not returned to (`policy::failover`). Operators'
//! overrides are obeyed as ever. When a window ends, what is Down there is Suspect: a site that is still
//! dead has to show it by `fall` failures, one that is about to come back has that long to do so.

use crate::dns::Name;
use crate::model::{CheckKey, Config, Maintenance, MaintenanceScope, SiteId};
use crate::time::{HostTime, Offset, Time};

use super::{Effect, Engine, MaintenanceView, Steered};

/// How a maintenance stands, in the engine's time: as [`crate::model::Window`] has it in the host's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    until: Option<Time>,
    next: Option<Time>,
}

/// One maintenance of the configuration, as of when it was last looked at.
#[derive(Clone, Debug)]
pub(super) struct Maintained {
    plan: Maintenance,
    window: Window,
}

impl Maintained {
    /// Of a plan, which goes by the host's clock.
    fn of(plan: &Maintenance, now: Time, offset: Offset) -> Maintained {
        let window = plan.window(now.on_host(offset));
        let own = |at: HostTime| at.to_own(offset);
        let window = Window { until: window.until.map(own), next: window.next.map(own) };
        Maintained { plan: plan.clone(), window }
    }

    /// As people are shown it.
    pub(super) fn view(&self) -> MaintenanceView {
        let of = match &self.plan.scope {
            MaintenanceScope::Site(site) => site.to_string(),
            MaintenanceScope::Service(name) => name.to_string(),
        };
        let Window { until, next } = self.window;
        MaintenanceView { of, until, opens: next.filter(|_| until.is_none()) }
    }

    fn covers(&self, service: &Name, site: &SiteId) -> bool {
        match &self.plan.scope {
            MaintenanceScope::Site(maintained) => maintained == site,
            MaintenanceScope::Service(maintained) => maintained == service,
        }
    }

    fn concerns(&self, steered: &Steered) -> bool {
        let service = &steered.service;
        service.endpoints.iter().any(|endpoint| self.covers(&service.name, &endpoint.site))
    }
}

impl Engine {
    /// Until when an endpoint is in maintenance.
    pub(super) fn maintenance_of(&self, service: &Name, site: &SiteId) -> Option<Time> {
        let covering = self.maintained.iter().filter(|maintained| maintained.covers(service, site));
        covering.filter_map(|maintained| maintained.window.until).max()
    }

    /// Takes up the windows of a load.
    pub(super) fn set_maintenance(&mut self, now: Time, config: &Config) {
        let maintained = |plan: &Maintenance| Maintained::of(plan, now, self.offset);
        self.maintained = config.maintenance.iter().map(maintained).collect();
        self.next_window();
    }

    /// Opens and closes windows.
    pub(super) fn maintain(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.agenda.window.is_some_and(|at| at <= now) {
            self.look_at_windows(now, |window| window.next.is_some_and(|next| next <= now), out);
        }
    }

    /// Looks again at some of them.
    pub(super) fn look_at_windows(
        &mut self,
        now: Time,
        wanted: impl Fn(&Window) -> bool,
        out: &mut Vec<Effect>,
    ) {
        let mut maintained = std::mem::take(&mut self.maintained);
        let mut closed = Vec::new();
        for (at, maintained) in maintained.iter_mut().enumerate() {
            if wanted(&maintained.window) {
                let anew = Maintained::of(&maintained.plan, now, self.offset);
                let before = std::mem::replace(maintained, anew).window.until;
                let until = maintained.window.until;
                if before.is_some() && until.is_none() {
                    closed.push(at);
                }
                // Most clocks that are set leave it as closed as it was.
                if before == until {
                    continue;
                }
                for (name, steered) in &self.services {
                    if maintained.concerns(steered) {
                        self.agenda.touch(now, name.clone());
                    }
                }
            }
        }
        self.maintained = maintained;
        for at in closed {
            for key in self.wholly_in(&self.maintained[at]) {
                self.put_on_probation(now, &key, out);
            }
        }
        self.next_window();
    }

    /// The checks that bear on nothing outside this maintenance, nor on what another one still covers.
    fn wholly_in(&self, maintained: &Maintained) -> Vec<CheckKey> {
        let within = |key: &CheckKey, name: &Name| {
            let Some(steered) = self.services.get(name) else { return true };
            let service = &steered.service;
            service.endpoints.iter().zip(&steered.places).all(|(endpoint, places)| {
                !places.iter().any(|place| place.checks.contains(key))
                    || maintained.covers(name, &endpoint.site)
                        && self.maintenance_of(name, &endpoint.site).is_none()
            })
        };
        let checks = self.checks.iter();
        let checks = checks.filter(|(key, watched)| watched.services.iter().all(|name| within(key, name)));
        checks.map(|(key, _)| key.clone()).collect()
    }

    fn next_window(&mut self) {
        self.agenda.window = self.maintained.iter().filter_map(|maintained| maintained.window.next).min();
    }
}
