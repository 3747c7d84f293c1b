//! Where clients are, and which sites they are for. Pure.
//!
//! In: an operator's wishes ([`Plan`]) and the bytes of databases in MaxMind's format, read by the caller.
//! Out: [`Regions`]: each a list of sites in order of preference, and the map that says which region an
//! address is of. This room must never know which sites work: a policy walks down a region's list.
//!
//! ```text
//! a named network ──────────────────────────► its list ─┐
//! a database's network ─ a rule ────────────► its list ─┤ the sites left out follow, the nearest first
//!                      └ its coordinates ───────────────┤ where it is known where the client is, else
//! anybody else ─────────────────────────────────────────┘ in the order of the default
//! ```
//!
//! Networks of one list are one region, so there are as many regions as lists, however many networks.

mod configured;
mod database;
mod distance;
#[cfg(test)]
mod mmdb;
mod orders;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::answer::{ClientMap, ClientMapError};
use crate::dns::Network;
use crate::zone::{ClientsId, mix};

use orders::Orders;

pub use configured::{Clients, ClientsError, MAX_MAPS, clients};

/// The most sites that clients can be shared out among.
pub const MAX_SITES: usize = 256;
/// The most networks taken from one database; the largest there are have six million.
pub const MAX_NETWORKS: usize = 16_000_000;

/// Which clients are to prefer which sites. Sites are told apart by their place in `sites`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Each site's latitude and longitude in degrees; one without is nobody's nearest.
    pub sites: Vec<Option<[f64; 2]>>,
    /// The order for clients nothing is known of. Sites it leaves out follow in their own order.
    pub default: Vec<u8>,
    /// Networks whose clients prefer these sites, whatever databases say.
    pub networks: Vec<(Network, Vec<u8>)>,
    /// What a database tells of a network, and the sites its clients prefer; the first that fits counts.
    pub rules: Vec<Rule>,
}

/// One wish for the clients of networks in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which networks.
    pub of: Of,
    /// Which sites, in this order.
    pub sites: Vec<u8>,
}

/// What a database may tell of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// A country, by its two letters (ISO 3166-1): `DE`.
    Country(String),
    /// A continent, by its two letters: `EU`.
    Continent(String),
    /// A network operator, by the number of its autonomous system.
    Asn(u32),
}

/// Clients, sorted.
#[derive(Clone, Debug)]
pub struct Regions {
    /// Which region an address is of.
    pub map: Arc<ClientMap>,
    /// For each region, every site once, in order of preference. Region 0 is that of the default.
    pub orders: Vec<Vec<u8>>,
}

/// Why clients cannot be sorted.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// No database, or a broken one.
    #[error("database {number}: {why}; is it a whole file in MaxMind's format (.mmdb)?")]
    Database {
        /// Its place among those given, from 1.
        number: usize,
        /// What the reader says.
        why: String,
    },
    /// A larger database than is read.
    #[error("database {number} has more than {MAX_NETWORKS} networks")]
    TooMany {
        /// Its place among those given, from 1.
        number: usize,
    },
    /// A site that is not there, or too many of them.
    #[error("site number {site} of {sites}: there are at most {MAX_SITES}")]
    NoSite {
        /// Its place.
        site: usize,
        /// How many sites there are.
        sites: usize,
    },
    /// The map could not be made.
    #[error(transparent)]
    Map(#[from] ClientMapError),
}

/// Sorts clients by the plan. Of several databases a later one counts before the earlier ones, where it
/// tells something that matters: put that of autonomous systems after that of places.
pub fn regions(plan: &Plan, databases: &[&[u8]]) -> Result<Regions, GeoError> {
    check(plan)?;
    let mut orders = Orders::new(plan);
    let mut layers: Vec<Vec<(Network, u32)>> = Vec::with_capacity(databases.len() + 1);
    for (number, bytes) in (1..).zip(databases) {
        layers.push(database::read(number, bytes, plan, &mut orders)?);
    }
    let named = plan.networks.iter().map(|(network, sites)| (*network, orders.of(sites, None)));
    layers.push(named.collect());

    let (places, orders) = orders.finish();
    let layers: Vec<Vec<(Network, u16)>> = layers
        .into_iter()
        .map(|layer| layer.into_iter().map(|(network, order)| (network, places[order as usize])).collect())
        .collect();
    let layers: Vec<&[(Network, u16)]> = layers.iter().map(Vec::as_slice).collect();
    // There are no more orders than regions may be, and those are counted in 16 bits.
    let map = Arc::new(ClientMap::new(orders.len() as u16, &layers)?);
    Ok(Regions { map, orders })
}

fn check(plan: &Plan) -> Result<(), GeoError> {
    let sites = plan.sites.len();
    if sites > MAX_SITES {
        return Err(GeoError::NoSite { site: sites, sites });
    }
    let named = plan.networks.iter().map(|(_, sites)| sites);
    let all = named.chain(plan.rules.iter().map(|rule| &rule.sites)).chain([&plan.default]).flatten();
    match all.map(|&site| usize::from(site)).find(|&site| site >= sites) {
        Some(site) => Err(GeoError::NoSite { site, sites }),
        None => Ok(()),
    }
}

impl Regions {
    /// What steering made for these regions names them by: the same wherever the lists are the same and in
    /// the same order, however clients are sorted.
    pub fn id(&self) -> ClientsId {
        let list = |sum, order: &Vec<u8>| {
            order.iter().fold(mix(sum ^ order.len() as u64), |sum, &site| mix(sum ^ u64::from(site)))
        };
        let sum = self.orders.iter().fold(self.orders.len() as u64, list);
        ClientsId(format!("{sum:016x}").into())
    }
}
