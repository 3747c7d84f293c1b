//! Changesets: from one published table to the next.

use std::collections::BTreeMap;

use super::compile::encode_negative;
use super::node::{Body, Kind, Node};
use super::set::{self, Sets};
use super::table::{Table, apex_slot, negative_slot};
use crate::zone::{Changeset, Name, RrSet, RrType};

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
}

/// The changed record sets of one name: `None` takes a set away.
type Changes<'c> = BTreeMap<RrType, Option<&'c RrSet>>;

impl Table {
    /// Applies a changeset, all of it or nothing. What it says of the serial before is not looked at: after
    /// a restart it builds on what was published last, which no file knows.
    pub fn apply(&mut self, changeset: &Changeset) -> Result<(), ApplyError> {
        let (zone, apex_node) = self.zone_at(&changeset.zone)?;
        let soa = &changeset.soa;
        if soa.rtype != RrType::SOA || soa.owner != changeset.zone || soa.rdata.len() != 1 {
            return Err(ApplyError::BadSoa(changeset.zone.clone()));
        }
        let mut slots: BTreeMap<u32, (Node<'_>, Changes<'_>)> = BTreeMap::new();
        let removed = changeset.remove.iter().map(|set| (set, None));
        for (set, change) in removed.chain(changeset.add.iter().map(|set| (set, Some(set)))) {
            let (slot, node) = self.slot_of(&changeset.zone, set)?;
            slots.entry(slot).or_insert_with(|| (node, Changes::new())).1.insert(set.rtype, change);
        }
        let apex = slots.entry(apex_slot(zone)).or_insert_with(|| (apex_node, Changes::new()));
        apex.1.insert(RrType::SOA, Some(soa));

        let mut bodies: BTreeMap<u32, Vec<u8>> = slots
            .into_iter()
            .map(|(slot, (node, changes))| (slot, self.changed(&changeset.zone, &node, &changes)))
            .collect();
        let mut negative = Vec::new();
        for rdata in &soa.rdata {
            encode_negative(&mut negative, soa.owner.as_wire(), soa.ttl, rdata);
        }
        bodies.insert(negative_slot(zone), negative);
        self.slots.replace(bodies);
        Ok(())
    }

    fn zone_at(&self, apex: &Name) -> Result<(u32, Node<'_>), ApplyError> {
        match self.zone(apex) {
            Some((zone, node)) => Ok((zone, self.node(node))),
            None => Err(ApplyError::NoZone(apex.clone())),
        }
    }

    fn slot_of(&self, zone: &Name, set: &RrSet) -> Result<(u32, Node<'_>), ApplyError> {
        if matches!(set.rtype, RrType::SOA | RrType::NS | RrType::DNAME) {
            return Err(ApplyError::Shape { owner: set.owner.clone(), rtype: set.rtype.0 });
        }
        let fixed = || ApplyError::NotSteered { zone: zone.clone(), owner: set.owner.clone() };
        let node = self.node(self.base.find(set.owner.as_wire()).ok_or_else(fixed)?);
        let is_ours = match node.kind() {
            Kind::Authoritative(number) | Kind::Cut(number) => self.base.zones[number as usize].apex == *zone,
            Kind::Hidden(_) => set.owner.is_at_or_below(zone),
            Kind::Absent(_) => false,
        };
        match node.body {
            Body::Slot(slot) if is_ours => Ok((slot, node)),
            _ => Err(fixed()),
        }
    }

    /// A node's body with some of its sets changed, in the order of types as when it was compiled.
    fn changed(&self, zone: &Name, node: &Node<'_>, changes: &Changes<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        let mut old = Sets::of(self.body(node)).peekable();
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
