//! The one way into this room: a situation in, a choice out.

use super::endpoint::Standing;
use super::failover::{self, Marks};
use super::reason::{LastResort, Noted, Reason, Rule};
use super::records;
use super::steer::Steer;
use super::tree::{self, Memories, Regions};
use super::{Decision, OverrideKind, Partial};
use crate::dns::RrSet;
use crate::health::Health;
use crate::model::{Service, SiteId};
use crate::time::Time;

/// Everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The moment.
    pub now: Time,
    /// The service as configured.
    pub service: &'a Service,
    /// How its endpoints stand, one for each of `service.endpoints` and in their order.
    pub standings: &'a [Standing],
    /// What was last decided.
    pub last: Option<&'a Decision>,
    /// Whether an operator's failover holds it where it is.
    pub latched: bool,
    /// What is remembered of endpoints that were of no use.
    pub marks: &'a Marks,
    /// What is remembered of its groups, where it has any.
    pub groups: &'a Memories,
    /// Which endpoints clients prefer, where that matters.
    pub regions: Option<&'a Regions>,
    /// What an operator asks for at this moment.
    pub order: Option<Order<'a>>,
}

/// What an operator may ask of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// Move to this site, which is eligible, and stay there.
    Failover(&'a SiteId),
    /// Return to the best that is Up, without waiting.
    Failback,
}

/// What to answer from now on, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The sites answered with.
    pub sites: Vec<SiteId>,
    /// What is answered.
    pub records: Vec<RrSet>,
    /// Seconds.
    pub ttl: u32,
    /// Why.
    pub reason: Reason,
    /// Whether an operator's failover still holds it.
    pub latched: bool,
    /// What to remember of endpoints that are or were of no use.
    pub marks: Marks,
    /// When to choose again because a hold ends or a share grows.
    pub hold_until: Option<Time>,
    /// What to remember of its groups.
    pub groups: Memories,
    /// How that depends on the client, where it does.
    pub steer: Option<Box<Steer>>,
    /// The clients that a failback has moved already.
    pub partial: Option<Partial>,
}

impl Choice {
    /// Gives the address hints of SVCB and HTTPS records that are left open (`ipv4hint=auto`) the addresses that are
    /// answered beside them, for every client.
    pub fn close_hints(&mut self) {
        records::close_hints(&mut self.records);
        let steered = self.steer.iter_mut().flat_map(|steer| &mut steer.variants);
        for variant in steered {
            records::close_hints(&mut variant.records);
        }
        if let Some(partial) = &mut self.partial {
            records::close_hints(&mut partial.records);
        }
    }

    /// Whether this is what was decided.
    pub fn stands_in(&self, decision: &Decision) -> bool {
        self.sites == decision.sites
            && self.records == decision.records
            && self.steer == decision.steer
            && self.ttl == decision.ttl
            && self.reason == decision.reason
            && self.partial == decision.partial
    }
}

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

/// No endpoint is eligible: the configuration's `all_down` says what is answered, with the short TTL,
/// so that clients come back soon. Where nothing at all is known of any endpoint, none is known to be
/// down either, and the last answer, or else the first endpoint, stays.
pub(super) fn last_resort(situation: &Situation) -> Choice {
    let verified = situation.standings.iter().any(Standing::is_out);
    let asked = if verified { LastResort::of(&situation.service.all_down) } else { LastResort::Keep };
    last_resort_as(situation, asked)
}

fn last_resort_as(situation: &Situation, asked: LastResort) -> Choice {
    let standings = situation.standings;
    let ttl = situation.service.ttl_suspect;
    let verified = standings.iter().any(Standing::is_out);
    let (sites, records, answer) = records::last_resort(situation, asked, ttl);
    let rule = if verified { Rule::AllDown { answer } } else { Rule::Unverified { answer } };
    let reason = Reason { serving: None, rule, endpoints: standings.iter().map(Noted::of).collect() };
    let steer = if answer == LastResort::Keep { records::kept_steer(situation, ttl) } else { None };
    let (latched, marks, hold_until, groups) = (false, Marks::new(), None, Memories::new());
    Choice { sites, records, ttl, reason, latched, marks, hold_until, groups, steer, partial: None }
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
