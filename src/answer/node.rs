//! Nodes, one for every name that a zone knows or links to, and chunks of them.
//!
//! ```text
//! 0          1       2      4
//! name len   flags   body   name (wire form, lower case)   body, unless it is in a slot
//! ```
//!
//! A node's number is its chunk's and its place there, and stays as long as the name does. `body` is the
//! body's length, or its slot in the chunk. A body is a sequence of RRsets (`set.rs`).

use std::sync::Arc;

use super::id::{NodeId, PLACES};
use super::pick::{Client, Steered};
use super::slots::SlotBody;

/// The largest body that lies in its node, so that every node's beginning fits two bytes.
pub(super) const MAX_INLINE: usize = 700;
const HEAD: usize = 4;
const _: () = assert!(PLACES * (HEAD + 255 + MAX_INLINE) < NOWHERE as usize);
/// Where a node begins that is not there.
const NOWHERE: u16 = u16::MAX;

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Authoritative data of a zone, or an empty non-terminal.
    Authoritative(u32),
    /// A delegation out of a zone: NS records below its apex (RFC 1034 section 4.2.1).
    Cut(u32),
    /// Below a cut or a DNAME, which is this: no answer comes from here. Glue lives in such nodes.
    Hidden(NodeId),
    /// No name of its zone: others link to it, and it may become one.
    Absent,
    /// Authoritative data of a zone that is not for everybody.
    Private(u32),
}

const KIND_MASK: u8 = 0b111;
/// A child named `*` exists (RFC 4592 section 2.1.1).
pub(super) const HAS_WILDCARD: u8 = 0x10;
/// A DNAME record is here.
pub(super) const HAS_DNAME: u8 = 0x20;
/// The name is a zone's apex.
pub(super) const IS_APEX: u8 = 0x40;
const IN_SLOT: u8 = 0x80;

/// The name exists even where nothing is there. Beside the length of a body, which needs fewer bits.
const PINNED: u16 = 0x8000;
const NUMBER: u16 = 0x03ff;

/// Where a node's body is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Body<'a> {
    /// In the node.
    Fixed(&'a [u8]),
    /// Beside it.
    Slot(&'a SlotBody),
}

impl<'a> Body<'a> {
    /// What transfers carry.
    pub(super) fn plain(self) -> &'a [u8] {
        match self {
            Body::Fixed(body) => body,
            Body::Slot(body) => body.plain(),
        }
    }

    /// Whether nothing is there for anybody.
    pub(super) fn is_empty(self) -> bool {
        match self {
            Body::Fixed(body) => body.is_empty(),
            Body::Slot(body) => body.is_empty(),
        }
    }
}

/// A node, read in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) id: NodeId,
    /// What comes before its name, the first byte lowest.
    head: u32,
    chunk: &'a Chunk,
    /// From its name on.
    rest: &'a [u8],
}

impl<'a> Node<'a> {
    #[inline]
    fn flags(&self) -> u8 {
        (self.head >> 8) as u8
    }

    #[inline]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags() & flag != 0
    }

    #[inline]
    pub(super) fn name(&self) -> &'a [u8] {
        &self.rest[..self.name_len()]
    }

    #[inline]
    pub(super) fn name_len(&self) -> usize {
        usize::from(self.head as u8)
    }

    #[inline]
    pub(super) fn body(&self) -> Body<'a> {
        let number = usize::from((self.head >> 16) as u16 & NUMBER);
        if self.has(IN_SLOT) {
            return Body::Slot(&self.chunk.slots[number]);
        }
        let start = self.name_len();
        Body::Fixed(&self.rest[start..start + number])
    }

    /// Who gets which of its bodies, where that depends on who asks.
    pub(super) fn steered(&self) -> Option<&'a Steered> {
        match self.body() {
            Body::Slot(SlotBody::Steered(steered)) => Some(steered),
            Body::Slot(SlotBody::Plain(_)) | Body::Fixed(_) => None,
        }
    }

    /// Whether what it lacks is not known yet.
    pub(super) fn waits(&self) -> bool {
        self.steered().is_some_and(|steered| steered.waits)
    }

    /// What everybody may be told of it.
    #[inline]
    pub(super) fn told(&self) -> &'a [u8] {
        match self.body() {
            Body::Fixed(body) => body,
            Body::Slot(SlotBody::Steered(steered)) if steered.waits => &steered.variants[0],
            Body::Slot(held) => held.plain(),
        }
    }

    /// The body a client is answered from, and the scope of that: how many bits of the client's address it
    /// depends on.
    #[inline]
    pub(super) fn told_to(&self, client: &Client<'_>) -> (&'a [u8], u8) {
        match self.body() {
            Body::Fixed(body) => (body, 0),
            Body::Slot(SlotBody::Plain(body)) => (body, 0),
            Body::Slot(SlotBody::Steered(steered)) => {
                let chosen = steered.choose(client);
                (steered.body(chosen), chosen.scope)
            }
        }
    }

    /// The zone that holds it.
    pub(super) fn zone(&self) -> u32 {
        self.chunk.zone
    }

    /// Whether it is no name of its zone.
    #[inline]
    pub(super) fn is_absent(&self) -> bool {
        self.flags() & KIND_MASK == ABSENT
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        match self.flags() & KIND_MASK {
            0 => Kind::Authoritative(self.chunk.zone),
            1 => Kind::Cut(self.chunk.zone),
            2 => Kind::Hidden(self.chunk.more(self.id.place()).by),
            4 => Kind::Private(self.chunk.zone),
            _ => Kind::Absent,
        }
    }
}

const ABSENT: u8 = 3;

fn tag(kind: Kind) -> u8 {
    match kind {
        Kind::Authoritative(_) => 0,
        Kind::Cut(_) => 1,
        Kind::Hidden(_) => 2,
        Kind::Absent => ABSENT,
        Kind::Private(_) => 4,
    }
}

/// What is known of few nodes of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct More {
    place: u8,
    /// How many names directly below exist.
    pub(super) children: u32,
    /// How many links lead here.
    pub(super) links: u32,
    /// The cut or DNAME that hides it.
    pub(super) by: NodeId,
}

impl More {
    fn of(place: usize) -> More {
        More { place: place as u8, children: 0, links: 0, by: NodeId::NONE }
    }

    fn says_nothing(&self) -> bool {
        self.children == 0 && self.links == 0 && self.by == NodeId::NONE
    }
}

/// Nodes of one zone that lie together, and are copied together. A clone shares the nodes.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) zone: u32,
    /// Where each node begins.
    starts: [u16; PLACES],
    bytes: Arc<[u8]>,
    slots: Vec<SlotBody>,
    more: Vec<More>,
}

impl Chunk {
    /// A chunk without nodes.
    pub(super) fn empty(zone: u32) -> Chunk {
        Chunk { zone, starts: [NOWHERE; PLACES], bytes: Arc::default(), slots: Vec::new(), more: Vec::new() }
    }

    #[inline]
    fn start(&self, place: usize) -> usize {
        usize::from(self.starts[place % PLACES])
    }

    fn has(&self, place: usize) -> bool {
        self.starts[place] != NOWHERE
    }

    /// Whether no node is left.
    pub(super) fn is_empty(&self) -> bool {
        self.taken().next().is_none()
    }

    /// A place where no node is.
    pub(super) fn free(&self) -> Option<usize> {
        (0..PLACES).find(|&place| !self.has(place))
    }

    /// The places where nodes are.
    pub(super) fn taken(&self) -> impl Iterator<Item = usize> {
        (0..PLACES).filter(|&place| self.has(place))
    }

    #[inline]
    fn name(&self, place: usize) -> &[u8] {
        let node = &self.bytes[self.start(place)..];
        &node[HEAD..HEAD + usize::from(node[0])]
    }

    #[inline]
    pub(super) fn node(&self, id: NodeId) -> Node<'_> {
        // A number is a node's as long as that is there.
        let bytes = &self.bytes[self.start(id.place())..];
        let (head, rest) = bytes.split_at(HEAD);
        let head = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        Node { id, head, chunk: self, rest }
    }

    /// A node's bytes.
    fn raw(&self, place: usize) -> Option<&[u8]> {
        if !self.has(place) {
            return None;
        }
        let node = &self.bytes[self.start(place)..];
        let inline = if node[1] & IN_SLOT == 0 { number_of(node) } else { 0 };
        Some(&node[..HEAD + usize::from(node[0]) + inline])
    }

    /// Writes all nodes anew, with this one, or none, at a place.
    fn rewrite(&mut self, place: usize, node: Option<&[u8]>) {
        let mut bytes = Vec::with_capacity(self.bytes.len() + node.map_or(0, <[u8]>::len));
        let mut starts = [NOWHERE; PLACES];
        for (at, start) in starts.iter_mut().enumerate() {
            let raw = if at == place { node } else { self.raw(at) };
            if let Some(raw) = raw {
                *start = bytes.len() as u16;
                bytes.extend_from_slice(raw);
            }
        }
        (self.starts, self.bytes) = (starts, bytes.into());
    }

    /// Puts a node without a body at a free place.
    pub(super) fn put(&mut self, place: usize, name: &[u8], kind: Kind) {
        let node = [&[name.len() as u8, tag(kind), 0, 0], name].concat();
        self.rewrite(place, Some(&node));
        self.set_kind(place, kind);
    }

    /// Takes a node away.
    pub(super) fn clear(&mut self, place: usize) {
        self.leave_slot(place);
        self.rewrite(place, None);
        self.more.retain(|more| usize::from(more.place) != place);
    }

    /// Another body, in the node; not larger than [`MAX_INLINE`].
    pub(super) fn set_fixed(&mut self, place: usize, body: &[u8]) {
        self.leave_slot(place);
        let Some(raw) = self.raw(place) else { return };
        let mut node = raw[..HEAD + usize::from(raw[0])].to_vec();
        node[1] &= !IN_SLOT;
        let flags = u16::from_le_bytes([node[2], node[3]]) & !NUMBER;
        node[2..HEAD].copy_from_slice(&(flags | body.len() as u16).to_le_bytes());
        node.extend_from_slice(body);
        self.rewrite(place, Some(&node));
    }

    /// Another body, beside the node.
    pub(super) fn set_slot(&mut self, place: usize, body: SlotBody) {
        let Some(raw) = self.raw(place) else { return };
        if raw[1] & IN_SLOT != 0 {
            let slot = number_of(raw);
            self.slots[slot] = body;
            return;
        }
        let mut node = raw[..HEAD + usize::from(raw[0])].to_vec();
        node[1] |= IN_SLOT;
        let flags = u16::from_le_bytes([node[2], node[3]]) & !NUMBER;
        node[2..HEAD].copy_from_slice(&(flags | self.slots.len() as u16).to_le_bytes());
        self.slots.push(body);
        self.rewrite(place, Some(&node));
    }

    /// Lets go of the slot of a node that is about to have another body, or none; the last slot takes its number.
    fn leave_slot(&mut self, place: usize) {
        let in_slot =
            |chunk: &Chunk, place| chunk.raw(place).filter(|raw| raw[1] & IN_SLOT != 0).map(number_of);
        let Some(slot) = in_slot(self, place) else { return };
        let last = self.slots.len() - 1;
        self.slots.swap_remove(slot);
        let moved = self.taken().find(|&other| other != place && in_slot(self, other) == Some(last));
        if let Some(moved) = moved {
            let at = self.start(moved) + 2;
            let bytes = Arc::make_mut(&mut self.bytes);
            let flags = u16::from_le_bytes([bytes[at], bytes[at + 1]]) & !NUMBER;
            bytes[at..at + 2].copy_from_slice(&(flags | slot as u16).to_le_bytes());
        }
    }

    /// Makes a link lead to a node; `at` is its place in the body.
    pub(super) fn body_mut(&mut self, place: usize, change: impl FnOnce(&mut [u8])) {
        let node = self.start(place);
        let head = &self.bytes[node..node + HEAD];
        let number = number_of(head);
        if head[1] & IN_SLOT == 0 {
            let start = node + HEAD + usize::from(head[0]);
            change(&mut Arc::make_mut(&mut self.bytes)[start..start + number]);
        } else if let SlotBody::Plain(body) = &mut self.slots[number] {
            change(Arc::make_mut(body));
        }
    }

    pub(super) fn set_kind(&mut self, place: usize, kind: Kind) {
        let by = if let Kind::Hidden(by) = kind { by } else { NodeId::NONE };
        self.change_more(place, |more| more.by = by);
        self.set_flags(place, KIND_MASK, tag(kind));
    }

    pub(super) fn set_flag(&mut self, place: usize, flag: u8, is_set: bool) {
        self.set_flags(place, flag, if is_set { flag } else { 0 });
    }

    /// Changes flags, where they are other ones.
    fn set_flags(&mut self, place: usize, mask: u8, flags: u8) {
        let at = self.start(place) + 1;
        if self.bytes[at] & mask != flags {
            let bytes = Arc::make_mut(&mut self.bytes);
            bytes[at] = bytes[at] & !mask | flags;
        }
    }

    /// Has a name exist even where nothing is there.
    pub(super) fn pin(&mut self, place: usize) {
        let at = self.start(place) + 3;
        Arc::make_mut(&mut self.bytes)[at] |= (PINNED >> 8) as u8;
    }

    pub(super) fn is_pinned(&self, place: usize) -> bool {
        self.bytes[self.start(place) + 3] & (PINNED >> 8) as u8 != 0
    }

    #[cold]
    pub(super) fn more(&self, place: usize) -> More {
        let found = self.more.iter().find(|more| usize::from(more.place) == place);
        found.copied().unwrap_or_else(|| More::of(place))
    }

    pub(super) fn change_more(&mut self, place: usize, change: impl FnOnce(&mut More)) {
        let mut more = self.more(place);
        change(&mut more);
        self.more.retain(|more| usize::from(more.place) != place);
        if !more.says_nothing() {
            self.more.push(more);
        }
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        let slots: usize = self.slots.iter().map(SlotBody::size).sum();
        size_of::<Chunk>() + self.bytes.len() + slots + self.more.len() * size_of::<More>()
    }
}

/// A body's length, or its slot's number.
fn number_of(node: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([node[2], node[3]]) & NUMBER)
}

/// A chunk in the making, as a zone is read: one node after the other.
pub(super) struct ChunkBuilder {
    chunk: Chunk,
    len: usize,
    nodes: Vec<u8>,
}

impl ChunkBuilder {
    pub(super) fn new(zone: u32) -> ChunkBuilder {
        ChunkBuilder { chunk: Chunk::empty(zone), len: 0, nodes: Vec::new() }
    }

    pub(super) fn zone(&self) -> u32 {
        self.chunk.zone
    }

    /// How many nodes it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a node, which is not hidden; its body goes beside it where it is to change often, or is large.
    pub(super) fn push(&mut self, name: &[u8], kind: Kind, flags: u8, is_pinned: bool, body: &[u8]) {
        let in_slot = is_pinned || flags & IS_APEX != 0 || body.len() > MAX_INLINE;
        let number = if in_slot { self.chunk.slots.len() } else { body.len() } as u16;
        let number = if is_pinned { number | PINNED } else { number };
        let flags = flags | tag(kind) | if in_slot { IN_SLOT } else { 0 };
        self.chunk.starts[self.len] = self.nodes.len() as u16;
        self.len += 1;
        self.nodes.extend_from_slice(&[name.len() as u8, flags]);
        self.nodes.extend_from_slice(&number.to_le_bytes());
        self.nodes.extend_from_slice(name);
        if in_slot {
            self.chunk.slots.push(SlotBody::Plain(body.into()));
        } else {
            self.nodes.extend_from_slice(body);
        }
    }

    /// The chunk, and an empty builder for the next one.
    pub(super) fn take(&mut self) -> Chunk {
        let next = Chunk::empty(self.chunk.zone);
        let mut chunk = std::mem::replace(&mut self.chunk, next);
        chunk.bytes = self.nodes.as_slice().into();
        chunk.slots.shrink_to_fit();
        self.nodes.clear();
        self.len = 0;
        chunk
    }
}

/// The name of a node of a chunk.
#[inline]
pub(super) fn name_at(chunk: &Chunk, id: NodeId) -> &[u8] {
    chunk.name(id.place())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed<'a>(node: &Node<'a>) -> &'a [u8] {
        let Body::Fixed(body) = node.body() else { panic!("{node:?}") };
        body
    }

    fn plain(body: &[u8]) -> SlotBody {
        SlotBody::Plain(body.into())
    }

    #[test]
    fn nodes_read_back_as_they_were_put() {
        let mut builder = ChunkBuilder::new(7);
        builder.push(b"\x01a\0", Kind::Authoritative(7), IS_APEX, false, b"12345");
        builder.push(b"\0", Kind::Cut(7), HAS_DNAME, false, b"x");
        builder.push(b"\x01b\0", Kind::Authoritative(7), 0, true, b"");
        let (mut chunk, id) = (builder.take(), |place| NodeId::of(3, place));
        assert_eq!(builder.len(), 0);

        let node = chunk.node(id(0));
        assert_eq!((node.name(), node.kind(), node.zone()), (&b"\x01a\0"[..], Kind::Authoritative(7), 7));
        assert!(node.has(IS_APEX) && !node.has(HAS_DNAME));
        assert_eq!(node.body().plain(), b"12345");
        let node = chunk.node(id(1));
        assert_eq!((node.name(), node.kind(), fixed(&node)), (&b"\0"[..], Kind::Cut(7), &b"x"[..]));
        assert!(chunk.is_pinned(2) && !chunk.is_pinned(1));

        chunk.put(3, b"\x01c\0", Kind::Hidden(id(1)));
        chunk.set_flag(3, HAS_WILDCARD, true);
        assert_eq!(
            (chunk.node(id(3)).kind(), chunk.node(id(3)).has(HAS_WILDCARD)),
            (Kind::Hidden(id(1)), true)
        );
        chunk.set_kind(3, Kind::Absent);
        assert_eq!((chunk.node(id(3)).kind(), chunk.more(3).by), (Kind::Absent, NodeId::NONE));
        chunk.change_more(3, |more| more.links += 2);
        assert_eq!((chunk.more(3).links, chunk.more(2).links), (2, 0));
        assert_eq!((id(3).chunk(), id(3).place(), chunk.free()), (3, 3, Some(4)));
    }

    /// Bodies come and go, in slots and in nodes; the others stay as they were, and so does a clone.
    #[test]
    fn a_change_leaves_the_others_and_the_clone_alone() {
        let mut chunk = Chunk::empty(1);
        let names: Vec<[u8; 3]> = (0..8).map(|i| [1, b'a' + i, 0]).collect();
        for (place, name) in names.iter().enumerate() {
            chunk.put(place, name, Kind::Authoritative(1));
            if place % 2 == 0 {
                chunk.set_slot(place, plain(name));
            } else {
                chunk.set_fixed(place, name);
            }
        }
        let before = chunk.clone();
        chunk.set_fixed(0, b"first");
        chunk.clear(1);
        chunk.set_slot(3, plain(b"third"));
        chunk.clear(6);
        chunk.body_mut(5, |body| body[0] = b'x');
        let held = |chunk: &Chunk, place| chunk.node(NodeId::of(0, place)).body().plain().to_vec();
        assert_eq!(held(&chunk, 0), b"first");
        assert_eq!(held(&chunk, 3), b"third");
        assert_eq!(held(&chunk, 5), b"xf\0");
        for place in [2, 4, 7] {
            assert_eq!(held(&chunk, place), names[place]);
        }
        assert_eq!(chunk.taken().collect::<Vec<_>>(), [0, 2, 3, 4, 5, 7]);
        for (place, name) in names.iter().enumerate() {
            assert_eq!(
                (held(&before, place), before.node(NodeId::of(0, place)).name()),
                (name.to_vec(), &name[..])
            );
        }
        for place in [0, 2, 3, 4, 5, 7] {
            assert!(!chunk.is_empty());
            chunk.clear(place);
        }
        assert!(chunk.is_empty() && chunk.slots.is_empty());
    }
}
