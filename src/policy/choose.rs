//! The one way into this room: a situation in, a choice out.

use super::OverrideKind;
use super::choice::Choice;
use super::endpoint::Standing;
use super::failover;
use super::last_resort::{last_resort, last_resort_as};
use super::memory::Memories;
use super::reason::{LastResort, Noted, Reason, Rule};
use super::records;
use super::situation::Situation;
use super::tree;
use crate::health::Health;
use crate::model::{Service, SiteId};

/// Chooses what a service answers with.
pub fn choose(situation: &Situation) -> Choice {
    if works_nowhere_in_maintenance(situation) {
        return last_resort_as(situation, LastResort::Keep);
    }
    if let Some(tree) = &situation.service.tree {
        return tree::choose(situation, tree);
    }
    let pick = failover::pick(situation);
    let (service, standings) = (situation.service, situation.standings);
    let (latched, marks, hold_until) = (pick.latched, pick.marks, pick.hold_until);
    match pick.index {
        None => Choice { latched, marks, hold_until, ..last_resort(situation) },
        Some(at) => {
            let standing = &standings[at];
            let unseen = standing.is_unknown() && !standing.may_stay();
            let lost = unseen || pick.rule == Rule::Damped;
            let shaky = lost || standing.is_shaky() && !pick.frozen;
            let ttl = if shaky { service.ttl_suspect } else { service.ttl };
            let kept = if pick.frozen { records::kept(situation, ttl) } else { None };
            let records = kept.map_or_else(|| records::of(service, ttl, &[(at, standing)]), |(_, kept)| kept);
            let noted = standings[..=at].iter().map(Noted::of).collect();
            let reason = Reason { serving: Some(standing.site.clone()), rule: pick.rule, endpoints: noted };
            let (sites, groups, steer) = (vec![standing.site.clone()], Memories::new(), None);
            Choice { sites, records, ttl, reason, latched, marks, hold_until, groups, steer, partial: None }
        }
    }
}

/// Whether every endpoint is Down or taken out, and one that is in use is in maintenance. That one stays in use, and so
/// do its records; but people have to know that nothing works.
fn works_nowhere_in_maintenance(situation: &Situation) -> bool {
    let weights = situation.service.endpoints.iter().map(|endpoint| endpoint.weight);
    let mut used =
        situation.standings.iter().zip(weights).filter(|(_, weight)| *weight > 0).map(|(it, _)| it);
    let in_use = |site: &SiteId| situation.last.is_some_and(|last| last.own_sites().contains(site));
    let maintained = |it: &Standing| !it.is_taken() && it.maintenance.is_some() && in_use(&it.site);
    situation.order.is_none()
        && used.clone().any(maintained)
        && used.all(|standing| standing.is_out() && !standing.is_damped() || standing.is_absent())
}

/// Why a failover of this service to this endpoint is refused, where it is answered from `left`; `None` where it
/// is not. What is Unknown is no worse than what does not work.
pub fn refuse_failover(service: &Service, standing: &Standing, left: Option<&Standing>) -> Option<String> {
    let at = service.endpoints.iter().position(|endpoint| endpoint.site == standing.site);
    if let (Some(tree), Some(at)) = (&service.tree, at)
        && !tree.fails_over(at)
    {
        let site = &standing.site;
        return Some(format!(
            "{site} is in no group with policy failover; drain the other sites to send everybody there"
        ));
    }
    if standing.is_eligible() || standing.is_unknown() && left.is_none_or(|left| !left.is_eligible()) {
        return None;
    }
    let way_out = match standing.overridden.as_ref().map(|forced| forced.kind) {
        Some(OverrideKind::Drain | OverrideKind::ForceDown) => "undrain it first",
        _ if standing.found.health == Health::Unknown => "wait for a sample, or force it up first",
        _ => "wait until it works, or force it up first",
    };
    Some(format!("{}; {way_out}", Noted::of(standing)))
}
