//! The seeds of the query fuzz target, answered without the fuzzer; whole, cut short, and with every bit
//! turned. What holds for all answers: never a panic, never longer than allowed, id and question kept.

use std::sync::Arc;
use std::time::Duration;

use detour::answer::{
    Asker, Gate, Kind, RateLimit, RateLimiter, Secrets, Settings, Table, Transport, answer, answer_through,
};
use detour::dns::Name;
use detour::zone::parse;

fn table() -> Table {
    let apex: Name = "example.test".parse().expect("a name");
    let text = include_str!("dns/zones/example.test.zone");
    let mut none = |file: &str| Err(file.to_owned());
    let (zone, _) = parse(&apex, "example.test", text.as_bytes(), &mut none).expect("a sound zone");
    Table::compile(&[zone], &[], 1)
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir("fuzz/seeds/query").expect("the seeds");
    let seeds: Vec<_> = files
        .map(|seed| {
            let path = seed.expect("a file").path();
            (path.display().to_string(), std::fs::read(&path).expect("its bytes"))
        })
        .collect();
    assert!(seeds.len() > 20, "only {} seeds", seeds.len());
    seeds
}

fn asker(transport: Transport) -> Asker {
    Asker { transport, ip: [192, 0, 2, 1].into(), now: 1_700_000_000 }
}

/// What a UDP answer may take: what the query's OPT record offers, which here is read by hand from a query
/// with one question and nothing but OPT after it.
fn most(query: &[u8]) -> usize {
    let simple = query.get(4..12) == Some(&[0, 1, 0, 0, 0, 0, 0, 1]);
    let Some(end) = question_end(query).filter(|_| simple) else { return 1232 };
    match query.get(end..end + 5) {
        Some([0, 0, 41, high, low]) => usize::from(u16::from_be_bytes([*high, *low])).clamp(512, 1232),
        _ => 1232,
    }
}

fn question_end(message: &[u8]) -> Option<usize> {
    let mut end = 12;
    while *message.get(end)? != 0 {
        end += 1 + usize::from(message[end]);
    }
    Some(end + 5)
}

/// What an answer owes to its query.
fn check(what: &str, query: &[u8], answer: &[u8]) {
    assert!(answer.len() >= 12, "{what}");
    assert_eq!(answer[..2], query[..2], "{what}: the id");
    assert_eq!(answer[2] & 0xf8, query[2] & 0x78 | 0x80, "{what}: QR and the opcode");
    if answer[4..6] != [0, 0] {
        assert_eq!(answer[4..6], [0, 1], "{what}: one question");
        let end = question_end(answer).expect("a whole question");
        assert_eq!(answer[12..end], query[12..end], "{what}: the question, byte for byte");
    }
}

fn answer_both(table: &Table, what: &str, query: &[u8]) -> usize {
    let cookies = Some(Secrets { current: [1; 16], other: None });
    let settings = Settings { nsid: Some((*b"ns1.test").into()), cookies, ..Settings::default() };
    let mut out = vec![0; 65_535];
    let tcp = answer(table, &settings, &asker(Transport::Tcp), query, &mut out);
    if tcp.len > 0 {
        check(what, query, &out[..tcp.len]);
    }
    let udp = answer(table, &settings, &asker(Transport::Udp), query, &mut out);
    assert!(udp.len <= most(query), "{what}: {} bytes", udp.len);
    assert_eq!(udp.len == 0, tcp.len == 0, "{what}: silence over one transport alone");
    if udp.len > 0 {
        check(what, query, &out[..udp.len]);
    }
    udp.len
}

#[test]
fn every_seed_is_answered_within_bounds() {
    let table = table();
    for (what, query) in seeds() {
        assert!(answer_both(&table, &what, &query) > 0, "{what}: no answer");
        for len in 0..query.len() {
            answer_both(&table, &format!("{what}, {len} bytes of it"), &query[..len]);
        }
        for bit in 0..query.len() * 8 {
            let mut turned = query.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            answer_both(&table, &format!("{what}, bit {bit} turned"), &turned);
        }
    }
}

#[test]
fn over_a_limit_an_answer_is_never_longer_than_within_it() {
    let table = table();
    let cookies = Some(Secrets { current: [1; 16], other: None });
    let settings = Settings { cookies, ..Settings::default() };
    let mut out = vec![0; 65_535];
    for (what, query) in seeds() {
        let limiter = RateLimiter::new(RateLimit {
            rates: [1; Kind::ALL.len()],
            slip: 1,
            window: Duration::from_secs(1),
            v4_bits: 24,
            v6_bits: 56,
            listeners: Vec::new(),
            exempt: Arc::default(),
            buckets: 4,
            key: [3; 16],
        });
        let gate = Some(Gate { limiter: &limiter, micros: 0 });
        let mut ask = || answer_through(gate, &table, &settings, &asker(Transport::Udp), &query, &mut out);
        let first = ask();
        let second = ask();
        assert_eq!(first.limited, None, "{what}");
        assert!(second.limited.is_some() && second.len <= first.len, "{what}: {first:?} {second:?}");
        check(&what, &query, &out[..second.len]);
    }
}
