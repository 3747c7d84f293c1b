//! dns probes against NSD, and against servers that misbehave.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use detour::dns::{RrType, rdata_from_text};
use detour::model::{DnsProbe, Matching, ProbeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::checks::{LONG, SHORT, ask, check};
use crate::peers::nameserver::Nameserver;
use crate::peers::ports::free_port;

const ZONE: &str = "\
$TTL 60
@   SOA ns1 hostmaster 1 3600 600 604800 60
    NS  ns1
    MX  10 mail
ns1 A   127.0.0.1
www A   192.0.2.1
    A   192.0.2.2
app CNAME www
big TXT ";

fn dns(qtype: RrType, records: &[&str]) -> DnsProbe {
    DnsProbe {
        empty: records.is_empty(),
        name: None,
        qtype,
        tcp: false,
        recursion: false,
        rcode: 0,
        authoritative: None,
        records: records.iter().map(|text| rdata_from_text(qtype, text).unwrap()).collect(),
        matching: Matching::All,
    }
}

async fn ask_dns(name: &str, dns: DnsProbe, to: SocketAddr, timeout: Duration) -> String {
    let mut check = check(ProbeKind::Dns(dns), to, timeout);
    check.key.host = Some(name.into());
    ask(check).await.to_string()
}

struct Nsd {
    addr: SocketAddr,
    _server: Nameserver,
    _folder: tempfile::TempDir,
}

/// NSD with [`ZONE`] and a TXT record too long for a datagram without EDNS.
async fn nsd() -> Nsd {
    let folder = tempfile::tempdir().unwrap();
    // NSD takes no port 0.
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let long = format!("\"{}\" ", "x".repeat(200)).repeat(4);
    std::fs::write(folder.path().join("example.com.zone"), format!("{ZONE}{long}\n")).unwrap();
    let path = folder.path().display();
    let config = format!(
        "server:\n  ip-address: 127.0.0.1\n  port: {port}\n  server-count: 1\n  username: \"\"\n  chroot: \"\"\n  \
         zonesdir: \"{path}\"\n  database: \"\"\n  pidfile: \"\"\n  xfrdfile: \"{path}/xfrd\"\n  \
         zonelistfile: \"{path}/zone.list\"\n  xfrdir: \"{path}\"\n\
         remote-control:\n  control-enable: no\n\
         zone:\n  name: example.com\n  zonefile: example.com.zone\n",
        port = addr.port(),
    );
    std::fs::write(folder.path().join("nsd.conf"), config).unwrap();
    let server = Nameserver::new("nsd", &["-d", "-c", "nsd.conf"], folder.path().to_owned());
    server.start();
    // It answers REFUSED to what it does not know, once it is there.
    for _ in 0..600 {
        let answer = ask_dns("example.com", dns(RrType::SOA, &[]), addr, SHORT).await;
        if server.tended(|| (answer == "ok").then_some(())).is_some() {
            return Nsd { addr, _server: server, _folder: folder };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("NSD never answered");
}

#[tokio::test]
async fn nsd_is_held_against_what_is_expected() {
    let nsd = nsd().await;
    let check = async |name: &str, dns: DnsProbe, want: &str| {
        assert_eq!(ask_dns(name, dns.clone(), nsd.addr, LONG).await, want, "{name}");
        assert_eq!(
            ask_dns(name, DnsProbe { tcp: true, ..dns }, nsd.addr, LONG).await,
            want,
            "{name} over TCP"
        );
    };
    let a = |records: &[&str], matching| DnsProbe { matching, ..dns(RrType::A, records) };
    check("www.example.com", a(&["192.0.2.2"], Matching::All), "ok").await;
    check("app.example.com", a(&["192.0.2.1", "192.0.2.2"], Matching::Exact), "ok").await;
    check(
        "www.example.com",
        a(&["192.0.2.1"], Matching::Exact),
        "answered 192.0.2.1 192.0.2.2, not just 192.0.2.1",
    )
    .await;
    check(
        "www.example.com",
        a(&["192.0.2.3", "192.0.2.4"], Matching::Any),
        "answered 192.0.2.1 192.0.2.2, none of 192.0.2.3 192.0.2.4",
    )
    .await;
    check("example.com", dns(RrType::MX, &["10 MAIL.example.com."]), "ok").await;
    check("nothing.example.com", dns(RrType::A, &[]), "answered NXDOMAIN").await;
    check("nothing.example.com", DnsProbe { rcode: 3, ..dns(RrType::A, &[]) }, "ok").await;
    check("www.example.org", dns(RrType::A, &[]), "answered REFUSED").await;
    check("www.example.com", DnsProbe { authoritative: Some(true), ..dns(RrType::A, &[]) }, "ok").await;
    // Over UDP it is cut short, and asked for again over TCP.
    let text = format!("\"{}\" ", "x".repeat(200)).repeat(4);
    check("big.example.com", dns(RrType::TXT, &[&text]), "ok").await;
}

/// A socket, and a task that answers its datagrams: `behave` makes answers of the number of the datagram
/// and the question.
async fn answering(behave: fn(u32, &[u8]) -> Vec<Vec<u8>>) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        for count in 0.. {
            let (len, peer) = socket.recv_from(&mut buffer).await.unwrap();
            for answer in behave(count, &buffer[..len]) {
                socket.send_to(&answer, peer).await.unwrap();
            }
        }
    });
    addr
}

/// The question as a good answer without a record.
fn good(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2] |= 0x84;
    answer
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let addr = answering(|count, question| if count == 0 { vec![] } else { vec![good(question)] }).await;
    let timeout = Duration::from_secs(4);
    assert_eq!(ask_dns("www.example.com", dns(RrType::A, &[]), addr, timeout).await, "ok");
}

#[tokio::test]
async fn forged_answers_are_passed_over() {
    let addr = answering(|_, question| {
        let mut forged = good(question);
        forged[0] ^= 0xff;
        forged[3] |= 2;
        vec![forged, b"junk".to_vec(), question.to_vec(), good(question)]
    })
    .await;
    assert_eq!(ask_dns("www.example.com", dns(RrType::A, &[]), addr, LONG).await, "ok");
}

#[tokio::test]
async fn servers_that_fail() {
    let any = || dns(RrType::A, &[]);
    let silent = answering(|_, _| vec![]).await;
    assert_eq!(ask_dns("www.example.com", any(), silent, SHORT).await, "timeout in first byte");
    let servfail = answering(|_, question| {
        let mut answer = good(question);
        answer[3] |= 2;
        vec![answer]
    })
    .await;
    assert_eq!(ask_dns("www.example.com", any(), servfail, LONG).await, "answered SERVFAIL");
    // Nothing listens: ICMP says so.
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = closed.local_addr().unwrap();
    drop(closed);
    assert_eq!(ask_dns("www.example.com", any(), addr, LONG).await, "connection refused");
    // Truncated, and nobody there over TCP.
    let truncated = answering(|_, question| {
        let mut answer = good(question);
        answer[2] |= 0x02;
        vec![answer]
    })
    .await;
    assert_eq!(ask_dns("www.example.com", any(), truncated, LONG).await, "connection refused");
}

#[tokio::test]
async fn tcp_that_breaks_off() {
    let check = async |answer: &'static [u8], want: &str| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut question).await.unwrap();
                stream.write_all(answer).await.ok();
            }
        });
        let probe = DnsProbe { tcp: true, ..dns(RrType::A, &[]) };
        assert_eq!(ask_dns("www.example.com", probe, addr, LONG).await, want);
    };
    check(b"", "DNS: closed before the answer was complete").await;
    check(b"\x00\x20half", "DNS: closed before the answer was complete").await;
    check(b"\x00\x04junk", "DNS: what came over TCP does not answer the question").await;
}
