//! Counts of what was asked and answered.
//!
//! Each UDP worker counts for itself, on cache lines no other worker writes to, and adds a batch's sums at
//! its end. Reading adds them up; a sum may be a batch behind.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::answer::Answered;

/// RCODEs counted one by one: those of RFC 6895 section 2.3 up to BADCOOKIE.
const RCODES: usize = 24;

/// Counts of one transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages received.
    pub queries: u64,
    /// Answers by RCODE, extended ones included.
    pub answers: [u64; RCODES],
    /// Answers with TC set.
    pub truncated: u64,
    /// Messages that got no answer: too short for a header, or themselves responses.
    pub dropped: u64,
    /// Answers the system did not send.
    pub unsent: u64,
}

impl Tally {
    #[inline]
    pub(super) fn count(&mut self, answered: Answered) {
        self.queries += 1;
        if answered.len == 0 {
            self.dropped += 1;
            return;
        }
        self.answers[usize::from(answered.rcode).min(RCODES - 1)] += 1;
        self.truncated += u64::from(answered.truncated);
    }
}

/// Counts of a whole server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams.
    pub udp: Tally,
    /// Messages on streams.
    pub tcp: Tally,
    /// TCP connections open now.
    pub tcp_open: u64,
    /// TCP connections accepted since the start.
    pub tcp_accepted: u64,
    /// TCP connections closed at once: too many in all, or from one source.
    pub tcp_refused: u64,
    /// TCP connections closed because the client was silent or did not read for too long.
    pub tcp_timed_out: u64,
    /// Panics while answering: of UDP workers, which were started again, and of TCP connections.
    pub panics: u64,
}

/// A transport's counts as they are kept; one writer at a time.
#[derive(Debug, Default)]
struct Cells {
    queries: AtomicU64,
    answers: [AtomicU64; RCODES],
    truncated: AtomicU64,
    dropped: AtomicU64,
    unsent: AtomicU64,
}

impl Cells {
    fn pairs<'a>(&'a self, tally: &'a Tally) -> impl Iterator<Item = (&'a AtomicU64, u64)> {
        let single = [
            (&self.queries, tally.queries),
            (&self.truncated, tally.truncated),
            (&self.dropped, tally.dropped),
            (&self.unsent, tally.unsent),
        ];
        self.answers.iter().zip(tally.answers).chain(single).filter(|&(_, more)| more != 0)
    }

    fn read(&self, into: &mut Tally) {
        let get = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        into.queries += get(&self.queries);
        into.truncated += get(&self.truncated);
        into.dropped += get(&self.dropped);
        into.unsent += get(&self.unsent);
        for (sum, cell) in into.answers.iter_mut().zip(&self.answers) {
            *sum += get(cell);
        }
    }
}

/// One UDP worker's counts, on cache lines of their own (two, for processors that fetch lines in pairs).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct WorkerCounters {
    cells: Cells,
    panics: AtomicU64,
}

impl WorkerCounters {
    /// Adds a batch. Only the worker itself calls this, so no locked instruction is needed.
    pub(super) fn add(&self, tally: &Tally) {
        for (cell, more) in self.cells.pairs(tally) {
            cell.store(cell.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        }
    }

    pub(super) fn add_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(super) fn add_to(&self, tally: &mut Tally) {
        self.cells.read(tally);
    }
}

/// The counts of all connections, written to by every one of them.
#[derive(Debug, Default)]
pub(super) struct TcpCounters {
    cells: Cells,
    pub(super) open: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) panics: AtomicU64,
}

impl TcpCounters {
    pub(super) fn add(&self, tally: &Tally) {
        for (cell, more) in self.cells.pairs(tally) {
            cell.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self, counters: &mut Counters) {
        self.cells.read(&mut counters.tcp);
        counters.tcp_open = self.open.load(Ordering::Relaxed);
        counters.tcp_accepted = self.accepted.load(Ordering::Relaxed);
        counters.tcp_refused = self.refused.load(Ordering::Relaxed);
        counters.panics += self.panics.load(Ordering::Relaxed);
        counters.tcp_timed_out = self.timed_out.load(Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_answer_is_counted_once() {
        let mut tally = Tally::default();
        tally.count(Answered::default());
        tally.count(Answered { len: 40, rcode: 3, truncated: false });
        tally.count(Answered { len: 40, rcode: 0, truncated: true });
        tally.count(Answered { len: 40, rcode: 255, truncated: false });
        let worker = WorkerCounters::default();
        worker.add(&tally);
        worker.add(&tally);
        let mut sum = Tally::default();
        worker.add_to(&mut sum);
        assert_eq!((sum.queries, sum.dropped, sum.truncated), (8, 2, 2));
        assert_eq!((sum.answers[0], sum.answers[3], sum.answers[23]), (2, 2, 2));
        assert_eq!(sum.answers.iter().sum::<u64>(), 6);
    }

    #[test]
    fn workers_share_no_cache_line() {
        assert_eq!(align_of::<WorkerCounters>(), 128);
        assert_eq!(size_of::<WorkerCounters>() % 128, 0);
    }
}
