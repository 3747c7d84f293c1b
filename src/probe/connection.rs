//! A run's connection: made, metered, and reset when the run is over.
//!
//! Every run has a connection of its own, and this side is the one that ends it. An orderly close would
//! leave it in TIME-WAIT for a minute (RFC 9293, section 3.6.1), and at 10,000 runs a second that is
//! 600,000 of them, where an address and port can be connected to from 28,000 ports: after three seconds
//! no run against a few targets would find one. So the end is a reset (`SO_LINGER` of zero), which leaves
//! nothing behind on either side. The endpoint has said by then what it was asked for, and an endpoint
//! that is slow or stuck is rid of the connection at once. What a server logs of it, if anything, is a
//! client that went away.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::failure::{judge, routed};
use super::progress::Course;
use crate::health::{Failure, Outcome};

/// What one run reads at most, in bytes, everything counted: heads, bodies, their framing and TLS's. It is
/// far more than the parts' own bounds come to; what meets it is made of nothing but framing.
const MAX_READ: usize = 1 << 20;

/// Connects to where this run goes.
pub(super) async fn connect(to: SocketAddr, course: &Course) -> Result<TcpStream, Outcome> {
    match attempt(to).await {
        // A connect to a closed port of this host meets itself when the kernel happens to pick that
        // very port to connect from (RFC 9293, section 3.5: simultaneous open).
        Ok((local, _)) if local == to => Err(Outcome::Failed(Failure::Refused)),
        Ok((_, stream)) => Ok(stream),
        Err(error) => Err(judge(&error, course.phase(), || routed(to.ip()))),
    }
}

async fn attempt(to: SocketAddr) -> io::Result<(SocketAddr, TcpStream)> {
    let stream = TcpStream::connect(to).await?;
    stream.set_zero_linger()?;
    // The end of a TLS handshake and the request are two writes: the second must not wait for the first.
    stream.set_nodelay(true)?;
    Ok((stream.local_addr()?, stream))
}

/// A connection that gives up when more than [`MAX_READ`] bytes were read.
#[derive(Debug)]
pub(super) struct Metered {
    stream: TcpStream,
    left: usize,
}

impl Metered {
    pub(super) fn new(stream: TcpStream) -> Metered {
        Metered { stream, left: MAX_READ }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::other(format!("an answer of more than {MAX_READ} bytes"))));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        self.left = self.left.saturating_sub(into.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
