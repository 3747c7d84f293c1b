//! Choosing among groups: who of each group's members is used, then what each region of clients gets.
//!
//! ```text
//! standings ─► stances of groups ─► each group's pick ─► for each region, a flow down the tree ─► Steer
//! ```
//!
//! Each policy sees its members alone, be they endpoints or groups. `failover` uses one of them, by the rules
//! of [`super::failover`]. `weighted` and `all` use every member that works; one that recovers comes back in
//! steps where there is a slow start. `geo` uses the first that works in the order of the client's region;
//! one that recovers is held off like a failover's. A member that is held Down by damping alone is used where
//! nothing else is left.

use std::time::Duration;

use super::choice::Choice;
use super::failover::{self, Asked, Bench};
use super::last_resort::last_resort;
use super::member::Stance;
use super::memory::{Mark, Marks, Memories, Memory};
use super::reason::{Latch, Noted, Portion, Reason, Rule, Toward};
use super::records;
use super::situation::{Order, Situation};
use super::steer::{ALL, Branch, Flow, MAX_SETS, Steer, Variant};
use crate::model::{Failback, Group, Member, Of, PolicyKind, SiteId, Tree};
use crate::time::Time;

/// In how many steps a share grows back.
pub const SLOW_STEPS: u32 = 10;
/// The least time between two of them: each is a rewrite.
pub const MIN_STEP: Duration = Duration::from_secs(5);

/// What became of one group.
#[derive(Default)]
struct Run {
    /// Members in use, by their places, and their weights.
    used: Vec<(usize, u32)>,
    memory: Memory,
    rule: Option<Rule>,
    again: Option<Time>,
}

/// Sets of endpoints that are answered together.
#[derive(Default)]
struct Sets(Vec<Vec<usize>>);

struct Scene<'a> {
    situation: &'a Situation<'a>,
    tree: &'a Tree,
    runs: Vec<Run>,
}

/// Chooses what a service with groups answers.
pub(super) fn choose(situation: &Situation, tree: &Tree) -> Choice {
    let endpoints: Vec<Stance> = situation.standings.iter().map(Stance::of).collect();
    let mut groups: Vec<Option<Stance>> = vec![None; tree.groups.len()];
    let mut runs: Vec<Run> = Vec::new();
    // Members stand after their groups, so from the last one on every member is known.
    for (at, group) in tree.groups.iter().enumerate().rev() {
        let members: Vec<Stance> = group.members.iter().map(|m| stance(m, &endpoints, &groups)).collect();
        let counted: Vec<&Stance> =
            members.iter().zip(&group.members).filter(|(_, m)| m.weight > 0).map(|(s, _)| s).collect();
        groups[at] = Some(Stance::of_group(group.name.clone(), &counted, group.min_up));
        runs.push(run(situation, tree, group, &members));
    }
    runs.reverse();
    // Where none is known to be Down, what is Unknown is no better than the last answer.
    let any_out = endpoints.iter().any(|endpoint| endpoint.out);
    let works = |root: &Stance| root.eligible || root.may_stay || root.damped || root.unknown && any_out;
    let root_works = groups[0].as_ref().is_some_and(works);
    let scene = Scene { situation, tree, runs };
    let mut choice = match scene.steer().filter(|_| root_works) {
        Some((steer, sets)) => scene.found(steer, &sets),
        None => last_resort(situation),
    };
    choice.hold_until = scene.runs.iter().filter_map(|run| run.again).min();
    choice.latched = scene.runs.iter().any(|run| run.memory.latched);
    let remembered = tree.groups.iter().zip(scene.runs);
    choice.groups = remembered.map(|(group, run)| (group.name.clone(), run.memory)).collect();
    choice
}

fn stance(member: &Member, endpoints: &[Stance], groups: &[Option<Stance>]) -> Stance {
    let stance = match member.of {
        Of::Endpoint(at) => endpoints.get(at).cloned(),
        Of::Group(at) => groups.get(at).cloned().flatten(),
    };
    // The configuration's places are all there; one that is not would be of no use.
    stance.unwrap_or_else(|| Stance::of_group("".into(), &[], 1))
}

/// A group's policy, on its members.
fn run(situation: &Situation, tree: &Tree, group: &Group, members: &[Stance]) -> Run {
    let nothing = Memory::default();
    let before = situation.groups.get(&group.name).unwrap_or(&nothing);
    match group.policy {
        PolicyKind::Failover => fail_over(situation, tree, group, members, before),
        PolicyKind::Geo => near(situation, members, before),
        PolicyKind::Weighted | PolicyKind::All => shared(situation, tree, group, members, before),
    }
}

fn fail_over(situation: &Situation, tree: &Tree, group: &Group, members: &[Stance], before: &Memory) -> Run {
    let place = |id: &SiteId| members.iter().position(|member| member.id == *id);
    let served = before.in_use.first().and_then(place);
    let ordered = match situation.order {
        Some(Order::Failover(site)) => {
            let holds = |member: &Member| {
                let mut leaves = tree.leaves(member.of).into_iter();
                leaves.any(|leaf| situation.standings.get(leaf).is_some_and(|s| s.site == *site))
            };
            group.members.iter().position(holds)
        }
        _ => None,
    };
    let order = match situation.order {
        Some(Order::Failback) => Some(Asked::Back),
        Some(Order::Failover(_)) => ordered.map(|_| Asked::To),
        None => None,
    };
    let pick = failover::pick_of(&Bench {
        now: situation.now,
        stalls: situation.stalls,
        members,
        in_use: ordered.or(served),
        served,
        latched: before.latched,
        marks: &before.marks,
        order,
        failback: situation.service.failback,
    });
    let in_use = pick.index.map(|at| members[at].id.clone()).into_iter().collect();
    let told = !matches!(pick.rule, Rule::InOrder | Rule::Damped);
    Run {
        used: pick.index.map(|at| (at, 1)).into_iter().collect(),
        memory: Memory { in_use, latched: pick.latched, marks: pick.marks },
        rule: pick.index.filter(|_| told).map(|_| pick.rule),
        again: pick.hold_until,
    }
}

/// Members that can be used at all: those that work, and those in use that nothing speaks against; failing
/// that, those that damping alone keeps out, and at last those of which nothing is known.
fn usable(members: &[Stance], before: &Memory, of: impl Fn(usize) -> bool) -> Vec<usize> {
    let in_use = |member: &Stance| before.in_use.contains(&member.id);
    let all_that = |is: &dyn Fn(&Stance) -> bool| -> Vec<usize> {
        (0..members.len()).filter(|&at| of(at) && is(&members[at])).collect()
    };
    let works = |member: &Stance| member.eligible && (member.proven || in_use(member));
    let used = all_that(&|member| works(member) || member.may_stay && in_use(member));
    // What is being maintained is no more returned to than it is left.
    let sound = used.iter().copied().filter(|&at| !members[at].maintained || in_use(&members[at]));
    let sound: Vec<usize> = sound.collect();
    let used = if sound.is_empty() { used } else { sound };
    let used = if used.is_empty() { all_that(&|member| member.damped) } else { used };
    if !used.is_empty() {
        return used;
    }
    // What has only failed so far is better than nothing, but no reason to leave what is Down.
    let used = all_that(&|member| member.eligible);
    if !used.is_empty() && members.iter().all(|member| member.taken || !member.out) {
        return used;
    }
    // The one in use is not left for that another may be coming back.
    let waits = members.iter().any(|member| member.out && !member.confirmed);
    all_that(&|member| member.unknown && (!waits || in_use(member)))
}

/// What a group says where nothing is known of those it uses.
fn unproven(members: &[Stance], before: &Memory, used: &[usize]) -> Option<Rule> {
    let stays = |member: &Stance| member.may_stay && before.in_use.contains(&member.id);
    let unknown = used.iter().all(|&at| members[at].unknown && !stays(&members[at]));
    (unknown && !used.is_empty()).then_some(Rule::Unproven)
}

/// Every member that works, but those that recovered and are to be Up for a while first.
fn near(situation: &Situation, members: &[Stance], before: &Memory) -> Run {
    let mut marks = failover::marked(situation.now, members, &before.marks);
    if situation.order == Some(Order::Failback) {
        marks.retain(|site, _| !members.iter().any(|member| member.id == *site && member.up));
    }
    let usable = usable(members, before, |_| true);
    let until = |at: usize| {
        let member = &members[at];
        // One that stays in use has not recovered.
        let stays = member.may_stay && !member.eligible && before.in_use.contains(&member.id);
        let mark = *marks.get(&member.id).filter(|_| !stays)?;
        match situation.service.failback {
            Failback::Manual => Some(None),
            Failback::Auto { hold } => {
                let until = failover::hold_end(mark, member, hold, situation.stalls);
                (until > situation.now).then_some(Some(until))
            }
        }
    };
    let held: Vec<(usize, Option<Time>)> =
        usable.iter().filter_map(|&at| until(at).map(|until| (at, until))).collect();
    let free: Vec<usize> =
        usable.iter().copied().filter(|at| held.iter().all(|(held, _)| held != at)).collect();
    // Where all that work have just recovered there is nothing to hold them off for.
    let (used, held) = if free.is_empty() { (usable, Vec::new()) } else { (free, held) };
    for &at in &used {
        marks.remove(&members[at].id);
    }
    let again = held.iter().filter_map(|(_, until)| *until).min();
    let rule = held.first().map(|&(at, _)| match again {
        Some(until) => Rule::Holding { back: members[at].id.clone(), until },
        None => Rule::Latched { by: Latch::Manual },
    });
    let rule = rule.or_else(|| unproven(members, before, &used));
    let in_use = used.iter().map(|&at| members[at].id.clone()).collect();
    let memory = Memory { in_use, latched: false, marks };
    Run { used: used.into_iter().map(|at| (at, 1)).collect(), memory, rule, again }
}

/// Every member that works, each with its share.
fn shared(situation: &Situation, tree: &Tree, group: &Group, members: &[Stance], before: &Memory) -> Run {
    let mut marks = failover::marked(situation.now, members, &before.marks);
    if situation.order == Some(Order::Failback) || tree.slow_start.is_none() {
        marks.retain(|_, mark| !matches!(mark, Mark::Back(_)));
    }
    let usable = usable(members, before, |at| group.members[at].weight > 0);
    let mut again: Option<Time> = None;
    let mut used: Vec<(usize, u32)> = Vec::new();
    for at in usable {
        let member = &members[at];
        let mut share = SLOW_STEPS;
        match (marks.get(&member.id), tree.slow_start) {
            (Some(Mark::Back(back)), Some(over)) => {
                match grown(situation.stalls.count_from(*back), situation.now, over) {
                    Some((grown, next)) => {
                        share = grown;
                        again = Some(again.map_or(next, |again| again.min(next)));
                    }
                    None => drop(marks.remove(&member.id)),
                }
            }
            _ => drop(marks.remove(&member.id)),
        }
        let weight = if group.policy == PolicyKind::All { 1 } else { group.members[at].weight };
        used.push((at, weight * share));
    }
    // In a weighted group shares are relative as they are. In one of `all` somebody has to be in every answer.
    let whole = used.iter().any(|&(_, weight)| weight >= SLOW_STEPS);
    if group.policy == PolicyKind::All && !whole {
        for (_, weight) in &mut used {
            *weight = SLOW_STEPS;
        }
    }
    let in_use = used.iter().map(|&(at, _)| members[at].id.clone()).collect();
    let rule = unproven(members, before, &used.iter().map(|&(at, _)| at).collect::<Vec<_>>());
    Run { used, memory: Memory { in_use, latched: false, marks }, rule, again }
}

/// How many of [`SLOW_STEPS`] a member's share has grown to, and when it grows next; `None` when it is whole.
fn grown(back: Time, now: Time, over: Duration) -> Option<(u32, Time)> {
    let step = (over / SLOW_STEPS).max(MIN_STEP);
    let passed = now.since(back);
    if passed >= over {
        return None;
    }
    // Fewer, larger steps where ten of them would come too fast.
    let steps = (over.as_millis().div_ceil(step.as_millis().max(1))).max(1) as u32;
    let done = (passed.as_millis() / step.as_millis().max(1)) as u32;
    let share = (SLOW_STEPS * (done + 1) / (steps + 1)).max(1);
    let next = back + (step * (done + 1)).min(over);
    Some((share, next))
}

impl Sets {
    /// The number of a set; where there are too many, that of the last one.
    fn number(&mut self, mut set: Vec<usize>) -> u8 {
        set.dedup();
        let at = self.0.iter().position(|have| *have == set).unwrap_or_else(|| {
            if self.0.len() < MAX_SETS {
                self.0.push(set);
            }
            self.0.len() - 1
        });
        at as u8 // below MAX_SETS
    }
}

impl Scene<'_> {
    /// What every region gets; `None` where that is nothing.
    fn steer(&self) -> Option<(Steer, Sets)> {
        let mut sets = Sets::default();
        let anyone: Vec<Vec<u8>> = vec![Vec::new()];
        let regions = self.situation.regions.filter(|_| self.tree.geo.is_some());
        let orders = regions.map_or(&anyone, |regions| &regions.orders);
        let mut flows: Vec<Flow> = Vec::new();
        let mut numbers = Vec::with_capacity(orders.len());
        for order in orders {
            let flow = self.flow(0, order, &mut sets)?;
            let at = flows.iter().position(|have| *have == flow).unwrap_or_else(|| {
                flows.push(flow);
                flows.len() - 1
            });
            numbers.push(at as u16); // at most one for each region, of which there are at most 1,024
        }
        let clients = regions.map(|regions| regions.id.clone());
        let steer =
            Steer { variants: Vec::new(), clients, flows, regions: numbers, sticky: self.tree.sticky };
        Some((steer, sets))
    }

    /// What a group gives to clients who prefer endpoints in this order.
    fn flow(&self, at: usize, order: &[u8], sets: &mut Sets) -> Option<Flow> {
        let (group, run) = (&self.tree.groups[at], &self.runs[at]);
        let of = |place: usize, sets: &mut Sets| match group.members[place].of {
            Of::Endpoint(endpoint) => Some(Flow::One(sets.number(vec![endpoint]))),
            Of::Group(group) => self.flow(group, order, sets),
        };
        match group.policy {
            PolicyKind::Failover => of(run.used.first()?.0, sets),
            PolicyKind::Geo => {
                let rank = |place: usize| {
                    let leaves = self.tree.leaves(group.members[place].of);
                    order.iter().position(|&endpoint| leaves.contains(&usize::from(endpoint)))
                };
                let mut used: Vec<usize> = run.used.iter().map(|&(place, _)| place).collect();
                used.sort_by_key(|&place| (rank(place).unwrap_or(usize::MAX), place));
                used.into_iter().find_map(|place| of(place, sets))
            }
            PolicyKind::Weighted => {
                let mut branches = Vec::with_capacity(run.used.len());
                for &(place, weight) in &run.used {
                    let Some(flow) = of(place, sets) else { continue };
                    let key = self.tree.id(group.members[place], &self.situation.service.endpoints).clone();
                    branches.push(Branch { key, weight, flow });
                }
                among(branches)
            }
            PolicyKind::All => self.all(group, run, order, sets),
        }
    }

    /// Every member in use, in one answer; a growing one in as many answers as it has grown to.
    fn all(&self, group: &Group, run: &Run, order: &[u8], sets: &mut Sets) -> Option<Flow> {
        let mut members: Vec<(Vec<usize>, u32, SiteId)> = Vec::new();
        for &(place, share) in &run.used {
            let member = group.members[place];
            let leaves = match member.of {
                Of::Endpoint(endpoint) => vec![endpoint],
                Of::Group(below) => {
                    // A group below `all` gives one set to all clients of a region: the configuration sees to it.
                    let mut own = Sets::default();
                    let Some(flow) = self.flow(below, order, &mut own) else { continue };
                    let first = flow.shares().first().map_or(0, |(variant, _)| usize::from(*variant));
                    own.0.get(first).cloned().unwrap_or_default()
                }
            };
            members.push((leaves, share, self.tree.id(member, &self.situation.service.endpoints).clone()));
        }
        let mut levels: Vec<u32> = members.iter().map(|(_, share, _)| *share).collect();
        levels.sort_unstable();
        levels.dedup();
        let mut branches = Vec::new();
        let mut below = 0;
        for level in levels {
            let among_them: Vec<&(Vec<usize>, u32, SiteId)> =
                members.iter().filter(|(_, share, _)| *share >= level).collect();
            let flow = windows(group, &among_them, sets)?;
            branches.push(Branch { key: format!("{level}").into(), weight: level - below, flow });
            below = level;
        }
        among(branches)
    }

    /// The choice that these flows are.
    fn found(&self, mut steer: Steer, sets: &Sets) -> Choice {
        let (service, standings) = (self.situation.service, self.situation.standings);
        let mut shortest = service.ttl;
        for set in &sets.0 {
            let of: Vec<_> = set.iter().map(|&at| (at, &standings[at])).collect();
            let shaky = of.iter().any(|(_, standing)| standing.is_shaky() || standing.is_damped());
            let ttl = if shaky { service.ttl_suspect } else { service.ttl };
            shortest = shortest.min(ttl);
            let sites = of.iter().map(|(_, standing)| standing.site.clone()).collect();
            steer.variants.push(Variant { sites, records: records::of(service, ttl, &of) });
        }
        let plain = steer.plain().clone();
        let mut sites: Vec<SiteId> = Vec::new();
        for endpoint in &service.endpoints {
            if steer.variants.iter().any(|variant| variant.sites.contains(&endpoint.site)) {
                sites.push(endpoint.site.clone());
            }
        }
        let notes = self.tree.groups.iter().zip(&self.runs);
        let notes = notes.filter_map(|(group, run)| Some((group.name.clone(), run.rule.clone()?)));
        let rule = Rule::Steered {
            policy: self.tree.groups[0].policy.to_string(),
            toward: self.toward(&steer),
            notes: notes.collect(),
        };
        let reason = Reason {
            serving: plain.sites.first().cloned(),
            rule,
            endpoints: standings.iter().map(Noted::of).collect(),
        };
        let ttl = plain.records.first().map_or(shortest, |set| set.ttl);
        let differs = steer.variants.len() > 1;
        let steer = differs.then(|| Box::new(steer));
        let (latched, marks, groups, hold_until) = (false, Marks::default(), Memories::new(), None);
        Choice {
            sites,
            records: plain.records,
            ttl,
            reason,
            latched,
            marks,
            hold_until,
            groups,
            steer,
            partial: None,
        }
    }

    /// For people: where the clients of each region go, regions with the same nearest endpoint and the same
    /// answer told as one.
    fn toward(&self, steer: &Steer) -> Vec<Toward> {
        let mut told: Vec<Toward> = Vec::new();
        for region in 0..steer.regions.len() {
            let near = steer.clients.as_ref().and(self.situation.regions);
            let near = near.and_then(|regions| regions.orders.get(region)?.first());
            let near = near.map(|&at| self.situation.standings[usize::from(at)].site.clone());
            let portion = |(variant, share): (u8, u64)| Portion {
                sites: steer.variants[usize::from(variant)].sites.clone(),
                permille: ((share * 1000 + ALL / 2) / ALL) as u16, // at most 1,000
            };
            let to: Vec<Portion> = steer.flow(region).shares().into_iter().map(portion).collect();
            if !told.iter().any(|have| have.near == near && have.to == to) {
                told.push(Toward { near, to });
            }
        }
        told
    }
}

/// A flow among branches; with one alone it is that one's.
fn among(mut branches: Vec<Branch>) -> Option<Flow> {
    match branches.len() {
        0 => None,
        1 => branches.pop().map(|branch| branch.flow),
        _ => Some(Flow::Among(branches)),
    }
}

/// Members in one answer, at most as many as it may hold.
fn windows(group: &Group, members: &[&(Vec<usize>, u32, SiteId)], sets: &mut Sets) -> Option<Flow> {
    let joined = |from: usize, count: usize| -> Vec<usize> {
        let some = members.iter().cycle().skip(from).take(count);
        let mut set: Vec<usize> = some.flat_map(|(leaves, ..)| leaves.iter().copied()).collect();
        set.sort_unstable();
        set
    };
    if members.len() <= group.max_answers {
        return (!members.is_empty()).then(|| Flow::One(sets.number(joined(0, members.len()))));
    }
    if !group.rotate {
        return Some(Flow::One(sets.number(joined(0, group.max_answers))));
    }
    let window = |(from, (_, _, key)): (usize, &&(Vec<usize>, u32, SiteId))| Branch {
        key: key.clone(),
        weight: 1,
        flow: Flow::One(sets.number(joined(from, group.max_answers))),
    };
    among(members.iter().enumerate().map(window).collect())
}
