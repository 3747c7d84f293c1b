//! Ports for servers that must be told theirs.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port given, and how many there are: below those that the kernel gives to clients and to whoever
/// asks for any (`ip_local_port_range`), so that none is taken between here and the server's start.
const FIRST: u16 = 10_000;
const PORTS: u16 = 22_000;

static GIVEN: AtomicU16 = AtomicU16::new(0);
/// A name for each port given: no other process of tests gives it while this one lives.
static HELD: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1, free for UDP and TCP, and given to nobody else.
pub fn free_port() -> u16 {
    let begin = process::id() % u32::from(PORTS);
    for _ in 0..PORTS {
        let next = begin + u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(next % u32::from(PORTS)).unwrap();
        // An abstract name is of this network alone, as ports are, and gone with the process.
        let name = SocketAddr::from_abstract_name(format!("detour-test-port-{port}")).unwrap();
        let Ok(name) = UnixListener::bind_addr(&name) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            HELD.lock().unwrap().push(name);
            return port;
        }
    }
    panic!("no port of 127.0.0.1 is free");
}
