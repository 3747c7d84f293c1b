//! TLS of the listeners here: with which certificate, or none, may change from one connection to the next. A
//! handshake is part of its connection's time, and nobody else waits for it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use crate::config::Identity;

/// How the next connection shakes hands; nothing while they are in clear text.
pub(super) type Secured = Arc<ArcSwapOption<ServerConfig>>;

/// What a listener shows of itself.
#[derive(Default)]
pub(super) struct Shown {
    secured: Secured,
    /// What that was made of.
    identity: Mutex<Option<Arc<Identity>>>,
}

impl Shown {
    pub(super) fn secured(&self) -> Secured {
        self.secured.clone()
    }

    /// What the next callers are shown; `key` is where the configuration has it.
    pub(super) fn set(&self, identity: Option<Arc<Identity>>, key: &str) {
        let mut shown = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == identity {
            return;
        }
        match identity.as_deref().map(server_config).transpose() {
            Ok(config) => {
                self.secured.store(config.map(Arc::new));
                *shown = identity;
            }
            // In clear text nobody would be served by it either.
            Err(error) => tracing::error!(%error, "{key} cannot be used, and stays as it is"),
        }
    }
}

/// How calls over TLS are taken. Errors: a certificate that is none, which loading has ruled out.
fn server_config(identity: &Identity) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    // Of what a client may offer (RFC 7301, section 6), the one that is spoken here.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What a connection is at a time.
pub(super) enum Stream {
    Plain(TcpStream),
    Shaking(Box<Accept<TcpStream>>),
    Secured(Box<TlsStream<TcpStream>>),
    /// The handshake has failed, and nothing else comes.
    Refused,
}

impl Stream {
    pub(super) fn new(stream: TcpStream, secured: &Secured) -> Stream {
        match secured.load_full() {
            Some(config) => Stream::Shaking(Box::new(TlsAcceptor::from(config).accept(stream))),
            None => Stream::Plain(stream),
        }
    }

    /// Goes on with the handshake, if there is one, to its end.
    pub(super) fn poll_shaken(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Stream::Shaking(shaking) = self {
            match ready!(Pin::new(&mut **shaking).poll(cx)) {
                Ok(stream) => *self = Stream::Secured(Box::new(stream)),
                Err(error) => {
                    tracing::debug!(%error, "a caller's handshake has failed");
                    *self = Stream::Refused;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Does the same to whichever stream there is, once it is one.
macro_rules! on_stream {
    ($stream:expr, $cx:expr, $poll:ident $(, $argument:expr)?) => {{
        use $crate::control::secure::Stream;
        match $stream.poll_shaken($cx) {
            std::task::Poll::Pending => std::task::Poll::Pending,
            std::task::Poll::Ready(Err(error)) => std::task::Poll::Ready(Err(error)),
            std::task::Poll::Ready(Ok(())) => match &mut $stream {
                Stream::Plain(stream) => Pin::new(stream).$poll($cx $(, $argument)?),
                Stream::Secured(stream) => Pin::new(&mut **stream).$poll($cx $(, $argument)?),
                Stream::Shaking(_) | Stream::Refused => {
                    std::task::Poll::Ready(Err(std::io::ErrorKind::NotConnected.into()))
                }
            },
        }
    }};
}
pub(super) use on_stream;
