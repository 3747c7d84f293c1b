//! Changesets: from one published table to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compile::encode_negative;
use super::node::{Body, Kind, Node};
use super::pick::Steered;
use super::set::{self, Sets};
use super::slots::SlotBody;
use super::table::{Table, apex_slot, negative_slot};
use crate::dns::{Name, RrSet, RrType};
use crate::zone::{Changeset, ClientsId, Steering, SteeringError};

/// Why a changeset does not fit a table. Nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The table was compiled without this zone.
    #[error("zone {0} is not served: load its file first")]
    NoZone(Name),
    /// The name has no slot.
    #[error("{owner} in zone {zone} is fixed: compile the table with it among the steered names")]
    NotSteered {
        /// The changeset's zone.
        zone: Name,
        /// The name.
        owner: Name,
    },
    /// Records that decide what other names are cannot be changed in place.
    #[error("{owner}: records of type {rtype} shape the zone: load the zone's file again to change them")]
    Shape {
        /// The name.
        owner: Name,
        /// The type's number.
        rtype: u16,
    },
    /// The changeset's SOA is not one SOA record at its zone's apex.
    #[error("the changeset of zone {0} has no SOA of that zone")]
    BadSoa(Name),
    /// What is to depend on the client contradicts itself.
    #[error("{owner}: {why}")]
    Steering {
        /// The name.
        owner: Name,
        /// Why.
        #[source]
        why: SteeringError,
    },
    /// The map of clients it names is none of this table's.
    #[error("{owner} is steered by the clients' map {}, which this table does not have", id.0)]
    NoClients {
        /// The name.
        owner: Name,
        /// The map.
        id: ClientsId,
    },
    /// The map sorts clients into regions that it has no pick for.
    #[error("{owner} has picks for {picks} regions, but its clients' map has {regions}")]
    Regions {
        /// The name.
        owner: Name,
        /// How many picks.
        picks: usize,
        /// How many regions.
        regions: u16,
    },
}

/// Types that shape a zone: they come with its file and stay.
fn shapes(rtype: RrType) -> bool {
    matches!(rtype, RrType::SOA | RrType::NS | RrType::DNAME)
}

/// The changed record sets of one name: `None` takes a set away.
type Changes<'c> = BTreeMap<RrType, Option<&'c RrSet>>;

/// Those of the changes that shape the zone.
fn shape_of<'c>(changes: &Changes<'c>) -> Changes<'c> {
    changes.iter().filter(|(rtype, _)| shapes(**rtype)).map(|(&rtype, &set)| (rtype, set)).collect()
}

/// What becomes of one slot.
#[derive(Default)]
struct Touched<'c> {
    changes: Changes<'c>,
    steer: Steer<'c>,
    wait: Wait<'c>,
}

/// Whether a slot's answers come to depend on the client.
#[derive(Default)]
enum Steer<'c> {
    /// As before.
    #[default]
    Same,
    /// As this says.
    By(&'c Steering),
    /// No longer.
    Ended,
}

/// Whether a name waits for its first answer.
#[derive(Default)]
enum Wait<'c> {
    /// As before.
    #[default]
    Same,
    /// For these types.
    For(&'c [RrType]),
    /// No longer.
    Ended,
}

impl Table {
    /// Applies a changeset, all of it or nothing. What it says of the serial before is not looked at: after
    /// a restart it builds on what was published last, which no file knows.
    pub fn apply(&mut self, changeset: &Changeset) -> Result<(), ApplyError> {
        let zone = self.zone_at(&changeset.zone)?;
        let soa = &changeset.soa;
        if soa.rtype != RrType::SOA || soa.owner != changeset.zone || soa.rdata.len() != 1 {
            return Err(ApplyError::BadSoa(changeset.zone.clone()));
        }
        let mut slots: BTreeMap<u32, Touched<'_>> = BTreeMap::new();
        let removed = changeset.remove.iter().map(|set| (set, None));
        for (set, change) in removed.chain(changeset.add.iter().map(|set| (set, Some(set)))) {
            if shapes(set.rtype) {
                return Err(ApplyError::Shape { owner: set.owner.clone(), rtype: set.rtype.0 });
            }
            let (slot, _) = self.slot_of(&changeset.zone, &set.owner)?;
            slots.entry(slot).or_default().changes.insert(set.rtype, change);
        }
        for (owner, steering) in &changeset.steer {
            let (slot, node) = self.slot_of(&changeset.zone, owner)?;
            if let Some(steering) = steering {
                self.check(owner, steering)?;
            }
            // No answer comes from at or below a delegation: there is nobody to choose for.
            if matches!(node.kind(), Kind::Authoritative(_)) {
                slots.entry(slot).or_default().steer = steering.as_ref().map_or(Steer::Ended, Steer::By);
            }
        }
        for (owner, types) in &changeset.wait {
            let (slot, _) = self.slot_of(&changeset.zone, owner)?;
            slots.entry(slot).or_default().wait = types.as_deref().map_or(Wait::Ended, Wait::For);
        }
        let apex = slots.entry(apex_slot(zone)).or_default();
        apex.changes.insert(RrType::SOA, Some(soa));

        let mut bodies: BTreeMap<u32, SlotBody> = slots
            .into_iter()
            .map(|(slot, touched)| (slot, self.touched(&changeset.zone, slot, &touched)))
            .collect();
        if !changeset.wait.is_empty() {
            self.count_waiting(zone, &bodies);
        }
        let mut negative = Vec::new();
        for rdata in &soa.rdata {
            encode_negative(&mut negative, soa.owner.as_wire(), soa.ttl, rdata);
        }
        bodies.insert(negative_slot(zone), SlotBody::Plain(negative.into()));
        self.slots.replace(bodies);
        Ok(())
    }

    /// Whether a steering can be followed in this table.
    fn check(&self, owner: &Name, steering: &Steering) -> Result<(), ApplyError> {
        steering.check(owner).map_err(|why| ApplyError::Steering { owner: owner.clone(), why })?;
        let Some(id) = &steering.clients else { return Ok(()) };
        let Some(map) = self.clients.get(id) else {
            return Err(ApplyError::NoClients { owner: owner.clone(), id: id.clone() });
        };
        let (picks, regions) = (steering.regions.len(), map.regions());
        if picks < usize::from(regions) {
            return Err(ApplyError::Regions { owner: owner.clone(), picks, regions });
        }
        Ok(())
    }

    /// What a slot holds once it is changed.
    fn touched(&self, zone: &Name, slot: u32, touched: &Touched<'_>) -> SlotBody {
        let held = self.slots.get(slot);
        let plain: Arc<[u8]> = self.changed(zone, held.plain(), &touched.changes).into();
        match (&touched.wait, held) {
            (Wait::For(types), _) => {
                let known = Sets::of(&plain).filter(|set| !types.contains(&set.rtype));
                let known = known.flat_map(|set| set.raw.iter().copied()).collect();
                return SlotBody::Steered(Arc::new(Steered::waiting(plain, known)));
            }
            (Wait::Same, SlotBody::Steered(steered)) if steered.waits => {
                let known = self.changed(zone, &steered.variants[0], &shape_of(&touched.changes));
                return SlotBody::Steered(Arc::new(steered.with_bodies(plain, vec![known])));
            }
            (Wait::Same | Wait::Ended, _) => {}
        }
        match (&touched.steer, held) {
            (Steer::By(steering), _) => {
                let clients = steering.clients.as_ref().and_then(|id| self.clients.get(id)).cloned();
                // What shapes the zone is in every variant, so that each is all there is at its owner.
                let mut shape = Vec::new();
                for set in Sets::of(&plain).filter(|set| shapes(set.rtype)) {
                    shape.extend_from_slice(set.raw);
                }
                let variant = |sets: &Vec<RrSet>| {
                    let sets = sets.iter().map(|set| (set.rtype, Some(set))).collect();
                    self.changed(zone, &shape, &sets)
                };
                let variants = steering.variants.iter().map(variant).collect();
                SlotBody::Steered(Arc::new(Steered::new(steering, plain, clients, variants)))
            }
            (Steer::Same, SlotBody::Steered(steered)) if !steered.waits => {
                let shape = shape_of(&touched.changes);
                let variants = steered.variants.iter().map(|body| self.changed(zone, body, &shape)).collect();
                SlotBody::Steered(Arc::new(steered.with_bodies(plain, variants)))
            }
            (Steer::Ended | Steer::Same, _) => SlotBody::Plain(plain),
        }
    }

    /// Counts the zone's names that wait, where these slots change.
    fn count_waiting(&mut self, zone: u32, changed: &BTreeMap<u32, SlotBody>) {
        let waits = |body: &SlotBody| matches!(body, SlotBody::Steered(steered) if steered.waits);
        let before = changed.keys().filter(|&&slot| waits(self.slots.get(slot))).count();
        let after = changed.values().filter(|body| waits(body)).count();
        let waiting = Arc::make_mut(&mut self.waiting);
        let count = waiting.remove(&zone).unwrap_or(0) + after - before;
        if count > 0 {
            waiting.insert(zone, count);
        }
    }

    fn zone_at(&self, apex: &Name) -> Result<u32, ApplyError> {
        self.zone(apex).map(|(zone, _)| zone).ok_or_else(|| ApplyError::NoZone(apex.clone()))
    }

    fn slot_of(&self, zone: &Name, owner: &Name) -> Result<(u32, Node<'_>), ApplyError> {
        let fixed = || ApplyError::NotSteered { zone: zone.clone(), owner: owner.clone() };
        let node = self.node(self.base.find(owner.as_wire()).ok_or_else(fixed)?);
        let is_ours = match node.kind() {
            Kind::Authoritative(number) | Kind::Cut(number) => self.base.zones[number as usize].apex == *zone,
            Kind::Hidden(_) => owner.is_at_or_below(zone),
            // Nothing is steered in such a zone.
            Kind::Absent(_) | Kind::Private(_) => false,
        };
        match node.body {
            Body::Slot(slot) if is_ours => Ok((slot, node)),
            _ => Err(fixed()),
        }
    }

    /// A body with some of its sets changed, in the order of types as when it was compiled.
    fn changed(&self, zone: &Name, old: &[u8], changes: &Changes<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        let mut old = Sets::of(old).peekable();
        for (&rtype, change) in changes {
            while let Some(set) = old.next_if(|set| set.rtype < rtype) {
                body.extend_from_slice(set.raw);
            }
            old.next_if(|set| set.rtype == rtype);
            if let Some(set) = change.filter(|set| !set.rdata.is_empty()) {
                self.encode_linked(&mut body, zone, set);
            }
        }
        old.for_each(|set| body.extend_from_slice(set.raw));
        body
    }

    fn encode_linked(&self, body: &mut Vec<u8>, zone: &Name, set: &RrSet) {
        let start = body.len();
        let owner = set.owner.as_wire();
        let rdata = set.rdata.iter().map(|rdata| &**rdata);
        set::encode(body, zone.as_wire(), owner, (set.rtype, set.ttl), rdata);
        for (place, target) in set::link_targets(&body[start..], owner) {
            if let Some(target) = self.base.find(&target) {
                set::set_link(&mut body[start..], place, target);
            }
        }
    }
}
