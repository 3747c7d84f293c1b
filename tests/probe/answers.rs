//! Answers, good and bad, and the bounds on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use detour::model::{HttpProbe, MAX_BODY_READ};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::checks::{LONG, SHORT, ask_http, expecting, http};
use crate::servers::{answering, head, ok, serve};

#[tokio::test]
async fn status_is_held_against_the_ranges() {
    let check = async |status: &str, want: &str| {
        let addr = answering(&[format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()]).await;
        let http = HttpProbe { status: vec![200..=299, 401..=401], ..http() };
        assert_eq!(ask_http(http, addr, LONG).await, want, "{status}");
    };
    check("200 OK", "ok").await;
    check("204 No Content", "ok").await;
    check("401 Unauthorized", "ok").await;
    check("403 Forbidden", "status 403").await;
    check("503 Service Unavailable", "status 503").await;
}

#[tokio::test]
async fn the_request_is_the_one_configured() {
    let (heads, mut seen) = mpsc::unbounded_channel();
    let addr = serve(move |mut stream| {
        let heads = heads.clone();
        async move {
            heads.send(head(&mut stream).await).unwrap();
            stream.write_all(&ok(b"")).await.ok();
        }
    })
    .await;
    assert_eq!(ask_http(HttpProbe { path: "/health?full=1".into(), ..http() }, addr, LONG).await, "ok");
    let seen = seen.recv().await.unwrap().to_lowercase();
    let mut lines: Vec<&str> = seen.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "get /health?full=1 http/1.1");
    lines.sort_unstable();
    let host = format!("host: app.example.com:{}", addr.port());
    let agent = format!("user-agent: detour/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines, ["accept: */*", "connection: close", &host, &agent]);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_an_errand() {
    let (followed, mut follows) = mpsc::unbounded_channel();
    let elsewhere = serve(move |mut stream| {
        followed.send(()).unwrap();
        async move { stream.write_all(&ok(b"")).await.unwrap_or_default() }
    })
    .await;
    let redirect =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n");
    let addr = answering(&[redirect.as_bytes()]).await;
    let said = format!("status 302, a redirect to http://{elsewhere}/, which is not followed");
    assert_eq!(ask_http(http(), addr, LONG).await, said);
    assert!(follows.try_recv().is_err());
}

#[tokio::test]
async fn text_is_sought_in_the_body() {
    let check = async |pieces: &[&[u8]], want: &str| {
        let addr = answering(pieces).await;
        assert_eq!(ask_http(expecting("READY"), addr, LONG).await, want);
    };
    check(&[&ok(b"is READY now")], "ok").await;
    check(
        &[&ok(b"ready\x1b\n")],
        r#"body mismatch: "READY" is not in it; the body begins with "ready\x1b\n""#,
    )
    .await;
    check(&[&ok(b"")], "body mismatch: \"READY\" is not in it; the body is empty").await;
    // The text comes in two pieces; and without a length, to the end of the connection.
    check(&[b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n..REA", b"DY"], "ok").await;
    check(&[b"HTTP/1.0 200 OK\r\n\r\n..REA", b"DY"], "ok").await;
    check(
        &[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nREA\r\n", b"2\r\nDY\r\n0\r\n\r\n"],
        "ok",
    )
    .await;
}

#[tokio::test]
async fn text_is_sought_within_the_bound_and_not_beyond() {
    let check = async |before: usize, want: &str| {
        let addr = answering(&[&ok(&[&vec![b'.'; before][..], b"READY"].concat())]).await;
        let said = ask_http(expecting("READY"), addr, LONG).await;
        assert_eq!(said.split("; the body begins with \"...").next(), Some(want), "after {before} bytes");
    };
    check(MAX_BODY_READ - 5, "ok").await;
    check(MAX_BODY_READ - 4, "body mismatch: \"READY\" is not in its first 65536 bytes").await;
    check(MAX_BODY_READ, "body mismatch: \"READY\" is not in its first 65536 bytes").await;
}

/// Writes `piece` after `start` until the other side hangs up; counts the pieces.
async fn endless(start: &'static str, piece: &'static str) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    let addr = serve(move |mut stream| {
        let counted = counted.clone();
        async move {
            head(&mut stream).await;
            stream.write_all(start.as_bytes()).await.ok();
            while stream.write_all(piece.as_bytes()).await.is_ok() {
                counted.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    })
    .await;
    (addr, written)
}

#[tokio::test]
async fn endless_answers_are_given_up_early() {
    // What the kernel's buffers hold on top of what is read: far from endless.
    const BUFFERED: usize = 32 << 20;
    let check = async |start: &'static str, piece: &'static str, want: &str| {
        let (addr, written) = endless(start, piece).await;
        let outcome = ask_http(expecting("READY"), addr, LONG).await;
        assert!(outcome.starts_with(want), "{outcome}");
        assert!(written.load(Ordering::Relaxed) < BUFFERED, "{written:?} bytes were taken");
    };
    check("HTTP/1.1 200 OK\r\n\r\n", "................", "body mismatch").await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(chunked, "1\r\n.\r\n", "body mismatch").await;
    // Framing without end: extensions of a chunk (RFC 9112, section 7.1.1), and trailers.
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=", "................", "bad HTTP: ")
        .await;
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X-A: b\r\n", "bad HTTP: ").await;
    check("HTTP/1.1 200 OK\r\n", "X-Padding: ................\r\n", "bad HTTP: ").await;
    check("HTTP/1.1 200 OK\r\nX-Padding: ", "................", "bad HTTP: ").await;
}

#[tokio::test]
async fn a_drip_does_not_hold_a_run_beyond_its_timeout() {
    let check = async |start: &'static str, want: &str| {
        let addr = serve(move |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(start.as_bytes()).await.ok();
            while stream.write_all(b".").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(ask_http(expecting("READY"), addr, SHORT).await, want);
    };
    check("HTTP/1.1 200 OK\r\nX-Slow: ", "timeout in first byte").await;
    check("HTTP/1.1 200 OK\r\n\r\n", "timeout in body").await;
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=", "timeout in body").await;
}

#[tokio::test]
async fn an_answer_that_breaks_off() {
    let check = async |start: &'static str, reset: bool, want: &str| {
        let addr = serve(move |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(start.as_bytes()).await.ok();
            if reset {
                // Long enough for what was written to be read; then no FIN but a RST.
                tokio::time::sleep(Duration::from_millis(100)).await;
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            }
        })
        .await;
        let outcome = ask_http(expecting("READY"), addr, LONG).await;
        assert!(outcome.starts_with(want), "{start:?}: {outcome}");
    };
    check("", true, "connection reset").await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nREA", true, "connection reset").await;
    check("", false, "bad HTTP: ").await;
    check("HTTP/1.1 200 OK\r\nContent-", false, "bad HTTP: ").await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nREA", false, "bad HTTP: ").await;
}

#[tokio::test]
async fn what_is_not_http_is_said_to_be_so() {
    let check = async |answer: &str| {
        let addr = answering(&[answer.as_bytes()]).await;
        let outcome = ask_http(expecting("READY"), addr, LONG).await;
        assert!(outcome.starts_with("bad HTTP: "), "{answer:?}: {outcome}");
    };
    check("SSH-2.0-OpenSSH_9.9\r\n").await;
    check("HTTP/1.1 two hundred\r\n\r\n").await;
    // RFC 9112, section 7.1: a chunk is its size in hexadecimal digits, its bytes, and the end of a line.
    for chunks in
        ["zz\r\n", "\r\n", "-3\r\nREA\r\n", "ffffffffffffffff0\r\n", "3\r\nREADY\r\n0\r\n\r\n", "3 REA\r\n"]
    {
        check(&format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")).await;
    }
}
