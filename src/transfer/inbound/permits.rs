//! How many primaries are asked at a time, and how many transfers are under way: so many of each primary, and so many
//! in all. What is for one primary waits for that primary alone, so one that drips or is silent holds up no zone of
//! another; and to ask for a serial, which is a datagram, waits for no transfer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Zones whose primaries are asked for their serial at once; and those of one primary.
const CHECKS: (usize, usize) = (64, 16);
/// Transfers at once, each of which may hold a zone; and those of one primary.
const TRANSFERS: (usize, usize) = (32, 8);

/// The permits of all zones.
pub(super) struct Permits {
    /// To ask for a serial.
    pub(super) checks: Pool,
    /// To transfer a zone.
    pub(super) transfers: Pool,
}

impl Permits {
    pub(super) fn new() -> Permits {
        Permits { checks: Pool::new(CHECKS), transfers: Pool::new(TRANSFERS) }
    }
}

/// Permits of one kind.
pub(super) struct Pool {
    all: Arc<Semaphore>,
    per_primary: usize,
    /// Of primaries that somebody asks or waits to ask.
    each: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// One permit; given back when dropped.
pub(super) struct Permit {
    _all: Option<OwnedSemaphorePermit>,
    _own: Option<OwnedSemaphorePermit>,
}

impl Pool {
    fn new((all, per_primary): (usize, usize)) -> Pool {
        Pool { all: Arc::new(Semaphore::new(all)), per_primary, each: Mutex::default() }
    }

    /// A permit for a primary, in turn. Who waits for others of the same primary holds nothing that others need.
    pub(super) async fn take(&self, primary: IpAddr) -> Permit {
        let own = self.of(primary.to_canonical());
        // Only a closed semaphore refuses, and nothing closes these.
        let own = own.acquire_owned().await.ok();
        Permit { _all: self.all.clone().acquire_owned().await.ok(), _own: own }
    }

    fn of(&self, primary: IpAddr) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = each.get(&primary).and_then(Weak::upgrade) {
            return own;
        }
        each.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.per_primary));
        each.insert(primary, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_primary_that_holds_all_it_may_keeps_no_other_waiting() {
        let pool = Pool::new((5, 2));
        let take = async |primary: &str| {
            timeout(Duration::from_millis(100), pool.take(primary.parse().unwrap())).await.ok()
        };
        let held = [take("192.0.2.1").await, take("192.0.2.1").await];
        assert!(held.iter().all(Option::is_some));
        assert!(take("192.0.2.1").await.is_none());
        let others = [take("192.0.2.2").await, take("192.0.2.2").await, take("2001:db8::1").await];
        assert!(others.iter().all(Option::is_some));
        // There is a bound on all of them, too.
        assert!(take("192.0.2.3").await.is_none());
        drop(held);
        assert!(take("192.0.2.1").await.is_some());
        drop(others);
        let _last = take("192.0.2.9").await;
        assert_eq!(pool.each.lock().unwrap().len(), 1);
    }
}
