//! How many connections each address has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Addresses with an open connection alone, so at most as many as there are connections.
type Open = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// The places that connections take.
pub(super) struct Places {
    open: Open,
    max: usize,
}

/// One of an address's connections; given back when dropped.
pub(super) struct Place {
    open: Open,
    address: IpAddr,
}

impl Places {
    /// So many for each address.
    pub(super) fn new(max: usize) -> Places {
        Places { open: Open::default(), max }
    }

    /// One, if the address may have another.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { open: self.open.clone(), address })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.open.lock().unwrap().is_empty()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}
