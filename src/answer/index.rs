//! The index from a name's hash to its node: blocks of places, each found by the hash's highest bits. A change
//! copies one block.

use std::sync::Arc;

use super::id::NodeId;

/// Of ten places at most this many are taken: a miss then looks at about four entries, which share one or
/// two cache lines.
const MAX_LOAD_TENTHS: usize = 7;
/// The fewest places of a block.
const MIN_PLACES: usize = 12;
/// About how many names a block has at first; it grows.
const FIRST_NAMES: usize = 1024;
/// A block of more names is halved.
const MAX_NAMES: usize = 4096;
/// How many bits choose a block at most; then blocks grow without end.
const MAX_DEPTH: u32 = 20;

/// The first word is how many places are taken, with how many bits chose the block in its upper half. After it
/// the places, eight bytes each: the hash's low half as a tag, which also says where the search begins, then the
/// node's number plus one; zero is free. The tag saves a look at the node for nearly all strangers.
type Block = Arc<[u64]>;

#[derive(Clone, Debug)]
pub(super) struct Index {
    /// By how much a hash is shifted to become its block's number.
    shift: u32,
    blocks: Arc<[Block]>,
}

fn block(names: usize, depth: u32) -> Vec<u64> {
    let mut places = vec![0; 1 + (names * 10 / MAX_LOAD_TENTHS + 1).max(MIN_PLACES)];
    places[0] = u64::from(depth) << 32;
    places
}

fn taken(block: &[u64]) -> usize {
    block[0] as u32 as usize
}

fn depth(block: &[u64]) -> u32 {
    (block[0] >> 32) as u32
}

/// Where the search for a tag begins.
#[inline]
fn start(block: &[u64], tag: u32) -> usize {
    1 + ((u64::from(tag) * (block.len() as u64 - 1)) >> 32) as usize
}

/// Puts a place's word where it belongs. There is room.
fn place(block: &mut [u64], word: u64) {
    let mut at = start(block, (word >> 32) as u32);
    while block[at] != 0 {
        at += 1;
        if at == block.len() {
            at = 1;
        }
    }
    block[at] = word;
    block[0] += 1;
}

/// The places that are taken.
fn words(block: &[u64]) -> impl Iterator<Item = u64> {
    block[1..].iter().copied().filter(|&word| word != 0)
}

fn node_of(word: u64) -> NodeId {
    NodeId(word as u32 - 1)
}

fn word_of(hash: u64, node: NodeId) -> u64 {
    u64::from(hash as u32) << 32 | (u64::from(node.0) + 1)
}

impl Index {
    pub(super) fn with_room_for(names: usize) -> Index {
        let blocks = (names / FIRST_NAMES).next_power_of_two().max(2);
        let depth = blocks.ilog2();
        // Some get more names than others: a tenth more for nearly all of them.
        let each = names / blocks + names / blocks / 10;
        Index { shift: 64 - depth, blocks: (0..blocks).map(|_| block(each, depth).into()).collect() }
    }

    #[inline]
    fn block(&self, hash: u64) -> &[u64] {
        &self.blocks[(hash >> self.shift) as usize]
    }

    /// The nodes whose hash this may be: hardly ever more than one, or a stranger.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> impl Iterator<Item = NodeId> {
        let (block, tag) = (self.block(hash), hash as u32);
        let (before, from) = block.split_at(start(block, tag));
        // The load bound leaves free places.
        let words = from.iter().chain(&before[1..]).copied().take_while(|&word| word != 0);
        words.filter(move |&word| (word >> 32) as u32 == tag).map(node_of)
    }

    /// Adds a node that is not there yet. Halving a block asks for each node's hash again.
    pub(super) fn insert(&mut self, hash: u64, node: NodeId, hash_of: impl Fn(NodeId) -> u64) {
        loop {
            let at = (hash >> self.shift) as usize;
            let block = &self.blocks[at];
            if (taken(block) + 1) * 10 <= (block.len() - 1) * MAX_LOAD_TENTHS {
                return self.change(at, |block| {
                    place(Arc::make_mut(block), word_of(hash, node));
                });
            }
            let depth = depth(block);
            if taken(block) < MAX_NAMES || depth == MAX_DEPTH {
                self.change(at, |old| *old = copy(old, taken(old) * 3 / 2 + MIN_PLACES, |_| true));
            } else {
                self.halve(at, depth, &hash_of);
            }
        }
    }

    /// Takes out a node that is there.
    pub(super) fn remove(&mut self, hash: u64, node: NodeId) {
        let word = word_of(hash, node);
        let at = (hash >> self.shift) as usize;
        self.change(at, |old| *old = copy(old, taken(old), |held| held != word));
    }

    /// Adds nodes that are not there yet, and empties `batch`. Each place is a cache miss in a large index;
    /// looked at one after the other, with nothing in between that depends on them, they are waited for at
    /// once.
    pub(super) fn insert_all(&mut self, batch: &mut Vec<(u64, NodeId)>, hash_of: impl Fn(NodeId) -> u64) {
        let look = |sum, &(hash, _): &(u64, NodeId)| {
            let block = self.block(hash);
            sum ^ block[start(block, hash as u32)]
        };
        std::hint::black_box(batch.iter().fold(0, look));
        for (hash, node) in batch.drain(..) {
            self.insert(hash, node, &hash_of);
        }
    }

    /// Changes the block that is found at `at`, wherever else it is found.
    fn change(&mut self, at: usize, change: impl FnOnce(&mut Block)) {
        let bits = 64 - self.shift - depth(&self.blocks[at]);
        let blocks = Arc::make_mut(&mut self.blocks);
        if bits == 0 {
            return change(&mut blocks[at]);
        }
        let mut block = blocks[at].clone();
        change(&mut block);
        let first = at >> bits << bits;
        blocks[first..first + (1 << bits)].fill(block);
    }

    /// Makes two blocks of one: a further bit of the hash tells them apart.
    fn halve(&mut self, at: usize, depth: u32, hash_of: impl Fn(NodeId) -> u64) {
        let mut at = at;
        if depth == 64 - self.shift {
            let blocks = self.blocks.iter().flat_map(|block| [block.clone(), block.clone()]).collect();
            (self.blocks, self.shift, at) = (blocks, self.shift - 1, at * 2);
        }
        let old = self.blocks[at].clone();
        let bit = 1u64 << (63 - depth);
        // The next names come to these two as they came to the one.
        let halves = [false, true].map(|upper| {
            let is_there = |word: u64| (hash_of(node_of(word)) & bit != 0) == upper;
            let mut half = block(taken(&old) * 2 / 3, depth + 1);
            words(&old).filter(|&word| is_there(word)).for_each(|word| {
                if (taken(&half) + 1) * 10 > (half.len() - 1) * MAX_LOAD_TENTHS {
                    half = copy(&half, taken(&half) * 3 / 2, |_| true).to_vec();
                }
                place(&mut half, word);
            });
            Block::from(half)
        });
        let bits = 64 - self.shift - depth;
        let first = at >> bits << bits;
        let blocks = &mut Arc::make_mut(&mut self.blocks)[first..first + (1 << bits)];
        let (lower, upper) = blocks.split_at_mut(1 << (bits - 1));
        let [of_lower, of_upper] = halves;
        lower.fill(of_lower);
        upper.fill(of_upper);
    }

    /// Bytes held.
    pub(super) fn size(&self) -> usize {
        // A block that is found in several places is counted once.
        let of = |(at, block): (usize, &Block)| {
            let bits = 64 - self.shift - depth(block);
            if at.trailing_zeros() >= bits { size_of_val(&**block) } else { 0 }
        };
        self.blocks.iter().enumerate().map(of).sum::<usize>() + self.blocks.len() * size_of::<Block>()
    }
}

/// A block of some of another's words, with room for so many.
fn copy(old: &[u64], room: usize, is_kept: impl Fn(u64) -> bool) -> Block {
    let mut new = block(room, depth(old));
    words(old).filter(|&word| is_kept(word)).for_each(|word| place(&mut new, word));
    new.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(index: &Index, hash: u64, node: NodeId) -> bool {
        index.find(hash).any(|found| found == node)
    }

    /// Every name that was put in and not taken out is found, whatever grew and was halved meanwhile, and a clone
    /// stays as it was.
    #[test]
    fn finds_what_is_in_it() {
        let spread = |node: NodeId| u64::from(node.0).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        // Tags collide on purpose, or block numbers do.
        let hashes: [fn(NodeId) -> u64; 3] = [
            |node| u64::from(node.0).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17),
            |node| u64::from(node.0).wrapping_mul(0x9e37_79b9) << 32 | 5,
            |node| u64::from(node.0 % 2) << 63 | 0xffff_ffff,
        ];
        for hash in hashes {
            let mut index = Index::with_room_for(4);
            let count = if hash(NodeId(1)) == spread(NodeId(1)) { 50_000 } else { 1000 };
            let mut clones = Vec::new();
            for i in 0..count {
                if i % (count / 4) == 0 {
                    clones.push((i, index.clone()));
                }
                index.insert(hash(NodeId(i)), NodeId(i), hash);
            }
            for i in (0..count).step_by(3) {
                index.remove(hash(NodeId(i)), NodeId(i));
            }
            for i in 0..count {
                assert_eq!(find(&index, hash(NodeId(i)), NodeId(i)), i % 3 != 0, "{i}");
            }
            for (upto, clone) in clones {
                assert!((0..count).all(|i| find(&clone, hash(NodeId(i)), NodeId(i)) == (i < upto)));
            }
        }
    }

    #[test]
    fn a_change_copies_one_block() {
        let hash = |node: NodeId| u64::from(node.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut before = Index::with_room_for(10_000);
        (0..10_000).for_each(|i| before.insert(hash(NodeId(i)), NodeId(i), hash));
        let mut after = before.clone();
        after.insert(hash(NodeId(10_000)), NodeId(10_000), hash);
        let both = before.blocks.iter().zip(&*after.blocks);
        assert_eq!(both.filter(|(before, after)| !Arc::ptr_eq(before, after)).count(), 1);
    }
}
