//! The answer table that a load is published in, and the maps that sort its clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::answer::{ClientMap, Table};
use crate::config::Databases;
use crate::dns::{Name, RrSet};
use crate::engine::{Load, ZoneBase};
use crate::model::Config;
use crate::zone::{ClientsId, Zone, parse};

/// The maps that sort clients, by what decisions name them by.
pub type Maps = BTreeMap<ClientsId, Arc<ClientMap>>;

/// What the networks that a configuration names come to; databases are given to [`World::with_maps`](super::World::with_maps).
pub(super) fn maps(config: &Config) -> Maps {
    // Of a configuration that was checked, or a scenario's, whose load was made from the same.
    crate::geo::clients(config, &Databases::new()).map(|sorted| sorted.maps).unwrap_or_default()
}

/// The table a load is published in; `None` where nobody is answered differently from others.
pub(super) fn table(load: &Load, maps: Maps) -> Option<Table> {
    let services = &load.config.services;
    if services.iter().all(|service| service.tree.is_none() && service.moving.steps.is_empty()) {
        return None;
    }
    let zone = |base: &Arc<ZoneBase>| -> Option<Zone> {
        let soa = base.soa.to_lines();
        let sets = base
            .at_services
            .steered
            .values()
            .chain(base.at_services.beside.values())
            .flatten()
            .flat_map(RrSet::to_lines);
        let ns = format!("{} 3600 IN NS ns.invalid.", base.apex);
        let text: Vec<String> = soa.chain([ns]).chain(sets).collect();
        let mut none = |file: &str| Err(file.to_owned());
        parse(&base.apex, "a zone", (text.join("\n") + "\n").as_bytes(), &mut none).ok().map(|(zone, _)| zone)
    };
    // What stands in a load was read from lines like these.
    let zones: Vec<Zone> = load.zones.iter().map(zone).collect::<Option<_>>()?;
    let steered: Vec<Name> = services.iter().map(|service| service.name.clone()).collect();
    Some(Table::compile(zones, &steered, 1).with_clients(maps))
}
