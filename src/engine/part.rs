//! What is decided at once: a service, or one address family of it; and what a service has once, whatever part of it
//! moves.

use super::{Happened, SavedService};
use crate::dns::Name;
use crate::model::SiteId;
use crate::policy::{Apart, Move, Proposal, ProposalNews, ProposalState, Standing, Step};
use crate::time::Time;

/// An operator's order that the next decision of one service carries out.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    pub service: Name,
    /// Where to; `None` is back.
    pub to: Option<SiteId>,
}

/// What is decided: a service, or one family of it.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub now: Time,
    pub name: &'a Name,
    /// How the service's endpoints stand, all families together.
    pub standings: &'a [Standing],
    pub order: Option<&'a Ordered>,
    /// The family, where it is one.
    pub apart: Option<&'a Apart>,
}

/// What a service has once, whatever part of it moves: a proposal, a failback in steps, a move that counts.
#[derive(Default)]
pub(super) struct Slots {
    /// The proposal as it stood, until the move that it is about is looked at.
    pub pending: Option<Proposal>,
    /// The step that the service was at.
    pub running: Option<Step>,
    /// How many of the clients that had moved.
    pub percent: Option<u8>,
    /// The service's proposal from now on.
    pub proposal: Option<Proposal>,
    /// Its step from now on.
    pub step: Option<Step>,
    /// Whether it moves, or begins to, without anybody's order.
    pub switched: bool,
    /// The moves of its parts that are made now: safety rules look at all of them together.
    pub going: Vec<Move>,
    /// For the history.
    pub told: Vec<Happened>,
}

impl Slots {
    /// Those of a service as it was last decided.
    pub fn of(last: Option<&SavedService>) -> Slots {
        let partial = last.and_then(|last| last.decision.partial.as_ref());
        Slots {
            pending: last.and_then(|last| last.proposal.as_deref().cloned()),
            running: last.and_then(|last| last.step.clone()),
            percent: partial.map(|partial| partial.percent),
            ..Slots::default()
        }
    }

    /// All moves have been looked at: a proposal that was about none of them has lost its reason.
    pub fn close(mut self) -> Slots {
        self.told.extend(withdrawn(self.pending.take()));
        self
    }
}

/// What is told of a proposal that has lost its reason.
pub(super) fn withdrawn(proposal: Option<Proposal>) -> Option<Happened> {
    let proposal = proposal.filter(|held| held.state == ProposalState::Pending)?;
    Some(Happened::Proposal { news: ProposalNews::Withdrawn, proposal })
}
