//! The maps of clients that a configuration asks for: one for each `[geo.KEY]` and list of sites.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{GeoError, Of, Plan, Rule, regions};
use crate::answer::ClientMap;
use crate::config::Databases;
use crate::dns::Name;
use crate::model::{ClientsOf, Config, Geo, SiteId};
use crate::policy::Regions;
use crate::zone::ClientsId;

/// The most different maps: each may hold millions of ranges.
pub const MAX_MAPS: usize = 64;

/// How clients are told apart under one configuration.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// The maps, by what decisions name them by.
    pub maps: BTreeMap<ClientsId, Arc<ClientMap>>,
    /// For each service that needs one, which endpoints its regions prefer.
    pub regions: BTreeMap<Name, Arc<Regions>>,
}

/// Why there are no maps.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// One could not be made.
    #[error("[geo.{id}]: {why}")]
    Geo {
        /// The section.
        id: Arc<str>,
        /// Why.
        why: GeoError,
    },
    /// More than are kept.
    #[error(
        "services of policy geo have more than {MAX_MAPS} different lists of sites; let more of them list the same"
    )]
    TooMany,
}

/// Sorts clients for every service that asks for it. Services of one section whose endpoints are at the same
/// sites, in the same order, share a map.
pub fn clients(config: &Config, databases: &Databases) -> Result<Clients, ClientsError> {
    let mut made: BTreeMap<(Arc<str>, Vec<SiteId>), Arc<Regions>> = BTreeMap::new();
    let mut clients = Clients::default();
    for service in &config.services {
        let id = service.tree.as_ref().and_then(|tree| tree.geo.as_ref());
        let Some(geo) = id.and_then(|id| config.geo.iter().find(|geo| geo.id == *id)) else { continue };
        let sites: Vec<SiteId> = service.endpoints.iter().map(|endpoint| endpoint.site.clone()).collect();
        let key = (geo.id.clone(), sites);
        let regions = match made.get(&key) {
            Some(made) => Arc::clone(made),
            None if made.len() == MAX_MAPS => return Err(ClientsError::TooMany),
            None => {
                let plan = plan(config, geo, &key.1);
                let files = geo.databases.iter().filter_map(|path| databases.get(path));
                let files: Vec<&[u8]> = files.map(|bytes| &**bytes).collect();
                let sorted =
                    regions(&plan, &files).map_err(|why| ClientsError::Geo { id: geo.id.clone(), why })?;
                // One table has several maps: their names tell them apart where their lists do not.
                let id = ClientsId(format!("{}/{}/{}", geo.id, key.1.join(","), sorted.id().0).into());
                clients.maps.insert(id.clone(), sorted.map);
                let regions = Arc::new(Regions { id, orders: sorted.orders });
                made.insert(key, Arc::clone(&regions));
                regions
            }
        };
        clients.regions.insert(service.name.clone(), regions);
    }
    Ok(clients)
}

/// What a section says of these sites; those that a service has no endpoint at are passed over.
fn plan(config: &Config, geo: &Geo, sites: &[SiteId]) -> Plan {
    let places = |listed: &[SiteId]| -> Vec<u8> {
        let place = |site: &SiteId| sites.iter().position(|have| have == site);
        listed.iter().filter_map(place).map(|at| at as u8).collect() // a service has at most 64 endpoints
    };
    let location = |id: &SiteId| config.sites.iter().find(|site| site.id == *id)?.location;
    let of = |of: &ClientsOf| match of {
        ClientsOf::Country(code) => Of::Country(code.clone()),
        ClientsOf::Continent(code) => Of::Continent(code.clone()),
        ClientsOf::Asn(number) => Of::Asn(*number),
    };
    Plan {
        sites: sites.iter().map(location).collect(),
        default: places(&geo.default),
        networks: geo.networks.iter().map(|(network, prefer)| (*network, places(prefer))).collect(),
        rules: geo.rules.iter().map(|(is, prefer)| Rule { of: of(is), sites: places(prefer) }).collect(),
    }
}
