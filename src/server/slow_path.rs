//! The desk: where messages go that are no plain queries. Transfers, NOTIFY, UPDATE and whatever is signed
//! take their time, and wait for others; plain queries do not wait for them.
//!
//! A datagram goes there through a bounded channel, from which one clerk takes it up; a connection asks for
//! itself, and pulls one message of the reply when the one before it is written, so that a slow reader costs
//! one message and no more.

use std::future::Future;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::batch::Letter;
use super::counters::{Tally, shared};
use super::stopping::stopped;
use crate::answer::Transport;

/// Datagrams that may wait for the clerk; one more is dropped and counted.
const LETTERS: usize = 512;
/// Datagrams the desk works on at once.
const AT_ONCE: usize = 64;

/// A message for the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The message as it came.
    pub bytes: Vec<u8>,
    /// Who sent it; an IPv4 address is never one of IPv6.
    pub peer: SocketAddr,
    /// How it came.
    pub transport: Transport,
}

/// What the desk says: one message after the other, each made when it is asked for. Over UDP only the first
/// one counts. None at all: nothing is to be said.
pub type Replies = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// Who sees to messages that are no plain queries.
pub trait Desk: Send + Sync + 'static {
    /// Whether there is anything it would do; as long as there is not, such messages are answered as any
    /// other that is not understood or not allowed, but for those that are signed. Asked for each of them, so
    /// it is to be quick.
    fn is_open(&self) -> bool;

    /// Sees to one message.
    fn take(&self, request: Request) -> Pin<Box<dyn Future<Output = Replies> + Send + '_>>;
}

/// A worker's way to the desk.
#[derive(Clone)]
pub(super) struct Slip {
    desk: Arc<dyn Desk>,
    letters: mpsc::Sender<(Letter, Arc<UdpSocket>)>,
}

impl Slip {
    /// A way to a desk, and the clerk who works there until told to stop, and then on what has come.
    pub(super) fn to(
        desk: Arc<dyn Desk>,
        tally: Arc<Tally>,
        stop: watch::Receiver<bool>,
        runtime: &Handle,
    ) -> (Slip, JoinHandle<()>) {
        let (letters, waiting) = mpsc::channel(LETTERS);
        let clerk = runtime.spawn(work(desk.clone(), tally, stop, waiting));
        (Slip { desk, letters }, clerk)
    }

    pub(super) fn is_open(&self) -> bool {
        self.desk.is_open()
    }

    /// Hands a datagram over; false where there is no room for it.
    pub(super) fn hand(&self, letter: Letter, socket: &Arc<UdpSocket>) -> bool {
        self.letters.try_send((letter, Arc::clone(socket))).is_ok()
    }
}

async fn work(
    desk: Arc<dyn Desk>,
    tally: Arc<Tally>,
    mut stop: watch::Receiver<bool>,
    mut waiting: mpsc::Receiver<(Letter, Arc<UdpSocket>)>,
) {
    let mut busy = JoinSet::new();
    loop {
        let received = tokio::select! {
            received = waiting.recv() => received,
            () = stopped(&mut stop), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        let Some((letter, socket)) = received else { break };
        while busy.len() >= AT_ONCE {
            note(&tally, busy.join_next().await);
        }
        while let Some(ended) = busy.try_join_next() {
            note(&tally, Some(ended));
        }
        let desk = desk.clone();
        let errors = tally.clone();
        busy.spawn(async move {
            let request =
                Request { bytes: letter.bytes.clone(), peer: letter.peer(), transport: Transport::Udp };
            let mut replies = desk.take(request).await;
            if let Some(reply) = replies.next()
                && letter.reply(&socket, &reply).is_err()
            {
                errors.send_errors(1, shared);
            }
        });
    }
    while let Some(ended) = busy.join_next().await {
        note(&tally, Some(ended));
    }
}

/// A panic costs its own message and no other.
fn note(tally: &Tally, ended: Option<Result<(), tokio::task::JoinError>>) {
    if ended.is_some_and(|ended| ended.is_err_and(|e| e.is_panic())) {
        tally.panicked(shared);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    use super::super::running::{Limits, Running};
    use super::super::sampler::Taps;
    use super::super::sockets::Sockets;
    use super::super::tcp::Patience;
    use super::super::testing::{Reverse, TOO_LONG, metric, reversed, until};
    use super::*;

    /// Says a message in three parts, and panics where it is asked to.
    #[derive(Default)]
    struct Thrice {
        closed: AtomicBool,
    }

    impl Desk for Thrice {
        fn is_open(&self) -> bool {
            !self.closed.load(Relaxed)
        }

        fn take(&self, request: Request) -> Pin<Box<dyn Future<Output = Replies> + Send + '_>> {
            Box::pin(async move {
                assert!(!request.bytes.ends_with(b"panic"), "as a test asked");
                let said = (1..=3).map(move |n| format!("{n} to {}", request.peer).into_bytes());
                Box::new(said) as Replies
            })
        }
    }

    fn start(listen: &str) -> (Running, SocketAddr, Arc<Thrice>) {
        let desk = Arc::new(Thrice::default());
        let sockets = Sockets::bind(&[listen.parse().unwrap()], 1).unwrap();
        let address = sockets.addresses()[0];
        let running = Running::start(
            sockets,
            &Reverse,
            Some(desk.clone()),
            &Taps::new().0,
            Limits::default(),
            &Handle::current(),
        );
        (running, address, desk)
    }

    #[tokio::test]
    async fn a_datagram_is_answered_once_and_from_where_it_went() {
        for listen in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            let (running, address, desk) = start(listen);
            let host = if address.is_ipv4() { "127.0.0.1" } else { "::1" };
            let client =
                tokio::net::UdpSocket::bind(SocketAddr::new(host.parse().unwrap(), 0)).await.unwrap();
            client.connect(SocketAddr::new(host.parse().unwrap(), address.port())).await.unwrap();
            let mut answer = [0; 100];
            for query in [&b"desk panic"[..], b"desk", b"plain"] {
                client.send(query).await.unwrap();
            }
            let mut heard = Vec::new();
            for _ in 0..2 {
                let len = client.recv(&mut answer).await.unwrap();
                heard.push(answer[..len].to_vec());
            }
            heard.sort();
            let mine = format!("1 to {}", client.local_addr().unwrap()).into_bytes();
            assert_eq!(heard, [mine, reversed(b"plain")], "{listen}");

            desk.closed.store(true, Relaxed);
            client.send(b"desk").await.unwrap();
            let len = client.recv(&mut answer).await.unwrap();
            assert_eq!(&answer[..len], reversed(b"desk"), "a closed desk sees nothing");
            running.stop().await;
            let counters = running.counters();
            assert_eq!(metric(&counters, "detour_desk_requests_total", "udp"), 2);
            assert_eq!(metric(&counters, "detour_answer_panics_total", ""), 1);
        }
    }

    /// Takes a message up, and has done with it when it is let go on.
    #[derive(Default)]
    struct Slow {
        taken: AtomicBool,
        go_on: tokio::sync::Notify,
    }

    impl Desk for Slow {
        fn is_open(&self) -> bool {
            true
        }

        fn take(&self, _: Request) -> Pin<Box<dyn Future<Output = Replies> + Send + '_>> {
            Box::pin(async move {
                self.taken.store(true, Relaxed);
                self.go_on.notified().await;
                Box::new(std::iter::once(b"done".to_vec())) as Replies
            })
        }
    }

    #[tokio::test]
    async fn queries_are_answered_while_a_stop_waits_for_slower_messages() {
        let desk = Arc::new(Slow::default());
        let sockets = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
        let address = sockets.addresses()[0];
        let patience = Patience { last_letters: TOO_LONG, ..Patience::default() };
        let limits = Limits { patience, ..Limits::default() };
        let taps = Taps::new().0;
        let running =
            Running::start(sockets, &Reverse, Some(desk.clone()), &taps, limits, &Handle::current());
        let running = Arc::new(running);
        let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(address).await.unwrap();
        client.send(b"desk").await.unwrap();
        until("the desk has it", || desk.taken.load(Relaxed)).await;

        let stopped = running.clone();
        let stopping = tokio::spawn(async move { stopped.stop().await });
        until("the desk takes no more", || running.is_stopping()).await;
        let mut answer = [0; 100];
        for _ in 0..20 {
            client.send(b"plain").await.unwrap();
            let len = timeout(TOO_LONG, client.recv(&mut answer)).await.expect("no answer").unwrap();
            assert_eq!(&answer[..len], reversed(b"plain"));
        }
        assert!(!stopping.is_finished());
        desk.go_on.notify_one();
        let len = timeout(TOO_LONG, client.recv(&mut answer)).await.expect("no reply").unwrap();
        assert_eq!(&answer[..len], b"done");
        timeout(TOO_LONG, stopping).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_connection_gets_all_of_it_in_its_turn() {
        let (running, address, _) = start("127.0.0.1:0");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"\x00\x01a\x00\x04desk\x00\x01b").await.unwrap();
        let mut heard = Vec::new();
        for _ in 0..5 {
            let mut message = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut message).await.unwrap();
            heard.push(String::from_utf8(message).unwrap());
        }
        let me = stream.local_addr().unwrap();
        assert_eq!(
            heard,
            [
                "a".to_owned(),
                format!("1 to {me}"),
                format!("2 to {me}"),
                format!("3 to {me}"),
                "b".to_owned()
            ]
        );
        drop(stream);
        running.stop().await;
    }
}
