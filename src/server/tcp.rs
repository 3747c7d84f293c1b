//! TCP: connections with pipelined queries (RFC 7766), each bounded in time and memory. The state
//! diagram is in the room's header.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::accept::Acceptor;
use super::admission::{Admission, Permit};
use super::counters::{Tally, shared};
use super::responder::{Reader, Responder};
use super::sampler::Spigot;
use super::slow_path::{Desk, Request};
use super::stopping::stopped;
use crate::answer::{TCP_IDLE, Transport};

/// How long a connection may take for its next query while connections are scarce.
const IDLE_IN_A_CROWD: Duration = Duration::from_secs(1);

/// How long a client may take to read what it was answered.
const WRITE: Duration = Duration::from_secs(5);

/// How long the desk may take for the datagrams it has, once told to stop.
const LAST_LETTERS: Duration = Duration::from_secs(1);

/// How long a connection is read from after the stop: what was sent before it is answered.
const LAST_CALL: Duration = Duration::from_millis(50);

/// How long connections may take to end once told to stop.
const DRAIN: Duration = Duration::from_secs(1);

/// The length prefix (RFC 1035 section 4.2.2).
const PREFIX: usize = 2;

/// The longest message.
const MESSAGE: usize = u16::MAX as usize;

/// Read at first; grown, up to one whole message, for a query that is longer.
const INBOX: usize = 4096;

/// Answers written at once: room for one of any length after as many short ones.
const OUTBOX: usize = 2 * (PREFIX + MESSAGE);

/// Bounds in time on each connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long a connection may take for its next whole query, a slow half of one included.
    pub(super) idle: Duration,
    /// The same while most of the connections there may be are open; looked at this often.
    pub(super) idle_in_a_crowd: Duration,
    pub(super) write: Duration,
    /// How long the desk may take for the datagrams it has, once told to stop.
    pub(super) last_letters: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            idle: TCP_IDLE,
            idle_in_a_crowd: IDLE_IN_A_CROWD,
            write: WRITE,
            last_letters: LAST_LETTERS,
        }
    }
}

/// What every listener and connection holds.
#[derive(Clone)]
pub(super) struct Tcp<R> {
    pub(super) responder: R,
    pub(super) admission: Arc<Admission>,
    pub(super) tally: Arc<Tally>,
    pub(super) spigot: Arc<Spigot>,
    /// The address that is listened on.
    pub(super) address: SocketAddr,
    pub(super) patience: Patience,
    /// Where what is no plain query goes.
    pub(super) desk: Option<Arc<dyn Desk>>,
    /// Turns true, or loses its sender, when it is time to stop.
    pub(super) stop: watch::Receiver<bool>,
}

impl<R: Responder> Tcp<R> {
    /// Accepts connections until told to stop, then waits for those open to end. Errors: the
    /// listener cannot be watched.
    pub(super) async fn listen(mut self, listener: net::TcpListener) -> io::Result<()> {
        let mut acceptor = Acceptor::new(TcpListener::from_std(listener)?, "DNS over TCP");
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = stopped(&mut self.stop) => break,
                Some(ended) = connections.join_next() => {
                    self.ended(&ended);
                    continue;
                }
                accepted = acceptor.accept() => accepted,
            };
            let permit = self.admission.admit(peer.ip()).await;
            let tcp = self.clone();
            connections.spawn(async move {
                tokio::select! {
                    () = tcp.converse(stream, peer, &permit) => {}
                    () = permit.evicted() => {}
                }
            });
        }
        drop(acceptor);
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                self.ended(&ended);
            }
        };
        let _ = timeout(DRAIN, all_ended).await;
        connections.shutdown().await;
        Ok(())
    }

    /// A connection's task ended; a panic took its own connection down and no other.
    fn ended(&self, ended: &Result<(), JoinError>) {
        if ended.as_ref().is_err_and(JoinError::is_panic) {
            self.tally.panicked(shared);
        }
    }

    /// One connection, from its first query to its end. While answers are written nothing is read,
    /// so a client that does not read is held back by its own queries.
    async fn converse(
        mut self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        peer: SocketAddr,
        permit: &Permit,
    ) {
        let mut inbox = Inbox::new();
        // Zeroed by the kernel: pages no answer reaches are never there.
        let mut outbox = vec![0; OUTBOX];
        loop {
            let mut deadline = Instant::now() + self.patience.idle;
            let mut look = Instant::now() + self.patience.idle_in_a_crowd;
            let mut last = false;
            while !inbox.has_query() {
                tokio::select! {
                    biased;
                    read = timeout_at(deadline.min(look), inbox.read(&mut stream)) => match read {
                        Ok(Ok(count)) if count > 0 => {}
                        Err(_) if Instant::now() < deadline && !self.admission.crowded() => {
                            look = Instant::now() + self.patience.idle_in_a_crowd;
                        }
                        _ => return,
                    },
                    () = stopped(&mut self.stop), if !last => {
                        last = true;
                        deadline = deadline.min(Instant::now() + LAST_CALL);
                    }
                }
            }
            permit.busy();
            while inbox.has_query() {
                let (len, next) = self.answer(peer, &mut inbox, &mut outbox);
                let written = timeout(self.patience.write, stream.write_all(&outbox[..len])).await;
                if !matches!(written, Ok(Ok(()))) {
                    return;
                }
                match next {
                    Next::Query => {}
                    Next::Close => return,
                    Next::Desk(bytes) => {
                        let request = Request { bytes, peer, transport: Transport::Tcp };
                        if !self.at_desk(request, &mut stream).await {
                            return;
                        }
                    }
                }
            }
            if last {
                return;
            }
            permit.idle();
        }
    }

    /// Has the desk see to a message and writes what it says, one message at a time; whether the connection
    /// goes on. It ends where nothing is to be said, or the peer takes too long to read.
    async fn at_desk(&self, request: Request, stream: &mut (impl AsyncWrite + Unpin)) -> bool {
        let Some(desk) = &self.desk else { return false };
        self.tally.at_desk(true, shared);
        let mut said = false;
        for message in desk.take(request).await {
            said = true;
            let framed = [&(message.len() as u16).to_be_bytes(), &message[..]].concat();
            if !matches!(timeout(self.patience.write, stream.write_all(&framed)).await, Ok(Ok(()))) {
                return false;
            }
        }
        said
    }

    /// Answers queries until there are no more, the outbox is full enough, or one is for the desk; says how
    /// much of the outbox is used, and what comes next. What deserves no answer ends the connection: its
    /// peer does not speak DNS, or echoes answers.
    fn answer(&self, peer: SocketAddr, inbox: &mut Inbox, outbox: &mut [u8]) -> (usize, Next) {
        let mut reader = self.responder.reader();
        let mut current = reader.current(Transport::Tcp);
        let mut used = 0;
        while used + PREFIX + MESSAGE <= OUTBOX {
            let Some(query) = inbox.next_query() else { break };
            let start = used + PREFIX;
            let answered = current(peer.ip(), query, &mut outbox[start..start + MESSAGE]);
            if answered.desk && self.desk.as_ref().is_some_and(|desk| answered.signed || desk.is_open()) {
                return (used, Next::Desk(query.to_vec()));
            }
            self.tally.answered(&answered, shared);
            if self.spigot.is_on() {
                let way = (Transport::Tcp, peer, self.address);
                self.spigot.saw(way, query, &answered, &outbox[start..start + MESSAGE]);
            }
            if answered.len == 0 {
                return (used, Next::Close);
            }
            outbox[used..start].copy_from_slice(&(answered.len as u16).to_be_bytes());
            used = start + answered.len;
        }
        (used, Next::Query)
    }
}

/// What follows a burst of answers.
enum Next {
    /// More queries, now or later.
    Query,
    /// The end of the connection.
    Close,
    /// This message, which is for the desk.
    Desk(Vec<u8>),
}

/// Bytes read and not yet answered.
struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn new() -> Inbox {
        Inbox { bytes: vec![0; INBOX], start: 0, end: 0 }
    }

    /// The length of the first message, its prefix included, once that much is known of it.
    fn first_len(&self) -> Option<usize> {
        let unread = &self.bytes[self.start..self.end];
        let (prefix, _) = unread.split_first_chunk::<PREFIX>()?;
        Some(PREFIX + usize::from(u16::from_be_bytes(*prefix)))
    }

    /// Whether a whole message is there.
    fn has_query(&self) -> bool {
        self.first_len().is_some_and(|len| len <= self.end - self.start)
    }

    /// The next whole message, without its prefix.
    fn next_query(&mut self) -> Option<&[u8]> {
        let len = self.first_len().filter(|len| *len <= self.end - self.start)?;
        let message = self.start + PREFIX..self.start + len;
        self.start += len;
        Some(&self.bytes[message])
    }

    /// Reads more; 0 at the end of the stream. To be called when no whole message is there, so that
    /// there is always room: what is left of the last one fits with its rest.
    async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let needed = self.first_len().unwrap_or(PREFIX);
        if self.bytes.len() < needed {
            self.bytes.resize(needed, 0);
        }
        let count = stream.read(&mut self.bytes[self.end..]).await?;
        self.end += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::{TcpSocket, TcpStream};
    use tokio::time::sleep;

    use super::super::admission::Bounds;
    use super::super::running::Limits;
    use super::super::testing::{TOO_LONG, metric, reversed, serve, until};
    use super::*;

    fn framed(query: &[u8]) -> Vec<u8> {
        [&(query.len() as u16).to_be_bytes(), query].concat()
    }

    /// The next answer; none at the end of the connection.
    async fn hear(stream: &mut TcpStream) -> Option<Vec<u8>> {
        let hearing = async {
            let mut answer = vec![0; usize::from(stream.read_u16().await.ok()?)];
            stream.read_exact(&mut answer).await.ok()?;
            Some(answer)
        };
        timeout(TOO_LONG, hearing).await.expect("neither an answer nor the end of the connection")
    }

    async fn ask(stream: &mut TcpStream, query: &[u8]) -> Option<Vec<u8>> {
        // Where the connection is over, writing may be the first to say so.
        stream.write_all(&framed(query)).await.ok()?;
        hear(stream).await
    }

    async fn connect_from(source: &str, server: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        socket.connect(server).await.unwrap()
    }

    fn patience(idle_ms: u64, write_ms: u64) -> Limits {
        let patience = Patience {
            idle: Duration::from_millis(idle_ms),
            write: Duration::from_millis(write_ms),
            ..Patience::default()
        };
        Limits { patience, ..Limits::default() }
    }

    #[tokio::test]
    async fn many_queries_may_be_sent_before_an_answer_is_read() {
        let (running, address) = serve("127.0.0.1:0", 1, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        let queries: Vec<Vec<u8>> = (0..1000).map(|n| format!("query {n}").into_bytes()).collect();
        let all: Vec<u8> = queries.iter().flat_map(|query| framed(query)).collect();
        stream.write_all(&all).await.unwrap();
        for query in &queries {
            assert_eq!(hear(&mut stream).await.unwrap(), reversed(query));
        }
        let counters = running.counters();
        assert_eq!(metric(&counters, "detour_answers_total", "tcp"), 1000);
        assert_eq!(metric(&counters, "detour_tcp_connections_total", ""), 1);
        running.stop().await;
    }

    #[tokio::test]
    async fn v6_is_served_too() {
        let (running, address) = serve("[::1]:0", 1, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut stream, b"six").await.unwrap(), b"xis");
        running.stop().await;
    }

    #[tokio::test]
    async fn a_query_may_come_in_pieces() {
        let (running, address) = serve("127.0.0.1:0", 1, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in [framed(b"one"), framed(b"two")].concat() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(hear(&mut stream).await.unwrap(), b"eno");
        assert_eq!(hear(&mut stream).await.unwrap(), b"owt");
        running.stop().await;
    }

    #[tokio::test]
    async fn the_longest_messages_fit_among_short_ones() {
        let (running, address) = serve("127.0.0.1:0", 1, Limits::default());
        let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
        let long: Vec<u8> = (0..65_535_u32).map(|n| n as u8).collect();
        let queries = [b"a".to_vec(), long.clone(), b"b".to_vec(), b"big".to_vec(), b"c".to_vec(), long];
        let all: Vec<u8> = queries.iter().flat_map(|query| framed(query)).collect();
        let sent = tokio::spawn(async move {
            writing.write_all(&all).await.unwrap();
            writing
        });
        for query in &queries {
            let len = usize::from(reading.read_u16().await.unwrap());
            let mut answer = vec![0; len];
            reading.read_exact(&mut answer).await.unwrap();
            if query == b"big" {
                assert_eq!(len, 65_535);
            } else {
                assert_eq!(answer, reversed(query));
            }
        }
        drop(sent.await.unwrap());
        running.stop().await;
    }

    #[tokio::test]
    async fn what_is_no_query_ends_the_connection_after_the_answers_before_it() {
        for nonsense in [&b""[..], b"silent", b"panic"] {
            let (running, address) = serve("127.0.0.1:0", 1, Limits::default());
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert_eq!(ask(&mut stream, b"before").await.unwrap(), b"erofeb");
            assert_eq!(ask(&mut stream, nonsense).await, None, "{nonsense:?}");

            // Others are served as ever.
            let mut other = TcpStream::connect(address).await.unwrap();
            assert_eq!(ask(&mut other, b"other").await.unwrap(), b"rehto");
            until("counted", || {
                let counters = running.counters();
                metric(&counters, "detour_malformed_total", "tcp")
                    + metric(&counters, "detour_answer_panics_total", "tcp")
                    == 1
            })
            .await;
            assert_eq!(running.failed(), 0);
            running.stop().await;
        }
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed() {
        let (running, address) = serve("127.0.0.1:0", 1, patience(50, 5000));
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(hear(&mut stream).await, None);
        running.stop().await;
    }

    #[tokio::test]
    async fn half_a_query_does_not_hold_a_connection_open() {
        let (running, address) = serve("127.0.0.1:0", 1, patience(100, 5000));
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A query of 65,535 bytes, one every 5 ms: left alone, it would take five minutes.
        let trickle = async {
            stream.write_all(&[0xFF, 0xFF]).await?;
            loop {
                stream.write_all(b"x").await?;
                sleep(Duration::from_millis(5)).await;
            }
        };
        let ended: Result<io::Result<()>, _> = timeout(TOO_LONG, trickle).await;
        assert!(ended.expect("the connection stayed open").is_err());
        running.stop().await;
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_let_go() {
        let (running, address) = serve("127.0.0.1:0", 1, patience(10_000, 100));
        let stream = TcpStream::connect(address).await.unwrap();
        let (_unread, mut writing) = stream.into_split();
        // 65 MB of answers: more than the kernel holds for the two of us.
        let queries = framed(b"big").repeat(1000);
        writing.write_all(&queries).await.unwrap();
        until("it is served", || metric(&running.counters(), "detour_tcp_connections_total", "") == 1).await;
        until("it is let go", || metric(&running.counters(), "detour_tcp_open", "") == 0).await;
        assert!(metric(&running.counters(), "detour_queries_total", "tcp") < 1000);
        running.stop().await;
    }

    #[tokio::test]
    async fn a_full_server_lets_a_new_client_in_at_the_cost_of_who_has_the_most() {
        let bounds = Bounds { total: 3, per_source: 2, kept_for_loopback: 0 };
        let (running, address) = serve("127.0.0.1:0", 1, Limits { bounds, ..Limits::default() });
        let mut open = Vec::new();
        // The third of one source, and the fourth of all: each is served, and an earlier one makes way.
        for source in ["127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            let mut stream = connect_from(source, address).await;
            assert_eq!(ask(&mut stream, b"xy").await.unwrap(), b"yx", "{source} after {}", open.len());
            open.push(stream);
        }
        let counters = running.counters();
        assert_eq!(metric(&counters, "detour_tcp_evicted_total", "source"), 1);
        assert_eq!(metric(&counters, "detour_tcp_evicted_total", "total"), 1);
        assert_eq!(metric(&counters, "detour_tcp_open", ""), 3);
        for (at, stays) in [false, false, true, true, true].into_iter().enumerate() {
            assert_eq!(ask(&mut open[at], b"still").await.is_some(), stays, "connection {at}");
        }
        running.stop().await;
    }

    #[tokio::test]
    async fn in_a_crowd_who_says_nothing_makes_way() {
        let bounds = Bounds { total: 4, per_source: 4, kept_for_loopback: 0 };
        // Left alone, an idle connection would stay for ten minutes.
        let patience =
            Patience { idle_in_a_crowd: Duration::from_millis(50), ..patience(600_000, 5000).patience };
        let (running, address) = serve("127.0.0.1:0", 1, Limits { bounds, patience });
        let mut calm = connect_from("127.0.0.1", address).await;
        assert_eq!(ask(&mut calm, b"first").await.unwrap(), b"tsrif");
        // While there is room it may be idle, for many looks.
        sleep(Duration::from_millis(300)).await;
        assert_eq!(ask(&mut calm, b"again").await.unwrap(), b"niaga");
        let mut silent = Vec::new();
        for _ in 0..4 {
            silent.push(connect_from("127.0.0.1", address).await);
        }
        let let_in = async {
            loop {
                let mut other = connect_from("127.0.0.2", address).await;
                if ask(&mut other, b"other").await.is_some() {
                    break;
                }
            }
        };
        timeout(TOO_LONG, let_in).await.expect("nobody made way");
        running.stop().await;
    }

    #[tokio::test]
    async fn a_stop_ends_idle_connections_and_frees_the_port() {
        let (running, address) = serve("127.0.0.22:0", 1, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut stream, b"x").await.unwrap(), b"x");
        timeout(TOO_LONG, running.stop()).await.unwrap();
        assert_eq!(hear(&mut stream).await, None);
        assert!(TcpStream::connect(address).await.is_err());
        assert_eq!(metric(&running.counters(), "detour_tcp_open", ""), 0);
    }

    #[tokio::test]
    async fn what_was_asked_before_the_stop_is_answered() {
        let (running, address) = serve("127.0.0.1:0", 1, Limits::default());
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut stream, b"first").await.unwrap(), b"tsrif");
        stream.write_all(&framed(b"last")).await.unwrap();
        running.stop().await;
        assert_eq!(hear(&mut stream).await.unwrap(), b"tsal");
        assert_eq!(hear(&mut stream).await, None);
    }
}
