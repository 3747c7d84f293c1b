//! A stream whose peer has to read: what is written may wait for it, but not for long on the whole.
//!
//! Each connection has an allowance of time that its writes may wait. Waiting uses it up, bytes that are taken give
//! it back. So a peer that reads as fast as a poor line does is never cut, and one that takes a byte now and then is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How slowly a peer may read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long writes may wait, on the whole, for what is not taken.
    pub(super) patience: Duration,
    /// The bytes that give a second of it back.
    pub(super) bytes_per_second: u32,
}

/// Such a stream.
pub(super) struct Paced<S> {
    stream: S,
    pace: Pace,
    /// What is left of the allowance.
    left: Duration,
    /// Since when the write under way waits.
    waiting: Option<Instant>,
    deadline: Pin<Box<Sleep>>,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Pace) -> Paced<S> {
        let deadline = Box::pin(sleep(pace.patience));
        Paced { stream, pace, left: pace.patience, waiting: None, deadline }
    }

    /// Passes on what a write did, which took so many bytes; while it does nothing, watches the deadline.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
        taken: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        let now = Instant::now();
        let Poll::Ready(done) = done else {
            if self.waiting.is_none() {
                self.waiting = Some(now);
                self.deadline.as_mut().reset(now + self.left);
            }
            return self.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()));
        };
        if let Some(since) = self.waiting.take() {
            self.left = self.left.saturating_sub(now - since);
        }
        let bytes = done.as_ref().map_or(0, taken);
        let earned = Duration::from_secs_f64(bytes as f64 / f64::from(self.pace.bytes_per_second));
        self.left = (self.left + earned).min(self.pace.patience);
        Poll::Ready(done)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(cx, done, |bytes| *bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.watched(cx, done, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watched(cx, done, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PACE: Pace = Pace { patience: Duration::from_secs(1), bytes_per_second: 5_000 };

    /// Writes to a peer that takes so many bytes each five milliseconds.
    async fn write_to(bytes: usize) -> io::Result<()> {
        let (near, mut far) = duplex(64);
        let mut paced = Paced::new(near, PACE);
        let reading = tokio::spawn(async move {
            let mut taken = vec![0; bytes];
            while far.read_exact(&mut taken).await.is_ok() {
                sleep(Duration::from_millis(5)).await;
            }
        });
        let written = paced.write_all(&vec![0; 64_000]).await;
        reading.abort();
        written
    }

    #[tokio::test]
    async fn a_peer_that_drips_is_cut_and_a_slow_one_is_not() {
        // 200 bytes a second would take five minutes.
        assert_eq!(write_to(1).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        // Ten times what it must take, and more than its patience in all.
        let begun = Instant::now();
        write_to(256).await.unwrap();
        assert!(begun.elapsed() > PACE.patience);
    }
}
