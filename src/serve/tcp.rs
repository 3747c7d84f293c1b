//! TCP (RFC 7766): a task for each listener and each connection.
//!
//! Queries may come many at a time and are answered in their order, many answers to a write. While a
//! client does not read, nothing more is read from it.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::counters::Tally;
use super::limits::{Doorkeeper, Pass};
use crate::answer::{MAX_MESSAGE_LEN, Transport, answer};

/// What is read at once: dozens of queries.
const READ_LEN: usize = 4096;
/// Answers are sent once there are this many bytes of them, or no query is left.
const FLUSH_LEN: usize = 16 * 1024;
/// The pause after the system refused to accept: it is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

thread_local! {
    /// Room for the longest answer, so that connections need not hold it each.
    static ANSWER: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_MESSAGE_LEN].into());
}

/// Accepts connections until the server stops, then waits for those open.
pub(super) async fn accept(
    listener: std::net::TcpListener,
    shared: Shared,
    doorkeeper: Arc<Doorkeeper>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a TCP listener cannot be used");
            shared.failed.store(true, Ordering::Relaxed);
            return;
        }
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                note_panic(&ended, &doorkeeper);
                continue;
            }
            _ = stopped.wait_for(|&stop| stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Over the bounds: dropped, which closes it.
                if let Some(pass) = doorkeeper.admit(peer.ip()) {
                    let connection = Connection::new(stream, peer, shared.clone(), pass);
                    connections.spawn(connection.run(stopped.clone()));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a TCP connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while let Some(ended) = connections.join_next().await {
        note_panic(&ended, &doorkeeper);
    }
}

/// A panic ends its own connection alone, but must not go unseen.
fn note_panic(ended: &Result<(), JoinError>, doorkeeper: &Doorkeeper) {
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        doorkeeper.counters().panics.fetch_add(1, Ordering::Relaxed);
        tracing::error!("a TCP connection's task panicked; please report this");
    }
}

/// Why a connection ends.
enum End {
    /// The client is done, or gone, or sent what is no query.
    Closed,
    /// The client took too long.
    TimedOut,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Closed
    }
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    shared: Shared,
    pass: Pass,
    /// Bytes read and not yet answered: at most one unfinished message and what came with it.
    unread: Vec<u8>,
    /// Answers not yet sent.
    unsent: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream, peer: SocketAddr, shared: Shared, pass: Pass) -> Connection {
        Connection { stream, peer, shared, pass, unread: Vec::new(), unsent: Vec::new() }
    }

    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        // Answers leave as they are written; waiting to fill a segment would only delay them.
        let _ = self.stream.set_nodelay(true);
        if let End::TimedOut = self.serve(&mut stopped).await {
            tracing::debug!(peer = %self.peer, "a TCP client was too slow");
            self.pass.counters().timed_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn serve(&mut self, stopped: &mut watch::Receiver<bool>) -> End {
        loop {
            // The time runs until a whole query is there: bytes that drip in do not prolong it.
            let deadline = Instant::now() + self.pass.limits().idle;
            while !self.has_message() {
                let read = tokio::select! {
                    // What has arrived is answered, also when the server stops.
                    biased;
                    read = timeout_at(deadline, self.stream.read_buf(&mut self.unread)) => read,
                    // Nothing is half done here but the client's own sending.
                    _ = stopped.wait_for(|&stop| stop) => return End::Closed,
                };
                match read {
                    Ok(Ok(0) | Err(_)) => return End::Closed,
                    Ok(Ok(_)) => {}
                    Err(_) => return End::TimedOut,
                }
            }
            if let Err(end) = self.answer_all().await {
                return end;
            }
        }
    }

    /// Whether `unread` begins with a whole message; makes room for the rest of it if not.
    fn has_message(&mut self) -> bool {
        let missing = match message_len(&self.unread) {
            Some(len) if self.unread.len() >= 2 + len => return true,
            // A client is believed a read at a time: memory follows what it sends, not what it announces.
            Some(len) => (2 + len - self.unread.len()).min(READ_LEN),
            None => READ_LEN,
        };
        self.unread.reserve(missing);
        false
    }

    /// Answers every whole message in `unread`.
    async fn answer_all(&mut self) -> Result<(), End> {
        let (mut at, mut sound) = (0, true);
        while sound && let Some(len) = message_len(&self.unread[at..]) {
            let Some(query) = self.unread.get(at + 2..at + 2 + len) else { break };
            // Its own for each step, so that none is lost where the connection ends in a write.
            let mut tally = Tally::default();
            sound = answer_one(&self.shared, query, &mut self.unsent, &mut tally);
            self.pass.counters().add(&tally);
            at += 2 + len;
            if self.unsent.len() >= FLUSH_LEN {
                self.flush().await?;
            }
        }
        self.unread.drain(..at);
        self.flush().await?;
        // What is no query would leave the client waiting, or both sides talking past each other.
        if sound { Ok(()) } else { Err(End::Closed) }
    }

    async fn flush(&mut self) -> Result<(), End> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        match timeout(self.pass.limits().write, self.stream.write_all(&self.unsent)).await {
            Ok(written) => written?,
            Err(_) => return Err(End::TimedOut),
        }
        self.unsent.clear();
        // A connection at rest holds no more than it began with.
        self.unsent.shrink_to(FLUSH_LEN);
        self.unread.shrink_to(READ_LEN);
        Ok(())
    }
}

/// The length of the message that `bytes` begin with (RFC 1035 section 4.2.2).
fn message_len(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk().map(|len| usize::from(u16::from_be_bytes(*len)))
}

/// Adds the answer to one query; false where there is none to give.
fn answer_one(shared: &Shared, query: &[u8], unsent: &mut Vec<u8>, tally: &mut Tally) -> bool {
    ANSWER.with_borrow_mut(|out| {
        let table = shared.table.load();
        let answered = answer(&table, &shared.settings, Transport::Tcp, query, out);
        tally.count(answered);
        if answered.len > 0 {
            unsent.extend_from_slice(&(answered.len as u16).to_be_bytes());
            unsent.extend_from_slice(&out[..answered.len]);
        }
        answered.len > 0
    })
}
