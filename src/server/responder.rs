//! What the sockets ask for answers: the published table, behind a seam as thin as two closures, so
//! that sockets are tested without a zone.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

use super::rate_limit::Limiting;
use crate::answer::{self, Answered, Asker, Settings, Table, Transport};

/// A source of answers, shared by every worker and connection.
pub(super) trait Responder: Clone + Send + Sync + 'static {
    /// What one worker keeps of it.
    type Reader: Reader;

    /// The same for what comes to one address of this host.
    fn at(&self, _listener: IpAddr) -> Self {
        self.clone()
    }

    /// A reader for one worker, or for one burst of a connection.
    fn reader(&self) -> Self::Reader;
}

/// One worker's way to the answers.
pub(super) trait Reader {
    /// The answering function as published now, at the time it is now: an address and the query bytes
    /// that came from it in, answer bytes into the second slice. What is published later is not seen
    /// through it; take it anew for every batch.
    fn current(&mut self, transport: Transport) -> impl FnMut(IpAddr, &[u8], &mut [u8]) -> Answered;
}

/// The published table.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) table: Arc<ArcSwap<Table>>,
    pub(super) settings: Arc<Settings>,
    /// Of UDP alone.
    pub(super) limiting: Option<Arc<Limiting>>,
}

/// A worker's cached pointer to the published table: one atomic load as long as it has not changed.
pub(super) struct Cached {
    table: Cache<Arc<ArcSwap<Table>>, Arc<Table>>,
    settings: Arc<Settings>,
    limiting: Option<Arc<Limiting>>,
}

impl Responder for Published {
    type Reader = Cached;

    fn at(&self, listener: IpAddr) -> Published {
        let limiting = self.limiting.clone().filter(|limiting| limiting.holds_at(listener));
        Published { limiting, ..self.clone() }
    }

    fn reader(&self) -> Cached {
        Cached {
            table: Cache::new(Arc::clone(&self.table)),
            settings: Arc::clone(&self.settings),
            limiting: self.limiting.clone(),
        }
    }
}

impl Reader for Cached {
    fn current(&mut self, transport: Transport) -> impl FnMut(IpAddr, &[u8], &mut [u8]) -> Answered {
        let settings = &self.settings;
        let table = self.table.load();
        let now = unix_secs();
        let limiting = self.limiting.as_deref().filter(|_| transport == Transport::Udp);
        let gate = limiting.map(Limiting::gate);
        move |ip, query, out| {
            let asker = Asker { transport, ip, now };
            let answered = answer::answer_through(gate, table, settings, &asker, query, out);
            if let (Some(limiting), Some(gate), Some(_)) = (limiting, gate, answered.limited) {
                limiting.note(ip, gate.micros);
            }
            answered
        }
    }
}

/// Seconds since 1970 in 32 bits, which wrap around in 2106. Cookies carry them to other servers, so it is
/// the host's clock and not one that only runs forward.
fn unix_secs() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() as u32
}
