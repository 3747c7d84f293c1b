//! A black hole as the network has them: packets go out, and nothing comes back, ever.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use detour::dns::RrType;
use detour::health::{Failure, Outcome, Phase};
use detour::model::{DnsProbe, GrpcProbe, IcmpProbe, Matching, ProbeKind, TcpProbe, TlsOptions, TlsProbe};

use crate::checks::{LONG, SHORT, ask, check, http, https};
use crate::namespace::{inside, ip, swallow};

#[tokio::test]
async fn every_kind_gives_up_on_a_black_hole_in_time() {
    if !inside("holes::every_kind_gives_up_on_a_black_hole_in_time", "exec \"$@\"") {
        return;
    }
    ip("link set lo up");
    for address in ["192.0.2.1", "2001:db8::1"] {
        ip(&format!("address add {address} dev lo"));
        swallow(address);
    }
    let at = |address: &str| -> IpAddr { address.parse().unwrap() };
    // The address is there, and so is its neighbour that nobody swallows: nothing is refused by mistake.
    ip("address add 192.0.2.9 dev lo");
    let near = ask(check(ProbeKind::Tcp(TcpProbe::default()), (at("192.0.2.9"), 80).into(), LONG)).await;
    assert_eq!(near, Outcome::Failed(Failure::Refused));

    let echo = IcmpProbe { count: 2, max_loss: 0, spacing: Duration::from_millis(20), size: 56 };
    let dns = |tcp: bool| {
        ProbeKind::Dns(DnsProbe {
            name: Some("example.com".parse().unwrap()),
            qtype: RrType::A,
            tcp,
            recursion: false,
            rcode: 0,
            authoritative: None,
            records: vec![],
            empty: false,
            matching: Matching::All,
        })
    };
    let grpc = GrpcProbe { service: String::new(), host: None, tls: None, max_latency: None };
    let tls = TlsProbe { tls: Arc::new(TlsOptions::default()), max_latency: None };
    let connect = Failure::Timeout(Phase::Connect);
    let kinds = [
        (ProbeKind::Tcp(TcpProbe::default()), connect.clone()),
        (ProbeKind::Http(http()), connect.clone()),
        (ProbeKind::Http(https()), connect.clone()),
        (ProbeKind::Tls(tls), connect.clone()),
        (ProbeKind::Grpc(grpc), connect.clone()),
        (dns(true), connect),
        // Nothing is connected to: what is missing is the answer.
        (dns(false), Failure::Timeout(Phase::FirstByte)),
        (ProbeKind::Icmp(echo), Failure::Lost { sent: 2, lost: 2 }),
    ];
    for address in ["192.0.2.1", "2001:db8::1"] {
        for (kind, want) in &kinds {
            let outcome = ask(check(kind.clone(), (at(address), 443).into(), SHORT)).await;
            assert_eq!(outcome, Outcome::Failed(want.clone()), "{kind:?} to {address}");
        }
    }
}
