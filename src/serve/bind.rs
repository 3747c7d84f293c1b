//! Sockets, bound before anything is served, so that a taken port is known at once.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::batch;
use super::limits::TcpLimits;

/// What the system is asked to hold of queries not yet read: a burst of some ten thousand.
const RECEIVE_BUFFER: usize = 4 << 20;
/// And of answers not yet sent.
const SEND_BUFFER: usize = 1 << 20;
/// How often an idle worker looks whether it is to stop.
const RECEIVE_TIMEOUT: Duration = Duration::from_millis(100);
/// Connections the system holds until they are accepted.
const BACKLOG: i32 = 1024;
/// How often a port the system chose for UDP may turn out to be taken for TCP.
const PORT_TRIES: usize = 16;
/// The most workers an address gets.
const MAX_THREADS: usize = 256;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another server is there.
    #[error("{address} is in use by another server ({transport}): stop it (`ss -lnp 'sport = :{port}'` shows \
             it) or change server.listen", port = address.port())]
    InUse {
        /// The address.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: &'static str,
    },
    /// Ports below 1024 are for those who may.
    #[error(
        "{address} needs the right to ports below 1024: start with CAP_NET_BIND_SERVICE (the systemd unit \
             does), as root, or choose a higher port in server.listen"
    )]
    Denied {
        /// The address.
        address: SocketAddr,
    },
    /// The host has no such address.
    #[error("{address} is not an address of this host: see `ip address`, or correct server.listen")]
    NotHere {
        /// The address.
        address: SocketAddr,
    },
    /// Nothing to listen on.
    #[error("server.listen is empty: name one address at least")]
    Nothing,
    /// Anything else the system says.
    #[error("{address} cannot be listened on ({transport}): {source}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// A UDP socket and what its worker needs to know of it.
pub(super) struct UdpEnd {
    pub(super) socket: UdpSocket,
    /// The worker's number among those of its address.
    pub(super) worker: usize,
    /// Bound to all of the host's addresses: answers must say which one was asked.
    pub(super) wildcard: bool,
}

/// Sockets that are bound and not yet served. What arrives meanwhile waits.
pub struct Sockets {
    addresses: Vec<SocketAddr>,
    udp: Vec<UdpEnd>,
    tcp: Vec<TcpListener>,
    limits: TcpLimits,
}

impl Sockets {
    /// Binds UDP and TCP on every address, with `threads` UDP sockets each (0: one per core). Port 0 lets
    /// the system choose; UDP, TCP and all threads then have the same one.
    pub fn bind(listen: &[SocketAddr], threads: usize) -> Result<Sockets, BindError> {
        if listen.is_empty() {
            return Err(BindError::Nothing);
        }
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let limits = TcpLimits::default();
        let mut sockets = Sockets { addresses: Vec::new(), udp: Vec::new(), tcp: Vec::new(), limits };
        for &address in listen {
            sockets.add(address, threads.min(MAX_THREADS))?;
        }
        Ok(sockets)
    }

    /// The same sockets with other bounds on TCP.
    #[must_use]
    pub fn with_limits(mut self, limits: TcpLimits) -> Sockets {
        self.limits = limits;
        self
    }

    /// The addresses, with the ports the system chose, in the order of `listen`.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    pub(super) fn into_parts(self) -> (TcpLimits, Vec<UdpEnd>, Vec<TcpListener>) {
        (self.limits, self.udp, self.tcp)
    }

    fn add(&mut self, asked: SocketAddr, threads: usize) -> Result<(), BindError> {
        let mut tries = 1..=PORT_TRIES;
        let (address, first, listener) = loop {
            let (address, first) = first_udp(asked).map_err(|e| bind_error(asked, "udp", e))?;
            match tcp(address) {
                Ok(listener) => break (address, first, listener),
                Err(error) => {
                    let again = asked.port() == 0 && error.kind() == io::ErrorKind::AddrInUse;
                    if !again || tries.next().is_none() {
                        return Err(bind_error(asked, "tcp", error));
                    }
                }
            }
        };
        let wildcard = address.ip().is_unspecified();
        let mut ends = vec![first];
        for _ in 1..threads {
            ends.push(udp(address, true).map_err(|e| bind_error(address, "udp", e))?);
        }
        for (worker, socket) in ends.into_iter().enumerate() {
            self.udp.push(UdpEnd { socket: socket.into(), worker, wildcard });
        }
        self.tcp.push(listener);
        self.addresses.push(address);
        Ok(())
    }
}

fn bind_error(address: SocketAddr, transport: &'static str, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, transport },
        io::ErrorKind::PermissionDenied => BindError::Denied { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotHere { address },
        _ => BindError::Other { address, transport, source },
    }
}

/// The first socket of an address. It is bound alone and shares its port only then: otherwise a second
/// server of the same user would share it too, and each get a part of the queries.
fn first_udp(asked: SocketAddr) -> io::Result<(SocketAddr, Socket)> {
    let socket = udp(asked, false)?;
    socket.set_reuse_port(true)?;
    let address = socket.local_addr()?.as_socket().unwrap_or(asked);
    Ok((address, socket))
}

fn udp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    // The system may grant less; then bursts are shorter.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
    if address.ip().is_unspecified() {
        batch::ask_for_destinations(&socket, address.is_ipv6())?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // So that connections of an earlier run that are still closing do not hold the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn port_zero_is_one_port_for_all() {
        let sockets = Sockets::bind(&[address("127.0.0.1:0"), address("127.0.0.2:0")], 3).expect("bound");
        assert_eq!((sockets.udp.len(), sockets.tcp.len()), (6, 2));
        for (i, bound) in sockets.addresses().iter().enumerate() {
            assert_ne!(bound.port(), 0);
            assert_eq!(sockets.tcp[i].local_addr().expect("bound"), *bound);
            for end in &sockets.udp[i * 3..i * 3 + 3] {
                assert_eq!(end.socket.local_addr().expect("bound"), *bound);
            }
        }
    }

    #[test]
    fn a_taken_port_is_an_error_also_between_two_of_us() {
        let first = Sockets::bind(&[address("127.0.0.1:0")], 2).expect("bound");
        let taken = first.addresses()[0];
        let error = Sockets::bind(&[taken], 2).err().expect("an error");
        assert!(matches!(error, BindError::InUse { transport: "udp", .. }), "{error}");
        assert!(error.to_string().starts_with(&format!("{taken} is in use")), "{error}");

        let tcp_only = TcpListener::bind("127.0.0.1:0").expect("bound");
        let taken = tcp_only.local_addr().expect("bound");
        let error = Sockets::bind(&[taken], 1).err().expect("an error");
        assert!(matches!(error, BindError::InUse { transport: "tcp", .. }), "{error}");
    }

    #[test]
    fn errors_name_the_way_out() {
        let error = Sockets::bind(&[address("192.0.2.1:0")], 1).err().expect("an error");
        assert!(error.to_string().contains("not an address of this host"), "{error}");
        let error = Sockets::bind(&[], 1).err().expect("an error");
        assert!(matches!(error, BindError::Nothing), "{error}");
    }
}
