//! grpc probes: against a health server on gRPC's C core, and against servers that misbehave.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use detour::model::{GrpcProbe, ProbeKind, TlsOptions};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;

use crate::checks::{HOST, LONG, SHORT, ask_trusting, check};
use crate::peers::authority::{Authority, NOW};
use crate::servers::{answering, ok, refusing, serve, silent};
use crate::talks::Server;

fn of(service: &str) -> GrpcProbe {
    GrpcProbe { service: service.into(), host: None, tls: None, max_latency: None }
}

fn with_tls(options: TlsOptions) -> GrpcProbe {
    GrpcProbe { tls: Some(Arc::new(options)), ..of("") }
}

async fn ask_trusted(roots: RootCertStore, grpc: GrpcProbe, to: SocketAddr, timeout: Duration) -> String {
    ask_trusting(roots, check(ProbeKind::Grpc(grpc), to, timeout)).await.to_string()
}

async fn ask(grpc: GrpcProbe, to: SocketAddr, timeout: Duration) -> String {
    ask_trusted(RootCertStore::empty(), grpc, to, timeout).await
}

/// The health server, or one without that service, with these PEM files if any.
async fn python(kind: &str, pems: &[&Path]) -> Server {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe/health_server.py");
    Server::start(|port| {
        // The Debian package python3-grpcio belongs to Debian's Python, whichever comes first in PATH.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(&script).args([&port.to_string(), kind]).args(pems);
        command
    })
    .await
}

#[tokio::test]
async fn a_health_server_is_asked_about_each_service() {
    let server = python("health", &[]).await;
    let check = async |service: &str, want: &str| {
        assert_eq!(ask(of(service), server.addr, LONG).await, want, "{service:?}");
    };
    check("", "ok").await;
    check("SERVING", "ok").await;
    check("NOT_SERVING", "reports NOT_SERVING").await;
    check("UNKNOWN", "reports UNKNOWN").await;
    check("SERVICE_UNKNOWN", "reports SERVICE_UNKNOWN").await;
    check("cart", "gRPC: NOT_FOUND: no service cart: ä").await;
    let long = "x".repeat(250);
    check(&long, &format!("gRPC: NOT_FOUND: no service {}…", "x".repeat(200 - 22))).await;
}

#[tokio::test]
async fn a_server_without_the_health_service_says_so() {
    let server = python("none", &[]).await;
    assert_eq!(ask(of(""), server.addr, LONG).await, "gRPC: UNIMPLEMENTED: Method not found!");
}

#[tokio::test]
async fn health_is_asked_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let (certificate, key) = authority.pem(&[HOST]);
    let (certificate_file, key_file) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    std::fs::write(&certificate_file, certificate).unwrap();
    std::fs::write(&key_file, key).unwrap();
    let server = python("health", &[&certificate_file, &key_file]).await;
    let ask = async |roots: &Authority, options: TlsOptions| {
        ask_trusted(roots.roots.clone(), with_tls(options), server.addr, LONG).await
    };
    assert_eq!(ask(&authority, TlsOptions::default()).await, "ok");
    assert_eq!(
        ask(&stranger, TlsOptions::default()).await,
        "certificate: signed by an issuer this host does not trust"
    );
    let other = TlsOptions { server_name: Some("other.example".into()), ..TlsOptions::default() };
    assert_eq!(
        ask(&authority, other).await,
        "certificate: not valid for other.example, but for app.example.com"
    );
    // In clear text to a port that speaks TLS.
    let clear = ask_trusted(RootCertStore::empty(), of(""), server.addr, LONG).await;
    assert!(clear.starts_with("bad HTTP: ") || clear == "connection reset", "{clear}");
}

#[tokio::test]
async fn tls_without_h2_is_not_enough() {
    let authority = Authority::new("ours");
    let (addr, _seen) = authority.server(&[HOST], NOW).await;
    let said = ask_trusted(authority.roots.clone(), with_tls(TlsOptions::default()), addr, LONG).await;
    assert_eq!(said, "ALPN: the endpoint does not agree on h2");
}

#[tokio::test]
async fn servers_that_speak_something_else_or_nothing() {
    assert_eq!(ask(of(""), refusing().1, LONG).await, "connection refused");
    assert_eq!(ask(of(""), silent().await, SHORT).await, "timeout in first byte");
    let http_1 = ask(of(""), answering(&[&ok(b"OK")]).await, LONG).await;
    assert!(http_1.starts_with("bad HTTP: "), "{http_1}");
}

/// A server over HTTP/2 that answers whatever is asked with what `answer` makes.
pub async fn http_2<F, A, B>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    serve(move |stream| {
        let answer = answer.clone();
        async move {
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // The probe resets its connections.
            server.serve_connection(TokioIo::new(stream), service).await.ok();
        }
    })
    .await
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

/// What a probe says of this status and head, these bytes, and these trailers if any.
async fn said(
    status: u16,
    head: &[(&'static str, &'static str)],
    body: &'static [u8],
    trailers: Option<&[(&'static str, &'static str)]>,
) -> String {
    let (head, trailers) = (headers(head), trailers.map(headers));
    let addr = http_2(move |_| {
        let (head, trailers) = (head.clone(), trailers.clone());
        async move {
            let trailers = std::future::ready(trailers.map(Ok));
            let mut answer = Response::new(Full::new(Bytes::from_static(body)).with_trailers(trailers));
            *answer.status_mut() = status.try_into().unwrap();
            *answer.headers_mut() = head;
            answer
        }
    })
    .await;
    ask(of(""), addr, LONG).await
}

#[tokio::test]
async fn answers_that_are_wrong_are_told_apart() {
    const GRPC: (&str, &str) = ("content-type", "application/grpc");
    const OK: Option<&[(&str, &str)]> = Some(&[("grpc-status", "0")]);
    const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
    assert_eq!(said(200, &[GRPC], SERVING, OK).await, "ok");
    assert_eq!(said(200, &[("content-type", "application/grpc+proto")], SERVING, OK).await, "ok");
    assert_eq!(said(404, &[GRPC], SERVING, OK).await, "status 404");
    assert_eq!(
        said(200, &[("content-type", "text/html")], SERVING, OK).await,
        "gRPC: the answer's content type is text/html, not application/grpc"
    );
    assert_eq!(
        said(200, &[], SERVING, OK).await,
        "gRPC: the answer's content type is missing, not application/grpc"
    );
    assert_eq!(said(200, &[GRPC], SERVING, None).await, "gRPC: the answer ended without a status");
    // All of it in the head.
    let head = [GRPC, ("grpc-status", "14"), ("grpc-message", "warming%20up")];
    assert_eq!(said(200, &head, b"", None).await, "gRPC: UNAVAILABLE: warming up");
    // A message that looks well is worth nothing when the call fails after it.
    let failed: &[_] = &[("grpc-status", "13"), ("grpc-message", "lost")];
    assert_eq!(said(200, &[GRPC], SERVING, Some(failed)).await, "gRPC: INTERNAL: lost");
    assert_eq!(said(200, &[GRPC], b"", OK).await, "gRPC: the answer holds no message");
    assert_eq!(
        said(200, &[GRPC], &[1, 0, 0, 0, 0], OK).await,
        "gRPC: the answer is compressed, which was not asked for"
    );
}

/// Says the same for ever.
pub struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 1000])))))
    }
}

#[tokio::test]
async fn an_endless_message_is_not_read_to_its_end() {
    let addr = http_2(|_| async {
        let mut answer = Response::new(Endless);
        *answer.headers_mut() = headers(&[("content-type", "application/grpc")]);
        answer
    })
    .await;
    assert_eq!(ask(of(""), addr, LONG).await, "gRPC: an answer of more than 4096 bytes");
}

#[tokio::test]
async fn what_is_sent_is_a_call_of_the_standard_service() {
    let (seen, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let addr = http_2(move |request| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            seen.send((head, body.collect().await.unwrap().to_bytes())).unwrap();
            Response::new(Full::new(Bytes::new()))
        }
    })
    .await;
    ask(of("cart"), addr, LONG).await;
    let (head, body) = calls.recv().await.unwrap();
    assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/grpc.health.v1.Health/Check"));
    assert_eq!(head.uri.authority().unwrap().as_str(), format!("{HOST}:{}", addr.port()));
    assert_eq!(
        (&head.headers["content-type"], &head.headers["te"]),
        (&"application/grpc".parse().unwrap(), &"trailers".parse().unwrap())
    );
    assert_eq!(&body[..], b"\0\0\0\0\x06\x0a\x04cart");
}
