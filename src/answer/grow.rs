//! Names that come and go in a table, and what that makes of others: empty non-terminals above them (RFC 4592
//! section 2.2.2), what a cut or DNAME hides, the wildcards that enclosers know of, the names that links lead to.
//!
//! A name exists as long as something is there, it is pinned, or a name below it exists. One that does not exist,
//! but that links lead to, has an absent node: so links need not be looked for when it comes, or goes.

use std::sync::Arc;

use super::id::NodeId;
use super::names::{is_at_or_below, parent, up};
use super::node::{Body, Chunk, HAS_DNAME, HAS_WILDCARD, IS_APEX, Kind, MAX_INLINE, More, Node, name_at};
use super::set::{self, Sets};
use super::slots::SlotBody;
use super::table::{Table, ZoneEntry};
use crate::dns::RrType;

/// What a node is to hold.
pub(super) enum Held {
    /// In the node, if it is not in a slot already and not too large.
    Body(Vec<u8>),
    /// In a slot.
    Slot(SlotBody),
}

impl Held {
    /// The plain body first.
    fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let (plain, slot) = match self {
            Held::Body(body) => (Some(&**body), None),
            Held::Slot(body) => (None, Some(body)),
        };
        plain.into_iter().chain(slot.into_iter().flat_map(SlotBody::bodies))
    }
}

impl Table {
    pub(super) fn chunk_mut(&mut self, id: NodeId) -> &mut Chunk {
        Arc::make_mut(self.chunks.get_mut(id.chunk() as usize))
    }

    pub(super) fn entry_mut(&mut self, zone: u32) -> &mut ZoneEntry {
        Arc::make_mut(self.zones.get_mut(zone as usize))
    }

    /// A number for another chunk of a zone, which is empty.
    pub(super) fn new_chunk(&mut self, zone: u32) -> u32 {
        let number = if self.free.is_empty() { None } else { Arc::make_mut(&mut self.free).pop() };
        let number = number.unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        let empty = Arc::new(Chunk::empty(zone));
        self.chunks.grow(number as usize + 1, &empty);
        *self.chunks.get_mut(number as usize) = empty;
        let entry = self.entry_mut(zone);
        entry.chunks = entry.chunks.iter().copied().chain([number]).collect();
        number
    }

    /// Lets go of a zone's chunk that has no node left.
    fn drop_chunk(&mut self, zone: u32, number: u32) {
        *self.chunks.get_mut(number as usize) = Arc::new(Chunk::empty(zone));
        Arc::make_mut(&mut self.free).push(number);
        let entry = self.entry_mut(zone);
        entry.chunks = entry.chunks.iter().copied().filter(|&chunk| chunk != number).collect();
    }

    /// A node for a name that has none, in the index under `hash`.
    fn create(&mut self, zone: u32, name: &[u8], kind: Kind, hash: u64) -> NodeId {
        let last = self.entry(zone).chunks.last().copied();
        let free = last.and_then(|chunk| Some((chunk, self.chunks.get(chunk as usize).free()?)));
        let (chunk, place) = free.unwrap_or_else(|| (self.new_chunk(zone), 0));
        let id = NodeId::of(chunk, place);
        self.chunk_mut(id).put(place, name, kind);
        self.deepest = self.deepest.max(up(name).count() - 1);
        let Table { keys, index, chunks, .. } = self;
        let name_of = |id: NodeId| name_at(chunks.get(id.chunk() as usize), id);
        index.insert(hash, id, |id| keys.hash(name_of(id)));
        id
    }

    /// Takes a node away that nothing leads to.
    fn delete(&mut self, id: NodeId, hash: u64) {
        self.index.remove(hash, id);
        let zone = self.node(id).zone();
        self.chunk_mut(id).clear(id.place());
        if self.chunk(id).is_empty() {
            self.drop_chunk(zone, id.chunk());
        }
    }

    fn more(&self, id: NodeId) -> More {
        self.chunk(id).more(id.place())
    }

    pub(super) fn change_more(&mut self, id: NodeId, change: impl FnOnce(&mut More)) {
        self.chunk_mut(id).change_more(id.place(), change);
    }

    /// The node of a name of this zone, which exists from now on: whoever calls has something to put there.
    pub(super) fn ensure(&mut self, zone: u32, name: &[u8]) -> NodeId {
        match self.at(name).map(|node| (node.id, node.kind())) {
            Some((id, Kind::Absent)) => {
                self.raise(zone, id, name);
                id
            }
            Some((id, _)) => id,
            None => {
                let hash = self.keys.hash(name);
                let id = self.create(zone, name, Kind::Absent, hash);
                self.raise(zone, id, name);
                id
            }
        }
    }

    /// Has a name exist that did not.
    fn raise(&mut self, zone: u32, id: NodeId, name: &[u8]) {
        // An apex always exists, and every name of a zone lies below it.
        let Some(above) = parent(name) else { return };
        let above = self.ensure(zone, above);
        self.change_more(above, |more| more.children += 1);
        if name.starts_with(b"\x01*") {
            self.chunk_mut(above).set_flag(above.place(), HAS_WILDCARD, true);
        }
        let kind = self.below(above);
        self.chunk_mut(id).set_kind(id.place(), kind);
    }

    /// What a name without records is whose parent is this.
    fn below(&self, above: NodeId) -> Kind {
        let node = self.node(above);
        match node.kind() {
            Kind::Hidden(by) => Kind::Hidden(by),
            Kind::Cut(_) => Kind::Hidden(above),
            Kind::Private(zone) => Kind::Private(zone),
            _ if node.has(HAS_DNAME) => Kind::Hidden(above),
            _ => Kind::Authoritative(node.zone()),
        }
    }

    /// Lets a name go if nothing keeps it, and the empty ones above it.
    fn settle(&mut self, id: NodeId) {
        let node = self.node(id);
        let more = self.more(id);
        let stays = !node.body().is_empty()
            || node.has(IS_APEX)
            || node.kind() == Kind::Absent
            || more.children > 0
            || self.chunk(id).is_pinned(id.place());
        if stays {
            return;
        }
        let name = node.name().to_vec();
        if more.links > 0 {
            self.chunk_mut(id).set_kind(id.place(), Kind::Absent);
        } else {
            self.delete(id, self.keys.hash(&name));
        }
        let Some(above) = parent(&name).and_then(|above| self.at(above)).map(|node| node.id) else { return };
        self.lose_child(above, &name);
    }

    fn lose_child(&mut self, above: NodeId, name: &[u8]) {
        self.change_more(above, |more| more.children = more.children.saturating_sub(1));
        if name.starts_with(b"\x01*") {
            self.chunk_mut(above).set_flag(above.place(), HAS_WILDCARD, false);
        }
        self.settle(above);
    }

    /// Has a node hold this, whose links lead where they should; and what follows from that.
    pub(super) fn hold(&mut self, id: NodeId, held: Held) {
        let gains = leads(held.bodies());
        let loses = self.leads_of(id);
        let may_shape = shapes(self.node(id).body().plain()) || held.bodies().any(shapes);
        for to in gains {
            self.change_more(to, |more| more.links += 1);
        }
        let place = id.place();
        let in_slot = matches!(self.node(id).body(), Body::Slot(_));
        let chunk = self.chunk_mut(id);
        match held {
            Held::Slot(body) => chunk.set_slot(place, body),
            Held::Body(body) if in_slot || body.len() > MAX_INLINE => {
                chunk.set_slot(place, SlotBody::Plain(body.into()));
            }
            Held::Body(body) => chunk.set_fixed(place, &body),
        }
        for to in loses {
            self.unlink(to);
        }
        if may_shape {
            self.shape(id);
        }
        if self.node(id).body().is_empty() {
            self.settle(id);
        }
    }

    /// Where the links of a node lead.
    fn leads_of(&self, id: NodeId) -> Vec<NodeId> {
        match self.node(id).body() {
            Body::Fixed(body) => leads(std::iter::once(body)),
            Body::Slot(body) => leads(body.bodies()),
        }
    }

    fn unlink(&mut self, to: NodeId) {
        self.change_more(to, |more| more.links = more.links.saturating_sub(1));
        let node = self.node(to);
        if node.kind() == Kind::Absent && self.more(to).links == 0 {
            let hash = self.keys.hash(node.name());
            self.delete(to, hash);
        }
    }

    /// Looks again at what a node is by its records, and at all below it where that changes what is hidden.
    fn shape(&mut self, id: NodeId) {
        let before = self.hides(id);
        let has_dname = Sets::of(self.node(id).body().plain()).any(|set| set.rtype == RrType::DNAME);
        self.chunk_mut(id).set_flag(id.place(), HAS_DNAME, has_dname);
        self.set_own_kind(id);
        if self.hides(id) != before && self.more(id).children > 0 {
            self.shape_below(id);
        }
    }

    fn hides(&self, id: NodeId) -> bool {
        let node = self.node(id);
        matches!(node.kind(), Kind::Cut(_)) || node.has(HAS_DNAME)
    }

    /// What a name is by its parent and its records.
    fn set_own_kind(&mut self, id: NodeId) {
        let node = self.node(id);
        if node.has(IS_APEX) || node.kind() == Kind::Absent {
            return;
        }
        let Some(above) = parent(node.name()).and_then(|above| self.at(above)) else { return };
        let kind = match self.below(above.id) {
            Kind::Authoritative(zone) if is_cut(node.name(), node.body().plain()) => Kind::Cut(zone),
            kind => kind,
        };
        if kind != node.kind() {
            self.chunk_mut(id).set_kind(id.place(), kind);
        }
    }

    /// Looks again at what hides the names below one, those above first.
    fn shape_below(&mut self, id: NodeId) {
        let (top, zone) = (self.name(id).to_vec(), self.node(id).zone());
        let mut below: Vec<(usize, NodeId)> = self
            .nodes(zone)
            .filter(|node| node.id != id && is_at_or_below(node.name(), &top))
            .map(|node| (node.name_len(), node.id))
            .collect();
        below.sort_unstable();
        for (_, id) in below {
            if self.at(self.name(id)).is_some_and(|node| node.id == id) {
                self.set_own_kind(id);
            }
        }
    }

    /// All nodes of a zone, those beside it included, in no order.
    pub(super) fn nodes(&self, zone: u32) -> impl Iterator<Item = Node<'_>> {
        self.entry(zone).chunks.iter().flat_map(move |&number| {
            let chunk = &**self.chunks.get(number as usize);
            chunk.taken().map(move |place| chunk.node(NodeId::of(number, place)))
        })
    }

    /// Makes the links of a body lead to nodes of its zone; a name that does not exist gets an absent one. What
    /// belongs to another zone is looked up by its name each time.
    pub(super) fn link(&mut self, zone: u32, owner: &[u8], body: &mut [u8]) {
        for (place, target) in set::link_targets(body, owner) {
            let found = self.at(&target).map(|node| (node.id, node.zone()));
            let to = match found {
                Some((id, of)) => (of == zone).then_some(id),
                None if self.zone_of(&target) == Some(zone) => {
                    let hash = self.keys.hash(&target);
                    Some(self.create(zone, &target, Kind::Absent, hash))
                }
                None => None,
            };
            set::set_link(body, place, to.unwrap_or(NodeId::NONE));
        }
    }

    /// Has a name exist whatever becomes of its records.
    pub(super) fn pin(&mut self, zone: u32, name: &[u8]) {
        if self.zone_of(name) != Some(zone) {
            return;
        }
        let id = self.ensure(zone, name);
        let plain = match self.node(id).body() {
            Body::Fixed(body) => Some(SlotBody::Plain(body.into())),
            Body::Slot(_) => None,
        };
        let chunk = self.chunk_mut(id);
        chunk.pin(id.place());
        if let Some(plain) = plain {
            chunk.set_slot(id.place(), plain);
        }
    }

    /// What a zone holds at a name of another zone: nobody is answered from it but who asks for the DS of that, but a
    /// transfer carries it.
    pub(super) fn beside(&self, zone: u32, name: &[u8]) -> Option<Node<'_>> {
        let mut found = self.index.find(self.beside_hash(zone, name)).map(|id| self.node(id));
        found.find(|node| node.zone() == zone && node.name() == name)
    }

    /// One that no name of a zone has: the tag, which is its lower half, is another one.
    fn beside_hash(&self, zone: u32, name: &[u8]) -> u64 {
        self.keys.hash(name) ^ u64::from(zone.wrapping_mul(0x9e37_79b9) << 1 | 1)
    }

    /// Has a zone hold this at a name of another zone. A delegation of it makes the names above exist.
    pub(super) fn hold_beside(&mut self, zone: u32, name: &[u8], body: Vec<u8>) {
        let found = self.beside(zone, name).map(|node| (node.id, matches!(node.kind(), Kind::Cut(_))));
        let delegates = self.delegates(zone, name, &body);
        if body.is_empty() {
            if let Some((id, _)) = found {
                let hash = self.beside_hash(zone, name);
                self.delete(id, hash);
            }
        } else {
            let id = found.map_or_else(
                || {
                    let hash = self.beside_hash(zone, name);
                    self.create(zone, name, Kind::Absent, hash)
                },
                |(id, _)| id,
            );
            let kind = if delegates { Kind::Cut(zone) } else { Kind::Hidden(NodeId::NONE) };
            let chunk = self.chunk_mut(id);
            chunk.set_kind(id.place(), kind);
            if body.len() > MAX_INLINE {
                chunk.set_slot(id.place(), SlotBody::Plain(body.into()));
            } else {
                chunk.set_fixed(id.place(), &body);
            }
        }
        let (before, Some(above)) = (found.is_some_and(|(_, cut)| cut), parent(name)) else { return };
        match (before, delegates) {
            (false, true) => {
                let above = self.ensure(zone, above);
                self.change_more(above, |more| more.children += 1);
            }
            (true, false) => {
                if let Some(above) = self.at(above).map(|node| node.id) {
                    self.lose_child(above, name);
                }
            }
            _ => {}
        }
    }

    /// Whether a zone delegates another that is served, and lies right below it.
    fn delegates(&self, zone: u32, name: &[u8], body: &[u8]) -> bool {
        self.at(name).is_some_and(|node| node.has(IS_APEX))
            && parent(name).and_then(|above| self.zone_of(above)) == Some(zone)
            && Sets::of(body).any(|set| set.rtype == RrType::NS)
    }

    /// Takes all names of a zone away, its apex too.
    pub(super) fn clear(&mut self, zone: u32) {
        let all: Vec<(NodeId, u64)> = self
            .nodes(zone)
            .map(|node| {
                let is_own = self.at(node.name()).is_some_and(|found| found.id == node.id);
                let hash =
                    if is_own { self.keys.hash(node.name()) } else { self.beside_hash(zone, node.name()) };
                (node.id, hash)
            })
            .collect();
        for (id, hash) in all {
            self.index.remove(hash, id);
        }
        let chunks = Arc::clone(&self.entry(zone).chunks);
        for &number in &*chunks {
            *self.chunks.get_mut(number as usize) = Arc::new(Chunk::empty(zone));
            Arc::make_mut(&mut self.free).push(number);
        }
        self.entry_mut(zone).chunks = Arc::default();
        Arc::make_mut(&mut self.waiting).remove(&zone);
    }
}

/// Whether records make a name a cut. RFC 4592 section 4.2 leaves NS at a wildcard undefined; here it delegates
/// nothing.
pub(super) fn is_cut(name: &[u8], body: &[u8]) -> bool {
    !name.starts_with(b"\x01*") && Sets::of(body).any(|set| set.rtype == RrType::NS)
}

/// Whether records say what their name is to others.
fn shapes(body: &[u8]) -> bool {
    Sets::of(body).any(|set| matches!(set.rtype, RrType::NS | RrType::DNAME))
}

/// Where the links of some bodies lead, each as often as it stands there.
fn leads<'b>(bodies: impl Iterator<Item = &'b [u8]>) -> Vec<NodeId> {
    let links = bodies.flat_map(Sets::of).flat_map(|set| set.links());
    links.filter_map(|link| link.node.some()).collect()
}
