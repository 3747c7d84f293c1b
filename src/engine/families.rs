//! One decision of a service and of those of its address families that have to be decided by themselves, and what
//! stands between these choices and their being carried out.

use super::part::{Ordered, Part, Slots};
use super::{Engine, Steered};
use crate::dns::Name;
use crate::model::SiteId;
use crate::policy::{
    Apart, Choice, Decision, Family, FamilyMemories, FamilyPart, Joined, LastResort, Latch, Move, MoveKind,
    Rule, Situation, Standing, choose,
};
use crate::time::Time;

impl Engine {
    /// What a choice for a part of a service depends on.
    pub(super) fn situation_of<'a>(&'a self, part: &Part<'a>) -> Option<Situation<'a>> {
        let steered = self.services.get(part.name)?;
        let whole = self.situation(part.now, steered, part.standings, part.order);
        Some(part.apart.map_or(whole, |apart| apart.situation(&whole)))
    }

    /// The families of a service that have to be decided by themselves beside this wish.
    fn aparts(&self, situation: &Situation, wish: &Choice) -> Vec<Apart> {
        static NOTHING: FamilyMemories = FamilyMemories::new();
        let last = self.decided.get(&situation.service.name);
        Apart::of(situation, wish, last.map_or(&NOTHING, |last| &last.families))
    }

    /// What policy makes of a service and its families, whatever keeps it from being carried out.
    pub(super) fn wish(&self, situation: &Situation) -> Joined {
        let wish = choose(situation);
        let parts = self.aparts(situation, &wish).into_iter().map(|apart| {
            let choice = apart.choose(situation);
            (apart, choice)
        });
        let parts = parts.collect();
        Joined::of(situation, wish, parts)
    }

    /// What is carried out of it. `None` where there is no such service.
    pub(super) fn settle(
        &mut self,
        now: Time,
        name: &Name,
        standings: &[Standing],
        order: Option<&Ordered>,
    ) -> Option<(Joined, Slots)> {
        let whole = Part { now, name, standings, order, apart: None };
        let situation = self.situation_of(&whole)?;
        let wish = choose(&situation);
        let aparts = self.aparts(&situation, &wish);
        let mut slots = Slots::of(self.decided.get(name));
        if aparts.is_empty() {
            let choice = self.moderate(&whole, wish, &mut slots);
            let situation = self.situation_of(&whole)?;
            return Some((Joined::of(&situation, choice, Vec::new()), slots.close()));
        }
        let wishes: Vec<Choice> = aparts.iter().map(|apart| apart.choose(&situation)).collect();
        let leads = self.movement(&whole, &wish);
        let own = |apart| Part { apart: Some(apart), ..whole };
        let moves: Vec<Option<Move>> =
            aparts.iter().zip(&wishes).map(|(apart, wish)| self.movement(&own(apart), wish)).collect();
        let fails = |moving: &Option<Move>| moving.as_ref().is_some_and(|it| it.kind == MoveKind::Failover);

        // What leaves something broken comes before what goes back, as a service has one proposal and one step.
        let mut parts: Vec<(usize, Choice)> = Vec::with_capacity(aparts.len());
        let first = |at: &usize| fails(&moves[*at]) && leads.is_some() && !fails(&leads);
        for at in (0..aparts.len()).filter(first) {
            let choice = self.moderate(&own(&aparts[at]), wishes[at].clone(), &mut slots);
            parts.push((at, choice));
        }
        let choice = self.moderate(&whole, wish, &mut slots);
        // A family that makes the service's own move with it waits, or goes, with it.
        let held = leads.as_ref().filter(|leads| choice.reason.serving.as_ref() == Some(&leads.from));
        for at in (0..aparts.len()).filter(|at| !first(at)) {
            let (part, wish) = (own(&aparts[at]), wishes[at].clone());
            let along = moves[at].as_ref().zip(leads.as_ref());
            let along = along.filter(|(own, leads)| own.from == leads.from && own.kind == leads.kind);
            // What works for no family is emptied with the move, not while the service waits where it is.
            let empties = matches!(wish.reason.rule, Rule::AllDown { answer: LastResort::Empty });
            // What is Down for longer than the rest has waited for longer.
            let own_delay = matches!(choice.reason.rule, Rule::Delayed { .. }) && !empties;
            let along = along.map(|(own, _)| own).filter(|_| !own_delay).or(held.filter(|_| empties));
            let choice = match along {
                None => self.moderate(&part, wish, &mut slots),
                Some(_) if held.is_none() => wish,
                Some(moving) => {
                    self.stay(&part, wish, moving, choice.reason.rule.clone(), None, choice.hold_until)
                }
            };
            parts.push((at, choice));
        }
        parts.sort_by_key(|(at, _)| *at);
        let parts = aparts.into_iter().zip(parts).map(|(apart, (_, choice))| (apart, choice)).collect();
        let situation = self.situation_of(&whole)?;
        Some((Joined::of(&situation, choice, parts), slots.close()))
    }

    /// The move that a choice would be, for a safety rule that is asked beforehand: the service's own, or else that
    /// of one of its families.
    pub(super) fn would_move(&self, name: &Name, joined: &Joined) -> Option<Move> {
        let last = &self.decided.get(name)?.decision;
        let differs = |from: &Option<SiteId>, to: &Option<SiteId>, family: Option<Family>| {
            let (from, to) = (from.clone()?, to.clone()?);
            let keeps = family.is_some() && joined.choice.sites.contains(&from);
            (from != to).then_some(Move { from, to, kind: MoveKind::Failover, family, keeps })
        };
        let own = differs(&last.reason.serving, &joined.choice.reason.serving, None);
        let mut families = Family::BOTH.into_iter().filter_map(|family| {
            let part = joined.families.iter().find(|part| part.family == family);
            let to = part.map_or(&joined.choice.reason.serving, |part| &part.reason.serving);
            let from = last.part(family).map_or(&last.reason.serving, |part| &part.reason.serving);
            differs(from, to, Some(family))
        });
        own.or_else(|| families.next())
    }
}

/// What can happen next to the families that are decided by themselves, in words.
pub(super) fn next_of(decision: &Decision) -> impl Iterator<Item = String> + '_ {
    decision.families.iter().flat_map(|FamilyPart { family, sites, reason, .. }| {
        let own = std::slice::from_ref(&reason.rule);
        let rules: Vec<&Rule> = match &reason.rule {
            Rule::Steered { notes, .. } => notes.iter().map(|(_, rule)| rule).collect(),
            _ => own.iter().collect(),
        };
        let sites = if sites.is_empty() { "nowhere".to_owned() } else { sites.join(" and ") };
        rules.into_iter().filter_map(move |rule| {
            Some(match rule {
                Rule::Holding { back, until } => {
                    format!(
                        "{family} is answered from {back} again at {until}, if it stays Up there until then"
                    )
                }
                Rule::Latched { by: Latch::Operator | Latch::Manual } => {
                    format!("`detour failback` returns {family} to what is preferred and Up")
                }
                Rule::Delayed { to, until } => {
                    format!("at {until} {family} moves to {to}, unless it works again until then")
                }
                Rule::Proposed { to, proposal, .. } | Rule::Rejected { to, proposal, .. } => {
                    format!("`detour approve {proposal}` moves {family} to {to}")
                }
                Rule::Stepping { back, next, at, .. } => {
                    format!(
                        "{back} gets {next} % of the clients for {family} at {at}, if it stays Up until then"
                    )
                }
                Rule::AllDown { .. } | Rule::Damped => {
                    format!("{family} is answered from {sites} until an endpoint works for it")
                }
                _ => return None,
            })
        })
    })
}

impl Steered {
    /// How its endpoints stand where its families move together.
    pub(super) fn joined(&self, mut standings: Vec<Standing>, last: Option<&Decision>) -> Vec<Standing> {
        crate::policy::join_families(&self.service, &mut standings, last);
        standings
    }
}
