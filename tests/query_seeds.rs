//! The seeds of the query fuzz target, answered without the fuzzer.

use detour::answer::{Asker, Settings, Table, Transport, answer};
use detour::zone::{Name, parse};

#[test]
fn every_seed_is_answered_within_bounds() {
    let apex: Name = "example.test".parse().expect("a name");
    let text = include_str!("dns/zones/example.test.zone");
    let mut none = |file: &str| Err(file.to_owned());
    let (zone, _) = parse(&apex, "example.test", text.as_bytes(), &mut none).expect("a sound zone");
    let table = Table::compile(&[zone], &[], 1);

    let asker = Asker { transport: Transport::Udp, ip: [192, 0, 2, 1].into(), now: 1_700_000_000 };
    let mut seen = 0;
    for seed in std::fs::read_dir("fuzz/seeds/query").expect("the seeds") {
        let path = seed.expect("a file").path();
        let query = std::fs::read(&path).expect("its bytes");
        let mut out = vec![0; 65_535];
        let answered = answer(&table, &Settings::default(), &asker, &query, &mut out);
        assert!((12..=1232).contains(&answered.len), "{}: {answered:?}", path.display());
        assert_eq!(out[..2], query[..2], "{}", path.display());
        seen += 1;
    }
    assert!(seen > 20, "only {seen} seeds");
}
