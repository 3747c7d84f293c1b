//! Which region a client is of: every address, IPv4 and IPv6, to a number, by longest prefix.
//!
//! ```text
//! address ──its bits from SHIFT on──► blocks ──► the ranges that begin there ──halving──► range: region
//! ```
//!
//! Networks nest and overlap; ranges do not. So a look-up is one step through the blocks, which say
//! between which ranges to look, and a search by halves among those few. What lies next to a range ends
//! the largest network around the client that is all of its region: the scope that an answer may have.

use std::net::IpAddr;

use crate::dns::Network;
use crate::zone::MAX_REGIONS;

/// The most ranges a family's map has; 192 MiB in IPv6.
pub const MAX_RANGES: usize = 8_000_000;
/// The blocks that the ranges are found by: by 16 bits of the address.
const BLOCKS: usize = 1 << 16;

/// Why there is no map of these networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientMapError {
    /// A number that no region has.
    #[error("{network} is to be of region {region}, but there are {regions} (at most {MAX_REGIONS})")]
    NoRegion {
        /// The network.
        network: Network,
        /// Its region.
        region: u16,
        /// How many there are.
        regions: u16,
    },
    /// More than is kept in memory.
    #[error("the networks make {0} ranges, more than {MAX_RANGES}")]
    TooMany(usize),
}

/// Every address's region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMap {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    regions: u16,
}

/// Where a client is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The region's number.
    pub region: u16,
    /// The longest-reaching prefix of the address under which all are of that region.
    pub prefix: u8,
}

/// The addresses of one family, from the first to the last, cut where the region changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ranges<A> {
    /// Where each range begins; the first at zero.
    starts: Box<[A]>,
    regions: Box<[u16]>,
    /// For each block, the last range that begins at or before its first address; one more for the end.
    blocks: Box<[u32]>,
}

trait Address: Copy + Ord + Default {
    /// How many bits say the block. In IPv6 the first 3 are 001 in all addresses given out so far (RFC 4291
    /// section 2.4), so the blocks are told apart by the 16 after those.
    const UPTO: u32;
    /// What those bits are in the first block.
    const FIRST: usize;

    fn block(self) -> usize;
    /// The first address of a block.
    fn of_block(block: usize) -> Self;
    /// How many leading bits two addresses share; they differ.
    fn shared(self, other: Self) -> u8;
    fn before(self) -> Self;
    /// The address after the last of a prefix's, if there is one.
    fn end(self, prefix: u8) -> Option<Self>;
    fn of(ip: IpAddr) -> Option<Self>;
}

macro_rules! address {
    ($type:ty, $upto:literal, $first:expr, $variant:ident) => {
        impl Address for $type {
            const UPTO: u32 = $upto;
            const FIRST: usize = $first;

            #[inline]
            fn block(self) -> usize {
                ((self >> (<$type>::BITS - Self::UPTO)) as usize).wrapping_sub(Self::FIRST)
            }

            fn of_block(block: usize) -> $type {
                ((block + Self::FIRST) as $type) << (<$type>::BITS - Self::UPTO)
            }

            #[inline]
            fn shared(self, other: $type) -> u8 {
                (self ^ other).leading_zeros() as u8
            }

            #[inline]
            fn before(self) -> $type {
                self.wrapping_sub(1)
            }

            fn end(self, prefix: u8) -> Option<$type> {
                self.checked_add((1 as $type).checked_shl(<$type>::BITS - u32::from(prefix))?)
            }

            fn of(ip: IpAddr) -> Option<$type> {
                match ip {
                    IpAddr::$variant(ip) => Some(ip.to_bits()),
                    _ => None,
                }
            }
        }
    };
}

address!(u32, 16, 0, V4);
address!(u128, 19, 1 << 16, V6);

impl ClientMap {
    /// Sorts clients into `regions` regions. A network in a later layer counts before all of the earlier
    /// ones, however long their prefixes are; within a layer the longest prefix counts, and of one network
    /// named twice the last. Who is in none is of region 0.
    pub fn new(regions: u16, layers: &[&[(Network, u16)]]) -> Result<ClientMap, ClientMapError> {
        for &(network, region) in layers.iter().copied().flatten() {
            if region >= regions || usize::from(regions) > MAX_REGIONS {
                return Err(ClientMapError::NoRegion { network, region, regions });
            }
        }
        Ok(ClientMap { v4: Ranges::new(layers)?, v6: Ranges::new(layers)?, regions })
    }

    /// How many regions there are.
    pub fn regions(&self) -> u16 {
        self.regions
    }

    /// The region of an address, and how far around it that region reaches.
    #[inline]
    pub fn find(&self, ip: IpAddr) -> Found {
        match ip {
            IpAddr::V4(ip) => self.v4.find(ip.to_bits()),
            IpAddr::V6(ip) => self.v6.find(ip.to_bits()),
        }
    }

    /// How many ranges there are, in both families.
    pub fn len(&self) -> usize {
        self.v4.starts.len() + self.v6.starts.len()
    }

    /// Never: every address has a region.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.v4.size() + self.v6.size()
    }
}

impl<A: Address> Ranges<A> {
    fn new(layers: &[&[(Network, u16)]]) -> Result<Ranges<A>, ClientMapError> {
        let mut all = vec![(A::default(), Some(0))];
        for layer in layers {
            all = laid_over(&all, &flat(layer));
        }
        let mut ranges: Vec<(A, u16)> =
            all.into_iter().map(|(at, region)| (at, region.unwrap_or(0))).collect();
        ranges.dedup_by_key(|&mut (_, region)| region);
        if ranges.len() > MAX_RANGES {
            return Err(ClientMapError::TooMany(ranges.len()));
        }
        let mut blocks = Vec::with_capacity(BLOCKS + 1);
        let mut last = 0;
        for block in 0..BLOCKS {
            while ranges.get(last + 1).is_some_and(|&(start, _)| start <= A::of_block(block)) {
                last += 1;
            }
            blocks.push(last as u32);
        }
        blocks.push(ranges.len() as u32 - 1);
        Ok(Ranges {
            starts: ranges.iter().map(|&(start, _)| start).collect(),
            regions: ranges.iter().map(|&(_, region)| region).collect(),
            blocks: blocks.into(),
        })
    }

    #[inline]
    fn find(&self, address: A) -> Found {
        let block = address.block();
        // Past the blocks there are addresses in IPv6 that nobody has been given: all ranges are searched.
        let (low, high) = match self.blocks.get(block) {
            // The last entry is no block: there is always one after a block's.
            Some(&low) if block < BLOCKS => (low as usize, self.blocks[block + 1] as usize),
            _ => (0, self.starts.len() - 1),
        };
        // The range is in `low..=high`: of those the last that begins at or before the address.
        let (mut at, mut count) = (low, high - low + 1);
        while count > 1 {
            let half = count / 2;
            if self.starts[at + half] <= address {
                at += half;
            }
            count -= half;
        }
        // A prefix that holds neither the address before the range nor the one after it.
        let below = if at == 0 { 0 } else { address.shared(self.starts[at].before()) + 1 };
        let above = self.starts.get(at + 1).map_or(0, |&next| address.shared(next) + 1);
        Found { region: self.regions[at], prefix: below.max(above) }
    }

    fn size(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.regions) + size_of_val(&*self.blocks)
    }
}

/// A layer's ranges, `None` where it says nothing; adjacent ones differ.
type Flat<A> = Vec<(A, Option<u16>)>;

/// The networks of one family without overlaps: the longest prefix counts.
fn flat<A: Address>(networks: &[(Network, u16)]) -> Flat<A> {
    let mut all: Vec<(A, u8, u16)> = networks
        .iter()
        .filter_map(|&(network, region)| Some((A::of(network.ip())?, network.prefix(), region)))
        .collect();
    // Outer before inner; stable, so that of equals the last one ends on top.
    all.sort_by_key(|&(start, prefix, _)| (start, prefix));
    let mut out: Flat<A> = vec![(A::default(), None)];
    // The networks around this place, each with where it ends.
    let mut around: Vec<(Option<A>, u16)> = Vec::new();
    for (start, prefix, region) in all {
        close(&mut out, &mut around, Some(start));
        push(&mut out, start, Some(region));
        around.push((start.end(prefix), region));
    }
    close(&mut out, &mut around, None);
    out
}

/// Ends the networks that end at or before `upto` (`None`: the end of all addresses).
fn close<A: Address>(out: &mut Flat<A>, around: &mut Vec<(Option<A>, u16)>, upto: Option<A>) {
    while let Some(&(end, _)) = around.last() {
        // One without an end reaches to the last address.
        let Some(end) = end.filter(|&end| upto.is_none_or(|upto| end <= upto)) else {
            if upto.is_none() && end.is_none() {
                around.pop();
                continue;
            }
            return;
        };
        around.pop();
        push(out, end, around.last().map(|&(_, region)| region));
    }
}

/// From `at` on it is `region`; what began at the same place is forgotten.
fn push<A: Address>(out: &mut Flat<A>, at: A, region: Option<u16>) {
    if out.last().is_some_and(|&(last, _)| last == at) {
        out.pop();
    }
    if out.last().is_none_or(|&(_, last)| last != region) {
        out.push((at, region));
    }
}

/// `upper` where it says something, `lower` elsewhere.
fn laid_over<A: Address>(lower: &Flat<A>, upper: &Flat<A>) -> Flat<A> {
    let mut out = Vec::with_capacity(lower.len() + upper.len());
    let (mut l, mut u) = (0, 0);
    loop {
        let at = lower[l].0.max(upper[u].0);
        push(&mut out, at, upper[u].1.or(lower[l].1));
        let next = |flat: &Flat<A>, i: usize| flat.get(i + 1).map(|&(start, _)| start);
        match (next(lower, l), next(upper, u)) {
            (None, None) => return out,
            (Some(low), Some(up)) => {
                l += usize::from(low <= up);
                u += usize::from(up <= low);
            }
            (Some(_), None) => l += 1,
            (None, Some(_)) => u += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The longest prefix of the last layer that has one, by looking at every network.
    fn naive(layers: &[&[(Network, u16)]], ip: IpAddr) -> u16 {
        let holds = |network: &Network| {
            network.ip().is_ipv4() == ip.is_ipv4() && Network::of(ip, network.prefix()) == *network
        };
        let best = |layer: &&[(Network, u16)]| {
            let found = layer.iter().filter(|(network, _)| holds(network));
            found.max_by_key(|(network, _)| network.prefix()).map(|&(_, region)| region)
        };
        layers.iter().rev().find_map(best).unwrap_or(0)
    }

    fn map(layers: &[&[(Network, u16)]]) -> ClientMap {
        ClientMap::new(8, layers).expect("a map")
    }

    fn net(text: &str) -> Network {
        text.parse().expect("a network")
    }

    /// Addresses and networks in few places, so that they meet.
    fn v4() -> impl Strategy<Value = IpAddr> {
        (0..4u32, 0..4u32, any::<u8>())
            .prop_map(|(a, b, c)| std::net::Ipv4Addr::from_bits(a << 30 | b << 14 | u32::from(c)).into())
    }

    fn v6() -> impl Strategy<Value = IpAddr> {
        (0..16u128, 0..4u128, 0..4u128, any::<u8>()).prop_map(|(a, b, c, d)| {
            std::net::Ipv6Addr::from_bits(a << 124 | b << 108 | c << 70 | u128::from(d)).into()
        })
    }

    fn ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![v4(), v6()]
    }

    fn layer() -> impl Strategy<Value = Vec<(Network, u16)>> {
        let network = (ip(), any::<u8>(), 0..8u16).prop_map(|(ip, prefix, region)| {
            let bits = if ip.is_ipv4() { 33 } else { 129 };
            (Network::of(ip, prefix % bits), region)
        });
        prop::collection::vec(network, 0..30)
    }

    /// A first or last address of a network, and those beside it: where mistakes are.
    fn edges(network: Network) -> Vec<IpAddr> {
        match network.ip() {
            IpAddr::V4(ip) => {
                let first = ip.to_bits();
                let last = first | u32::MAX.checked_shr(u32::from(network.prefix())).unwrap_or(0);
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                    .map(|bits| std::net::Ipv4Addr::from_bits(bits).into())
                    .to_vec()
            }
            IpAddr::V6(ip) => {
                let first = ip.to_bits();
                let last = first | u128::MAX.checked_shr(u32::from(network.prefix())).unwrap_or(0);
                [first.wrapping_sub(1), first, last, last.wrapping_add(1)]
                    .map(|bits| std::net::Ipv6Addr::from_bits(bits).into())
                    .to_vec()
            }
        }
    }

    proptest! {
        #[test]
        fn finds_what_looking_at_every_network_finds(
            first in layer(), second in layer(), asked in prop::collection::vec(ip(), 1..20),
        ) {
            let layers = [&first[..], &second[..]];
            let map = map(&layers);
            let edges = first.iter().chain(&second).flat_map(|&(network, _)| edges(network));
            for ip in asked.into_iter().chain(edges) {
                prop_assert_eq!(map.find(ip).region, naive(&layers, ip), "{}", ip);
            }
        }

        /// Every address under the prefix is of the region, and one bit less would not do.
        #[test]
        fn the_prefix_reaches_as_far_as_the_region(layer in layer(), ip in ip()) {
            let layers = [&layer[..]];
            let map = map(&layers);
            let found = map.find(ip);
            let agree = |prefix: u8| {
                let around = Network::of(ip, prefix);
                let inside = layer.iter().flat_map(|&(network, _)| edges(network));
                let mut inside = inside
                    .chain(edges(around))
                    .filter(|other| other.is_ipv4() == ip.is_ipv4() && Network::of(*other, prefix) == around);
                inside.all(|other| naive(&layers, other) == found.region)
            };
            prop_assert!(agree(found.prefix), "{found:?} is too wide");
            prop_assert!(found.prefix == 0 || !agree(found.prefix - 1), "{found:?} is too narrow");
        }
    }

    #[test]
    fn later_layers_count_first() {
        let database = [(net("10.1.0.0/16"), 1), (net("10.1.2.0/24"), 2), (net("2001:db8::/32"), 3)];
        let named = [(net("10.0.0.0/8"), 4)];
        let map = map(&[&database, &named]);
        let find = |ip: &str| map.find(ip.parse().unwrap());
        assert_eq!(find("10.1.2.3"), Found { region: 4, prefix: 8 });
        assert_eq!(find("11.0.0.0"), Found { region: 0, prefix: 8 });
        assert_eq!(find("128.0.0.1"), Found { region: 0, prefix: 1 });
        assert_eq!(find("2001:db8:1::1"), Found { region: 3, prefix: 32 });
        assert_eq!(find("2001:db9::1"), Found { region: 0, prefix: 32 });
        assert_eq!(find("8000::"), Found { region: 0, prefix: 1 });
    }

    #[test]
    fn without_networks_all_are_one() {
        let map = map(&[]);
        assert_eq!(map.find("192.0.2.1".parse().unwrap()), Found { region: 0, prefix: 0 });
        assert_eq!(map.find("ffff::1".parse().unwrap()), Found { region: 0, prefix: 0 });
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn a_region_that_is_not_there_is_told() {
        let error = ClientMap::new(2, &[&[(net("10.0.0.0/8"), 2)]]).unwrap_err().to_string();
        assert_eq!(error, "10.0.0.0/8 is to be of region 2, but there are 2 (at most 1024)");
    }
}
