//! Connecting, or not; and where a run stood when its time ran out.

use detour::model::{ProbeKind, TcpProbe};
use tokio::sync::mpsc;

use crate::checks::{LONG, SHORT, ask, ask_http, ask_tcp, check, http, https};
use crate::servers::{black_hole, refusing, serve, silent, until_closed};

#[tokio::test]
async fn a_listener_that_takes_the_connection_is_ok_to_tcp() {
    assert_eq!(ask_tcp(silent().await, LONG).await, "ok");
}

#[tokio::test]
async fn nobody_listens() {
    let (_taken, addr) = refusing();
    assert_eq!(ask_tcp(addr, LONG).await, "connection refused");
    assert_eq!(ask_http(http(), addr, LONG).await, "connection refused");
    assert_eq!(ask_http(https(), addr, LONG).await, "connection refused");
}

#[tokio::test]
async fn a_black_hole_times_out_in_connect() {
    let hole = black_hole();
    assert_eq!(ask_tcp(hole.addr, SHORT).await, "timeout in connect");
    assert_eq!(ask_http(http(), hole.addr, SHORT).await, "timeout in connect");
    assert_eq!(ask_http(https(), hole.addr, SHORT).await, "timeout in connect");
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out_in_what_it_should_have_said() {
    let addr = silent().await;
    assert_eq!(ask_http(http(), addr, SHORT).await, "timeout in first byte");
    assert_eq!(ask_http(https(), addr, SHORT).await, "timeout in TLS");
}

/// A run that is given up must give up its socket too, or slow targets eat every file descriptor.
#[tokio::test]
async fn a_run_whose_time_is_up_hangs_up() {
    let (closed, mut closes) = mpsc::unbounded_channel();
    let addr = serve(move |mut stream| {
        let closed = closed.clone();
        async move {
            until_closed(&mut stream).await;
            closed.send(()).unwrap();
        }
    })
    .await;
    for kind in [ProbeKind::Http(http()), ProbeKind::Http(https()), ProbeKind::Tcp(TcpProbe::default())] {
        ask(check(kind, addr, SHORT)).await;
        closes.recv().await.unwrap();
    }
}
