//! Response rate limiting, as clients and those in whose name others ask see it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};

use crate::dig::{dig, query};
use crate::harness::{Detour, until, zone};

const COOKIE: u16 = 10;
const CLIENT: &[u8; 8] = b"a client";

/// A daemon that answers one query a second of each kind, and says so to all the others.
fn limited(more: &str) -> Detour {
    let config = format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
threads = 2

[server.rate_limit]
responses_per_second = 1
slip = 1
{more}

[control]
listen = "127.0.0.1:0"

[[zone]]
name = "example.com"
file = "example.com.zone"
"#
    );
    Detour::start(&config, &zone(1, ""))
}

/// Does the same, with a zone that is given away.
fn limited_primary() -> Detour {
    let detour = limited("exempt = []");
    detour.edit_config("file =", "transfer = [\"127.0.0.1\"]\nfile =");
    detour.told(&["reload"]);
    detour
}

fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Asks for an A record, with this cookie where there is one.
fn ask(client: &UdpSocket, name: &str, cookie: &[u8]) -> Message {
    let mut bytes = query(0x4454, name, "A");
    if !cookie.is_empty() {
        bytes[11] = 1;
        bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, cookie.len() as u8 + 4]);
        bytes.extend(COOKIE.to_be_bytes());
        bytes.extend([0, cookie.len() as u8]);
        bytes.extend(cookie);
    }
    client.send(&bytes).unwrap();
    let mut answer = [0; 1232];
    let len = client.recv(&mut answer).expect("with a slip of 1 every query has its answer");
    assert_eq!(answer[12..bytes.len().min(29)], bytes[12..bytes.len().min(29)], "the question is kept");
    Message::from_vec(&answer[..len]).unwrap()
}

fn cookie_of(answer: &Message) -> Vec<u8> {
    let option = answer.edns.as_ref().and_then(|edns| edns.option(COOKIE.into())).expect("a cookie");
    Vec::<u8>::try_from(option).unwrap()
}

fn counted(detour: &Detour, series: &str) -> u64 {
    let (_, metrics) = detour.get("/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)).expect(series);
    line.trim().parse().unwrap()
}

#[test]
fn over_the_limit_an_answer_is_small_and_a_cookie_or_tcp_lifts_it() {
    let detour = limited("exempt = []");
    let client = client(detour.dns);
    let name = "www.example.com";
    assert_eq!(ask(&client, name, &[]).answers.len(), 1, "the first is within the limit");

    let small = until("an answer is over the limit", || {
        Some(ask(&client, name, &[])).filter(|answer| answer.metadata.truncation)
    });
    assert_eq!((small.answers.len(), small.authorities.len()), (0, 0));
    assert!(counted(&detour, "detour_rate_limited_total{kind=\"answer\",action=\"truncated\"}") > 0);

    // Names that are not there have one account, whatever they are.
    let mut n = 0;
    until("random names are over the limit", || {
        n += 1;
        Some(ask(&client, &format!("random{n}.example.com"), &[])).filter(|answer| answer.metadata.truncation)
    });
    assert!(counted(&detour, "detour_rate_limited_total{kind=\"nxdomain\",action=\"truncated\"}") > 0);

    // Who has half a cookie is told the other half, and then asks as often as it likes.
    let bad = until("a cookie is asked for", || {
        Some(ask(&client, name, CLIENT)).filter(|a| a.metadata.response_code == ResponseCode::BADCOOKIE)
    });
    assert!(bad.answers.is_empty() && !bad.metadata.truncation);
    let cookie = cookie_of(&bad);
    assert_eq!((&cookie[..8], cookie.len()), (&CLIENT[..], 24));
    for _ in 0..100 {
        let answer = ask(&client, name, &cookie);
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 1));
    }
    assert!(counted(&detour, "detour_cookies_total{transport=\"udp\",cookie=\"valid\"}") >= 100);
    assert!(counted(&detour, "detour_rate_limited_total{kind=\"answer\",action=\"badcookie\"}") > 0);
    assert!(detour.log().contains("127.0.0.0/24"), "the log names the network");
}

#[test]
fn transfers_over_udp_have_the_limits_of_all_others() {
    let detour = limited_primary();
    let client = client(detour.dns);
    let mut ixfr = query(0x4454, "example.com", "A");
    let at = ixfr.len() - 4;
    ixfr[at..at + 2].copy_from_slice(&251u16.to_be_bytes());
    let ask = || {
        client.send(&ixfr).unwrap();
        let mut answer = [0; 1232];
        let len = client.recv(&mut answer).expect("with a slip of 1 every query has its answer");
        Message::from_vec(&answer[..len]).unwrap()
    };
    // It does not say what it has, which is what the desk says.
    assert_eq!(ask().metadata.response_code, ResponseCode::FormErr);
    until("an answer of the desk is over the limit", || {
        Some(ask()).filter(|answer| answer.metadata.truncation)
    });
    assert!(counted(&detour, "detour_rate_limited_total{kind=\"error\",action=\"truncated\"}") > 0);
    let seen = counted(&detour, "detour_desk_requests_total{transport=\"udp\"}");
    (0..20).for_each(|_| drop(ask()));
    let more = counted(&detour, "detour_desk_requests_total{transport=\"udp\"}") - seen;
    assert!(more < 20, "what is over the limit does not reach the desk: {more}");
    // Over TCP there is none.
    for _ in 0..5 {
        assert_eq!(dig(detour.dns, "example.com", "AXFR").records.len(), 5);
    }
}

#[test]
fn dig_gets_through_while_others_ask_in_its_name() {
    let detour = limited("exempt = []");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let flood = client(detour.dns);
            while !stop.load(Ordering::Relaxed) {
                // Nobody reads the answers, as where the address is forged.
                let _ = flood.send(&query(1, "www.example.com", "A"));
                thread::sleep(Duration::from_millis(1));
            }
        });
        let seen = std::panic::catch_unwind(|| {
            until("the flood is over the limit", || {
                let over = "detour_rate_limited_total{kind=\"answer\",action=\"truncated\"}";
                (counted(&detour, over) > 0).then_some(())
            });
            (0..10).map(|_| dig(detour.dns, "www.example.com", "A")).collect::<Vec<_>>()
        });
        stop.store(true, Ordering::Relaxed);
        for answer in seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            assert_eq!((answer.rcode, answer.data()), (0, vec!["192.0.2.80"]));
        }
    });
}

#[test]
fn loopback_has_no_limit_where_nobody_says_otherwise() {
    let detour = limited("");
    let client = client(detour.dns);
    for _ in 0..200 {
        assert_eq!(ask(&client, "www.example.com", &[]).answers.len(), 1);
    }
}
