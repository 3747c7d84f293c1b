//! Who is answered what, where a service answers different clients differently: the compact form that a
//! decision keeps. Tables of buckets are made from it when it is published, and come out the same on
//! every node and after every restart.

use serde::{Deserialize, Serialize};

use crate::dns::RrSet;
use crate::model::SiteId;
use crate::zone::ClientsId;

/// The most sets of endpoints that one service can answer with: as many as a name can have variants.
pub const MAX_SETS: usize = crate::zone::MAX_VARIANTS;

/// How a service's answers depend on the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Steer {
    /// What can be answered; at least one.
    pub variants: Vec<Variant>,
    /// Which map sorts clients into regions; without one, all are of region 0.
    pub clients: Option<ClientsId>,
    /// The different ways to answer.
    pub flows: Vec<Flow>,
    /// For each region, the place of its flow.
    pub regions: Vec<u16>,
    /// Whether a client's network keeps its answer; else every query draws.
    pub sticky: bool,
}

/// One of the things that can be answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Variant {
    /// From where.
    #[schema(value_type = Vec<String>)]
    pub sites: Vec<SiteId>,
    /// What.
    pub records: Vec<RrSet>,
}

/// Among which variants the clients of a region are shared out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// All get this variant.
    One(u8),
    /// Each gets what one of these gives.
    Among(Vec<Branch>),
}

/// One of those that clients are shared out among.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Branch {
    /// The member's site or name; by this a client finds back to where it was.
    #[schema(value_type = String)]
    pub key: SiteId,
    /// Its share, relative to the others'; never zero.
    pub weight: u32,
    /// What those get who are sent there.
    #[schema(no_recursion)]
    pub flow: Flow,
}

impl Steer {
    /// The flow of a region.
    pub fn flow(&self, region: usize) -> &Flow {
        let at = self.regions.get(region).copied().unwrap_or_default();
        &self.flows[usize::from(at)]
    }

    /// The variant of clients nobody knows anything of: the one that most of region 0 get.
    pub fn plain(&self) -> &Variant {
        let shares = self.flow(0).shares();
        let best = shares.iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
        &self.variants[best.map_or(0, |(variant, _)| usize::from(*variant))]
    }
}

/// What all shares of a flow sum up to, but for what is lost in rounding.
pub const ALL: u64 = 1 << 32;

impl Flow {
    /// Each variant's share of [`ALL`], by variant; those of none are left out.
    pub fn shares(&self) -> Vec<(u8, u64)> {
        let mut shares = std::collections::BTreeMap::new();
        self.add(ALL, &mut shares);
        shares.into_iter().collect()
    }

    fn add(&self, of: u64, shares: &mut std::collections::BTreeMap<u8, u64>) {
        match self {
            Flow::One(variant) => *shares.entry(*variant).or_default() += of,
            Flow::Among(branches) => {
                let sum: u64 = branches.iter().map(|branch| u64::from(branch.weight)).sum();
                for branch in branches {
                    // At most 2^32 times 2^24: a product that fits.
                    branch.flow.add((of * u64::from(branch.weight) / sum.max(1)).max(1), shares);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(key: &str, weight: u32, flow: Flow) -> Branch {
        Branch { key: key.into(), weight, flow }
    }

    #[test]
    fn shares_multiply_down_the_groups() {
        let inner = Flow::Among(vec![branch("fra", 3, Flow::One(0)), branch("ams", 1, Flow::One(1))]);
        let flow = Flow::Among(vec![branch("eu", 1, inner), branch("iad", 1, Flow::One(2))]);
        assert_eq!(flow.shares(), [(0, ALL * 3 / 8), (1, ALL / 8), (2, ALL / 2)]);
        assert_eq!(Flow::One(7).shares(), [(7, ALL)]);
    }
}
