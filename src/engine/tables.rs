//! From what a decision says of clients to what is published: tables of buckets, made once for all names
//! that share out alike.

use std::collections::BTreeMap;

use super::Engine;
use super::partial::steering;
use super::zones::Laid;
use crate::policy::{Branch, Flow};
use crate::zone::{Buckets, Name, Pick, Steering, Weighted, mix};

/// How many tables are kept for the next names; at 4 KiB each.
const MAX_TABLES: usize = 512;
/// Enters into every client's bucket: names whose shares are alike send a client to the same site.
const SALT: u64 = 0x6465_746f_7572;

/// The tables made lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables(BTreeMap<(bool, Flow), Buckets>);

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
        if let Some(known) = self.0.get(&(sticky, flow.clone())) {
            return known.clone();
        }
        let made = if sticky { self.by_client(flow) } else { by_query(flow) };
        if self.0.len() >= MAX_TABLES {
            self.0.clear();
        }
        self.0.insert((sticky, flow.clone()), made.clone());
        made
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
        let Some(steer) = &laid.steer else { return steering(laid, zone, self.beside(zone, name)) };
        if steer.clients.is_some() && steer.clients.as_ref() != self.regions.get(name).map(|r| &r.id) {
            return None;
        }
        let beside = self.beside(zone, name).to_vec();
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
}
