//! What operators ask for, and overrides that run out.

use std::collections::BTreeSet;

use super::part::Ordered;
use super::{Action, Command, CommandError, Effect, Engine, Happened, MAX_OVERRIDES, Saved, SavedService};
use crate::dns::Name;
use crate::model::SiteId;
use crate::policy::{Override, OverrideKind, Scope, refuse_failover};
use crate::time::Time;

impl Engine {
    /// Carries a command out, but for the deciding; `Ok` may bring an order that the next decision of a
    /// service has to carry out. On `Err` nothing changed.
    pub(super) fn command(
        &mut self,
        now: Time,
        command: Command,
        out: &mut Vec<Effect>,
    ) -> Result<Option<Ordered>, CommandError> {
        let ordered = match &command.action {
            Action::Override { scope, kind, until, force } => {
                if !force && *kind != OverrideKind::ForceUp {
                    self.check_left(now, &command, scope, *kind)?;
                    self.check_safety(now, &command, scope, *kind)?;
                }
                self.set_override(now, &command, scope, *kind, *until, out)?;
                None
            }
            Action::Approve { .. } | Action::Reject { .. } => {
                self.answer(now, &command, out)?;
                None
            }
            Action::Clear { scope } => {
                self.remove_override(scope, out).ok_or_else(|| CommandError::NoOverride(scope.clone()))?;
                self.touch_scope(now, scope);
                None
            }
            Action::Failover { service, to } => {
                self.check_failover(now, service, to)?;
                Some(Ordered { service: service.clone(), to: Some(to.clone()) })
            }
            Action::Failback { service } => {
                let ordered = Ordered { service: service.clone(), to: None };
                self.check_failback(now, &ordered)?;
                Some(ordered)
            }
        };
        out.push(Effect::Record(Happened::Command(command)));
        Ok(ordered)
    }

    /// Ends the overrides that have run out by now. Says whether there were any.
    pub(super) fn expire(&mut self, now: Time, out: &mut Vec<Effect>) -> bool {
        let mut any = false;
        while let Some(scope) = self.agenda.take_expired(now) {
            let Some(expired) = self.remove_override(&scope, out) else { continue };
            out.push(Effect::Record(Happened::Expired(expired)));
            self.touch_scope(now, &scope);
            any = true;
        }
        any
    }

    fn set_override(
        &mut self,
        now: Time,
        command: &Command,
        scope: &Scope,
        kind: OverrideKind,
        until: Option<Time>,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        if command.reason.trim().is_empty() {
            return Err(CommandError::NoReason);
        }
        self.check_scope(scope)?;
        if let Some(until) = until.filter(|&until| until <= now) {
            let text = format!("the override would have run out at {until}; name a later time");
            return Err(CommandError::NotUsable(text));
        }
        if self.overrides.len() >= MAX_OVERRIDES && !self.overrides.contains_key(scope) {
            let text = format!("there are {MAX_OVERRIDES} overrides already; clear one first");
            return Err(CommandError::NotUsable(text));
        }
        let forced = Override {
            scope: scope.clone(),
            kind,
            reason: command.reason.clone(),
            who: command.who.clone(),
            at: now,
            until,
        };
        if let Some(until) = self.overrides.get(scope).and_then(|old| old.until) {
            self.agenda.cleared(until, scope);
        }
        if let Some(until) = until {
            self.agenda.expires(until, scope.clone());
        }
        out.push(Effect::Save(Saved::Override(scope.clone(), Some(forced.clone()))));
        self.overrides.insert(scope.clone(), forced);
        self.touch_scope(now, scope);
        Ok(())
    }

    /// Refuses what takes endpoints out if the moves that follow would break a safety rule.
    fn check_safety(
        &mut self,
        now: Time,
        command: &Command,
        scope: &Scope,
        kind: OverrideKind,
    ) -> Result<(), CommandError> {
        let is_set = self.config.as_ref().is_some_and(|config| config.safety.is_set());
        if !is_set {
            return Ok(());
        }
        let mut concerned = self.concerned(scope);
        // Where clients are shared out, no one endpoint is left for another.
        concerned.retain(|name| self.services.get(name).is_some_and(|of| of.service.tree.is_none()));
        let moves = self.supposing(now, command, scope, kind, |engine| {
            let mut moves = Vec::new();
            for name in concerned {
                let joined = engine.choose(now, &name, None);
                let moving = joined.and_then(|joined| engine.would_move(&name, &joined));
                moves.extend(moving.map(|moving| (name, moving)));
            }
            moves
        });
        match self.limit_of(now, &moves) {
            Some(limit) => Err(CommandError::Unsafe(limit)),
            None => Ok(()),
        }
    }

    /// The services that a scope bears on.
    pub(super) fn concerned(&self, scope: &Scope) -> BTreeSet<Name> {
        let at_site = |site: &SiteId| {
            let services = self.services.iter();
            let there = services.filter(|(_, of)| of.service.endpoints.iter().any(|at| at.site == *site));
            there.map(|(name, _)| name.clone()).collect()
        };
        match scope {
            Scope::Site(site) => at_site(site),
            Scope::Service(name) | Scope::Endpoint(name, _) => BTreeSet::from([name.clone()]),
        }
    }

    fn remove_override(&mut self, scope: &Scope, out: &mut Vec<Effect>) -> Option<Override> {
        let removed = self.overrides.remove(scope)?;
        if let Some(until) = removed.until {
            self.agenda.cleared(until, scope);
        }
        out.push(Effect::Save(Saved::Override(scope.clone(), None)));
        Some(removed)
    }

    fn touch_scope(&mut self, now: Time, scope: &Scope) {
        for name in self.concerned(scope) {
            self.agenda.touch(now, name);
        }
    }

    fn check_scope(&self, scope: &Scope) -> Result<(), CommandError> {
        match scope {
            Scope::Site(site) => self.check_site(site),
            Scope::Service(name) => self.check_service(name),
            Scope::Endpoint(name, site) => self.check_endpoint(name, site),
        }
    }

    fn check_site(&self, site: &SiteId) -> Result<(), CommandError> {
        let sites = self.config.iter().flat_map(|config| &config.sites);
        if sites.clone().any(|known| known.id == *site) {
            return Ok(());
        }
        let known = listed(sites.map(|site| &*site.id));
        Err(CommandError::NoSite(site.clone(), known))
    }

    fn check_service(&self, name: &Name) -> Result<(), CommandError> {
        let known = self.services.contains_key(name);
        known.then_some(()).ok_or_else(|| CommandError::NoService(name.clone()))
    }

    fn check_endpoint(&self, name: &Name, site: &SiteId) -> Result<(), CommandError> {
        let steered = self.services.get(name).ok_or_else(|| CommandError::NoService(name.clone()))?;
        self.check_site(site)?;
        let endpoints = &steered.service.endpoints;
        if endpoints.iter().any(|endpoint| endpoint.site == *site) {
            return Ok(());
        }
        let known = listed(endpoints.iter().map(|endpoint| &*endpoint.site));
        Err(CommandError::NoEndpoint(name.clone(), site.clone(), known))
    }

    /// A service must have finished its first round before an operator can move it.
    fn check_round(&self, name: &Name) -> Result<(), CommandError> {
        let waits = self.services.get(name).is_some_and(|steered| !steered.is_ripe());
        let text = || format!("the first round of probes of {name} is not finished; ask again in a moment");
        if waits { Err(CommandError::NotUsable(text())) } else { Ok(()) }
    }

    fn check_failover(&self, now: Time, name: &Name, to: &SiteId) -> Result<(), CommandError> {
        self.check_endpoint(name, to)?;
        self.check_round(name)?;
        let Some(steered) = self.services.get(name) else { return Ok(()) };
        let standings = self.standings(now, steered);
        let find = |site: &SiteId| standings.iter().find(|standing| standing.site == *site);
        let decision = self.decided.get(name).map(|last| &last.decision);
        let left = decision.and_then(|decision| decision.reason.serving.as_ref()).and_then(find);
        match find(to).and_then(|target| refuse_failover(&steered.service, target, left)) {
            Some(why) => Err(CommandError::NotUsable(why)),
            None => Ok(()),
        }
    }

    /// A failback must end a latch or move the service; asking for one that can do neither is answered
    /// with how things stand.
    fn check_failback(&self, now: Time, ordered: &Ordered) -> Result<(), CommandError> {
        let name = &ordered.service;
        self.check_service(name)?;
        self.check_round(name)?;
        let latched = self.decided.get(name).is_some_and(SavedService::is_latched);
        let sites = self.decided.get(name).map(|last| &last.decision.sites);
        match self.choose(now, name, Some(ordered)) {
            Some(joined) if !latched && Some(&joined.choice.sites) == sites => {
                let text = format!("there is nothing better to fail back to: {}", joined.choice.reason);
                Err(CommandError::NotUsable(text))
            }
            _ => Ok(()),
        }
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
