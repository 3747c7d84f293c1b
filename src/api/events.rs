//! `GET /v1/events`: the history as it grows, as server-sent events.
//!
//! Each listener has a task that reads committed entries from where the listener has come to and hands them
//! on, one piece at a time: what waits for a slow reader waits in the history, and not in memory. The engine
//! is never asked. A reader that does not take its piece in time is cut off; it resumes by the number of the
//! last entry it saw.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::Frame;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::access::Caller;
use super::bodies::EntryBody;
use super::turns::{Busy, Turn, Turns};
use super::{Daemon, Problem};
use crate::state::{Entry, StoreError};
use crate::time::{Offset, by_host};

/// How often a listener hears something, be it nothing but a comment.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a piece may wait for its reader; shorter than a connection may be silent.
pub const SLOW_READER: Duration = Duration::from_secs(30);
/// How soon a browser comes back after a connection broke, in milliseconds.
const RETRY_MS: u32 = 2_000;
/// How many entries are read at a time.
const BATCH: usize = 64;
/// How many bytes a piece has, but for its last entry. One waits for each listener, and one is made.
const PIECE: usize = 64 * 1024;

/// Who listens, and until when.
#[derive(Clone)]
pub(super) struct Listening {
    turns: Turns,
    /// Its sender is gone once the daemon stops.
    ending: watch::Receiver<()>,
    patience: Patience,
}

/// How long a listener's task waits.
#[derive(Clone, Copy)]
struct Patience {
    keep_alive: Duration,
    slow_reader: Duration,
}

impl Listening {
    pub(super) fn new(ending: watch::Receiver<()>) -> Listening {
        let patience = Patience { keep_alive: KEEP_ALIVE, slow_reader: SLOW_READER };
        Listening { turns: Turns::default(), ending, patience }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventArgs {
    /// Begins after the entry of this number; with what happens from now on when left out.
    after: Option<u64>,
}

/// The history as it grows, as server-sent events.
#[utoipa::path(
    get, path = "/v1/events", tag = "reading",
    params(EventArgs, ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last entry that was seen; `after` goes before it")),
    responses(
        (status = 200, description = "Events: `id` is the entry's number, `event` its kind, `data` an `EntryBody`", content_type = "text/event-stream", body = String),
    ),
)]
pub(super) async fn events<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(listening): Extension<Listening>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    args: Result<Query<EventArgs>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(args) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let after = args.after.map_or_else(|| last_event_id(&headers), |after| Ok(Some(after)))?;
    let turn = listening.turns.take(caller.identity(), caller.is_operator()).map_err(|busy| {
        let status = match busy {
            Busy::Caller => StatusCode::TOO_MANY_REQUESTS,
            Busy::All(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, busy.to_string())
    })?;
    let (sender, pieces) = mpsc::channel(1);
    let feed = Feed::new(daemon, &listening, sender, turn, Some(caller));
    tokio::spawn(feed.run(after));
    let mut response = Response::new(Body::new(Pieces(pieces)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// What a browser sends when it comes back.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(id) = headers.get("last-event-id") else { return Ok(None) };
    let id = id.to_str().ok().filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    let id = id.and_then(|id| id.parse().ok());
    id.map(Some).ok_or_else(|| Problem::bad_request("Last-Event-ID is the number of an entry of the history"))
}

/// What one listener's task works with.
struct Feed<D> {
    daemon: Arc<D>,
    grown: watch::Receiver<u64>,
    ending: watch::Receiver<()>,
    patience: Patience,
    sender: mpsc::Sender<Bytes>,
    /// Whose token may be taken away meanwhile.
    caller: Option<Caller>,
    _turn: Turn,
}

/// The listener is gone, or too slow.
struct Cut;

impl<D: Daemon> Feed<D> {
    fn new(
        daemon: Arc<D>,
        listening: &Listening,
        sender: mpsc::Sender<Bytes>,
        turn: Turn,
        caller: Option<Caller>,
    ) -> Feed<D> {
        // Before anything is read, so that nothing comes in between unseen.
        let grown = daemon.grown();
        let (ending, patience) = (listening.ending.clone(), listening.patience);
        Feed { daemon, grown, ending, patience, sender, caller, _turn: turn }
    }

    /// Hands on every entry after one, or from now on, until the listener is gone or the daemon stops.
    async fn run(mut self, after: Option<u64>) {
        match self.tell(after).await {
            Ok(Ok(()) | Err(Cut)) => {}
            // The listener comes back, and meets it again as an answer of `/v1/history`.
            Err(why) => tracing::error!(%why, "the history cannot be read, and a listener's events end"),
        }
    }

    async fn tell(&mut self, after: Option<u64>) -> Result<Result<(), Cut>, StoreError> {
        let end = self.read(D::next_entry).await?;
        let wanted = after.map_or(end, |after| after.saturating_add(1));
        // Beyond the end is another history than the one this listener knows.
        let mut next = wanted.min(end);
        let mut text = format!(": detour\nretry: {RETRY_MS}\n");
        if next > 0 {
            let _ = writeln!(text, "id: {}", next - 1);
        }
        text.push('\n');
        if wanted > end {
            push_gap(&mut text, next);
        }
        loop {
            self.grown.borrow_and_update();
            loop {
                let (oldest, entries) = self.read(move |daemon| daemon.entries_from(next, BATCH)).await?;
                if let Some(oldest) = oldest.filter(|oldest| *oldest > next) {
                    push_gap(&mut text, oldest);
                    next = oldest;
                }
                let Some(last) = entries.last() else { break };
                next = last.seq + 1;
                for entry in entries {
                    push_entry(&mut text, entry, self.daemon.offset());
                    if text.len() >= PIECE && self.send(&mut text).await.is_err() {
                        return Ok(Err(Cut));
                    }
                }
            }
            if !text.is_empty() && self.send(&mut text).await.is_err() {
                return Ok(Err(Cut));
            }
            tokio::select! {
                grown = self.grown.changed() => if grown.is_err() { return Ok(Ok(())) },
                () = sleep(self.patience.keep_alive) => text.push_str(": still here\n\n"),
                // Nothing is ever sent over it: it ends.
                _ = self.ending.changed() => return Ok(Ok(())),
                () = self.sender.closed() => return Ok(Err(Cut)),
            }
        }
    }

    /// Reads the history where waiting for the disk keeps nobody else waiting.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&D) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let daemon = self.daemon.clone();
        let read = tokio::task::spawn_blocking(move || read(&daemon)).await;
        read.unwrap_or_else(|e| Err(StoreError::Saved(format!("reading the history failed: {e}"))))
    }

    async fn send(&mut self, text: &mut String) -> Result<(), Cut> {
        if self.caller.as_ref().is_some_and(|caller| !caller.may_still()) {
            return Err(Cut);
        }
        let piece = Bytes::from(std::mem::take(text));
        if let Ok(sent) = timeout(self.patience.slow_reader, self.sender.send(piece)).await {
            return sent.map_err(|_| Cut);
        }
        tracing::warn!("a listener of /v1/events reads too slowly and is cut off");
        Err(Cut)
    }
}

/// The listener has missed entries before this one: they are not kept any more, or are another history's.
fn push_gap(text: &mut String, from: u64) {
    let _ = write!(text, "event: gap\ndata: {{\"from\":{from}}}\n\n");
}

fn push_entry(text: &mut String, entry: Entry, offset: Offset) {
    let seq = entry.seq;
    // JSON has no line feed of its own, so it is one line of data.
    let Ok(data) = by_host(offset, || serde_json::to_value(EntryBody::from(entry))) else { return };
    let event = data["what"]["event"].as_str().unwrap_or("message");
    let _ = write!(text, "id: {seq}\nevent: {event}\ndata: {data}\n\n");
}

/// The pieces as a body.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixed::served;
    use crate::api::fixture;
    use crate::engine::Happened;

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_off() {
        let served = served().await;
        let (_stop, ending) = watch::channel(());
        let patience =
            Patience { keep_alive: Duration::from_millis(1), slow_reader: Duration::from_millis(20) };
        let listening = Listening { patience, ..Listening::new(ending) };
        let turn = listening.turns.take("ana".to_owned(), true).unwrap();
        let (sender, mut pieces) = mpsc::channel(1);
        let feed = Feed::new(served.daemon.clone(), &listening, sender, turn, None);
        // It ends by itself: one piece waits in the channel, and nobody takes it.
        feed.run(None).await;
        assert!(pieces.recv().await.is_some());
        assert!(pieces.recv().await.is_none());
        assert_eq!(listening.turns.count(), 0);
    }

    #[tokio::test]
    async fn pieces_are_bounded_however_much_there_is_to_tell() {
        let served = served().await;
        let long = Happened::LoadRefused { problems: "x".repeat(10_000) };
        served.daemon.keep(fixture::NOW, &vec![long; 50]);
        let (stop, ending) = watch::channel(());
        let listening = Listening::new(ending);
        let turn = listening.turns.take("ana".to_owned(), true).unwrap();
        let (sender, mut pieces) = mpsc::channel(1);
        let feed =
            tokio::spawn(Feed::new(served.daemon.clone(), &listening, sender, turn, None).run(Some(0)));
        let mut entries = 0;
        while entries < 52 {
            let piece = pieces.recv().await.unwrap();
            assert!(piece.len() < PIECE + 32 * 1024, "{} bytes", piece.len());
            entries += String::from_utf8(piece.to_vec()).unwrap().matches("\nevent: ").count();
        }
        // Two decisions and what was put in.
        assert_eq!(entries, 52);
        drop(stop);
        feed.await.unwrap();
    }
}
