//! The numbers of nodes.

/// Nodes of a chunk: what is copied when a fixed one of them changes.
pub(super) const PLACES: usize = 64;

/// A node's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub(super) u32);

impl NodeId {
    /// No node; there are never so many.
    pub(super) const NONE: NodeId = NodeId(u32::MAX);

    pub(super) fn some(self) -> Option<NodeId> {
        (self != NodeId::NONE).then_some(self)
    }

    /// The node at a place of a chunk.
    pub(super) fn of(chunk: u32, place: usize) -> NodeId {
        NodeId(chunk * PLACES as u32 + place as u32)
    }

    #[inline]
    pub(super) fn chunk(self) -> u32 {
        self.0 / PLACES as u32
    }

    #[inline]
    pub(super) fn place(self) -> usize {
        self.0 as usize % PLACES
    }
}
