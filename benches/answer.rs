//! What one answer costs, without sockets: `cargo bench --bench answer [-- NAMES [--only LINE]]`.
//!
//! Names are asked for in an order no cache can guess. What is printed is for orientation: a machine's own
//! noise is some percent. `benches/peers` measures whole servers. Instructions repeat: count those of one line
//! and of `--only none` under `perf stat -e instructions:u` or, where the machine lets nobody count them,
//! `valgrind --tool=callgrind`, with `--queries N` for fewer; the difference is what N queries took, and a
//! line makes five runs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use detour::answer::{Asker, ClientMap, Settings, Table, Transport, answer};
use detour::dns::{Name, Network, RrSet, RrType, Serial, soa_with_serial};
use detour::zone::{Buckets, Changeset, ClientsId, Pick, Steering, Zone, parse};

/// Queries for each run of a line, unless `--queries` says otherwise.
const QUERIES: usize = 2_000_000;
/// Different queries among them.
const DISTINCT: usize = 1 << 16;
/// Names that can be steered.
const STEERED: usize = 10_000;
/// Networks of clients, half of each family, and what they are sorted into.
const NETWORKS: usize = 200_000;
const REGIONS: u16 = 64;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn zone(names: usize) -> Zone {
    let mut text = String::from("@ 300 IN SOA ns h 1 2 3 4 60\n@ 300 NS ns\nns 300 A 192.0.2.1\n");
    text += "sub 300 NS ns.sub\nns.sub 300 A 192.0.2.2\n*.wild 300 A 192.0.2.3\n";
    for i in 0..names {
        let [_, a, b, c] = (i as u32).to_be_bytes();
        writeln!(text, "host{i} 300 A 10.{a}.{b}.{c}").expect("a string takes all");
    }
    let mut none = |file: &str| Err(file.to_owned());
    parse(&name("example.com"), "bench", text.as_bytes(), &mut none).expect("a sound zone").0
}

/// A generator for orders that look random and are the same each time (Knuth's MMIX constants).
fn shuffle(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// What follows this option on the command line.
fn option(option: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != option).nth(1)
}

/// One line alone is measured where `--only` names it.
fn is_chosen(what: &str) -> bool {
    option("--only").is_none_or(|only| only == what)
}

/// What follows the question of a query.
#[derive(Clone, Copy)]
enum Tail {
    Nothing,
    Edns,
    /// EDNS with the networks of clients, of either family.
    Subnet,
}

fn opt(tail: Tail, state: &mut u64) -> Vec<u8> {
    let subnet = match (tail, shuffle(state) % 2) {
        (Tail::Nothing, _) => return Vec::new(),
        (Tail::Edns, _) => Vec::new(),
        (Tail::Subnet, 0) => [&[0, 1, 24, 0], &address_v4(shuffle(state)).to_be_bytes()[..3]].concat(),
        (Tail::Subnet, _) => [&[0, 2, 56, 0], &address_v6(shuffle(state)).to_be_bytes()[..7]].concat(),
    };
    let mut opt = b"\0\x00\x29\x04\xd0\x00\x00\x00\x00".to_vec();
    if subnet.is_empty() {
        opt.extend([0, 0]);
    } else {
        opt.extend([0, subnet.len() as u8 + 4, 0, 8, 0, subnet.len() as u8]);
        opt.extend(subnet);
    }
    opt
}

/// An address in the space that is given out: the networks of the map lie there too.
fn address_v4(random: usize) -> u32 {
    0x0100_0000 + random as u32 % 0xdf00_0000
}

/// In the twelve /12 that registries give out of, each as full as the others.
fn address_v6(random: usize) -> u128 {
    let high = [0x200, 0x240, 0x260, 0x280, 0x2a0, 0x2c0][random % 6];
    high << 116 | (random as u128 / 6) << 88
}

/// A map as databases of cities make them: small networks of the one family, /32 to /48 of the other.
fn clients() -> ClientMap {
    let mut state = 7;
    let networks: Vec<(Network, u16)> = (0..NETWORKS)
        .map(|i| {
            let (random, region) = (shuffle(&mut state), (shuffle(&mut state) % usize::from(REGIONS)) as u16);
            let network = match i % 2 {
                0 => Network::of(std::net::Ipv4Addr::from(address_v4(random)).into(), 16 + (i / 2 % 9) as u8),
                _ => {
                    Network::of(std::net::Ipv6Addr::from(address_v6(random)).into(), 32 + (i / 2 % 17) as u8)
                }
            };
            (network, region)
        })
        .collect();
    ClientMap::new(REGIONS, &[&networks]).expect("a map")
}

/// The table with the first names steered by this, each with an address in each of its four variants.
fn steered_by(table: &Table, steered: &[Name], clients: Option<&ClientsId>, regions: &[Pick]) -> Table {
    let apex = name("example.com");
    let steer = steered.iter().map(|owner| {
        let a = |last| vec![RrSet::a(owner.clone(), 30, [[198, 51, 100, last].into()])];
        let variants = (1..=4).map(a).collect();
        (
            owner.clone(),
            Some(Steering { variants, clients: clients.cloned(), regions: regions.into(), salt: 1 }),
        )
    });
    let soa = table.soa(&apex).expect("the zone");
    let changes = Changeset::new(&soa, Serial(1), Serial(2), &[], &[]).with_steering(steer.collect());
    let mut next = table.clone();
    next.apply(&changes).expect("applied");
    next
}

fn measure(what: &str, table: &Table, tail: Tail, owner: impl Fn(usize) -> String, rtype: RrType) {
    if !is_chosen(what) {
        return;
    }
    let settings = Settings::default();
    let asker = Asker { transport: Transport::Udp, ip: [192, 0, 2, 1].into(), now: 1_700_000_000 };
    let mut state = 1;
    let edns = !matches!(tail, Tail::Nothing);
    let queries: Vec<Vec<u8>> = (0..DISTINCT)
        .map(|_| {
            let id = shuffle(&mut state).to_be_bytes();
            let mut query = vec![id[6], id[7], 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
            query.extend(name(&owner(shuffle(&mut state))).as_wire());
            query.extend(rtype.0.to_be_bytes());
            query.extend([0, 1]);
            query.extend(opt(tail, &mut state));
            query
        })
        .collect();
    let count = option("--queries").and_then(|count| count.parse().ok()).unwrap_or(QUERIES);
    let mut out = vec![0; 4096];
    let mut run = || {
        let start = Instant::now();
        for query in queries.iter().cycle().take(count) {
            black_box(answer(table, &settings, &asker, black_box(query), &mut out));
        }
        start.elapsed()
    };
    // The best of five: all else is what the machine did meanwhile.
    let best = (0..5).map(|_| run()).min().unwrap_or_default();
    println!("{what:<36} {:>7.1} ns", best.as_secs_f64() * 1e9 / count as f64);
}

fn flips(table: &Table, steered: &[Name]) -> Duration {
    let apex = name("example.com");
    let soa = soa_with_serial(&table.soa(&apex).expect("the zone"), Serial(2));
    let add = steered.iter().map(|owner| RrSet {
        owner: owner.clone(),
        rtype: RrType::A,
        ttl: 30,
        rdata: vec![Box::new([198, 51, 100, 1])],
    });
    let add: Vec<RrSet> = add.collect();
    let changes = Changeset {
        zone: apex,
        from: Serial(1),
        to: Serial(2),
        soa,
        remove: vec![],
        add,
        steer: vec![],
        wait: vec![],
    };
    let start = Instant::now();
    let mut next = table.clone();
    next.apply(&changes).expect("applied");
    let took = start.elapsed();
    black_box(next);
    took
}

fn main() {
    let mut args = std::env::args().skip(1).take_while(|arg| arg != "--queries");
    let names = args.find_map(|arg| arg.parse().ok()).unwrap_or(100_000);
    let zone = zone(names);
    let steered: Vec<Name> = (0..STEERED.min(names)).map(|i| name(&format!("host{i}.example.com"))).collect();
    let start = Instant::now();
    let table = Table::compile(std::slice::from_ref(&zone), &steered, 0x5eed);
    let (took, mib) = (start.elapsed(), table.size() as f64 / f64::from(1 << 20));
    println!("{names} names, {} steered: compiled in {took:.1?}, {mib:.1} MiB", steered.len());

    let host = |i: usize| format!("host{}.example.com", i % names);
    measure("positive", &table, Tail::Nothing, host, RrType::A);
    measure("positive, EDNS", &table, Tail::Edns, host, RrType::A);
    measure(
        "positive, steered",
        &table,
        Tail::Edns,
        |i| format!("host{}.example.com", i % STEERED),
        RrType::A,
    );
    measure("NODATA", &table, Tail::Edns, host, RrType::TXT);
    measure("NXDOMAIN", &table, Tail::Edns, |i| format!("nope{i}.example.com"), RrType::A);
    measure(
        "NXDOMAIN, 120 labels",
        &table,
        Tail::Edns,
        |_| format!("{}example.com", "a.".repeat(118)),
        RrType::A,
    );
    measure("wildcard", &table, Tail::Edns, |i| format!("x{i}.wild.example.com"), RrType::A);
    measure("referral", &table, Tail::Edns, |i| format!("x{i}.sub.example.com"), RrType::A);
    measure("refused", &table, Tail::Edns, |i| format!("x{i}.example.net"), RrType::A);

    let map = clients();
    println!(
        "{NETWORKS} networks of clients: {} ranges, {:.1} MiB",
        map.len(),
        map.size() as f64 / f64::from(1 << 20)
    );
    let id = ClientsId("bench".into());
    let table = table.with_clients(BTreeMap::from([(id.clone(), Arc::new(map))]));
    let own = |i: usize| format!("host{}.example.com", i % STEERED.min(names));
    let of_region = |region: u16| Pick::One((region % 4) as u8);
    let regions: Vec<Pick> = (0..REGIONS).map(of_region).collect();
    let quarters = Buckets::even(&[(0, 4), (1, 3), (2, 2), (3, 1)]).expect("weights");
    let geo = steered_by(&table, &steered, Some(&id), &regions);
    let weighted = steered_by(&table, &steered, None, &[Pick::PerQuery(quarters.clone())]);
    let sticky = steered_by(&table, &steered, None, &[Pick::PerClient(quarters.clone())]);
    let both =
        steered_by(&table, &steered, Some(&id), &[&regions[1..], &[Pick::PerClient(quarters)]].concat());
    measure("static, client subnet", &table, Tail::Subnet, own, RrType::A);
    measure("geo, by resolver", &geo, Tail::Edns, own, RrType::A);
    measure("geo, client subnet", &geo, Tail::Subnet, own, RrType::A);
    measure("weighted", &weighted, Tail::Edns, own, RrType::A);
    measure("sticky, client subnet", &sticky, Tail::Subnet, own, RrType::A);
    measure("geo of sticky, client subnet", &both, Tail::Subnet, own, RrType::A);

    if option("--only").is_some() {
        return;
    }
    println!("one flip published in {:.1?}", flips(&table, &steered[..1]));
    println!("{} names in one changeset in {:.1?}", steered.len(), flips(&table, &steered));
}
