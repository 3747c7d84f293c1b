//! What a scenario or the simulator configures, with what holds where nothing is said.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::dns::Network;
use crate::model::{Moving, PolicyKind, Safety};

/// What is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub sites: BTreeMap<String, Vec<IpAddr>>,
    /// Apex and the file's serial.
    pub zones: BTreeMap<String, u32>,
    /// Owner, type, value and TTL of records of zone files at steered names.
    pub file: Vec<(String, String, String, u32)>,
    pub services: BTreeMap<String, ServiceSpec>,
    /// Addresses, and how many must work.
    pub canaries: (Vec<IpAddr>, usize),
    /// Site or service, schedule, zone and length of maintenance windows.
    pub maintenance: Vec<(String, String, String, Duration)>,
    pub safety: Safety,
    /// By site.
    pub capacity: BTreeMap<String, u32>,
    /// Which sites the clients of a network prefer; `None` is everybody else.
    pub near: Vec<(Option<Network>, Vec<String>)>,
}

/// One `service` line.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceSpec {
    /// Where it has endpoints: the members that are no groups.
    pub sites: Vec<String>,
    /// How they are picked; a root without members has all sites.
    pub root: GroupSpec,
    /// Each after all that have it as a member.
    pub groups: Vec<GroupSpec>,
    /// Of sites and groups; 1 where nothing is said.
    pub weights: BTreeMap<String, u32>,
    pub sticky: bool,
    pub slow_start: Option<Duration>,
    pub ttl: Duration,
    pub suspect: Duration,
    pub fall: u32,
    pub rise: u32,
    pub window: Option<u32>,
    pub interval: Duration,
    pub confirm: Duration,
    /// The hold; `None` is manual.
    pub failback: Option<Duration>,
    pub all_down: String,
    pub probes: Vec<String>,
    /// How many of them must pass; `None` is all.
    pub need: Option<usize>,
    pub cname: BTreeMap<String, String>,
    /// Changes, within, hold and longest hold.
    pub damping: Option<(u32, Duration, Duration, Duration)>,
    pub moving: Moving,
}

/// One group, or the root.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    pub name: String,
    pub policy: PolicyKind,
    pub members: Vec<String>,
    pub min_up: MinUp,
    pub max_answers: Option<usize>,
    pub rotate: bool,
}

/// How many members must work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinUp {
    Count(usize),
    Percent(u32),
}

impl Default for GroupSpec {
    fn default() -> GroupSpec {
        GroupSpec {
            name: String::new(),
            policy: PolicyKind::Failover,
            members: Vec::new(),
            min_up: MinUp::Count(1),
            max_answers: None,
            rotate: false,
        }
    }
}

impl ServiceSpec {
    /// The members that are no groups, in the order they are met in.
    pub fn leaves(&self) -> Vec<String> {
        let mut leaves: Vec<String> = Vec::new();
        for member in std::iter::once(&self.root).chain(&self.groups).flat_map(|group| &group.members) {
            let is_group = self.groups.iter().any(|group| group.name == *member);
            if !is_group && !leaves.contains(member) {
                leaves.push(member.clone());
            }
        }
        leaves
    }

    /// Whether it is a plain failover.
    pub fn is_plain(&self) -> bool {
        self.groups.is_empty()
            && self.root.policy == PolicyKind::Failover
            && matches!(self.root.min_up, MinUp::Count(1))
    }

    /// Whether anything in it tells clients apart by where they are.
    pub fn is_by_client(&self) -> bool {
        std::iter::once(&self.root).chain(&self.groups).any(|group| group.policy == PolicyKind::Geo)
    }
}

impl Default for Setup {
    fn default() -> Setup {
        let site = |id: &str, addr: [u8; 4]| (id.to_owned(), vec![IpAddr::from(addr)]);
        Setup {
            sites: [
                site("fra", [192, 0, 2, 10]),
                site("iad", [198, 51, 100, 10]),
                site("sin", [203, 0, 113, 10]),
            ]
            .into(),
            zones: [("example.com".to_owned(), 1)].into(),
            file: Vec::new(),
            services: BTreeMap::new(),
            canaries: (Vec::new(), 0),
            maintenance: Vec::new(),
            safety: Safety::default(),
            capacity: BTreeMap::new(),
            near: Vec::new(),
        }
    }
}

impl Default for ServiceSpec {
    fn default() -> ServiceSpec {
        ServiceSpec {
            sites: Vec::new(),
            root: GroupSpec::default(),
            groups: Vec::new(),
            weights: BTreeMap::new(),
            sticky: false,
            slow_start: None,
            ttl: Duration::from_secs(30),
            suspect: Duration::from_secs(5),
            fall: 3,
            rise: 2,
            window: None,
            // A timeline tells what matters: nothing in it is late, unless it says the interval.
            interval: Duration::from_secs(3600),
            confirm: Duration::from_millis(250),
            failback: Some(Duration::from_secs(60)),
            all_down: "keep".to_owned(),
            probes: vec!["web".to_owned()],
            need: None,
            cname: BTreeMap::new(),
            damping: None,
            moving: Moving::default(),
        }
    }
}
