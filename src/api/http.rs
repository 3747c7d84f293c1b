//! HTTP/1.1 on a listener of this room: who gets a connection, and how long each part of a request may take.
//!
//! ```text
//! accept ─► admission ─► handshake ─► head ─► request ─► answer ─► head …
//!                        10 s         20 s    routes     a least rate
//! ```
//!
//! Each of these bounds is for the whole of its part: a byte now and then moves none of them. Where too many
//! connections are open, the source with the most loses its idlest one (`serve::Admission`), so that whoever comes with
//! one request is answered.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Request, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::paced::{Pace, Paced};
use super::secure::Secured;
use super::{Problem, SHUTDOWN_GRACE};
use crate::server::{Acceptor, Admission, Bounds, Permit};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a request's head may take, from when the connection is ready for it: a connection that is kept alive
/// waits no longer for its next one.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How slowly a client may read what it is answered.
const PACE: Pace = Pace { patience: Duration::from_secs(30), bytes_per_second: 16 * 1024 };
/// What is read ahead of a connection, and written ahead of its client, in bytes.
const MAX_BUFFER: usize = 64 * 1024;

/// The bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    bounds: Bounds,
    head: Duration,
    pace: Pace,
    /// How long a connection lasts, whatever comes over it.
    lifetime: Option<Duration>,
}

impl Limits {
    pub(super) fn new(bounds: Bounds, lifetime: Option<Duration>) -> Limits {
        Limits { bounds, head: HEAD_TIMEOUT, pace: PACE, lifetime }
    }
}

/// Who came over a connection; an IPv4 address is never one of IPv6.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves until `shutdown` completes, then gives open requests [`SHUTDOWN_GRACE`] to end. `name` is for the log.
pub(super) async fn serve(
    listener: TcpListener,
    secured: Secured,
    (name, limits): (&'static str, Limits),
    routes: Router,
    shutdown: impl Future<Output = ()>,
) {
    let admission = Admission::new(name, limits.bounds);
    let mut acceptor = Acceptor::new(listener, name);
    let (open, closing) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            // A panic took its own connection down and no other.
            Some(_) = connections.join_next() => continue,
            accepted = acceptor.accept() => accepted,
        };
        let permit = Arc::new(admission.admit(peer.ip()).await);
        let (secured, routes, closing) = (secured.clone(), routes.clone(), closing.clone());
        connections.spawn(Connection { peer, permit, secured, routes, closing, limits }.run(stream));
    }
    drop((acceptor, open));
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(SHUTDOWN_GRACE, all_ended).await;
    connections.shutdown().await;
}

/// What a connection's task works with.
struct Connection {
    peer: SocketAddr,
    permit: Arc<Permit>,
    secured: Secured,
    routes: Router,
    /// Its sender is gone once the listener is to end.
    closing: watch::Receiver<()>,
    limits: Limits,
}

impl Connection {
    /// From its first byte to its end: the peer's, that of its time, or because it makes way for another.
    async fn run(self, stream: TcpStream) {
        let (permit, lifetime) = (self.permit.clone(), self.limits.lifetime);
        let end_of_life = async {
            match lifetime {
                Some(lifetime) => sleep(lifetime).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = self.open(stream) => {}
            () = permit.evicted() => {}
            () = end_of_life => {}
        }
    }

    async fn open(self, stream: TcpStream) {
        let Some(config) = self.secured.load_full() else { return self.speak(stream).await };
        match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "a TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "a TLS handshake took too long"),
        }
    }

    async fn speak(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let (peer, permit) = (self.peer, self.permit.clone());
        let routes = TowerToHyperService::new(self.routes.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            permit.busy();
            let underway = Underway(permit.clone());
            request.extensions_mut().insert(ConnectInfo(Peer(peer)));
            let routes = routes.clone();
            async move {
                let response = match bad_host(&request) {
                    Some(problem) => refuse(problem),
                    None => routes.call(request).await?,
                };
                Ok::<_, Infallible>(response.map(|body| Answer { body, _underway: underway }))
            }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.limits.head).max_buf_size(MAX_BUFFER);
        let io = TokioIo::new(Paced::new(stream, self.limits.pace));
        let mut connection = pin!(http.serve_connection(io, service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            // Nothing is ever sent over it: it ends.
            _ = self.closing.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, %peer, "a connection was cut");
        }
    }
}

/// A request that names no host, or more than one (RFC 9112 section 3.2): what stands in between may take it for
/// another's.
fn bad_host<B>(request: &Request<B>) -> Option<Problem> {
    let mut hosts = request.headers().get_all(header::HOST).into_iter();
    let detail = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() >= Version::HTTP_11 => "the request has no Host header: send one",
        (_, Some(_)) => "the request has more than one Host header: send one",
        (Some(host), None) if !is_host(host) => "the Host header is no host: send \"name\" or \"name:port\"",
        _ => return None,
    };
    Some(Problem::bad_request(detail))
}

/// Whether it can be a host and a port. An empty one is allowed, and is nobody's (RFC 9110 section 7.2).
fn is_host(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    bytes.is_empty() || (!bytes.contains(&b'@') && Authority::try_from(bytes).is_ok())
}

/// What comes after on this connection is nobody's to say.
fn refuse(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A request that is being answered: its connection is idle again once this is gone.
struct Underway(Arc<Permit>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.idle();
    }
}

/// An answer's body, and that it is under way.
struct Answer {
    body: Body,
    _underway: Underway,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;
    use tokio::sync::oneshot;

    use super::super::pieces::Shared;
    use super::*;

    const TOO_LONG: Duration = Duration::from_secs(20);
    const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

    fn limits() -> Limits {
        Limits::new(Bounds { total: 8, per_source: 4, kept_for_loopback: 0 }, None)
    }

    async fn served(limits: Limits, routes: Router) -> (SocketAddr, oneshot::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let routes = routes.route("/hello", get(async || "hello"));
        tokio::spawn(serve(listener, Secured::default(), ("a test", limits), routes, shutdown));
        (address, stop)
    }

    async fn connect_from(source: &str, server: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
        socket.connect(server).await.unwrap()
    }

    /// All that comes until the end of the connection.
    async fn hear(mut stream: TcpStream) -> String {
        let mut heard = Vec::new();
        let hearing = timeout(TOO_LONG, stream.read_to_end(&mut heard));
        // A reset is an end too.
        let _ = hearing.await.expect("neither an answer nor the end of the connection");
        String::from_utf8(heard).unwrap()
    }

    async fn ask(source: &str, server: SocketAddr, request: &[u8]) -> String {
        let mut stream = connect_from(source, server).await;
        let _ = stream.write_all(request).await;
        hear(stream).await
    }

    /// Sends a byte of a head now and then until the connection is over.
    async fn drip(mut stream: TcpStream) {
        let mut dripping = HELLO[..40].iter().chain(std::iter::repeat(&b'x'));
        while stream.write_all(&[*dripping.next().unwrap()]).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_byte_now_and_then_does_not_put_off_the_end_of_a_head() {
        let (address, _stop) =
            served(Limits { head: Duration::from_millis(200), ..limits() }, Router::new()).await;
        timeout(TOO_LONG, drip(connect_from("127.0.0.1", address).await)).await.expect("never cut");
        // A connection that was of use waits no longer for its next request.
        let kept = b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n";
        assert!(ask("127.0.0.1", address, kept).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn a_connection_ends_with_its_time_whatever_comes_over_it() {
        let limits = Limits { lifetime: Some(Duration::from_millis(200)), ..limits() };
        let (address, _stop) = served(limits, Router::new()).await;
        timeout(TOO_LONG, drip(connect_from("127.0.0.1", address).await)).await.expect("never cut");
    }

    #[tokio::test]
    async fn addresses_with_all_connections_keep_no_third_out() {
        let (address, _stop) = served(limits(), Router::new()).await;
        let mut held = Vec::new();
        for n in 0..16 {
            let mut stream = connect_from(["127.0.0.2", "127.0.0.3"][n % 2], address).await;
            stream.write_all(b"GET /he").await.unwrap();
            held.push(stream);
        }
        for _ in 0..8 {
            assert!(ask("127.0.0.1", address, HELLO).await.ends_with("hello"));
        }
        // Nor do they keep out themselves.
        assert!(ask("127.0.0.2", address, HELLO).await.ends_with("hello"));
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut() {
        // More than the kernel holds for the two.
        const LARGE: usize = 64 << 20;
        let large = Shared::new(vec![b'x'; LARGE]);
        let held = Arc::downgrade(&large);
        let once = Arc::new(Mutex::new(Some(large)));
        let large = get(async move || once.lock().unwrap().take().unwrap().body());
        let pace = Pace { patience: Duration::from_millis(200), ..PACE };
        let (address, _stop) =
            served(Limits { pace, ..limits() }, Router::new().route("/large", large)).await;
        let mut stream = connect_from("127.0.0.1", address).await;
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        stream.readable().await.unwrap();
        // Nothing is read of it until nobody has it any more.
        let gone = async {
            while held.strong_count() > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(TOO_LONG, gone).await.expect("never cut");
        assert!(hear(stream).await.len() < LARGE);
    }

    #[tokio::test]
    async fn a_request_names_one_host() {
        let (address, _stop) = served(limits(), Router::new()).await;
        let check = async |head: &str, want: &str| {
            let request = format!("GET /hello {head}\r\nconnection: close\r\n\r\n");
            let answer = ask("127.0.0.1", address, request.as_bytes()).await;
            assert!(answer.contains(want), "{head:?}: {answer}");
        };
        check("HTTP/1.1\r\nhost: localhost", " 200 ").await;
        check("HTTP/1.1\r\nhost: [::1]:8053", " 200 ").await;
        check("HTTP/1.1\r\nhost:", " 200 ").await;
        check("HTTP/1.0", " 200 ").await;
        for bad in [
            "HTTP/1.1\r\naccept: */*",
            "HTTP/1.1\r\nhost: a\r\nhost: a",
            "HTTP/1.0\r\nhost: a\r\nhost: b",
            "HTTP/1.1\r\nhost: a b",
            "HTTP/1.1\r\nhost: you@a",
        ] {
            check(bad, " 400 ").await;
        }
    }
}
