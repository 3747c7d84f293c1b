//! Ports for servers that must be told theirs.

use std::net::{TcpListener, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port given, and how many there are: below those that the kernel gives to clients and to whoever
/// asks for any (`ip_local_port_range`), so that none is taken between here and the server's start.
const FIRST: u16 = 10_000;
const PORTS: u16 = 22_000;

static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1, free for UDP and TCP, and given to nobody else.
pub fn free_port() -> u16 {
    let begin = process::id() % u32::from(PORTS);
    for _ in 0..PORTS {
        let next = begin + u32::from(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(next % u32::from(PORTS)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of 127.0.0.1 is free");
}
