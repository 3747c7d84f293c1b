//! Databases of networks in MaxMind's format: every network once, and which list of sites it leads to.

use std::collections::HashMap;

use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;

use super::orders::Orders;
use super::{GeoError, MAX_NETWORKS, Of, Plan};
use crate::dns::Network;

/// What is looked for in a record, as the databases of cities, countries and autonomous systems call it.
/// Each may be missing.
#[derive(Deserialize)]
struct Record<'d> {
    #[serde(borrow, default)]
    continent: Option<Continent<'d>>,
    #[serde(borrow, default)]
    country: Option<Country<'d>>,
    #[serde(default)]
    location: Option<Location>,
    #[serde(default)]
    autonomous_system_number: Option<u32>,
}

#[derive(Deserialize)]
struct Continent<'d> {
    #[serde(default)]
    code: Option<&'d str>,
}

#[derive(Deserialize)]
struct Country<'d> {
    #[serde(default)]
    iso_code: Option<&'d str>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    latitude: Option<f64>,
    #[serde(default)]
    longitude: Option<f64>,
}

/// Every network that a rule or its place decides something for, and the number of its list.
pub(super) fn read(
    number: usize,
    bytes: &[u8],
    plan: &Plan,
    orders: &mut Orders<'_>,
) -> Result<Vec<(Network, u32)>, GeoError> {
    let broken = |why: &dyn ToString| GeoError::Database { number, why: why.to_string() };
    let reader = Reader::from_source(bytes).map_err(|e| broken(&e))?;
    let mut networks = Vec::new();
    // Millions of networks share some hundred thousand records: each is read once.
    let mut known: HashMap<usize, Option<u32>> = HashMap::new();
    for (seen, found) in reader.networks(WithinOptions::default()).map_err(|e| broken(&e))?.enumerate() {
        if seen == MAX_NETWORKS {
            return Err(GeoError::TooMany { number });
        }
        let found = found.map_err(|e| broken(&e))?;
        let Some(offset) = found.offset() else { continue };
        let order = if let Some(&order) = known.get(&offset) {
            order
        } else {
            let record: Option<Record<'_>> = found.decode().map_err(|e| broken(&e))?;
            let order = record.and_then(|record| record.order(plan, orders));
            known.insert(offset, order);
            order
        };
        if let Some(order) = order {
            let network = found.network().map_err(|e| broken(&e))?;
            networks.push((Network::of(network.ip(), network.prefix()), order));
        }
    }
    Ok(networks)
}

impl Record<'_> {
    fn order(&self, plan: &Plan, orders: &mut Orders<'_>) -> Option<u32> {
        let rule = plan.rules.iter().find(|rule| self.is_of(&rule.of));
        let place = self.place();
        if rule.is_none() && place.is_none() {
            return None;
        }
        Some(orders.of(rule.map_or(&[], |rule| &rule.sites), place))
    }

    fn is_of(&self, of: &Of) -> bool {
        let same = |own: Option<&str>, code: &str| own.is_some_and(|own| own.eq_ignore_ascii_case(code));
        match of {
            Of::Country(code) => same(self.country.as_ref().and_then(|country| country.iso_code), code),
            Of::Continent(code) => same(self.continent.as_ref().and_then(|continent| continent.code), code),
            Of::Asn(number) => self.autonomous_system_number == Some(*number),
        }
    }

    /// Its coordinates, if they are some.
    fn place(&self) -> Option<[f64; 2]> {
        let location = self.location.as_ref()?;
        let place = [location.latitude?, location.longitude?];
        (place[0].abs() <= 90.0 && place[1].abs() <= 180.0).then_some(place)
    }
}
