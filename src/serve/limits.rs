//! Who may hold a TCP connection, and for how long.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use super::counters::TcpCounters;

/// The bounds on TCP (RFC 9210 section 4, RFC 7766 section 6.2).
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one IPv4 address or one IPv6 /64.
    pub per_source: usize,
    /// How long a client may take to send its next query, whole.
    pub idle: Duration,
    /// How long a client may take to read what it has asked for.
    pub write: Duration,
}

impl Default for TcpLimits {
    fn default() -> TcpLimits {
        TcpLimits {
            connections: 512,
            per_source: 128,
            idle: Duration::from_secs(10),
            write: Duration::from_secs(10),
        }
    }
}

/// Counts connections and refuses what is over the bounds.
pub(super) struct Doorkeeper {
    limits: TcpLimits,
    counters: Arc<TcpCounters>,
    /// Sources with an open connection; never more than `limits.connections`.
    sources: DashMap<IpAddr, usize>,
}

/// The right to one connection, given back when dropped.
pub(super) struct Pass {
    doorkeeper: Arc<Doorkeeper>,
    source: IpAddr,
}

impl Doorkeeper {
    pub(super) fn new(limits: TcpLimits, counters: Arc<TcpCounters>) -> Doorkeeper {
        Doorkeeper { limits, counters, sources: DashMap::new() }
    }

    pub(super) fn counters(&self) -> &TcpCounters {
        &self.counters
    }

    pub(super) fn admit(self: &Arc<Doorkeeper>, peer: IpAddr) -> Option<Pass> {
        let source = source(peer);
        let counters = &self.counters;
        let open = counters.open.fetch_add(1, Ordering::Relaxed);
        let admitted = (open as usize) < self.limits.connections && self.add(source);
        if !admitted {
            counters.open.fetch_sub(1, Ordering::Relaxed);
            counters.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        counters.accepted.fetch_add(1, Ordering::Relaxed);
        Some(Pass { doorkeeper: self.clone(), source })
    }

    fn add(&self, source: IpAddr) -> bool {
        let mut held = self.sources.entry(source).or_insert(0);
        let free = *held < self.limits.per_source;
        *held += usize::from(free);
        free
    }
}

impl Pass {
    pub(super) fn limits(&self) -> TcpLimits {
        self.doorkeeper.limits
    }

    pub(super) fn counters(&self) -> &TcpCounters {
        &self.doorkeeper.counters
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Entry::Occupied(mut held) = self.doorkeeper.sources.entry(self.source) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
        self.doorkeeper.counters.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one source: whoever has an IPv6 address has its /64 (RFC 6177 section 2).
fn source(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doorkeeper(connections: usize, per_source: usize) -> Arc<Doorkeeper> {
        let limits = TcpLimits { connections, per_source, ..TcpLimits::default() };
        Arc::new(Doorkeeper::new(limits, Arc::default()))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_source_cannot_take_all() {
        let door = doorkeeper(10, 2);
        let held: Vec<_> = (0..5).filter_map(|_| door.admit(ip("192.0.2.1"))).collect();
        assert_eq!(held.len(), 2);
        assert!(door.admit(ip("192.0.2.2")).is_some());
        drop(held);
        assert!(door.admit(ip("192.0.2.1")).is_some());
        assert_eq!(door.counters.refused.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn addresses_of_one_slash_64_are_one_source() {
        let door = doorkeeper(10, 1);
        let held = door.admit(ip("2001:db8::1"));
        assert!(held.is_some() && door.admit(ip("2001:db8::2")).is_none());
        assert!(door.admit(ip("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn all_together_are_bounded_and_forgotten() {
        let door = doorkeeper(3, 3);
        let held: Vec<_> = (0..9).filter_map(|i| door.admit(ip(&format!("192.0.2.{i}")))).collect();
        assert_eq!(held.len(), 3);
        assert_eq!(door.counters.open.load(Ordering::Relaxed), 3);
        drop(held);
        assert_eq!((door.sources.len(), door.counters.open.load(Ordering::Relaxed)), (0, 0));
    }
}
