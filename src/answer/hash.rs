//! The seeded hash of owner names.
//!
//! Names are chosen by others: by whoever asks, and in a secondary's zone by whoever owns it. The keys
//! come from a seed the daemon draws at start, so nobody outside can aim names at one spot of the index.

/// Odd constants that spread a seed over both keys (the fractional bits of the golden ratio and of √2).
const SPREAD: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909];

/// What a table's names are hashed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    start: u64,
    factor: u64,
}

impl Keys {
    pub(super) fn new(seed: u64) -> Keys {
        let start = fold(seed ^ SPREAD[0], SPREAD[1]);
        Keys { start, factor: fold(seed ^ start, SPREAD[0]) | 1 }
    }

    /// The hash of a wire-form name; equal names in lower case give equal hashes.
    #[inline]
    pub(super) fn hash(self, name: &[u8]) -> u64 {
        let mut hash = self.start ^ name.len() as u64;
        let mut words = name.chunks_exact(8);
        for word in &mut words {
            hash = fold(hash ^ word_of(word), self.factor);
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            // The last eight bytes, some of them again: cheaper than to gather the odd ones, and as good.
            let last = name.last_chunk().map_or_else(|| gather(rest), |last| u64::from_le_bytes(*last));
            hash = fold(hash ^ last, self.factor);
        }
        fold(hash, SPREAD[1])
    }
}

/// The word of a name shorter than one.
fn gather(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[inline]
fn word_of(chunk: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(chunk);
    u64::from_le_bytes(word)
}

/// The 128-bit product, its halves laid over each other: every bit of `a` reaches every bit of the result.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_seed_moves_every_name() {
        let (a, b) = (Keys::new(1), Keys::new(2));
        for name in [&b"\0"[..], b"\x03www\0", b"\x07example\x03com\0"] {
            assert_eq!(a.hash(name), Keys::new(1).hash(name));
            assert_ne!(a.hash(name), b.hash(name));
        }
    }

    #[test]
    fn numbered_names_spread_over_high_and_low_bits() {
        let keys = Keys::new(7);
        let hashes: Vec<u64> =
            (0..20_000).map(|i| keys.hash(format!("\x0bhost{i:07}\x07example\0").as_bytes())).collect();
        let distinct = |shift: u32| hashes.iter().map(|h| h >> shift & 0xffff).collect::<HashSet<_>>().len();
        // 20,000 balls in 65,536 bins leave about 17,200 bins taken; a poor spread leaves far fewer.
        for shift in [0, 16, 32, 48] {
            assert!(distinct(shift) > 16_800, "bits from {shift}: {}", distinct(shift));
        }
    }

    #[test]
    fn length_counts() {
        let keys = Keys::new(3);
        assert_ne!(keys.hash(&[0; 7]), keys.hash(&[0; 8]));
        assert_ne!(keys.hash(&[0; 1]), keys.hash(&[0; 2]));
    }
}
