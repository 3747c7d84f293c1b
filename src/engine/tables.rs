//! From what a decision says of clients to what is published: tables of buckets, made once for all names
//! that share out alike.

use std::collections::BTreeMap;

use super::Engine;
use super::partial::steering;
use super::zones::Laid;
use crate::dns::{Name, RrSet};
use crate::policy::{Branch, Flow, MAX_SETS, Steer};
use crate::zone::{Buckets, ClientsId, Pick, Steering, Weighted, mix};

/// How many tables are kept for the next names; at 4 KiB each.
const MAX_TABLES: usize = 512;
/// Enters into every client's bucket: names whose shares are alike send a client to the same site.
const SALT: u64 = 0x6465_746f_7572;

/// The tables made lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    flows: BTreeMap<(bool, Flow), Buckets>,
    unions: BTreeMap<(bool, Vec<Ways>), Union>,
}

/// The different ways to answer, and for each region its place among them.
type Ways = (Vec<Flow>, Vec<u16>);

/// Answers of which each part is shared out by itself, as answers of one kind.
#[derive(Clone, Debug, Default)]
struct Union {
    /// For each answer, which variant of each part it holds.
    holds: Vec<Vec<u8>>,
    /// For each region, who gets which.
    regions: Vec<Pick>,
}

/// One part of what a name answers, as decided by itself.
struct Layer {
    variants: Vec<Vec<RrSet>>,
    ways: Ways,
}

impl Layer {
    fn of(records: &[RrSet], steer: Option<&Steer>, is: impl Fn(&RrSet) -> bool) -> Layer {
        let own = |sets: &[RrSet]| sets.iter().filter(|set| is(set)).cloned().collect::<Vec<_>>();
        match steer {
            None => Layer { variants: vec![own(records)], ways: (vec![Flow::One(0)], vec![0]) },
            Some(steer) => Layer {
                variants: steer.variants.iter().map(|variant| own(&variant.records)).collect(),
                ways: (steer.flows.clone(), steer.regions.clone()),
            },
        }
    }
}

impl Tables {
    /// Who gets which variant.
    fn pick(&mut self, flow: &Flow, sticky: bool) -> Pick {
        match flow {
            Flow::One(variant) => Pick::One(*variant),
            Flow::Among(_) if sticky => Pick::PerClient(self.table(flow, sticky)),
            Flow::Among(_) => Pick::PerQuery(self.table(flow, sticky)),
        }
    }

    fn table(&mut self, flow: &Flow, sticky: bool) -> Buckets {
        if let Some(known) = self.flows.get(&(sticky, flow.clone())) {
            return known.clone();
        }
        let made = if sticky { self.by_client(flow) } else { by_query(flow) };
        if self.flows.len() >= MAX_TABLES {
            self.flows.clear();
        }
        self.flows.insert((sticky, flow.clone()), made.clone());
        made
    }

    /// Who gets which variant of each part, as one answer: a client that is in one bucket is in it for every part.
    fn union(&mut self, parts: &[Ways], sticky: bool) -> Union {
        if let Some(known) = self.unions.get(&(sticky, parts.to_vec())) {
            return known.clone();
        }
        let mut union = Union::default();
        let mut made: BTreeMap<Vec<u16>, Pick> = BTreeMap::new();
        let regions = parts.iter().map(|(_, regions)| regions.len()).max().unwrap_or(1);
        for region in 0..regions {
            // What is the same for all clients has one region.
            let way = |(_, of): &Ways| of.get(region).or(of.first()).copied().unwrap_or_default();
            let ways: Vec<u16> = parts.iter().map(way).collect();
            let pick = made.get(&ways).cloned().unwrap_or_else(|| {
                let flows = parts.iter().zip(&ways).map(|((flows, _), &at)| &flows[usize::from(at)]);
                let picks: Vec<Pick> = flows.map(|flow| self.pick(flow, sticky)).collect();
                union.pick(&picks, sticky)
            });
            made.insert(ways, pick.clone());
            union.regions.push(pick);
        }
        if self.unions.len() >= MAX_TABLES {
            self.unions.clear();
        }
        self.unions.insert((sticky, parts.to_vec()), union.clone());
        union
    }

    /// Each group is shared out by itself, so that what happens in one moves no client of another.
    fn by_client(&mut self, flow: &Flow) -> Buckets {
        let branches: &[Branch] = match flow {
            Flow::One(variant) => return Buckets::share(*variant, *variant, 0),
            Flow::Among(branches) => branches,
        };
        let weighted = |(at, branch): (usize, &Branch)| Weighted {
            variant: at as u8, // a group has at most 64 endpoints and 32 groups
            key: key(&branch.key),
            weight: branch.weight,
        };
        let outer: Vec<Weighted> = branches.iter().enumerate().map(weighted).collect();
        let below: Vec<Buckets> = branches.iter().map(|branch| self.table(&branch.flow, true)).collect();
        match Buckets::rendezvous(&outer) {
            Some(outer) => outer.through(&below),
            // No weight at all: policy gives none such.
            None => below.first().cloned().unwrap_or_else(|| Buckets::share(0, 0, 0)),
        }
    }
}

impl Union {
    fn pick(&mut self, picks: &[Pick], sticky: bool) -> Pick {
        if picks.iter().all(|pick| matches!(pick, Pick::One(_))) {
            return Pick::One(self.number(&picks.iter().map(|pick| pick.at(0)).collect::<Vec<u8>>()));
        }
        let table = Buckets::each(|bucket| {
            self.number(&picks.iter().map(|pick| pick.at(bucket)).collect::<Vec<u8>>())
        });
        if sticky { Pick::PerClient(table) } else { Pick::PerQuery(table) }
    }

    /// The number of an answer; where there are too many, that of one that has most in common with it.
    fn number(&mut self, holds: &[u8]) -> u8 {
        let alike = |have: &[u8]| have.iter().zip(holds).filter(|(have, wants)| have == wants).count();
        let at = self.holds.iter().position(|have| have[..] == *holds).unwrap_or_else(|| {
            if self.holds.len() < MAX_SETS {
                self.holds.push(holds.to_vec());
                return self.holds.len() - 1;
            }
            (0..self.holds.len()).max_by_key(|&at| alike(&self.holds[at])).unwrap_or_default()
        });
        at as u8 // below MAX_SETS
    }
}

fn by_query(flow: &Flow) -> Buckets {
    // A share is a part of 2^32: halved, it fits whatever it is.
    let shares: Vec<(u8, u32)> =
        flow.shares().into_iter().map(|(variant, share)| (variant, (share / 2).max(1) as u32)).collect();
    Buckets::even(&shares).unwrap_or_else(|| Buckets::share(0, 0, 0))
}

/// What stands for a site or group in every table: FNV-1a of its name, well mixed. Nodes agree on it, and
/// it must never change.
fn key(id: &str) -> u64 {
    let fnv = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(fnv)
}

impl Engine {
    /// How a name is to be steered: `None` where its answers do not depend on the client, or where the map
    /// its decision was made for is gone.
    pub(super) fn steering(&mut self, name: &Name, zone: &Name, laid: &Laid) -> Option<Steering> {
        if !laid.is_shared_out() {
            return steering(laid, zone, self.beside(zone, name));
        }
        let steers = laid.steer.iter().chain(laid.families.iter().filter_map(|(_, _, steer)| steer.as_ref()));
        let map = self.regions.get(name).map(|regions| &regions.id);
        if steers.clone().any(|steer| steer.clients.is_some() && steer.clients.as_ref() != map) {
            return None;
        }
        let beside = self.beside(zone, name).to_vec();
        let (clients, sticky) = steers.fold((None, false), |(clients, sticky), steer| {
            (clients.or_else(|| steer.clients.clone()), sticky || steer.sticky)
        });
        let steer = match &laid.steer {
            Some(steer) if laid.families.is_empty() => steer,
            _ => return Some(self.in_parts(laid, &beside, clients, sticky)),
        };
        let variants = steer.variants.iter().map(|variant| {
            let mut sets = variant.records.clone();
            sets.extend(beside.iter().cloned());
            sets
        });
        let picks: Vec<Pick> = steer.flows.iter().map(|flow| self.tables.pick(flow, steer.sticky)).collect();
        Some(Steering {
            variants: variants.collect(),
            clients: steer.clients.clone(),
            regions: steer.regions.iter().map(|&at| picks[usize::from(at)].clone()).collect(),
            salt: SALT,
        })
    }

    /// How a name is steered of which families are shared out by themselves.
    fn in_parts(
        &mut self,
        laid: &Laid,
        beside: &[RrSet],
        clients: Option<ClientsId>,
        sticky: bool,
    ) -> Steering {
        let own = |set: &RrSet| laid.families.iter().all(|(family, ..)| family.rtype() != set.rtype);
        let mut layers = vec![Layer::of(&laid.records, laid.steer.as_deref(), own)];
        layers.extend(laid.families.iter().map(|(family, records, steer)| {
            Layer::of(records, steer.as_deref(), |set| set.rtype == family.rtype())
        }));
        let ways: Vec<Ways> = layers.iter().map(|layer| layer.ways.clone()).collect();
        let Union { holds, regions } = self.tables.union(&ways, sticky);
        let variant = |holds: &Vec<u8>| {
            let parts = layers.iter().zip(holds).flat_map(|(layer, &at)| &layer.variants[usize::from(at)]);
            let mut sets: Vec<RrSet> = parts.cloned().collect();
            sets.sort_by_key(|set| set.rtype);
            sets.extend(beside.iter().cloned());
            sets
        };
        let variants = holds.iter().map(variant).collect();
        Steering { variants, clients, regions, salt: SALT }
    }
}
