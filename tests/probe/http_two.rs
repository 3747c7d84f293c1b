//! Answers over HTTP/2 that break off, stall or do not end.

use std::time::Duration;

use detour::health::{Failure, Outcome, Phase};
use detour::model::{BodyExpect, HttpProbe, HttpVersion, ProbeKind};
use hyper::Response;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::checks::{LONG, SHORT, ask, check, http};
use crate::grpc::{Endless, http_2};
use crate::servers::{serve, until_closed};

/// The types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// `:status: 200` (RFC 7541, appendix A, index 8).
const STATUS_200: &[u8] = &[0x88];

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[high, middle, low, kind, flags, 0, 0, 0, stream][..], payload].concat()
}

/// What a probe says of a server that reads the request, says these frames after its settings, and then the last
/// of them for ever or nothing more; the probe's end of the connection has been seen.
async fn said(frames: &[Vec<u8>], for_ever: bool, timeout: Duration) -> Outcome {
    let (start, last) = (frames.concat(), frames.last().unwrap().clone());
    let (left, mut leaves) = mpsc::unbounded_channel();
    let addr = serve(move |mut stream| {
        let (start, last, left) = (start.clone(), last.clone(), left.clone());
        async move {
            request(&mut stream).await;
            stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok();
            stream.write_all(&start).await.ok();
            while for_ever && stream.write_all(&last).await.is_ok() {}
            until_closed(&mut stream).await;
            left.send(()).unwrap();
        }
    })
    .await;
    let body = Some(BodyExpect::Text("READY".into()));
    let http = HttpProbe { version: HttpVersion::Two, body, ..http() };
    let outcome = ask(check(ProbeKind::Http(http), addr, timeout)).await;
    leaves.recv().await.unwrap();
    outcome
}

/// Reads up to the request's own frame.
async fn request(stream: &mut TcpStream) {
    let mut read = Vec::new();
    let asked = |read: &[u8]| {
        // Behind the preface (RFC 9113, section 3.4) one frame follows the other.
        let mut frames = read.get(24..).unwrap_or_default();
        while let [high, middle, low, kind, ..] = *frames {
            let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap();
            if kind == HEADERS {
                return true;
            }
            frames = frames.get(9 + length..).unwrap_or_default();
        }
        false
    };
    while !asked(&read) && stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {}
}

#[tokio::test]
async fn what_breaks_off_is_told_in_time() {
    let head = frame(HEADERS, END_HEADERS, 1, STATUS_200);
    let timeout = |phase: Phase| Outcome::Failed(Failure::Timeout(phase));
    assert_eq!(said(&[vec![]], false, SHORT).await, timeout(Phase::FirstByte));
    assert_eq!(said(std::slice::from_ref(&head), false, SHORT).await, timeout(Phase::Body));
    let some = frame(DATA, 0, 1, b"REA");
    assert_eq!(said(&[head.clone(), some.clone()], false, SHORT).await, timeout(Phase::Body));
    // INTERNAL_ERROR (RFC 9113, section 7), of the stream and of the connection.
    let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, 2]);
    let gone = frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2]);
    for end in [reset, gone, frame(DATA, 0, 1, &vec![0; 20_000]), b"HTTP/1.1 200 OK\r\n\r\n".to_vec()] {
        let outcome = said(&[head.clone(), some.clone(), end], false, LONG).await;
        assert!(matches!(outcome, Outcome::Failed(Failure::Protocol(_))), "{outcome}");
    }
}

#[tokio::test]
async fn a_reset_in_mid_answer() {
    let addr = serve(|mut stream| async move {
        request(&mut stream).await;
        let head = [frame(SETTINGS, 0, 0, &[]), frame(HEADERS, END_HEADERS, 1, STATUS_200)].concat();
        stream.write_all(&head).await.unwrap();
        // Settings are acknowledged, so by then they were read; then no FIN but a RST.
        stream.read_u8().await.ok();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    })
    .await;
    let body = Some(BodyExpect::Text("READY".into()));
    let http = HttpProbe { version: HttpVersion::Two, body, ..http() };
    let outcome = ask(check(ProbeKind::Http(http), addr, LONG)).await;
    assert_eq!(outcome, Outcome::Failed(Failure::Reset));
}

#[tokio::test]
async fn what_does_not_end_is_given_up() {
    let addr = http_2(|_| async { Response::new(Endless) }).await;
    let body = Some(BodyExpect::Text("READY".into()));
    let http = HttpProbe { version: HttpVersion::Two, body, ..http() };
    let outcome = ask(check(ProbeKind::Http(http), addr, LONG)).await;
    let want = "body mismatch: \"READY\" is not in its first 65536 bytes; the body begins with ";
    assert!(outcome.to_string().starts_with(want), "{outcome}");

    // A literal without indexing, of two names that are new each time (RFC 7541, section 6.2.2).
    let field = [&[0, 4][..], b"name", &[100], &[b'v'; 100]].concat();
    let start = frame(HEADERS, 0, 1, STATUS_200);
    let head = said(&[start, frame(CONTINUATION, 0, 1, &field.repeat(100))], true, LONG).await;
    assert!(matches!(head, Outcome::Failed(Failure::Protocol(_) | Failure::Head { .. })), "{head}");
    // Frames that say nothing: each answer to one is as long as it.
    for idle in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[]), frame(0xbb, 0, 0, &[0; 16_000])] {
        let outcome = said(&[idle], true, LONG).await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome}");
    }
}
