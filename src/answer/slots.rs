//! The bodies that change while the table stands: shared between a table and its successor but for what
//! the successor changed.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Slots that are copied together when one of them changes.
const CHUNK: usize = 64;

/// A body, as `set.rs` lays it out.
pub(super) type SlotBody = Arc<[u8]>;

/// All slots, by number. A clone costs one count; a change, the list of chunks and the chunks it touches.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<[Arc<[SlotBody]>]>);

impl Slots {
    pub(super) fn new(bodies: Vec<Vec<u8>>) -> Slots {
        let bodies: Vec<SlotBody> = bodies.into_iter().map(Arc::from).collect();
        Slots(bodies.chunks(CHUNK).map(Arc::from).collect())
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> &[u8] {
        &self.0[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    pub(super) fn replace(&mut self, changed: BTreeMap<u32, Vec<u8>>) {
        let mut chunks = self.0.to_vec();
        for (slot, body) in changed {
            Arc::make_mut(&mut chunks[slot as usize / CHUNK])[slot as usize % CHUNK] = body.into();
        }
        self.0 = chunks.into();
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.0.iter().flat_map(|chunk| chunk.iter()).map(|body| body.len() + size_of::<SlotBody>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_the_clone_and_the_other_chunks_alone() {
        let before = Slots::new((0..200u8).map(|i| vec![i]).collect());
        let mut after = before.clone();
        after.replace(BTreeMap::from([(70, vec![1, 2]), (199, vec![])]));

        assert_eq!((before.get(70), before.get(199)), (&[70][..], &[199][..]));
        assert_eq!((after.get(70), after.get(199), after.get(71)), (&[1, 2][..], &[][..], &[71][..]));
        let same = |chunk: usize| Arc::ptr_eq(&before.0[chunk], &after.0[chunk]);
        assert_eq!([same(0), same(1), same(2), same(3)], [true, false, true, false]);
    }
}
