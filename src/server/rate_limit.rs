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

    /// Whether there is a limit on what comes to an address of this host.
    pub(super) fn holds_at(&self, listener: IpAddr) -> bool {
        self.limiter.holds_at(listener)
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

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::time::Duration;

    use arc_swap::ArcSwap;
    use tokio::runtime::Handle;

    use super::super::sampler::Taps;
    use super::super::sockets::Sockets;
    use super::*;
    use crate::answer::{Settings, Table};

    #[tokio::test]
    async fn a_limit_holds_on_the_listeners_it_is_for() {
        let listen = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| address.parse().unwrap());
        let sockets = Sockets::bind(&listen, 1).unwrap();
        let addresses = sockets.addresses();
        let rate_limit = Some(RateLimit {
            rates: [1; 5],
            slip: 0,
            window: Duration::from_secs(60),
            v4_bits: 24,
            v6_bits: 56,
            listeners: vec![addresses[0].ip()],
            exempt: Arc::default(),
            buckets: 1024,
            key: [7; 16],
        });
        let settings = Arc::new(Settings { rate_limit, ..Settings::default() });
        let table = Arc::new(ArcSwap::from_pointee(Table::compile(&[], &[], 1)));
        let running = sockets.serve(table, settings, None, &Taps::new().0, &Handle::current());
        // A question for the root's address: refused, each time.
        let query = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01";
        let answers = |server: std::net::SocketAddr| {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect(server).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let answered = |_: &i32| client.send(query).is_ok() && client.recv(&mut [0; 512]).is_ok();
            (0..200).take_while(answered).count()
        };
        let counts = tokio::task::spawn_blocking(move || [answers(addresses[0]), answers(addresses[1])]);
        let [limited, unlimited] = counts.await.unwrap();
        assert!(limited < 200 && unlimited == 200, "{limited} {unlimited}");
        running.stop().await;
    }
}
