//! Who may hold a TCP connection: a bound on all of them and one on each source, so that no single
//! source can shut the others out (RFC 7766 section 6.2.2).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// Connections open at once over all listeners. With [`super::tcp`]'s buffers, 200 MB
/// where every one of them sends and is sent messages of 64 KB.
const MAX_CONNECTIONS: usize = 1024;

/// Connections open at once from one source.
const MAX_CONNECTIONS_PER_SOURCE: usize = 64;

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) total: usize,
    pub(super) per_source: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { total: MAX_CONNECTIONS, per_source: MAX_CONNECTIONS_PER_SOURCE }
    }
}

/// Counts connections and refuses those over a bound.
#[derive(Debug, Default)]
pub(super) struct Admission {
    bounds: Bounds,
    open: AtomicUsize,
    /// Holds sources with an open connection only, so it is bounded by [`Bounds::total`].
    by_source: DashMap<IpAddr, usize>,
    accepted: AtomicU64,
    refused_total: AtomicU64,
    refused_source: AtomicU64,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    source: IpAddr,
}

impl Admission {
    pub(super) fn new(bounds: Bounds) -> Arc<Admission> {
        Arc::new(Admission { bounds, ..Admission::default() })
    }

    /// A permit for a connection from `peer`, or none where a bound is reached.
    pub(super) fn admit(self: &Arc<Admission>, peer: IpAddr) -> Option<Permit> {
        let bounds = self.bounds;
        let one_more = |open: usize| (open < bounds.total).then_some(open + 1);
        if self.open.fetch_update(Relaxed, Relaxed, one_more).is_err() {
            self.refused_total.fetch_add(1, Relaxed);
            return None;
        }
        let source = source_of(peer);
        {
            let mut count = self.by_source.entry(source).or_insert(0);
            if *count < bounds.per_source {
                *count += 1;
                self.accepted.fetch_add(1, Relaxed);
                return Some(Permit { admission: Arc::clone(self), source });
            }
        }
        self.open.fetch_sub(1, Relaxed);
        self.refused_source.fetch_add(1, Relaxed);
        None
    }

    /// Whether three quarters of all connections there may be are open: who says nothing then makes way
    /// (RFC 7766 section 6.2.3).
    pub(super) fn crowded(&self) -> bool {
        self.open() >= self.bounds.total - self.bounds.total / 4
    }

    /// Open now.
    pub(super) fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Admitted since the start.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Refused because of the bound on all.
    pub(super) fn refused_total(&self) -> u64 {
        self.refused_total.load(Relaxed)
    }

    /// Refused because of the bound on one source.
    pub(super) fn refused_source(&self) -> u64 {
        self.refused_source.load(Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Entry::Occupied(mut entry) = self.admission.by_source.entry(self.source) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        self.admission.open.fetch_sub(1, Relaxed);
    }
}

/// A v4 address, or a v6 /64: one customer commands all addresses of its /64.
fn source_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(admission: &Arc<Admission>, peer: &str) -> Option<Permit> {
        admission.admit(peer.parse().unwrap())
    }

    #[test]
    fn the_bound_on_a_source_leaves_room_for_others() {
        let admission = Admission::new(Bounds { total: 3, per_source: 2 });
        let first = admit(&admission, "192.0.2.1").unwrap();
        let _second = admit(&admission, "192.0.2.1").unwrap();
        assert!(admit(&admission, "192.0.2.1").is_none());
        assert!(!admission.crowded());
        let _other = admit(&admission, "192.0.2.2").unwrap();
        assert!(admission.crowded());
        assert!(admit(&admission, "192.0.2.3").is_none());
        assert_eq!((admission.accepted(), admission.refused_source(), admission.refused_total()), (3, 1, 1));

        drop(first);
        assert_eq!(admission.open(), 2);
        assert!(admit(&admission, "192.0.2.1").is_some());
    }

    #[test]
    fn a_v6_source_is_its_64() {
        let admission = Admission::new(Bounds { total: 9, per_source: 1 });
        let _one = admit(&admission, "2001:db8::1").unwrap();
        assert!(admit(&admission, "2001:db8::ffff:1").is_none());
        assert!(admit(&admission, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn nothing_is_kept_of_sources_that_left() {
        let admission = Admission::new(Bounds::default());
        drop(admit(&admission, "192.0.2.1"));
        assert_eq!((admission.open(), admission.by_source.len()), (0, 0));
    }
}
