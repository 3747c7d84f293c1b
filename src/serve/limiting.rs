//! Response rate limiting where the clock is: the accounts of `answer`, the time, and a word in the log.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::answer::{Gate, RateLimit, RateLimiter};

/// The least time between two lines in the log, in microseconds.
const QUIET: u64 = 60_000_000;

/// The accounts, shared by all UDP workers.
#[derive(Debug)]
pub(super) struct Limiting {
    limiter: RateLimiter,
    begun: Instant,
    /// From when on the next line may be written, in microseconds since `begun`.
    next_line: AtomicU64,
    /// Answers over a limit since the last line.
    over: AtomicU64,
}

impl Limiting {
    pub(super) fn new(limit: RateLimit) -> Limiting {
        let (next_line, over) = (AtomicU64::new(0), AtomicU64::new(0));
        Limiting { limiter: RateLimiter::new(limit), begun: Instant::now(), next_line, over }
    }

    /// What a batch is answered through.
    pub(super) fn gate(&self) -> Gate<'_> {
        // 584,000 years fit.
        Gate { limiter: &self.limiter, micros: self.begun.elapsed().as_micros() as u64 }
    }

    /// Takes note of an answer over its limit. A line a minute at most, however many there are.
    pub(super) fn note(&self, ip: IpAddr, micros: u64) {
        let over = self.over.fetch_add(1, Relaxed) + 1;
        let next = self.next_line.load(Relaxed);
        let mine =
            micros >= next && self.next_line.compare_exchange(next, micros + QUIET, Relaxed, Relaxed).is_ok();
        if mine {
            self.over.store(0, Relaxed);
            let network = self.limiter.network_of(ip);
            tracing::warn!(
                network = %format_args!("{}/{}", network.address, network.bits),
                over,
                "answers over their rate limit: the network named is the last of them"
            );
        }
    }
}
