//! Connections: a bound on how many, and on how long one may be silent, its handshake included.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::places::{Place, Places};
use super::secure::{Secured, Stream, on_stream};

/// How many connections one address has, half of all: nobody keeps the others out.
const MAX_PER_ADDRESS: usize = 64;

/// A listener that accepts no more than it may; the rest wait in the kernel's queue.
pub(super) struct Bounded {
    listener: TcpListener,
    secured: Secured,
    permits: Arc<Semaphore>,
    places: Places,
    idle: Duration,
}

/// One connection, cut when it is silent for too long.
pub(super) struct Connection {
    stream: Stream,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    _place: Place,
    _permit: OwnedSemaphorePermit,
}

impl Bounded {
    pub(super) fn new(
        listener: TcpListener,
        secured: Secured,
        connections: usize,
        idle: Duration,
    ) -> Bounded {
        let (permits, places) = (Arc::new(Semaphore::new(connections)), Places::new(MAX_PER_ADDRESS));
        Bounded { listener, secured, permits, places, idle }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let permit = loop {
            match self.permits.clone().acquire_owned().await {
                Ok(permit) => break permit,
                // Only a closed semaphore refuses, and nothing closes it.
                Err(_) => std::future::pending().await,
            }
        };
        let (stream, peer, place) = loop {
            // axum's own accept waits a second after an error such as EMFILE, and tries again.
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            // One too many of one address is closed.
            if let Some(place) = self.places.take(peer.ip()) {
                break (stream, peer, place);
            }
        };
        let deadline = Box::pin(sleep(self.idle));
        let stream = Stream::new(stream, &self.secured);
        (Connection { stream, idle: self.idle, deadline, _place: place, _permit: permit }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connection {
    /// Passes on what the stream did; while it does nothing, watches the deadline.
    fn watched<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.deadline.as_mut().reset(Instant::now() + self.idle);
            return done;
        }
        self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = &mut *self;
        let done = on_stream!(connection.stream, cx, poll_read, buf);
        connection.watched(cx, done)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let connection = &mut *self;
        let done = on_stream!(connection.stream, cx, poll_write, buf);
        connection.watched(cx, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self.stream, cx, poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self.stream, cx, poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn bounded(connections: usize, idle: Duration) -> (Bounded, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        (Bounded::new(listener, Secured::default(), connections, idle), addr)
    }

    #[tokio::test]
    async fn the_next_connection_waits_for_one_to_end() {
        let (mut listener, addr) = bounded(1, Duration::from_secs(60)).await;
        let (_a, _b) = (TcpStream::connect(addr).await.unwrap(), TcpStream::connect(addr).await.unwrap());
        let (first, _) = listener.accept().await;
        let mut second = std::pin::pin!(listener.accept());
        let waits = std::future::poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
        drop(first);
        second.await;
    }

    #[tokio::test]
    async fn a_silent_connection_is_cut() {
        let (mut listener, addr) = bounded(2, Duration::from_millis(50)).await;
        let mut client = TcpStream::connect(addr).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        client.write_all(b"x").await.unwrap();
        // The byte may come too late on a busy machine; the cut comes either way.
        let mut byte = [0];
        let cut = loop {
            match connection.read(&mut byte).await {
                Ok(read) => assert_eq!(read, 1, "the client is still there"),
                Err(cut) => break cut,
            }
        };
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
    }
}
