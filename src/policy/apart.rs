//! The address families of a service. Where one of them is dead at the endpoint that policy chose, the same policy
//! chooses once more for that family alone: from how the addresses of that family stand at each endpoint, and from
//! what is remembered of it.
//!
//! ```text
//!  standings ─► the service's choice ─┬─ withholds no whole family ─────────────► that is all
//!                                     └─ withholds one ─► standings of its addresses alone ─► the same policy
//!                                                                                    │
//!                                     one decision with a part for that family ◄─────┘
//! ```
//!
//! A part lasts until its family is answered from where the rest of the service is: after a failback's hold, like
//! every return. An endpoint that was never given an address of a family is no candidate for it. A CNAME answers
//! both families or none, so a service with a CNAME endpoint is never in parts: it moves as a whole.

use std::net::IpAddr;
use std::sync::Arc;

use super::Decision;
use super::choice::Choice;
use super::choose::choose;
use super::decision::FamilyPart;
use super::endpoint::{Earlier, Standing};
use super::family::Family;
use super::memory::{FamilyMemories, FamilyMemory, Memories};
use super::moves::Partial;
use super::reason::{Reason, Rule};
use super::situation::Situation;
use super::steer::Steer;
use crate::dns::{RrSet, RrType};
use crate::health::{self, Finding, Health, works};
use crate::model::{Families, Service, SiteId, Target, Whereto};

/// A service as one of its families sees it.
#[derive(Clone, Debug)]
pub struct Apart {
    /// Which.
    pub family: Family,
    standings: Vec<Standing>,
    last: Option<Decision>,
    memory: FamilyMemory,
}

/// A choice, with the parts of families that are answered in another way than the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The whole: every record that is answered, and every site.
    pub choice: Choice,
    /// The parts, by family.
    pub families: Vec<FamilyPart>,
    /// What to remember of them.
    pub memories: FamilyMemories,
}

impl Apart {
    /// The families that have to be decided by themselves: those that `wish` or the decision in force leaves out at
    /// an endpoint that has addresses of it, and those that are in parts already.
    pub fn of(situation: &Situation, wish: &Choice, memories: &FamilyMemories) -> Vec<Apart> {
        let last = situation.last.map_or(&[][..], Decision::own_sites);
        let at = |sites: &'_ [SiteId], is: &dyn Fn(&Standing) -> bool| {
            situation.standings.iter().any(|standing| sites.contains(&standing.site) && is(standing))
        };
        // What is in use in maintenance is not left, so nothing moves together.
        let stays = at(last, &|standing| standing.maintenance.is_some()) && !has_cname(situation.service);
        if !splits(situation.service) && !stays {
            return Vec::new();
        }
        let apart = |family: Family| {
            // Of what is Down in maintenance all is answered as it was; but people have to know where nothing works.
            let maintained =
                |standing: &Standing| standing.maintenance.is_some() && is_down(standing, family);
            let withheld = |standing: &Standing| withholds(standing, family) || maintained(standing);
            // What the endpoints in use were never given stays away, whatever others have.
            let given = at(&wish.sites, &|standing| has(standing, family));
            let memory = memories.get(&family);
            let needed = memory.is_some() || at(&wish.sites, &withheld) || at(last, &withheld);
            (given && needed).then(|| Apart {
                family,
                standings: situation.standings.iter().map(|it| of_family(it, family)).collect(),
                last: situation.last.map(|last| last_of(situation, last, family, wish)),
                // Until now it was where the service was.
                memory: memory.cloned().unwrap_or_else(|| FamilyMemory {
                    latched: situation.latched,
                    marks: situation.marks.clone(),
                    groups: groups_of(situation, family),
                }),
            })
        };
        Family::BOTH.into_iter().filter_map(apart).collect()
    }

    /// The situation of the service, as far as this family goes.
    pub fn situation<'a>(&'a self, of: &Situation<'a>) -> Situation<'a> {
        Situation {
            standings: &self.standings,
            last: self.last.as_ref(),
            latched: self.memory.latched,
            marks: &self.memory.marks,
            groups: &self.memory.groups,
            ..*of
        }
    }

    /// What policy chooses for this family.
    pub fn choose(&self, of: &Situation) -> Choice {
        let mut choice = self.best(of);
        // Where families move together, one that was left out is no better for a maintenance that began.
        let is_left_out =
            !splits(of.service) && self.last.as_ref().is_some_and(|last| last.records.is_empty());
        if is_left_out && matches!(choice.reason.rule, Rule::AllDown { .. }) {
            choice.records.clear();
            choice.steer = None;
        }
        choice
    }

    fn best(&self, of: &Situation) -> Choice {
        let situation = self.situation(of);
        let choice = choose(&situation);
        let works = || self.standings.iter().any(Standing::is_eligible);
        if !matches!(choice.reason.rule, Rule::AllDown { .. }) || !works() {
            return self.own(choice);
        }
        // Too few of a group work for this family, and no other group does: those few are better than none.
        let mut service = of.service.clone();
        if let Some(tree) = &mut service.tree {
            Arc::make_mut(tree).groups.iter_mut().for_each(|group| group.min_up = 1);
        }
        self.own(choose(&Situation { service: &service, ..situation }))
    }

    /// A choice of this family, without what other families and endpoints answer.
    pub fn own(&self, mut choice: Choice) -> Choice {
        let rtype = self.family.rtype();
        let absent = |site: &SiteId| self.standings.iter().any(|it| it.site == *site && it.is_absent());
        choice.records.retain(|set| set.rtype == rtype);
        for variant in choice.steer.iter_mut().flat_map(|steer| &mut steer.variants) {
            variant.records.retain(|set| set.rtype == rtype);
        }
        if let Some(Partial { records, .. }) = &mut choice.partial {
            records.retain(|set| set.rtype == rtype);
        }
        choice.reason.endpoints.retain(|noted| !absent(&noted.site));
        choice
    }

    fn is_absent_everywhere(&self) -> bool {
        self.standings.iter().all(Standing::is_absent)
    }
}

impl Joined {
    /// A choice for all of a service.
    pub fn whole(choice: Choice) -> Joined {
        Joined { choice, families: Vec::new(), memories: FamilyMemories::new() }
    }

    /// A choice for a service, with those that were made for families of it. What comes to the same is no part.
    pub fn of(situation: &Situation, mut choice: Choice, parts: Vec<(Apart, Choice)>) -> Joined {
        let mut families = Vec::new();
        let mut memories = FamilyMemories::new();
        let (plain, hold) = (choice.clone(), choice.hold_until);
        let mut stepping = None;
        for (apart, mut part) in parts {
            let family = apart.family;
            // No sample of it has counted yet: it is left out, as an address of which nothing is known is.
            if matches!(part.reason.rule, Rule::Unverified { .. }) || apart.is_absent_everywhere() {
                continue;
            }
            choice.hold_until = [choice.hold_until, part.hold_until].into_iter().flatten().min();
            let differs = differs(&plain, &part, family);
            if differs || part.hold_until.is_some_and(|_| part.hold_until != hold) {
                let memory = FamilyMemory { latched: part.latched, marks: part.marks, groups: part.groups };
                memories.insert(family, memory);
            }
            if !differs {
                continue;
            }
            if let Some(partial) = part.partial.take() {
                stepping = Some((family, partial));
            }
            replace(&mut choice.records, family, &part.records);
            let Choice { sites, records, ttl, reason, steer, .. } = part;
            families.push(FamilyPart { family, sites, records, ttl, reason, steer });
        }
        // The clients that have moved get of each family what works.
        let given = |site: &SiteId, family| {
            let at = situation.standings.iter().find(|standing| standing.site == *site);
            at.is_some_and(|standing| has(standing, family))
        };
        if let Some(Partial { site, records, .. }) = &mut choice.partial {
            for family in Family::BOTH.into_iter().filter(|&family| given(site, family)) {
                let left_out = records.iter().all(|set| set.rtype != family.rtype());
                if left_out || families.iter().any(|part| part.family == family) {
                    let of = of_type(&choice.records, family);
                    replace(records, family, &of);
                }
            }
        }
        if let Some((family, partial)) = stepping.filter(|_| choice.partial.is_none()) {
            let mut records = choice.records.clone();
            replace(&mut records, family, &partial.records);
            choice.partial = Some(Partial { records, ..partial });
        }
        if !families.is_empty() {
            let used = |site: &SiteId| {
                plain.sites.contains(site) || families.iter().any(|part| part.sites.contains(site))
            };
            let all = situation.service.endpoints.iter().map(|endpoint| &endpoint.site);
            choice.sites = all.filter(|site| used(site)).cloned().collect();
        }
        Joined { choice, families, memories }
    }

    /// Whether this is what was decided.
    pub fn stands_in(&self, decision: &Decision) -> bool {
        self.choice.stands_in(decision) && self.families == decision.families
    }
}

/// Whether a family's own choice is to be told beside the service's: it answers something else, or is a last resort.
fn differs(plain: &Choice, part: &Choice, family: Family) -> bool {
    let all_down = |choice: &Choice| matches!(choice.reason.rule, Rule::AllDown { .. });
    if all_down(part) && !all_down(plain) {
        return true;
    }
    let data = |records: &[RrSet]| {
        let of = records.iter().filter(|set| set.rtype == family.rtype());
        of.flat_map(|set| set.rdata.clone()).collect::<Vec<_>>()
    };
    let flows = |steer: &Option<Box<Steer>>| {
        steer.as_deref().map(|steer| {
            let variants = steer.variants.iter();
            let variants: Vec<_> = variants.map(|it| (it.sites.clone(), data(&it.records))).collect();
            (variants, steer.flows.clone(), steer.regions.clone())
        })
    };
    data(&plain.records) != data(&part.records) || flows(&plain.steer) != flows(&part.steer)
}

/// Gives `records` of a family's records these, in the place of those they have.
fn replace(records: &mut Vec<RrSet>, family: Family, with: &[RrSet]) {
    records.retain(|set| set.rtype != family.rtype());
    // Addresses stand before what is beside them, IPv4 first.
    let at = match family {
        Family::A => 0,
        Family::Aaaa => usize::from(records.first().is_some_and(|set| set.rtype == RrType::A)),
    };
    records.splice(at..at, with.iter().cloned());
}

fn of_type(records: &[RrSet], family: Family) -> Vec<RrSet> {
    records.iter().filter(|set| set.rtype == family.rtype()).cloned().collect()
}

impl Decision {
    /// The sites that the service as a whole is answered from, those of families that are decided by themselves
    /// aside.
    pub fn own_sites(&self) -> &[SiteId] {
        match (&self.reason.serving, &self.reason.rule) {
            (Some(serving), rule) if !self.families.is_empty() && !matches!(rule, Rule::Steered { .. }) => {
                std::slice::from_ref(serving)
            }
            _ => &self.sites,
        }
    }

    /// Whether what is answered depends on the client.
    pub fn is_by_client(&self) -> bool {
        let shared = self.steer.is_some() || self.families.iter().any(|part| part.steer.is_some());
        shared || self.partial.is_some()
    }

    /// Every record that some client may be answered with.
    pub fn all_records(&self) -> impl Iterator<Item = &RrSet> {
        let steers = self.steer.iter().chain(self.families.iter().filter_map(|part| part.steer.as_ref()));
        let variants = steers.flat_map(|steer| &steer.variants).flat_map(|variant| &variant.records);
        let moved = self.partial.iter().flat_map(|partial| &partial.records);
        self.records.iter().chain(variants).chain(moved)
    }

    /// What is decided of a family by itself.
    pub fn part(&self, family: Family) -> Option<&FamilyPart> {
        self.families.iter().find(|part| part.family == family)
    }

    /// As far as it is about one family.
    fn of_family(&self, family: Family) -> Decision {
        let mut own = Decision { families: Vec::new(), partial: None, ..self.clone() };
        if let Some(part) = self.part(family) {
            let FamilyPart { sites, records, ttl, reason, steer, .. } = part.clone();
            (own.sites, own.records, own.ttl) = (sites, records, ttl);
            (own.reason, own.steer) = (reason, steer);
            return own;
        }
        own.sites = self.own_sites().to_vec();
        own.records.retain(|set| set.rtype == family.rtype());
        for variant in own.steer.iter_mut().flat_map(|steer| &mut steer.variants) {
            variant.records.retain(|set| set.rtype == family.rtype());
        }
        own
    }

    /// The whole reason in words: the service's, then that of each family that is decided by itself.
    pub fn because(&self) -> String {
        let parts = self.families.iter().map(|part| format!("; {part}"));
        std::iter::once(self.reason.to_string()).chain(parts).collect()
    }

    /// What was decided of the service and of each part of it.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        std::iter::once(&self.reason).chain(self.families.iter().map(|part| &part.reason))
    }
}

/// What was decided of one family.
fn last_of(situation: &Situation, last: &Decision, family: Family, wish: &Choice) -> Decision {
    let mut own = last.of_family(family);
    let standing = |site: &SiteId| situation.standings.iter().find(|standing| standing.site == *site);
    // Other sites of the service answer other families.
    let answers = |site: &SiteId| {
        let mut places = standing(site).into_iter().flat_map(|standing| &standing.places);
        places.any(|(place, _)| holds(&own.records, place))
    };
    if own.steer.is_none() && own.sites.iter().any(answers) {
        own.sites = own.sites.iter().filter(|site| answers(site)).cloned().collect();
    }
    // A service that works elsewhere keeps no answer for a family from where an operator has drained it.
    let drained = |site: &SiteId| standing(site).is_some_and(Standing::is_drained);
    let works = !matches!(wish.reason.rule, Rule::AllDown { .. });
    if works && !own.sites.is_empty() && own.sites.iter().all(drained) {
        own.records.clear();
        own.steer = None;
    }
    own
}

/// What groups remember of a service, for a family of it: in use is what is answered with an address of the family.
fn groups_of(situation: &Situation, family: Family) -> Memories {
    let mut groups = situation.groups.clone();
    let Some(last) = situation.last else { return groups };
    let is_left_out = |site: &SiteId| {
        let standing = situation.standings.iter().find(|standing| standing.site == *site);
        standing.is_some_and(|it| {
            let mut own = it.places.iter().filter(|(place, _)| family.has(place));
            has(it, family) && !own.any(|(place, _)| last.answers(place))
        })
    };
    let members = groups.values().flat_map(|memory| &memory.in_use);
    let mut gone: Vec<SiteId> = members.filter(|site| is_left_out(site)).cloned().collect();
    // A group of which nothing is left is itself no member in use of the group that it is in.
    while !gone.is_empty() {
        let mut emptied = Vec::new();
        for (group, memory) in &mut groups {
            let before = memory.in_use.len();
            memory.in_use.retain(|member| !gone.contains(member));
            if before > 0 && memory.in_use.is_empty() {
                emptied.push(group.clone());
            }
        }
        gone = emptied;
    }
    groups
}

/// Whether an address is among these records.
fn holds(records: &[RrSet], place: &Whereto) -> bool {
    let has = |rtype: RrType, rdata: &[u8]| {
        let mut sets = records.iter().filter(|set| set.rtype == rtype);
        sets.any(|set| set.rdata.iter().any(|have| **have == *rdata))
    };
    match place {
        Whereto::Addr(IpAddr::V4(v4)) => has(RrType::A, &v4.octets()),
        Whereto::Addr(IpAddr::V6(v6)) => has(RrType::AAAA, &v6.octets()),
        Whereto::Name(_) => false,
    }
}

/// Whether families of a service are decided by themselves.
fn splits(service: &Service) -> bool {
    service.moving.families == Families::Each && !has_cname(service)
}

fn has_cname(service: &Service) -> bool {
    service.endpoints.iter().any(|endpoint| matches!(endpoint.target, Target::Cname(_)))
}

/// Whether an endpoint has an address of a family.
fn has(standing: &Standing, family: Family) -> bool {
    standing.places.iter().any(|(place, _)| family.has(place))
}

/// Whether an endpoint is answered without any of the addresses of a family that it has.
fn withholds(standing: &Standing, family: Family) -> bool {
    let mut answered = standing.answered().map(|(place, _)| place).chain(standing.stand_ins());
    has(standing, family) && !answered.any(|place| family.has(place))
}

/// How an endpoint stands for a family alone: by its addresses of it.
fn of_family(standing: &Standing, family: Family) -> Standing {
    let of = |at: usize| family.has(&standing.places[at].0);
    let kept: Vec<usize> = (0..standing.places.len()).filter(|&at| of(at)).collect();
    let places: Vec<_> = kept.iter().map(|&at| standing.places[at].clone()).collect();
    let last_known = kept.iter().filter_map(|&at| standing.last_known.get(at).copied()).collect();
    let found = health::endpoint(&places.iter().map(|(_, found)| found.clone()).collect::<Vec<_>>());
    let passed = kept.iter().filter_map(|&at| standing.passed.get(at).copied()).collect();
    // What stands in for a place of this family is of this family, too.
    let earlier = standing.earlier.clone().map(|earlier| Earlier {
        places: earlier.places.into_iter().filter(|place| family.has(place)).collect(),
        until: earlier.until,
    });
    let earlier = earlier.filter(|earlier| !earlier.places.is_empty());
    Standing { found, places, last_known, passed, earlier, ..standing.clone() }
}

/// Where families move together, an endpoint of which one is dead counts as Down, as long as another has all of
/// them. Where none has, it goes on with the one that works, as nothing else is any better; and what is not in use
/// counts as Down as long as it would take a family away that what is in use answers.
pub fn join_families(service: &Service, standings: &mut [Standing], last: Option<&Decision>) {
    if splits(service) {
        return;
    }
    let in_use = |standing: &Standing| last.is_some_and(|last| last.own_sites().contains(&standing.site));
    let given: Vec<Family> =
        Family::BOTH.into_iter().filter(|&family| standings.iter().any(|it| has(it, family))).collect();
    let answers = |standing: &Standing, family: Family| {
        let named = standing.places.iter().any(|(place, _)| matches!(place, Whereto::Name(_)));
        named || has(standing, family) && !withholds(standing, family)
    };
    let weights = service.endpoints.iter().map(|endpoint| endpoint.weight);
    let sound = standings
        .iter()
        .zip(weights)
        .filter(|(standing, weight)| *weight > 0 && standing.is_proven() && standing.maintenance.is_none());
    let sound: Vec<&Standing> = sound.map(|(standing, _)| standing).collect();
    let is_whole = |standing: &&Standing| given.iter().all(|&family| answers(standing, family));
    let some_whole = sound.iter().any(is_whole);
    let answered = |family: &Family| sound.iter().any(|it| in_use(it) && answers(it, *family));
    let wanted: Vec<Family> = given.iter().copied().filter(|family| some_whole || answered(family)).collect();
    for standing in standings.iter_mut() {
        let usable = standing.overridden.is_none() && standing.maintenance.is_none();
        let judged = some_whole || !in_use(standing);
        if usable && judged && works(standing.found.health) {
            let dead = wanted.iter().find_map(|&family| Some((family, dead(standing, family)?)));
            if let Some((family, Finding { since, because, .. })) = dead {
                let because = format!("{family} {because}");
                standing.found = Finding { health: Health::Down, since, because };
            }
        } else if usable && some_whole && standing.found.health == Health::Down {
            // It counts as Down since the first of them was.
            let down = given.iter().filter(|&&family| has(standing, family));
            let since = down.map(|&family| of_family(standing, family).found.since).min();
            standing.found.since = since.unwrap_or(standing.found.since).min(standing.found.since);
        }
    }
}

/// What makes a family Down at an endpoint that works without it.
fn dead(standing: &Standing, family: Family) -> Option<Finding> {
    let is_dead = withholds(standing, family) && is_down(standing, family);
    is_dead.then(|| of_family(standing, family).found)
}

/// Whether all of an endpoint's addresses of a family are Down.
fn is_down(standing: &Standing, family: Family) -> bool {
    has(standing, family) && of_family(standing, family).found.health == Health::Down
}
