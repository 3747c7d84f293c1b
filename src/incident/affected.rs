//! What a decision says of what fails, and of what keeps a service from where it belongs.

use super::For;
use super::answer::Answer;
use crate::health::Health;
use crate::model::SiteId;
use crate::policy::{Decision, Noted, Reason, Rule};

/// Endpoints that fail by themselves, wholly or in part.
pub(super) fn broken(decision: &Decision) -> impl Iterator<Item = &Noted> {
    decision.reasons().flat_map(|reason| &reason.endpoints).filter(|noted| is_broken(noted))
}

pub(super) fn is_broken(noted: &Noted) -> bool {
    let fails = [Health::Suspect, Health::Down].contains(&noted.health)
        || noted.withheld.iter().any(|place| [Health::Suspect, Health::Down].contains(&place.health));
    fails && noted.forced.is_none() && noted.maintenance.is_none()
}

/// Whether a decision leaves what is Down, and nobody forced: more than a probe that was lost.
pub(super) fn leaves_down(decision: &Decision, before: &Answer) -> bool {
    let down = broken(decision).filter(|noted| noted.health == Health::Down);
    before.sites != decision.sites && { down }.any(|noted| before.sites.contains(&noted.site))
}

/// What keeps a service from where it belongs; `None` where it is there.
pub(super) fn waits(decision: &Decision) -> Option<For> {
    decision.reasons().find_map(waits_for)
}

fn waits_for(reason: &Reason) -> Option<For> {
    let broken = || reason.endpoints.iter().find(|noted| is_broken(noted));
    match &reason.rule {
        Rule::Holding { .. } | Rule::Delayed { .. } | Rule::Stepping { .. } => Some(For::Time),
        Rule::Latched { .. } => Some(For::Failback),
        Rule::Proposed { .. } => Some(For::Approval),
        Rule::Rejected { .. }
        | Rule::Damped
        | Rule::Unproven
        | Rule::AllDown { .. }
        | Rule::Unverified { .. } => Some(For::Recovery),
        Rule::Steered { notes, .. } => match notes.first() {
            Some((_, Rule::Latched { .. })) => Some(For::Failback),
            Some(_) => Some(For::Time),
            None => broken().map(|_| For::Recovery),
        },
        Rule::InOrder => broken().map(|_| For::Recovery),
    }
}

/// Families that are answered in another way than the rest: `AAAA from iad`.
pub(super) fn parts(decision: &Decision) -> String {
    let parts = decision.families.iter().map(|part| format!("{} from {}", part.family, listed(&part.sites)));
    parts.collect::<Vec<_>>().join(" and ")
}

/// Whether a family leaves something broken that was answered before.
pub(super) fn family_left(decision: &Decision, before: &Answer) -> bool {
    decision.families.iter().any(|part| {
        let gone = part.reason.endpoints.iter().filter(|noted| !part.sites.contains(&noted.site));
        { gone }.any(|noted| is_broken(noted) && before.sites.contains(&noted.site))
    })
}

pub(super) fn listed(sites: &[SiteId]) -> String {
    if sites.is_empty() { "no site".to_owned() } else { sites.join(" and ") }
}

/// What is in one and not in the other.
pub(super) fn less<'a>(one: &'a [String], other: &[String]) -> Vec<&'a str> {
    one.iter().filter(|line| !other.contains(line)).map(String::as_str).collect()
}

/// The failure in what a check says of itself: `connection refused` of `1 of 3 failed, connection refused`.
pub(super) fn failure(because: &str) -> &str {
    because
        .split_once(" failed, ")
        .or_else(|| because.split_once(", "))
        .map_or(because, |(_, failure)| failure)
}
