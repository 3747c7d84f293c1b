//! How many requests a source may make: a bucket for each, which fills again with time.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use dashmap::DashMap;

/// How many sources have a bucket of their own; what comes beyond shares one.
pub const MAX_SOURCES: usize = 4_096;

/// So much at once, and so much a second after that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub burst: u32,
    pub per_second: f64,
}

impl Rate {
    /// So much at once, and so much a minute after that.
    pub(super) fn a_minute(burst: u32, rate: u32) -> Rate {
        Rate { burst, per_second: f64::from(rate) / 60.0 }
    }
}

/// The buckets of one kind of request.
pub(super) struct Buckets {
    rate: Rate,
    sources: DashMap<IpAddr, Bucket>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Buckets {
    pub(super) fn new(rate: Rate) -> Buckets {
        Buckets { rate, sources: DashMap::new() }
    }

    /// Takes one; or how long until there is one again.
    pub(super) fn take(&self, source: IpAddr, now: Instant) -> Result<(), Duration> {
        let Rate { burst, per_second } = self.rate;
        let (sources, mut source) = (&self.sources, network(source));
        if !sources.contains_key(&source) && sources.len() >= MAX_SOURCES {
            let full = |bucket: &Bucket| {
                bucket.left + now.duration_since(bucket.at).as_secs_f64() * per_second >= f64::from(burst)
            };
            // A full bucket is as good as none.
            sources.retain(|_, bucket| !full(bucket));
            if sources.len() >= MAX_SOURCES {
                source = Ipv6Addr::UNSPECIFIED.into();
            }
        }
        let mut bucket = sources.entry(source).or_insert(Bucket { left: f64::from(burst), at: now });
        let filled = now.duration_since(bucket.at).as_secs_f64() * per_second;
        bucket.left = (bucket.left + filled).min(f64::from(burst));
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.left) / per_second));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

/// A host that has an IPv6 address has all of its /64.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_burst_and_then_its_rate() {
        let buckets = Buckets::new(Rate { burst: 3, per_second: 2.0 });
        let (start, one) = (Instant::now(), "192.0.2.1".parse().unwrap());
        let take = |ms| buckets.take(one, start + Duration::from_millis(ms));
        assert_eq!([take(0), take(0), take(0)], [Ok(()); 3]);
        assert_eq!(take(0), Err(Duration::from_millis(500)));
        assert_eq!(take(250), Err(Duration::from_millis(250)));
        assert_eq!((take(500), take(500)), (Ok(()), Err(Duration::from_millis(500))));
        // Others have their own, and a network of IPv6 has one.
        assert_eq!(buckets.take("192.0.2.2".parse().unwrap(), start), Ok(()));
        for last in 1..=3 {
            assert_eq!(buckets.take(format!("2001:db8::{last}").parse().unwrap(), start), Ok(()));
        }
        assert!(buckets.take("2001:db8::4".parse().unwrap(), start).is_err());
    }

    #[test]
    fn the_table_is_bounded() {
        let buckets = Buckets::new(Rate { burst: 2, per_second: 1.0 });
        let start = Instant::now();
        let source = |n: u32| IpAddr::V4((0x0a00_0000 + n).into());
        for n in 0..10_000 {
            let _ = buckets.take(source(n), start);
        }
        assert!(buckets.sources.len() <= MAX_SOURCES + 1);
        assert!(buckets.take(source(20_000), start).is_err(), "the rest share one");
        // Once they are full again, they are forgotten.
        let later = start + Duration::from_secs(10);
        assert_eq!(buckets.take(source(20_000), later), Ok(()));
        assert_eq!(buckets.sources.len(), 1);
    }
}
