//! Owner names, each once, packed: a number for a name and a name for a number.

/// Owner names numbered from 0 in the order they came. A million short ones take about 45 MB.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners {
    /// Every name's wire form, one after the other.
    names: Vec<u8>,
    /// Where each begins in `names`; the next one's beginning is its end.
    starts: Vec<u32>,
    /// Open addressing with linear probing: the upper half of the name's hash, then its number plus one.
    /// Zero is free. At most two thirds are taken.
    slots: Vec<u64>,
}

impl Owners {
    /// Room for about `count` names of `bytes` bytes together.
    pub(super) fn with_capacity(count: usize, bytes: usize) -> Owners {
        let slots = (count + count / 2 + 2).next_power_of_two();
        Owners { names: Vec::with_capacity(bytes), starts: Vec::with_capacity(count), slots: vec![0; slots] }
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The bytes all names take; kept below 2^32 by the caller.
    pub(super) fn byte_len(&self) -> usize {
        self.names.len()
    }

    /// The name with a number.
    pub(super) fn name(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let end = self.starts.get(id + 1).map_or(self.names.len(), |&end| end as usize);
        &self.names[self.starts[id] as usize..end]
    }

    /// The number of a name in wire form and lower case, if it is there.
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.probe(name, hash(name)).ok()
    }

    /// The number of a name, which is added where it is new.
    pub(super) fn insert(&mut self, name: &[u8]) -> u32 {
        if self.slots.len() * 2 < (self.starts.len() + 1) * 3 {
            self.grow();
        }
        let hash = hash(name);
        self.probe(name, hash).unwrap_or_else(|free| {
            let id = self.starts.len() as u32;
            self.slots[free] = hash >> 32 << 32 | u64::from(id + 1);
            self.starts.push(self.names.len() as u32);
            self.names.extend_from_slice(name);
            id
        })
    }

    /// The number of a name, or the free slot where it belongs. There always is one: see `slots`.
    fn probe(&self, name: &[u8], hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = (hash >> 32) as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            let id = slot as u32 - 1;
            if slot >> 32 == hash >> 32 && self.name(id) == name {
                return Ok(id);
            }
            at = (at + 1) & mask;
        }
    }

    /// Lets go of what [`Owners::find`] searches: from here on names are had by number alone.
    pub(super) fn forget_search(&mut self) {
        self.slots = Vec::new();
    }

    /// Lets go of the names from number `len` on, and of their memory. Only after
    /// [`Owners::forget_search`], which would still lead to them.
    pub(super) fn truncate(&mut self, len: usize) {
        debug_assert!(self.slots.is_empty(), "the search leads to names that go");
        if let Some(&end) = self.starts.get(len) {
            self.names.truncate(end as usize);
            self.starts.truncate(len);
            self.names.shrink_to_fit();
            self.starts.shrink_to_fit();
        }
    }

    fn grow(&mut self) {
        let len = (self.slots.len() * 2).max(16);
        let old = std::mem::replace(&mut self.slots, vec![0; len]);
        for slot in old.into_iter().filter(|&slot| slot != 0) {
            let mut at = (slot >> 32) as usize & (len - 1);
            while self.slots[at] != 0 {
                at = (at + 1) & (len - 1);
            }
            self.slots[at] = slot;
        }
    }
}

/// A hash of bytes, the same in every process: eight at a time, multiplied and folded. Its keys are the
/// operator's own names, not a client's, so it needs no secret.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15; // 2^64 divided by the golden ratio
    let (words, rest) = bytes.as_chunks::<8>();
    let mut tail = [0; 8];
    tail[..rest.len()].copy_from_slice(rest);
    let mut hash = bytes.len() as u64 ^ 0x2545_f491_4f6c_dd1d;
    for &word in words.iter().chain([&tail]) {
        let product = u128::from(hash ^ u64::from_le_bytes(word)) * u128::from(MULTIPLIER);
        hash = (product as u64) ^ (product >> 64) as u64 ^ hash.rotate_left(29);
    }
    // The last fold leaves the input's low bits in the hash's low ones: spread them once more.
    let product = u128::from(hash ^ MULTIPLIER) * u128::from(MULTIPLIER);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_name_has_one_number() {
        let names: Vec<Vec<u8>> = (0..5000).map(|i| format!("\x05{i:05}\0").into_bytes()).collect();
        for mut owners in [Owners::default(), Owners::with_capacity(0, 0), Owners::with_capacity(10, 10)] {
            assert_eq!(owners.insert(&names[0]), 0);
            assert_eq!(owners.find(&names[1]), None, "one name leaves a free slot");
            for (id, name) in names.iter().enumerate() {
                assert_eq!(owners.insert(name), id as u32);
                assert_eq!(owners.insert(name), id as u32);
            }
            assert_eq!((owners.len(), owners.byte_len()), (5000, 5000 * 7));
            for (id, name) in names.iter().enumerate() {
                assert_eq!((owners.find(name), owners.name(id as u32)), (Some(id as u32), &name[..]));
            }
            assert_eq!(owners.find(b"\x05other\0"), None);
        }
    }

    #[test]
    fn hashes_differ_where_bytes_do() {
        let mut seen = HashSet::new();
        for len in 0..40 {
            for value in 0..=255u8 {
                let mut bytes = vec![7; len];
                bytes.extend([value]);
                assert!(seen.insert(hash(&bytes)), "{bytes:?}");
            }
        }
        assert_ne!(hash(&[]), hash(&[0]));
    }

    #[test]
    fn numbered_names_spread_over_the_upper_half() {
        let upper = |i: u32| hash(format!("\x06{i:06}\x07example\x03com\0").as_bytes()) >> 32;
        let distinct: HashSet<u64> = (0..100_000).map(|i| upper(i) & 0x3_ffff).collect();
        // 100,000 balls in 262,144 bins hit about 83,000 of them.
        assert!(distinct.len() > 75_000, "{}", distinct.len());
    }
}
