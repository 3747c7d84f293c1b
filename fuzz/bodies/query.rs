//! Query bytes in, answer bytes out: never a panic, never longer than allowed, id, opcode and question kept.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use detour::answer::{
    Asker, ClientMap, Gate, Kind, RateLimit, RateLimiter, Secrets, Settings, Table, Transport, answer,
    answer_through,
};
use detour::dns::{Name, RrSet, Serial};
use detour::zone::{Buckets, Changeset, ClientsId, Pick, Steering, parse};

const ZONES: [(&str, &str); 3] = [
    ("example.test", include_str!("../../tests/dns/zones/example.test.zone")),
    ("child.example.test", include_str!("../../tests/dns/zones/child.example.test.zone")),
    ("other.test", include_str!("../../tests/dns/zones/other.test.zone")),
];

fn table() -> Table {
    let zones = ZONES.map(|(apex, text)| {
        let apex: Name = apex.parse().expect("a name");
        let mut none = |file: &str| Err(file.to_owned());
        parse(&apex, "fuzz", text.as_bytes(), &mut none).expect("a sound zone").0
    });
    by_client(Table::compile(&zones, &["www.example.test".parse().expect("a name")], 1))
}

/// With a name that answers by region and, in one of them, by network.
fn by_client(table: Table) -> Table {
    let owner: Name = "www.example.test".parse().expect("a name");
    let networks = ["192.0.2.0/24", "2001:db8::/32"].map(|text| (text.parse().expect("a network"), 1));
    let map = ClientMap::new(2, &[&networks]).expect("a map");
    let sites = ClientsId("sites".into());
    let a = |last| vec![RrSet::a(owner.clone(), 30, [[192, 0, 2, last].into()])];
    let steering = Steering {
        variants: vec![a(1), a(2)],
        clients: Some(sites.clone()),
        regions: vec![Pick::One(0), Pick::PerClient(Buckets::share(1, 0, 5000))],
        salt: 1,
    };
    let mut table = table.with_clients(BTreeMap::from([(sites, Arc::new(map))]));
    let soa = table.soa(&"example.test".parse().expect("a name")).expect("the zone");
    let changes = Changeset::new(&soa, Serial(1), Serial(2), &[], &[]);
    table.apply(&changes.with_steering(vec![(owner, Some(steering))])).expect("applied");
    table
}

/// A limiter that lets nobody have more than one answer in a minute, and tells everybody else.
fn limiter() -> RateLimiter {
    RateLimiter::new(RateLimit {
        rates: [1; Kind::ALL.len()],
        slip: 1,
        window: Duration::from_secs(1),
        v4_bits: 24,
        v6_bits: 56,
        listeners: Vec::new(),
        exempt: Arc::default(),
        buckets: 4,
        key: [3; 16],
    })
}

/// What an answer owes to its query, whatever that holds.
fn check(query: &[u8], answer: &[u8]) {
    assert!(answer.len() >= 12);
    assert_eq!(answer[..2], query[..2]);
    assert_eq!(answer[2] & 0xf8, query[2] & 0x78 | 0x80);
    // A question that is repeated is the query's own, byte for byte.
    if answer[4..6] != [0, 0] {
        assert_eq!(answer[4..6], [0, 1]);
        let mut end = 12;
        while answer[end] != 0 {
            end += 1 + usize::from(answer[end]);
        }
        assert_eq!(answer[12..end + 5], query[12..end + 5]);
    }
}

/// Takes one input.
pub fn run(query: &[u8]) {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(table);
    let cookies = Some(Secrets { current: [1; 16], other: Some([2; 16]) });
    let settings =
        Settings { nsid: Some((*b"ns1.test").into()), cookies, rotate: true, ..Settings::default() };
    for (transport, limit) in [(Transport::Udp, 1232), (Transport::Tcp, 65_535)] {
        let mut out = vec![0; 65_535];
        let asker = Asker { transport, ip: [192, 0, 2, 1].into(), now: 1_700_000_000 };
        let answered = answer(table, &settings, &asker, query, &mut out);
        assert!(answered.len <= limit);
        if answered.len > 0 {
            check(query, &out[..answered.len]);
        }
        // Over the limit it is never longer than within it.
        let limiter = limiter();
        let gate = Some(Gate { limiter: &limiter, micros: 0 });
        for _ in 0..2 {
            let again = answer_through(gate, table, &settings, &asker, query, &mut out);
            assert!(again.len <= answered.len);
            if again.len > 0 {
                check(query, &out[..again.len]);
            }
        }
    }
}
