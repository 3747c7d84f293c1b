//! What is refused unless it is forced: orders that would leave people without service, or a site with more than it
//! can carry.

use std::collections::BTreeMap;

use super::{Command, CommandError, Engine};
use crate::dns::Name;
use crate::health::{Health, works};
use crate::model::SiteId;
use crate::policy::{Family, Noted, Override, OverrideKind, Proposal, Rule, Scope, Standing};
use crate::time::Time;

/// How many services a refusal names.
const MAX_NAMED: usize = 3;

/// How much is left to a service, from nothing to an endpoint that works.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    /// Every endpoint is Down or taken out.
    Nothing,
    /// Nothing is known of any that is not Down.
    Unknown,
    Works,
}

/// What of a service is looked at: all of it, or one address family.
const ASPECTS: [Option<Family>; 3] = [None, Some(Family::A), Some(Family::Aaaa)];

impl Engine {
    /// Refuses what would take the last endpoint that works out of a service, be it all of its endpoints at once. A
    /// maintenance takes nothing out: in it, the endpoint in use stays in use.
    pub(super) fn check_left(
        &mut self,
        now: Time,
        command: &Command,
        scope: &Scope,
        kind: OverrideKind,
    ) -> Result<(), CommandError> {
        let concerned = self.concerned(scope);
        let before: BTreeMap<&Name, [Left; 3]> =
            concerned.iter().map(|name| (name, self.left(now, name))).collect();
        let lost: Vec<(&Name, Option<Family>)> = self.supposing(now, command, scope, kind, |engine| {
            let is_less = |name: &'_ Name| {
                let (was, is) = (before.get(name)?, engine.left(now, name));
                ASPECTS.into_iter().zip(was.iter().zip(is)).find(|(_, (was, is))| is < *was)
            };
            concerned.iter().filter_map(|name| Some((name, is_less(name)?.0))).collect()
        });
        let Some((first, _)) = lost.first() else { return Ok(()) };
        let told = |(name, family): &(&Name, Option<Family>)| match family {
            Some(family) => format!("{family} of {}", name.bare()),
            None => name.bare(),
        };
        let services = match &lost[..] {
            few if few.len() <= MAX_NAMED => few.iter().map(told).collect::<Vec<_>>().join(", "),
            [first, rest @ ..] => format!("{} and {} other services", told(first), rest.len()),
            [] => return Ok(()),
        };
        let others = self.supposing(now, command, scope, kind, |engine| {
            let standings = engine.standings_of(now, first);
            let others = standings.iter().filter(|standing| !standing.is_taken());
            others.map(|standing| Noted::of(standing).to_string()).collect::<Vec<_>>().join("; ")
        });
        let others = if others.is_empty() { "no endpoint is left in use".to_owned() } else { others };
        Err(CommandError::LastEndpoint(format!("{services} would have no endpoint that works: {others}")))
    }

    /// Refuses to approve moves that would take a site over its capacity.
    pub(super) fn check_capacity(&self, approved: &[Proposal]) -> Result<(), CommandError> {
        let mut loads: BTreeMap<&SiteId, (u64, u64)> = BTreeMap::new();
        for held in approved {
            let Some(steered) = self.services.get(&held.service) else { continue };
            let load = u64::from(steered.service.moving.load);
            loads.entry(&held.to).or_default().0 += load;
            loads.entry(&held.from).or_default().1 += load;
        }
        for (site, (come, gone)) in loads {
            let Some(capacity) = self.capacity(site).map(u64::from) else { continue };
            let before = self.tally.of(site).load;
            let after = (before + come).saturating_sub(gone);
            if after > capacity && after > before {
                let text = format!("{site} would carry a load of {after}, and its capacity is {capacity}");
                return Err(CommandError::OverCapacity(text));
            }
        }
        Ok(())
    }

    /// What `look` sees while an override is in force that nobody has set yet.
    pub(super) fn supposing<T>(
        &mut self,
        now: Time,
        command: &Command,
        scope: &Scope,
        kind: OverrideKind,
        look: impl FnOnce(&Engine) -> T,
    ) -> T {
        let (reason, who) = (command.reason.clone(), command.who.clone());
        let forced = Override { scope: scope.clone(), kind, reason, who, at: now, until: None };
        let before = self.overrides.insert(scope.clone(), forced);
        let seen = look(self);
        match before {
            Some(before) => self.overrides.insert(scope.clone(), before),
            None => self.overrides.remove(scope),
        };
        seen
    }

    /// How much is left to a service, and to each of its address families.
    fn left(&self, now: Time, name: &Name) -> [Left; 3] {
        let standings = self.standings_of(now, name);
        ASPECTS
            .map(|aspect| match aspect {
                Some(family) => standings.iter().map(|standing| left_of(standing, family)).max(),
                // Too few of a group are nothing, where no other group has enough.
                None if self.works_nowhere(now, name) => None,
                None => standings.iter().map(left).max(),
            })
            .map(|left| left.unwrap_or(Left::Nothing))
    }

    /// Whether policy has nothing but a last resort for it.
    fn works_nowhere(&self, now: Time, name: &Name) -> bool {
        let joined = self.choose(now, name, None);
        joined.is_some_and(|joined| matches!(joined.choice.reason.rule, Rule::AllDown { .. }))
    }

    /// The endpoints of a service that are meant to be used, as they stand.
    fn standings_of(&self, now: Time, name: &Name) -> Vec<Standing> {
        let Some(steered) = self.services.get(name) else { return Vec::new() };
        let standings = self.standings(now, steered).into_iter().zip(&steered.service.endpoints);
        standings.filter(|(_, endpoint)| endpoint.weight > 0).map(|(standing, _)| standing).collect()
    }
}

fn left(standing: &Standing) -> Left {
    match standing {
        it if it.is_eligible() || it.is_damped() => Left::Works,
        it if it.is_unknown() => Left::Unknown,
        _ => Left::Nothing,
    }
}

/// What an endpoint has for one address family.
fn left_of(standing: &Standing, family: Family) -> Left {
    let all = left(standing);
    let of = standing.places.iter().zip(&standing.last_known).filter(|((place, _), _)| family.has(place));
    let best = of.map(|((_, found), last)| match found.health {
        _ if standing.overridden.is_some() => all,
        health if works(health) || standing.is_damped() && works(*last) => Left::Works,
        Health::Unknown => Left::Unknown,
        _ => Left::Nothing,
    });
    best.max().unwrap_or(Left::Nothing).min(all)
}
