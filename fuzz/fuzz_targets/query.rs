//! Query bytes in, answer bytes out: never a panic, never longer than allowed, id and opcode kept.
#![no_main]

use std::sync::OnceLock;

use detour::answer::{Asker, Secrets, Settings, Table, Transport, answer};
use detour::zone::{Name, parse};
use libfuzzer_sys::fuzz_target;

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
    Table::compile(&zones, &["www.example.test".parse().expect("a name")], 1)
}

fuzz_target!(|query: &[u8]| {
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
            assert_eq!(out[..2], query[..2]);
            assert_eq!(out[2] & 0xf8, query[2] & 0x78 | 0x80);
        }
    }
});
