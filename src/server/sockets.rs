//! Binding: one UDP socket per worker and one TCP listener for each address, on the same port.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::num::NonZero;
use std::thread;

use socket2::{Domain, Protocol, Socket, Type};

use super::options;
use super::udp::LOOK_UP;

/// UDP workers per address.
const MAX_WORKERS: usize = 256;

/// Ports tried where any port will do, until one is free for UDP and TCP both.
const PORT_ATTEMPTS: usize = 16;

/// Asked of the kernel for each UDP socket, which gives what its own bound allows. Room for some
/// 10,000 small queries: those of 20 ms, at 500,000 a second, that a worker is off its core.
const UDP_BUFFER: usize = 4 << 20;

/// Connections the kernel holds until they are accepted.
const TCP_BACKLOG: i32 = 1024;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// No address was given.
    #[error("there is nothing to listen on: name an address in `listen` of [server]")]
    NoAddress,
    /// Somebody else listens there.
    #[error(
        "{address} is in use for {transport}: stop the server that has it (`ss -lnp sport = :{port}` names it) \
         or change `listen` in [server]",
        port = address.port()
    )]
    InUse {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
    },
    /// The process may not have that port.
    #[error(
        "not allowed to listen on {address}: grant CAP_NET_BIND_SERVICE (AmbientCapabilities= in a systemd unit) \
         or take a port from 1024 up in `listen` of [server]"
    )]
    Denied {
        /// The address.
        address: SocketAddr,
    },
    /// No interface has that address.
    #[error(
        "{address} is not an address of this host: `ip address` shows those that are; see `listen` in [server]"
    )]
    NotOurs {
        /// The address.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address} for {transport}: {source}; see `listen` in [server]")]
    Other {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Sockets that are bound and not yet served: queries wait in the kernel.
#[derive(Debug)]
pub struct Sockets {
    pub(super) bound: Vec<Bound>,
    /// How many connections may be open at once.
    pub(super) connections: usize,
}

/// One address to listen on.
#[derive(Debug)]
pub(super) struct Bound {
    /// With the port it has, where any port would do.
    pub(super) address: SocketAddr,
    /// One for each worker; the kernel spreads queries over them by their source.
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: TcpListener,
}

impl Sockets {
    /// Binds every address of `listen` for UDP and TCP, for `threads` UDP workers each (0: one per
    /// core; at most 256). Port 0 becomes one free port, the same for both.
    pub fn bind(listen: &[SocketAddr], threads: usize) -> Result<Sockets, BindError> {
        if listen.is_empty() {
            return Err(BindError::NoAddress);
        }
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, NonZero::get),
            given => given,
        };
        let threads = threads.min(MAX_WORKERS);
        let bound = listen.iter().map(|address| bind_address(*address, threads)).collect::<Result<_, _>>()?;
        Ok(Sockets { bound, connections: usize::MAX })
    }

    /// The addresses as bound, in the order given, with the ports they have.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.address).collect()
    }

    /// Has so many connections open at once, and never more than [`MAX_CONNECTIONS`](super::MAX_CONNECTIONS).
    #[must_use]
    pub fn with_connections(self, connections: usize) -> Sockets {
        Sockets { connections, ..self }
    }
}

fn bind_address(address: SocketAddr, threads: usize) -> Result<Bound, BindError> {
    let mut attempts = if address.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_port(address, threads) {
            Err(BindError::InUse { .. }) if attempts > 0 => {}
            outcome => return outcome,
        }
    }
}

fn bind_port(wanted: SocketAddr, threads: usize) -> Result<Bound, BindError> {
    let tcp = bind_tcp(wanted).map_err(|error| explain(wanted, "TCP", error))?;
    let address = tcp.local_addr().map_err(|error| explain(wanted, "TCP", error))?;
    let udp = bind_udp(address, threads).map_err(|error| explain(address, "UDP", error))?;
    Ok(Bound { address, udp, tcp })
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of the run before may still be in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(TCP_BACKLOG)?;
    Ok(socket.into())
}

/// The first socket is bound alone and shares its port only afterwards: SO_REUSEPORT from the start
/// would let this process quietly take half the queries of another server of the same user.
fn bind_udp(address: SocketAddr, threads: usize) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = Vec::with_capacity(threads);
    for worker in 0..threads {
        let socket = udp_socket(address)?;
        if worker == 0 {
            socket.bind(&address.into())?;
            socket.set_reuse_port(threads > 1)?;
        } else {
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
        }
        sockets.push(socket.into());
    }
    Ok(sockets)
}

fn udp_socket(address: SocketAddr) -> io::Result<Socket> {
    let v6 = address.is_ipv6();
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    if address.ip().is_unspecified() {
        options::tell_local_address(&socket, v6)?;
    }
    socket.set_read_timeout(Some(LOOK_UP))?;
    socket.set_write_timeout(Some(LOOK_UP))?;
    // Right without these, only less so: a kernel or sandbox that refuses them does not stop us.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    let _ = options::ignore_path_mtu(&socket, v6);
    Ok(socket)
}

fn explain(address: SocketAddr, transport: &'static str, error: io::Error) -> BindError {
    match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, transport },
        io::ErrorKind::PermissionDenied => BindError::Denied { address },
        io::ErrorKind::AddrNotAvailable => BindError::NotOurs { address },
        _ => BindError::Other { address, transport, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_error(listen: &str, expect: &str) {
        let error = Sockets::bind(&[listen.parse().unwrap()], 1).unwrap_err().to_string();
        assert!(error.starts_with(expect), "{error}");
        assert!(error.contains("`listen`"), "no way out: {error}");
    }

    #[test]
    fn an_error_names_the_address_and_the_way_out() {
        check_error("192.0.2.77:0", "192.0.2.77:0 is not an address of this host");
        let error = Sockets::bind(&[], 1).unwrap_err().to_string();
        assert_eq!(error, "there is nothing to listen on: name an address in `listen` of [server]");
    }

    #[test]
    fn a_port_in_use_is_refused_for_either_transport() {
        // An address that nobody else here goes out from, so that the port is free for the other transport.
        let tcp = TcpListener::bind("127.213.7.9:0").unwrap();
        let taken = tcp.local_addr().unwrap();
        check_error(&taken.to_string(), &format!("{taken} is in use for TCP"));

        let udp = UdpSocket::bind("127.213.7.9:0").unwrap();
        let taken = udp.local_addr().unwrap();
        check_error(&taken.to_string(), &format!("{taken} is in use for UDP"));
    }

    #[test]
    fn a_second_server_does_not_share_the_first_ones_port() {
        let first = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], 3).unwrap();
        let second = Sockets::bind(&first.addresses(), 3).unwrap_err();
        assert!(matches!(second, BindError::InUse { .. }), "{second}");

        // Neither does somebody who would share UDP alone.
        let socket = udp_socket(first.addresses()[0]).unwrap();
        assert!(socket.bind(&first.addresses()[0].into()).is_err());
    }

    #[test]
    fn any_port_is_one_port_for_every_worker_and_both_transports() {
        let sockets =
            Sockets::bind(&["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()], 4).unwrap();
        for (bound, address) in sockets.bound.iter().zip(sockets.addresses()) {
            assert_ne!(address.port(), 0);
            assert_eq!(bound.tcp.local_addr().unwrap(), address);
            assert_eq!(bound.udp.len(), 4);
            for udp in &bound.udp {
                assert_eq!(udp.local_addr().unwrap(), address);
            }
        }
    }

    #[test]
    fn both_wildcards_share_a_port() {
        let shared = (0..PORT_ATTEMPTS).any(|_| {
            let v4 = Sockets::bind(&["0.0.0.0:0".parse().unwrap()], 2).unwrap();
            let v6 = SocketAddr::new("::".parse().unwrap(), v4.addresses()[0].port());
            // Another test may hold that port for v6; not every time.
            Sockets::bind(&[v6], 2).is_ok()
        });
        assert!(shared);
    }
}
