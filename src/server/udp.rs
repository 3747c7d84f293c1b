//! A UDP worker: one thread, one socket, two system calls per batch of queries.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use super::batch::{Batch, Wait};
use super::counters::{Tally, owned};
use super::pin::pin_to_core;
use super::responder::{Reader, Responder};
use super::sampler::Spigot;
use super::slow_path::Slip;
use crate::answer::{Answered, Transport};

/// How long a worker waits for a query before it looks whether to stop. The socket's read timeout:
/// it costs an idle worker five wake-ups a second, and a busy one nothing.
pub(super) const LOOK_UP: Duration = Duration::from_millis(200);

/// Batches answered after the stop: what queued up before it, and no endless stream.
const DRAIN_BATCHES: usize = 64;

/// The pause after a failure to receive. It doubles with each further one in a row, up to the longest:
/// what passes (no memory, an interface that went down) costs little, what lasts costs no core.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Failures in a row after which a worker counts as failed, until it receives again: some two seconds.
const REPORTED: u32 = 8;

/// One worker.
pub(super) struct Worker {
    pub(super) socket: Arc<UdpSocket>,
    /// Whether the socket tells which address a query came to.
    pub(super) tells_local_address: bool,
    /// The core to run on, counted over those the process may use.
    pub(super) core: usize,
    /// Where what is no plain query goes.
    pub(super) desk: Option<Slip>,
    pub(super) tally: Arc<Tally>,
    pub(super) spigot: Spigot,
    /// The address that is listened on.
    pub(super) address: SocketAddr,
    pub(super) stop: Arc<AtomicBool>,
    /// Counts workers that do not receive just now.
    pub(super) failed: Arc<AtomicU64>,
}

/// What keeps a worker from receiving, and for how many tries in a row.
#[derive(Default)]
struct Setbacks {
    in_a_row: u32,
}

impl Worker {
    /// Answers queries until told to stop; the thread's whole life. Whatever goes wrong, it tries again: no
    /// other thread answers what the kernel hands to this socket.
    pub(super) fn work(self, responder: &impl Responder) {
        if !pin_to_core(self.core) {
            tracing::debug!(core = self.core, "could not pin a UDP worker to its core");
        }
        let mut setbacks = Setbacks::default();
        while catch_unwind(AssertUnwindSafe(|| self.run(responder, &mut setbacks))).is_err() {
            self.set_back(&mut setbacks, "it panicked, please report it");
            if self.stop.load(Relaxed) {
                return;
            }
        }
    }

    fn run(&self, responder: &impl Responder, setbacks: &mut Setbacks) {
        // Made here, not by the thread that spawned this one: the memory is then this core's.
        let mut batch = Batch::new(self.tells_local_address);
        let mut reader = responder.reader();
        while !self.stop.load(Relaxed) {
            match batch.receive(&self.socket, Wait::ForOne) {
                Ok(count) => {
                    self.recovered(setbacks);
                    self.answer(&mut batch, count, &mut reader);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Nothing came. Looking at the published table lets go of one that was replaced.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.recovered(setbacks);
                    let _ = reader.current(Transport::Udp);
                }
                Err(error) => {
                    self.tally.receive_errors(1, owned);
                    self.set_back(setbacks, &error);
                }
            }
        }
        for _ in 0..DRAIN_BATCHES {
            let Ok(count) = batch.receive(&self.socket, Wait::No) else { break };
            self.answer(&mut batch, count, &mut reader);
        }
    }

    /// Counts a failure, reports one that lasts, and pauses before the next try.
    #[cold]
    fn set_back(&self, setbacks: &mut Setbacks, why: &(impl std::fmt::Display + ?Sized)) {
        setbacks.in_a_row = setbacks.in_a_row.saturating_add(1);
        if setbacks.in_a_row == REPORTED {
            tracing::error!(
                address = %self.address,
                "a UDP worker cannot receive and keeps trying; its share of the queries gets no answer: {why}"
            );
            self.failed.fetch_add(1, Relaxed);
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << (setbacks.in_a_row - 1).min(16));
        let mut pause = doubled.min(LONGEST_PAUSE);
        while !pause.is_zero() && !self.stop.load(Relaxed) {
            let part = pause.min(LOOK_UP);
            thread::sleep(part);
            pause -= part;
        }
    }

    /// The worker receives, or could.
    #[inline]
    fn recovered(&self, setbacks: &mut Setbacks) {
        if setbacks.in_a_row > 0 {
            if setbacks.in_a_row >= REPORTED {
                tracing::info!(address = %self.address, "a UDP worker receives again");
                self.failed.fetch_sub(1, Relaxed);
            }
            setbacks.in_a_row = 0;
        }
    }

    #[cold]
    fn desk_is_open(&self, answered: &Answered) -> bool {
        self.desk.as_ref().is_some_and(|desk| answered.signed || desk.is_open())
    }

    /// Answers a batch. A query whose answering panics gets no answer; those beside it get theirs.
    fn answer(&self, batch: &mut Batch, count: usize, reader: &mut impl Reader) {
        if self.spigot.is_on() {
            self.answer_all::<true>(batch, count, reader);
        } else {
            self.answer_all::<false>(batch, count, reader);
        }
    }

    /// The same, `TAPPED` or not: without a tap there is no trace of one on the way of a query.
    fn answer_all<const TAPPED: bool>(&self, batch: &mut Batch, count: usize, reader: &mut impl Reader) {
        let mut current = reader.current(Transport::Udp);
        let mut next = 0;
        while next < count {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                while next < count {
                    let index = next;
                    next += 1;
                    match batch.answer(index, &mut current) {
                        Some(answered) if answered.is_for_desk() && self.desk_is_open(&answered) => {
                            let letter = batch.withdraw(index, &answered);
                            let taken = self.desk.as_ref().is_some_and(|d| d.hand(letter, &self.socket));
                            self.tally.at_desk(taken, owned);
                        }
                        Some(answered) => {
                            self.tally.answered(&answered, owned);
                            if TAPPED {
                                let (peer, query, answer) = batch.seen(index);
                                let way = (Transport::Udp, peer, self.address);
                                self.spigot.saw(way, query, &answered, answer);
                            }
                        }
                        None => self.tally.malformed(owned),
                    }
                }
            }));
            if outcome.is_err() {
                self.tally.panicked(owned);
            }
        }
        self.tally.send_errors(batch.send(&self.socket), owned);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::IpAddr;
    use std::os::fd::{AsRawFd, OwnedFd};

    use tokio::runtime::Handle;
    use tokio::time::timeout;

    use super::super::running::{Limits, Running};
    use super::super::sampler::Taps;
    use super::super::sockets::Sockets;
    use super::super::testing::{Reverse, TOO_LONG, metric, reversed, serve, until};
    use super::*;

    /// A client that hears `server` and nobody else.
    fn client(server: SocketAddr) -> UdpSocket {
        let any: IpAddr = if server.is_ipv4() { "127.0.0.1" } else { "::1" }.parse().unwrap();
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(TOO_LONG)).unwrap();
        socket
    }

    fn ask(client: &UdpSocket, query: &[u8]) -> Vec<u8> {
        client.send(query).unwrap();
        hear(client)
    }

    fn hear(client: &UdpSocket) -> Vec<u8> {
        let mut answer = vec![0; 4096];
        let len = client.recv(&mut answer).unwrap();
        answer.truncate(len);
        answer
    }

    #[tokio::test]
    async fn every_query_of_a_burst_gets_its_own_answer() {
        let (running, address) = serve("127.0.0.1:0", 2, Limits::default());
        let clients: Vec<UdpSocket> = (0..8).map(|_| client(address)).collect();
        for round in 0..50 {
            // Lengths differ too, so that a length left over from another batch would show.
            let query = |of: usize, n: usize| format!("{round} {of} {n} {}", "x".repeat((of + n * 7) % 90));
            for n in 0..8 {
                for (of, client) in clients.iter().enumerate() {
                    client.send(query(of, n).as_bytes()).unwrap();
                }
            }
            for (of, client) in clients.iter().enumerate() {
                for n in 0..8 {
                    assert_eq!(hear(client), reversed(query(of, n).as_bytes()));
                }
            }
        }
        let counters = running.counters();
        assert_eq!(metric(&counters, "detour_queries_total", "udp"), 50 * 64);
        assert_eq!(metric(&counters, "detour_answers_total", "udp"), 50 * 64);
        assert_eq!(metric(&counters, "detour_send_errors_total", ""), 0);
        running.stop().await;
    }

    #[tokio::test]
    async fn queries_are_spread_over_all_workers() {
        let (running, address) = serve("127.0.0.1:0", 3, Limits::default());
        // The kernel spreads by the client's address and port: with 300 of them, the odds that one
        // worker of three is left out are 1 in 10^52.
        for n in 0..300 {
            assert_eq!(ask(&client(address), format!("{n}").as_bytes()), reversed(format!("{n}").as_bytes()));
        }
        assert!(running.tallies.udp.iter().all(|tally| tally.queries() > 0), "{:?}", running.counters());
        running.stop().await;
    }

    async fn check_asked_address_answers(listen: &str, asked: &[&str]) {
        let (running, address) = serve(listen, 2, Limits::default());
        for ip in asked {
            // The client is connected: an answer from any other address does not reach it.
            let client = client(SocketAddr::new(ip.parse().unwrap(), address.port()));
            assert_eq!(ask(&client, b"whence"), b"ecnehw", "{ip} through {listen}");
        }
        running.stop().await;
    }

    #[tokio::test]
    async fn the_address_that_was_asked_answers() {
        check_asked_address_answers("127.0.0.1:0", &["127.0.0.1"]).await;
        check_asked_address_answers("0.0.0.0:0", &["127.0.0.1", "127.0.0.5", "127.9.9.9"]).await;
        check_asked_address_answers("[::1]:0", &["::1"]).await;
        check_asked_address_answers("[::]:0", &["::1"]).await;
    }

    #[tokio::test]
    async fn what_is_no_query_gets_no_answer_and_stops_nobody() {
        let (running, address) = serve("127.0.0.1:0", 1, Limits::default());
        let client = client(address);
        for nonsense in [&b""[..], b"silent", &[b'x'; 5000]] {
            client.send(nonsense).unwrap();
        }
        assert_eq!(ask(&client, b"after"), b"retfa");
        let counters = running.counters();
        assert_eq!(metric(&counters, "detour_malformed_total", "udp"), 3);
        assert_eq!(metric(&counters, "detour_queries_total", "udp"), 4);
        running.stop().await;
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_query_and_no_other() {
        let (running, address) = serve("127.0.0.1:0", 1, Limits::default());
        let client = client(address);
        for query in [&b"before"[..], b"panic", b"between", b"panic", b"after"] {
            client.send(query).unwrap();
        }
        assert_eq!(hear(&client), b"erofeb");
        assert_eq!(hear(&client), b"neewteb");
        assert_eq!(hear(&client), b"retfa");
        assert_eq!(metric(&running.counters(), "detour_answer_panics_total", "udp"), 2);
        assert_eq!(running.failed(), 0);
        running.stop().await;
    }

    /// No worker can start with this one.
    #[derive(Clone)]
    struct Broken;

    impl Responder for Broken {
        type Reader = Reverse;

        fn reader(&self) -> Reverse {
            panic!("no answers here")
        }
    }

    #[tokio::test]
    async fn a_worker_that_panics_over_and_over_is_reported() {
        let sockets = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], 2).unwrap();
        let running =
            Running::start(sockets, &Broken, None, &Taps::new().0, Limits::default(), &Handle::current());
        until("both workers count as failed", || running.failed() == 2).await;
        running.stop().await;
    }

    #[tokio::test]
    #[expect(unsafe_code, reason = "a descriptor is repaired under the worker that has it")]
    async fn a_worker_whose_socket_fails_for_long_answers_once_it_recovers() {
        let mut sockets = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
        let address = sockets.addresses()[0];
        // Every receive on what is no socket is an error, and not one that passes by itself.
        let no_socket = UdpSocket::from(OwnedFd::from(File::open("/dev/null").unwrap()));
        let broken = no_socket.as_raw_fd();
        let socket = std::mem::replace(&mut sockets.bound[0].udp[0], no_socket);
        let running =
            Running::start(sockets, &Reverse, None, &Taps::new().0, Limits::default(), &Handle::current());
        until("the worker counts as failed", || running.failed() == 1).await;
        let errors = || metric(&running.counters(), "detour_receive_errors_total", "udp");
        let counted = errors();
        until("it keeps trying", || errors() > counted).await;

        // SAFETY: both descriptors are open, and the worker is the only user of the one that is replaced.
        assert_eq!(unsafe { libc::dup2(socket.as_raw_fd(), broken) }, broken);
        assert_eq!(ask(&client(address), b"again"), b"niaga");
        until("it counts as failed no more", || running.failed() == 0).await;
        running.stop().await;
    }

    #[tokio::test]
    async fn a_stop_answers_what_was_received_and_closes_the_port() {
        let (running, address) = serve("127.0.0.21:0", 2, Limits::default());
        let client = client(address);
        for n in 0..100 {
            client.send(format!("{n}").as_bytes()).unwrap();
        }
        timeout(TOO_LONG, running.stop()).await.unwrap();
        for n in 0..100 {
            assert_eq!(hear(&client), reversed(format!("{n}").as_bytes()));
        }
        // A second stop has nothing left to do, and the port is free for a socket that will not share it.
        running.stop().await;
        Sockets::bind(&[address], 1).unwrap();
        assert_eq!(running.failed(), 0);
    }
}
