//! The UDP workers: a thread, a socket and a batch each.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};

use arc_swap::Cache;

use super::Shared;
use super::batch::{Batch, allowed_cores, pin_to};
use super::bind::UdpEnd;
use super::counters::{Tally, WorkerCounters};
use crate::answer::{Transport, answer};

/// The cores workers are spread over.
pub(super) fn cores() -> Vec<usize> {
    allowed_cores()
}

pub(super) fn spawn(
    end: UdpEnd,
    shared: Shared,
    counters: Arc<WorkerCounters>,
    core: Option<usize>,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(format!("udp-{}", end.worker)).spawn(move || {
        if let Some(core) = core {
            pin_to(core);
        }
        let failed = shared.failed.clone();
        if let Err(error) = supervise(&counters, || work(&end, &shared, &counters)) {
            tracing::error!(%error, "a UDP worker has lost its socket");
            failed.store(true, Ordering::Relaxed);
        }
    })
}

/// Runs `work` until it returns, however often it panics: the query that made it panic is gone, and those
/// behind it want answers.
fn supervise(counters: &WorkerCounters, mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        // What `work` holds across a panic is counters, which are atomic, and a socket.
        if let Ok(result) = catch_unwind(AssertUnwindSafe(&mut work)) {
            return result;
        }
        counters.add_panic();
        tracing::error!("a UDP worker panicked and was started again; please report this");
    }
}

/// Answers batch after batch. Once the server stops, what has arrived by then is still answered.
fn work(end: &UdpEnd, shared: &Shared, counters: &WorkerCounters) -> io::Result<()> {
    let mut batch = Batch::new(end.wildcard);
    let mut table = Cache::new(&*shared.table);
    loop {
        let stopping = shared.stopping.load(Ordering::Relaxed);
        let received = match batch.receive(&end.socket, !stopping) {
            Ok(received) => received,
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock if stopping => return Ok(()),
                // On a datagram socket the system may pass on what the network said of an answer.
                io::ErrorKind::WouldBlock
                | io::ErrorKind::Interrupted
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::OutOfMemory => continue,
                _ => return Err(error),
            },
        };
        let table = table.load();
        let mut tally = Tally::default();
        for i in 0..received {
            let (query, out) = batch.pair(i);
            let answered = answer(table, &shared.settings, Transport::Udp, query, out);
            tally.count(answered);
            if answered.len > 0 {
                batch.reply(i, answered.len);
            }
        }
        tally.unsent = batch.send(&end.socket);
        counters.add(&tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted_and_the_work_goes_on() {
        let counters = WorkerCounters::default();
        let mut runs = 0;
        let result = supervise(&counters, || {
            runs += 1;
            assert!(runs > 3, "a query this code cannot take");
            Ok(())
        });
        assert!(result.is_ok());
        assert_eq!((runs, counters.panics()), (4, 3));
    }

    #[test]
    fn an_error_ends_the_work() {
        let counters = WorkerCounters::default();
        let result = supervise(&counters, || Err(io::Error::other("gone")));
        assert_eq!((result.map_err(|e| e.to_string()), counters.panics()), (Err("gone".into()), 0));
    }
}
