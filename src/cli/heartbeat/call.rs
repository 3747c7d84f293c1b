//! One call of a site, over a connection of its own: over TLS where the URL says https.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cli::trust::{Trust, client_config};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024;

/// How a call to `url` shakes hands: not at all, trusting the authorities of a file, or those of this host.
/// Errors: a file that cannot be read, or holds none; a host that trusts nobody.
pub(super) fn trust(url: &Url, ca: Option<&Path>) -> anyhow::Result<Option<Arc<ClientConfig>>> {
    if url.scheme() != "https" {
        return Ok(None);
    }
    let trust = ca.map_or(Trust::Host, |ca| Trust::File(ca.to_owned()));
    let config = client_config(&trust)?;
    Ok(Some(Arc::new(config)))
}

/// Posts `body` with the token; the answer's status, and its body as far as it is read. Errors: whatever kept an
/// answer from coming. The caller bounds the time.
pub(super) async fn post(
    url: &Url,
    trust: Option<Arc<ClientConfig>>,
    token: &str,
    body: String,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let host = url.host_str().context("the URL names no host")?;
    let port = url.port_or_known_default().context("the URL names no port")?;
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
    bearer.set_sensitive(true);
    let request = Request::post(url.path())
        .header(HOST, authority)
        .header(AUTHORIZATION, bearer)
        .header(CONNECTION, "close")
        .header(USER_AGENT, concat!("detour/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::from(body)))?;
    // A URL has an IPv6 address in brackets (RFC 3986, section 3.2.2), and nobody else does.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port)).await?;
    match trust {
        Some(config) => {
            let name = ServerName::try_from(bare.to_owned())?;
            ask(TlsConnector::from(config).connect(name, stream).await?, request).await
        }
        None => ask(stream, request).await,
    }
}

async fn ask<S>(stream: S, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Whatever ends it ends the answer too, which tells why.
    let connection = tokio::spawn(connection);
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        Ok((status, body.map_err(|error| anyhow!(error))?.to_bytes()))
    };
    let answer = answer.await;
    connection.abort();
    answer
}
