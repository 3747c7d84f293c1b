//! Who may hold a connection: a bound on all of them and one on each source (RFC 7766 section 6.2.2).
//!
//! A new client is always let in. Where a bound is reached, the source with the most connections loses one:
//! the one that has waited the longest for its client. So whoever holds many is the first to lose them, and
//! whoever comes with one request gets it answered, however many others hold on.
//!
//! ```text
//!   admitted ─► idle ◄──► busy                a request is being answered
//!                 │         │ only if no connection of its source is idle
//!                 ▼         ▼
//!               evicted ─► dropped            the permit says so, and its connection ends
//! ```
//!
//! Some places may be kept for loopback: whoever is on this host gets in, and stays, when others take all they can.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// Of [`Bounds::total`], the part of connections that were told to end and are still open, at most; the next client
/// waits until one of them is gone.
const LEAVING: usize = 8;

/// The bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// Connections open at once.
    pub total: usize,
    /// Connections open at once from one source.
    pub per_source: usize,
    /// Of all, those that only loopback may have.
    pub kept_for_loopback: usize,
}

/// Counts connections and says which one makes way.
#[derive(Debug)]
pub struct Admission {
    /// What the connections are to, for the log.
    name: &'static str,
    bounds: Bounds,
    max_leaving: usize,
    begun: Instant,
    open: Mutex<Open>,
    /// One that was told to end is gone.
    left: Notify,
    accepted: AtomicU64,
    evicted_total: AtomicU64,
    evicted_source: AtomicU64,
}

/// Sources with an open connection only, so it is bounded by [`Bounds::total`].
#[derive(Debug, Default)]
struct Open {
    sources: HashMap<IpAddr, Vec<Arc<Activity>>>,
    count: usize,
    /// Of those, the ones that are not from loopback.
    remote: usize,
    leaving: usize,
}

/// What one connection does.
#[derive(Debug, Default)]
struct Activity {
    busy: AtomicBool,
    /// Since when, in microseconds since the admission began.
    since: AtomicU64,
    evicted: Notify,
}

/// Why one has to make way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    Total,
    Source,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    source: IpAddr,
    activity: Arc<Activity>,
}

impl Admission {
    /// Nobody is in yet.
    pub fn new(name: &'static str, bounds: Bounds) -> Arc<Admission> {
        Arc::new(Admission {
            name,
            bounds,
            max_leaving: bounds.total.div_ceil(LEAVING),
            begun: Instant::now(),
            open: Mutex::default(),
            left: Notify::new(),
            accepted: AtomicU64::new(0),
            evicted_total: AtomicU64::new(0),
            evicted_source: AtomicU64::new(0),
        })
    }

    /// A permit for a connection from `peer`; where a bound is reached, another connection loses its own. Waits
    /// only while too many of those that lost theirs are not gone yet.
    pub async fn admit(self: &Arc<Admission>, peer: IpAddr) -> Permit {
        loop {
            // Before the look, so that none that leaves in between goes unseen.
            let left = self.left.notified();
            if let Some(permit) = self.try_admit(peer) {
                return permit;
            }
            left.await;
        }
    }

    /// The same without the wait: `None` where it would have to.
    fn try_admit(self: &Arc<Admission>, peer: IpAddr) -> Option<Permit> {
        let source = source_of(peer);
        let activity = Arc::new(Activity::default());
        activity.since.store(self.micros(), Relaxed);
        let mut open = self.lock();
        if let Some((from, why)) = open.makes_way(source, self.bounds) {
            if open.leaving >= self.max_leaving {
                return None;
            }
            self.note(why, from, open.sources.get(&from).map_or(0, Vec::len));
            open.evict(from);
        }
        open.add(source, activity.clone());
        self.accepted.fetch_add(1, Relaxed);
        Some(Permit { admission: Arc::clone(self), source, activity })
    }

    /// Counts an eviction, and says so as often as the logarithm of their number grows.
    fn note(&self, why: Full, source: IpAddr, connections: usize) {
        let (count, bound) = match why {
            Full::Total => (&self.evicted_total, self.bounds.total),
            Full::Source => (&self.evicted_source, self.bounds.per_source),
        };
        let evicted = count.fetch_add(1, Relaxed) + 1;
        if evicted.is_power_of_two() {
            tracing::warn!(%source, connections, bound, evicted, "too many connections to {}: the idlest one of this source was closed", self.name);
        }
    }

    /// Whether three quarters of all connections there may be are open: who says nothing then makes way
    /// (RFC 7766 section 6.2.3).
    pub fn crowded(&self) -> bool {
        self.open() >= self.bounds.total - self.bounds.total / 4
    }

    /// Open now.
    pub fn open(&self) -> usize {
        self.lock().count
    }

    /// Admitted since the start.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Closed because of the bound on all.
    pub fn evicted_total(&self) -> u64 {
        self.evicted_total.load(Relaxed)
    }

    /// Closed because of the bound on one source.
    pub fn evicted_source(&self) -> u64 {
        self.evicted_source.load(Relaxed)
    }

    fn micros(&self) -> u64 {
        // 584,000 years fit.
        self.begun.elapsed().as_micros() as u64
    }

    /// A panic while this is held is one of the allocator's: each method leaves it whole.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The source that has to lose a connection before one more of `source` fits, and because of which bound.
    fn makes_way(&self, source: IpAddr, bounds: Bounds) -> Option<(IpAddr, Full)> {
        let own = self.sources.get(&source).map_or(0, Vec::len);
        if own > 0 && own >= bounds.per_source {
            return Some((source, Full::Source));
        }
        let remotes = bounds.total.saturating_sub(bounds.kept_for_loopback);
        let only_remote = !source.is_loopback() && self.remote >= remotes;
        if !only_remote && self.count < bounds.total {
            return None;
        }
        let may_lose = |other: &IpAddr| !only_remote || !other.is_loopback();
        let candidates = self.sources.iter().filter(|(other, _)| may_lose(other));
        let most = candidates.map(|(other, held)| (held.len(), Reverse(idlest(held)), *other)).max()?;
        // Whoever would have the most with one more is that source.
        let loses = if own + 1 > most.0 && own > 0 { source } else { most.2 };
        Some((loses, Full::Total))
    }

    /// Has the idlest connection of a source end; from now on it counts as one that leaves.
    fn evict(&mut self, source: IpAddr) {
        let Some(held) = self.sources.get(&source) else { return };
        let Some(activity) = held.iter().min_by_key(|activity| activity.key()).cloned() else { return };
        if self.remove(source, &activity) {
            self.leaving += 1;
            activity.evicted.notify_one();
        }
    }

    fn add(&mut self, source: IpAddr, activity: Arc<Activity>) {
        self.sources.entry(source).or_default().push(activity);
        self.count += 1;
        self.remote += usize::from(!source.is_loopback());
    }

    /// Whether it was there.
    fn remove(&mut self, source: IpAddr, activity: &Arc<Activity>) -> bool {
        let Some(held) = self.sources.get_mut(&source) else { return false };
        let Some(at) = held.iter().position(|one| Arc::ptr_eq(one, activity)) else { return false };
        held.remove(at);
        if held.is_empty() {
            self.sources.remove(&source);
        }
        self.count -= 1;
        self.remote -= usize::from(!source.is_loopback());
        true
    }
}

impl Activity {
    /// The least goes first: what is idle, and what has been so the longest.
    fn key(&self) -> (bool, u64) {
        (self.busy.load(Relaxed), self.since.load(Relaxed))
    }
}

fn idlest(held: &[Arc<Activity>]) -> Option<(bool, u64)> {
    held.iter().map(|activity| activity.key()).min()
}

impl Permit {
    /// A whole request has come, and is answered from now on.
    pub fn busy(&self) {
        self.set(true);
    }

    /// It was answered: the connection waits for its client again.
    pub fn idle(&self) {
        self.set(false);
    }

    fn set(&self, busy: bool) {
        self.activity.since.store(self.admission.micros(), Relaxed);
        self.activity.busy.store(busy, Relaxed);
    }

    /// Ends when the connection has to make way for another. For one to wait for.
    pub async fn evicted(&self) {
        self.activity.evicted.notified().await;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        if !open.remove(self.source, &self.activity) {
            open.leaving -= 1;
            drop(open);
            self.admission.left.notify_waiters();
        }
    }
}

/// A v4 address, or a v6 /64: one customer commands all addresses of its /64. Loopback is itself.
fn source_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::V6((v6.to_bits() >> 64 << 64).into()),
        itself => itself,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn bounds(total: usize, per_source: usize, kept_for_loopback: usize) -> Bounds {
        Bounds { total, per_source, kept_for_loopback }
    }

    /// One that waits for nobody who was told to end.
    fn hurried(bounds: Bounds) -> Arc<Admission> {
        let admission = Arc::into_inner(Admission::new("a test", bounds)).unwrap();
        Arc::new(Admission { max_leaving: usize::MAX, ..admission })
    }

    fn admit(admission: &Arc<Admission>, peer: &str) -> Permit {
        admission.try_admit(peer.parse().unwrap()).expect("a permit")
    }

    /// Whether a connection was told to end.
    fn is_evicted(permit: &Permit) -> bool {
        !permit.admission.lock().sources.values().flatten().any(|one| Arc::ptr_eq(one, &permit.activity))
    }

    /// How many each source has.
    fn held(admission: &Arc<Admission>, peer: &str) -> usize {
        admission.lock().sources.get(&source_of(peer.parse().unwrap())).map_or(0, Vec::len)
    }

    #[test]
    fn when_full_the_source_with_the_most_loses_its_idlest() {
        let admission = hurried(bounds(4, 3, 0));
        let greedy: Vec<_> = (0..3).map(|_| admit(&admission, "192.0.2.1")).collect();
        let modest = admit(&admission, "192.0.2.2");
        // The first is answered, the second waits the longest.
        greedy[0].busy();
        let new = admit(&admission, "192.0.2.3");
        assert_eq!(greedy.iter().map(is_evicted).collect::<Vec<_>>(), [false, true, false]);
        assert!(!is_evicted(&modest) && !is_evicted(&new));
        assert_eq!((admission.open(), admission.evicted_total(), admission.evicted_source()), (4, 1, 0));
        // Whoever comes back gets in at its own cost.
        let back = admit(&admission, "192.0.2.1");
        assert!(is_evicted(&greedy[2]) && !is_evicted(&back) && !is_evicted(&new));
    }

    #[test]
    fn a_source_at_its_bound_loses_its_own_idlest() {
        let admission = hurried(bounds(9, 2, 0));
        let (first, second) = (admit(&admission, "192.0.2.1"), admit(&admission, "192.0.2.1"));
        std::thread::sleep(std::time::Duration::from_millis(1));
        first.busy();
        first.idle();
        let third = admit(&admission, "192.0.2.1");
        assert!(is_evicted(&second) && !is_evicted(&first) && !is_evicted(&third));
        assert_eq!((held(&admission, "192.0.2.1"), admission.evicted_source()), (2, 1));
    }

    #[test]
    fn among_equals_the_idlest_of_all_makes_way() {
        let admission = hurried(bounds(3, 3, 0));
        let all: Vec<_> = (1..=3).map(|n| admit(&admission, &format!("192.0.2.{n}"))).collect();
        all.iter().for_each(Permit::busy);
        all[1].idle();
        let _new = admit(&admission, "192.0.2.9");
        assert_eq!(all.iter().map(is_evicted).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_flood_from_many_sources_takes_places_from_itself_alone() {
        let admission = hurried(bounds(64, 16, 0));
        let client = admit(&admission, "198.51.100.1");
        // Each source opens its connections in turn, and those that were evicted end.
        let mut flood = VecDeque::new();
        for n in 0..2_000 {
            let permit = admit(&admission, &format!("192.0.2.{}", n % 8));
            flood.retain(|permit| !is_evicted(permit));
            flood.push_back(permit);
            assert!(!is_evicted(&client), "after {n}");
        }
        assert_eq!((admission.open(), held(&admission, "198.51.100.1")), (64, 1));
    }

    #[test]
    fn others_cannot_take_what_is_kept_for_loopback() {
        let admission = hurried(bounds(8, 4, 2));
        let remote: Vec<_> = (0..9).map(|n| admit(&admission, &format!("192.0.2.{n}"))).collect();
        assert_eq!((admission.open(), remote.iter().filter(|permit| is_evicted(permit)).count()), (6, 3));
        let local: Vec<_> = (0..2).map(|_| admit(&admission, "127.0.0.1")).collect();
        assert_eq!(admission.evicted_total(), 3, "there were places");
        // From outside again: loopback has two, and keeps them.
        let more: Vec<_> = (0..9).map(|_| admit(&admission, "192.0.2.77")).collect();
        assert!(local.iter().all(|permit| !is_evicted(permit)));
        // All of it loopback, of two addresses: a third gets in.
        drop((remote, local, more));
        let first: Vec<_> = (0..4).map(|_| admit(&admission, "127.0.0.2")).collect();
        let second: Vec<_> = (0..4).map(|_| admit(&admission, "127.0.0.3")).collect();
        let third = admit(&admission, "127.0.0.1");
        assert!(!is_evicted(&third));
        assert_eq!(first.iter().chain(&second).filter(|permit| is_evicted(permit)).count(), 1);
    }

    #[test]
    fn a_v6_source_is_its_64() {
        let admission = hurried(bounds(9, 1, 0));
        let one = admit(&admission, "2001:db8::1");
        let _other = admit(&admission, "2001:db8:0:1::1");
        assert!(!is_evicted(&one));
        let _same = admit(&admission, "2001:db8::ffff:1");
        assert!(is_evicted(&one));
        assert!(source_of("::1".parse().unwrap()).is_loopback());
    }

    #[tokio::test]
    async fn who_was_told_to_end_is_waited_for_where_there_are_too_many() {
        let admission = Admission::new("DNS", bounds(10, 1, 0));
        let mut held: Vec<_> = (0..=2).map(|_| admit(&admission, "192.0.2.1")).collect();
        let peer = "192.0.2.1".parse().unwrap();
        assert!(admission.try_admit(peer).is_none());
        let waiting = admission.admit(peer);
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("one too many is open"),
            () = std::future::ready(()) => {}
        }
        held[0].evicted().await;
        drop(held.remove(0));
        waiting.await;
    }

    #[test]
    fn nothing_is_kept_of_sources_that_left() {
        let admission = hurried(bounds(2, 1, 0));
        let permits = [(); 2].map(|()| admit(&admission, "192.0.2.1"));
        drop(permits);
        let open = admission.lock();
        assert_eq!((open.count, open.remote, open.leaving, open.sources.len()), (0, 0, 0, 0));
    }
}
