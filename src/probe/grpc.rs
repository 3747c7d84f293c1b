//! The `grpc` probe: one call of `grpc.health.v1.Health/Check`, on a connection of its own.
//!
//! A call is a request over HTTP/2 whose answer ends in trailers (gRPC's "PROTOCOL-HTTP2"); what is asked and
//! answered are two messages of one field each (gRPC's "health checking"), so both are read and written here.

use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Metered, connect};
use super::failure::{MAX_HEAD, MAX_TEXT, bounded, judge};
use super::http::{AGENT, drive, names};
use super::progress::Course;
use super::tasks::Tasks;
use super::tls::shake;
use crate::health::{Failure, Outcome, Phase};
use crate::model::{Check, GrpcProbe};

/// What ALPN offers.
pub(super) const ALPN: [&str; 1] = ["h2"];
const METHOD: &str = "/grpc.health.v1.Health/Check";
const CONTENT: &str = "application/grpc";
/// The longest answer that is read, in bytes; a well-formed one has seven.
const MAX_ANSWER: usize = 4_096;
/// What an endpoint may send ahead of being read, in bytes.
const WINDOW: u32 = 16 * 1024;
/// What goes before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Status codes by number (gRPC's "status codes").
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// `HealthCheckResponse.ServingStatus` by number.
const STATES: [&str; 4] = ["UNKNOWN", SERVING, "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: &str = "SERVING";

/// Asks `to` how the service is; over TLS where there is a configuration for it.
pub(super) async fn ask(
    to: SocketAddr,
    check: &Check,
    grpc: &GrpcProbe,
    tls: Option<Arc<ClientConfig>>,
    course: &Course,
) -> Outcome {
    let (host, authority) = names(check, if grpc.tls.is_some() { 443 } else { 80 });
    let request = match request(grpc, &authority) {
        Ok(request) => request,
        Err(why) => {
            return Outcome::Failed(Failure::Other(bounded(&format!("cannot build the request: {why}"))));
        }
    };
    let connection = match connect(to, course).await {
        Ok(stream) => Metered::new(stream),
        Err(outcome) => return outcome,
    };
    let (Some(config), Some(options)) = (tls, &grpc.tls) else {
        return call(connection, request, course).await;
    };
    let stream = match shake(config, options, &host, connection, course).await {
        Ok(stream) => stream,
        Err(outcome) => return outcome,
    };
    if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Outcome::Failed(Failure::Alpn("the endpoint does not agree on h2".into()));
    }
    call(stream, request, course).await
}

fn request(grpc: &GrpcProbe, authority: &str) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let scheme = if grpc.tls.is_some() { "https" } else { "http" };
    Request::builder()
        .method(Method::POST)
        .uri(format!("{scheme}://{authority}{METHOD}"))
        .header(CONTENT_TYPE, HeaderValue::from_static(CONTENT))
        // Without it some servers take this for a proxy that drops trailers, and refuse.
        .header(TE, HeaderValue::from_static("trailers"))
        .header(USER_AGENT, HeaderValue::from_static(AGENT))
        .body(Full::new(question(&grpc.service).into()))
}

async fn call<S>(stream: S, request: Request<Full<Bytes>>, course: &Course) -> Outcome
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    course.enter(Phase::FirstByte);
    let tasks = Tasks::default();
    let mut builder = http2::Builder::new(tasks.starter());
    builder
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(MAX_HEAD as u32);
    let answered = match builder.handshake(TokioIo::new(stream)).await {
        Ok((mut sender, connection)) => {
            let answering = async move { weigh(sender.send_request(request).await?, course).await };
            drive(connection, answering).await
        }
        Err(error) => Err(error),
    };
    answered.unwrap_or_else(|error| judge(&error, course.phase(), || true))
}

async fn weigh(answer: Response<Incoming>, course: &Course) -> Result<Outcome, hyper::Error> {
    let wrong = |why: &str| Ok(Outcome::Failed(Failure::Grpc(bounded(why))));
    if answer.status() != 200 {
        return Ok(Outcome::Failed(Failure::Status(answer.status().as_u16())));
    }
    let content = answer.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !content.is_some_and(is_grpc) {
        let content = content.map_or("missing".into(), String::from_utf8_lossy);
        return wrong(&format!("the answer's content type is {content}, not {CONTENT}"));
    }
    // An answer without a message may say all of it in its head ("Trailers-Only").
    if let Some(outcome) = status(answer.headers()).filter(|outcome| *outcome != Outcome::Ok) {
        return Ok(outcome);
    }
    course.enter(Phase::Body);
    let (mut body, mut read, mut ended) = (answer.into_body(), Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(chunk) if read.len() + chunk.len() > MAX_ANSWER => {
                return wrong(&format!("an answer of more than {MAX_ANSWER} bytes"));
            }
            Ok(chunk) => read.extend_from_slice(&chunk),
            Err(frame) => ended = frame.trailers_ref().and_then(status),
        }
    }
    match ended {
        None => wrong("the answer ended without a status"),
        Some(Outcome::Ok) => Ok(match state(&read) {
            Ok(SERVING) => Outcome::Ok,
            Ok(state) => Outcome::Failed(Failure::NotServing(state.into())),
            Err(why) => Outcome::Failed(Failure::Grpc(why.into())),
        }),
        Some(failed) => Ok(failed),
    }
}

/// `application/grpc`, and what may follow: `+proto`, or a parameter.
fn is_grpc(content: &[u8]) -> bool {
    let rest = content.get(CONTENT.len()..);
    let is = content.get(..CONTENT.len()).is_some_and(|head| head.eq_ignore_ascii_case(CONTENT.as_bytes()));
    is && rest.is_none_or(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// What `grpc-status` and `grpc-message` say, if they are there.
fn status(headers: &HeaderMap) -> Option<Outcome> {
    let code = headers.get(HeaderName::from_static("grpc-status"))?.as_bytes();
    if code == b"0" {
        return Some(Outcome::Ok);
    }
    let code = String::from_utf8_lossy(code);
    let name = code.parse().ok().and_then(|code: usize| CODES.get(code).copied());
    let mut text = name.map_or_else(|| format!("status {code}"), str::to_owned);
    if let Some(message) = headers.get(HeaderName::from_static("grpc-message")).filter(|m| !m.is_empty()) {
        text.push_str(": ");
        text.push_str(&decoded(message.as_bytes()));
    }
    Some(Outcome::Failed(Failure::Grpc(bounded(&text))))
}

/// A message's text, whose octets that are no printable ASCII are percent-encoded. As much of it as a failure
/// carries.
fn decoded(message: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = message;
    while let [first, after @ ..] = rest {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        let encoded = match after {
            [high, low, after @ ..] if *first == b'%' => {
                hex(*high).zip(hex(*low)).map(|(high, low)| ((high * 16 + low) as u8, after))
            }
            _ => None,
        };
        let (byte, after) = encoded.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
        if bytes.len() > MAX_TEXT {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A `HealthCheckRequest` for `service`, with its prefix.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    // Protocol Buffers leave out what is a field's default.
    if !service.is_empty() {
        message.push(1 << 3 | LENGTH);
        put_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

/// The status in a `HealthCheckResponse`, with its prefix.
fn state(read: &[u8]) -> Result<&'static str, &'static str> {
    let Some((prefix, message)) = read.split_first_chunk::<PREFIX>() else {
        return Err("the answer holds no message");
    };
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 {
        return Err("the answer is compressed, which was not asked for");
    }
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err("the answer is not one whole message");
    }
    let number = status_field(message).ok_or("the answer is not a HealthCheckResponse")?;
    usize::try_from(number)
        .ok()
        .and_then(|number| STATES.get(number).copied())
        .ok_or("the answer holds a serving status that is not known")
}

// Wire types (Protocol Buffers, "encoding").
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH: u8 = 2;
const FIXED_32: u8 = 5;

/// Field 1 as a number, the last where there are several, 0 where there is none; other fields are passed over.
fn status_field(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let skipped = match (tag & 7) as u8 {
            VARINT => {
                let value = take_varint(&mut message)?;
                if tag >> 3 == 1 {
                    status = value;
                }
                0
            }
            FIXED_64 => 8,
            LENGTH => usize::try_from(take_varint(&mut message)?).ok()?,
            FIXED_32 => 4,
            _ => return None,
        };
        message = message.get(skipped..)?;
    }
    Some(status)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_varint(bytes: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_name_the_service_unless_it_is_the_server_itself() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = question(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn answers_are_read_and_refused() {
        let check = |message: &[u8], want: Result<&str, &str>| {
            let mut framed = vec![0, 0, 0, 0, message.len() as u8];
            framed.extend_from_slice(message);
            assert_eq!(state(&framed), want, "{message:?}");
        };
        check(&[], Ok("UNKNOWN"));
        check(&[8, 1], Ok("SERVING"));
        check(&[8, 2, 8, 3], Ok("SERVICE_UNKNOWN"));
        // Fields that later versions may bring: a number, eight bytes, a text, four bytes.
        check(&[0x10, 9, 0x19, 1, 1, 1, 1, 1, 1, 1, 1, 0x22, 1, 0, 8, 1, 0x2d, 1, 1, 1, 1], Ok("SERVING"));
        check(&[8, 4], Err("the answer holds a serving status that is not known"));
        let no_response = Err("the answer is not a HealthCheckResponse");
        for bad in [&[8][..], &[8, 0x80], &[0x22, 9, 0], &[0x0b], &[0xff; 11], &[0x19, 0]] {
            check(bad, no_response);
        }
        assert_eq!(state(&[0, 0, 0]), Err("the answer holds no message"));
        assert_eq!(state(&[1, 0, 0, 0, 2, 8, 1]), Err("the answer is compressed, which was not asked for"));
        for length in [1, 3] {
            assert_eq!(state(&[0, 0, 0, 0, length, 8, 1]), Err("the answer is not one whole message"));
        }
    }

    #[test]
    fn the_status_is_told_by_its_name_and_message() {
        let check = |code: &'static str, message: &'static str, want: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", HeaderValue::from_static(code));
            headers.insert("grpc-message", HeaderValue::from_static(message));
            assert_eq!(status(&headers).unwrap().to_string(), want);
        };
        check("0", "", "ok");
        check("5", "no%20such%0Aservice %C3%A4 100%", "gRPC: NOT_FOUND: no such?service ä 100%");
        check("14", "", "gRPC: UNAVAILABLE");
        check("99", "", "gRPC: status 99");
        check("x", "y", "gRPC: status x: y");
        assert_eq!(status(&HeaderMap::new()), None);
    }

    #[test]
    fn content_types() {
        for good in ["application/grpc", "application/grpc+proto", "Application/gRPC; x=y"] {
            assert!(is_grpc(good.as_bytes()), "{good}");
        }
        for bad in ["", "text/html", "application/grpc-web", "application/grp"] {
            assert!(!is_grpc(bad.as_bytes()), "{bad}");
        }
    }
}
