//! One POST over HTTP/1.1, on a connection of its own.

use std::io;

use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::line::{Line, SendError};
use crate::model::{AlertReceiver, HttpUrl};

/// The most of an answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024;
/// How much of its first line an error repeats, in characters.
const MAX_QUOTED: usize = 120;

/// What is posted.
pub(super) struct Post<'a> {
    pub url: &'a HttpUrl,
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
    /// What an answer may repeat and an error may not.
    pub secret: Option<&'a str>,
}

/// Posts it; an answer that is not 2xx is an error.
pub(super) async fn post(line: &Line, to: &AlertReceiver, post: &Post<'_>) -> Result<(), SendError> {
    let stream = connect(&post.url.host, post.url.port).await?;
    if post.url.secure {
        exchange(secured(line, to, &post.url.host, stream).await?, post).await
    } else {
        exchange(stream, post).await
    }
}

/// A connection to one of a host's addresses.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, SendError> {
    let failed = |why: io::Error| SendError::again(format!("cannot connect to {host} port {port}: {why}"));
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

/// TLS over a connection, with a certificate for `host`.
pub(super) async fn secured(
    line: &Line,
    to: &AlertReceiver,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, SendError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| SendError::again(format!("{host} is no name that a certificate can be for")))?;
    let connected = TlsConnector::from(line.tls(to)?).connect(name, stream).await;
    connected.map_err(|why| SendError::again(format!("TLS with {host}: {why}")))
}

async fn exchange<S>(stream: S, post: &Post<'_>) -> Result<(), SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let host = &post.url.host;
    let failed = |why: hyper::Error| SendError::again(format!("HTTP with {host}: {why}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let request = request(post).map_err(|why| SendError::again(why.to_string()))?;
    // The connection is what carries the exchange: it ends with it.
    let answering = async {
        let answer = sender.send_request(request).await.map_err(failed)?;
        let (status, body) = (answer.status(), answer.into_body());
        let read = Limited::new(body, MAX_ANSWER).collect().await;
        // What it says beside its status is a courtesy.
        let said = read.map(Collected::to_bytes).unwrap_or_default();
        verdict(status, &said, post)
    };
    tokio::pin!(answering);
    tokio::select! {
        biased;
        verdict = &mut answering => verdict,
        ended = connection => match ended {
            // It may end in order just before its answer is looked at.
            Ok(()) => answering.await,
            Err(why) => Err(failed(why)),
        },
    }
}

fn request(post: &Post<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let HttpUrl { secure, host, port, path } = post.url;
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let usual = if *secure { 443 } else { 80 };
    let host = if *port == usual { host } else { format!("{host}:{port}") };
    let mut request = Request::post(path)
        .header(HOST, host)
        .header(USER_AGENT, concat!("detour/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json")
        .header(CONNECTION, "close");
    for (name, value) in &post.headers {
        request = request.header(*name, value);
    }
    request.body(Full::new(post.body.clone().into()))
}

fn verdict(status: StatusCode, said: &[u8], post: &Post<'_>) -> Result<(), SendError> {
    if status.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut line: String = line.chars().take(MAX_QUOTED).collect();
    for secret in [Some(post.url.path.as_str()), post.secret].into_iter().flatten() {
        if secret.len() > 1 && line.contains(secret) {
            line = String::new();
        }
    }
    let why = format!("{} answered status {}", post.url.host, status.as_u16());
    let why = if line.is_empty() { why } else { format!("{why}: {line}") };
    // These are about the message; any other may be about the moment, the way, or the right to come here.
    let refused = [400, 413, 415, 422].contains(&status.as_u16());
    Err(SendError { refused, why })
}
