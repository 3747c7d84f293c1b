//! What stands between a choice and its being carried out: delay, approval, safety rules, steps. Every
//! decision passes here, whatever made it.

use super::flush::Ordered;
use super::{Action, Command, CommandError, Effect, Engine, Happened, RuleView, Saved};
use crate::config::{OnLimit, Seconds};
use crate::policy::{
    Choice, IfUnanswered, Ledger, Move, MoveKind, Proposal, ProposalNews, ProposalState, Rule, Standing,
    Step, delayed_until, movement, stay, step,
};
use crate::time::Time;
use crate::zone::Name;

/// How many proposals a refusal lists.
const MAX_LISTED: usize = 10;

/// What is carried out.
pub(super) struct Moderated {
    pub choice: Choice,
    /// The service's proposal from now on.
    pub proposal: Option<Proposal>,
    /// Its step from now on.
    pub step: Option<Step>,
    /// Whether it moves, or begins to, without anybody's order.
    pub switched: bool,
    /// For the history.
    pub told: Vec<Happened>,
}

/// Whether a move is made now.
enum Verdict {
    Go,
    /// It waits, or is not made at all.
    Wait(Proposal),
}

impl Engine {
    /// What becomes of a wish.
    pub(super) fn moderate(
        &mut self,
        now: Time,
        name: &Name,
        standings: &[Standing],
        order: Option<&Ordered>,
        wish: Choice,
    ) -> Moderated {
        let mut told = Vec::new();
        let last = self.decided.get(name);
        let pending = last.and_then(|last| last.proposal.as_deref().cloned());
        let running = last.and_then(|last| last.step.clone());
        let percent = last.and_then(|last| last.decision.partial.as_ref()).map(|partial| partial.percent);
        let found = self.services.get(name).and_then(|steered| {
            let situation = self.situation(now, steered, standings, order);
            let moving = movement(&situation, &wish)?;
            Some((delayed_until(&situation, &moving), moving))
        });
        let Some((delayed, moving)) = found else {
            told.extend(withdrawn(pending));
            return Moderated { choice: wish, proposal: None, step: None, switched: false, told };
        };
        // Clients that a failback has moved stay where they are, as long as that is where all are to go.
        let running = running.filter(|step| step.to == moving.to);
        let percent = percent.filter(|_| running.is_some());
        if let Some(until) = delayed {
            told.extend(withdrawn(pending));
            let rule = Rule::Delayed { to: moving.to.clone(), until };
            let choice = self.stay(now, name, standings, wish, &moving, rule, percent, Some(until));
            return Moderated { choice, proposal: None, step: running, switched: false, told };
        }
        // What has begun was approved, and counted.
        let begun = running.is_some() && moving.kind == MoveKind::Failback;
        if !begun && let Verdict::Wait(proposal) = self.judge(now, name, &moving, pending, &mut told) {
            let (id, to) = (proposal.id, moving.to.clone());
            let rule = match proposal.state.clone() {
                ProposalState::Rejected { by } => Rule::Rejected { to, proposal: id, by },
                ProposalState::Pending | ProposalState::Approved => {
                    Rule::Proposed { to, proposal: id, limit: proposal.limit.clone(), due: proposal.due }
                }
            };
            let waits = proposal.state == ProposalState::Pending;
            let until = proposal.due.filter(|_| waits).map(|(until, _)| until);
            let choice = self.stay(now, name, standings, wish, &moving, rule, percent, until);
            return Moderated { choice, proposal: Some(proposal), step: running, switched: false, told };
        }
        let switched = !begun;
        let config =
            self.services.get(name).map(|steered| steered.service.moving.clone()).unwrap_or_default();
        let next = match moving.kind {
            MoveKind::Failback => step(&config, running.as_ref(), &moving.to, now),
            MoveKind::Failover => None,
        };
        let Some(next) = next else {
            return Moderated { choice: wish, proposal: None, step: None, switched, told };
        };
        let until = next.since + config.step_hold;
        let share = |at: usize| config.steps.get(at).copied().unwrap_or(100);
        let (percent, back) = (share(next.at), moving.to.clone());
        let rule = Rule::Stepping { back, percent, next: share(next.at + 1), at: until };
        let choice = self.stay(now, name, standings, wish, &moving, rule, Some(percent), Some(until));
        Moderated { choice, proposal: None, step: Some(next), switched, told }
    }

    /// Whether a move may be made, by what is asked of it and what became of its proposal.
    fn judge(
        &mut self,
        now: Time,
        name: &Name,
        moving: &Move,
        pending: Option<Proposal>,
        told: &mut Vec<Happened>,
    ) -> Verdict {
        let Some(steered) = self.services.get(name) else { return Verdict::Go };
        let config = steered.service.moving.clone();
        let (asked, due) = match moving.kind {
            MoveKind::Failover => {
                let due = config.approval.map(|asked| (asked.wait, IfUnanswered::from(asked.unanswered)));
                (config.approval.is_some(), due)
            }
            MoveKind::Failback => (config.approve_failback, None),
        };
        let same = pending.filter(|held| held.from == moving.from && held.kind == moving.kind);
        if let Some(mut held) = same {
            if held.to != moving.to {
                held.to = moving.to.clone();
            }
            let still = if held.limit.is_some() { self.may_hold(config.exempt) } else { asked };
            match (&held.state, held.due) {
                (ProposalState::Approved, _) => return Verdict::Go,
                (ProposalState::Pending, _) if !still => told.extend(withdrawn(Some(held))),
                (ProposalState::Pending, Some((until, then))) if until <= now => {
                    told.push(Happened::Proposal { news: ProposalNews::Unanswered, proposal: held.clone() });
                    if then == IfUnanswered::Stay {
                        held.state = ProposalState::Rejected { by: "nobody".to_owned() };
                        return Verdict::Wait(held);
                    }
                    // Nobody's silence overrules a safety rule.
                    if let Some(limit) = self.limit(now, name, moving, told) {
                        held.limit = Some(limit);
                        held.due = None;
                        return Verdict::Wait(held);
                    }
                    return Verdict::Go;
                }
                (ProposalState::Pending | ProposalState::Rejected { .. }, _) => return Verdict::Wait(held),
            }
        }
        let limit = if asked { None } else { self.limit(now, name, moving, told) };
        if !asked && limit.is_none() {
            return Verdict::Go;
        }
        let proposal = Proposal {
            // That of the decision that tells of it, which comes next.
            id: self.last_decision + 1,
            service: name.clone(),
            from: moving.from.clone(),
            to: moving.to.clone(),
            kind: moving.kind,
            at: now,
            due: due.filter(|_| asked).map(|(wait, then)| (now + wait, then)),
            limit,
            state: ProposalState::Pending,
        };
        told.push(Happened::Proposal { news: ProposalNews::Proposed, proposal: proposal.clone() });
        Verdict::Wait(proposal)
    }

    /// Whether safety rules hold a service at all.
    fn may_hold(&self, exempt: bool) -> bool {
        let safety = self.config.as_ref().map(|config| &config.safety);
        !exempt && safety.is_some_and(|safety| safety.is_set() && safety.on_limit == OnLimit::Hold)
    }

    /// The safety rule that holds a move, in words; one that only warns is told.
    fn limit(&mut self, now: Time, name: &Name, moving: &Move, told: &mut Vec<Happened>) -> Option<String> {
        let exempt = self.services.get(name).is_some_and(|steered| steered.service.moving.exempt);
        let config = self.config.clone().filter(|config| !exempt && config.safety.is_set())?;
        let in_service = self.tally.in_service(std::slice::from_ref(moving));
        let total = self.services.len();
        let limit = self.ledger.limit(now, &config.safety, total, [name], in_service)?;
        if config.safety.on_limit == OnLimit::Hold {
            return Some(limit);
        }
        told.push(Happened::Limit { service: name.clone(), to: moving.to.clone(), limit });
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

    #[expect(clippy::too_many_arguments, reason = "all of it is of one decision")]
    fn stay(
        &self,
        now: Time,
        name: &Name,
        standings: &[Standing],
        wish: Choice,
        moving: &Move,
        rule: Rule,
        percent: Option<u8>,
        until: Option<Time>,
    ) -> Choice {
        let Some(steered) = self.services.get(name) else { return wish };
        let mut choice = stay(&self.situation(now, steered, standings, None), wish, moving, rule, percent);
        choice.hold_until = [choice.hold_until, until].into_iter().flatten().filter(|&at| at > now).min();
        choice
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
        let (wanted, state) = match &command.action {
            Action::Approve { proposal } => (*proposal, ProposalState::Approved),
            Action::Reject { proposal } => {
                (Some(*proposal), ProposalState::Rejected { by: command.who.clone() })
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

/// What is told of a proposal that has lost its reason.
fn withdrawn(proposal: Option<Proposal>) -> Option<Happened> {
    let proposal = proposal.filter(|held| held.state == ProposalState::Pending)?;
    Some(Happened::Proposal { news: ProposalNews::Withdrawn, proposal })
}
