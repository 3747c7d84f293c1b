//! What one answer costs, without sockets: `cargo bench --bench answer [-- NAMES]`.
//!
//! Names are asked for in an order no cache can guess. What is printed is for orientation: a machine's own
//! noise is some percent. `benches/peers` measures whole servers.

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use detour::answer::{Asker, Settings, Table, Transport, answer};
use detour::zone::{Changeset, Name, RrSet, RrType, Serial, Zone, parse, soa_with_serial};

/// Queries for each line of the output.
const QUERIES: usize = 2_000_000;
/// Different queries among them.
const DISTINCT: usize = 1 << 16;
/// Names that can be steered.
const STEERED: usize = 10_000;

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

fn measure(what: &str, table: &Table, edns: bool, owner: impl Fn(usize) -> String, rtype: RrType) {
    let settings = Settings::default();
    let asker = Asker { transport: Transport::Udp, ip: [192, 0, 2, 1].into(), now: 1_700_000_000 };
    let mut state = 1;
    let queries: Vec<Vec<u8>> = (0..DISTINCT)
        .map(|_| {
            let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
            query.extend(name(&owner(shuffle(&mut state))).as_wire());
            query.extend(rtype.0.to_be_bytes());
            query.extend([0, 1]);
            if edns {
                query.extend(b"\0\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
            }
            query
        })
        .collect();
    let mut out = vec![0; 4096];
    let mut run = || {
        let start = Instant::now();
        for query in queries.iter().cycle().take(QUERIES) {
            black_box(answer(table, &settings, &asker, black_box(query), &mut out));
        }
        start.elapsed()
    };
    // The best of five: all else is what the machine did meanwhile.
    let best = (0..5).map(|_| run()).min().unwrap_or_default();
    println!("{what:<36} {:>7.1} ns", best.as_secs_f64() * 1e9 / QUERIES as f64);
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
    let changes = Changeset { zone: apex, from: Serial(1), to: Serial(2), soa, remove: vec![], add, steer: vec![] };
    let start = Instant::now();
    let mut next = table.clone();
    next.apply(&changes).expect("applied");
    let took = start.elapsed();
    black_box(next);
    took
}

fn main() {
    let names = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(100_000);
    let zone = zone(names);
    let steered: Vec<Name> = (0..STEERED.min(names)).map(|i| name(&format!("host{i}.example.com"))).collect();
    let start = Instant::now();
    let table = Table::compile(std::slice::from_ref(&zone), &steered, 0x5eed);
    let (took, mib) = (start.elapsed(), table.size() as f64 / f64::from(1 << 20));
    println!("{names} names, {} steered: compiled in {took:.1?}, {mib:.1} MiB", steered.len());

    let host = |i: usize| format!("host{}.example.com", i % names);
    measure("positive", &table, false, host, RrType::A);
    measure("positive, EDNS", &table, true, host, RrType::A);
    measure("positive, steered", &table, true, |i| format!("host{}.example.com", i % STEERED), RrType::A);
    measure("NODATA", &table, true, host, RrType::TXT);
    measure("NXDOMAIN", &table, true, |i| format!("nope{i}.example.com"), RrType::A);
    measure("NXDOMAIN, 120 labels", &table, true, |_| format!("{}example.com", "a.".repeat(118)), RrType::A);
    measure("wildcard", &table, true, |i| format!("x{i}.wild.example.com"), RrType::A);
    measure("referral", &table, true, |i| format!("x{i}.sub.example.com"), RrType::A);
    measure("refused", &table, true, |i| format!("x{i}.example.net"), RrType::A);

    println!("one flip published in {:.1?}", flips(&table, &steered[..1]));
    println!("{} names in one changeset in {:.1?}", steered.len(), flips(&table, &steered));
}
