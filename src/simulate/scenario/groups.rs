//! From what a scenario says of groups to the tree that a configuration would come to.

use std::sync::Arc;

use crate::dns::Network;
use crate::model::{Geo, Group, Member, Of, PolicyKind, Service, Tree};

use super::setup::{GroupSpec, MinUp, ServiceSpec, Setup};

/// The one map of clients that a scenario has.
const MAP: &str = "map";

/// A service's groups; `None` for a plain failover.
pub(super) fn tree(spec: &ServiceSpec) -> Result<Option<Arc<Tree>>, String> {
    if spec.is_plain() {
        return Ok(None);
    }
    let mut root = spec.root.clone();
    if root.members.is_empty() {
        root.members.clone_from(&spec.sites);
    }
    let specs: Vec<&GroupSpec> = std::iter::once(&root).chain(&spec.groups).collect();
    let groups = specs.iter().enumerate().map(|(at, group)| self::group(spec, &specs, at, group));
    Ok(Some(Arc::new(Tree {
        groups: groups.collect::<Result<_, _>>()?,
        sticky: spec.sticky,
        slow_start: spec.slow_start,
        geo: spec.is_by_client().then(|| MAP.into()),
    })))
}

fn group(spec: &ServiceSpec, specs: &[&GroupSpec], at: usize, group: &GroupSpec) -> Result<Group, String> {
    let member = |name: &String| {
        let below = specs.iter().position(|other| !other.name.is_empty() && other.name == *name);
        let of = match (below, spec.sites.iter().position(|site| site == name)) {
            (Some(below), _) if below > at => Of::Group(below),
            (Some(_), _) => return Err(format!("group {name} stands after those that have it as a member")),
            (None, Some(site)) => Of::Endpoint(site),
            (None, None) => return Err(format!("{name} is neither a site nor a group")),
        };
        let weight = if group.policy == PolicyKind::Weighted { spec.weight(name) } else { 1 };
        Ok(Member { of, weight })
    };
    let members: Vec<Member> = group.members.iter().map(member).collect::<Result<_, _>>()?;
    let counted = members.iter().filter(|member| member.weight > 0).count();
    let min_up = match group.min_up {
        MinUp::Count(count) => count,
        MinUp::Percent(percent) => (counted * percent as usize).div_ceil(100).max(1),
    };
    if min_up > counted {
        return Err(format!("min_up {min_up} is more than the {counted} members there are"));
    }
    Ok(Group {
        name: group.name.as_str().into(),
        policy: group.policy,
        max_answers: group.max_answers.unwrap_or(members.len()),
        members,
        min_up,
        rotate: group.rotate,
    })
}

/// What the `near` lines come to.
pub(super) fn map(setup: &Setup) -> Vec<Arc<Geo>> {
    if !setup.services.values().any(ServiceSpec::is_by_client) {
        return Vec::new();
    }
    let ids = |sites: &Vec<String>| sites.iter().map(|site| site.as_str().into()).collect::<Vec<_>>();
    let everybody = setup.near.iter().find(|(network, _)| network.is_none());
    let named = |(network, sites): &(Option<Network>, Vec<String>)| Some(((*network)?, ids(sites)));
    vec![Arc::new(Geo {
        id: MAP.into(),
        databases: Vec::new(),
        default: everybody.map(|(_, sites)| ids(sites)).unwrap_or_default(),
        networks: setup.near.iter().filter_map(named).collect(),
        rules: Vec::new(),
    })]
}

/// The share a service's endpoint has of its own.
pub(super) fn weights(service: &mut Service, spec: &ServiceSpec) {
    for endpoint in &mut service.endpoints {
        endpoint.weight = spec.weight(&endpoint.site);
    }
}

impl ServiceSpec {
    fn weight(&self, name: &str) -> u32 {
        self.weights.get(name).copied().unwrap_or(1)
    }
}
