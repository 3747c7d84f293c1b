//! Answering allocates nothing, and an update no more than its size: proven by an allocator that counts.
#![allow(unsafe_code, reason = "an allocator is unsafe to write, and this one only counts and passes on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use detour::answer::{Asker, ClientMap, Secrets, Settings, Table, Transport, answer};
use detour::api::{Liveness, health_of};
use detour::condition::{Board, ConditionKind, Conditions, MAX_LISTED, Summary};
use detour::dns::{MAX_RRSET_BYTES, Name, RrSet, RrType, Serial};
use detour::time::Time;
use detour::zone::{
    Buckets, Changeset, ClientsId, Edits, Laid, Pick, Steering, Update, UpdateView, effects, parse,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size() as u64);
        // SAFETY: the caller's promises are those `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn table() -> Table {
    let text = include_str!("dns/zones/example.test.zone");
    let mut none = |file: &str| Err(file.to_owned());
    let (zone, _) = parse(&name("example.test"), "example.test", text.as_bytes(), &mut none).expect("sound");
    let steered =
        ["www", "geo", "drawn", "sticky", "waits"].map(|label| name(&format!("{label}.example.test")));
    let networks = [("192.0.2.0/24".parse().expect("a network"), 1)];
    let map = ClientMap::new(2, &[&networks]).expect("a map");
    let sites = ClientsId("sites".into());
    let mut table =
        Table::compile(&[zone], &steered, 1).with_clients(BTreeMap::from([(sites.clone(), Arc::new(map))]));
    let half = || Buckets::share(1, 0, 5000);
    let by = |owner: &Name, clients: Option<ClientsId>, regions: Vec<Pick>| {
        let a = |last| vec![RrSet::a(owner.clone(), 30, [[192, 0, 2, last].into()])];
        (owner.clone(), Some(Steering { variants: vec![a(1), a(2)], clients, regions, salt: 1 }))
    };
    let steer = vec![
        by(&steered[1], Some(sites), vec![Pick::One(0), Pick::One(1)]),
        by(&steered[2], None, vec![Pick::PerQuery(half())]),
        by(&steered[3], None, vec![Pick::PerClient(half())]),
    ];
    let soa = table.soa(&name("example.test")).expect("the zone");
    let waits = vec![(steered[4].clone(), Some(vec![RrType::A]))];
    let changes =
        Changeset::new(&soa, Serial(1), Serial(2), &[], &[]).with_steering(steer).with_waiting(waits);
    table.apply(&changes).expect("applied");
    table
}

#[test]
fn no_answer_allocates() {
    let table = table();
    let cookies = Some(Secrets { current: [1; 16], other: Some([2; 16]) });
    let settings = Settings { nsid: Some((*b"ns1").into()), cookies, rotate: true, ..Settings::default() };
    let opt = b"\0\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x1f\x00\x03\x00\x00\x00\x0a\x00\x0812345678\
          \x00\x0b\x00\x00\x00\x08\x00\x07\x00\x01\x18\x00\xc0\x00\x02";
    let mut out = vec![0; 65_535];
    let mut check = |what: &str, owner: &str, rtype: u16, rcode: u8| {
        let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        query.extend(name(owner).as_wire());
        query.extend(rtype.to_be_bytes());
        query.extend([0, 1]);
        query.extend(opt);
        for transport in [Transport::Udp, Transport::Tcp] {
            let asker = Asker { transport, ip: [192, 0, 2, 1].into(), now: 1_700_000_000 };
            let before = ALLOCATIONS.get();
            let answered = answer(&table, &settings, &asker, &query, &mut out);
            assert_eq!(ALLOCATIONS.get() - before, 0, "{what}");
            assert!(
                answered.len > query.len() - opt.len() && answered.rcode == rcode,
                "{what}: {answered:?}"
            );
        }
    };
    check("a positive answer", "mail.example.test", 1, 0);
    check("a steered one", "www.example.test", 1, 0);
    check("one by region", "geo.example.test", 1, 0);
    check("one drawn by weight", "drawn.example.test", 1, 0);
    check("one that stays with the client", "sticky.example.test", 1, 0);
    check("NODATA of one by region", "geo.example.test", 28, 0);
    check("one that has no answer yet", "waits.example.test", 1, 2);
    check("NODATA", "mail.example.test", 16, 0);
    check("NXDOMAIN", "nothing.at.all.example.test", 1, 3);
    check("a referral with glue", "host.sub.example.test", 1, 0);
    check("a chain", "c01.example.test", 28, 0);
    check("a loop", "loop1.example.test", 1, 0);
    check("a wildcard", "a.b.wild.example.test", 15, 0);
    check("a DNAME", "host.moved.example.test", 1, 0);
    check("a DNAME that applies again", "www.again.again.twice.example.test", 1, 0);
    check("DNAMEs that go round", "www.to.round.example.test", 1, 0);
    check("bindings with those of their targets", "pool.bind.example.test", 65, 0);
    check("a truncated answer", "large.example.test", 16, 0);
    check("ANY", "example.test", 255, 0);
    check("a refusal", "example.net", 1, 5);
}

/// The counter counts: or the test above would prove nothing.
#[test]
fn the_allocator_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![0u8; 100]));
    assert!(ALLOCATIONS.get() > before);
}

/// What `/healthz` does is to read what others keep: its work is bounded, however much there is.
#[test]
fn health_costs_the_same_with_100_and_with_100_000_conditions() {
    let cost = |count: usize| {
        let mut conditions = Conditions::default();
        for n in 0..count {
            conditions.set(ConditionKind::CheckSilent, &format!("web@{n:06}"), Time(1), "no result for 15 s");
        }
        let board = Board::default();
        let before = ALLOCATIONS.get();
        let health = health_of(&Liveness::default(), &Summary::of(&conditions).and(&board.summary()));
        assert_eq!(health.status, "degraded");
        ALLOCATIONS.get() - before
    };
    assert_eq!(cost(MAX_LISTED), cost(100_000));
}

/// What one update of so many records, and of as many prerequisites, allocates from the message to the zone's contents, in
/// bytes. All is about one RRset.
fn cost_of_update(records: u16) -> u64 {
    let line = |i| format!("big A 10.1.{}.{}\n", i / 256, i % 256);
    let held = (0..records).map(line).collect::<Vec<_>>().concat();
    let text = format!("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{held}");
    let mut none = |file: &str| Err(file.to_owned());
    let apex = name("example");
    let (zone, _) = parse(&apex, "zone", text.as_bytes(), &mut none).expect("sound");
    let [high, low] = records.to_be_bytes();
    let mut message = vec![0, 7, 5 << 3, 0, 0, 1, high, low, high, low, 0, 0];
    message.extend_from_slice(b"\x07example\0\x00\x06\x00\x01");
    let mut record = |class: u8, ttl: u8, rdata: &[u8]| {
        message.extend_from_slice(b"\x03big\xc0\x0c\x00\x01");
        message.extend_from_slice(&[0, class, 0, 0, 0, ttl, 0, rdata.len() as u8]);
        message.extend_from_slice(rdata);
    };
    // The RRset is there, says each; then every other record goes, and a new one comes for each that does.
    (0..records).for_each(|_| record(255, 0, &[]));
    for i in 0..records {
        let [high, low] = (i / 2 * 2).to_be_bytes();
        if i % 2 == 0 { record(254, 0, &[10, 1, high, low]) } else { record(1, 60, &[10, 2, high, low]) }
    }
    let before = BYTES.get();
    let update = Update::read(&message).expect("an update");
    let view = UpdateView::new(Laid::plain(&zone));
    update.check(&view).expect("the RRset is there");
    let changes = update.changes().expect("sound");
    let wanted = effects(&apex, &changes, &view, MAX_RRSET_BYTES).expect("within its bound");
    let mut edits = Edits::default();
    edits.change(&zone, wanted, usize::MAX).expect("within their bounds");
    let contents = edits.lay(&zone);
    assert_eq!((contents.len(), edits.len()), (zone.len(), usize::from(records)));
    BYTES.get() - before
}

#[test]
fn an_update_allocates_as_much_as_it_is_large() {
    let (small, large) = (cost_of_update(250), cost_of_update(2000));
    assert!(large < 10 * small, "eight times the records, {small} and {large} bytes");
}
