//! Taps: some of the queries and their answers, for those who watch. Off, a worker pays one look at a flag that
//! nobody writes for each batch; on, a copy of one query of so many. Nobody is ever waited for: what finds a tap
//! full is lost, and counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::SystemTime;

use crate::answer::{Answered, Transport};

/// How many taps there are.
const TAPS: usize = 2;
/// What may wait at a tap to be written.
const QUEUE: usize = 4_096;
/// The longest answer that is copied, in bytes; of a longer one, all else is told.
const MAX_ANSWER: usize = 4_096;

/// A query that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When, on the host's clock: others who watch go by theirs.
    pub at: SystemTime,
    /// How it came.
    pub transport: Transport,
    /// From whom.
    pub peer: SocketAddr,
    /// The address that is listened on.
    pub local: SocketAddr,
    /// The answer's RCODE, its extended bits included.
    pub rcode: u8,
    /// The answer's length; zero where none was sent.
    pub len: usize,
    /// The query.
    pub query: Box<[u8]>,
    /// The answer; empty where none was sent, or one of more than 4096 bytes.
    pub answer: Box<[u8]>,
}

/// All taps, shared by the workers, the connections, and those who write what comes.
#[derive(Debug)]
pub struct Taps {
    /// Whether any is open.
    on: AtomicBool,
    taps: [Tap; TAPS],
}

#[derive(Debug)]
struct Tap {
    /// One query of so many; zero is none.
    every: AtomicU32,
    out: SyncSender<Seen>,
    lost: AtomicU64,
}

/// One worker's way to the taps, or that of all connections.
#[derive(Debug)]
pub(super) struct Spigot {
    taps: Arc<Taps>,
    /// Queries since the last one that each tap took.
    since: [AtomicU32; TAPS],
}

impl Taps {
    /// Taps that are shut, and what will come out of each.
    pub fn new() -> (Arc<Taps>, [Receiver<Seen>; TAPS]) {
        let [(first, first_out), (second, second_out)] = [sync_channel(QUEUE), sync_channel(QUEUE)];
        let tap = |out| Tap { every: AtomicU32::new(0), out, lost: AtomicU64::new(0) };
        let taps = Taps { on: AtomicBool::new(false), taps: [tap(first), tap(second)] };
        (Arc::new(taps), [first_out, second_out])
    }

    /// From now on each tap takes one query of so many; zero is none.
    pub fn set(&self, every: [u32; TAPS]) {
        for (tap, every) in self.taps.iter().zip(every) {
            tap.every.store(every, Relaxed);
        }
        self.on.store(every.iter().any(|every| *every > 0), Relaxed);
    }

    /// How many queries each tap lost because what was before them had not been written.
    pub fn lost(&self) -> [u64; TAPS] {
        [0, 1].map(|of: usize| self.taps[of].lost.load(Relaxed))
    }
}

impl Spigot {
    pub(super) fn of(taps: &Arc<Taps>) -> Spigot {
        Spigot { taps: Arc::clone(taps), since: Default::default() }
    }

    /// Whether anybody watches.
    pub(super) fn is_on(&self) -> bool {
        self.taps.on.load(Relaxed)
    }

    /// A query was answered: the taps whose turn it is get a copy.
    #[cold]
    pub(super) fn saw(
        &self,
        (transport, peer, local): (Transport, SocketAddr, SocketAddr),
        query: &[u8],
        answered: &Answered,
        answer: &[u8],
    ) {
        for (tap, since) in self.taps.taps.iter().zip(&self.since) {
            let every = tap.every.load(Relaxed);
            if every == 0 || since.fetch_add(1, Relaxed) + 1 < every {
                continue;
            }
            since.store(0, Relaxed);
            let seen = Seen {
                at: SystemTime::now(),
                transport,
                peer,
                local,
                rcode: answered.rcode,
                len: answered.len,
                query: query.into(),
                answer: if answered.len > MAX_ANSWER {
                    Box::default()
                } else {
                    answer[..answered.len].into()
                },
            };
            if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = tap.out.try_send(seen) {
                tap.lost.fetch_add(1, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(spigot: &Spigot, times: usize) {
        let (peer, local) = ("192.0.2.9:4000".parse().unwrap(), "192.0.2.1:53".parse().unwrap());
        let answered = Answered { len: 3, rcode: 3, ..Answered::default() };
        for _ in 0..times {
            spigot.saw((Transport::Udp, peer, local), b"query", &answered, b"answer");
        }
    }

    #[test]
    fn each_tap_takes_one_of_so_many_and_loses_what_it_has_no_room_for() {
        let (taps, [first, second]) = Taps::new();
        let spigot = Spigot::of(&taps);
        assert!(!spigot.is_on());
        taps.set([10, 0]);
        assert!(spigot.is_on());
        ask(&spigot, 25);
        let taken: Vec<Seen> = first.try_iter().collect();
        assert_eq!((taken.len(), second.try_iter().count()), (2, 0));
        assert_eq!((&*taken[0].query, &*taken[0].answer, taken[0].rcode), (&b"query"[..], &b"ans"[..], 3));

        taps.set([0, 1]);
        ask(&spigot, QUEUE + 7);
        assert_eq!((taps.lost(), first.try_iter().count()), ([0, 7], 0));
        assert_eq!(second.try_iter().count(), QUEUE);
        drop(second);
        ask(&spigot, 1);
        assert_eq!(taps.lost(), [0, 8], "nobody is left to write it");
    }

    #[test]
    fn a_long_answer_is_told_of_without_its_bytes() {
        let (taps, [first, _second]) = Taps::new();
        taps.set([1, 0]);
        let local = "192.0.2.1:53".parse().unwrap();
        let answered = Answered { len: 5000, ..Answered::default() };
        Spigot::of(&taps).saw((Transport::Tcp, local, local), b"q", &answered, &[0; 5000]);
        let seen = first.try_recv().unwrap();
        assert_eq!((seen.len, seen.answer.len()), (5000, 0));
    }
}
