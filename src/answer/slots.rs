//! Bodies that are often changed, or large: they lie beside their node, which stays as it is.

use std::sync::Arc;

use super::pick::Steered;

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

    /// Every body that an answer may come from, and the plain one.
    pub(super) fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let variants = match self {
            SlotBody::Plain(_) => &[][..],
            SlotBody::Steered(steered) => &steered.variants,
        };
        std::iter::once(self.plain()).chain(variants.iter().map(|body| &**body))
    }

    /// Whether the name waits for its first answer.
    pub(super) fn waits(&self) -> bool {
        matches!(self, SlotBody::Steered(steered) if steered.waits)
    }

    /// Whether nothing is there for anybody.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            SlotBody::Plain(body) => body.is_empty(),
            SlotBody::Steered(_) => false,
        }
    }

    pub(super) fn size(&self) -> usize {
        let held = match self {
            SlotBody::Plain(body) => body.len(),
            SlotBody::Steered(steered) => steered.size(),
        };
        held + size_of::<SlotBody>()
    }
}
