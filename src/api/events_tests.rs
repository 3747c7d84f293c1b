//! Listeners of `/v1/events`, over real sockets.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fixed::{Served, served};
use super::{MAX_LISTENERS_EACH, fixture};
use crate::engine::Happened;

/// One listener.
struct Listener(tokio::io::BufReader<TcpStream>);

impl Listener {
    async fn open(served: &Served, path: &str, headers: &str) -> Listener {
        let mut stream = TcpStream::connect(served.addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", served.addr);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Listener(tokio::io::BufReader::new(stream));
        assert_eq!(listener.line().await.as_deref(), Some("HTTP/1.1 200 OK"));
        listener
    }
    /// `None` at the end.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = tokio::io::AsyncBufReadExt::read_line(&mut self.0, &mut line);
        let read =
            tokio::time::timeout(Duration::from_secs(60), read).await.expect("a line in time").unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }
    /// The next event's id, kind and data.
    async fn event(&mut self) -> (String, String, Value) {
        let (mut id, mut event) = (String::new(), String::new());
        loop {
            let line = self.line().await.expect("an event");
            match line.split_once(": ") {
                Some(("id", value)) => id = value.to_owned(),
                Some(("event", value)) => event = value.to_owned(),
                Some(("data", value)) => return (id, event, serde_json::from_str(value).unwrap()),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn tells_listeners_what_happens_as_it_happens() {
    let mut served = served().await;
    let mut listener = Listener::open(&served, "/v1/events", "").await;
    while listener.line().await.unwrap() != "id: 4" {}
    served
        .daemon
        .keep(fixture::NOW, &[Happened::Loaded { services: 3, zones: 1, dropped: vec![], removed: vec![] }]);
    let (id, event, data) = listener.event().await;
    assert_eq!((id.as_str(), event.as_str()), ("5", "loaded"));
    assert_eq!(data, served.get("/v1/history?limit=1").await.json()["entries"][0]);

    // Who comes back hears what was missed, samples aside; the query goes before the header.
    for (path, header) in [
        ("/v1/events", "last-event-id: 0\r\n"),
        ("/v1/events?after=0", ""),
        ("/v1/events?after=0", "last-event-id: 4\r\n"),
    ] {
        let mut back = Listener::open(&served, path, header).await;
        let mut heard = Vec::new();
        for _ in 0..3 {
            let (id, event, _) = back.event().await;
            heard.push((id, event));
        }
        let want = [("2", "decision"), ("4", "decision"), ("5", "loaded")];
        assert_eq!(heard, want.map(|(id, event)| (id.to_owned(), event.to_owned())), "{path} {header}");
    }
    // A number this history does not have is another history's.
    let mut lost = Listener::open(&served, "/v1/events?after=77", "").await;
    assert_eq!(lost.event().await, ("5".to_owned(), "gap".to_owned(), json!({ "from": 6 })));
    assert_eq!(served.get("/v1/events?after=x").await.0, 400);
    assert_eq!(served.send("GET", "/v1/events", &[("last-event-id", "-1")], "").await.0, 400);

    // The daemon's end is theirs.
    drop(served.stop.take());
    while listener.line().await.is_some() {}
    served.ended.await.unwrap();
}

#[tokio::test]
async fn one_caller_listens_so_often_and_no_more() {
    let served = served().await;
    let mut listeners = Vec::new();
    for _ in 0..MAX_LISTENERS_EACH {
        listeners.push(Listener::open(&served, "/v1/events", "").await);
    }
    let refused = served.get("/v1/events").await;
    assert_eq!((refused.0, refused.detail().contains("8 times already")), (429, true));
    // One that goes makes room.
    listeners.pop();
    for _ in 0..1_000 {
        let mut stream = TcpStream::connect(served.addr).await.unwrap();
        let request = format!("GET /v1/events HTTP/1.1\r\nhost: {}\r\n\r\n", served.addr);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        if head.ends_with(b"200") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the place of a listener that went was not given back");
}
