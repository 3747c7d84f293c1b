//! What the sockets ask for answers: the published table, behind a seam as thin as two closures, so
//! that sockets are tested without a zone.

use std::sync::Arc;

use arc_swap::ArcSwap;
use arc_swap::cache::Cache;

use crate::answer::{self, Answered, Settings, Table, Transport};

/// A source of answers, shared by every worker and connection.
pub(super) trait Responder: Clone + Send + Sync + 'static {
    /// What one worker keeps of it.
    type Reader: Reader;

    /// A reader for one worker, or for one burst of a connection.
    fn reader(&self) -> Self::Reader;
}

/// One worker's way to the answers.
pub(super) trait Reader {
    /// The answering function as published now: query bytes in, answer bytes into the second slice.
    /// What is published later is not seen through it; take it anew for every batch.
    fn current(&mut self, transport: Transport) -> impl FnMut(&[u8], &mut [u8]) -> Answered;
}

/// The published table.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) table: Arc<ArcSwap<Table>>,
    pub(super) settings: Arc<Settings>,
}

/// A worker's cached pointer to the published table: one atomic load as long as it has not changed.
pub(super) struct Cached {
    table: Cache<Arc<ArcSwap<Table>>, Arc<Table>>,
    settings: Arc<Settings>,
}

impl Responder for Published {
    type Reader = Cached;

    fn reader(&self) -> Cached {
        Cached { table: Cache::new(Arc::clone(&self.table)), settings: Arc::clone(&self.settings) }
    }
}

impl Reader for Cached {
    fn current(&mut self, transport: Transport) -> impl FnMut(&[u8], &mut [u8]) -> Answered {
        let settings = &self.settings;
        let table = self.table.load();
        move |query, out| answer::answer(table, settings, transport, query, out)
    }
}
