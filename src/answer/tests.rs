//! The room as a whole: zones and changesets in, answers out.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::dns::{Name, RrSet, RrType, Serial, soa_with_serial};
use crate::zone::{Changeset, Zone, parse};

const EXAMPLE: &str = include_str!("../../tests/dns/zones/example.test.zone");
const CHILD: &str = include_str!("../../tests/dns/zones/child.example.test.zone");
const OTHER: &str = include_str!("../../tests/dns/zones/other.test.zone");

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn zone(apex: &str, text: &str) -> Zone {
    let mut none = |file: &str| Err(file.to_owned());
    parse(&name(apex), apex, text.as_bytes(), &mut none).expect("a sound zone").0
}

fn zones() -> Vec<Zone> {
    vec![zone("example.test", EXAMPLE), zone("child.example.test", CHILD), zone("other.test", OTHER)]
}

fn table() -> Table {
    Table::compile(zones(), &[name("www.example.test"), name("steered.example.test")], 1)
}

fn asker(transport: Transport) -> Asker {
    Asker { transport, ip: [192, 0, 2, 1].into(), now: 1_700_000_000 }
}

fn query(owner: &[u8], rtype: u16, tail: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!tail.is_empty())];
    bytes.extend(owner);
    bytes.extend(rtype.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(tail);
    bytes
}

fn ask(table: &Table, owner: &str, rtype: RrType) -> Vec<u8> {
    let mut out = vec![0; MAX_MESSAGE_LEN];
    let query = query(name(owner).as_wire(), rtype.0, &[]);
    let answered = answer(table, &Settings::default(), &asker(Transport::Tcp), &query, &mut out);
    out.truncate(answered.len);
    out
}

fn changeset(table: &Table, apex: &str, remove: Vec<RrSet>, add: Vec<RrSet>) -> Changeset {
    let (from, to) = (Serial(1), Serial(2));
    let soa = soa_with_serial(&table.soa(&name(apex)).expect("a zone"), to);
    Changeset { zone: name(apex), from, to, soa, remove, add, steer: vec![], wait: vec![] }
}

fn a(owner: &str, last: u8) -> RrSet {
    RrSet { owner: name(owner), rtype: RrType::A, ttl: 5, rdata: vec![Box::new([192, 0, 2, last])] }
}

#[test]
fn the_table_tells_what_it_was_given() {
    let (zones, table) = (zones(), table());
    let apexes: Vec<String> = table.zones().map(Name::to_string).collect();
    assert_eq!(apexes, ["example.test.", "child.example.test.", "other.test."]);
    for zone in &zones {
        assert_eq!(table.soa(zone.apex()), zone.rrset(zone.apex(), RrType::SOA));
    }
    let example = &zones[0];
    for set in example.rrsets() {
        let owner = Name::from_wire(set.owner).expect("a name");
        // What the child's zone holds is the child's.
        if !owner.is_at_or_below(&name("child.example.test")) {
            let held = table.rrsets_at(&owner);
            assert!(held.contains(&example.rrset(&owner, set.rtype).expect("there")), "{owner}");
        }
    }
    assert!(table.rrsets_at(&name("nothing.example.test")).is_empty());
    assert!(table.soa(&name("www.example.test")).is_none());
}

#[test]
fn a_steered_name_exists_even_when_empty() {
    let mut table = table();
    let rcode = |table: &Table| ask(table, "steered.example.test", RrType::A)[3];
    assert_eq!(rcode(&table), 0);
    assert_eq!(ask(&table, "nothing.example.test", RrType::A)[3], 3);
    let add = changeset(&table, "example.test", vec![], vec![a("steered.example.test", 7)]);
    table.apply(&add).expect("applied");
    assert!(ask(&table, "steered.example.test", RrType::A).ends_with(&[0, 4, 192, 0, 2, 7]));
    let remove = changeset(&table, "example.test", vec![a("steered.example.test", 7)], vec![]);
    table.apply(&remove).expect("applied");
    assert_eq!(rcode(&table), 0);
}

/// RFC 4892 section 3: an operator may want none of it told.
#[test]
fn chaos_is_off_by_one_key() {
    let rcode = |settings: &Settings, owner: &str| {
        let mut query = query(name(owner).as_wire(), RrType::TXT.0, &[]);
        let class = query.len() - 1;
        query[class] = 3;
        let mut out = [0; 512];
        answer(&table_once(), settings, &asker(Transport::Udp), &query, &mut out).rcode
    };
    let named = Settings { nsid: Some((*b"ns1").into()), ..Settings::default() };
    let off = Settings { chaos: false, ..named.clone() };
    for owner in ["version.bind", "version.server", "hostname.bind", "id.server"] {
        assert_eq!((rcode(&named, owner), rcode(&off, owner)), (0, 5), "{owner}");
    }
    // Who has no name cannot tell it.
    assert_eq!(rcode(&Settings::default(), "id.server"), 5);
}

/// The query's id says which record is first, and the others follow in their order; nothing else changes.
#[test]
fn records_take_turns_in_coming_first() {
    let settings = Settings { rotate: true, ..Settings::default() };
    let ask = |owner: &str, rtype: RrType, id: u8| {
        let mut query = query(name(owner).as_wire(), rtype.0, &[]);
        query[..2].copy_from_slice(&[0, id]);
        let mut out = vec![0; 4096];
        let answered = answer(&table_once(), &settings, &asker(Transport::Tcp), &query, &mut out);
        let message = hickory_proto::op::Message::from_vec(&out[..answered.len]).expect("sound");
        let texts = |records: &[hickory_proto::rr::Record]| -> Vec<String> {
            records.iter().map(ToString::to_string).collect()
        };
        (texts(&message.answers), texts(&message.additionals))
    };
    // The addresses that follow NS are owned by names inside the records that move.
    for (owner, rtype, count) in [
        ("www.example.test", RrType::A, 2),
        ("example.test", RrType::NS, 2),
        ("large.example.test", RrType::TXT, 27),
        ("example.test", RrType::MX, 1),
    ] {
        let (first, additional) = ask(owner, rtype, 0);
        assert_eq!(first.len(), count, "{owner}");
        for id in 0..=255u8 {
            let (mut want, by) = (first.clone(), usize::from(id) % count);
            want.rotate_left(by);
            assert_eq!(ask(owner, rtype, id), (want, additional.clone()), "{owner} {id}");
        }
    }
}

/// A clone is what readers hold: a changeset applied to another clone never shows in it.
#[test]
fn a_publish_leaves_readers_their_table() {
    let before = table();
    let was = ask(&before, "www.example.test", RrType::A);
    let mut after = before.clone();
    let flip = changeset(&before, "example.test", vec![], vec![a("www.example.test", 99)]);
    after.apply(&flip).expect("applied");

    assert_eq!(ask(&before, "www.example.test", RrType::A), was);
    assert!(ask(&after, "www.example.test", RrType::A).ends_with(&[0, 4, 192, 0, 2, 99]));
    // Everything that leads there sees it: chains, and the serial in negative answers.
    assert!(ask(&after, "alias2.example.test", RrType::A).ends_with(&[0, 4, 192, 0, 2, 99]));
    let serial = |table: &Table| {
        let answer = ask(table, "nothing.example.test", RrType::A);
        u32::from_be_bytes(answer[answer.len() - 20..][..4].try_into().expect("four bytes"))
    };
    assert_eq!((serial(&before), serial(&after)), (2_024_010_101, 2));
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let check = |change: &dyn Fn(&mut Changeset), want: &str| {
        let mut table = table();
        let mut changes = changeset(&table, "example.test", vec![], vec![a("www.example.test", 99)]);
        change(&mut changes);
        let was = ask(&table, "www.example.test", RrType::A);
        let error = table.apply(&changes).expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
        assert_eq!(ask(&table, "www.example.test", RrType::A), was);
    };
    check(&|c| c.zone = name("example.net"), "zone example.net. is not served");
    check(&|c| c.zone = name("www.example.test"), "zone www.example.test. is not served");
    check(
        &|c| c.add.push(a("www.child.example.test", 1)),
        "www.child.example.test. does not lie in zone example.test., or lies in another one below it",
    );
    check(&|c| c.remove.push(a("www.other.test", 1)), "does not lie in zone example.test.");
    check(&|c| c.add[0].rtype = RrType::NS, "type 2 shape the zone");
    check(&|c| c.soa.owner = name("other.test"), "has no SOA");
    check(&|c| c.soa.rdata.clear(), "has no SOA");
}

#[test]
fn a_service_at_the_apex_or_a_wildcard_is_steered_too() {
    let steered = [name("example.test"), name("*.wild.example.test")];
    let mut table = Table::compile(zones(), &steered, 9);
    let sets = vec![a("example.test", 1), a("*.wild.example.test", 2)];
    table.apply(&changeset(&table, "example.test", vec![], sets)).expect("applied");
    assert!(ask(&table, "example.test", RrType::A).ends_with(&[0, 4, 192, 0, 2, 1]));
    assert!(ask(&table, "a.b.wild.example.test", RrType::A).ends_with(&[0, 4, 192, 0, 2, 2]));
    assert_eq!(table.rrsets_at(&name("example.test")).len(), 5);
}

/// The root is a zone like others, and so is one below it, with nothing known in between.
#[test]
fn the_root_can_be_served() {
    let root = zone(".", "@ 60 IN SOA ns. h. 1 1 1 1 60\n@ 60 NS ns.\nns. 60 A 192.0.2.1\n* 60 TXT any\n");
    let table = Table::compile(&[root, zone("other.test", OTHER)], &[], 3);
    assert_eq!(ask(&table, "ns", RrType::A)[3], 0);
    assert_eq!(ask(&table, "www.other.test", RrType::A)[7], 1);
    // `test` is above an apex but in no zone the root knows of: the root's wildcard answers for it.
    for covered in ["test", "a.test", "com", "www.com"] {
        assert_eq!(ask(&table, covered, RrType::TXT)[6..8], [0, 1], "{covered}");
    }
    assert_eq!(ask(&Table::compile(&[], &[], 3), "com", RrType::A)[3], 5);
}

#[test]
fn a_set_larger_than_any_message_is_truncated() {
    let rdata = (0..300u16).map(|i| [&[255][..], &[i as u8; 255]].concat().into()).collect();
    let text = "@ 60 IN SOA ns h 1 1 1 1 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n";
    let mut table = Table::compile(&[zone("big.test", text)], &[name("x.big.test")], 1);
    let set = RrSet { owner: name("x.big.test"), rtype: RrType::TXT, ttl: 1, rdata };
    table.apply(&changeset(&table, "big.test", vec![], vec![set.clone()])).expect("applied");
    let answer = ask(&table, "x.big.test", RrType::TXT);
    assert_eq!((answer[2] & 2, &answer[6..8]), (2, &[0, 0][..]));
    assert_eq!(table.rrsets_at(&set.owner), [set]);
}

/// Names out of the pieces of those that are there, so that most questions hit something.
fn some_name() -> impl Strategy<Value = Vec<u8>> {
    let label = prop::sample::select(vec![
        "www", "WILD", "sub", "ns", "*", "a", "child", "test", "example", "moved", "loop1", "glue", "ent",
        "leaf", "empty", "alias2", "to-large", "medium", "across", "\0", "x.y",
    ]);
    let end = prop::sample::select(vec!["example.test.", "child.example.test.", "other.test.", "test.", "."]);
    (prop::collection::vec(label, 0..6), end).prop_map(|(labels, end)| {
        let mut wire = Vec::new();
        for label in labels {
            wire.push(label.len() as u8);
            wire.extend(label.bytes());
        }
        wire.extend(name(end).as_wire());
        wire
    })
}

fn some_type() -> impl Strategy<Value = u16> {
    prop_oneof![
        4 => prop::sample::select(vec![1u16, 2, 5, 6, 15, 16, 28, 33, 39, 41, 43, 255]),
        1 => any::<u16>(),
    ]
}

fn some_tail() -> impl Strategy<Value = Vec<u8>> {
    let opt = |payload: u16| {
        let mut opt = vec![0, 0, 41];
        opt.extend(payload.to_be_bytes());
        opt.extend([0, 0, 0x80, 0, 0, 31, 0, 3, 0, 0, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        opt.extend([0, 11, 0, 0, 0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2]);
        opt
    };
    prop_oneof![Just(Vec::new()), any::<u16>().prop_map(opt)]
}

/// What holds of every answer to a query whose question is sound and ends at `end`.
fn check_answer(table: &Table, query: &[u8], end: usize) {
    let cookies = Some(Secrets { current: [7; 16], other: None });
    let settings =
        Settings { nsid: Some(vec![b'n'; 400].into()), cookies, rotate: true, ..Settings::default() };
    for (transport, room, limit) in
        [(Transport::Udp, 4096, 1232), (Transport::Udp, 512, 512), (Transport::Tcp, 65_535, 65_535)]
    {
        let mut out = vec![0; room];
        let answered = answer(table, &settings, &asker(transport), query, &mut out);
        assert!((end..=limit).contains(&answered.len), "{answered:?}");
        let out = &out[..answered.len];
        assert_eq!(out[..2], query[..2], "the id");
        assert_eq!(out[12..end], query[12..end], "the question");
        assert_eq!(out[2] & 0xf9, query[2] & 0x79 | 0x80, "QR, opcode and RD");
        assert_eq!((out[2] & 2 != 0, out[3]), (answered.truncated, answered.rcode & 0xf));
        let parsed = hickory_proto::op::Message::from_vec(out);
        parsed.unwrap_or_else(|error| panic!("{error}: {out:02x?}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_question_gets_a_sound_answer(owner in some_name(), rtype in some_type(), tail in some_tail()) {
        prop_assume!(owner.len() <= 255);
        check_answer(&table_once(), &query(&owner, rtype, &tail), 12 + owner.len() + 4);
    }

    #[test]
    fn any_bytes_are_answered_or_not_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut out = vec![0; 1232];
        let answered = answer(&table_once(), &Settings::default(), &asker(Transport::Udp), &bytes, &mut out);
        prop_assert!(answered.len <= 1232);
    }

    #[test]
    fn a_query_gone_wrong_is_never_a_panic(
        owner in some_name(), rtype in some_type(), tail in some_tail(),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        room in 0usize..700,
    ) {
        let mut bytes = query(&owner, rtype, &tail);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut.index(bytes.len()) * usize::from(byte & 1));
        let mut out = vec![0; room];
        let answered = answer(&table_once(), &Settings::default(), &asker(Transport::Udp), &bytes, &mut out);
        prop_assert!(answered.len <= room);
    }
}

fn table_once() -> Table {
    static TABLE: std::sync::OnceLock<Table> = std::sync::OnceLock::new();
    TABLE.get_or_init(table).clone()
}

const STEERED: [&str; 4] =
    ["www.example.test", "steered.example.test", "*.wild.example.test", "host.new.example.test"];

fn some_change() -> impl Strategy<Value = (RrSet, bool)> {
    let owner = prop::sample::select(STEERED.to_vec());
    let rtype = prop::sample::select(vec![RrType::A, RrType::AAAA, RrType::CNAME, RrType::MX]);
    (owner, rtype, 0u32..100, any::<[u8; 4]>(), any::<bool>()).prop_map(|(owner, rtype, ttl, bytes, adds)| {
        let target =
            name(["www.example.test", "mail.example.test", "a.other.test"][usize::from(bytes[0]) % 3]);
        let rdata: Box<[u8]> = match rtype {
            RrType::A => bytes.into(),
            RrType::AAAA => [bytes; 4].concat().into(),
            RrType::MX => [&bytes[..2], target.as_wire()].concat().into(),
            _ => target.as_wire().into(),
        };
        (RrSet { owner: name(owner), rtype, ttl, rdata: vec![rdata] }, adds)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// However a table came to be, it is the table its content compiles to.
    #[test]
    fn changesets_lead_where_compiling_leads(
        steps in prop::collection::vec(prop::collection::vec(some_change(), 0..6), 1..8)
    ) {
        let steered = STEERED.map(name);
        let mut table = Table::compile(&zones()[..1], &steered, 1);
        let mut model: BTreeMap<(Name, RrType), RrSet> =
            zones()[0].rrsets().map(|set| {
                let owner = Name::from_wire(set.owner).expect("a name");
                let rdata = set.rdata().map(Box::from).collect();
                ((owner.clone(), set.rtype), RrSet { owner, rtype: set.rtype, ttl: set.ttl, rdata })
            }).collect();
        for (serial, step) in steps.into_iter().enumerate() {
            let to = Serial(serial as u32 + 10);
            let apex = name("example.test");
            let soa = soa_with_serial(&table.soa(&apex).expect("a zone"), to);
            let (mut remove, mut add) = (Vec::new(), Vec::new());
            for (set, adds) in step {
                remove.push(set.clone());
                if adds {
                    add.push(set);
                }
            }
            for set in &remove {
                model.remove(&(set.owner.clone(), set.rtype));
            }
            for set in add.iter().chain([&soa]) {
                model.insert((set.owner.clone(), set.rtype), set.clone());
            }
            let changes = Changeset { zone: apex, from: Serial(0), to, soa, remove, add, steer: vec![], wait: vec![] };
            table.apply(&changes).expect("applied");
        }
        let fresh = Zone::from_rrsets(name("example.test"), Serial(0), model.into_values().collect());
        let fresh = Table::compile(&[fresh], &steered, 2);
        for owner in zones()[0].rrsets().map(|set| set.owner.to_vec()).chain(steered.iter().map(|n| n.as_wire().to_vec())) {
            let owner = Name::from_wire(&owner).expect("a name");
            prop_assert_eq!(table.rrsets_at(&owner), fresh.rrsets_at(&owner));
            for rtype in [RrType::A, RrType::AAAA, RrType::CNAME, RrType::MX, RrType::TXT, RrType::NS, RrType::ANY] {
                let text = owner.to_string();
                prop_assert_eq!(ask(&table, &text, rtype), ask(&fresh, &text, rtype), "{} {:?}", text, rtype);
            }
        }
    }
}

#[test]
fn a_name_without_a_first_answer_is_not_ready_and_all_else_is() {
    let mut table = table();
    let www = name("www.example.test");
    let held = table.rrsets_at(&www);
    assert!(held.iter().any(|set| set.rtype == RrType::A), "{held:?}");
    let types = vec![RrType::A, RrType::AAAA, RrType::CNAME];
    let wait = |types| vec![(name("www.example.test"), types)];
    let waits = changeset(&table, "example.test", vec![], vec![]).with_waiting(wait(Some(types)));
    table.apply(&waits).expect("applied");
    assert!(table.waits() && table.waits_in(&name("example.test")) && !table.waits_in(&name("other.test")));
    let opt = b"\0\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    let asked = |table: &Table, owner: &str, rtype: RrType| {
        let mut out = vec![0; MAX_MESSAGE_LEN];
        let query = query(name(owner).as_wire(), rtype.0, opt);
        let answered = answer(table, &Settings::default(), &asker(Transport::Udp), &query, &mut out);
        out.truncate(answered.len);
        (answered.rcode, out)
    };
    for rtype in [RrType::A, RrType::AAAA] {
        let (rcode, out) = asked(&table, "www.example.test", rtype);
        assert_eq!((rcode, &out[6..10]), (2, &[0; 4][..]), "{rtype}: neither records nor an SOA");
        assert_eq!(out[2] & 4, 0, "{rtype}: no authority speaks so");
        assert!(out.ends_with(&[0, 15, 0, 2, 0, 14]), "{rtype}: extended error 14");
    }
    // A transfer, and who looks at the whole zone, sees what the file holds.
    assert_eq!(table.held(&name("example.test"), &www), held);
    assert_eq!(asked(&table, "example.test", RrType::SOA).0, 0);
    // Other changes leave it as it is; its first answer ends it.
    let other = changeset(&table, "example.test", vec![], vec![a("steered.example.test", 9)]);
    table.apply(&other).expect("applied");
    assert_eq!(asked(&table, "www.example.test", RrType::A).0, 2);
    assert_eq!(asked(&table, "steered.example.test", RrType::A).0, 0);
    let ready = changeset(&table, "example.test", vec![], vec![]).with_waiting(wait(None));
    table.apply(&ready).expect("applied");
    assert_eq!(asked(&table, "www.example.test", RrType::A).0, 0);
    assert_eq!((table.rrsets_at(&www), table.waits()), (held, false));
}

#[test]
fn what_is_answered_at_a_name_may_be_a_wildcards() {
    let text = "@ 60 SOA ns h 7 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n*.wild 60 A 192.0.2.2\n\
                *.wild 60 TXT t\n*.alias 60 CNAME ns.alias\nsub 60 NS ns.sub\nns.sub 60 A 192.0.2.3\n";
    let table = Table::compile(vec![zone("a.test", text)], &[], 1);
    let answered = |owner: &str| {
        let sets = table.answered_at(&name(owner));
        sets.iter().flat_map(RrSet::to_lines).collect::<Vec<_>>()
    };
    assert_eq!(answered("ns.a.test"), ["ns.a.test. 60 IN A 192.0.2.1"]);
    assert_eq!(answered("x.wild.a.test"), ["x.wild.a.test. 60 IN A 192.0.2.2"]);
    assert_eq!(answered("longer-x.alias.a.test"), ["longer-x.alias.a.test. 60 IN CNAME ns.alias.a.test."]);
    assert!(answered("none.a.test").is_empty() && answered("ns.sub.a.test").is_empty());
}
