//! Ports for servers that must be told theirs.

use std::fs;
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

/// A port that no socket has, for UDP and TCP, and that is given to nobody else.
pub fn free_port() -> u16 {
    let begin = process::id() % u32::from(PORTS);
    for _ in 0..PORTS {
        let next = begin + u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(next % u32::from(PORTS)).unwrap();
        // An abstract name is of this network alone, as ports are, and gone with the process.
        let name = SocketAddr::from_abstract_name(format!("detour-test-port-{port}")).unwrap();
        let Ok(name) = UnixListener::bind_addr(&name) else { continue };
        if !is_used(port) {
            HELD.lock().unwrap().push(name);
            return port;
        }
    }
    panic!("no port is free");
}

/// Whether a socket of this network has the port, by the kernel's own lists (proc_net(5)). To bind it would be a
/// way to find out that is no good: a process that another thread starts at that moment has the socket, too,
/// until it runs its own program, and the port is taken for whoever it was meant for.
fn is_used(port: u16) -> bool {
    ["tcp", "tcp6", "udp", "udp6"].iter().any(|list| {
        // Without IPv6 there are no such lists.
        let list = fs::read_to_string(format!("/proc/net/{list}")).unwrap_or_default();
        // After the number of the line: the local address, its port in hexadecimal.
        let ports = list.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)?.rsplit_once(':'));
        ports.into_iter().any(|(_, hexadecimal)| u16::from_str_radix(hexadecimal, 16) == Ok(port))
    })
}
