//! A list whose clone shares all but what is then changed in it.

use std::sync::Arc;

/// Values that lie together. A change copies those beside the changed one and the list of all leaves, which for a
/// million names are as many.
const WIDTH: usize = 128;

/// Leaves of values, and the list of leaves.
#[derive(Debug)]
pub(super) struct Spread<T>(Arc<[Arc<[T; WIDTH]>]>);

impl<T> Clone for Spread<T> {
    fn clone(&self) -> Spread<T> {
        Spread(Arc::clone(&self.0))
    }
}

impl<T: Clone> Spread<T> {
    /// Room for `len` values at least, each of them this one.
    pub(super) fn new(len: usize, value: &T) -> Spread<T> {
        Spread(vec![leaf(value); len.div_ceil(WIDTH).max(1)].into())
    }

    /// How many values there are, those that only fill the last leaf included.
    pub(super) fn len(&self) -> usize {
        self.0.len() * WIDTH
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> &T {
        &self.0[at / WIDTH][at % WIDTH]
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut T {
        let leaf = &mut Arc::make_mut(&mut self.0)[at / WIDTH];
        &mut Arc::make_mut(leaf)[at % WIDTH]
    }

    /// Makes room for `len` values, the new ones each this one.
    pub(super) fn grow(&mut self, len: usize, value: &T) {
        let more = len.div_ceil(WIDTH).saturating_sub(self.0.len());
        if more > 0 {
            self.0 = self.0.iter().cloned().chain(vec![leaf(value); more]).collect();
        }
    }
}

fn leaf<T: Clone>(value: &T) -> Arc<[T; WIDTH]> {
    Arc::new(std::array::from_fn(|_| value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_the_clone_and_the_other_leaves_alone() {
        let mut before = Spread::new(300, &0);
        assert_eq!(before.len(), 384);
        for at in 0..300 {
            *before.get_mut(at) = at;
        }
        let mut after = before.clone();
        *after.get_mut(200) = 7;
        after.grow(400, &9);
        assert_eq!((*before.get(200), *after.get(200), *after.get(201)), (200, 7, 201));
        assert_eq!((before.len(), after.len(), *after.get(399)), (384, 512, 9));
        let same = |leaf: usize| Arc::ptr_eq(&before.0[leaf], &after.0[leaf]);
        assert_eq!([same(0), same(1), same(2)], [true, false, true]);
    }
}
