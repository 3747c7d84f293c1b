//! What each client is answered: the real answer table, made of what the engine publishes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::answer::ChoiceFor;
use crate::dns::{Name, RrSet, RrType};
use crate::engine::ServiceView;
use crate::model::{SiteId, Whereto};
use crate::zone::{BUCKETS, Pick};

use super::world::World;

/// How many of [`BUCKETS`] are answered from each site; where an answer holds several, it counts for each.
pub type Shares = BTreeMap<SiteId, u32>;

/// Client networks that are looked at to see who moves.
const NETWORKS: u32 = 1024;

impl World {
    /// What a client is answered at a name, and how many bits of its address that depends on; `None` where
    /// answers do not depend on the client.
    pub fn choice_for(&self, name: &Name, client: IpAddr) -> Option<ChoiceFor> {
        self.table.as_ref()?.choice_for(name, client)
    }

    /// The sites a client is answered from. Where every query draws one, those of one draw.
    pub fn sites_for(&self, service: &ServiceView, client: IpAddr) -> Vec<SiteId> {
        let Some(decision) = &service.decision else { return Vec::new() };
        let variant = self.choice_for(&service.name, client).and_then(|choice| choice.variant);
        if let Some(variant) = variant.filter(|_| !decision.families.is_empty()) {
            return self.sites_of(service, variant);
        }
        match (variant.map(usize::from), &decision.steer, &decision.partial) {
            (Some(variant), Some(steer), _) => steer.variants[variant].sites.clone(),
            (Some(1), None, Some(partial)) => vec![partial.site.clone()],
            _ => decision.sites.clone(),
        }
    }

    /// The sites whose addresses a variant holds, where families are answered from different ones.
    fn sites_of(&self, service: &ServiceView, variant: u8) -> Vec<SiteId> {
        let steering = self.zones.get(&service.zone).and_then(|zone| zone.steered.get(&service.name));
        let records = steering.and_then(|steering| steering.variants.get(usize::from(variant)));
        let answers = |place: &Whereto| records.is_some_and(|records| answers(records, place));
        let endpoints = service.endpoints.iter();
        let serve = endpoints.filter(|endpoint| endpoint.places.iter().any(|it| answers(&it.place)));
        serve.map(|endpoint| endpoint.site.clone()).collect()
    }

    /// Where a thousand networks are answered from.
    pub fn networks(&self, service: &ServiceView) -> Vec<Vec<SiteId>> {
        if self.table.is_none() {
            let sites = service.decision.as_ref().map_or_else(Vec::new, |decision| decision.sites.clone());
            return vec![sites; NETWORKS as usize];
        }
        let network = |i: u32| Ipv4Addr::from_bits(0x1400_0001 + (i << 8));
        (0..NETWORKS).map(|i| self.sites_for(service, network(i).into())).collect()
    }

    /// The buckets that are answered from each site, in the region of a client.
    pub fn shares(&self, service: &ServiceView, client: Option<IpAddr>) -> Shares {
        let mut shares = Shares::new();
        let Some(decision) = &service.decision else { return shares };
        let all = BUCKETS as u32;
        let mut add = |sites: &[SiteId], buckets: u32| {
            for site in sites {
                *shares.entry(site.clone()).or_default() += buckets;
            }
        };
        let steering = self.zones.get(&service.zone).and_then(|zone| zone.steered.get(&service.name));
        let choice = client.and_then(|client| self.choice_for(&service.name, client));
        let region = choice.map_or(0, |choice| usize::from(choice.region));
        let sites = |variant: u8| match (&decision.steer, &decision.partial) {
            _ if !decision.families.is_empty() => self.sites_of(service, variant),
            (Some(steer), _) => steer.variants[usize::from(variant)].sites.clone(),
            (None, Some(partial)) if variant == 1 => vec![partial.site.clone()],
            _ => decision.sites.clone(),
        };
        match steering.map(|steering| &steering.regions[region]) {
            None => add(&decision.sites, all),
            Some(Pick::One(variant)) => add(&sites(*variant), all),
            Some(Pick::PerQuery(buckets) | Pick::PerClient(buckets)) => {
                let mut of_variant: BTreeMap<u8, u32> = BTreeMap::new();
                buckets.as_slice().iter().for_each(|&variant| *of_variant.entry(variant).or_default() += 1);
                for (variant, buckets) in of_variant {
                    add(&sites(variant), buckets);
                }
            }
        }
        shares
    }
}

/// Whether a place's record is among these.
fn answers(records: &[RrSet], place: &Whereto) -> bool {
    let has = |rtype: RrType, rdata: &[u8]| {
        let mut sets = records.iter().filter(|set| set.rtype == rtype);
        sets.any(|set| set.rdata.iter().any(|have| **have == *rdata))
    };
    match place {
        Whereto::Addr(IpAddr::V4(v4)) => has(RrType::A, &v4.octets()),
        Whereto::Addr(IpAddr::V6(v6)) => has(RrType::AAAA, &v6.octets()),
        Whereto::Name(_) => records.iter().any(|set| set.rtype == RrType::CNAME),
    }
}
