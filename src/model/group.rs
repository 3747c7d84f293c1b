//! How a service picks among its endpoints where it is not a plain failover: groups within groups.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::SiteId;
use crate::dns::Network;

/// `policy`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// The first that works.
    Failover,
    /// Each that works, by its share.
    Weighted,
    /// The first that works in the order of the client's region.
    Geo,
    /// All that work, in one answer.
    All,
}

/// The most groups of one service, its root counted.
pub const MAX_GROUPS: usize = 32;
/// How deep groups may lie in each other, the root counted.
pub const MAX_DEPTH: usize = 5;
/// The largest weight.
pub const MAX_WEIGHT: u32 = 10_000;

/// A service's groups. There is none for a plain failover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The root first; each group stands after all that have it as a member.
    pub groups: Vec<Group>,
    /// Whether a client's network keeps its share of weighted answers; else every query draws.
    pub sticky: bool,
    /// Over how long the share of a member that recovers grows; `None` is at once.
    pub slow_start: Option<Duration>,
    /// Which of [`super::Config::geo`] sorts clients; always there where a group's policy is `geo`.
    pub geo: Option<Arc<str>>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name; empty for the root.
    pub name: Arc<str>,
    /// How members are picked.
    pub policy: PolicyKind,
    /// In order of preference; at least one has a weight above zero.
    pub members: Vec<Member>,
    /// How many members must work for the group to do so; at least 1.
    pub min_up: usize,
    /// The most members of an `all` group that one answer holds.
    pub max_answers: usize,
    /// Whether each query begins at another member where there are more; else the first ones count.
    pub rotate: bool,
}

/// One member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is.
    pub of: Of,
    /// Its share, relative to the others'; zero: it is not used.
    pub weight: u32,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// An endpoint, by its place in the service's list.
    Endpoint(usize),
    /// A group, by its place in the tree.
    Group(usize),
}

impl Tree {
    /// What a member is called: its site or its group's name.
    pub fn id<'a>(&'a self, member: Member, sites: &'a [super::Endpoint]) -> &'a SiteId {
        match member.of {
            Of::Endpoint(at) => &sites[at].site,
            Of::Group(at) => &self.groups[at].name,
        }
    }

    /// The endpoints below a member, by their places, each once and in order.
    pub fn leaves(&self, of: Of) -> Vec<usize> {
        match of {
            Of::Endpoint(at) => vec![at],
            Of::Group(at) => {
                let mut all: Vec<usize> = Vec::new();
                for leaf in self.groups[at].members.iter().flat_map(|member| self.leaves(member.of)) {
                    if !all.contains(&leaf) {
                        all.push(leaf);
                    }
                }
                all
            }
        }
    }

    /// Whether an endpoint is in a group that moves from one member to the next.
    pub fn fails_over(&self, endpoint: usize) -> bool {
        self.groups.iter().any(|group| {
            group.policy == PolicyKind::Failover
                && group.members.iter().any(|member| self.leaves(member.of).contains(&endpoint))
        })
    }
}

/// `[geo.KEY]`: which sites a client prefers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geo {
    /// The key.
    pub id: Arc<str>,
    /// Files in MaxMind's format, absolute; a later one counts before the earlier ones.
    pub databases: Vec<PathBuf>,
    /// The order for clients nothing is known of; the endpoints' own where it is empty.
    pub default: Vec<SiteId>,
    /// Networks and the sites their clients prefer.
    pub networks: Vec<(Network, Vec<SiteId>)>,
    /// What a database tells of a network, and the sites its clients prefer; the first that fits counts.
    pub rules: Vec<(ClientsOf, Vec<SiteId>)>,
}

/// What a database may tell of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientsOf {
    /// ISO 3166-1: `DE`.
    Country(String),
    /// Two letters: `EU`.
    Continent(String),
    /// The number of an autonomous system.
    Asn(u32),
}
