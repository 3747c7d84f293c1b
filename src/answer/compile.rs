//! Zones in, the table's base and the first bodies of its slots out.
//!
//! 1. Every owner becomes a node. A name belongs to the zone whose apex is closest above it; what a zone
//!    holds below another zone's apex is left out, but for the delegation itself.
//! 2. Names between those nodes and their apex become empty non-terminals (RFC 4592 section 2.2.2), names
//!    above an apex absent ones. From here on every node's parent is a node, up to the root.
//! 3. With all nodes in place each learns what depends on others: whether a cut or DNAME above hides it,
//!    whether it has a wildcard below, where its links lead.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use super::hash::Keys;
use super::index::Index;
use super::names::{parent, up};
use super::node::{Arena, Body, HAS_DNAME, HAS_WILDCARD, IS_APEX, Kind, NodeId};
use super::set;
use super::slots::Slots;
use super::table::{Base, Table, ZoneEntry, apex_slot, negative_slot};
use crate::dns::{Name, RrType};
use crate::zone::{RrSetRef, Zone};

/// Zone files are the operator's own, and a map without random keys keeps the room pure.
type Hasher = BuildHasherDefault<DefaultHasher>;

/// How many owners wait to be put into the index together.
const BATCH: usize = 64;

struct Compiler<'n> {
    base: Base,
    bodies: Vec<Vec<u8>>,
    /// Where bodies for the arena are laid out: one room for all, as there are millions of them.
    scratch: Vec<u8>,
    /// The owners of the zone being added that are not in the index yet.
    waiting: Vec<(u64, NodeId)>,
    /// What that zone holds at and below other zones' apexes, beside their delegations: nobody is answered
    /// from it, but a transfer carries it.
    occluded: Vec<(Vec<u8>, Vec<u8>)>,
    /// Each apex and its zone.
    apexes: HashMap<&'n [u8], u32, Hasher>,
    steered: HashSet<&'n [u8], Hasher>,
    /// For each zone whether another lies below it, and whether it has cuts or DNAMEs.
    zones: Vec<Traits>,
}

#[derive(Clone, Copy, Default)]
struct Traits {
    has_zones_below: bool,
    hides: bool,
    private: bool,
}

impl Table {
    /// Compiles zones, which are checked or hollow, and no apex twice. What lies in a hollow one is answered
    /// SERVFAIL. Those that are given away give back their memory
    /// while the table grows; of those that are lent a copy is made. `steered` names get slots, and exist even
    /// where the zone file has nothing there; those in no zone are passed over. `seed` keys the hash: a
    /// number nobody outside can know.
    pub fn compile<'z>(zones: impl Into<Cow<'z, [Zone]>>, steered: &[Name], seed: u64) -> Table {
        let (base, bodies) = compile(zones.into().into_owned(), steered, seed);
        Table {
            base: Arc::new(base),
            slots: Slots::new(bodies),
            clients: Arc::default(),
            waiting: Arc::default(),
        }
    }
}

/// See [`Table::compile`].
fn compile(zones: Vec<Zone>, steered: &[Name], seed: u64) -> (Base, Vec<Vec<u8>>) {
    let apexes: Vec<Name> = zones.iter().map(|zone| zone.apex().clone()).collect();
    let mut compiler = Compiler::new(&zones, &apexes, steered, seed);
    for (zone, number) in zones.into_iter().zip(0..) {
        // A second zone of the same apex is a mistake that `detour check` reports; the first one counts.
        if compiler.apexes.get(zone.apex().as_wire()) == Some(&number) {
            compiler.add_zone(zone, number);
        }
    }
    compiler.add_steered(steered);
    compiler.add_empty_non_terminals();
    compiler.add_absent();
    compiler.join();
    compiler.base.arena.shrink();
    (compiler.base, compiler.bodies)
}

/// Whether the zone above holds this type at a delegation, and not only the zone itself.
fn is_parents(rtype: RrType) -> bool {
    matches!(rtype, RrType::NS | RrType::DS | RrType::NSEC)
}

/// A zone's apex in wire form.
fn apex_of(zones: &[ZoneEntry], zone: u32) -> &[u8] {
    zones[zone as usize].apex.as_wire()
}

impl<'n> Compiler<'n> {
    fn new(zones: &[Zone], names: &'n [Name], steered: &'n [Name], seed: u64) -> Compiler<'n> {
        let (mut owners, mut bytes) = (steered.len(), 0);
        for zone in zones {
            let mut last: &[u8] = &[];
            for set in zone.rrsets() {
                bytes += set::cost(set.rdata().map(<[u8]>::len));
                if set.owner != last {
                    owners += 1;
                    bytes += Arena::cost(set.owner, 0);
                    last = set.owner;
                }
            }
        }
        let mut apexes = HashMap::with_hasher(Hasher::default());
        for (apex, number) in names.iter().zip(0u32..) {
            apexes.entry(apex.as_wire()).or_insert(number);
        }
        let traits = zones.iter().map(|zone| Traits { private: zone.is_private(), ..Traits::default() });
        let mut traits: Vec<Traits> = traits.collect();
        for apex in names {
            for above in up(apex.as_wire()).skip(1) {
                if let Some(&above) = apexes.get(above) {
                    traits[above as usize].has_zones_below = true;
                }
            }
        }
        Compiler {
            base: Base {
                keys: Keys::new(seed),
                index: Index::with_room_for(owners),
                arena: Arena::with_capacity(bytes),
                zones: names.iter().map(ZoneEntry::new).collect(),
                steered: (NodeId(0), NodeId(0)),
                deepest: 0,
            },
            bodies: vec![Vec::new(); zones.len() * 2],
            scratch: Vec::new(),
            waiting: Vec::with_capacity(BATCH),
            occluded: Vec::new(),
            apexes,
            steered: steered.iter().map(Name::as_wire).collect(),
            zones: traits,
        }
    }

    fn add_zone(&mut self, zone: Zone, number: u32) {
        let apex = zone.apex().clone();
        let first = self.base.arena.end();
        if zone.is_empty() {
            // Without an SOA in its slots there is no answer but SERVFAIL.
            self.push(apex.as_wire(), Kind::Authoritative(number), IS_APEX, Body::Slot(apex_slot(number)));
        }
        zone.consume(|sets| self.add_owner((number, apex.as_wire()), sets[0].owner, sets));
        self.settle();
        if let Some(by) = self.base.find(apex.as_wire()) {
            for (owner, body) in std::mem::take(&mut self.occluded) {
                self.base.arena.push(&owner, Kind::Hidden(by), 0, Body::Fixed(&body));
            }
        }
        self.base.zones[number as usize].nodes = (first, self.base.arena.end());
    }

    fn add_owner(&mut self, (zone, apex): (u32, &[u8]), owner: &[u8], sets: &[RrSetRef<'_>]) {
        let below = self.zones[zone as usize].has_zones_below;
        if below
            && let Some((closest, closest_len)) = self.zone_of(owner)
            && closest != zone
        {
            let at_apex = closest_len == owner.len();
            let delegates = at_apex && self.add_parent_side(zone, closest, owner, sets);
            let mut body = Vec::new();
            for set in sets.iter().filter(|set| !(delegates && is_parents(set.rtype))) {
                set::encode(&mut body, apex, owner, (set.rtype, set.ttl), set.rdata());
            }
            if !body.is_empty() {
                self.occluded.push((owner.to_vec(), body));
            }
            return;
        }
        let is_apex = owner.len() == apex.len();
        let has = |rtype| sets.iter().any(|set| set.rtype == rtype);
        // RFC 4592 section 4.2 leaves NS at a wildcard undefined; here it delegates nothing.
        let is_cut = has(RrType::NS) && !is_apex && !owner.starts_with(b"\x01*");
        let kind = if is_cut { Kind::Cut(zone) } else { Kind::Authoritative(zone) };
        let mut flags = if is_apex { IS_APEX } else { 0 };
        if has(RrType::DNAME) {
            flags |= HAS_DNAME;
        }
        self.zones[zone as usize].hides |= is_cut || has(RrType::DNAME);

        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        for set in sets {
            set::encode(&mut body, apex, owner, (set.rtype, set.ttl), set.rdata());
        }
        if is_apex {
            self.bodies[negative_slot(zone) as usize] = negative(owner, sets);
            self.bodies[apex_slot(zone) as usize] = body;
            self.push(owner, kind, flags, Body::Slot(apex_slot(zone)));
        } else if self.steered.contains(owner) {
            self.bodies.push(body);
            self.push(owner, kind, flags, Body::Slot(self.bodies.len() as u32 - 1));
        } else {
            self.push(owner, kind, flags, Body::Fixed(&body));
            self.scratch = body;
        }
    }

    /// Keeps what the zone above says of a zone that is served too: its delegation, outside the index. Says
    /// whether there is one.
    fn add_parent_side(&mut self, zone: u32, child: u32, owner: &[u8], sets: &[RrSetRef<'_>]) -> bool {
        let closest_above = self.zone_of(parent(owner).unwrap_or(owner)).map(|(zone, _)| zone);
        if closest_above != Some(zone) || !sets.iter().any(|set| set.rtype == RrType::NS) {
            return false;
        }
        let apex = apex_of(&self.base.zones, zone).to_vec();
        let mut body = Vec::new();
        for set in sets.iter().filter(|set| is_parents(set.rtype)) {
            set::encode(&mut body, &apex, owner, (set.rtype, set.ttl), set.rdata());
        }
        let node = self.base.arena.push(owner, Kind::Cut(zone), 0, Body::Fixed(&body));
        self.base.zones[child as usize].parent_side = Some(node);
        true
    }

    /// The zone a name belongs to and the length of its apex.
    fn zone_of(&self, name: &[u8]) -> Option<(u32, usize)> {
        up(name).find_map(|suffix| Some((*self.apexes.get(suffix)?, suffix.len())))
    }

    /// Adds an owner of a zone's file, each of which comes once: nobody looks for it before [`Self::settle`].
    fn push(&mut self, name: &[u8], kind: Kind, flags: u8, body: Body<'_>) {
        let node = self.base.arena.push(name, kind, flags, body);
        self.waiting.push((self.base.keys.hash(name), node));
        self.base.deepest = self.base.deepest.max(up(name).count() - 1);
        if self.waiting.len() == BATCH {
            self.settle();
        }
    }

    /// Puts those that wait into the index.
    fn settle(&mut self) {
        let Base { keys, index, arena, .. } = &mut self.base;
        index.insert_all(&mut self.waiting, |node| keys.hash(arena.name(node)));
    }

    fn insert(&mut self, name: &[u8], kind: Kind, flags: u8, body: Body<'_>) {
        self.push(name, kind, flags, body);
        self.settle();
    }

    fn add_steered(&mut self, steered: &[Name]) {
        let first = self.base.arena.end();
        for name in steered.iter().map(Name::as_wire) {
            if self.base.find(name).is_none()
                && let Some((zone, _)) = self.zone_of(name)
            {
                self.bodies.push(Vec::new());
                let slot = self.bodies.len() as u32 - 1;
                self.insert(name, Kind::Authoritative(zone), 0, Body::Slot(slot));
            }
        }
        self.base.steered = (first, self.base.arena.end());
    }

    fn add_empty_non_terminals(&mut self) {
        let mut name = Vec::new();
        let mut last = None;
        while let Some(node) = self.base.arena.after(last) {
            last = Some(node);
            let node = self.base.arena.get(node);
            let (Kind::Authoritative(zone) | Kind::Cut(zone)) = node.kind() else { continue };
            let apex = apex_of(&self.base.zones, zone).len();
            if node.name.len() == apex {
                continue;
            }
            name.clear();
            name.extend_from_slice(node.name);
            for above in up(&name).skip(1).take_while(|above| above.len() > apex) {
                if self.base.find(above).is_some() {
                    break;
                }
                self.insert(above, Kind::Authoritative(zone), 0, Body::Fixed(&[]));
            }
        }
    }

    fn add_absent(&mut self) {
        let apexes: Vec<Name> = self.base.zones.iter().map(|zone| zone.apex.clone()).collect();
        for apex in &apexes {
            for above in up(apex.as_wire()).skip(1) {
                if self.base.find(above).is_none() {
                    self.insert(above, Kind::Absent(None), 0, Body::Fixed(&[]));
                }
            }
        }
    }

    fn join(&mut self) {
        let mut last = None;
        while let Some(node) = self.base.arena.after(last) {
            last = Some(node);
            self.link(node);
            match self.base.arena.get(node).kind() {
                Kind::Authoritative(zone) if self.zones[zone as usize].private => {
                    self.base.arena.set_kind(node, Kind::Private(zone));
                }
                Kind::Authoritative(zone) | Kind::Cut(zone) => {
                    self.note_wildcard(node, zone);
                    if self.zones[zone as usize].hides
                        && let Some(by) = self.hidden_by(node, zone)
                    {
                        self.base.arena.set_kind(node, Kind::Hidden(by));
                    }
                }
                Kind::Absent(_) => {
                    let encloser = self.closest_real(node);
                    self.base.arena.set_kind(node, Kind::Absent(encloser));
                }
                Kind::Hidden(_) | Kind::Private(_) => {}
            }
        }
    }

    fn link(&mut self, node: NodeId) {
        let view = self.base.arena.get(node);
        let (body, slot) = match view.body {
            Body::Fixed(body) => (body, None),
            Body::Slot(slot) => (&*self.bodies[slot as usize], Some(slot)),
        };
        for (place, target) in set::link_targets(body, view.name) {
            if let Some(target) = self.base.find(&target) {
                let body = match slot {
                    Some(slot) => &mut *self.bodies[slot as usize],
                    None => self.base.arena.body_mut(node),
                };
                set::set_link(body, place, target);
            }
        }
    }

    fn note_wildcard(&mut self, node: NodeId, zone: u32) {
        let name = self.base.arena.name(node);
        if name.starts_with(b"\x01*")
            && name.len() > apex_of(&self.base.zones, zone).len()
            && let Some(parent) = self.base.find(&name[2..])
        {
            self.base.arena.set_flag(parent, HAS_WILDCARD);
        }
    }

    /// The topmost cut or DNAME strictly above a node, within its zone.
    fn hidden_by(&self, node: NodeId, zone: u32) -> Option<NodeId> {
        let apex = apex_of(&self.base.zones, zone).len();
        let mut topmost = None;
        for above in up(self.base.arena.name(node)).skip(1).take_while(|above| above.len() >= apex) {
            let Some(above) = self.base.find(above) else { continue };
            let above = self.base.arena.get(above);
            match above.kind() {
                Kind::Hidden(by) => return Some(by),
                Kind::Cut(_) => topmost = Some(above.id),
                _ if above.has(HAS_DNAME) => topmost = Some(above.id),
                _ => {}
            }
        }
        topmost
    }

    /// The closest name above that a zone knows.
    fn closest_real(&self, node: NodeId) -> Option<NodeId> {
        up(self.base.arena.name(node))
            .skip(1)
            .filter_map(|above| self.base.find(above))
            .find(|&above| !matches!(self.base.arena.get(above).kind(), Kind::Absent(_)))
    }
}

/// The SOA of negative answers: its TTL is the smaller of its own and its last field (RFC 2308 section 3).
fn negative(owner: &[u8], sets: &[RrSetRef<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for set in sets.iter().filter(|set| set.rtype == RrType::SOA) {
        for rdata in set.rdata() {
            encode_negative(&mut body, owner, set.ttl, rdata);
        }
    }
    body
}

/// Appends the SOA for negative answers to a body.
pub(super) fn encode_negative(body: &mut Vec<u8>, apex: &[u8], ttl: u32, rdata: &[u8]) {
    let minimum = rdata.last_chunk().map_or(ttl, |last| u32::from_be_bytes(*last));
    set::encode(body, apex, apex, (RrType::SOA, ttl.min(minimum)), std::iter::once(rdata));
}
