//! TCP clients that mean harm, many at once and of every kind, and one that only wants an answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::dig::{Answer, query};
use crate::harness::{self, APP, Detour, Setup, World, own_address, until, zone};
use crate::site::{Site, sites};

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
threads = 2

[control]
listen = "127.0.0.1:0"

[[zone]]
name = "example.com"
file = "example.com.zone"
"#;

/// What the server lets one source have, and all of them (`src/server/admission.rs`).
const PER_SOURCE: usize = 64;
const IN_ALL: usize = 1024;

/// A connection from an address of our choice; none where the server has no room in its queue.
fn connect(server: SocketAddr, source: [u8; 4]) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::from(source), 0)).into()).unwrap();
    socket.connect_timeout(&server.into(), Duration::from_secs(10)).ok()?;
    Some(socket.into())
}

fn framed(name: &str) -> Vec<u8> {
    let query = query(7, name, "A");
    [&(query.len() as u16).to_be_bytes(), &query[..]].concat()
}

/// Asks once; none where the connection was refused or closed.
fn ask(server: SocketAddr, source: [u8; 4]) -> Option<Answer> {
    let mut stream = connect(server, source)?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&framed("www.example.com")).ok()?;
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut bytes).ok()?;
    Some(Answer::read(&bytes))
}

fn check_good_client(server: SocketAddr, what: &str) {
    let answer = until(what, || ask(server, [127, 66, 0, 1]));
    assert_eq!(answer.data(), ["192.0.2.80"]);
}

/// Sends queries and reads no answer, until nothing more can be sent for now.
fn stuff(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let queries = framed("www.example.com").repeat(100);
    // Full, closed, or this often: as much harm as can be done.
    let _sent = (0..2000).take_while(|_| stream.write_all(&queries).is_ok()).count();
}

/// What is done with a connection.
type Harm = fn(&mut TcpStream);

#[test]
fn every_kind_of_hostile_client_at_once_keeps_nobody_from_an_answer() {
    let detour = Detour::start(CONFIG, &zone(1, ""));
    let kinds: [(&str, Harm); 4] = [
        ("idle", |_| {}),
        ("half a length", |stream| drop(stream.write(&[0]))),
        ("half a query", |stream| drop(stream.write(&framed("www.example.com")[..20]))),
        ("not reading", stuff),
    ];
    let mut held = Vec::new();
    for (kind, (what, harm)) in (0..).zip(kinds) {
        for source in 0..2 {
            for _ in 0..PER_SOURCE / 2 {
                let mut stream = connect(detour.dns, [127, 67, kind, source]).expect("a connection");
                harm(&mut stream);
                held.push(stream);
            }
        }
        check_good_client(detour.dns, &format!("an answer beside clients that are {what}"));
    }
    // One byte each, again and again, is not a query either.
    for _ in 0..20 {
        for stream in &mut held {
            let _ = stream.set_nonblocking(true);
            let _ = stream.write(&[0]);
        }
        check_good_client(detour.dns, "an answer beside clients that drip");
    }
}

#[test]
fn one_source_gets_its_share_and_others_theirs() {
    let detour = Detour::start(CONFIG, &zone(1, ""));
    let _held: Vec<_> = (0..PER_SOURCE * 3).map(|_| connect(detour.dns, [127, 68, 0, 1])).collect();
    until("the source loses connections for those it opens", || {
        let (_, metrics) = detour.get("/metrics");
        let evicted =
            metrics.lines().find_map(|l| l.strip_prefix("detour_tcp_evicted_total{why=\"source\"}"));
        (evicted.unwrap().trim() == (PER_SOURCE * 2).to_string()).then_some(())
    });
    check_good_client(detour.dns, "an answer beside a greedy source");
}

/// This process, and the daemons that inherit it, hold more descriptors than a shell may allow.
fn allow_many_files() {
    let pid = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--nofile=4096:"]).status().unwrap();
    assert!(raised.success());
}

/// Connections that a thread keeps doing something with; they end with this value.
struct Held {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Held {
    /// Connects so often from each source. All the while each connection sends `bytes`, again and again, and is opened
    /// anew once it is closed. Returns when each has sent them once.
    fn start(server: SocketAddr, sources: Vec<[u8; 4]>, each: usize, bytes: Vec<u8>) -> Held {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, (ready, is_ready)) = (stop.clone(), mpsc::channel());
        let thread = std::thread::spawn(move || {
            let mut streams: Vec<_> = sources
                .iter()
                .flat_map(|source| (0..each).map(move |_| (*source, None::<TcpStream>)))
                .collect();
            while !stopped.load(Relaxed) {
                for (source, stream) in &mut streams {
                    let sent = stream.as_mut().is_some_and(|stream| {
                        let mut heard = [0; 4096];
                        let open = !matches!(stream.read(&mut heard), Ok(0));
                        open && stream.write_all(&bytes).is_ok()
                    });
                    if !sent {
                        *stream = connect(server, *source);
                        if let Some(stream) = stream {
                            stream.set_nonblocking(true).unwrap();
                            let _ = stream.write_all(&bytes);
                        }
                    }
                }
                let _ = ready.send(());
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        is_ready.recv().unwrap();
        Held { stop, thread: Some(thread) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        let joined = self.thread.take().map(JoinHandle::join);
        assert!(joined.is_some_and(|joined| joined.is_ok()) || std::thread::panicking());
    }
}

#[test]
fn a_server_full_of_busy_clients_answers_a_new_one() {
    allow_many_files();
    let detour = Detour::start(CONFIG, &zone(1, ""));
    let sources = (0..16).map(|n| [127, 70, 0, n]).collect();
    let _held = Held::start(detour.dns, sources, PER_SOURCE, framed("www.example.com"));
    for n in 0..10 {
        let answer = ask(detour.dns, [127, 70, 1, n]);
        assert_eq!(answer.expect("an answer").data(), ["192.0.2.80"]);
    }
}

#[test]
fn slow_clients_of_the_control_address_lock_nobody_out() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    // What it lets all have, by two addresses, none of which ever ends its request.
    let sources = vec![[127, 71, 0, 1], [127, 71, 0, 2]];
    let _held = Held::start(world.detour.control, sources, 64, b"G".to_vec());
    for _ in 0..5 {
        assert_eq!(world.detour.get("/healthz").0, 200);
        assert_eq!(world.detour.get("/").0, 200);
        world.detour.told(&["status"]);
    }
    world.detour.told(&["drain", "fra", "--reason", "beside slow clients"]);
    world.settles_on_iad();
    world.detour.told(&["undrain", "fra"]);
    world.settles_on_fra();
}

#[test]
fn a_flood_of_connections_leaves_files_for_a_failover() {
    allow_many_files();
    let [mut fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
    let config = harness::config(&Setup::default(), fra.port, &fra.addresses, &iad.addresses);
    let detour = Detour::start_within(256, &config, &zone(1, ""));
    let dns =
        Held::start(detour.dns, (0..40).map(|n| [127, 72, 0, n]).collect(), 4, framed("www.example.com"));
    let api = Held::start(detour.control, (0..40).map(|n| [127, 72, 1, n]).collect(), 2, b"G".to_vec());
    let settles_on = |site: &Site| {
        let address = site.addresses[0].to_string();
        until(&format!("{APP} answers {address}"), || {
            (detour.ask(APP, "A").data() == [&address]).then_some(())
        });
    };
    settles_on(&fra);
    fra.kill();
    settles_on(&iad);
    assert!(detour.told(&["history"]).contains("iad"), "it is written down");
    fra.revive();
    settles_on(&fra);
    assert!(!detour.log().contains("cannot accept"), "nothing wanted for files");
    drop((dns, api));
}

#[test]
fn a_server_full_of_idle_clients_makes_room() {
    allow_many_files();
    let detour = Detour::start(CONFIG, &zone(1, ""));
    let source = |n: usize| [127, 69, 0, (n / PER_SOURCE) as u8];
    let _held: Vec<_> = (0..IN_ALL).map(|n| connect(detour.dns, source(n))).collect();
    check_good_client(detour.dns, "an answer from a server that was full");
}

#[test]
fn the_daemon_opens_as_many_files_as_it_may() {
    let mut first = Detour::start(CONFIG, &zone(1, ""));
    first.kill();
    // As a shell starts it: few files, and leave to have more. prlimit becomes the daemon.
    let config = first.config_path();
    let mut limited = Command::new("prlimit")
        .args(["--nofile=1024:4096", env!("CARGO_BIN_EXE_detour"), "serve", "-c"])
        .arg(&config)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let limits = format!("/proc/{}/limits", limited.id());
    let raised = std::panic::catch_unwind(|| {
        until("the soft limit is the hard one", || {
            let limits = std::fs::read_to_string(&limits).unwrap();
            let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
            let [soft, hard, _] = files.split_whitespace().collect::<Vec<_>>()[..] else { return None };
            (soft == "4096" && hard == "4096").then_some(())
        });
    });
    limited.kill().unwrap();
    limited.wait().unwrap();
    raised.unwrap();
}
