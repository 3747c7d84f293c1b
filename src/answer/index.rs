//! The open-addressed index from a name's hash to its node.

use super::node::NodeId;

/// Of ten places at most this many are taken: a miss then looks at about four entries, which share one or
/// two cache lines.
const MAX_LOAD_TENTHS: usize = 7;
/// The smallest index.
const MIN_PLACES: usize = 16;

/// Places of eight bytes: the hash's low half as a tag, then the node's number plus one; zero is free.
/// The tag saves a look at the node for all but one in four billion strangers.
#[derive(Debug)]
pub(super) struct Index {
    places: Box<[u64]>,
    taken: usize,
}

impl Index {
    pub(super) fn with_room_for(nodes: usize) -> Index {
        let places = (nodes * 10 / MAX_LOAD_TENTHS + 1).max(MIN_PLACES);
        Index { places: vec![0; places].into(), taken: 0 }
    }

    /// Where a hash's search begins: its high half, scaled to the number of places.
    #[inline]
    fn start(&self, hash: u64) -> usize {
        (((hash >> 32) * self.places.len() as u64) >> 32) as usize
    }

    /// The node with this hash that `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(NodeId) -> bool) -> Option<NodeId> {
        let tag = hash as u32;
        let mut at = self.start(hash);
        loop {
            // The load bound leaves free places, so this ends.
            let place = self.places[at];
            if place == 0 {
                return None;
            }
            if (place >> 32) as u32 == tag {
                let node = NodeId(place as u32 - 1);
                if is_it(node) {
                    return Some(node);
                }
            }
            at += 1;
            if at == self.places.len() {
                at = 0;
            }
        }
    }

    /// Adds a node that is not there yet. Growing asks for each node's hash again.
    pub(super) fn insert(&mut self, hash: u64, node: NodeId, hash_of: impl Fn(NodeId) -> u64) {
        if (self.taken + 1) * 10 > self.places.len() * MAX_LOAD_TENTHS {
            let mut larger = Index::with_room_for(self.taken * 3 / 2 + MIN_PLACES);
            for &place in self.places.iter().filter(|&&place| place != 0) {
                let node = NodeId(place as u32 - 1);
                larger.place(hash_of(node), node);
            }
            *self = larger;
        }
        self.place(hash, node);
    }

    /// Adds nodes that are not there yet, and empties `batch`. Each place is a cache miss in a large index;
    /// looked at one after the other, with nothing in between that depends on them, they are waited for at
    /// once.
    pub(super) fn insert_all(&mut self, batch: &mut Vec<(u64, NodeId)>, hash_of: impl Fn(NodeId) -> u64) {
        let look = |sum, &(hash, _): &(u64, NodeId)| sum ^ self.places[self.start(hash)];
        std::hint::black_box(batch.iter().fold(0, look));
        for (hash, node) in batch.drain(..) {
            self.insert(hash, node, &hash_of);
        }
    }

    fn place(&mut self, hash: u64, node: NodeId) {
        let mut at = self.start(hash);
        while self.places[at] != 0 {
            at = (at + 1) % self.places.len();
        }
        self.places[at] = u64::from(hash as u32) << 32 | (u64::from(node.0) + 1);
        self.taken += 1;
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.places.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_also_after_growing() {
        // Tags collide on purpose: every hash has the same low half.
        let hash = |node: NodeId| u64::from(node.0).wrapping_mul(0x9e37_79b9) << 32 | 5;
        let mut index = Index::with_room_for(4);
        for i in 0..1000 {
            index.insert(hash(NodeId(i)), NodeId(i), hash);
        }
        for i in 0..1000 {
            assert_eq!(index.find(hash(NodeId(i)), |node| node == NodeId(i)), Some(NodeId(i)));
        }
        assert_eq!(index.find(hash(NodeId(1000)), |node| node == NodeId(1000)), None);
    }

    #[test]
    fn wraps_at_the_end() {
        let hash = |_| u64::MAX;
        let mut index = Index::with_room_for(4);
        for i in 0..5 {
            index.insert(u64::MAX, NodeId(i), hash);
        }
        for i in 0..5 {
            assert_eq!(index.find(u64::MAX, |node| node == NodeId(i)), Some(NodeId(i)));
        }
    }
}
