//! `policy`, `members`, `groups` and what belongs to them: how a service picks among its endpoints.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::error::{ConfigError, Known, short};
use super::report::Findings;
use super::section::{Item, Read, Reported, Section, entries, or};
use super::values;
use crate::model::{
    Endpoint, Group, MAX_DEPTH, MAX_GROUPS, MAX_WEIGHT, Member, Of, PolicyKind, Target, Tree,
};

/// The most members of one group.
const MAX_MEMBERS: usize = 64;
/// The longest `slow_start`.
const MAX_SLOW_START: Duration = Duration::from_secs(86_400);
const POLICIES: [&str; 4] = ["failover", "weighted", "geo", "all"];

/// What a service says of its groups, before its endpoints are known.
pub(super) struct Draft {
    groups: Vec<DraftGroup>,
    sticky: Option<Spanned<bool>>,
    slow_start: Option<Spanned<Duration>>,
    geo: Option<Arc<str>>,
    at: Range<usize>,
}

/// One group, the root first.
struct DraftGroup {
    name: Arc<str>,
    at: Range<usize>,
    policy: PolicyKind,
    members: Option<Spanned<Vec<Spanned<String>>>>,
    min_up: Option<Spanned<MinUp>>,
    weight: u32,
    max_answers: Option<Spanned<u32>>,
    rotate: Option<Spanned<bool>>,
}

#[derive(Clone, Copy)]
enum MinUp {
    Count(u32),
    Percent(u32),
}

/// Reads every key of a service that is about its groups; `geos` are the keys of `[geo.*]`.
pub(super) fn read(
    section: &mut Section,
    geos: &[Arc<str>],
    findings: &mut Findings,
) -> Result<Draft, Reported> {
    let at = section.at().clone();
    let root = read_group(section, "".into(), findings);
    let sticky = section.read("sticky", findings, values::boolean);
    let slow_start = section.read("slow_start", findings, values::positive(MAX_SLOW_START));
    let geo = section.read("geo", findings, |item, findings| {
        let key = item.text("a key of [geo.KEY]", findings)?;
        geos.iter().find(|id| &***id == key).cloned().ok_or_else(|| {
            let known = Known::new(key, geos.iter().map(|id| &**id));
            item.wrong(ConfigError::UnknownGeo(short(key), known), findings)
        })
    });
    let mut groups = vec![root];
    if let Some(item) = section.item("groups") {
        for (key, item) in entries(item, "groups", MAX_GROUPS - 1, findings)? {
            let Ok(id) = values::id(&key, findings) else { continue };
            let Ok(mut section) = Section::of(format!("[service.groups.{id}]"), item, findings) else {
                continue;
            };
            groups.push(read_group(&mut section, id, findings));
            section.finish(findings);
        }
    }
    let geo = geo?.map(Spanned::into_inner);
    let groups: Vec<DraftGroup> = groups.into_iter().collect::<Result<_, _>>()?;
    Ok(Draft { groups, sticky: sticky?, slow_start: slow_start?, geo, at })
}

fn read_group(
    section: &mut Section,
    name: Arc<str>,
    findings: &mut Findings,
) -> Result<DraftGroup, Reported> {
    let at = section.at().clone();
    let policy = section.read("policy", findings, |item, findings| {
        Ok(match values::word(item, &POLICIES, findings)? {
            "weighted" => PolicyKind::Weighted,
            "geo" => PolicyKind::Geo,
            "all" => PolicyKind::All,
            _ => PolicyKind::Failover,
        })
    });
    let members = section.read("members", findings, |item, findings| {
        item.list("members", MAX_MEMBERS, findings, |item, findings| {
            Ok(item.text("a site's key or a group's name", findings)?.to_owned())
        })
    });
    let min_up = section.read("min_up", findings, read_min_up);
    let weight: Read<u32> = if name.is_empty() { Ok(None) } else { section.read("weight", findings, weight) };
    let max_answers = section.read("max_answers", findings, values::count(MAX_MEMBERS as u32));
    let rotate = section.read("pick", findings, |item, findings| {
        Ok(values::word(item, &["first", "rotate"], findings)? == "rotate")
    });
    Ok(DraftGroup {
        name,
        at,
        policy: or(policy, PolicyKind::Failover)?,
        members: members?,
        min_up: min_up?,
        weight: or(weight, 1)?,
        max_answers: max_answers?,
        rotate: rotate?,
    })
}

/// A weight, zero included.
pub(super) fn weight(item: Item, findings: &mut Findings) -> Result<u32, Reported> {
    values::integer(0, MAX_WEIGHT)(item, findings)
}

/// `2` or `"50%"`
fn read_min_up(item: Item, findings: &mut Findings) -> Result<MinUp, Reported> {
    let DeValue::String(text) = item.value.get_ref() else {
        return values::count(MAX_MEMBERS as u32)(item, findings).map(MinUp::Count);
    };
    let percent = text.strip_suffix('%').and_then(|digits| digits.parse::<u32>().ok());
    percent.filter(|percent| (1..=100).contains(percent)).map(MinUp::Percent).ok_or_else(|| {
        let (wanted, example) = ("a count or a share", "2 or \"50%\"");
        item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings)
    })
}

impl Draft {
    /// The root's policy.
    pub fn policy(&self) -> PolicyKind {
        self.groups[0].policy
    }

    /// The groups over these endpoints; `None` for a plain failover. Whatever is wrong is reported.
    pub fn settle(
        self,
        endpoints: &[Endpoint],
        weighed: &[Range<usize>],
        findings: &mut Findings,
    ) -> Result<Option<Arc<Tree>>, Reported> {
        let before = findings.errors();
        self.check_names(endpoints, findings);
        let places = self.order(findings)?;
        let mut groups = Vec::with_capacity(places.len());
        for &at in &places {
            groups.push(self.group(at, &places, endpoints, findings)?);
        }
        let tree = Tree {
            groups,
            sticky: self.sticky.as_ref().is_some_and(|sticky| *sticky.get_ref()),
            slow_start: self.slow_start.as_ref().map(|slow| *slow.get_ref()),
            geo: self.geo.clone(),
        };
        self.check_use(&places, endpoints, findings);
        self.check_policies(&tree, &places, endpoints, weighed, findings);
        if findings.errors() > before {
            return Err(Reported);
        }
        let root = &tree.groups[0];
        let own_order = root.members.iter().enumerate().all(|(at, it)| it.of == Of::Endpoint(at));
        let plain = tree.groups.len() == 1 && root.policy == PolicyKind::Failover && root.min_up == 1;
        Ok((!(plain && own_order)).then(|| Arc::new(tree)))
    }

    fn find(&self, name: &str) -> Option<usize> {
        (1..self.groups.len()).find(|&at| &*self.groups[at].name == name)
    }

    /// What a group's members are called: those it names, or every endpoint.
    fn members(&self, at: usize, endpoints: &[Endpoint]) -> Vec<String> {
        match &self.groups[at].members {
            Some(members) => members.get_ref().iter().map(|member| member.get_ref().clone()).collect(),
            None => endpoints.iter().map(|endpoint| endpoint.site.to_string()).collect(),
        }
    }

    fn check_names(&self, endpoints: &[Endpoint], findings: &mut Findings) {
        for (at, group) in self.groups.iter().enumerate() {
            if at > 0 && endpoints.iter().any(|endpoint| endpoint.site == group.name) {
                findings.push(&group.at, ConfigError::GroupIsSite(group.name.to_string()));
            }
            let Some(members) = &group.members else {
                if at > 0 || self.groups.len() > 1 {
                    let within = if at > 0 {
                        format!("[service.groups.{}]", group.name)
                    } else {
                        "[[service]]".to_owned()
                    };
                    let example = "members = [\"fra\", \"iad\"], sites or groups";
                    findings.push(&group.at, ConfigError::MissingKey { key: "members", within, example });
                }
                continue;
            };
            findings.each_once(members.get_ref(), |name, first| {
                ConfigError::ListedTwice(format!("{:?}", short(name)), first)
            });
            for member in members.get_ref() {
                let name = member.get_ref();
                let known = self.find(name).is_some() || endpoints.iter().any(|it| *it.site == **name);
                if !known {
                    let sites = endpoints.iter().map(|endpoint| &*endpoint.site);
                    let names = sites.chain(self.groups[1..].iter().map(|group| &*group.name));
                    let known = Known::new(name, names);
                    findings.push(&member.span(), ConfigError::UnknownMember(short(name), known));
                }
            }
        }
    }

    /// The groups that are used, each after all that have it as a member.
    fn order(&self, findings: &mut Findings) -> Result<Vec<usize>, Reported> {
        let mut depth = vec![0; self.groups.len()];
        let mut open = vec![(0, 1)];
        while let Some((at, level)) = open.pop() {
            if level > MAX_DEPTH {
                findings.push(&self.groups[at].at, ConfigError::GroupsTooDeep { limit: MAX_DEPTH });
                return Err(Reported);
            }
            if depth[at] >= level {
                continue;
            }
            depth[at] = level;
            let members = self.groups[at].members.iter().flat_map(Spanned::get_ref);
            open.extend(members.filter_map(|member| self.find(member.get_ref())).map(|at| (at, level + 1)));
        }
        let mut places: Vec<usize> = (0..self.groups.len()).filter(|&at| depth[at] > 0).collect();
        places.sort_by_key(|&at| (depth[at], at));
        Ok(places)
    }

    fn group(
        &self,
        at: usize,
        places: &[usize],
        endpoints: &[Endpoint],
        findings: &mut Findings,
    ) -> Result<Group, Reported> {
        let draft = &self.groups[at];
        let member = |name: &String| {
            if let Some(below) = self.find(name) {
                let of = Of::Group(places.iter().position(|&place| place == below)?);
                return Some(Member { of, weight: self.groups[below].weight });
            }
            let place = endpoints.iter().position(|endpoint| *endpoint.site == **name)?;
            Some(Member { of: Of::Endpoint(place), weight: endpoints[place].weight })
        };
        let named = self.members(at, endpoints);
        // Those that are not there have been reported.
        let mut members: Vec<Member> = named.iter().filter_map(member).collect();
        if draft.policy != PolicyKind::Weighted {
            for member in &mut members {
                member.weight = 1;
            }
        }
        let counted = members.iter().filter(|member| member.weight > 0).count();
        if counted == 0 {
            if members.len() == named.len() {
                findings.push(&draft.at, ConfigError::NothingWeighs);
            }
            return Err(Reported);
        }
        let min_up = match draft.min_up.as_ref().map(Spanned::get_ref) {
            None => 1,
            Some(MinUp::Count(count)) => *count as usize,
            Some(MinUp::Percent(percent)) => (counted * *percent as usize).div_ceil(100).max(1),
        };
        if let Some(key) = draft.min_up.as_ref().filter(|_| min_up > counted) {
            findings.push(&key.span(), ConfigError::MinUpAboveMembers { min_up, members: counted });
        }
        let max_answers = draft.max_answers.as_ref().map_or(members.len(), |max| *max.get_ref() as usize);
        let rotate = draft.rotate.as_ref().is_some_and(|rotate| *rotate.get_ref());
        Ok(Group { name: draft.name.clone(), policy: draft.policy, members, min_up, max_answers, rotate })
    }

    /// Every endpoint and every group is a member of something that is used.
    fn check_use(&self, places: &[usize], endpoints: &[Endpoint], findings: &mut Findings) {
        for (at, group) in self.groups.iter().enumerate() {
            if !places.contains(&at) {
                findings
                    .push(&group.at, ConfigError::UnusedMember { what: "group", id: group.name.to_string() });
            }
        }
        let used: Vec<String> = places.iter().flat_map(|&at| self.members(at, endpoints)).collect();
        for endpoint in endpoints {
            if !used.iter().any(|name| **name == *endpoint.site) {
                let id = endpoint.site.to_string();
                findings.push(&self.at, ConfigError::UnusedMember { what: "endpoint", id });
            }
        }
    }

    /// Keys that mean nothing to the policies there are, and policies that lack something.
    fn check_policies(
        &self,
        tree: &Tree,
        places: &[usize],
        endpoints: &[Endpoint],
        weighed: &[Range<usize>],
        findings: &mut Findings,
    ) {
        let any = |kind: PolicyKind| tree.groups.iter().any(|group| group.policy == kind);
        let (weighted, all) = (any(PolicyKind::Weighted), any(PolicyKind::All));
        let mut refuse =
            |at: &Range<usize>, key, kind| findings.push(at, ConfigError::ForeignKey { key, kind });
        if let Some(sticky) = self.sticky.as_ref().filter(|_| !weighted) {
            refuse(&sticky.span(), "sticky", "a service without a weighted group");
        }
        if let Some(slow) = self.slow_start.as_ref().filter(|_| !weighted && !all) {
            refuse(&slow.span(), "slow_start", "a service without a group that is weighted or all");
        }
        if !weighted {
            for at in weighed {
                refuse(at, "weight", "a service without a weighted group");
            }
        }
        for draft in places.iter().map(|&at| &self.groups[at]).filter(|it| it.policy != PolicyKind::All) {
            if let Some(max) = &draft.max_answers {
                refuse(&max.span(), "max_answers", "a policy other than all");
            }
            if let Some(pick) = &draft.rotate {
                refuse(&pick.span(), "pick", "a policy other than all");
            }
        }
        if any(PolicyKind::Geo) && self.geo.is_none() {
            let (key, within) = ("geo", "a service with policy geo".to_owned());
            let example = "geo = \"world\" and a [geo.world]";
            findings.push(&self.at, ConfigError::MissingKey { key, within, example });
        }
        for group in tree.groups.iter().filter(|group| group.policy == PolicyKind::All) {
            let shares = |member: &Member| match member.of {
                Of::Endpoint(_) => false,
                Of::Group(at) => !self.gives_one(tree, at),
            };
            if group.members.iter().any(shares) {
                findings.push(&self.at, ConfigError::AllOfShares);
            }
            let leaves = group.members.iter().flat_map(|member| tree.leaves(member.of));
            if leaves.into_iter().any(|leaf| matches!(endpoints[leaf].target, Target::Cname(_))) {
                findings.push(&self.at, ConfigError::AllPolicyWithCname);
            }
        }
    }

    /// Whether a group answers all clients of a region with one set of endpoints.
    fn gives_one(&self, tree: &Tree, at: usize) -> bool {
        let group = &tree.groups[at];
        let shares = group.policy == PolicyKind::Weighted
            || group.policy == PolicyKind::All && (group.rotate || self.slow_start.is_some());
        let below = |member: &Member| match member.of {
            Of::Endpoint(_) => true,
            Of::Group(at) => self.gives_one(tree, at),
        };
        !shares && group.members.iter().all(below)
    }
}
