//! One call of a site, over a connection of its own: over TLS where the URL says https.

use std::fs;
use std::io::Read;
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
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 * 1024;
/// The longest file of authorities, in bytes.
const MAX_CA_FILE: u64 = 1 << 20;

/// How a call to `url` shakes hands: not at all, trusting the authorities of a file, or those of this host.
/// Errors: a file that cannot be read, or holds none; a host that trusts nobody.
pub(super) fn trust(url: &Url, ca: Option<&Path>) -> anyhow::Result<Option<Arc<ClientConfig>>> {
    if url.scheme() != "https" {
        return Ok(None);
    }
    let roots = ca.map_or_else(roots_of_host, roots_of_file)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Some(Arc::new(config)))
}

fn roots_of_file(file: &Path) -> anyhow::Result<RootCertStore> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(file)?.take(MAX_CA_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("cannot read {}", file.display()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.with_context(|| format!("{} is not PEM", file.display()))?;
        roots.add(certificate).with_context(|| file.display().to_string())?;
    }
    if roots.is_empty() {
        anyhow::bail!("{} holds no certificate in PEM form", file.display());
    }
    Ok(roots)
}

fn roots_of_host() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        anyhow::bail!("this host trusts no authorities; install ca-certificates or give --ca");
    }
    Ok(roots)
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
