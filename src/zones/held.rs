//! Zones as they are held where their contents may change by themselves, and changes of them that are ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::messages::Changed;
use crate::answer::{ClientMap, Table};
use crate::dns::Name;
use crate::engine::{Saved, ZoneBase};
use crate::model::{Config, Service, ZoneSource};
use crate::zone::{ClientsId, EditChange, EditKey, Zone};

/// What a load leaves behind where contents may change by themselves.
pub(super) struct Held {
    pub(super) config: Arc<Config>,
    pub(super) maps: BTreeMap<ClientsId, Arc<ClientMap>>,
    pub(super) zones: BTreeMap<Name, HeldZone>,
}

/// One zone.
pub(super) struct HeldZone {
    /// Its place in the configuration.
    pub(super) place: usize,
    /// What its file holds.
    pub(super) file: Arc<Zone>,
    /// What the engine knows of it.
    pub(super) base: Arc<ZoneBase>,
    /// Its services, by name.
    pub(super) services: BTreeMap<Name, Arc<Service>>,
}

impl HeldZone {
    /// Its services.
    pub(super) fn services(&self) -> Vec<&Service> {
        self.services.values().map(|service| &**service).collect()
    }
}

impl Held {
    pub(super) fn new(
        config: Arc<Config>,
        maps: BTreeMap<ClientsId, Arc<ClientMap>>,
        zones: Vec<(Arc<Zone>, Arc<ZoneBase>)>,
    ) -> Held {
        let mut services: BTreeMap<&Name, BTreeMap<Name, Arc<Service>>> = BTreeMap::new();
        for service in &config.services {
            services.entry(&service.zone).or_default().insert(service.name.clone(), service.clone());
        }
        let zones = zones.into_iter().enumerate().map(|(place, (file, base))| {
            let services = services.remove(file.apex()).unwrap_or_default();
            (file.apex().clone(), HeldZone { place, file, base, services })
        });
        let zones = zones.collect();
        Held { config, maps, zones }
    }

    pub(super) fn source(&self, apex: &Name) -> Option<&ZoneSource> {
        self.config.zones.get(self.zones.get(apex)?.place)
    }
}

/// Whether edits are laid over what a file holds: a zone that is not known just now keeps them for when it is.
pub(super) fn takes_edits(file: &Zone) -> bool {
    !file.is_empty() && !file.is_private()
}

/// A change of contents that is ready: taken up by `Sources::done` once the core has.
pub struct Pending {
    pub(super) zones: Vec<PendingZone>,
    pub(super) table: Table,
}

pub(super) struct PendingZone {
    /// What it is made from, where that is another one.
    pub(super) file: Option<Arc<Zone>>,
    pub(super) edits: Vec<EditChange>,
    pub(super) base: ZoneBase,
}

/// For each zone whether what its primary sent could be read; and what comes of it.
pub type Received = (Vec<Result<(), String>>, Option<(Changed, Pending)>);

/// What is to be taken up, and how sources are told that it was.
pub type Prepared = (Changed, Option<Pending>);

/// Edits that changed as what is kept of them.
pub fn saved(apex: &Name, changes: Vec<EditChange>) -> impl Iterator<Item = Saved> {
    changes
        .into_iter()
        .map(move |(owner, rtype, edit)| Saved::Edit(EditKey { zone: apex.clone(), owner, rtype }, edit))
}
