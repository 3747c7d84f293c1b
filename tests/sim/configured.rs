//! Random configurations.

use std::time::Duration;

use detour::dns::Network;
use detour::model::{Approval, Moving, OnLimit, PolicyKind, Unanswered};
use detour::simulate::scenario::{GroupSpec, MinUp, ServiceSpec, Setup};

use super::judge::Kind;
use super::random::Random;

/// Longest hold of a configuration; the quiet part lasts longer.
const MAX_HOLD_SECS: usize = 40;

pub const SITES: [&str; 4] = ["fra", "iad", "sin", "gru"];
pub const SERVICES: [&str; 4] = ["a.example.com", "b.example.com", "a.sub.example.com", "b.example.org"];
pub const ZONES: [&str; 3] = ["example.com", "sub.example.com", "example.org"];

/// What a run begins with.
pub fn setup_of(kind: Kind, random: &mut Random) -> Setup {
    let mut setup = setup(kind, random);
    if kind == Kind::Moving {
        let some =
            |random: &mut Random, most: usize| random.chance(60).then(|| 1 + random.below(most) as u32);
        setup.safety.max_switches_per_hour = some(random, 6);
        setup.safety.max_share_moved = some(random, 100).map(|percent| percent as u8);
        setup.safety.window = Duration::from_secs(1 + random.below(300) as u64);
        setup.safety.min_sites_in_service = some(random, 3).map(|sites| sites as usize);
        setup.safety.on_limit = if random.chance(10) { OnLimit::Warn } else { OnLimit::Hold };
    }
    setup.near = near(random);
    setup
}

fn setup(kind: Kind, random: &mut Random) -> Setup {
    let mut setup = Setup::default();
    for (at, site) in SITES.into_iter().enumerate() {
        let mut addrs = vec![format!("192.0.2.{at}").parse().expect("an address")];
        if random.chance(50) {
            addrs.push(format!("2001:db8::{at}").parse().expect("an address"));
        }
        setup.sites.insert(site.to_owned(), addrs);
    }
    setup.zones = ZONES.iter().map(|zone| ((*zone).to_owned(), random.below(5) as u32)).collect();
    let template = service(random);
    for name in random.some(&SERVICES) {
        let spec = change_service(kind, random, &template);
        setup.services.insert(name.to_owned(), spec);
    }
    if random.chance(50) {
        let value = "192.0.2.200".to_owned();
        setup.file.push((SERVICES[0].to_owned(), "A".to_owned(), value, 300));
    }
    setup
}

/// What all services of a run share, as they share their probes.
fn service(random: &mut Random) -> ServiceSpec {
    let fall = 1 + random.below(3) as u32;
    ServiceSpec {
        need: None,
        sites: Vec::new(),
        ttl: Duration::from_secs(30),
        suspect: Duration::from_secs(5),
        fall,
        rise: 1 + random.below(3) as u32,
        window: random.chance(30).then(|| fall + random.below(3) as u32),
        interval: Duration::from_secs(3600),
        confirm: Duration::from_millis(250),
        failback: None,
        all_down: "keep".to_owned(),
        probes: random.some(&["web".to_owned(), "api".to_owned()]),
        cname: [].into(),
        ..ServiceSpec::default()
    }
}

/// The same with a policy of its own.
pub fn change_service(kind: Kind, random: &mut Random, template: &ServiceSpec) -> ServiceSpec {
    let mut spec = template.clone();
    spec.sites = random.some(&SITES).into_iter().map(str::to_owned).collect();
    spec.ttl = Duration::from_secs(10 + 10 * random.below(3) as u64);
    spec.failback = random.chance(75).then(|| Duration::from_secs(random.below(MAX_HOLD_SECS + 1) as u64));
    let all_down = random.pick(&["keep", "all", "primary", "empty", "203.0.113.99"]);
    spec.all_down = (*all_down).to_string();
    if random.chance(10) {
        let site = spec.sites[0].clone();
        spec.cname.insert(site, "lb.example.net".to_owned());
    }
    match kind {
        Kind::Plain => {}
        Kind::Groups => group(random, &mut spec),
        Kind::Moving => hold_back(random, &mut spec),
    }
    spec
}

/// Groups of any policy over all sites, one in the other or side by side.
fn group(random: &mut Random, spec: &mut ServiceSpec) {
    spec.cname.clear();
    spec.groups.clear();
    spec.weights.clear();
    let mut sites: Vec<String> = SITES.iter().map(|site| (*site).to_owned()).collect();
    let names = ["one", "two"].iter().take(random.below(3));
    let kinds =
        [PolicyKind::Weighted, PolicyKind::Weighted, PolicyKind::Geo, PolicyKind::All, PolicyKind::Failover];
    let mut root = GroupSpec { policy: *random.pick(&kinds), ..GroupSpec::default() };
    for name in names {
        let members = sites.split_off(sites.len() - 1 - random.below(sites.len() - 1).min(1));
        let mut policy = *random.pick(&kinds);
        // One answer holds all of an `all`, and so cannot be of those who get different ones.
        if root.policy == PolicyKind::All && policy == PolicyKind::Weighted {
            policy = PolicyKind::Failover;
        }
        root.members.push((*name).to_owned());
        let mut group = GroupSpec { name: (*name).to_owned(), policy, members, ..GroupSpec::default() };
        limit(random, &mut group);
        spec.groups.push(group);
    }
    root.members.extend(sites);
    limit(random, &mut root);
    let all: Vec<String> =
        root.members.iter().chain(spec.groups.iter().flat_map(|it| &it.members)).cloned().collect();
    for name in all {
        spec.weights.insert(name, 1 + random.below(4) as u32);
    }
    if random.chance(20) && root.members.len() > 1 && root.min_up == MinUp::Count(1) {
        spec.weights.insert(root.members[0].clone(), 0);
    }
    spec.root = root;
    spec.sticky = random.chance(70);
    spec.slow_start = random.chance(25).then(|| Duration::from_secs(10 + random.below(50) as u64));
    let of_all = |group: &GroupSpec| group.policy == PolicyKind::All;
    if of_all(&spec.root) && spec.groups.iter().any(of_all) {
        spec.slow_start = None;
    }
    spec.sites = spec.leaves();
}

fn limit(random: &mut Random, group: &mut GroupSpec) {
    if random.chance(30) {
        group.min_up = match random.below(2) {
            0 => MinUp::Count(1 + random.below(group.members.len())),
            _ => MinUp::Percent(1 + random.below(100) as u32),
        };
    }
    if group.policy == PolicyKind::All && random.chance(50) {
        group.max_answers = Some(1 + random.below(group.members.len()));
        group.rotate = group.name.is_empty() && random.chance(50);
    }
}

/// Whatever keeps a failover from moving at once.
fn hold_back(random: &mut Random, spec: &mut ServiceSpec) {
    let secs = |random: &mut Random, most: usize| Duration::from_secs(1 + random.below(most) as u64);
    spec.moving = Moving::default();
    if random.chance(25) {
        spec.moving.delay = secs(random, 20);
    }
    if random.chance(25) {
        let unanswered = if random.chance(50) { Unanswered::Move } else { Unanswered::Stay };
        spec.moving.approval = Some(Approval { wait: secs(random, 30), unanswered });
    }
    if spec.failback.is_some() && random.chance(60) {
        spec.moving.approve_failback = random.chance(20);
        spec.moving.steps = random.pick::<&[u8]>(&[&[10], &[1, 10], &[5, 25, 50]]).to_vec();
        spec.moving.step_hold = secs(random, 20);
    }
    spec.moving.exempt = random.chance(10);
}

/// Networks whose clients prefer some sites.
pub fn near(random: &mut Random) -> Vec<(Option<Network>, Vec<String>)> {
    let networks = ["10.1.0.0/16", "10.1.128.0/17", "10.2.3.0/24", "2001:db8:1::/48"];
    let mut near = Vec::new();
    for network in random.some(&networks) {
        let sites = random.some(&SITES).into_iter().map(str::to_owned).collect();
        near.push((Some(network.parse().expect("a network")), sites));
    }
    near.push((None, random.some(&SITES).into_iter().map(str::to_owned).collect()));
    near
}
