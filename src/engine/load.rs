//! A load: at start, or a reload. Everything is matched by key, so that what is known of checks,
//! services, zones and overrides goes on; what the configuration no longer has is forgotten.

use std::collections::BTreeMap;

use super::{Effect, Engine, Happened, Load, Saved, Steered, ZoneBase, ZoneState};
use crate::time::Time;
use crate::zone::Name;

impl Engine {
    /// Takes up a configuration and its zones, decides every service whose checks have all reported, and
    /// lays all decisions over the files.
    pub(super) fn load(&mut self, now: Time, load: Load, out: &mut Vec<Effect>) {
        let Load { config, zones, regions } = load;
        let before = self.overlays();
        self.regions = regions;
        let (services, given) = (config.services.len(), zones.len());
        self.take_zones(zones, &config, out);
        self.set_maintenance(now, &config);
        self.set_canaries(now, &config.vantage, out);
        let dropped = self.watch(now, config.checks(), out);
        let mut records = vec![Effect::Record(Happened::Loaded { services, zones: given, dropped })];
        self.steer(&config.services, out);
        self.config = Some(config);
        self.count_all();

        self.agenda.clear_services();
        let mut decisions: BTreeMap<Name, Vec<u64>> = BTreeMap::new();
        for name in self.in_order(self.services.keys().cloned().collect::<Vec<_>>()) {
            if let Some(decided) = self.decide(now, &name, None, out, &mut records) {
                decisions.entry(decided.zone).or_default().push(decided.id);
            }
        }
        let rebase = self.rebase(now, &before, &decisions, out, &mut records);
        out.extend(records);
        out.push(rebase);
        for (key, watched) in &mut self.checks {
            out.extend(watched.pace_after_load().map(|pace| Effect::Pace(key.clone(), pace)));
        }
    }

    /// Takes up the contents of zones of the configuration, and lays all decisions over the zones again.
    pub(super) fn take_contents(&mut self, now: Time, zones: Vec<ZoneBase>, out: &mut Vec<Effect>) {
        for base in zones {
            if base.is_hollow() {
                let steered = self.services.values().any(|steered| steered.service.zone == base.apex);
                if self.zones.remove(&base.apex).is_some() && steered {
                    self.give_up_serial(&base.apex, out);
                }
                continue;
            }
            let services = self.services.values().filter(|steered| steered.service.zone == base.apex).count();
            let sources = self.config.iter().flat_map(|config| &config.zones);
            let source = sources.into_iter().find(|source| source.name == base.apex);
            let style = source.map(|source| source.serial).unwrap_or_default();
            self.zones.insert(base.apex.clone(), ZoneState { style, services, ..base.into() });
        }
        let mut records = Vec::new();
        let overlays = self.overlays();
        let rebase = self.rebase(now, &overlays, &BTreeMap::new(), out, &mut records);
        out.extend(records);
        out.push(rebase);
    }

    /// Takes up the services, ties each to its checks, and forgets what was decided for others.
    fn steer(&mut self, services: &[std::sync::Arc<crate::config::Service>], out: &mut Vec<Effect>) {
        let before = std::mem::take(&mut self.services);
        for (rank, service) in services.iter().enumerate() {
            let mut steered = Steered::new(service.clone(), rank);
            // What was told is told once.
            steered.standby = before.get(&service.name).and_then(|before| before.standby.clone());
            let mut unreported = 0;
            for key in steered.checks() {
                let Some(watched) = self.checks.get_mut(key) else { continue };
                watched.services.push(service.name.clone());
                unreported += usize::from(!watched.health.has_reported());
            }
            steered.unreported = unreported;
            if let Some(zone) = self.zones.get_mut(&service.zone) {
                zone.services += 1;
            }
            self.services.insert(service.name.clone(), steered);
        }
        let gone = self.decided.keys().filter(|name| !self.services.contains_key(*name));
        for name in gone.cloned().collect::<Vec<_>>() {
            self.decided.remove(&name);
            out.push(Effect::Save(Saved::Service(name, None)));
        }
        // A service that moved to another zone is laid over that one from now on.
        for (name, decided) in &mut self.decided {
            let Some(steered) = self.services.get(name) else { continue };
            if decided.zone != steered.service.zone {
                decided.zone = steered.service.zone.clone();
                out.push(Effect::Save(Saved::Service(name.clone(), Some(decided.clone()))));
            }
        }
    }
}
