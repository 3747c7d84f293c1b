//! The same question from clients in several networks, asked with `dig` over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use arc_swap::ArcSwap;
use detour::answer::{Settings, Table};
use detour::dns::{Name, RrSet, Serial};
use detour::geo::{Plan, regions};
use detour::server::{Running, Sockets, Taps};
use detour::zone::{Buckets, Changeset, Pick, Steering, parse};
use tokio::runtime::Runtime;

const ZONE: &str = "@ 300 IN SOA ns h 1 2 3 4 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nalias 300 CNAME app\n";

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// A server whose `app` is at 192.0.2.10, 20 and 30 for three sites, and whose `sticky` at .1 or .2.
/// Clients of 10.1.0.0/16 and of 2001:db8:1::/48 prefer the second site, those of 10.2.0.0/16 the third.
fn server(runtime: &Runtime) -> (Running, SocketAddr) {
    let network = |text: &str, site| (text.parse().expect("a network"), vec![site]);
    let plan = Plan {
        sites: vec![None; 3],
        networks: vec![network("10.1.0.0/16", 1), network("2001:db8:1::/48", 1), network("10.2.0.0/16", 2)],
        ..Plan::default()
    };
    let clients = regions(&plan, &[]).expect("sorted");

    let mut none = |file: &str| Err(file.to_owned());
    let (zone, _) = parse(&name("example"), "example", ZONE.as_bytes(), &mut none).expect("a sound zone");
    let (app, sticky) = (name("app.example"), name("sticky.example"));
    let mut table = Table::compile(&[zone], &[app.clone(), sticky.clone()], 1)
        .with_clients(BTreeMap::from([(clients.id(), Arc::clone(&clients.map))]));
    let a = |owner: &Name, last| vec![RrSet::a(owner.clone(), 30, [[192, 0, 2, last].into()])];
    let by_site = Steering {
        variants: [10, 20, 30].map(|last| a(&app, last)).into(),
        clients: Some(clients.id()),
        regions: clients.orders.iter().map(|order| Pick::One(order[0])).collect(),
        salt: 1,
    };
    let by_network = Steering {
        variants: [1, 2].map(|last| a(&sticky, last)).into(),
        clients: None,
        regions: vec![Pick::PerClient(Buckets::share(1, 0, 5000))],
        salt: 1,
    };
    let soa = table.soa(&name("example")).expect("the zone");
    let plain = [a(&app, 10), a(&sticky, 1)].concat();
    let changes = Changeset::new(&soa, Serial(1), Serial(2), &[], &plain)
        .with_steering(vec![(app, Some(by_site)), (sticky, Some(by_network))]);
    table.apply(&changes).expect("applied");

    let listen = "127.0.0.1:0".parse().expect("an address");
    let sockets = Sockets::bind(&[listen], 1).expect("a free port");
    let address = sockets.addresses()[0];
    let table = Arc::new(ArcSwap::from_pointee(table));
    (sockets.serve(table, Arc::new(Settings::default()), None, &Taps::new().0, runtime.handle()), address)
}

/// The addresses answered, and the client subnet option as `dig` prints it.
fn dig(server: SocketAddr, args: &[&str]) -> (Vec<String>, Option<String>) {
    let port = server.port().to_string();
    let mut command = Command::new("dig");
    command.args(["@127.0.0.1", "-p", &port, "+nocookie", "+noall", "+answer", "+comments"]).args(args);
    let output = command.output().expect("dig, of the package bind9-dnsutils");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("status: NOERROR"), "{args:?}: {text}");
    let subnet = text.lines().find_map(|line| line.strip_prefix("; CLIENT-SUBNET: "));
    let records = text.lines().filter(|line| !line.starts_with(';') && line.contains("\tA\t"));
    let addresses = records.filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect();
    (addresses, subnet.map(str::to_owned))
}

#[test]
fn each_network_gets_its_sites_address_and_the_scope_of_it() {
    let runtime = Runtime::new().expect("a runtime");
    let (_running, server) = server(&runtime);
    let check = |name: &str, subnet: &str, address: &str, scope: &str| {
        for transport in ["+notcp", "+tcp"] {
            let (addresses, option) = dig(server, &[transport, &format!("+subnet={subnet}"), name, "A"]);
            assert_eq!(addresses, [address], "{subnet} {transport}");
            assert_eq!(option, Some(format!("{subnet}/{scope}")), "{subnet} {transport}");
        }
    };
    check("app.example", "10.1.7.0/24", "192.0.2.20", "16");
    check("app.example", "10.2.7.0/24", "192.0.2.30", "16");
    check("app.example", "10.3.7.0/24", "192.0.2.10", "16");
    check("app.example", "192.0.2.0/24", "192.0.2.10", "1");
    check("app.example", "2001:db8:1:700::/56", "192.0.2.20", "48");
    check("app.example", "2001:db8:2:700::/56", "192.0.2.10", "47");
    // Through a CNAME it is the same choice.
    check("alias.example", "10.1.7.0/24", "192.0.2.20", "16");
    // Where clients make no difference the answer is for everybody.
    check("ns.example", "10.1.7.0/24", "192.0.2.53", "0");
    // The resolver itself is the client where it tells of none.
    assert_eq!(dig(server, &["app.example", "A"]), (vec!["192.0.2.10".to_owned()], None));
}

#[test]
fn a_network_keeps_its_answer() {
    let runtime = Runtime::new().expect("a runtime");
    let (_running, server) = server(&runtime);
    let mut second = 0;
    for i in 0..40 {
        let ask = |subnet: String| dig(server, &[&format!("+subnet={subnet}"), "sticky.example", "A"]);
        let (addresses, option) = ask(format!("198.51.{i}.0/24"));
        assert_eq!(option, Some(format!("198.51.{i}.0/24/24")));
        assert_eq!(ask(format!("198.51.{i}.128/25")).0, addresses, "all of a /24 get the same");
        second += usize::from(addresses == ["192.0.2.2"]);
    }
    // Half of them, as lots fall; and they fall the same in every run.
    assert!((5..=35).contains(&second), "{second}");
}
