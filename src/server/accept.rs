//! Accepting connections, whatever the host is short of.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The pause after an accept that failed for want of something, descriptors mostly: trying again at once would
/// fail at once, for as long as it lasts.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts from one listener.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    /// What it listens for, for the log.
    name: &'static str,
    errors: u64,
}

impl Acceptor {
    /// Of a listener for what `name` says.
    pub fn new(listener: TcpListener, name: &'static str) -> Acceptor {
        Acceptor { listener, name, errors: 0 }
    }

    /// The next connection, and from where; an IPv4 address is never one of IPv6. May be dropped while it waits.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    // Without it a lone answer may wait for the acknowledgement of the one before.
                    let _ = stream.set_nodelay(true);
                    return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
                }
                // The client has gone again; the next one has not.
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::ConnectionReset
                    ) => {}
                Err(error) => {
                    self.errors += 1;
                    if self.errors.is_power_of_two() {
                        let errors = self.errors;
                        tracing::warn!(%error, errors, "cannot accept a connection for {}", self.name);
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }
}
