//! Policy `failover`: endpoints in order of preference; the first that works, and back when it is safe.
//!
//! What neither moves: an endpoint in use of which no sample came lately, or that is being maintained, stays.
//! What damping holds Down is used only where nothing else is left. What is Unknown is better than what is Down,
//! once one more round has confirmed that it is; what has only ever failed is not.
//!
//! Three rules keep answers from flapping. A Suspect endpoint in use stays in use until it is Down. A
//! preferred endpoint that was Down or taken out carries a [`Mark`]: it is returned to only when it has
//! been Up for the whole hold, or, with `manual`, when an operator says so. And an operator's failover
//! latches: nothing but a failure of the endpoint in use, or `failback`, moves the service on. The latch
//! is kept through such a failure, so that the service then stays where it landed; landing on the first
//! endpoint in order ends it, for there is nothing left to fail back to.

use std::time::Duration;

use super::Decision;
use super::member::Stance;
use super::memory::{Mark, Marks};
use super::reason::{Latch, Rule};
use super::situation::{Order, Situation};
use crate::model::{Failback, SiteId};
use crate::time::{Stalls, Time};

/// How long after the sample that made an endpoint Up it is decided upon at the latest, on a machine that is busy.
const LATELY: Duration = Duration::from_secs(1);

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

/// What there is to pick from: the members of one group in order, and what is remembered of them.
pub(super) struct Bench<'a> {
    pub now: Time,
    pub stalls: &'a Stalls,
    pub members: &'a [Stance],
    /// The member in use: the one ordered, or the one last decided for.
    pub in_use: Option<usize>,
    /// The member that clients are sent to now, and not as a last resort.
    pub served: Option<usize>,
    pub latched: bool,
    pub marks: &'a Marks,
    pub order: Option<Asked>,
    pub failback: Failback,
}

/// An operator's order, as it concerns one group.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To the member in use.
    To,
    /// To the best that is Up.
    Back,
}

/// Picks the endpoint of a service whose endpoints are one group.
pub(super) fn pick(situation: &Situation) -> Pick {
    let members: Vec<Stance> = situation.standings.iter().map(Stance::of).collect();
    let place = |site: &SiteId| members.iter().position(|member| member.id == *site);
    let sites = situation.last.map(Decision::own_sites);
    let in_use = match (situation.order, sites) {
        (Some(Order::Failover(to)), _) => place(to),
        (_, Some([site])) => place(site),
        _ => None,
    };
    let served = situation.last.and_then(|last| match last.own_sites() {
        // What is used only because nothing better was known is left as soon as something is Up.
        [site] if last.reason.serving.as_ref() == Some(site) && last.reason.rule != Rule::Unproven => {
            place(site)
        }
        _ => None,
    });
    pick_of(&Bench {
        now: situation.now,
        stalls: situation.stalls,
        members: &members,
        in_use,
        served,
        latched: situation.latched,
        marks: situation.marks,
        order: situation.order.map(|order| match order {
            Order::Failover(_) => Asked::To,
            Order::Failback => Asked::Back,
        }),
        failback: situation.service.failback,
    })
}

/// Picks a member.
pub(super) fn pick_of(bench: &Bench) -> Pick {
    let members = bench.members;
    let mut marks = marked(bench.now, members, bench.marks);
    let mut latched = bench.latched;
    match bench.order {
        Some(Asked::To) => latched = true,
        Some(Asked::Back) => {
            latched = false;
            marks.retain(|site, _| !members.iter().any(|s| s.id == *site && s.up));
        }
        None => {}
    }
    let stays = |at: usize| members[at].may_stay && bench.served == Some(at);
    // An operator may know more of what is Unknown than its checks do.
    let asked = |at: usize| bench.order == Some(Asked::To) || bench.served == Some(at);
    let ordered = |at: usize| latched && members[at].unknown && asked(at);
    let in_use = bench.in_use.filter(|&at| members[at].eligible || stays(at) || ordered(at));
    let (index, rule, hold_until) = match in_use {
        None => {
            let (index, rule) = next(members, bench.in_use);
            (index, rule, None)
        }
        Some(at) if latched && at > 0 => (Some(at), Rule::Latched { by: Latch::Operator }, None),
        Some(at) if !members[at].eligible && !stays(at) => (Some(at), Rule::Unproven, None),
        Some(at) => stay_or_return(bench, &marks, at),
    };
    if let Some(at) = index {
        marks.remove(&members[at].id);
        latched &= at > 0;
    }
    let rule = match (index, latched) {
        (Some(_), true) if !matches!(rule, Rule::Damped | Rule::Unproven) => {
            Rule::Latched { by: Latch::Operator }
        }
        _ => rule,
    };
    let frozen = index.is_some_and(|at| {
        let member = &members[at];
        member.maintained && !member.forced && bench.served == Some(at)
    });
    Pick { index, rule, latched, frozen, marks, hold_until }
}

/// Who is used where the member in use is not, and by which rule.
fn next(members: &[Stance], in_use: Option<usize>) -> (Option<usize>, Rule) {
    if let Some(at) = best(members) {
        return (Some(at), Rule::InOrder);
    }
    if let Some(at) = damped(members, in_use) {
        return (Some(at), Rule::Damped);
    }
    // What has only failed so far is better than nothing, but no reason to leave what is Down.
    let none_down = members.iter().all(|member| member.taken || !member.out);
    if let Some(at) = members.iter().position(|member| member.eligible).filter(|_| none_down) {
        return (Some(at), Rule::InOrder);
    }
    (unknown(members, in_use), Rule::Unproven)
}

/// A member of which nothing is known, where nothing is known to work and some are known not to: the one in use,
/// or the first. The one in use is left once it has failed again after it was Down, and where there is no such one,
/// once all that are Down have.
fn unknown(members: &[Stance], in_use: Option<usize>) -> Option<usize> {
    let waits = |at: usize| members[at].out && !members[at].confirmed;
    let wait = in_use.map_or_else(|| (0..members.len()).any(waits), waits);
    if wait || !members.iter().any(|member| member.out) {
        return None;
    }
    in_use.filter(|&at| members[at].unknown).or_else(|| members.iter().position(|member| member.unknown))
}

/// An endpoint that only damping keeps out, where there is no other: the one in use, or the first. Damping
/// is there to calm answers down, never to take the last one away.
fn damped(members: &[Stance], serving: Option<usize>) -> Option<usize> {
    let serving = serving.filter(|&at| members[at].damped);
    serving.or_else(|| members.iter().position(|member| member.damped))
}

/// The first in order that is Up, better one that is not being maintained, and of those one that has room
/// where the service sheds; failing that, the first that is Suspect and has passed before.
fn best(members: &[Stance]) -> Option<usize> {
    let sound = |roomy: bool| members.iter().position(|s| s.up && !s.maintained && !(roomy && s.full));
    let up = sound(true).or_else(|| sound(false)).or_else(|| members.iter().position(|s| s.up));
    up.or_else(|| members.iter().position(|s| s.eligible && s.proven))
}

/// The endpoint in use works: stay, unless one before it is Up and free to be returned to. Either way,
/// those before the one chosen may be Up and have to wait.
fn stay_or_return(bench: &Bench, marks: &Marks, at: usize) -> (Option<usize>, Rule, Option<Time>) {
    let mut chosen = at;
    let mut waits: Option<(Time, &SiteId)> = None;
    let mut manual = false;
    for (index, member) in bench.members[..at].iter().enumerate() {
        // What is being maintained is returned to when that is over, and what is full when it has room, or when
        // an operator says so.
        let passed_over = (member.maintained || member.full) && bench.order.is_none();
        if !member.up || passed_over {
            continue;
        }
        let until = match (marks.get(&member.id), bench.failback) {
            (None, _) => None,
            (Some(_), Failback::Manual) => {
                manual = true;
                continue;
            }
            (Some(mark), Failback::Auto { hold }) => Some(hold_end(*mark, member, hold, bench.stalls)),
        };
        match until.filter(|&until| until > bench.now) {
            None => {
                chosen = index;
                break;
            }
            Some(until) if waits.is_none_or(|(earliest, _)| until < earliest) => {
                waits = Some((until, &member.id));
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

/// When a member has been Up for as long as it has to be, counted from where its mark says.
pub(super) fn hold_end(mark: Mark, member: &Stance, hold: Duration, stalls: &Stalls) -> Time {
    let from = if let Mark::Back(back) = mark { back.max(member.up_since) } else { member.up_since };
    stalls.count_from(from) + hold
}

/// The marks as they are now: who is out gets one, who no longer is keeps it as [`Mark::Back`].
pub(super) fn marked(now: Time, members: &[Stance], marks: &Marks) -> Marks {
    let mark = |member: &Stance| {
        let old = marks.get(&member.id);
        if member.taken {
            return Some(Mark::Taken);
        }
        if member.out {
            return Some(Mark::Down);
        }
        match old? {
            // An Up's `since` is the sample that made it so, a little before this decision. One from longer ago
            // was seen elsewhere: a reload has given the endpoint a place that was Up already.
            Mark::Down if member.up && member.up_since + LATELY >= now => Some(Mark::Back(member.up_since)),
            Mark::Down | Mark::Taken => Some(Mark::Back(now)),
            Mark::Back(at) => Some(Mark::Back(*at)),
        }
    };
    members.iter().filter_map(|s| Some((s.id.clone(), mark(s)?))).collect()
}
