//! The bodies that change while the table stands: shared between a table and its successor but for what
//! the successor changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pick::Steered;

/// Slots that are copied together when one of them changes.
const CHUNK: usize = 64;

/// What a slot holds. Both fit where a pointer and a length do.
#[derive(Clone, Debug)]
pub(super) enum SlotBody {
    /// A body for everybody, as `set.rs` lays it out.
    Plain(Arc<[u8]>),
    /// Bodies, and who gets which.
    Steered(Arc<Steered>),
}

const _: () = assert!(size_of::<SlotBody>() == size_of::<Arc<[u8]>>());

impl SlotBody {
    /// What is answered to who gets nothing of its own, and what transfers carry.
    #[inline]
    pub(super) fn plain(&self) -> &[u8] {
        match self {
            SlotBody::Plain(body) => body,
            SlotBody::Steered(steered) => &steered.plain,
        }
    }

    fn size(&self) -> usize {
        match self {
            SlotBody::Plain(body) => body.len(),
            SlotBody::Steered(steered) => steered.size(),
        }
    }
}

/// All slots, by number. A clone costs one count; a change, the list of chunks and the chunks it touches.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<[Arc<[SlotBody]>]>);

impl Slots {
    pub(super) fn new(bodies: Vec<Vec<u8>>) -> Slots {
        let bodies: Vec<SlotBody> = bodies.into_iter().map(|body| SlotBody::Plain(body.into())).collect();
        Slots(bodies.chunks(CHUNK).map(Arc::from).collect())
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> &SlotBody {
        &self.0[slot as usize / CHUNK][slot as usize % CHUNK]
    }

    pub(super) fn replace(&mut self, changed: BTreeMap<u32, SlotBody>) {
        let mut chunks = self.0.to_vec();
        for (slot, body) in changed {
            Arc::make_mut(&mut chunks[slot as usize / CHUNK])[slot as usize % CHUNK] = body;
        }
        self.0 = chunks.into();
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        self.0.iter().flat_map(|chunk| chunk.iter()).map(|body| body.size() + size_of::<SlotBody>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_the_clone_and_the_other_chunks_alone() {
        let before = Slots::new((0..200u8).map(|i| vec![i]).collect());
        let mut after = before.clone();
        let plain = |body: &[u8]| SlotBody::Plain(body.into());
        after.replace(BTreeMap::from([(70, plain(&[1, 2])), (199, plain(&[]))]));

        let (old, new) = (|slot| before.get(slot).plain(), |slot| after.get(slot).plain());
        assert_eq!((old(70), old(199)), (&[70][..], &[199][..]));
        assert_eq!((new(70), new(199), new(71)), (&[1, 2][..], &[][..], &[71][..]));
        let same = |chunk: usize| Arc::ptr_eq(&before.0[chunk], &after.0[chunk]);
        assert_eq!([same(0), same(1), same(2), same(3)], [true, false, true, false]);
    }
}
