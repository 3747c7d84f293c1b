//! The engine: `step(now, Event) -> Vec<Effect>`. Composes health, policy and zone. Pure and
//! deterministic: the same events give the same effects.
//!
//! In: an [`Event`] (a load, a sample, a command, a tick) and the time. Out: [`Effect`]s, in the order
//! they are to be carried out. This room must never know how samples are made, where state is kept, how
//! a table is published, or what time it is but by `now`.
//!
//! ```text
//! Sample ──► Watched ── health changed ──► dirty ──┐ at most COALESCE later
//! Command ─► overrides, orders ────────────────────┤ at once
//! Canary ──► doubt: samples count for nothing ──────┤
//! No route ► a failure, or doubt where nothing works ┤
//! Clock ───► maintenance windows, which go by the host's clock
//! Stalled ─► whatever is waited for is waited for that much longer
//! Tick ────► holds and overrides that ran out ─────┤ at once
//!            checks without samples, damping ───────┤ as a change of health
//!                                                   ▼
//!                                                 flush: decide each dirty service, then one
//!                                                 Changeset and one serial for each zone
//! Load ────► everything matched by key, all services decided, one Rebase of all zones
//! Contents ► a load of these zones alone: nothing decided, one Rebase of all zones
//! ```
//!
//! # The first round
//!
//! A service is decided only when each of its checks has reported: one sample, counted or discarded, or
//! a health kept from an earlier run. Until then one that has a decision keeps it. One that has none, and comes
//! by a reload, answers with what its zone file holds, or with what its name answered before; at a start
//! its name waits: there is nothing verified to answer with. What still waits when the start's
//! first round has taken long enough ([`Undecided::wait`]) is decided with what is known then.
//! [`Engine::pending_first_round`] says how many services have no decision yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::condition::Conditions;
use crate::dns::{Name, RrSet};
use crate::model::{Check, CheckKey, Config, SiteId};
use crate::policy::{Ledger, Override, Regions, Scope, Tally};
use crate::time::{Offset, Stalls, Time, by_host};

mod ahead;
mod approval;
mod audit;
mod canary;
mod check;
mod clock;
mod commands;
mod conditions;
mod decide;
mod display;
mod doubt;
mod event;
mod families;
mod load;
mod maintenance;
mod part;
mod partial;
mod refusals;
mod report;
mod routes;
mod saved;
mod service;
mod stalls;
mod status;
mod tables;
mod target;
mod timers;
mod zones;

use canary::Canaries;
use check::Watched;
use maintenance::Maintained;
use routes::Routes;
use service::{First, Steered};
use tables::Tables;
use timers::Agenda;
use zones::ZoneState;

pub use audit::Audit;
pub use conditions::{DeadSite, conditions_of, dead_site, forced_up_though_down, lost_families};
pub use doubt::Doubt;
pub use event::{
    ALWAYS_REPLACED, Action, AtServices, Bearing, Cause, Command, CommandError, Effect, Event, Happened,
    Load, MAX_BEARING, MAX_REMOVED, Pace, Undecided, ZoneBase, services_by_zone,
};

pub use load::Earlier;
pub use report::Survey;
pub use saved::{Saved, SavedCheck, SavedKey, SavedService, SavedZone, clock_of};
pub use status::{
    CheckView, EndpointView, Explanation, Fall, MaintenanceView, PlaceView, PlotView, RuleView, ServiceView,
    SiteView, StandbyView, Status, ZoneView,
};

pub use target::{meant, scope_of};

/// How long a change of health may wait for others, so that a dead site is one changeset for each zone.
pub const COALESCE: Duration = Duration::from_millis(20);
/// How many overrides may be in force.
pub const MAX_OVERRIDES: usize = 10_000;

/// Everything the engine knows. What must outlive the process leaves it as [`Effect::Save`].
#[derive(Clone, Debug)]
pub struct Engine {
    /// How many vantages must agree that a check is Down.
    quorum: usize,
    config: Option<Arc<Config>>,

    // Made from the configuration at each load.
    checks: BTreeMap<CheckKey, Watched>,
    services: BTreeMap<Name, Steered>,
    zones: BTreeMap<Name, ZoneState>,
    canaries: Canaries,
    routes: Routes,
    maintained: Vec<Maintained>,
    /// Which endpoints the clients of services prefer.
    regions: BTreeMap<Name, Arc<Regions>>,
    tables: Tables,
    /// What each site carries, by the decisions.
    tally: Tally,
    /// The services that pass over a site that is full, by the sites they have.
    shedding: BTreeMap<SiteId, BTreeSet<Name>>,
    /// What is wrong now.
    conditions: Conditions,
    /// What names that came to be steered by a reload go on to answer until their first decision.
    held_answers: BTreeMap<Name, Vec<RrSet>>,

    // What outlives the process.
    decided: BTreeMap<Name, SavedService>,
    published: BTreeMap<Name, SavedZone>,
    overrides: BTreeMap<Scope, Override>,
    /// What an earlier run found of checks, until the first load takes it up.
    restored: BTreeMap<CheckKey, SavedCheck>,
    last_decision: u64,
    /// What moved of late.
    ledger: Ledger,

    agenda: Agenda,
    /// When this process recently stood still.
    stalls: Stalls,
    /// How far the host's clock is ahead of `now`.
    offset: Offset,
}

impl Engine {
    /// An engine that goes on from `saved`: everything ever saved, the last value of each key. A check
    /// is Down when `quorum` vantages say so; a single node is a quorum of one. The first event is a
    /// [`Event::Load`]; before it, samples are ignored and commands refused.
    pub fn new(quorum: usize, saved: Vec<Saved>) -> Engine {
        let mut engine = Engine {
            quorum,
            config: None,
            checks: BTreeMap::new(),
            services: BTreeMap::new(),
            zones: BTreeMap::new(),
            canaries: Canaries::default(),
            routes: Routes::default(),
            maintained: Vec::new(),
            regions: BTreeMap::new(),
            tables: Tables::default(),
            tally: Tally::default(),
            shedding: BTreeMap::new(),
            conditions: Conditions::default(),
            held_answers: BTreeMap::new(),
            decided: BTreeMap::new(),
            published: BTreeMap::new(),
            overrides: BTreeMap::new(),
            restored: BTreeMap::new(),
            last_decision: 0,
            ledger: Ledger::default(),
            agenda: Agenda::default(),
            stalls: Stalls::default(),
            offset: Offset::default(),
        };
        for saved in saved {
            engine.restore(saved);
        }
        engine
    }

    fn restore(&mut self, saved: Saved) {
        match saved {
            Saved::Zone(apex, Some(zone)) => {
                self.last_decision = self.last_decision.max(zone.last_decision);
                self.published.insert(apex, zone);
            }
            Saved::Service(name, Some(service)) => {
                self.last_decision = self.last_decision.max(service.decision.id);
                service.switches.iter().for_each(|&at| self.ledger.add(at, &name));
                self.decided.insert(name, service);
            }
            Saved::Check(key, Some(check)) => {
                self.restored.insert(key, check);
            }
            Saved::Override(scope, Some(forced)) => {
                if let Some(until) = forced.until {
                    self.agenda.expires(until, scope.clone());
                }
                self.overrides.insert(scope, forced);
            }
            Saved::Clock(offset) => self.offset = offset,
            Saved::Zone(_, None)
            | Saved::Service(_, None)
            | Saved::Check(_, None)
            | Saved::Override(_, None)
            | Saved::Edit(..)
            | Saved::Promised(_) => {}
        }
    }

    /// Takes one event in. `now` never goes back from one step to the next, whoever sets the host's clock.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Effect> {
        let offset = if let Event::Clock(offset) = event { offset } else { self.offset };
        // Times in texts that are kept as texts.
        by_host(offset, || self.take(now, event))
    }

    fn take(&mut self, now: Time, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        let mut ordered = None;
        // Before anything is found to be late.
        if let Event::Stalled(length) = event {
            self.stood_still(now, length, &mut out);
        }
        let mut at_once = self.expire(now, &mut out);
        self.maintain(now, &mut out);
        self.look(now, &mut out);
        at_once |= self.end_first_round(now);
        match event {
            Event::Load(load) => self.load(now, load, &mut out),
            Event::Contents(zones) => self.take_contents(now, zones, &mut out),
            Event::Sample(sample) => self.sample(now, sample, &mut out),
            Event::Command(command) => match self.command(now, command, &mut out) {
                Ok(order) => {
                    ordered = order;
                    at_once = true;
                }
                Err(refused) => out.push(Effect::Refused(refused)),
            },
            Event::Clock(offset) => self.set_clock(now, offset, &mut out),
            Event::Stalled(_) | Event::Tick => {}
        }
        if self.agenda.is_flush_due(now) || at_once {
            self.flush(now, ordered.as_ref(), &mut out);
        }
        self.tell_conditions(&mut out);
        out.extend(self.agenda.wake(now));
        // What is kept comes before what is published; otherwise the order is that of happening.
        out.sort_by_key(|effect| match effect {
            Effect::Save(_) | Effect::Record(_) => 0,
            Effect::Rebase(_) | Effect::Renew(_) | Effect::Publish(_) => 1,
            Effect::Pace(..) | Effect::Wake(_) | Effect::Refused(_) => 2,
        });
        out
    }

    /// Ends the first round where it has taken long enough; whether there is something to decide for it.
    fn end_first_round(&mut self, now: Time) -> bool {
        if self.agenda.first_round.is_none_or(|at| at > now) {
            return false;
        }
        self.agenda.first_round = None;
        let late = self.services.iter_mut().filter(|(_, steered)| steered.first == First::Waits);
        let mut any = false;
        for (name, steered) in late {
            steered.first = First::Overdue;
            self.agenda.touch(now, name.clone());
            any = true;
        }
        any
    }

    /// The services of a configuration that nothing was decided for.
    pub fn undecided<'c>(&self, config: &'c Config) -> impl Iterator<Item = &'c Name> {
        let names = config.services.iter().map(|service| &service.name);
        names.filter(|name| !self.decided.contains_key(*name))
    }

    /// How many services have no decision yet, because their first round of probes is not finished.
    pub fn pending_first_round(&self) -> usize {
        // After a load every decision kept is one of a service of the configuration.
        self.services.len().saturating_sub(self.decided.len())
    }

    /// Every check of the configuration in force, canaries aside, in the order of their keys.
    pub fn checks(&self) -> impl Iterator<Item = Check> {
        self.checks.iter().map(|(key, watched)| Check { key: key.clone(), probe: watched.probe.clone() })
    }

    /// The configuration in force; `None` before the first load.
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    /// Whether a configuration is loaded and every service of it has a decision.
    pub fn first_round_done(&self) -> bool {
        self.config.is_some() && self.pending_first_round() == 0
    }
}
