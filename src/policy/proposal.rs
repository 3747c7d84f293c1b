//! A move that waits for an operator: what is proposed, why it waits, and what became of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::family::Family;
use super::moves::MoveKind;
use crate::dns::Name;
use crate::model::{SiteId, Unanswered};
use crate::time::Time;

/// Who rejected a proposal that was not answered in time.
pub const NOBODY: &str = "nobody";

/// Why a move is not made: `was rejected by ana`.
pub fn unmade(by: &str) -> String {
    if by == NOBODY { "was not approved in time".to_owned() } else { format!("was rejected by {by}") }
}

/// A proposed move. A service has at most one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Proposal {
    /// What `detour approve` takes: the id of the decision that told of it.
    pub id: u64,
    /// Of which service.
    pub service: Name,
    /// Where it is answered from.
    #[schema(value_type = String)]
    pub from: SiteId,
    /// Where it would move; the best there is when it is approved.
    #[schema(value_type = String)]
    pub to: SiteId,
    /// Which way.
    pub kind: MoveKind,
    /// Which address family alone would move; none: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Since when it waits.
    pub at: Time,
    /// Until when it waits for an answer, and whether it is then made; `None`: for as long as it takes.
    pub due: Option<(Time, IfUnanswered)>,
    /// The safety rule that holds it, in words; `None` where the service asks for approval.
    pub limit: Option<String>,
    /// What became of it.
    pub state: ProposalState,
}

/// `unanswered`, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfUnanswered {
    /// The move is made.
    Move,
    /// It is not.
    Stay,
}

/// What became of a proposal. One that is carried out or whose reason went away is no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    /// It waits.
    Pending,
    /// It is carried out by the decision that follows at once.
    Approved,
    /// The service stays as long as the reason lasts.
    Rejected {
        /// By whom; `nobody` where no answer came.
        by: String,
    },
}

/// What happened to a proposal, for the history; approvals and rejections are commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalNews {
    /// It was made.
    Proposed,
    /// Its reason went away.
    Withdrawn,
    /// Nobody answered in time.
    Unanswered,
}

impl From<Unanswered> for IfUnanswered {
    fn from(unanswered: Unanswered) -> IfUnanswered {
        match unanswered {
            Unanswered::Move => IfUnanswered::Move,
            Unanswered::Stay => IfUnanswered::Stay,
        }
    }
}

impl Proposal {
    /// What would move: `app.example.com.`, `AAAA of app.example.com.`
    pub fn subject(&self) -> String {
        match self.family {
            Some(family) => format!("{family} of {}", self.service),
            None => self.service.to_string(),
        }
    }
}

/// `proposal 7: app.example.com. from fra to iad, held by a safety rule: ...; it waits for an answer`
impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Proposal { id, from, to, due, limit, state, .. } = self;
        write!(f, "proposal {id}: {} from {from} to {to}", self.subject())?;
        if let Some(limit) = limit {
            write!(f, ", held by a safety rule: {limit}")?;
        }
        match (state, due) {
            (ProposalState::Rejected { by }, _) => write!(f, "; rejected by {by}"),
            (ProposalState::Approved, _) => f.write_str("; approved"),
            (ProposalState::Pending, None) => f.write_str("; it waits for an answer"),
            (ProposalState::Pending, Some((until, then))) => {
                let then = if *then == IfUnanswered::Move { "it is made" } else { "the service stays" };
                write!(f, "; it waits for an answer until {until}, then {then}")
            }
        }
    }
}
