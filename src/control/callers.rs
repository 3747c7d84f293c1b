//! The connections of sites that call in: from anywhere, so each is short, and no source may have many.

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
use tokio::time::{Sleep, sleep};

use super::places::{Place, Places};
use super::secure::{Secured, Stream, on_stream};

/// How many connections are open at a time; the next one waits to be accepted.
const MAX_CALLERS: usize = 1024;
/// How many of them one address has; a further one is closed. Many sites may sit behind one address, and
/// a beat takes milliseconds.
const MAX_PER_ADDRESS: usize = 32;
/// How long one lasts, whatever comes over it.
const LIFETIME: Duration = Duration::from_secs(10);

/// Accepts callers within the bounds.
pub(super) struct Callers {
    listener: TcpListener,
    secured: Secured,
    permits: Arc<Semaphore>,
    places: Places,
    lifetime: Duration,
}

/// One connection, cut at the end of its time.
pub(super) struct Caller {
    stream: Stream,
    end: Pin<Box<Sleep>>,
    _place: Place,
    _permit: OwnedSemaphorePermit,
}

impl Callers {
    pub(super) fn new(listener: TcpListener, secured: Secured) -> Callers {
        let permits = Arc::new(Semaphore::new(MAX_CALLERS));
        Callers { listener, secured, permits, places: Places::new(MAX_PER_ADDRESS), lifetime: LIFETIME }
    }
}

impl Listener for Callers {
    type Io = Caller;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Caller, SocketAddr) {
        loop {
            let Ok(permit) = self.permits.clone().acquire_owned().await else {
                // Only a closed semaphore refuses, and nothing closes it.
                std::future::pending().await
            };
            // axum's own accept waits a second after an error such as EMFILE, and tries again.
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            if let Some(place) = self.places.take(peer.ip()) {
                let end = Box::pin(sleep(self.lifetime));
                let stream = Stream::new(stream, &self.secured);
                return (Caller { stream, end, _place: place, _permit: permit }, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Caller {
    fn within<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => done,
        }
    }
}

impl AsyncRead for Caller {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let caller = &mut *self;
        let done = on_stream!(caller.stream, cx, poll_read, buf);
        caller.within(cx, done)
    }
}

impl AsyncWrite for Caller {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let caller = &mut *self;
        let done = on_stream!(caller.stream, cx, poll_write, buf);
        caller.within(cx, done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let caller = &mut *self;
        let done = on_stream!(caller.stream, cx, poll_flush);
        caller.within(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let caller = &mut *self;
        let done = on_stream!(caller.stream, cx, poll_shutdown);
        caller.within(cx, done)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn callers(lifetime: Duration) -> (Callers, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        (Callers { lifetime, ..Callers::new(listener, Secured::default()) }, addr)
    }

    #[tokio::test]
    async fn one_address_has_so_many_and_no_more() {
        let (mut callers, addr) = callers(Duration::from_secs(60)).await;
        let (mut clients, mut accepted) = (Vec::new(), Vec::new());
        for _ in 0..MAX_PER_ADDRESS {
            clients.push(TcpStream::connect(addr).await.unwrap());
            accepted.push(callers.accept().await);
        }
        let mut refused = TcpStream::connect(addr).await.unwrap();
        let mut byte = [0];
        tokio::select! {
            _ = callers.accept() => panic!("one too many was accepted"),
            // Closed, with or without a reset.
            read = refused.read(&mut byte) => assert!(!matches!(read, Ok(1..))),
        }
        accepted.pop();
        let _next = TcpStream::connect(addr).await.unwrap();
        callers.accept().await;
        drop(accepted);
        assert!(callers.places.is_empty());
    }

    #[tokio::test]
    async fn a_drip_does_not_keep_a_connection_open() {
        let (mut callers, addr) = callers(Duration::from_millis(100)).await;
        let mut client = TcpStream::connect(addr).await.unwrap();
        let (mut caller, _) = callers.accept().await;
        let dripping = tokio::spawn(async move { while client.write_all(b"x").await.is_ok() {} });
        let mut byte = [0];
        let cut = loop {
            if let Err(cut) = caller.read(&mut byte).await {
                break cut;
            }
        };
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        drop(caller);
        dripping.await.unwrap();
    }
}
