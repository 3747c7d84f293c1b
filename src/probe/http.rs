//! The `http` and `https` probes: one request on a connection of its own, one answer, judged.
//!
//! Nothing is kept between runs but the TLS configuration, which checks share: no client, no pool. What
//! is done on behalf of a run is done in its own task, so that breaking it off ends all of it.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Metered, connect};
use super::failure::{MAX_HEAD, MAX_HEADERS, bounded, judge};
use super::heard::{Heard, Listening};
use super::progress::Course;
use super::tasks::Tasks;
use super::tls::shake;
use crate::health::{Failure, Outcome, Phase};
use crate::model::{BodyExpect, Check, HttpProbe, HttpVersion, MAX_BODY_READ, TlsOptions, Whereto};

pub(super) const AGENT: &str = concat!("detour/", env!("CARGO_PKG_VERSION"));
/// How much of what came, and of what was expected, a failure shows, in bytes of each.
const MAX_SHOWN: usize = 60;
/// What an endpoint may send ahead of being read over HTTP/2, in bytes: a body as far as it is read.
const WINDOW: u32 = MAX_BODY_READ as u32;

/// What ALPN offers (RFC 7301; the names are RFC 9113's, section 3.2, and RFC 7301's, section 6).
pub(super) fn alpn(version: HttpVersion) -> [&'static str; 1] {
    match version {
        HttpVersion::One => ["http/1.1"],
        HttpVersion::Two => ["h2"],
    }
}

/// Puts `check`'s question to `addr`; over TLS where there is a configuration for it.
pub(super) async fn ask(
    check: &Check,
    http: &HttpProbe,
    addr: IpAddr,
    tls: Option<(Arc<ClientConfig>, &TlsOptions)>,
    course: &Course,
) -> Outcome {
    let (host, authority) = names(check, if http.tls.is_some() { 443 } else { 80 });
    let request = match request(http, &authority) {
        Ok(request) => request,
        Err(why) => {
            let why = bounded(&format!("cannot build the request: {why}"));
            return Outcome::Failed(Failure::Other(why));
        }
    };
    let connection = match connect(SocketAddr::new(addr, check.probe.port), course).await {
        Ok(stream) => Metered::new(stream),
        Err(outcome) => return outcome,
    };
    let Some((config, options)) = tls else {
        return speak(connection, request, http, course).await;
    };
    let stream = match shake(config, options, &host, connection, course).await {
        Ok(stream) => stream,
        Err(outcome) => return outcome,
    };
    // A server without ALPN speaks HTTP/1.1; HTTP/2 has to be agreed on (RFC 9113, section 3.2).
    if http.version == HttpVersion::Two && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Outcome::Failed(Failure::Alpn("the endpoint does not agree on h2".into()));
    }
    speak(stream, request, http, course).await
}

async fn speak<S>(stream: S, request: Request<Full<Bytes>>, http: &HttpProbe, course: &Course) -> Outcome
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    course.enter(Phase::FirstByte);
    let heard = Heard::default();
    let io = TokioIo::new(Listening { stream, heard: heard.clone() });
    let answered = match http.version {
        HttpVersion::One => {
            let mut builder = http1::Builder::new();
            builder.max_headers(MAX_HEADERS).max_buf_size(MAX_HEAD);
            match builder.handshake(io).await {
                Ok((mut sender, connection)) => {
                    let answering =
                        async move { weigh(sender.send_request(request).await?, http, course).await };
                    drive(connection, answering).await
                }
                Err(error) => Err(error),
            }
        }
        HttpVersion::Two => {
            let tasks = Tasks::default();
            let mut builder = http2::Builder::new(tasks.starter());
            builder
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_header_list_size(MAX_HEAD as u32);
            match builder.handshake(io).await {
                Ok((mut sender, connection)) => {
                    let answering =
                        async move { weigh(sender.send_request(request).await?, http, course).await };
                    drive(connection, answering).await
                }
                Err(error) => Err(error),
            }
        }
    };
    answered.unwrap_or_else(|error| match heard.fault() {
        // The library says that there is one, and not where.
        Some(fault)
            if http.version == HttpVersion::One && error.is_parse() && !error.is_parse_too_large() =>
        {
            Outcome::Failed(Failure::Protocol(bounded(&fault)))
        }
        _ => judge(&error, course.phase(), || true),
    })
}

/// Keeps the connection moving until the answer is weighed. What ends the connection ends the answer too,
/// which tells it.
pub(super) async fn drive<T>(connection: impl Future, answering: impl Future<Output = T>) -> T {
    let (mut connection, mut answering) = (pin!(connection), pin!(answering));
    let mut over = false;
    std::future::poll_fn(|context| {
        over = over || connection.as_mut().poll(context).is_ready();
        match answering.as_mut().poll(context) {
            // The request may only now have been handed over.
            Poll::Pending if !over => {
                over = connection.as_mut().poll(context).is_ready();
                if over { answering.as_mut().poll(context) } else { Poll::Pending }
            }
            polled => polled,
        }
    })
    .await
}

/// Holds an answer against what is expected.
async fn weigh(
    answer: Response<Incoming>,
    http: &HttpProbe,
    course: &Course,
) -> Result<Outcome, hyper::Error> {
    let status = answer.status().as_u16();
    if !http.status.iter().any(|range| range.contains(&status)) {
        return Ok(Outcome::Failed(unexpected(&answer)));
    }
    for (name, text) in &http.expect_headers {
        if let Some(why) = lacks(answer.headers(), name, text) {
            return Ok(Outcome::Failed(Failure::Header(bounded(&why))));
        }
    }
    // Without one the head says it all, and nobody waits for the rest.
    let Some(expect) = &http.body else { return Ok(Outcome::Ok) };
    course.enter(Phase::Body);
    seek(answer.into_body(), expect).await
}

/// What an answer with a status that is not expected fails with. Where a redirect leads is said, for the
/// configuration may want to ask there; following it would show that some other server is well.
fn unexpected(answer: &Response<Incoming>) -> Failure {
    let status = answer.status();
    match answer.headers().get(LOCATION).filter(|_| status.is_redirection()) {
        Some(to) => {
            let to = bounded(&String::from_utf8_lossy(to.as_bytes()));
            Failure::Redirect { status: status.as_u16(), to }
        }
        None => Failure::Status(status.as_u16()),
    }
}

/// Why the header is not as expected, if it is not.
fn lacks(headers: &HeaderMap, name: &str, text: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter().peekable();
    let Some(first) = values.peek().copied() else {
        return Some(format!("there is no {name}"));
    };
    let fits = values.any(|value| holds(value.as_bytes(), text.as_bytes()));
    (!fits).then(|| format!("\"{text}\" is not in {name}: {}", String::from_utf8_lossy(first.as_bytes())))
}

/// Looks for what is expected in the first [`MAX_BODY_READ`] bytes of the body. A text ends the reading as
/// soon as it is found; a pattern may say something of the end, so all is read first.
async fn seek(mut answer: Incoming, expect: &BodyExpect) -> Result<Outcome, hyper::Error> {
    let mut body = Vec::new();
    while body.len() < MAX_BODY_READ {
        let Some(frame) = answer.frame().await else { break };
        // Trailers are no body.
        let Ok(chunk) = frame?.into_data() else { continue };
        let before = body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_BODY_READ - before)]);
        if let BodyExpect::Text(text) = expect {
            // The text may have begun in the chunk before.
            let from = before.saturating_sub(text.len().saturating_sub(1));
            if holds(&body[from..], text.as_bytes()) {
                return Ok(Outcome::Ok);
            }
        }
    }
    let place = match body.len() {
        MAX_BODY_READ => format!("its first {MAX_BODY_READ} bytes"),
        _ => "it".into(),
    };
    let came = began(&body);
    let why = match expect {
        BodyExpect::Text(text) if text.is_empty() => return Ok(Outcome::Ok),
        BodyExpect::Text(text) => format!("\"{}\" is not in {place}; the body {came}", head(text)),
        BodyExpect::Regex(pattern) if pattern.matches(&body) => return Ok(Outcome::Ok),
        BodyExpect::Regex(pattern) => {
            format!("nothing in {place} matches {}; the body {came}", head(pattern.as_str()))
        }
    };
    Ok(Outcome::Failed(Failure::Body(bounded(&why))))
}

/// The beginning of what is expected, so that there is room for what came.
fn head(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// How an answer begins, in words: `begins with "<html>"`.
fn began(body: &[u8]) -> String {
    if body.is_empty() {
        return "is empty".to_owned();
    }
    let shown = &body[..body.len().min(MAX_SHOWN)];
    let more = if shown.len() < body.len() { "…" } else { "" };
    format!("begins with \"{}{more}\"", shown.escape_ascii())
}

/// Whether `text` is in `body`.
fn holds(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// The name that is asked for, and the same as a Host header has it: with the port, unless it is the
/// scheme's own (RFC 9110, section 7.2), and in brackets if it is an IPv6 address (RFC 3986, section 3.2.2).
pub(super) fn names(check: &Check, default_port: u16) -> (String, String) {
    let host = match (&check.key.host, &check.key.whereto) {
        (Some(host), _) => host.to_string(),
        (None, Whereto::Addr(addr)) => addr.to_string(),
        (None, Whereto::Name(name)) => name.to_string(),
    };
    let bare = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(addr)) => format!("[{addr}]"),
        _ => host.clone(),
    };
    let authority =
        if check.probe.port == default_port { bare } else { format!("{bare}:{}", check.probe.port) };
    (host, authority)
}

fn request(http: &HttpProbe, authority: &str) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let body = http.request_body.as_deref().map(|body| Bytes::copy_from_slice(body.as_bytes()));
    let mut headers = HeaderMap::with_capacity(http.headers.len() + 4);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let mut builder = Request::builder().method(http.method.as_str());
    builder = if http.version == HttpVersion::Two {
        // RFC 9113, section 8.3.1: the pseudo-headers come of the URI.
        let scheme = if http.tls.is_some() { "https" } else { "http" };
        builder.uri(format!("{scheme}://{authority}{}", http.path))
    } else {
        headers.insert(HOST, HeaderValue::from_str(authority)?);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        builder.uri(http.path.as_str())
    };
    for (name, value) in &http.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    let mut request = builder.body(Full::new(body.unwrap_or_default()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::super::tests::http_check;
    use super::*;

    #[test]
    fn the_host_header_has_the_port_unless_it_is_the_schemes_own() {
        let check = |host: &str, port: u16, want: &str| {
            let (check, http) = http_check("192.0.2.1", host, port);
            assert_eq!(names(&check, 80), (host.to_owned(), want.to_owned()));
            assert_eq!(request(&http, want).unwrap().headers()[HOST], want);
        };
        check("app.example.com", 80, "app.example.com");
        check("app.example.com", 8080, "app.example.com:8080");
        check("192.0.2.9", 81, "192.0.2.9:81");
        check("2001:db8::9", 80, "[2001:db8::9]");
        check("2001:db8::9", 81, "[2001:db8::9]:81");
    }

    #[test]
    fn http_2_has_the_host_in_its_pseudo_headers() {
        let (_, http) = http_check("192.0.2.1", "app.example.com", 80);
        let http = HttpProbe { version: HttpVersion::Two, ..http };
        let request = request(&http, "app.example.com:81").unwrap();
        assert_eq!(request.uri(), "http://app.example.com:81/health?full=1");
        assert!(!request.headers().contains_key(HOST) && !request.headers().contains_key(CONNECTION));
    }

    #[test]
    fn a_request_no_line_can_hold_is_an_error() {
        let (_, http) = http_check("192.0.2.1", "app.example.com", 80);
        assert!(request(&http, "a\nb").is_err());
        let http = HttpProbe { path: "/a b".into(), ..http };
        assert!(request(&http, "app.example.com").is_err());
    }
}
