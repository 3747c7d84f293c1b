//! The server under test: the one at `DNS_TEST_SERVER` (address and port), or else one of ours.
//!
//! All else in this folder knows nothing but an address, so that any server can sit these tests: let it
//! serve the files of `zones/` and call itself `ns1.test` (RFC 5001).

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use detour::answer::{Secrets, Settings, Table};
use detour::dns::Name;
use detour::server::{Running, Sockets, Taps};
use detour::zone::{Zone, parse};
use tokio::runtime::Runtime;

const ZONES: [(&str, &str); 3] = [
    ("example.test", include_str!("zones/example.test.zone")),
    ("child.example.test", include_str!("zones/child.example.test.zone")),
    ("other.test", include_str!("zones/other.test.zone")),
];

/// Where the server under test listens.
pub fn address() -> SocketAddr {
    static ADDRESS: OnceLock<SocketAddr> = OnceLock::new();
    *ADDRESS.get_or_init(|| match std::env::var("DNS_TEST_SERVER") {
        Ok(address) => address.parse().expect("DNS_TEST_SERVER is an address and a port"),
        Err(_) => ours(),
    })
}

fn ours() -> SocketAddr {
    static SERVER: OnceLock<(Runtime, Running, SocketAddr)> = OnceLock::new();
    let (_, _, address) = SERVER.get_or_init(|| {
        let runtime = Runtime::new().expect("a runtime");
        let zones: Vec<Zone> = ZONES.iter().map(|(apex, text)| zone(apex, text)).collect();
        // A few names are steered, so that these tests see them answer like all others.
        let steered = ["www.example.test", "ns.sub.example.test", "alias.example.test"].map(name);
        let table = Arc::new(ArcSwap::from_pointee(Table::compile(&zones, &steered, 0x5eed)));
        let cookies = Some(Secrets { current: *b"a secret to all.", other: None });
        let nsid = Some((*b"ns1.test").into());
        let settings = Arc::new(Settings { nsid, cookies, ..Settings::default() });
        let listen = "127.0.0.1:0".parse().expect("an address");
        let sockets = Sockets::bind(&[listen], 2).expect("a free port");
        let address = sockets.addresses()[0];
        let running = sockets.serve(table, settings, None, &Taps::new().0, runtime.handle());
        (runtime, running, address)
    });
    *address
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn zone(apex: &str, text: &str) -> Zone {
    let mut no_include = |file: &str| Err(format!("{file}: these zones include nothing"));
    match parse(&name(apex), apex, text.as_bytes(), &mut no_include) {
        Ok((zone, _warnings)) => zone,
        Err(problems) => panic!("{problems:?}"),
    }
}
