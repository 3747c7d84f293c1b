//! What services with groups promise: nobody is sent to what does not work, who keeps an answer by its network
//! loses it only when it must, and the scope of an answer covers nobody who is answered something else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use detour::dns::{Name, Network};
use detour::engine::{Effect, ServiceView};
use detour::model::{Failback, PolicyKind, Service, SiteId};
use detour::policy::{Decision, Flow, Rule};
use detour::simulate::scenario::{World, decisions};
use detour::zone::BUCKETS;

use super::judge::{Before, configured, may_serve, works};
use super::random::Random;

/// Clients whose scope is looked at after each step.
const CLIENTS: usize = 4;
/// Addresses beside each of them.
const NEIGHBOURS: usize = 8;

/// How a service was answered at the last look.
struct Seen {
    networks: Vec<Vec<SiteId>>,
    /// The sites that worked.
    working: BTreeSet<SiteId>,
}

#[derive(Default)]
pub struct Sharing {
    last: BTreeMap<Name, Seen>,
    moved: usize,
    narrow: usize,
}

impl Sharing {
    pub fn after(
        &mut self,
        random: &mut Random,
        world: &World,
        before: &Before,
        services: &[ServiceView],
        effects: &[Effect],
    ) {
        for decision in decisions(effects) {
            let view = services.iter().find(|view| view.name == decision.service).expect("a service");
            nobody_is_sent_to_the_dead(view, decision);
        }
        for view in services {
            let decided = before.is_load || decisions(effects).any(|decision| decision.service == view.name);
            if decided {
                self.scopes_cover_equals_alone(random, world, view);
            }
            self.who_need_not_move_stays(world, before, view, decided);
        }
    }

    /// An address that shares the bits of the scope is answered the same.
    fn scopes_cover_equals_alone(&mut self, random: &mut Random, world: &World, view: &ServiceView) {
        for _ in 0..CLIENTS {
            let client = client(random);
            let Some(choice) = world.choice_for(&view.name, client) else { return };
            self.narrow += usize::from(choice.scope > 0);
            for _ in 0..NEIGHBOURS {
                let other = neighbour(random, client, choice.scope);
                let theirs = world.choice_for(&view.name, other).expect("as for its neighbour");
                let same = if choice.variant.is_none() {
                    world.shares(view, Some(client)) == world.shares(view, Some(other))
                } else {
                    choice.rrsets == theirs.rrsets
                };
                assert!(same, "{client} and {other} share /{} and not their answers", choice.scope);
            }
        }
    }

    /// Where only weights share clients out, one is moved when its site no longer works, or to one that did not
    /// work before.
    fn who_need_not_move_stays(&mut self, world: &World, before: &Before, view: &ServiceView, decided: bool) {
        let working: BTreeSet<SiteId> =
            view.endpoints.iter().filter(|at| works(at) && !at.unproven).map(|at| at.site.clone()).collect();
        if !decided {
            // What has not worked for a moment that no decision saw did not work all the while.
            if let Some(was) = self.last.get_mut(&view.name) {
                was.working.retain(|site| working.contains(site));
            }
            return;
        }
        let service = configured(world, &view.name);
        let in_parts = view.decision.as_ref().is_some_and(|decision| !decision.families.is_empty());
        let resort = in_parts || view.decision.as_ref().is_none_or(is_last_resort);
        if !is_sticky(&service) || resort {
            self.last.remove(&view.name);
            return;
        }
        let seen = Seen { networks: world.networks(view), working };
        let Some(was) = self.last.get(&view.name).filter(|_| !before.is_load) else {
            self.last.insert(view.name.clone(), seen);
            return;
        };
        for (from, to) in was.networks.iter().zip(&seen.networks).filter(|(from, to)| from != to) {
            self.moved += 1;
            let lost = from.iter().any(|site| !seen.working.contains(site));
            let found = to.iter().any(|site| !was.working.contains(site));
            assert!(lost || found, "{from:?} to {to:?}: {:?}", view.decision);
        }
        self.last.insert(view.name.clone(), seen);
    }

    pub fn seen(&self) -> Vec<(&'static str, usize)> {
        vec![("clients moved", self.moved), ("narrow scopes", self.narrow)]
    }
}

fn nobody_is_sent_to_the_dead(view: &ServiceView, decision: &Decision) {
    if is_last_resort(decision) {
        return;
    }
    let used: Vec<&SiteId> = match &decision.steer {
        // Those of single families have promises of their own.
        None if !decision.families.is_empty() => decision.reason.serving.iter().collect(),
        None => decision.sites.iter().collect(),
        Some(steer) => {
            let flows = steer.flows.iter().flat_map(Flow::shares);
            flows.flat_map(|(variant, _)| &steer.variants[usize::from(variant)].sites).collect()
        }
    };
    assert!(!used.is_empty(), "somebody is answered with: {}", decision.reason);
    for site in used {
        let at = view.endpoints.iter().find(|at| at.site == *site).expect("an endpoint");
        assert!(may_serve(decision, at), "{site} is answered with: {}", decision.reason);
    }
}

fn is_last_resort(decision: &Decision) -> bool {
    match &decision.reason.rule {
        Rule::AllDown { .. } | Rule::Unverified { .. } => true,
        Rule::Steered { notes, .. } => notes.iter().any(|(_, rule)| *rule == Rule::Unproven),
        _ => false,
    }
}

/// Whether nothing but weights and the clients' networks say who is sent where.
fn is_sticky(service: &Service) -> bool {
    service.tree.as_ref().is_some_and(|tree| {
        let plain = |kind| kind == PolicyKind::Weighted;
        let groups = tree.groups.iter().all(|group| plain(group.policy) && group.min_up == 1);
        tree.sticky && tree.slow_start.is_none() && groups
    })
}

/// After the quiet: where weights alone share clients out, by their weights; where the client says who is
/// near, the nearest that works.
pub fn check_settled(world: &World, view: &ServiceView, usable: &BTreeSet<SiteId>) {
    let service = configured(world, &view.name);
    let Some(tree) = service.tree.as_ref().filter(|tree| tree.groups.len() == 1) else { return };
    let root = &tree.groups[0];
    let weight = |site: &SiteId| {
        let at = service.endpoints.iter().position(|endpoint| endpoint.site == *site)?;
        let member = root.members.iter().find(|member| member.of == detour::model::Of::Endpoint(at))?;
        Some(member.weight)
    };
    if view.decision.as_ref().is_some_and(|decision| !decision.families.is_empty()) {
        return;
    }
    let standing: Vec<&SiteId> = usable.iter().filter(|site| weight(site).is_some_and(|it| it > 0)).collect();
    if standing.len() < root.min_up {
        return;
    }
    let shares = world.shares(view, None);
    match root.policy {
        PolicyKind::Weighted => {
            let sum: u32 = standing.iter().filter_map(|site| weight(site)).sum();
            for site in &standing {
                let wanted = BUCKETS as u32 * weight(site).unwrap_or(0) / sum.max(1);
                let got = shares.get(*site).copied().unwrap_or(0);
                // As lots meet it, where clients keep their answers.
                let off = if tree.sticky { BUCKETS as u32 / 30 } else { 2 };
                assert!(got.abs_diff(wanted) <= off, "{site} has {got}, not {wanted}: {:?}", view.decision);
            }
        }
        // By hand nobody goes back by itself.
        PolicyKind::Geo if service.failback != Failback::Manual => {
            let clients = ["10.1.2.3", "10.1.200.3", "10.2.3.4", "192.0.2.1", "2001:db8:1::1"];
            for client in clients.map(|text| text.parse::<IpAddr>().expect("an address")) {
                let geo = world.load.config.geo.first().expect("a map");
                let named = geo
                    .networks
                    .iter()
                    .filter(|(network, _)| Network::of(client, network.prefix()) == *network);
                let named = named.max_by_key(|(network, _)| network.prefix()).map(|(_, sites)| sites);
                let rest = geo.default.iter().chain(service.endpoints.iter().map(|endpoint| &endpoint.site));
                let mut order = named.into_iter().flatten().chain(rest);
                let near = order.find(|site| standing.contains(site)).expect("one that works");
                assert_eq!(world.sites_for(view, client), std::slice::from_ref(near), "{client}");
            }
        }
        PolicyKind::Geo | PolicyKind::Failover | PolicyKind::All => {}
    }
}

/// Any address, most of them near a network that is named.
fn client(random: &mut Random) -> IpAddr {
    let low = random.below(1 << 16) as u32;
    match random.below(5) {
        0 => Ipv4Addr::from_bits(0x0a01_0000 | low).into(),
        1 => Ipv4Addr::from_bits(0x0a02_0300 | low & 0xff).into(),
        2 => Ipv6Addr::from_bits(0x2001_0db8_0001 << 80 | u128::from(low) << 64).into(),
        3 => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(low) << 72).into(),
        _ => Ipv4Addr::from_bits(low << 16 | random.below(1 << 16) as u32).into(),
    }
}

/// An address that shares so many leading bits.
fn neighbour(random: &mut Random, client: IpAddr, scope: u8) -> IpAddr {
    let mut word = || random.below(1 << 32) as u128;
    let noise = word() << 96 | word() << 64 | word() << 32 | word();
    match client {
        IpAddr::V4(ip) => {
            let kept = u32::MAX.checked_shl(32 - u32::from(scope)).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & kept | noise as u32 & !kept).into()
        }
        IpAddr::V6(ip) => {
            let kept = u128::MAX.checked_shl(128 - u32::from(scope)).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & kept | noise & !kept).into()
        }
    }
}
