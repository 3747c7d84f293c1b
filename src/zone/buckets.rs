//! Tables that share out clients or queries among variants.
//!
//! A client or query is hashed to one of [`BUCKETS`] buckets, and the table says which variant a bucket
//! gets. All arithmetic is on integers: every node makes the same table from the same weights.

use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many buckets there are: a share is met to within 0.03 %, and a table fits a page.
pub const BUCKETS: usize = 4096;
/// What shares are parts of: 100 is one percent.
pub const WHOLE: u32 = 10_000;

/// Which variant each bucket gets.
#[derive(Clone, PartialEq, Eq)]
pub struct Buckets(Arc<[u8]>);

/// One of those that buckets are shared out among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// The variant's number.
    pub variant: u8,
    /// What stands for it in every table: the hash of its site's name, say. Variants are numbered anew
    /// with every decision; by this a bucket finds back to where it was.
    pub key: u64,
    /// Its share, relative to the others'; zero: none.
    pub weight: u32,
}

impl Buckets {
    /// By weighted rendezvous hashing: each bucket goes where its score is best, so taking one away moves
    /// its buckets alone, and a new weight those it gains or loses. Shares are met as lots meet them:
    /// within 2.6 % of all buckets, but for a chance in a thousand. It takes about a millisecond: names of the
    /// same weights do best to share a table. `None` where all weights are zero.
    pub fn rendezvous(among: &[Weighted]) -> Option<Buckets> {
        let standing: Vec<&Weighted> = among.iter().filter(|one| one.weight > 0).collect();
        let winner = |bucket: u64| {
            let cost = |one: &Weighted| minus_log2(mix(one.key ^ mix(bucket ^ SPREAD)));
            // The least cost per weight, without dividing; of equals the lesser key, whatever the order.
            let better = |a: &&&Weighted, b: &&&Weighted| {
                let (left, right) = (cost(a) * u128::from(b.weight), cost(b) * u128::from(a.weight));
                left.cmp(&right).then(a.key.cmp(&b.key))
            };
            standing.iter().min_by(better).map(|one| one.variant)
        };
        (0..BUCKETS as u64).map(winner).collect::<Option<Arc<[u8]>>>().map(Buckets)
    }

    /// Shares met to the bucket, and spread evenly over the table; for queries, which need not find back.
    /// `None` where all weights are zero.
    pub fn even(weights: &[(u8, u32)]) -> Option<Buckets> {
        let sum: u64 = weights.iter().map(|&(_, weight)| u64::from(weight)).sum();
        if sum == 0 {
            return None;
        }
        let mut table = vec![0; BUCKETS];
        let (mut upto, mut at) = (0, 0);
        for &(variant, weight) in weights {
            upto += u64::from(weight);
            // The running sum is rounded, not each weight: what is lost is less than a bucket.
            let end = (u128::from(upto) * BUCKETS as u128 / u128::from(sum)) as usize;
            for place in at..end {
                table[scattered(place)] = variant;
            }
            at = end;
        }
        Some(Buckets(table.into()))
    }

    /// `share` of [`WHOLE`] to `to`, the rest to `rest`. The buckets of a share are among those of every
    /// larger one: growing it moves newcomers alone.
    pub fn share(to: u8, rest: u8, share: u32) -> Buckets {
        Buckets(vec![rest; BUCKETS].into()).moved(to, share)
    }

    /// This table with `share` of [`WHOLE`] of all buckets given to `to`, whoever had them; the same
    /// buckets whatever the table.
    #[must_use]
    pub fn moved(&self, to: u8, share: u32) -> Buckets {
        let end = share.min(WHOLE) as usize * BUCKETS / WHOLE as usize;
        // Who asks for some share gets some, as long as there is one.
        let end = if share > 0 { end.max(1) } else { 0 };
        let mut table = self.0.to_vec();
        for place in 0..end {
            table[scattered(place)] = to;
        }
        Buckets(table.into())
    }

    /// This table, whose variants are places in `below`, led on: each bucket gets what that table gives it.
    /// A place that is not there gives the first variant.
    #[must_use]
    pub fn through(&self, below: &[Buckets]) -> Buckets {
        let led = |(bucket, &at): (usize, &u8)| below.get(usize::from(at)).map_or(0, |table| table.0[bucket]);
        Buckets(self.0.iter().enumerate().map(led).collect())
    }

    /// The table that gives each bucket what `of` says.
    pub fn each(of: impl FnMut(usize) -> u8) -> Buckets {
        Buckets((0..BUCKETS).map(of).collect())
    }

    /// The table: [`BUCKETS`] variants.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The table, shared.
    pub fn to_shared(&self) -> Arc<[u8]> {
        Arc::clone(&self.0)
    }

    /// The variant that has the most buckets.
    pub fn most(&self) -> u8 {
        let mut counts = [0u32; 256];
        self.0.iter().for_each(|&variant| counts[usize::from(variant)] += 1);
        (0..=255u8).rev().max_by_key(|&variant| counts[usize::from(variant)]).unwrap_or(0)
    }
}

/// Odd, so that multiplying by it visits every bucket once; near the golden ratio, so that neighbours
/// end up far apart.
fn scattered(place: usize) -> usize {
    (place * 2531) % BUCKETS
}

/// The fractional bits of the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A permutation of all numbers under which neighbours have nothing in common (the finalizer of
/// SplitMix64). It is part of what nodes agree on and must never change.
pub fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// -log2(x / 2^64) with 32 fractional bits, by squaring: a floating-point logarithm may differ in its
/// last bit from one machine to the next.
fn minus_log2(x: u64) -> u128 {
    let x = x.max(1);
    let zeros = x.leading_zeros();
    let mut mantissa = x << zeros;
    let mut fraction = 0u64;
    for _ in 0..32 {
        let square = u128::from(mantissa) * u128::from(mantissa);
        let carry = (square >> 127) as u64;
        fraction = fraction << 1 | carry;
        mantissa = (square >> (63 + carry)) as u64;
    }
    // x = 2^(63 - zeros) * 1.mantissa, so log2(x) = 63 - zeros + fraction.
    ((u128::from(zeros) + 1) << 32) - u128::from(fraction)
}

impl std::fmt::Debug for Buckets {
    /// Each variant and how many buckets it has: nobody reads four thousand numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut counts = std::collections::BTreeMap::new();
        self.0.iter().for_each(|variant| *counts.entry(variant).or_insert(0) += 1);
        f.debug_map().entries(counts).finish()
    }
}

/// As hexadecimal digits: four thousand numbers between commas would take twice the room.
impl Serialize for Buckets {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
        let text: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Buckets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Buckets, D::Error> {
        let text = String::deserialize(from)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let pairs = text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?));
        let table: Option<Arc<[u8]>> = pairs.collect();
        match table {
            Some(table) if table.len() == BUCKETS => Ok(Buckets(table)),
            _ => Err(D::Error::custom(format!("not a table of {BUCKETS} buckets in hexadecimal digits"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Distinct keys, each with a weight; numbered from zero.
    fn among() -> impl Strategy<Value = Vec<Weighted>> {
        let weights = prop::collection::btree_map(any::<u64>(), 0..100u32, 1..8);
        weights.prop_map(|all| {
            let one = |(variant, (key, weight))| Weighted { variant, key, weight };
            (0..).zip(all).map(one).collect()
        })
    }

    fn count(buckets: &Buckets, variant: u8) -> f64 {
        buckets.as_slice().iter().map(|&v| f64::from(u8::from(v == variant))).sum()
    }

    proptest! {
        // Each makes a table or two, which is a thousand times the work of a case elsewhere.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn shares_follow_weights(among in among()) {
            let sum: u32 = among.iter().map(|one| one.weight).sum();
            let Some(buckets) = Buckets::rendezvous(&among) else {
                prop_assert_eq!(sum, 0);
                return Ok(());
            };
            for one in &among {
                let share = f64::from(one.weight) / f64::from(sum);
                // Five standard deviations of as many draws.
                let spread = 5.0 * (4096.0 * share * (1.0 - share)).sqrt();
                let off = (count(&buckets, one.variant) - 4096.0 * share).abs();
                prop_assert!(off <= spread + 1.0, "{one:?} of {sum}: {off} off, {spread} allowed");
            }
        }

        #[test]
        fn taking_one_away_moves_its_buckets_alone(among in among(), at in any::<prop::sample::Index>()) {
            let at = at.index(among.len());
            let mut fewer = among.clone();
            fewer[at].weight = 0;
            let (Some(before), Some(after)) = (Buckets::rendezvous(&among), Buckets::rendezvous(&fewer)) else {
                return Ok(());
            };
            for (b, a) in before.as_slice().iter().zip(after.as_slice()) {
                prop_assert!(b == a || *b == among[at].variant);
            }
        }

        #[test]
        fn a_new_weight_moves_buckets_one_way(among in among(), at in any::<prop::sample::Index>()) {
            let at = at.index(among.len());
            let mut more = among.clone();
            more[at].weight += 10;
            let (Some(before), Some(after)) = (Buckets::rendezvous(&among), Buckets::rendezvous(&more)) else {
                return Ok(());
            };
            for (b, a) in before.as_slice().iter().zip(after.as_slice()) {
                prop_assert!(b == a || *a == among[at].variant, "gained, and nobody else did");
            }
        }

        #[test]
        fn neither_order_nor_numbers_matter(among in among()) {
            let mut other = among.clone();
            other.reverse();
            prop_assert_eq!(Buckets::rendezvous(&among), Buckets::rendezvous(&other));
        }

        #[test]
        fn a_share_grows_by_newcomers_alone(small in 0..=WHOLE, more in 0..=WHOLE, before in among()) {
            let base = Buckets::rendezvous(&before).unwrap_or_else(|| Buckets::share(0, 0, 0));
            let (small, large) = (small.min(more), small.max(more));
            let (few, many) = (base.moved(200, small), base.moved(200, large));
            for ((base, few), many) in base.as_slice().iter().zip(few.as_slice()).zip(many.as_slice()) {
                prop_assert!(*few == 200 || few == base);
                prop_assert!(*few != 200 || *many == 200, "who has moved stays moved");
            }
            let want = f64::from(small) * 4096.0 / f64::from(WHOLE);
            prop_assert!((count(&few, 200) - want).abs() <= 1.0);
        }

        #[test]
        fn even_shares_are_met_to_the_bucket(weights in prop::collection::vec(0..1000u32, 1..9)) {
            let all: Vec<(u8, u32)> = (0..).zip(weights).collect();
            let sum: u32 = all.iter().map(|(_, weight)| weight).sum();
            let Some(buckets) = Buckets::even(&all) else {
                prop_assert_eq!(sum, 0);
                return Ok(());
            };
            for (variant, weight) in all {
                let want = f64::from(weight) / f64::from(sum) * 4096.0;
                prop_assert!((count(&buckets, variant) - want).abs() < 1.0);
            }
        }
    }

    /// Nodes of different versions agree only as long as this does not change.
    #[test]
    fn tables_are_the_same_everywhere() {
        let one = |variant, key, weight| Weighted { variant, key, weight };
        let buckets = Buckets::rendezvous(&[one(0, 1, 10), one(1, 2, 20), one(2, 3, 30)]).unwrap();
        let sum = buckets.as_slice().iter().fold(0u64, |sum, &v| mix(sum ^ u64::from(v)));
        assert_eq!(format!("{buckets:?}"), "{0: 681, 1: 1318, 2: 2097}");
        assert_eq!(sum, 15_651_023_971_341_675_888);
    }

    #[test]
    fn the_logarithm_is_one() {
        let check = |x: u64| {
            let want = 64.0 - (x as f64).log2();
            let got = minus_log2(x) as f64 / f64::from(u32::MAX);
            assert!((want - got).abs() < 1e-6, "{x}: {got}, not {want}");
        };
        [1, 2, 3, 10, 1 << 32, u64::MAX / 3, u64::MAX / 2 + 1, u64::MAX].into_iter().for_each(check);
    }
}
