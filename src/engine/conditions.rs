//! What is wrong, kept as the engine steps: a condition is set and cleared where a service is decided, and where
//! a check or the vantage changes, so that nobody has to look through services to learn how things stand.
//!
//! What a decision says of how things stand is read from the decision alone ([`conditions_of`]), for alerts are made of
//! recorded decisions: so they cannot say anything else than `status` does.

use std::collections::BTreeSet;

use super::{Effect, Engine, Happened};
use crate::condition::{ConditionKind, Conditions};
use crate::dns::Name;
use crate::health::{Health, Outcome};
use crate::model::{CheckKey, SiteId, Whereto};
use crate::policy::{Decision, Family, Noted, OverrideKind, Reason, Rule, Withheld, unmade};
use crate::time::Time;

/// The kinds that [`conditions_of`] finds.
const OF_DECISION: &[ConditionKind] = &[
    ConditionKind::AllDown,
    ConditionKind::DeadSite,
    ConditionKind::FamilyDown,
    ConditionKind::Unverified,
    ConditionKind::ForcedUp,
    ConditionKind::PendingApproval,
    ConditionKind::Blocked,
];
/// What a fault of the vantage is about.
const VANTAGE: &str = "vantage";

/// What is wrong while this decision stands, and its text.
pub fn conditions_of(decision: &Decision) -> Vec<(ConditionKind, String)> {
    let name = subject_of(&decision.service);
    let rule = &decision.reason.rule;
    match rule {
        Rule::AllDown { .. } => {
            vec![(ConditionKind::AllDown, format!("{name}: all endpoints down: {}", each(decision)))]
        }
        Rule::Unproven => {
            let sites = decision.sites.join(" and ");
            let text =
                format!("{name} is answered from {sites}, which is Unknown: no endpoint is known to work");
            vec![(ConditionKind::AllDown, text)]
        }
        Rule::Unverified { .. } => {
            let text = format!("{name}: no endpoint has a result yet: {}", each(decision));
            vec![(ConditionKind::Unverified, text)]
        }
        _ => {
            let lost = lost_families(decision).into_iter();
            let lost: Vec<String> = lost.map(|(family, why)| format!("{family} of {name} {why}")).collect();
            let down = (!lost.is_empty()).then(|| (ConditionKind::FamilyDown, lost.join("; ")));
            let forced = forced_up_though_down(decision).map(|noted| {
                let site = &noted.site;
                (
                    ConditionKind::ForcedUp,
                    format!("{name} is answered from {site}, which is forced Up: {noted}"),
                )
            });
            down.into_iter().chain(forced).chain(out_of_place(decision)).collect()
        }
    }
}

/// The site that is answered from because an operator forces it up, though results say Down.
pub fn forced_up_though_down(decision: &Decision) -> Option<&Noted> {
    let parts = decision.families.iter().map(|part| (&part.reason, &part.sites[..]));
    let all = std::iter::once((&decision.reason, decision.own_sites())).chain(parts);
    let mut noted = all
        .flat_map(|(reason, sites)| reason.endpoints.iter().filter(move |noted| sites.contains(&noted.site)));
    noted.find(|noted| noted.health == Health::Down && is_forced_up(noted))
}

fn is_forced_up(noted: &Noted) -> bool {
    noted.forced.as_ref().is_some_and(|forced| forced.kind == OverrideKind::ForceUp)
}

/// What is wrong where some endpoint works: the service is not answered from where it should be.
fn out_of_place(decision: &Decision) -> Option<(ConditionKind, String)> {
    let name = subject_of(&decision.service);
    match (dead_site(decision), next_of(decision)) {
        (Some(DeadSite { family, noted }), next) => {
            let next = next.map(|(_, _, next)| format!("; {next}")).unwrap_or_default();
            let (what, of) = match family {
                Some(family) => (format!("{family} of {name}"), format!("where {family} is Down")),
                None => (name, "which is Down".to_owned()),
            };
            let (site, because) = (&noted.site, &noted.because);
            let text = format!("{what} is answered from {site}, {of} ({because}){next}");
            Some((ConditionKind::DeadSite, text))
        }
        (None, Some((Some(kind), None, next))) => Some((kind, format!("{name}: {next}"))),
        (None, Some((Some(kind), Some(family), next))) => Some((kind, format!("{family} of {name}: {next}"))),
        (None, Some((None, ..)) | None) => None,
    }
}

/// The address families that clients are not given an address of that works, though of the other they are, and why:
/// those that no endpoint works for, and, where families move together, those that are Down at the endpoint in use.
pub fn lost_families(decision: &Decision) -> Vec<(Family, String)> {
    let nowhere = |family: Family| {
        let part = decision.part(family)?;
        let is_lost = matches!(part.reason.rule, Rule::AllDown { .. } | Rule::Unproven);
        is_lost.then(|| "has no endpoint that works".to_owned())
    };
    let lost = |family: Family| Some((family, nowhere(family).or_else(|| withheld(decision, family))?));
    Family::BOTH.into_iter().filter_map(lost).collect()
}

/// Why some clients, or all, are answered without a family that the site they are sent to was given.
fn withheld(decision: &Decision, family: Family) -> Option<String> {
    if decision.part(family).is_some() {
        return None;
    }
    let variants = decision.steer.iter().flat_map(|steer| &steer.variants);
    let answers = variants.map(|variant| (&variant.sites[..], &variant.records));
    let answers: Vec<_> = std::iter::once((decision.own_sites(), &decision.records)).chain(answers).collect();
    let lacks = |site: &SiteId| {
        let mut without =
            answers.iter().filter(|(_, records)| !records.iter().any(|set| set.rtype == family.rtype()));
        without.any(|(sites, _)| sites.contains(site))
    };
    decision.reason.endpoints.iter().filter(|noted| lacks(&noted.site)).find_map(|noted| {
        let own = |it: &&Withheld| it.place.parse().is_ok_and(|address| family.has(&Whereto::Addr(address)));
        let mut down = noted.withheld.iter().filter(|it| it.health == Health::Down).filter(own);
        let Withheld { place, because, .. } = down.next()?;
        Some(format!("is not answered from {}: {place} is Down ({because})", noted.site))
    })
}

/// A site that clients are sent to although it is Down.
#[derive(Clone, Copy, Debug)]
pub struct DeadSite<'a> {
    /// The address family that is answered from it, where the other one is not.
    pub family: Option<Family>,
    /// The site, and how it stands.
    pub noted: &'a Noted,
}

/// The site that a decision, or its part for one address family, answers with although it is Down, and nobody said
/// to: not as a last resort, nor in maintenance.
pub fn dead_site(decision: &Decision) -> Option<DeadSite<'_>> {
    let rule = &decision.reason.rule;
    if matches!(rule, Rule::AllDown { .. } | Rule::Unverified { .. } | Rule::Unproven) {
        return None;
    }
    let parts = decision.families.iter();
    let parts = parts.filter(|part| !matches!(part.reason.rule, Rule::Steered { .. }));
    let of_family = |(family, noted)| DeadSite { family: Some(family), noted };
    // Where clients are shared out, a dead site is answered from only as the last resort of one family.
    let shared = matches!(rule, Rule::Steered { .. }) && !decision.families.is_empty();
    let whole = Some(&decision.reason).filter(|_| !shared);
    let whole = whole.and_then(|reason| dead_of(reason, decision.own_sites()));
    let mut parts = parts.filter_map(|part| Some((part.family, dead_of(&part.reason, &part.sites)?)));
    whole.map(|noted| DeadSite { family: None, noted }).or_else(|| parts.next().map(of_family))
}

fn dead_of<'a>(reason: &'a Reason, sites: &[SiteId]) -> Option<&'a Noted> {
    // Damping alone says Down of what results say works.
    if matches!(reason.rule, Rule::AllDown { .. } | Rule::Unverified { .. } | Rule::Unproven | Rule::Damped) {
        return None;
    }
    reason.endpoints.iter().find(|noted| {
        noted.health == Health::Down
            && noted.maintenance.is_none()
            && !is_forced_up(noted)
            && sites.contains(&noted.site)
    })
}

/// What a service or one of its families waits for; what a person can answer comes first.
fn next_of(decision: &Decision) -> Option<(Option<ConditionKind>, Option<Family>, String)> {
    let parts = decision.families.iter().map(|part| (Some(part.family), &part.reason));
    let all = std::iter::once((None, &decision.reason)).chain(parts);
    let waits = all.filter_map(|(family, reason)| {
        let (kind, text) = pending(&reason.rule)?;
        Some((kind, family, text))
    });
    waits.min_by_key(|(kind, ..)| kind.is_none())
}

/// What a move waits for, in words; and what that is where the site in use works.
fn pending(rule: &Rule) -> Option<(Option<ConditionKind>, String)> {
    match rule {
        Rule::Delayed { to, until } => Some((None, format!("it moves to {to} at {until}"))),
        Rule::Proposed { to, proposal, limit: Some(limit), .. } => {
            let text = format!(
                "the move to {to} is blocked by a safety rule ({limit}); run `detour approve {proposal}` to move anyway"
            );
            Some((Some(ConditionKind::Blocked), text))
        }
        Rule::Proposed { to, proposal, limit: None, .. } => {
            let text = format!("the move to {to} is pending approval; run `detour approve {proposal}`");
            Some((Some(ConditionKind::PendingApproval), text))
        }
        Rule::Rejected { to, proposal, by } => {
            let unmade = unmade(by);
            let text = format!("the move to {to} {unmade}; run `detour approve {proposal}` to move anyway");
            Some((None, text))
        }
        _ => None,
    }
}

fn each(decision: &Decision) -> String {
    let endpoints: Vec<String> = decision.reason.endpoints.iter().map(ToString::to_string).collect();
    endpoints.join("; ")
}

/// A service's name as conditions have it: without the final dot.
fn subject_of(service: &Name) -> String {
    service.to_string().trim_end_matches('.').to_owned()
}

impl Engine {
    /// What is wrong now.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// A service was decided, or its decision stands.
    pub(super) fn note_decision(&mut self, name: &Name) {
        let Some(saved) = self.decided.get(name) else { return };
        let found = conditions_of(&saved.decision);
        // Also where it was made before a restart.
        self.conditions.replace(OF_DECISION, &subject_of(name), saved.decision.at, &found);
    }

    /// All that was to move has: sites that carry, or can carry, something else than before.
    pub(super) fn note_loads(&mut self, now: Time) {
        for site in self.tally.take_changed() {
            let load = self.tally.of(&site).load;
            match self.capacity(&site).filter(|&capacity| load > u64::from(capacity)) {
                Some(capacity) => {
                    let text =
                        format!("site {site} carries a load of {load}, and its capacity is {capacity}");
                    self.conditions.set(ConditionKind::OverCapacity, &site, now, &text);
                }
                None => self.conditions.clear(ConditionKind::OverCapacity, &site),
            }
            self.touch_shedding(now, &site);
        }
    }

    /// A site has another load: who passes it over as it is full, or uses it, is decided anew where that is no longer
    /// as it was.
    fn touch_shedding(&mut self, now: Time, site: &SiteId) {
        let is_otherwise = |name: &&Name| {
            let (steered, saved) = self.services.get(*name).zip(self.decided.get(*name))?;
            let mut noted = saved.decision.reason.endpoints.iter();
            let was_full = noted.find(|noted| noted.site == *site)?.full;
            Some(was_full != self.would_be_over(&steered.service, site))
        };
        let shedding = self.shedding.get(site).into_iter().flatten();
        let touched: Vec<Name> =
            shedding.filter(|name| is_otherwise(name).unwrap_or(false)).cloned().collect();
        for name in touched {
            self.agenda.touch(now, name);
        }
    }

    /// Whether a service's next endpoint works, and why not.
    pub(super) fn note_standby(&mut self, now: Time, name: &Name, unready: Option<(&str, &str)>) {
        let subject = subject_of(name);
        match unready {
            Some((site, why)) => {
                let text = format!("{subject} has no standby: {site}: {why}");
                self.conditions.set(ConditionKind::NoStandby, &subject, now, &text);
            }
            None => self.conditions.clear(ConditionKind::NoStandby, &subject),
        }
    }

    /// A check's health changed.
    pub(super) fn note_check(&mut self, now: Time, key: &CheckKey, from: Health) {
        let Some(watched) = self.checks.get(key) else { return };
        let found = watched.found();
        if found.health == Health::Unknown {
            let text = format!("{key}: {}", found.because);
            self.conditions.set(ConditionKind::CheckSilent, &key.to_string(), now, &text);
        } else if from == Health::Unknown {
            self.conditions.clear(ConditionKind::CheckSilent, &key.to_string());
            self.conditions.clear(ConditionKind::CheckCannotRun, &key.to_string());
        }
    }

    /// A check runs and runs, and nothing is known of it: what its runs come to does not count.
    pub(super) fn note_discarded(&mut self, now: Time, key: &CheckKey, outcome: &Outcome) {
        let Outcome::Discarded(why) = outcome else { return };
        let Some(watched) = self.checks.get(key).filter(|watched| watched.is_late(now, &self.stalls)) else {
            return;
        };
        // A fault of the vantage is told as that.
        if watched.found().health == Health::Unknown && !self.canaries.in_doubt() {
            let subject = key.to_string();
            let had = self.conditions.has(ConditionKind::CheckSilent, &subject);
            let kind = if had { ConditionKind::CheckSilent } else { ConditionKind::CheckCannotRun };
            self.conditions.set(kind, &subject, now, &format!("{key}: its results do not count: {why}"));
        }
    }

    /// A fault of the vantage began or ended.
    pub(super) fn note_vantage(&mut self, now: Time) {
        match self.canaries.doubt() {
            Some(fault) => {
                let text = format!("no result counts and nothing moves: {}", fault.because);
                self.conditions.set(ConditionKind::VantageFault, VANTAGE, now, &text);
            }
            None => self.conditions.clear(ConditionKind::VantageFault, VANTAGE),
        }
    }

    /// After a load: what is of services and checks that are no more is over.
    pub(super) fn forget_conditions(&mut self) {
        let (services, checks) = (&self.services, &self.checks);
        let sites = self.config.as_ref().map_or(&[][..], |config| &config.sites);
        let mut silent = BTreeSet::new();
        let of_checks = [ConditionKind::CheckSilent, ConditionKind::CheckCannotRun];
        if of_checks.iter().any(|&kind| self.conditions.count(kind) > 0) {
            let unknown = checks.iter().filter(|(_, watched)| watched.found().health == Health::Unknown);
            silent.extend(unknown.map(|(key, _)| key.to_string()));
        }
        self.conditions.retain(|kind, subject| match kind {
            kind if of_checks.contains(&kind) => silent.contains(subject),
            kind if OF_DECISION.contains(&kind) || kind == ConditionKind::NoStandby => {
                subject.parse().is_ok_and(|name: Name| services.contains_key(&name))
            }
            ConditionKind::OverCapacity => sites.iter().any(|site| *site.id == *subject),
            _ => true,
        });
    }

    /// Records what began and ended and no other entry tells.
    pub(super) fn tell_conditions(&mut self, out: &mut Vec<Effect>) {
        let turns = self.conditions.take_turns().into_iter();
        out.extend(turns.map(|turn| Effect::Record(Happened::Condition(turn))));
    }
}
