//! Response rate limiting: whether an answer is sent, so that forged queries cannot aim this server's
//! answers at somebody else.
//!
//! In: whom an answer goes to, its kind, what it is about, and when. Out: a [`Verdict`]. Accounts are
//! buckets in a table of fixed size, shared by all workers, each one word that changes by one atomic
//! operation: `SO_REUSEPORT` spreads one client's ports over the workers, so tables of their own would
//! give it a rate for each. Which bucket an account has, a keyed hash decides.
//!
//! A bucket holds the time up to which its client has used up its rate (the generic cell rate
//! algorithm): an answer moves it on by an interval, and none is sent that would move it further than
//! `window` past now. Four buckets are a set. An account that is in none of its set takes the one with
//! the least use, and begins with its full allowance: who is flooded stays accounted for while random
//! sources pass by, and nobody answers for another's use.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::siphash::siphash;

/// Buckets that an account can have: the four of one cache line.
const WAYS: usize = 4;
/// A bucket's time in microseconds, in the lower bits of its word; the rest is the account's tag. It wraps
/// around after twelve days.
const TIME_BITS: u32 = 40;
const TIME: u64 = (1 << TIME_BITS) - 1;
/// How far the workers' ideas of now may be apart, in microseconds: each reads the clock once a batch.
/// A time further ahead than this and the window is a very old one.
const SLACK: u64 = 10_000_000;
/// How often a change is tried while others change the same bucket; after that the answer is sent.
const ATTEMPTS: usize = 8;

/// What an answer is to its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Records of the name.
    #[default]
    Answer,
    /// The name is there, the type is not.
    NoData,
    /// No such name.
    NxDomain,
    /// A delegation.
    Referral,
    /// Anything else: refused, malformed, not implemented.
    Error,
}

impl Kind {
    /// All of them, in the order of [`RateLimit::rates`].
    pub const ALL: [Kind; 5] = [Kind::Answer, Kind::NoData, Kind::NxDomain, Kind::Referral, Kind::Error];
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// An address in it.
    pub address: IpAddr,
    /// How many bits its addresses share.
    pub bits: u8,
}

/// Many networks, in which an address is found by halving them: they are looked at for each answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Box<[(u128, u128)]>,
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    /// All of these.
    pub fn of(prefixes: &[Prefix]) -> Networks {
        let ranges = |v4: bool, length: u8| {
            let of_family = prefixes.iter().filter(|prefix| prefix.address.is_ipv4() == v4);
            let mut ranges: Vec<(u128, u128)> = of_family
                .map(|&Prefix { address, bits }| {
                    let first = network(address, bits);
                    let others = u128::MAX.checked_shr(128 - u32::from(length.saturating_sub(bits)));
                    (first, first | others.unwrap_or(0))
                })
                .collect();
            ranges.sort_unstable();
            // Those that lie in one another or touch are one, so that no two overlap.
            ranges.dedup_by(|next, before| {
                let one = next.0 <= before.1.saturating_add(1);
                before.1 = if one { before.1.max(next.1) } else { before.1 };
                one
            });
            ranges.into_boxed_slice()
        };
        Networks { v4: ranges(true, 32), v6: ranges(false, 128) }
    }

    /// Whether an address lies in one of them.
    pub fn hold(&self, ip: IpAddr) -> bool {
        let ranges = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let address = network(ip, 128);
        let after = ranges.partition_point(|(first, _)| *first <= address);
        after.checked_sub(1).is_some_and(|at| address <= ranges[at].1)
    }
}

/// What an operator chooses about rates.
#[derive(Clone)]
pub struct RateLimit {
    /// Answers a second to one network about one thing, by [`Kind`]; zero is no limit.
    pub rates: [u32; Kind::ALL.len()],
    /// Every which of the answers over a limit is sent empty and truncated, or as BADCOOKIE; zero is none.
    pub slip: u32,
    /// How much of its rate a client may use at once.
    pub window: Duration,
    /// The bits that make an IPv4 network.
    pub v4_bits: u8,
    /// The bits that make an IPv6 network.
    pub v6_bits: u8,
    /// The addresses of this host on which it holds.
    pub listeners: Vec<IpAddr>,
    /// Networks without a limit; they may change at any time.
    pub exempt: Arc<ArcSwap<Networks>>,
    /// Buckets, of 16 bytes each; rounded up to a power of two.
    pub buckets: usize,
    /// A secret that chooses each account's bucket.
    pub key: [u8; 16],
}

/// Secrets are not for logs.
impl std::fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit")
            .field("rates", &self.rates)
            .field("slip", &self.slip)
            .finish_non_exhaustive()
    }
}

/// What is to become of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Sent.
    Pass,
    /// Not sent.
    Drop,
    /// Sent small: a client that is real asks again in a way that proves it.
    Slip,
}

#[derive(Debug, Default)]
struct Bucket {
    word: AtomicU64,
    /// Answers over the limit since the account has the bucket.
    over: AtomicU32,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([Bucket; WAYS]);

/// The accounts.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    window: u64,
    sets: Box<[Set]>,
}

impl RateLimiter {
    /// With all accounts empty.
    pub fn new(limit: RateLimit) -> RateLimiter {
        let sets = limit.buckets.div_ceil(WAYS).next_power_of_two();
        let window = limit.window.as_micros() as u64; // far below the 584,000 years of 64 bits
        RateLimiter { limit, window, sets: std::iter::repeat_with(Set::default).take(sets).collect() }
    }

    /// Whether it holds for what comes to an address of this host.
    pub fn holds_at(&self, listener: IpAddr) -> bool {
        self.limit.listeners.contains(&listener)
    }

    /// The network an address is accounted under.
    pub fn network_of(&self, ip: IpAddr) -> Prefix {
        let bits = self.bits(ip);
        let network = network(ip, bits);
        let address = match ip {
            IpAddr::V4(_) => IpAddr::V4((network as u32).into()),
            IpAddr::V6(_) => IpAddr::V6(network.into()),
        };
        Prefix { address, bits }
    }

    /// Judges an answer of `kind` about `subject` to `ip`; `now` is in microseconds since any moment and
    /// only grows.
    pub fn judge(&self, ip: IpAddr, kind: Kind, subject: u32, now: u64) -> Verdict {
        let rate = self.limit.rates[kind as usize];
        if rate == 0 || self.limit.exempt.load().hold(ip) {
            return Verdict::Pass;
        }
        let interval = 1_000_000 / u64::from(rate);
        let hash = self.hash(ip, kind, subject);
        // A power of two of sets, so this is the remainder, and in bounds.
        let set = &self.sets[hash as usize & (self.sets.len() - 1)].0;
        let tag = hash >> TIME_BITS;
        for _ in 0..ATTEMPTS {
            let (bucket, word) = Self::find(set, tag, |word| self.ahead(word, now));
            let own = word >> TIME_BITS == tag;
            let ahead = if own { self.ahead(word, now) } else { 0 };
            if ahead + interval > self.window {
                let over = bucket.over.fetch_add(1, Relaxed).wrapping_add(1);
                let slips = self.limit.slip != 0 && over.is_multiple_of(self.limit.slip);
                return if slips { Verdict::Slip } else { Verdict::Drop };
            }
            let used = tag << TIME_BITS | (now + ahead + interval) & TIME;
            if bucket.word.compare_exchange_weak(word, used, Relaxed, Relaxed).is_ok() {
                if !own {
                    bucket.over.store(0, Relaxed);
                }
                return Verdict::Pass;
            }
        }
        Verdict::Pass
    }

    /// The account's bucket, or the one of the set with the least use; and its word.
    fn find(set: &[Bucket; WAYS], tag: u64, use_of: impl Fn(u64) -> u64) -> (&Bucket, u64) {
        let [first, others @ ..] = set;
        let mut least = (first, first.word.load(Relaxed));
        for bucket in others {
            let word = bucket.word.load(Relaxed);
            let own = word >> TIME_BITS == tag;
            if own || (least.1 >> TIME_BITS != tag && use_of(word) < use_of(least.1)) {
                least = (bucket, word);
            }
        }
        least
    }

    /// How far past now a bucket's time is.
    fn ahead(&self, word: u64, now: u64) -> u64 {
        let ahead = word.wrapping_sub(now) & TIME;
        if ahead > self.window + SLACK { 0 } else { ahead }
    }

    fn bits(&self, ip: IpAddr) -> u8 {
        if ip.is_ipv4() { self.limit.v4_bits } else { self.limit.v6_bits }
    }

    fn hash(&self, ip: IpAddr, kind: Kind, subject: u32) -> u64 {
        let mut input = [0; 22];
        input[..16].copy_from_slice(&network(ip, self.bits(ip)).to_be_bytes());
        input[16] = u8::from(ip.is_ipv4());
        input[17] = kind as u8;
        input[18..].copy_from_slice(&subject.to_be_bytes());
        u64::from_le_bytes(siphash(self.limit.key, &input))
    }
}

/// An address's first `bits` bits, the others zero; at most as many as it has.
fn network(ip: IpAddr, bits: u8) -> u128 {
    match ip {
        IpAddr::V4(ip) => {
            u128::from(ip.to_bits() & u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0))
        }
        IpAddr::V6(ip) => ip.to_bits() & u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn limit() -> RateLimit {
        RateLimit {
            rates: [10, 10, 5, 10, 2],
            slip: 2,
            window: Duration::from_secs(1),
            v4_bits: 24,
            v6_bits: 56,
            listeners: vec![],
            exempt: exempt(&[("127.0.0.0", 8)]),
            buckets: 1 << 10,
            key: [7; 16],
        }
    }

    fn exempt(networks: &[(&str, u8)]) -> Arc<ArcSwap<Networks>> {
        let prefixes = networks.iter().map(|&(address, bits)| Prefix { address: ip(address), bits });
        Arc::new(ArcSwap::from_pointee(Networks::of(&prefixes.collect::<Vec<_>>())))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// How many of `count` answers at one moment are sent whole.
    fn passed(limiter: &RateLimiter, from: &str, kind: Kind, subject: u32, now: u64, count: usize) -> usize {
        (0..count).filter(|_| limiter.judge(ip(from), kind, subject, now) == Verdict::Pass).count()
    }

    #[test]
    fn each_kind_has_its_rate_and_gets_it_back() {
        let limiter = RateLimiter::new(limit());
        for (kind, rate) in Kind::ALL.into_iter().zip([10, 10, 5, 10, 2]) {
            assert_eq!(passed(&limiter, "192.0.2.1", kind, 1, SECOND, 100), rate, "{kind:?}");
            // Half a second gives half of it back, a long time no more than all of it.
            assert_eq!(passed(&limiter, "192.0.2.1", kind, 1, SECOND * 3 / 2, 100), rate / 2, "{kind:?}");
            assert_eq!(passed(&limiter, "192.0.2.1", kind, 1, SECOND * 900, 100), rate, "{kind:?}");
        }
    }

    #[test]
    fn a_flood_gets_its_rate_and_no_more_whatever_it_sends() {
        let limiter = RateLimiter::new(limit());
        // 10,000 queries a second for a minute: the first burst, and ten a second after it.
        let sent: usize =
            (0..600_000).map(|n| passed(&limiter, "192.0.2.1", Kind::Answer, 1, SECOND + n * 100, 1)).sum();
        assert!((600..=611).contains(&sent), "{sent}");
    }

    #[test]
    fn a_window_lets_a_quiet_client_use_more_at_once() {
        let limiter = RateLimiter::new(RateLimit { window: Duration::from_secs(5), ..limit() });
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Answer, 1, SECOND, 100), 50);
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Answer, 1, SECOND * 2, 100), 10);
    }

    #[test]
    fn a_network_is_one_client_and_its_neighbour_another() {
        let limiter = RateLimiter::new(limit());
        for (first, same, other) in [
            ("192.0.2.1", "192.0.2.255", "192.0.3.1"),
            ("2001:db8::1", "2001:db8:0:ff::1", "2001:db8:0:100::1"),
        ] {
            assert_eq!(passed(&limiter, first, Kind::Answer, 1, SECOND, 100), 10);
            assert_eq!(passed(&limiter, same, Kind::Answer, 1, SECOND, 100), 0, "{same}");
            assert_eq!(passed(&limiter, other, Kind::Answer, 1, SECOND, 100), 10, "{other}");
            assert_eq!(passed(&limiter, first, Kind::Answer, 2, SECOND, 100), 10, "another name");
        }
        let shown = |text| limiter.network_of(ip(text));
        assert_eq!(shown("192.0.2.77"), Prefix { address: ip("192.0.2.0"), bits: 24 });
        assert_eq!(shown("2001:db8:0:ff::1"), Prefix { address: ip("2001:db8::"), bits: 56 });
    }

    #[test]
    fn every_nth_answer_over_the_limit_slips() {
        for (slip, want) in [(0, 0), (1, 90), (2, 45), (10, 9)] {
            let limiter = RateLimiter::new(RateLimit { slip, ..limit() });
            let verdict = || limiter.judge(ip("192.0.2.1"), Kind::Answer, 1, SECOND);
            let slipped = (0..100).filter(|_| verdict() == Verdict::Slip).count();
            assert_eq!(slipped, want, "slip {slip}");
        }
    }

    #[test]
    fn some_have_no_limit() {
        let rates = [10, 0, 10, 10, 10];
        let limiter = RateLimiter::new(RateLimit { rates, ..limit() });
        assert_eq!(passed(&limiter, "127.9.9.9", Kind::Answer, 1, SECOND, 1000), 1000);
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::NoData, 1, SECOND, 1000), 1000);
    }

    #[test]
    fn who_has_no_limit_may_change() {
        let limiter = RateLimiter::new(limit());
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Answer, 1, SECOND, 100), 10);
        limiter.limit.exempt.store(exempt(&[("192.0.2.1", 32)]).load_full());
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Answer, 1, SECOND, 100), 100);
        assert_eq!(passed(&limiter, "127.0.0.1", Kind::Answer, 1, SECOND, 100), 10);
    }

    #[test]
    fn an_address_is_found_in_many_networks() {
        let networks = [
            ("10.0.0.0", 8),
            ("10.1.0.0", 16),
            ("192.0.2.7", 32),
            ("192.0.2.8", 32),
            ("198.51.100.0", 24),
            ("fc00::", 7),
            ("2001:db8::", 32),
            ("::1", 128),
        ];
        let held = exempt(&networks).load_full();
        assert_eq!((held.v4.len(), held.v6.len()), (3, 3), "{held:?}");
        for inside in
            ["10.0.0.0", "10.255.255.255", "192.0.2.7", "192.0.2.8", "198.51.100.255", "::1", "fdff::1"]
        {
            assert!(held.hold(ip(inside)), "{inside}");
        }
        for outside in ["9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.9", "::2", "fe00::", "2001:db9::"]
        {
            assert!(!held.hold(ip(outside)), "{outside}");
        }
        let all = exempt(&[("0.0.0.0", 0)]).load_full();
        assert!(all.hold(ip("255.255.255.255")) && all.hold(ip("0.0.0.0")) && !all.hold(ip("::1")));
        assert!(exempt(&[("::", 0)]).load().hold(ip("ffff::1")));
    }

    #[test]
    fn a_table_full_of_forged_sources_limits_the_flooded_and_nobody_else() {
        let limiter = RateLimiter::new(RateLimit { buckets: 64, ..limit() });
        assert_eq!(limiter.sets.len() * WAYS, 64);
        let mut flooded = 0;
        for n in 0..200_000_u32 {
            // 100,000 queries a second: half from everywhere once, half in the name of one victim.
            let now = SECOND + u64::from(n) * 10;
            let source = IpAddr::V4((0x0b00_0000 + n * 256).into());
            let innocent = limiter.judge(source, Kind::Answer, 1, now);
            assert_eq!(innocent, Verdict::Pass, "{source}");
            flooded += passed(&limiter, "192.0.2.1", Kind::Answer, 1, now, 1);
        }
        // Two seconds at ten a second and the first burst. All buckets of its set could be as full for
        // a moment, so it may lose its own now and then; it never gets what it asked for.
        assert!(flooded < 100, "{flooded} of 200,000");
    }

    #[test]
    fn times_wrap_around() {
        let limiter = RateLimiter::new(limit());
        let end = TIME - SECOND / 2;
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Answer, 1, end, 100), 10);
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Answer, 1, end + SECOND / 2, 100), 5);
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Answer, 1, end + SECOND * 3, 100), 10);
        // Another worker's clock was read a moment before: no second allowance.
        assert_eq!(passed(&limiter, "192.0.2.1", Kind::Answer, 1, end + SECOND * 3 - 1000, 100), 0);
    }
}
