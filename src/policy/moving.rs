//! Whether a move that policy wants may be made now: moves are told from other choices, and a choice that
//! has to wait becomes one that stays.
//!
//! ```text
//!  wish ── no move ────────────────────────────────────────────────► carried out
//!    │ a failover, not Down for its delay ──► Delayed
//!    │ approval asked for, or a safety rule broken ──► Proposed ─ approved, nobody answered ─┐
//!    │                                                   └─ rejected ──► Rejected (stays)     │
//!    └ a failback in steps ──► Stepping ─ last step over ─────────────────────────────────────┴► moved
//! ```

use super::choice::Choice;
use super::endpoint::Standing;
use super::failover::marked;
use super::member::Stance;
use super::moves::{Move, MoveKind, Partial, Step};
use super::reason::{Noted, Reason, Rule};
use super::records;
use super::situation::Situation;
use crate::health::Health;
use crate::model::{Moving, SiteId};
use crate::time::{Stalls, Time};

/// The move a wish comes to, where it is one that nobody ordered. An operator who takes the endpoint in use
/// out has ordered what follows; the first choice of all, what was used because nothing better was known, and what
/// the configuration no longer has, is left without asking.
pub fn movement(situation: &Situation, wish: &Choice) -> Option<Move> {
    // Where clients are shared out, no one endpoint is the one that is left.
    let plain = situation.order.is_none() && situation.service.tree.is_none();
    let last = situation.last.filter(|_| plain)?;
    if matches!(last.reason.rule, Rule::Unverified { .. } | Rule::Unproven) {
        return None;
    }
    // Nobody moves from where nobody is sent.
    last.all_records().next()?;
    let ((Some(from), _) | (None, [from])) = (&last.reason.serving, &last.sites[..]) else { return None };
    let to = wish.reason.serving.as_ref().filter(|to| *to != from)?;
    let left = standing(situation, from).filter(|left| !left.is_taken())?;
    // What could stay, as nothing that counts speaks against it, is left for a preferred one alone.
    let stays = left.is_eligible() || left.may_stay();
    let kind = if stays { MoveKind::Failback } else { MoveKind::Failover };
    Some(Move { from: from.clone(), to: to.clone(), kind, family: None, keeps: false })
}

/// Until when a failover is delayed; `None` where it no longer is.
pub fn delayed_until(situation: &Situation, moving: &Move) -> Option<Time> {
    let delay = situation.service.moving.delay;
    let left = standing(situation, &moving.from)?;
    let counts = moving.kind == MoveKind::Failover && !delay.is_zero() && left.found.health == Health::Down;
    counts
        .then(|| situation.stalls.count_from(left.found.since) + delay)
        .filter(|&until| until > situation.now)
}

/// The step a failback is at: begun now, gone on with, or `None` once the last one is over and all move.
pub fn step(config: &Moving, last: Option<&Step>, moving: &Move, now: Time, stalls: &Stalls) -> Option<Step> {
    let Move { to, family, .. } = moving;
    let step = match last.filter(|step| step.to == *to && step.family == *family) {
        None => Step { to: to.clone(), at: 0, since: now, family: *family },
        Some(step) if stalls.count_from(step.since) + config.step_hold <= now => {
            Step { at: step.at + 1, since: now, ..step.clone() }
        }
        Some(step) => step.clone(),
    };
    (step.at < config.steps.len()).then_some(step)
}

/// The choice to stay where the service is, as `rule` says: the records it has, with the short TTL where a move may come. `percent`
/// of the clients are sent to where it would move.
pub fn stay(situation: &Situation, wish: Choice, moving: &Move, rule: Rule, percent: Option<u8>) -> Choice {
    let service = situation.service;
    // Nothing is about to happen to what works where it is.
    let is_settled = matches!(rule, Rule::Rejected { .. });
    let is_settled =
        is_settled && standing(situation, &moving.from).is_some_and(|it| it.is_up() && !it.is_shaky());
    let ttl = if is_settled { service.ttl } else { service.ttl_suspect };
    let find = |site: &SiteId| situation.standings.iter().position(|standing| standing.site == *site);
    let of = |site: &SiteId| {
        let at = find(site)?;
        Some(records::of(service, ttl, &[(at, &situation.standings[at])]))
    };
    let left = standing(situation, &moving.from);
    let kept = match left {
        Some(left) if left.is_eligible() => None,
        // What a reload brought and nobody has seen work is no better than what was answered before.
        Some(left) if left.has_never_passed() => records::last(situation, ttl),
        _ => records::kept(situation, ttl).map(|(_, kept)| kept),
    };
    let Some(records) = kept.or_else(|| of(&moving.from)) else { return wish };
    let partial = percent
        .and_then(|percent| Some(Partial { site: moving.to.clone(), percent, records: of(&moving.to)? }));
    let members: Vec<Stance> = situation.standings.iter().map(Stance::of).collect();
    let mut marks = marked(situation.now, &members, situation.marks);
    marks.remove(&moving.from);
    let noted = |site: &SiteId| find(site).map(|at| Noted::of(&situation.standings[at]));
    let target = noted(&moving.to).filter(|_| moving.kind == MoveKind::Failback);
    let endpoints = target.into_iter().chain(noted(&moving.from)).collect();
    Choice {
        sites: vec![moving.from.clone()],
        records,
        ttl,
        reason: Reason { serving: Some(moving.from.clone()), rule, endpoints },
        latched: situation.latched,
        marks,
        hold_until: wish.hold_until,
        groups: wish.groups,
        steer: None,
        partial,
    }
}

/// The endpoint that would take over from `serving`: the next in order. `None` where there is no other.
pub fn standby<'a>(standings: &'a [Standing], serving: &str) -> Option<&'a Standing> {
    standings.iter().find(|standing| &*standing.site != serving)
}

/// Why an endpoint could not take over now; `None` where it could.
pub fn unready(standing: &Standing) -> Option<String> {
    (!standing.is_eligible()).then(|| Noted::of(standing).to_string())
}

fn standing<'a>(situation: &Situation<'a>, site: &SiteId) -> Option<&'a Standing> {
    situation.standings.iter().find(|standing| standing.site == *site)
}
