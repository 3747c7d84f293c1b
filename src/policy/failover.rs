//! Policy `failover`: endpoints in order of preference; the first that works, and back when it is safe.
//!
//! What neither moves: an endpoint in use of which no sample came lately, or that is being maintained, stays.
//! What damping holds Down is used only where nothing else is left.
//!
//! Three rules keep answers from flapping. A Suspect endpoint in use stays in use until it is Down. A
//! preferred endpoint that was Down or taken out carries a [`Mark`]: it is returned to only when it has
//! been Up for the whole hold, or, with `manual`, when an operator says so. And an operator's failover
//! latches: nothing but a failure of the endpoint in use, or `failback`, moves the service on. The latch
//! is kept through such a failure, so that the service then stays where it landed; landing on the first
//! endpoint in order ends it, for there is nothing left to fail back to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::choice::{Order, Situation};
use super::reason::{Latch, Rule};
use super::standing::Standing;
use crate::config::{Failback, SiteId};
use crate::time::Time;

/// What is remembered of an endpoint that was of no use, until it is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It is Down.
    Down,
    /// An operator has taken it out.
    Taken,
    /// It is neither any more; a hold is counted from here, or from when it became Up if that is later.
    Back(Time),
}

/// The marks of one service, at most one for each endpoint.
pub type Marks = BTreeMap<SiteId, Mark>;

/// What the policy makes of a situation.
#[derive(Debug)]
pub(super) struct Pick {
    /// The endpoint, by its place in order; `None` where none is eligible.
    pub index: Option<usize>,
    /// The rule that chose it; means nothing without an endpoint.
    pub rule: Rule,
    pub latched: bool,
    /// Whether its records stay as they are.
    pub frozen: bool,
    pub marks: Marks,
    /// When a running hold ends.
    pub hold_until: Option<Time>,
}

/// Picks the endpoint.
pub(super) fn pick(situation: &Situation) -> Pick {
    let standings = situation.standings;
    let mut marks = marked(situation);
    let mut latched = situation.latched;
    match situation.order {
        Some(Order::Failover(_)) => latched = true,
        Some(Order::Failback) => {
            latched = false;
            marks.retain(|site, _| !standings.iter().any(|s| s.site == *site && s.is_up()));
        }
        None => {}
    }
    let serving = current(situation);
    let stays = |at: usize| standings[at].may_stay() && is_served(situation, at);
    let in_use = serving.filter(|&at| standings[at].is_eligible() || stays(at));
    let (index, rule, hold_until) = match in_use {
        None => match best(standings) {
            Some(at) => (Some(at), Rule::InOrder, None),
            None => (damped(standings, serving), Rule::Damped, None),
        },
        Some(at) if latched && at > 0 => (Some(at), Rule::Latched { by: Latch::Operator }, None),
        Some(at) => stay_or_return(situation, &marks, at),
    };
    if let Some(at) = index {
        marks.remove(&standings[at].site);
        latched &= at > 0;
    }
    let rule = match (index, latched) {
        (Some(_), true) if rule != Rule::Damped => Rule::Latched { by: Latch::Operator },
        _ => rule,
    };
    let frozen = index.is_some_and(|at| {
        let standing = &standings[at];
        standing.maintenance.is_some() && standing.overridden.is_none() && is_served(situation, at)
    });
    Pick { index, rule, latched, frozen, marks, hold_until }
}

/// The endpoint in use: the one ordered, or the one last decided for.
fn current(situation: &Situation) -> Option<usize> {
    let site = match (situation.order, situation.last.map(|last| &last.sites[..])) {
        (Some(Order::Failover(to)), _) => to,
        (_, Some([site])) => site,
        _ => return None,
    };
    situation.standings.iter().position(|standing| standing.site == *site)
}

/// Whether clients are sent there now, and not as a last resort.
fn is_served(situation: &Situation, at: usize) -> bool {
    let site = &situation.standings[at].site;
    situation
        .last
        .is_some_and(|last| last.sites == [site.clone()] && last.reason.serving.as_ref() == Some(site))
}

/// An endpoint that only damping keeps out, where there is no other: the one in use, or the first. Damping
/// is there to calm answers down, never to take the last one away.
fn damped(standings: &[Standing], serving: Option<usize>) -> Option<usize> {
    let serving = serving.filter(|&at| standings[at].is_damped());
    serving.or_else(|| standings.iter().position(Standing::is_damped))
}

/// The first in order that is Up, better one that is not being maintained, and of those one that has room
/// where the service sheds; failing that, the first that is
/// Suspect.
fn best(standings: &[Standing]) -> Option<usize> {
    let sound = |roomy: bool| {
        standings.iter().position(|s| s.is_up() && s.maintenance.is_none() && !(roomy && s.full))
    };
    let up = sound(true).or_else(|| sound(false)).or_else(|| standings.iter().position(Standing::is_up));
    up.or_else(|| standings.iter().position(Standing::is_eligible))
}

/// The endpoint in use works: stay, unless one before it is Up and free to be returned to. Either way,
/// those before the one chosen may be Up and have to wait.
fn stay_or_return(situation: &Situation, marks: &Marks, at: usize) -> (Option<usize>, Rule, Option<Time>) {
    let mut chosen = at;
    let mut waits: Option<(Time, &SiteId)> = None;
    let mut manual = false;
    for (index, standing) in situation.standings[..at].iter().enumerate() {
        // What is being maintained is returned to when that is over, or when an operator says so.
        let maintained = standing.maintenance.is_some() && situation.order.is_none();
        if !standing.is_up() || maintained || standing.full && situation.order.is_none() {
            continue;
        }
        let until = match (marks.get(&standing.site), situation.service.failback) {
            (None, _) => None,
            (Some(_), Failback::Manual) => {
                manual = true;
                continue;
            }
            (Some(mark), Failback::Auto { hold }) => Some(hold_end(*mark, standing, hold)),
        };
        match until.filter(|&until| until > situation.now) {
            None => {
                chosen = index;
                break;
            }
            Some(until) if waits.is_none_or(|(earliest, _)| until < earliest) => {
                waits = Some((until, &standing.site));
            }
            Some(_) => {}
        }
    }
    let rule = match waits {
        _ if manual => Rule::Latched { by: Latch::Manual },
        Some((until, back)) => Rule::Holding { back: back.clone(), until },
        None => Rule::InOrder,
    };
    (Some(chosen), rule, waits.map(|(until, _)| until))
}

fn hold_end(mark: Mark, standing: &Standing, hold: Duration) -> Time {
    let since = standing.up_since();
    let from = if let Mark::Back(back) = mark { back.max(since) } else { since };
    from + hold
}

/// The marks as they are now: who is out gets one, who no longer is keeps it as [`Mark::Back`].
pub(super) fn marked(situation: &Situation) -> Marks {
    let mark = |standing: &Standing| {
        let old = situation.marks.get(&standing.site);
        if standing.is_taken() {
            return Some(Mark::Taken);
        }
        if standing.is_out() {
            return Some(Mark::Down);
        }
        match old? {
            // An Up's `since` is the sample that made it so, a little before this decision.
            Mark::Down if standing.is_up() => Some(Mark::Back(standing.up_since())),
            Mark::Down | Mark::Taken => Some(Mark::Back(situation.now)),
            Mark::Back(at) => Some(Mark::Back(*at)),
        }
    };
    situation.standings.iter().filter_map(|s| Some((s.site.clone(), mark(s)?))).collect()
}
