//! What stands between a choice and its being carried out: delay, approval, safety rules, steps. Every
//! decision passes here, whatever made it.

use super::part::{Part, Slots, withdrawn};
use super::{Action, Command, CommandError, Effect, Engine, Happened, RuleView, Saved};
use crate::dns::Name;
use crate::model::{OnLimit, Seconds};
use crate::policy::{
    Choice, IfUnanswered, Ledger, Move, MoveKind, NOBODY, Proposal, ProposalNews, ProposalState, Reason,
    Rule, Step, delayed_until, movement, stay, step,
};
use crate::time::Time;

/// Whether a proposal is about this move. One that waits goes on to wait where another address family joins the move
/// or leaves it, and where another endpoint is the best by now; a rejection is of the very move that was rejected, or
/// of a part of it.
fn is_about(held: &Proposal, moving: &Move) -> bool {
    let waits = held.state == ProposalState::Pending;
    let family = held.family == moving.family || held.family.is_none() || waits && moving.family.is_none();
    let to = held.to == moving.to || waits || held.state == ProposalState::Approved;
    held.from == moving.from && held.kind == moving.kind && family && to
}

/// How many proposals a refusal lists.
const MAX_LISTED: usize = 10;

/// Whether a move is made now.
enum Verdict {
    Go,
    /// It waits, or is not made at all.
    Wait(Proposal),
}

impl Engine {
    /// The move that a wish for a service comes to, or one for a family of it, where nobody ordered it.
    pub(super) fn movement(&self, part: &Part, wish: &Choice) -> Option<Move> {
        let moving = movement(&self.situation_of(part)?, wish)?;
        let family = part.apart.map(|apart| apart.family);
        let last = self.decided.get(part.name).map(|last| &last.decision);
        // What else is answered from there: the service as a whole, or its other family.
        let serves = |reason: &Reason| reason.serving.as_ref() == Some(&moving.from);
        let others = last.into_iter().flat_map(|last| &last.families);
        let keeps = others.filter(|other| Some(other.family) != family).any(|other| serves(&other.reason))
            || family.is_some() && last.is_some_and(|last| serves(&last.reason));
        Some(Move { family, keeps, ..moving })
    }

    /// What becomes of a wish.
    pub(super) fn moderate(&mut self, part: &Part, wish: Choice, slots: &mut Slots) -> Choice {
        let (now, name) = (part.now, part.name);
        let Some(moving) = self.movement(part, &wish) else { return wish };
        let delayed = self.situation_of(part).and_then(|situation| delayed_until(&situation, &moving));
        // Clients that a failback has moved stay where they are, as long as that is where all are to go.
        let ours = |step: &Step| step.to == moving.to && step.family == moving.family;
        let running = slots.running.clone().filter(ours);
        let percent = slots.percent.filter(|_| running.is_some());
        if let Some(until) = delayed {
            let rule = Rule::Delayed { to: moving.to.clone(), until };
            slots.step = running.or(slots.step.take());
            return self.stay(part, wish, &moving, rule, percent, Some(until));
        }
        // What has begun was approved, and counted.
        let begun = running.is_some() && moving.kind == MoveKind::Failback;
        if !begun && let Verdict::Wait(proposal) = self.judge(now, name, &moving, slots) {
            let (id, to) = (proposal.id, moving.to.clone());
            let rule = match proposal.state.clone() {
                ProposalState::Rejected { by } => Rule::Rejected { to, proposal: id, by },
                ProposalState::Pending | ProposalState::Approved => {
                    Rule::Proposed { to, proposal: id, limit: proposal.limit.clone(), due: proposal.due }
                }
            };
            let waits = proposal.state == ProposalState::Pending;
            let until = proposal.due.filter(|_| waits).map(|(until, _)| until);
            slots.proposal = Some(proposal);
            slots.step = running.or(slots.step.take());
            return self.stay(part, wish, &moving, rule, percent, until);
        }
        let config =
            self.services.get(name).map(|steered| steered.service.moving.clone()).unwrap_or_default();
        let next = match moving.kind {
            MoveKind::Failback => step(&config, running.as_ref(), &moving, now, &self.stalls),
            MoveKind::Failover => None,
        };
        if next.is_some()
            && let Some(other) = &slots.step
        {
            // One part of a service goes back in steps at a time.
            let until = self.stalls.count_from(other.since) + config.step_hold;
            let rule = Rule::Holding { back: moving.to.clone(), until };
            return self.stay(part, wish, &moving, rule, None, Some(until));
        }
        slots.switched |= !begun;
        slots.going.push(moving.clone());
        let Some(next) = next else { return wish };
        let until = self.stalls.count_from(next.since) + config.step_hold;
        let share = |at: usize| config.steps.get(at).copied().unwrap_or(100);
        let (percent, back) = (share(next.at), moving.to.clone());
        let rule = Rule::Stepping { back, percent, next: share(next.at + 1), at: until };
        slots.step = Some(next);
        self.stay(part, wish, &moving, rule, Some(percent), Some(until))
    }

    /// Whether a move may be made, by what is asked of it and what became of its proposal.
    fn judge(&mut self, now: Time, name: &Name, moving: &Move, slots: &mut Slots) -> Verdict {
        let Some(steered) = self.services.get(name) else { return Verdict::Go };
        let config = steered.service.moving.clone();
        let (asked, due) = match moving.kind {
            MoveKind::Failover => {
                let due = config.approval.map(|asked| (asked.wait, IfUnanswered::from(asked.unanswered)));
                (config.approval.is_some(), due)
            }
            MoveKind::Failback => (config.approve_failback, None),
        };
        if let Some(mut held) = slots.pending.take_if(|held| is_about(held, moving)) {
            held.family = moving.family;
            if held.to != moving.to {
                held.to = moving.to.clone();
            }
            let still = if held.limit.is_some() { self.may_hold(config.exempt) } else { asked };
            match (&held.state, held.due) {
                (ProposalState::Approved, _) => return Verdict::Go,
                (ProposalState::Pending, _) if !still => slots.told.extend(withdrawn(Some(held))),
                (ProposalState::Pending, Some((until, then))) if until <= now => {
                    let proposal = held.clone();
                    slots.told.push(Happened::Proposal { news: ProposalNews::Unanswered, proposal });
                    if then == IfUnanswered::Stay {
                        held.state = ProposalState::Rejected { by: NOBODY.to_owned() };
                        return Verdict::Wait(held);
                    }
                    // Nobody's silence overrules a safety rule.
                    if let Some(limit) = self.limit(now, name, moving, slots) {
                        held.limit = Some(limit);
                        held.due = None;
                        return Verdict::Wait(held);
                    }
                    return Verdict::Go;
                }
                (ProposalState::Pending | ProposalState::Rejected { .. }, _) => return Verdict::Wait(held),
            }
        }
        let limit = if asked { None } else { self.limit(now, name, moving, slots) };
        if !asked && limit.is_none() {
            return Verdict::Go;
        }
        // A service has one proposal: what else waits, waits with it, and is proposed after it.
        if let Some(other) = &slots.proposal {
            return Verdict::Wait(other.clone());
        }
        slots.pending = None;
        let proposal = Proposal {
            // That of the decision that tells of it, which comes next.
            id: self.last_decision + 1,
            service: name.clone(),
            from: moving.from.clone(),
            to: moving.to.clone(),
            kind: moving.kind,
            family: moving.family,
            at: now,
            due: due.filter(|_| asked).map(|(wait, then)| (now + wait, then)),
            limit,
            state: ProposalState::Pending,
        };
        slots.told.push(Happened::Proposal { news: ProposalNews::Proposed, proposal: proposal.clone() });
        Verdict::Wait(proposal)
    }

    /// Whether safety rules hold a service at all.
    fn may_hold(&self, exempt: bool) -> bool {
        let safety = self.config.as_ref().map(|config| &config.safety);
        !exempt && safety.is_some_and(|safety| safety.is_set() && safety.on_limit == OnLimit::Hold)
    }

    /// The safety rule that holds a move, in words; one that only warns is told.
    fn limit(&mut self, now: Time, name: &Name, moving: &Move, slots: &mut Slots) -> Option<String> {
        let exempt = self.services.get(name).is_some_and(|steered| steered.service.moving.exempt);
        let config = self.config.clone().filter(|config| !exempt && config.safety.is_set())?;
        let moves: Vec<Move> = slots.going.iter().chain([moving]).cloned().collect();
        let in_service = self.tally.in_service(&moves);
        let total = self.services.len();
        let limit = self.ledger.limit(now, &config.safety, total, [name], in_service)?;
        if config.safety.on_limit == OnLimit::Hold {
            return Some(limit);
        }
        slots.told.push(Happened::Limit { service: name.clone(), to: moving.to.clone(), limit });
        None
    }

    /// The safety rule that services' leaving the endpoints an override takes out would break.
    pub(super) fn limit_of(&mut self, now: Time, moves: &[(Name, Move)]) -> Option<String> {
        let config = self.config.clone().filter(|config| config.safety.is_set())?;
        let exempt = |name: &Name| self.services.get(name).is_some_and(|s| s.service.moving.exempt);
        let counted: Vec<&(Name, Move)> = moves.iter().filter(|(name, _)| !exempt(name)).collect();
        let bare: Vec<Move> = moves.iter().map(|(_, moving)| moving.clone()).collect();
        if counted.is_empty() {
            return None;
        }
        let in_service = self.tally.in_service(&bare);
        let names = counted.into_iter().map(|(name, _)| name);
        self.ledger.limit(now, &config.safety, self.services.len(), names, in_service)
    }

    /// The safety rules that are set, and how near they are.
    pub(super) fn rules(&self, now: Time) -> Vec<RuleView> {
        let Some(config) = &self.config else { return Vec::new() };
        let safety = &config.safety;
        let (switches, movers) = self.ledger.counts(now, safety.window);
        let most = |rule: &str, counts: String, now: usize, limit: usize| RuleView {
            rule: rule.to_owned(),
            counts,
            now,
            limit,
            reached: now >= limit,
        };
        let mut rules = Vec::new();
        rules.extend(safety.max_switches_per_hour.map(|max| {
            most("max_switches_per_hour", "moves within an hour".to_owned(), switches, max as usize)
        }));
        rules.extend(safety.max_share_moved.map(|percent| {
            let allowed = Ledger::allowed(self.services.len(), percent);
            let counts = format!("services moved within {} ({percent} % may)", Seconds(safety.window));
            most("max_share_moved", counts, movers, allowed)
        }));
        rules.extend(safety.min_sites_in_service.map(|limit| {
            let (now, _) = self.tally.in_service(&[]);
            let (rule, counts) = ("min_sites_in_service".to_owned(), "sites in service".to_owned());
            RuleView { rule, counts, now, limit, reached: now <= limit }
        }));
        rules
    }

    pub(super) fn stay(
        &self,
        part: &Part,
        wish: Choice,
        moving: &Move,
        rule: Rule,
        percent: Option<u8>,
        until: Option<Time>,
    ) -> Choice {
        let Some(situation) = self.situation_of(&Part { order: None, ..*part }) else { return wish };
        let mut choice = stay(&situation, wish, moving, rule, percent);
        let holds = [choice.hold_until, until].into_iter().flatten();
        choice.hold_until = holds.filter(|&at| at > part.now).min();
        match part.apart {
            Some(apart) => apart.own(choice),
            None => choice,
        }
    }

    /// Every proposal, the oldest first.
    pub(super) fn proposals(&self) -> Vec<&Proposal> {
        let mut proposals: Vec<_> =
            self.decided.values().filter_map(|last| last.proposal.as_deref()).collect();
        proposals.sort_by_key(|proposal| proposal.id);
        proposals
    }

    /// Notes an operator's answer; the decision that follows carries it out.
    pub(super) fn answer(
        &mut self,
        now: Time,
        command: &Command,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let (wanted, state, force) = match &command.action {
            Action::Approve { proposal, force } => (*proposal, ProposalState::Approved, *force),
            Action::Reject { proposal } => {
                (Some(*proposal), ProposalState::Rejected { by: command.who.clone() }, true)
            }
            _ => return Ok(()),
        };
        let pending = |held: &&Proposal| held.state == ProposalState::Pending;
        let proposals = self.proposals();
        let answered: Vec<Name> = match wanted {
            None => proposals.into_iter().filter(pending).map(|held| held.service.clone()).collect(),
            Some(id) => proposals.into_iter().filter(|h| h.id == id).map(|h| h.service.clone()).collect(),
        };
        if answered.is_empty() {
            let known = self.proposals();
            let ids = known.iter().filter(|held| pending(held)).take(MAX_LISTED);
            let ids: Vec<String> = ids.map(|held| held.id.to_string()).collect();
            let ids = if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
            return Err(match wanted {
                None => CommandError::NotUsable("nothing waits for approval".to_owned()),
                Some(id) => CommandError::NoProposal(id, ids),
            });
        }
        if !force {
            let held = answered.iter().filter_map(|name| self.decided.get(name)?.proposal.as_deref());
            self.check_capacity(&held.cloned().collect::<Vec<_>>())?;
        }
        for name in answered {
            let Some(saved) = self.decided.get_mut(&name) else { continue };
            if let Some(held) = &mut saved.proposal {
                held.state = state.clone();
            }
            out.push(Effect::Save(Saved::Service(name.clone(), Some(saved.clone()))));
            self.agenda.touch(now, name);
        }
        Ok(())
    }
}
