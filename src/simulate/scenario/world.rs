//! Everything around the engine that its effects reach: a published zone, a saved state, a clock that is
//! set. It holds every effect against what it promises.

use std::collections::BTreeMap;
use std::time::Duration;

use super::table::{Maps, maps, table};
use crate::answer::Table;
use crate::dns::{Name, RrSet, RrType, Serial, soa_serial};
use crate::engine::{Effect, Engine, Event, Happened, Load, Saved, Status};
use crate::policy::Decision;
use crate::time::Time;
use crate::zone::{BUCKETS, Changeset, Pick, Steering};

/// A published zone as a client could see it: steered names alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub serial: Serial,
    pub sets: BTreeMap<(Name, RrType), RrSet>,
    /// Names of which a part of the clients gets something else.
    pub steered: BTreeMap<Name, Steering>,
}

pub struct World {
    pub engine: Engine,
    pub now: Time,
    pub zones: BTreeMap<Name, Published>,
    /// How often anything was published, reloads aside.
    pub changesets: usize,
    pub load: Load,
    /// What was saved, by kind and key.
    pub saved: BTreeMap<String, Saved>,
    /// When the engine wants to be woken.
    pub wake: Option<Time>,
    /// What clients are answered from.
    pub(super) table: Option<Table>,
    /// Given with the configuration, where that names databases.
    maps: Option<Maps>,
    /// Everything the engine was given, and each beginning of one from what was saved.
    pub given: Vec<Given>,
}

/// One thing an engine was given.
#[derive(Clone, Debug)]
pub enum Given {
    Start(Vec<Saved>),
    Event(Time, Event),
}

impl World {
    /// Starts an engine without any state.
    pub fn start(now: Time, load: Load) -> World {
        World::with_maps(now, load, None)
    }

    /// The same, clients sorted by these maps; without them, by the networks that configurations name.
    pub fn with_maps(now: Time, load: Load, maps: Option<Maps>) -> World {
        let mut world = World {
            engine: Engine::new(1, Vec::new()),
            now,
            zones: BTreeMap::new(),
            changesets: 0,
            load: load.clone(),
            saved: BTreeMap::new(),
            wake: None,
            table: None,
            maps,
            given: vec![Given::Start(Vec::new())],
        };
        world.step(Event::Load(load));
        world
    }

    /// One event at the present moment, its effects carried out.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        if let Event::Load(load) = &event {
            self.load = load.clone();
        }
        self.given.push(Given::Event(self.now, event.clone()));
        let effects = self.engine.step(self.now, event);
        let mut publishing = false;
        for effect in &effects {
            match effect {
                Effect::Save(saved) => self.save(saved),
                Effect::Publish(changeset) => self.publish(changeset),
                Effect::Rebase(changesets) => self.rebase(changesets),
                Effect::Renew(changesets) => changesets.iter().for_each(|changeset| self.publish(changeset)),
                Effect::Wake(at) => self.wake = Some(*at),
                Effect::Record(_) | Effect::Pace(..) | Effect::Refused(_) => {}
            }
            let is_kept = matches!(effect, Effect::Save(_) | Effect::Record(_));
            assert!(!(publishing && is_kept), "state is saved before it is published");
            publishing |= matches!(effect, Effect::Publish(_) | Effect::Rebase(_) | Effect::Renew(_));
        }
        if publishing || decisions(&effects).next().is_some() {
            self.check_answers();
        }
        effects
    }

    /// Lets time pass, with a tick at each wake.
    pub fn advance(&mut self, to: Time) -> Vec<Effect> {
        self.advance_told(to).into_iter().map(|(_, effect)| effect).collect()
    }

    /// As [`World::advance`], with the moment of each effect.
    pub fn advance_told(&mut self, to: Time) -> Vec<(Time, Effect)> {
        let mut effects = Vec::new();
        while let Some(at) = self.wake.filter(|&at| at <= to) {
            self.wake = None;
            self.now = self.now.max(at);
            let now = self.now;
            effects.extend(self.step(Event::Tick).into_iter().map(|effect| (now, effect)));
        }
        self.now = self.now.max(to);
        effects
    }

    /// Ends the engine as `kill -9` would and starts one from what was saved.
    pub fn restart(&mut self) -> Vec<Effect> {
        let saved = self.saved.values().map(|saved| {
            // Of what the engine saves nothing can fail to be written, nor to be read again.
            let text = serde_json::to_string(saved).expect("state is written");
            serde_json::from_str(&text).expect("state is read again") // as above
        });
        let saved: Vec<Saved> = saved.collect();
        self.given.push(Given::Start(saved.clone()));
        self.engine = Engine::new(1, saved);
        self.wake = None;
        self.step(Event::Load(self.load.clone()))
    }

    /// What is laid over the zones as they are loaded.
    pub fn overlays(&mut self) -> Vec<Changeset> {
        self.engine.overlays()
    }

    pub fn status(&self) -> Status {
        self.engine.status(self.now)
    }

    /// How many of the 4096 buckets of clients get what a failback moves them to.
    fn moved(&self, name: &Name) -> u32 {
        let steering = self.zones.values().find_map(|zone| zone.steered.get(name));
        match steering.map(|steering| &steering.regions[0]) {
            Some(Pick::PerClient(buckets)) => {
                buckets.as_slice().iter().map(|&variant| u32::from(variant == 1)).sum()
            }
            other => {
                assert!(other.is_none(), "shares are of clients");
                0
            }
        }
    }

    /// What is answered at a name.
    pub fn answer(&self, name: &Name) -> Vec<RrSet> {
        let above = self.zones.iter().filter(|(apex, _)| name.is_at_or_below(apex));
        let zone = above.max_by_key(|(apex, _)| apex.labels().count());
        let all = (name.clone(), RrType(0))..=(name.clone(), RrType(u16::MAX));
        zone.into_iter()
            .flat_map(|(_, zone)| zone.sets.range(all.clone()))
            .map(|(_, set)| set.clone())
            .collect()
    }

    fn save(&mut self, saved: &Saved) {
        let (key, gone) = match saved {
            Saved::Zone(key, value) => (format!("zone {key}"), value.is_none()),
            Saved::Service(key, value) => (format!("service {key}"), value.is_none()),
            Saved::Check(key, value) => (format!("check {key}"), value.is_none()),
            Saved::Override(key, value) => (format!("override {key:?}"), value.is_none()),
            Saved::Edit(key, value) => (format!("edit {key:?}"), value.is_none()),
            Saved::Clock(_) => ("clock".to_owned(), false),
            Saved::Promised(value) => ("promised".to_owned(), value.is_none()),
        };
        if gone {
            self.saved.remove(&key)
        } else {
            self.saved.insert(key, saved.clone())
        };
    }

    fn publish(&mut self, changeset: &Changeset) {
        // The engine publishes zones of its last load, and each was laid over by that.
        let zone = self.zones.get_mut(&changeset.zone).expect("a zone that was loaded");
        assert_eq!(changeset.from, zone.serial, "a changeset builds on what is published");
        let changes =
            !(changeset.remove.is_empty() && changeset.add.is_empty() && changeset.steer.is_empty());
        // That a name waits no longer for its first answer changes nothing that has a serial.
        let advances = changeset.to.is_after(changeset.from);
        assert!(advances || !changes && changeset.to == changeset.from, "the serial advances");
        assert!(!changeset.is_empty(), "a changeset changes something");
        zone.apply(changeset);
        if let Some(table) = &mut self.table {
            table.apply(changeset).unwrap_or_else(|why| panic!("a changeset fits the table: {why}"));
        }
        self.changesets += 1;
    }

    fn rebase(&mut self, changesets: &[Changeset]) {
        let before = std::mem::take(&mut self.zones);
        assert_eq!(changesets.len(), self.load.zones.len(), "each zone is laid over");
        for changeset in changesets {
            let base = self.load.zones.iter().find(|base| base.apex == changeset.zone);
            let base = base.expect("a zone loaded"); // as each changeset of a rebase is of a zone loaded
            assert_eq!(changeset.from, soa_serial(&base.soa), "a rebase builds on the file");
            let key = |set: &RrSet| ((set.owner.clone(), set.rtype), set.clone());
            let mut zone = Published {
                serial: changeset.from,
                sets: base.at_services.steered.values().flatten().map(key).collect(),
                steered: BTreeMap::new(),
            };
            zone.apply(changeset);
            if let Some(before) = before.get(&changeset.zone) {
                let after = zone.serial.is_after(before.serial);
                assert!(after || *before == zone, "a serial stays with its content: {before:?} {zone:?}");
            }
            self.zones.insert(changeset.zone.clone(), zone);
        }
        self.table = table(&self.load, self.maps.clone().unwrap_or_else(|| maps(&self.load.config)));
        for changeset in changesets {
            let Some(table) = &mut self.table else { break };
            table.apply(changeset).unwrap_or_else(|why| panic!("a rebase fits the table: {why}"));
        }
    }

    /// What is answered is what was last decided, or what the file holds.
    fn check_answers(&self) {
        for service in self.engine.status(self.now).services {
            let file = self.load.zones.iter().flat_map(|base| base.at_services.steered.values().flatten());
            let file: Vec<&RrSet> = file.filter(|set| set.owner == service.name).collect();
            let held = self.load.undecided.answered.iter().filter(|set| set.owner == service.name);
            let mut expect: Vec<RrSet> = match &service.decision {
                Some(decision) => decision.records.clone(),
                None if file.is_empty() => held.cloned().collect(),
                None => file.into_iter().cloned().collect(),
            };
            expect.sort_by_key(|set| set.rtype);
            assert_eq!(self.answer(&service.name), expect, "the answer is what was decided");
            let partial = service.decision.as_ref().and_then(|decision| decision.partial.as_ref());
            let steering = self.zones[&service.zone].steered.get(&service.name);
            let parts = service.decision.as_ref().is_some_and(|decision| !decision.families.is_empty());
            let steer = service.decision.as_ref().and_then(|decision| decision.steer.as_ref());
            let steer = steer.filter(|_| !parts);
            assert_eq!(
                service.decision.as_ref().is_some_and(Decision::is_by_client),
                steering.is_some(),
                "answers differ where a decision says so, or a failback is in steps"
            );
            if let Some(steering) = steering {
                assert!(steering.check(&service.name).is_ok(), "a steering that can be followed");
            }
            if let (Some(decision), Some(partial), Some(steering)) = (&service.decision, partial, steering) {
                let variants = [&decision.records, &partial.records];
                let gets = steering.variants.iter().zip(variants).all(|(has, wants)| has.starts_with(wants));
                assert!(gets && steering.variants.len() == 2, "each part gets what was decided");
                let wanted = u32::from(partial.percent) * BUCKETS as u32 / 100;
                assert!(self.moved(&service.name).abs_diff(wanted) <= 1, "no more move than it says");
            }
            if let (Some(decision), Some(steering), true) = (&service.decision, steering, parts) {
                let decided: Vec<&RrSet> = decision.all_records().collect();
                for set in steering.variants.iter().flatten().filter(|set| is_address(set.rtype)) {
                    assert!(decided.contains(&set), "each family is answered as decided: {set:?}");
                }
            }
            if let (Some(steer), Some(steering)) = (steer, steering) {
                assert_eq!(steering.variants.len(), steer.variants.len(), "what was decided is published");
                for (has, wants) in steering.variants.iter().zip(&steer.variants) {
                    assert!(has.starts_with(&wants.records), "each variant is what was decided");
                }
            }
            let serial = self.zones[&service.zone].serial;
            assert_eq!(service.serial, Some(serial), "the serial shown is the one published");
        }
    }
}

fn is_address(rtype: RrType) -> bool {
    [RrType::A, RrType::AAAA].contains(&rtype)
}

impl Published {
    /// As `Changeset`'s documentation says, and strictly.
    fn apply(&mut self, changeset: &Changeset) {
        for set in &changeset.remove {
            let gone = self.sets.remove(&(set.owner.clone(), set.rtype));
            assert_eq!(gone.as_ref(), Some(set), "what is removed was there");
        }
        for set in &changeset.add {
            assert!(!set.rdata.is_empty());
            let old = self.sets.insert((set.owner.clone(), set.rtype), set.clone());
            assert_eq!(old, None, "what is added was not there");
        }
        for (name, steering) in &changeset.steer {
            match steering {
                Some(steering) => self.steered.insert(name.clone(), steering.clone()),
                None => self.steered.remove(name),
            };
        }
        assert_eq!(soa_serial(&changeset.soa), changeset.to, "the SOA has the new serial");
        self.serial = changeset.to;
    }
}

/// The decisions among effects.
pub fn decisions(effects: &[Effect]) -> impl Iterator<Item = &Decision> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Record(Happened::Decision(decision)) => Some(decision),
        _ => None,
    })
}

/// The moment a timeline begins: 2026-01-01T00:00:00Z.
pub fn zero() -> Time {
    Time(0) + Duration::from_secs(1_767_225_600)
}
