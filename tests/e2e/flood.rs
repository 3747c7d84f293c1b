//! Names flip, files are loaded again, and clients ask at full speed: none is left without an answer, and
//! none gets a wrong one or half of one.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::dig::{Answer, query};
use crate::harness::{APP, Detour, MACHINE, Setup, config, own_address, until, zone};
use crate::site::sites;

const CLIENTS: usize = 2;
const QUERIES_PER_CLIENT: usize = 300_000;
/// Both clients together.
const QUERIES_PER_SECOND: usize = 50_000;
/// Unanswered queries a client allows itself, so that no socket buffer on the way can overflow.
const WINDOW: usize = 96;
const IDS: usize = 1 << 16;
/// A query without an answer for this long is lost.
const LOST_AFTER: Duration = Duration::from_secs(5);

const ASKED: [(&str, &str); 4] =
    [(APP, "A"), ("www.example.com", "A"), ("nowhere.example.com", "A"), ("example.com", "SOA")];

#[test]
fn no_query_is_lost_and_no_answer_is_half_of_one() {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    // Two addresses at each site: a mixture of two states would be seen.
    let pair = || vec![own_address(), own_address()];
    let [fra, iad] = sites(&[pair(), pair()]);
    let detour =
        Detour::start(&config(&Setup::default(), fra.port, &fra.addresses, &iad.addresses), &zone(1, ""));
    let texts = |site: &crate::site::Site| site.addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (at_fra, at_iad) = (texts(&fra), texts(&iad));
    until("fra is decided on", || (detour.ask(APP, "A").data() == at_fra).then_some(()));

    let running = AtomicUsize::new(CLIENTS);
    let (seen, flips, serials) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    // Counted down in every case: the steering below must end when a client fails.
                    let seen = std::panic::catch_unwind(|| flood(detour.dns));
                    running.fetch_sub(1, Ordering::Relaxed);
                    seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
            })
            .collect();
        let first = detour.serial();
        let flips = steer(&detour, &running);
        let serials = first..=detour.serial();
        let seen: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        (seen, flips, serials)
    });
    assert!(flips >= 10, "only {flips} flips while the clients asked");

    let mut sets = HashSet::new();
    for (asked, bytes) in seen.iter().flatten() {
        let answer = Answer::read(bytes);
        assert!(answer.authoritative, "{answer:?}");
        match ASKED[*asked] {
            (APP, _) => {
                let data: Vec<String> = answer.data().iter().map(|data| (*data).to_owned()).collect();
                assert!(data == at_fra || data == at_iad, "neither site: {answer:?}");
                assert!([30, 20, 5].contains(&answer.ttl().unwrap()), "{answer:?}");
                sets.insert(data);
            }
            ("www.example.com", _) => assert_eq!(answer.data(), ["192.0.2.80"]),
            ("nowhere.example.com", _) => assert_eq!((answer.rcode, answer.records.len()), (3, 0)),
            _ => {
                let serial: u32 = answer.data()[0].split(' ').nth(2).unwrap().parse().unwrap();
                assert!(serials.contains(&serial), "{serial} is not in {serials:?}");
            }
        }
    }
    assert_eq!(sets.len(), 2, "both sites were answered: {sets:?}");
}

/// Moves the service to and fro, and reloads, until the clients are done; gives the number of moves.
fn steer(detour: &Detour, running: &AtomicUsize) -> usize {
    let mut flips = 0;
    while running.load(Ordering::Relaxed) > 0 {
        // One address may write so often a second, and no more.
        thread::sleep(Duration::from_millis(60));
        match flips % 4 {
            0 | 2 => drop(detour.told(&["failover", APP, "--to", "iad", "--reason", "flood"])),
            _ => drop(detour.told(&["failback", APP])),
        }
        flips += 1;
        if flips % 5 == 0 {
            let (from, to) = if flips % 2 == 0 { ("20s", "30s") } else { ("30s", "20s") };
            detour.edit_config(&format!("ttl = \"{from}\""), &format!("ttl = \"{to}\""));
            detour.write_zone(&zone(1000 + flips as u32, "note TXT flood"));
            detour.told(&["reload"]);
        }
    }
    flips
}

/// The distinct answers, each with its question and its id blanked.
type Seen = HashSet<(usize, Vec<u8>)>;

/// Asks [`QUERIES_PER_CLIENT`] times with at most [`WINDOW`] queries under way.
fn flood(server: SocketAddr) -> Seen {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(LOST_AFTER)).unwrap();
    let queries = ASKED.map(|(name, rtype)| query(0, name, rtype));
    let mut seen = Seen::new();
    // A query's id is its number's low 16 bits; the window keeps them apart.
    let mut waiting = vec![None; IDS];
    let (mut sent, mut answered) = (0, 0);
    let started = Instant::now();
    while answered < QUERIES_PER_CLIENT {
        while sent < QUERIES_PER_CLIENT && sent - answered < WINDOW && due(started, sent) {
            let asked = sent % ASKED.len();
            let mut query = queries[asked].clone();
            query[..2].copy_from_slice(&(sent as u16).to_be_bytes());
            socket.send(&query).unwrap();
            waiting[sent % IDS] = Some(asked);
            sent += 1;
        }
        if sent == answered {
            thread::sleep(Duration::from_micros(200)); // ahead of the rate, and nothing under way
            continue;
        }
        let mut buffer = [0; 1500];
        let len = match socket.recv(&mut buffer) {
            Ok(len) => len,
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                panic!("{} of {sent} queries have no answer after {LOST_AFTER:?}", sent - answered)
            }
            Err(error) => panic!("{error}"),
        };
        assert!(len >= 12, "{len} bytes are no message");
        let id = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
        let asked = waiting[id].take().unwrap_or_else(|| panic!("an answer nobody waits for: id {id}"));
        buffer[..2].fill(0);
        seen.insert((asked, buffer[..len].to_vec()));
        answered += 1;
    }
    seen
}

/// Whether the rate allows the next query.
fn due(started: Instant, sent: usize) -> bool {
    let rate = (QUERIES_PER_SECOND / CLIENTS) as f64;
    sent as f64 <= started.elapsed().as_secs_f64() * rate
}
