//! An answer that many share, handed on piece by piece: a connection holds a piece of its own, and none of the rest.
//! It can be taken back from all who are not through with it, and their connections end.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// How many bytes a piece has.
const PIECE: usize = 32 * 1024;

/// What is shared.
pub(super) struct Shared {
    len: usize,
    /// Nothing once it was taken back.
    bytes: Mutex<Option<Vec<u8>>>,
}

/// Whoever reads it was too slow.
#[derive(Debug, thiserror::Error)]
#[error("newer ones took the place of this answer before it was read")]
pub(super) struct TakenBack;

impl Shared {
    pub(super) fn new(bytes: Vec<u8>) -> Arc<Shared> {
        Arc::new(Shared { len: bytes.len(), bytes: Mutex::new(Some(bytes)) })
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes it back.
    pub(super) fn take_back(&self) {
        self.lock().take();
    }

    /// All of it as the body of one more answer.
    pub(super) fn body(self: &Arc<Shared>) -> Body {
        Body::new(Pieces { shared: self.clone(), at: 0 })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Pieces {
    shared: Arc<Shared>,
    at: usize,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = TakenBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TakenBack>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let end = self.shared.len.min(self.at + PIECE);
        // A copy: what waits for a slow reader is this piece, and does not hold the rest.
        let piece = self.shared.lock().as_ref().map(|bytes| Bytes::copy_from_slice(&bytes[self.at..end]));
        self.at = end;
        Poll::Ready(Some(piece.map(Frame::data).ok_or(TakenBack)))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.shared.len
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.shared.len - self.at) as u64)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn each_reader_gets_all_of_it_unless_it_is_taken_back() {
        let text: Vec<u8> = (0..3 * PIECE + 7).map(|n| n as u8).collect();
        let shared = Shared::new(text.clone());
        let mut slow = shared.body();
        let first = slow.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len(), to_bytes(shared.body(), usize::MAX).await.unwrap()), (PIECE, text.into()));
        shared.take_back();
        assert!(slow.frame().await.unwrap().is_err());
    }
}
