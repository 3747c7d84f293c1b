//! Changesets: from one published table to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compile::encode_negative;
use super::grow::Held;
use super::node::{Body, Kind};
use super::pick::Steered;
use super::set::{self, Sets};
use super::slots::SlotBody;
use super::table::Table;
use crate::dns::{Name, RrSet, RrType};
use crate::zone::{Changeset, ClientsId, Steering, SteeringError};

/// Why a changeset does not fit a table. Nothing of it was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The table was compiled without this zone.
    #[error("zone {0} is not served: load its file first")]
    NoZone(Name),
    /// The name is none of the zone's.
    #[error("{owner} does not lie in zone {zone}, or lies in another one below it")]
    NotInZone {
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

/// What becomes of one name.
#[derive(Default)]
struct Touched<'c> {
    changes: Changes<'c>,
    steer: Steer<'c>,
    wait: Wait<'c>,
}

/// Whether a name's answers come to depend on the client.
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
        let apex = &changeset.zone;
        let (zone, _) = self.zone(apex).ok_or_else(|| ApplyError::NoZone(apex.clone()))?;
        let soa = &changeset.soa;
        if soa.rtype != RrType::SOA || soa.owner != *apex || soa.rdata.len() != 1 {
            return Err(ApplyError::BadSoa(apex.clone()));
        }
        if self.is_under(apex, changeset) {
            return Ok(());
        }
        let mut names: BTreeMap<&Name, Touched<'_>> = BTreeMap::new();
        let removed = changeset.remove.iter().map(|set| (set, None));
        for (set, change) in removed.chain(changeset.add.iter().map(|set| (set, Some(set)))) {
            if shapes(set.rtype) {
                return Err(ApplyError::Shape { owner: set.owner.clone(), rtype: set.rtype.0 });
            }
            self.check_owner(zone, apex, &set.owner)?;
            names.entry(&set.owner).or_default().changes.insert(set.rtype, change);
        }
        for (owner, steering) in &changeset.steer {
            self.check_owner(zone, apex, owner)?;
            if let Some(steering) = steering {
                self.check(owner, steering)?;
            }
            // No answer comes from at or below a delegation: there is nobody to choose for.
            let kind = self.at(owner.as_wire()).map(|node| node.kind());
            if !matches!(kind, Some(Kind::Cut(_) | Kind::Hidden(_))) {
                names.entry(owner).or_default().steer = steering.as_ref().map_or(Steer::Ended, Steer::By);
            }
        }
        for (owner, types) in &changeset.wait {
            self.check_owner(zone, apex, owner)?;
            names.entry(owner).or_default().wait = types.as_deref().map_or(Wait::Ended, Wait::For);
        }
        names.entry(apex).or_default().changes.insert(RrType::SOA, Some(soa));
        for (owner, touched) in &names {
            self.touch(zone, owner, touched);
        }
        Ok(())
    }

    /// Whether a zone is what a changeset makes of it: of many zones all but a few have no decisions, and share with
    /// other tables what is not touched.
    fn is_under(&self, apex: &Name, changeset: &Changeset) -> bool {
        let Changeset { soa, remove, add, steer, wait, .. } = changeset;
        let is_empty = remove.is_empty() && add.is_empty() && steer.is_empty() && wait.is_empty();
        is_empty && self.soa(apex).is_some_and(|held| held == *soa)
    }

    /// Has a zone hold these RRsets from now on; `None` takes one away. What belongs to a zone below is held beside
    /// it. Costs what changes, and where a name comes to hide others or hides them no longer, what is below that.
    pub fn change<'c>(
        &mut self,
        apex: &Name,
        sets: impl IntoIterator<Item = (&'c Name, RrType, Option<&'c RrSet>)>,
    ) -> Result<(), ApplyError> {
        let (zone, _) = self.zone(apex).ok_or_else(|| ApplyError::NoZone(apex.clone()))?;
        let mut names: BTreeMap<&Name, Touched<'_>> = BTreeMap::new();
        for (owner, rtype, set) in sets {
            if !owner.is_at_or_below(apex) {
                return Err(ApplyError::NotInZone { zone: apex.clone(), owner: owner.clone() });
            }
            names.entry(owner).or_default().changes.insert(rtype, set);
        }
        self.contents = Arc::new(());
        for (owner, touched) in &names {
            if self.zone_of(owner.as_wire()) == Some(zone) {
                self.touch(zone, owner, touched);
            } else {
                let held = self.beside(zone, owner.as_wire()).map(|node| node.body().plain().to_vec());
                let body = self.changed(zone, owner, &held.unwrap_or_default(), &touched.changes);
                self.hold_beside(zone, owner.as_wire(), body);
            }
        }
        Ok(())
    }

    /// Changes what one name of a zone holds.
    fn touch(&mut self, zone: u32, owner: &Name, touched: &Touched<'_>) {
        let adds = touched.changes.values().any(Option::is_some)
            || matches!(touched.steer, Steer::By(_))
            || matches!(touched.wait, Wait::For(_));
        if !adds && self.existing(owner.as_wire()).is_none() {
            return;
        }
        let id = self.ensure(zone, owner.as_wire());
        let held = match self.node(id).body() {
            Body::Fixed(body) => SlotBody::Plain(body.into()),
            Body::Slot(body) => body.clone(),
        };
        let is_decided = !matches!((&touched.steer, &touched.wait), (Steer::Same, Wait::Same));
        let next = self.touched(zone, owner, &held, touched);
        self.count_waiting(zone, held.waits(), next.waits());
        if owner.as_wire() == self.entry(zone).apex.as_wire() {
            self.entry_mut(zone).negative = negative(owner, next.plain()).into();
        }
        let held = match next {
            SlotBody::Plain(body) if !is_decided => Held::Body(body.to_vec()),
            body => Held::Slot(body),
        };
        self.hold(id, held);
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

    /// Whether a name is one of the zone's. Nothing is decided in one that is not for everybody.
    fn check_owner(&self, zone: u32, apex: &Name, owner: &Name) -> Result<(), ApplyError> {
        if self.zone_of(owner.as_wire()) == Some(zone) && !self.entry(zone).private {
            return Ok(());
        }
        Err(ApplyError::NotInZone { zone: apex.clone(), owner: owner.clone() })
    }

    /// What a name holds once it is changed.
    fn touched(&mut self, zone: u32, owner: &Name, held: &SlotBody, touched: &Touched<'_>) -> SlotBody {
        let plain: Arc<[u8]> = self.changed(zone, owner, held.plain(), &touched.changes).into();
        match (&touched.wait, held) {
            (Wait::For(types), _) => {
                let known = Sets::of(&plain).filter(|set| !types.contains(&set.rtype));
                let known = known.flat_map(|set| set.raw.iter().copied()).collect();
                return SlotBody::Steered(Arc::new(Steered::waiting(plain, known)));
            }
            (Wait::Same, SlotBody::Steered(steered)) if steered.waits => {
                let known = self.changed(zone, owner, &steered.variants[0], &shape_of(&touched.changes));
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
                let mut variants = Vec::with_capacity(steering.variants.len());
                for sets in &steering.variants {
                    let sets = sets.iter().map(|set| (set.rtype, Some(set))).collect();
                    variants.push(self.changed(zone, owner, &shape, &sets));
                }
                SlotBody::Steered(Arc::new(Steered::new(steering, plain, clients, variants)))
            }
            (Steer::Same, SlotBody::Steered(steered)) if !steered.waits => {
                let shape = shape_of(&touched.changes);
                let mut variants = Vec::with_capacity(steered.variants.len());
                for body in &steered.variants {
                    variants.push(self.changed(zone, owner, body, &shape));
                }
                SlotBody::Steered(Arc::new(steered.with_bodies(plain, variants)))
            }
            (Steer::Ended | Steer::Same, _) => SlotBody::Plain(plain),
        }
    }

    /// Counts the zone's names that wait, where one begins or ends to.
    fn count_waiting(&mut self, zone: u32, before: bool, after: bool) {
        if before != after {
            let waiting = Arc::make_mut(&mut self.waiting);
            let count = waiting.remove(&zone).unwrap_or(0) + usize::from(after) - usize::from(before);
            if count > 0 {
                waiting.insert(zone, count);
            }
        }
    }

    /// A body with some of its sets changed, in the order of types as when it was compiled.
    fn changed(&mut self, zone: u32, owner: &Name, old: &[u8], changes: &Changes<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        let mut old = Sets::of(old).peekable();
        for (&rtype, change) in changes {
            while let Some(set) = old.next_if(|set| set.rtype < rtype) {
                body.extend_from_slice(set.raw);
            }
            old.next_if(|set| set.rtype == rtype);
            if let Some(set) = change.filter(|set| !set.rdata.is_empty()) {
                let start = body.len();
                let rdata = set.rdata.iter().map(|rdata| &**rdata);
                let apex = self.entry(zone).apex.as_wire();
                set::encode(&mut body, apex, owner.as_wire(), (set.rtype, set.ttl), rdata);
                if Sets::of(&body[start..]).any(|set| set.has_links())
                    && self.zone_of(owner.as_wire()) == Some(zone)
                {
                    self.link(zone, owner.as_wire(), &mut body[start..]);
                }
            }
        }
        old.for_each(|set| body.extend_from_slice(set.raw));
        body
    }
}

/// The SOA for negative answers of an apex's body.
fn negative(apex: &Name, body: &[u8]) -> Vec<u8> {
    let mut negative = Vec::new();
    for soa in Sets::of(body).filter(|set| set.rtype == RrType::SOA).map(|set| set.decode(apex)) {
        for rdata in &soa.rdata {
            encode_negative(&mut negative, apex.as_wire(), soa.ttl, rdata);
        }
    }
    negative
}
