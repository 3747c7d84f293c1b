//! The gate, over real sockets: tokens, roles, bounds, and what the audit log says of it.

use axum::body::Body;
use axum::extract::Request;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fixed::{Served, served};
use super::gate::{Gate, Timeouts};
use super::{MAX_BODY, MAX_URI, WRITES, WRONG_TOKENS};
use crate::engine::{Audit, Happened};
use crate::model::{ApiRole, ApiToken, Control};
use crate::state::Query;

const JSON: (&str, &str) = ("content-type", "application/json");
const ANA: (&str, &str) = ("authorization", "Bearer detour_of_ana");
const GRAPH: (&str, &str) = ("authorization", "Bearer detour_of_the_graphs");

impl Served {
    fn let_in(&self, tokens: &[(&str, ApiRole, &str)]) {
        let token = |&(name, role, secret): &(&str, ApiRole, &str)| ApiToken {
            name: name.into(),
            role,
            hash: Sha256::digest(secret).into(),
        };
        let tokens = Some(tokens.iter().map(token).collect());
        self.access.set(&Control { listen: self.addr, tokens, tls: None });
    }

    fn audited(&self) -> Vec<Audit> {
        let entries = super::Daemon::history(&*self.daemon, &Query { limit: 1_000, ..Query::default() });
        let audits = entries.unwrap().into_iter().rev().filter_map(|entry| match entry.what {
            Happened::Audit(audit) => Some(audit),
            _ => None,
        });
        audits.collect()
    }
}

fn people(served: &Served) {
    served.let_in(&[
        ("ana", ApiRole::Operator, "detour_of_ana"),
        ("grafana", ApiRole::Viewer, "detour_of_the_graphs"),
    ]);
}

#[tokio::test]
async fn tokens_let_in_as_far_as_their_role_goes() {
    let served = served().await;
    people(&served);
    let check = async |method: &str, path: &str, headers: &[(&str, &str)], want: u16| {
        let answer = served.send(method, path, headers, "").await;
        assert_eq!(answer.0, want, "{method} {path} {headers:?}: {}", answer.2);
        answer
    };
    for path in ["/v1/status", "/v1/history", "/metrics", "/v1/openapi.json", "/v1/nothing"] {
        let answer = check("GET", path, &[], 401).await;
        assert!(answer.detail().contains("--token-file"), "{}", answer.2);
        assert_eq!(answer.1["www-authenticate"], "Bearer");
        check("GET", path, &[("authorization", "Bearer wrong")], 401).await;
    }
    check("GET", "/v1/status", &[GRAPH], 200).await;
    check("GET", "/metrics", &[GRAPH], 200).await;
    check("GET", "/v1/nothing", &[GRAPH], 404).await;
    check("GET", "/v1/status", &[ANA], 200).await;
    check("GET", "/healthz", &[], 200).await;
    // To suppose is to read; this engine has nothing loaded.
    check("POST", "/v1/whatif", &[GRAPH, JSON], 503).await;
    let refused = check("POST", "/v1/reload", &[GRAPH, JSON], 403).await;
    assert_eq!(refused.detail(), "the token of grafana is a viewer's, and this takes an operator's");
    check("POST", "/v1/reload", &[JSON], 401).await;
    check("POST", "/v1/reload", &[ANA, JSON], 200).await;
    // Behind a name of its own: a browser has no token to send for a page that rebound its name.
    check("GET", "/v1/status", &[("host", "detour.example.com"), ANA], 200).await;
}

#[tokio::test]
async fn what_a_browser_says_of_its_page_counts() {
    let served = served().await;
    let check = async |headers: &[(&str, &str)], want: u16| {
        let answer = served.send("POST", "/v1/reload", headers, "").await;
        assert_eq!(answer.0, want, "{headers:?}: {}", answer.2);
    };
    check(&[JSON, ("sec-fetch-site", "same-origin")], 200).await;
    check(&[JSON, ("sec-fetch-site", "cross-site")], 403).await;
    check(&[JSON, ("sec-fetch-site", "same-site")], 403).await;
    people(&served);
    let own = format!("https://{}", served.addr);
    check(&[JSON, ANA, ("origin", &own), ("sec-fetch-site", "same-origin")], 200).await;
    check(&[JSON, ANA, ("origin", "https://evil.example")], 403).await;
    check(&[JSON, ANA, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 403).await;
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ANA];
    assert_eq!(served.send("GET", "/v1/status", &link, "").await.0, 200, "a link that was followed");
    assert_eq!(served.send("GET", "/v1/status", &[link[0], ANA], "").await.0, 403);
}

#[tokio::test]
async fn every_write_is_in_the_audit_log() {
    let served = served().await;
    let failover = "/v1/services/app.example.com/failover";
    let ask = json!({ "to": "iad", "who": "bo@ops1", "reason": "disk\nswap" });
    // Without tokens, who the request says; what is refused by the engine's own words.
    assert_eq!(served.write("POST", failover, &ask).await.0, 422);
    let ask = json!({ "to": "iad", "who": "bo@ops1", "reason": "disk swap" });
    assert_eq!(served.write("POST", failover, &ask).await.0, 200);
    people(&served);
    served.send("POST", failover, &[JSON, ANA], &ask.to_string()).await.json();
    assert_eq!(served.told().who, "ana", "whatever the request says");
    served.send("POST", failover, &[JSON, ANA], &json!({ "to": "fra" }).to_string()).await.detail();
    served.send("POST", failover, &[JSON, GRAPH], &ask.to_string()).await.detail();
    served.send("POST", failover, &[JSON], &ask.to_string()).await.detail();
    served.daemon.gone.store(true, std::sync::atomic::Ordering::Relaxed);
    served.send("POST", "/v1/reload", &[JSON, ANA], "").await.detail();
    // Nothing is written by these.
    served.get("/v1/status").await;
    served.send("POST", "/v1/whatif", &[JSON, GRAPH], "{}").await;
    let told: Vec<String> = served.audited().iter().map(ToString::to_string).collect();
    let what = format!("POST {failover} {{\"to\":\"iad\"}}");
    assert_eq!(
        told,
        [
            format!(
                "api: bo@ops1 from 127.0.0.1: {what}, because \"disk swap\": refused (422): reason is 1 to 500 \
                 bytes of text without control characters"
            ),
            format!("api: bo@ops1 from 127.0.0.1: {what}, because \"disk swap\": done"),
            format!("api: ana from 127.0.0.1: {what}, because \"disk swap\": done"),
            format!(
                "api: ana from 127.0.0.1: POST {failover} {{\"to\":\"fra\"}}: refused (409): fra is Down: 3 of 3 \
                 failed"
            ),
            format!(
                "api: grafana from 127.0.0.1: POST {failover}: refused (403): the token of grafana is a viewer's, \
                 and this takes an operator's"
            ),
            format!(
                "api: unknown from 127.0.0.1: POST {failover}: refused (401): send \"Authorization: Bearer \
                 TOKEN\" with a token of this daemon; `detour` takes --token-file or DETOUR_TOKEN_FILE"
            ),
            "api: ana from 127.0.0.1: POST /v1/reload: failed (503): the engine does not answer; see /healthz and \
             the log"
                .to_owned(),
        ]
    );
}

#[tokio::test]
async fn who_hangs_up_is_in_the_audit_log_all_the_same() {
    let served = served().await;
    let mut grown = super::Daemon::grown(&*served.daemon);
    grown.borrow_and_update();
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    let body = "{\"to\":\"iad\"}";
    let request = format!(
        "POST /v1/services/app.example.com/failover HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        served.addr,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    drop(stream);
    grown.changed().await.unwrap();
    assert_eq!(served.audited().len(), 1);
}

#[tokio::test]
async fn wrong_tokens_are_bounded_and_lock_nobody_out() {
    let served = served().await;
    people(&served);
    let wrong = [("authorization", "Bearer wrong")];
    for _ in 0..WRONG_TOKENS.0 {
        assert_eq!(served.send("GET", "/v1/status", &wrong, "").await.0, 401);
    }
    let refused = served.send("GET", "/v1/status", &wrong, "").await;
    assert_eq!((refused.0, refused.detail().contains("wrong tokens")), (429, true));
    assert!(refused.1["retry-after"].parse::<u64>().unwrap() <= 6, "{:?}", refused.1);
    assert_eq!(served.send("GET", "/v1/status", &[ANA], "").await.0, 200);
}

#[tokio::test]
async fn so_many_writes_and_no_more() {
    let served = served().await;
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    let request = format!(
        "POST /v1/reload HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
        served.addr
    );
    // On one connection, and faster than they come back by far.
    let (mut done, mut refused) = (0, 0);
    while refused == 0 {
        assert!(done < 40 * WRITES.0, "no bound");
        stream.write_all(request.as_bytes()).await.unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).await.unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        match head.split(' ').nth(1).unwrap() {
            "200" => done += 1,
            "429" => {
                refused += 1;
                assert!(
                    head.contains("application/problem+json") && head.contains("retry-after: 1"),
                    "{head}"
                );
            }
            other => panic!("{other}: {head}"),
        }
    }
    assert!(done >= WRITES.0);
    // Reads have a bound of their own, and whether the daemon is well may always be asked.
    assert_eq!(served.get("/v1/status").await.0, 200);
    assert_eq!(served.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_noted() {
    let served = served().await;
    let long = "x".repeat(MAX_BODY + 1);
    let answer = served.send("POST", "/v1/overrides", &[JSON], &long).await;
    assert_eq!((answer.0, answer.detail().contains("length limit")), (413, true));
    let answer = served.send("POST", "/v1/whatif", &[JSON], &long).await;
    assert_eq!(answer.0, 413, "{}", answer.2);
    let answer = served.get(&format!("/v1/history?service={}", "a".repeat(MAX_URI))).await;
    assert_eq!((answer.0, answer.detail().contains("longer than")), (414, true));
    // In pieces, and longer than its length was not said to be.
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    let head = format!(
        "POST /v1/overrides HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n",
        served.addr
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len()).as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    let statuses: Vec<u16> = served.audited().iter().map(|audit| audit.status).collect();
    assert_eq!(statuses, [413, 413]);
}

#[tokio::test]
async fn why_it_is_not_well_is_told_on_loopback_or_to_a_token_alone() {
    let served = served().await;
    people(&served);
    served.daemon.failing.store(true, std::sync::atomic::Ordering::Relaxed);
    let answer = served.get("/healthz").await;
    assert_eq!((answer.0, answer.json()["reasons"][2].as_str()), (503, Some("no UDP worker is left")));

    let gate =
        Gate::new(served.daemon.clone(), served.access.clone(), Some(served.addr), Timeouts::default());
    let seen = |from: &str, token: Option<&str>| {
        let mut request = Request::get("/healthz").header("host", "ns1.example.com");
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let admitted = gate.admit(&request.body(Body::empty()).unwrap(), from.parse().unwrap(), false);
        admitted.unwrap_or_else(|_| panic!("it may always be asked")).is_some()
    };
    assert!(!seen("192.0.2.1:9", None));
    assert!(!seen("192.0.2.1:9", Some("Bearer wrong")));
    assert!(seen("192.0.2.1:9", Some(GRAPH.1)));
    assert!(seen("127.0.0.1:9", None));

    let (code, body) = super::healthz::healthz(axum::extract::State(served.daemon.clone()), None).await;
    let body = serde_json::to_value(&body.0).unwrap();
    assert_eq!((code.as_u16(), body), (503, json!({ "status": "failing" })), "to others the word alone");
}

#[tokio::test]
async fn what_no_handler_takes_is_405_or_404_whatever_its_body_is() {
    let served = served().await;
    for path in ["/v1/overrides", "/v1/reload", "/v1/status", "/v1/zones/example.com", "/healthz"] {
        for headers in [&[][..], &[JSON]] {
            let answer = served.send("PUT", path, headers, "").await;
            assert_eq!(answer.0, 405, "PUT {path} {headers:?}: {}", answer.2);
        }
    }
    assert_eq!(served.send("POST", "/v1/status", &[], "").await.0, 405);
    assert_eq!(served.send("POST", "/v1/nothing", &[], "").await.0, 404);
    assert_eq!(served.send("POST", "/v1/reload", &[], "").await.0, 415, "a handler takes JSON alone");
    assert!(served.daemon.told.lock().unwrap().is_empty());
}
