//! What a decision means beyond one service: the clients that a failback in steps has moved, what sites
//! carry, and whether who comes next could take over.

use super::zones::Laid;
use super::{Effect, Engine, Happened, Steered};
use crate::dns::{Name, RrSet};
use crate::model::{Service, SiteId};
use crate::policy::{Choice, Standing, Tally, loads, standby, unready};
use crate::time::Time;
use crate::zone::{Buckets, Pick, Steering};

/// What shares are counted in: hundredths of a percent.
const PER_PERCENT: u32 = 100;

/// Who gets what while a part of the clients has moved; `None` where all get the same. The variant of who
/// has not moved comes first, as transfers carry it.
pub(super) fn steering(laid: &Laid, zone: &Name, beside: &[RrSet]) -> Option<Steering> {
    let partial = laid.partial.as_ref()?;
    let variant = |records: &[RrSet]| {
        let is_cname = records.iter().any(|set| set.rtype == crate::dns::RrType::CNAME);
        // Nothing stands beside a CNAME (RFC 1034 section 3.6.2).
        let others = if is_cname { &[] } else { beside };
        records.iter().chain(others).cloned().collect()
    };
    let share = u32::from(partial.percent) * PER_PERCENT;
    Some(Steering {
        variants: vec![variant(&laid.records), variant(&partial.records)],
        clients: None,
        regions: vec![Pick::PerClient(Buckets::share(1, 0, share))],
        // The names of a zone that go back to one site move the same clients, whatever they are called.
        salt: salt(zone, &partial.site),
    })
}

/// FNV-1a: the same on every node and in every version.
fn salt(zone: &Name, site: &SiteId) -> u64 {
    let bytes = zone.as_wire().iter().chain(site.as_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Engine {
    /// What the zone file holds at a steered name that no decision touches.
    pub(super) fn beside(&self, zone: &Name, name: &Name) -> &[RrSet] {
        self.zones.get(zone).and_then(|zone| zone.at_services.beside.get(name)).map_or(&[], Vec::as_slice)
    }

    /// Counts anew what each site carries: loads and capacities are the configuration's.
    pub(super) fn count_all(&mut self) {
        let mut tally = Tally::default();
        for (name, steered) in &self.services {
            if let Some(last) = self.decided.get(name) {
                tally.add(&steered.service, &last.decision);
            }
        }
        let sites = self.config.iter().flat_map(|config| &config.sites);
        tally.mark(sites.map(|site| site.id.clone()));
        self.tally = tally;
    }

    /// The load that a site can carry.
    pub(super) fn capacity(&self, site: &SiteId) -> Option<u32> {
        let config = self.config.as_ref()?;
        config.sites.iter().find(|known| known.id == *site)?.capacity
    }

    /// Whether a site would be over capacity with a service answered from it.
    pub(super) fn would_be_over(&self, service: &Service, site: &SiteId) -> bool {
        let Some(capacity) = self.capacity(site) else { return false };
        let load = u64::from(service.moving.load);
        let last = self.decided.get(&service.name);
        let own = last.into_iter().flat_map(|last| loads(service, &last.decision));
        let own: u64 = own.filter(|(at, _)| at == site).map(|(_, load)| load).sum();
        let others = self.tally.of(site).load.saturating_sub(own);
        others + load > u64::from(capacity)
    }

    /// Tells once when the next endpoint could not take over any more, and when it can again.
    pub(super) fn tell_standby(
        &mut self,
        now: Time,
        name: &Name,
        standings: &[Standing],
        choice: &Choice,
        records: &mut Vec<Effect>,
    ) {
        // Where nothing works that is told, and matters more than who would be next.
        if choice.reason.serving.is_none() {
            return;
        }
        let Some(steered) = self.services.get_mut(name) else { return };
        let next = steered.standby_of(standings, choice.reason.serving.as_ref());
        let state = next.as_ref().map(|(site, why)| (site.clone(), why.is_none()));
        let before = std::mem::replace(&mut steered.standby, state.clone());
        let unready = next.as_ref().and_then(|(site, why)| Some((&**site, why.as_deref()?)));
        self.note_standby(now, name, unready);
        // That all is well needs no word, unless it was not.
        let was_unready = before.clone().filter(|(_, ready)| !ready);
        let told = match (next, was_unready) {
            (Some((_, Some(_))), Some(_)) if state == before => None,
            (Some((site, Some(why))), _) => Some((site, Some(why))),
            (Some((site, None)), Some(_)) | (None, Some((site, _))) => Some((site, None)),
            (Some((_, None)) | None, None) => None,
        };
        if let Some((site, unready)) = told {
            let service = name.clone();
            records.push(Effect::Record(Happened::Standby { service, site, unready }));
        }
    }
}

impl Steered {
    /// The endpoint that comes next after the one in use, and why it could not take over now.
    pub(super) fn standby_of(
        &self,
        standings: &[Standing],
        serving: Option<&SiteId>,
    ) -> Option<(SiteId, Option<String>)> {
        // Where clients are shared out, nobody stands by.
        let serving = serving.filter(|_| self.service.tree.is_none())?;
        standby(standings, serving).map(|next| (next.site.clone(), unready(next)))
    }
}
