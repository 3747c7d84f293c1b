//! Where a daemon listens: bound before anything is begun, so that a port in use is told at once.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::thread;

use serde::Serialize;
use tokio::net::TcpListener;
use tracing::warn;

use super::first::StartError;
use super::open_files::{self, Shares};
use crate::model::Config;
use crate::server::Sockets;

/// What is shared out where the limit on open files cannot be told: what processes are started with.
const UNRAISED_FILES: usize = 1024;

/// Where a daemon listens; written to `addresses.json` in the state directory.
#[derive(Clone, Debug, Serialize)]
pub struct Addresses {
    /// UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// The API.
    pub control: SocketAddr,
    /// Where sites call in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<SocketAddr>,
}

/// The listeners of a configuration, and how many connections each may have open.
pub struct Listeners {
    pub dns: Sockets,
    pub control: Bound,
    pub heartbeat: Option<Bound>,
    pub shares: Shares,
}

/// A listener, and where it came to listen.
pub type Bound = (TcpListener, SocketAddr);

impl Listeners {
    /// Binds them; `files` may be open at once.
    pub async fn bind(config: &Config, files: usize) -> Result<Listeners, StartError> {
        let shares = shares(files, config);
        let server = &config.server;
        let dns = Sockets::bind(&server.listen, server.threads)?.with_connections(shares.dns);
        let listen = config.control.listen;
        let control = open(listen).await.map_err(|e| StartError::Control(listen, e))?;
        let heartbeat = match config.heartbeat.as_ref().map(|heartbeat| heartbeat.listen) {
            Some(listen) => Some(open(listen).await.map_err(|e| StartError::Heartbeat(listen, e))?),
            None => None,
        };
        Ok(Listeners { dns, control, heartbeat, shares })
    }

    /// Where they came to listen.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            dns: self.dns.addresses(),
            control: self.control.1,
            heartbeat: self.heartbeat.as_ref().map(|(_, bound)| *bound),
        }
    }
}

/// Raises the limit on open files as far as it goes, and says how many that are.
pub fn raise_open_files() -> usize {
    open_files::raise().unwrap_or_else(|why| {
        warn!("the limit on open files stays as it is: {why}");
        UNRAISED_FILES
    })
}

/// How many connections each listener may have open, and a word in the log where that is less than it could be.
fn shares(files: usize, config: &Config) -> Shares {
    let threads = match config.server.threads {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        given => given,
    };
    // A socket for each worker, and the listener.
    let shares = Shares::of(files, config.server.listen.len() * (threads + 1), config.heartbeat.is_some());
    if shares.are_small() {
        let Shares { dns, control, heartbeat } = shares;
        warn!(
            "at most {files} open files: so at most {dns} connections of DNS over TCP, {control} of the API and \
             {heartbeat} of heartbeats are open at once; raise the limit (LimitNOFILE= in a systemd unit)"
        );
    }
    shares
}

async fn open(listen: SocketAddr) -> io::Result<Bound> {
    let listener = TcpListener::bind(listen).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}
