//! Nodes: one for every name of every zone, packed one after the other into an arena.
//!
//! ```text
//! 0         1      2      6      10
//! name len  flags  owner  body   name (wire form, lower case)   body, unless it is in a slot
//! ```
//!
//! `owner` is the zone's number; for a hidden node it is the node that hides it, for an absent one the
//! closest encloser. `body` is the body's length, or its slot. A body is a sequence of RRsets (`set.rs`).

/// Nodes begin at multiples of this, so that a 32-bit number reaches 16 GiB.
const UNIT: usize = 4;
const NAME: usize = 10;

/// A node's place in the arena, in units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(pub(super) u32);

impl NodeId {
    /// No node; no arena is large enough for it.
    pub(super) const NONE: NodeId = NodeId(u32::MAX);

    pub(super) fn some(self) -> Option<NodeId> {
        (self != NodeId::NONE).then_some(self)
    }
}

/// What a name is, decided when the table is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Authoritative data of a zone, or an empty non-terminal.
    Authoritative(u32),
    /// A delegation out of a zone: NS records below its apex (RFC 1034 section 4.2.1).
    Cut(u32),
    /// Below a cut or a DNAME: no answer comes from here. Glue lives in such nodes.
    Hidden(NodeId),
    /// Above an apex and in no zone; or in a zone that does not know the name, though another zone lies
    /// below it. Then this is the closest encloser.
    Absent(Option<NodeId>),
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

/// Where a node's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// In the arena.
    Fixed(&'a [u8]),
    /// In the slot of this number.
    Slot(u32),
}

/// A node, read in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) id: NodeId,
    flags: u8,
    owner: u32,
    pub(super) name: &'a [u8],
    pub(super) body: Body<'a>,
}

impl Node<'_> {
    #[inline]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        match self.flags & KIND_MASK {
            0 => Kind::Authoritative(self.owner),
            1 => Kind::Cut(self.owner),
            2 => Kind::Hidden(NodeId(self.owner)),
            4 => Kind::Private(self.owner),
            _ => Kind::Absent(NodeId(self.owner).some()),
        }
    }
}

fn pack(kind: Kind) -> (u8, u32) {
    match kind {
        Kind::Authoritative(zone) => (0, zone),
        Kind::Cut(zone) => (1, zone),
        Kind::Hidden(by) => (2, by.0),
        Kind::Absent(encloser) => (3, encloser.unwrap_or(NodeId::NONE).0),
        Kind::Private(zone) => (4, zone),
    }
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Arena(Vec<u8>);

impl Arena {
    pub(super) fn with_capacity(bytes: usize) -> Arena {
        Arena(Vec::with_capacity(bytes))
    }

    /// The bytes a node takes.
    pub(super) fn cost(name: &[u8], body: usize) -> usize {
        (NAME + name.len() + body).next_multiple_of(UNIT)
    }

    pub(super) fn push(&mut self, name: &[u8], kind: Kind, flags: u8, body: Body<'_>) -> NodeId {
        let id = self.end();
        let (tag, owner) = pack(kind);
        let (in_slot, number, bytes) = match body {
            Body::Fixed(bytes) => (0, bytes.len() as u32, bytes),
            Body::Slot(slot) => (IN_SLOT, slot, &[][..]),
        };
        self.0.extend_from_slice(&[name.len() as u8, flags | tag | in_slot]);
        self.0.extend_from_slice(&owner.to_le_bytes());
        self.0.extend_from_slice(&number.to_le_bytes());
        self.0.extend_from_slice(name);
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(UNIT), 0);
        id
    }

    #[inline]
    pub(super) fn name(&self, id: NodeId) -> &[u8] {
        let at = id.0 as usize * UNIT;
        let len = usize::from(self.0[at]);
        &self.0[at + NAME..at + NAME + len]
    }

    #[inline]
    pub(super) fn get(&self, id: NodeId) -> Node<'_> {
        let bytes = &self.0[id.0 as usize * UNIT..];
        let (head, rest) = bytes.split_at(NAME);
        let (name, rest) = rest.split_at(usize::from(head[0]));
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let body = match head[1] & IN_SLOT {
            0 => Body::Fixed(&rest[..number(6) as usize]),
            _ => Body::Slot(number(6)),
        };
        Node { id, flags: head[1], owner: number(2), name, body }
    }

    /// The bytes of a body that is in the arena; empty for one in a slot.
    pub(super) fn body_mut(&mut self, id: NodeId) -> &mut [u8] {
        let node = self.get(id);
        let len = if let Body::Fixed(body) = node.body { body.len() } else { 0 };
        let start = id.0 as usize * UNIT + NAME + node.name.len();
        &mut self.0[start..start + len]
    }

    pub(super) fn set_kind(&mut self, id: NodeId, kind: Kind) {
        let at = id.0 as usize * UNIT;
        let (tag, owner) = pack(kind);
        self.0[at + 1] = self.0[at + 1] & !KIND_MASK | tag;
        self.0[at + 2..at + 6].copy_from_slice(&owner.to_le_bytes());
    }

    pub(super) fn set_flag(&mut self, id: NodeId, flag: u8) {
        self.0[id.0 as usize * UNIT + 1] |= flag;
    }

    /// Where the next node will be.
    pub(super) fn end(&self) -> NodeId {
        NodeId((self.0.len() / UNIT) as u32)
    }

    /// The node after this one, or the first; nodes are in the order they were pushed.
    pub(super) fn after(&self, id: Option<NodeId>) -> Option<NodeId> {
        let next = id.map_or(0, |id| {
            let node = self.get(id);
            let body = if let Body::Fixed(body) = node.body { body.len() } else { 0 };
            id.0 as usize * UNIT + Arena::cost(node.name, body)
        });
        (next < self.0.len()).then_some(NodeId((next / UNIT) as u32))
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.0.capacity()
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_read_back_in_order() {
        let mut arena = Arena::with_capacity(0);
        let a = arena.push(b"\x01a\0", Kind::Authoritative(7), IS_APEX, Body::Fixed(b"12345"));
        let b = arena.push(b"\0", Kind::Absent(None), 0, Body::Slot(9));
        let c = arena.push(b"\x01c\x01a\0", Kind::Cut(7), 0, Body::Fixed(b""));
        arena.set_kind(c, Kind::Hidden(a));
        arena.set_flag(a, HAS_WILDCARD);

        let node = arena.get(a);
        assert_eq!((node.name, node.kind()), (&b"\x01a\0"[..], Kind::Authoritative(7)));
        assert_eq!(node.body, Body::Fixed(b"12345"));
        assert!(node.has(IS_APEX) && node.has(HAS_WILDCARD) && !node.has(HAS_DNAME));
        assert_eq!((arena.get(b).kind(), arena.get(b).body), (Kind::Absent(None), Body::Slot(9)));
        assert_eq!((arena.get(c).kind(), arena.name(c)), (Kind::Hidden(a), &b"\x01c\x01a\0"[..]));

        assert_eq!(arena.after(None), Some(a));
        assert_eq!(arena.after(Some(a)), Some(b));
        assert_eq!(arena.after(Some(b)), Some(c));
        assert_eq!(arena.after(Some(c)), None);
        arena.body_mut(a)[0] = b'x';
        assert_eq!(arena.get(a).body, Body::Fixed(b"x2345"));
    }
}
