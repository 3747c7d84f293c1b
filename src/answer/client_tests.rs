//! Names whose answers depend on the client: changesets in, answers out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Message;

use super::*;
use crate::dns::{Name, RrSet, RrType, Serial, soa_with_serial};
use crate::zone::{Buckets, Changeset, ClientsId, Pick, Steering, Weighted, parse};

const ZONE: &str = "\
@      300 IN SOA ns h 1 2 3 4 60
@      300 NS ns
ns     300 A 192.0.2.53
app    300 A 192.0.2.1
alias  300 CNAME app
mail   300 MX 10 app
sub    300 NS ns.sub
ns.sub 300 A 192.0.2.54
";

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn a(owner: &str, last: u8) -> RrSet {
    RrSet::a(name(owner), 30, [[192, 0, 2, last].into()])
}

fn sites() -> ClientsId {
    ClientsId("sites".into())
}

/// Region 1 is 10.0.0.0/8 but for 10.9.0.0/16, and 2001:db8::/32.
fn table() -> Table {
    let mut none = |file: &str| Err(file.to_owned());
    let (zone, _) = parse(&name("example"), "example", ZONE.as_bytes(), &mut none).expect("sound");
    let steered = ["example", "app.example", "alias.example", "*.wild.example", "ns.sub.example"].map(name);
    let networks = ["10.0.0.0/8 1", "10.9.0.0/16 0", "2001:db8::/32 1"].map(|line| {
        let (network, region) = line.split_once(' ').expect("two words");
        (network.parse().expect("a network"), region.parse().expect("a number"))
    });
    let map = ClientMap::new(2, &[&networks]).expect("a map");
    Table::compile(&[zone], &steered, 1).with_clients(BTreeMap::from([(sites(), Arc::new(map))]))
}

fn changeset(table: &Table, steer: Vec<(Name, Option<Steering>)>) -> Changeset {
    let soa = table.soa(&name("example")).expect("the zone");
    let to = Serial(2);
    let add = vec![];
    Changeset { soa: soa_with_serial(&soa, to), ..Changeset::new(&soa, Serial(1), to, &[], &add) }
        .with_steering(steer)
}

/// Region 0 gets the first variant, region 1 the second.
fn by_region(variants: [Vec<RrSet>; 2]) -> Steering {
    let regions = vec![Pick::One(0), Pick::One(1)];
    Steering { variants: variants.into(), clients: Some(sites()), regions, salt: 1 }
}

fn steered(owner: &str, steering: Steering) -> Table {
    let mut table = table();
    let changes = changeset(&table, vec![(name(owner), Some(steering))]);
    table.apply(&changes).expect("applied");
    table
}

/// Family, source prefix and address, as a resolver sends them.
fn subnet(text: &str) -> Vec<u8> {
    let network: crate::dns::Network = text.parse().expect("a network");
    let (family, bytes) = match network.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut option = vec![0, family, network.prefix(), 0];
    option.extend(&bytes[..usize::from(network.prefix()).div_ceil(8)]);
    option
}

struct Asked {
    message: Message,
    /// The client subnet option of the answer.
    subnet: Option<Vec<u8>>,
}

impl Asked {
    fn data(&self) -> Vec<String> {
        self.message.answers.iter().map(|record| format!("{} {}", record.name, record.data)).collect()
    }

    fn scope(&self) -> u8 {
        self.subnet.as_ref().expect("an option")[3]
    }
}

/// Asks with an id, from `ip`, with the client subnet option.
fn ask_as(table: &Table, owner: &str, rtype: RrType, ip: &str, option: Option<&[u8]>, id: u16) -> Asked {
    let mut query = [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 1]].concat();
    query.extend(name(owner).as_wire());
    query.extend(rtype.0.to_be_bytes());
    query.extend([0, 1]);
    query.extend(b"\0\x00\x29\x04\xd0\x00\x00\x00\x00");
    let options = option.map_or(Vec::new(), |option| [&[0, 8, 0, option.len() as u8], option].concat());
    query.extend((options.len() as u16).to_be_bytes());
    query.extend(&options);
    let mut all: Vec<Vec<u8>> = Vec::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let asker = Asker { transport, ip: ip.parse().expect("an address"), now: 1_700_000_000 };
        let mut out = vec![0; MAX_MESSAGE_LEN];
        let answered = answer(table, &Settings::default(), &asker, &query, &mut out);
        out.truncate(answered.len);
        all.push(out);
    }
    assert_eq!(all[0], all[1], "the same by UDP and TCP");
    let bytes = all.remove(0);
    // OPT is last, and the option all that is in it.
    let subnet = option.map(|option| bytes[bytes.len() - option.len()..].to_vec());
    Asked { message: Message::from_vec(&bytes).expect("a message"), subnet }
}

fn ask(table: &Table, owner: &str, rtype: RrType, ip: &str, network: &str) -> Asked {
    ask_as(table, owner, rtype, ip, Some(&subnet(network)), 1)
}

#[test]
fn a_client_gets_its_regions_answer_and_the_scope_of_it() {
    let table = steered("app.example", by_region([vec![a("app.example", 10)], vec![a("app.example", 20)]]));
    let check = |network: &str, last: u8, scope: u8| {
        let asked = ask(&table, "app.example", RrType::A, "10.0.0.1", network);
        assert_eq!(asked.data(), [format!("app.example. 192.0.2.{last}")], "{network}");
        assert_eq!(asked.scope(), scope, "{network}");
        let option = asked.subnet.expect("an option");
        assert_eq!((&option[..3], &option[4..]), (&subnet(network)[..3], &subnet(network)[4..]), "{network}");
    };
    // Next to 10.9.0.0/16, which is of another region, 10/8 is no answer's scope.
    check("10.1.2.0/24", 20, 13);
    check("10.200.0.0/24", 20, 9);
    check("10.8.0.0/24", 20, 16);
    check("10.9.1.0/24", 10, 16);
    check("192.0.2.0/24", 10, 1);
    check("2001:db8:7::/56", 20, 32);
    check("2001:db9::/56", 10, 32);
    // Less was told than the choice depends on, and the scope says so (RFC 7871 section 7.2.1).
    check("10.0.0.0/8", 20, 13);
}

#[test]
fn without_a_client_the_resolver_is_the_client() {
    let table = steered("app.example", by_region([vec![a("app.example", 10)], vec![a("app.example", 20)]]));
    let check = |ip: &str, option: Option<&[u8]>, last: u8| {
        let asked = ask_as(&table, "app.example", RrType::A, ip, option, 1);
        assert_eq!(asked.data(), [format!("app.example. 192.0.2.{last}")], "{ip} {option:?}");
        // Nobody is told of, so nothing is said of anybody.
        assert_eq!(asked.subnet.as_deref(), option);
    };
    check("10.0.0.1", None, 20);
    check("10.9.0.1", None, 10);
    check("2001:db8::1", None, 20);
    check("2001:db9::1", None, 10);
    check("10.0.0.1", Some(&[0, 1, 0, 0]), 20);
    check("10.0.0.1", Some(&[0, 2, 0, 0]), 20);
}

#[test]
fn a_variant_may_hold_any_types_and_lack_some() {
    let text = RrSet::new(name("app.example"), RrType::TXT, 30, [b"\x02hi".to_vec()]);
    let far = RrSet::cname(name("app.example"), 30, &name("far.example.net"));
    let table = steered("app.example", by_region([vec![a("app.example", 10), text], vec![far]]));
    let near = |rtype| ask(&table, "app.example", rtype, "192.0.2.1", "192.0.2.0/24");
    let other = |rtype| ask(&table, "app.example", rtype, "192.0.2.1", "10.0.0.0/24");
    assert_eq!(near(RrType::TXT).data(), ["app.example. hi"]);
    assert_eq!(other(RrType::TXT).data(), ["app.example. far.example.net."]);
    assert_eq!(other(RrType::TXT).scope(), 13);
    assert_eq!(near(RrType::ANY).data(), ["app.example. 192.0.2.10"]);
    // What is not there resolvers share among all (RFC 7871 section 7.4).
    let none = near(RrType::AAAA);
    assert_eq!((none.message.answers.len(), none.message.authorities.len(), none.scope()), (0, 1, 0));
}

#[test]
fn chains_and_wildcards_carry_the_scope_along() {
    let table = steered("app.example", by_region([vec![a("app.example", 10)], vec![a("app.example", 20)]]));
    let asked = ask(&table, "alias.example", RrType::A, "192.0.2.1", "10.1.2.0/24");
    assert_eq!(asked.data(), ["alias.example. app.example.", "app.example. 192.0.2.20"]);
    assert_eq!(asked.scope(), 13);
    // The chain itself can depend on the client.
    let to = |target| vec![RrSet::cname(name("alias.example"), 30, &name(target))];
    let table = steered("alias.example", by_region([to("ns.example"), to("app.example")]));
    let asked = ask(&table, "alias.example", RrType::A, "192.0.2.1", "10.1.2.0/24");
    assert_eq!(asked.data(), ["alias.example. app.example.", "app.example. 192.0.2.1"]);
    assert_eq!(asked.scope(), 13);
    let asked = ask(&table, "alias.example", RrType::A, "192.0.2.1", "192.0.2.0/24");
    assert_eq!((asked.data()[0].as_str(), asked.scope()), ("alias.example. ns.example.", 1));

    let table =
        steered("*.wild.example", by_region([vec![a("*.wild.example", 10)], vec![a("*.wild.example", 20)]]));
    let asked = ask(&table, "x.y.wild.example", RrType::A, "192.0.2.1", "10.1.2.0/24");
    assert_eq!((asked.data(), asked.scope()), (vec!["x.y.wild.example. 192.0.2.20".to_owned()], 13));
}

/// RFC 7871 section 7.3.1: a resolver keeps what is beside an answer for everybody.
#[test]
fn what_depends_on_the_client_is_not_put_beside_an_answer() {
    let beside = |table: &Table| {
        let asked = ask(table, "mail.example", RrType::MX, "192.0.2.1", "10.1.2.0/24");
        assert_eq!((asked.message.answers.len(), asked.scope()), (1, 0));
        asked.message.additionals.iter().map(|record| record.data.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(beside(&table()), ["192.0.2.1"]);
    let variants = [vec![a("app.example", 10)], vec![a("app.example", 20)]];
    assert!(beside(&steered("app.example", by_region(variants.clone()))).is_empty());
    // A lot drawn for each query is no client's own.
    let drawn = Pick::PerQuery(Buckets::share(1, 1, 0));
    let any = Steering { regions: vec![drawn], clients: None, ..by_region(variants) };
    assert_eq!(beside(&steered("app.example", any)), ["192.0.2.20"]);
}

/// Glue leads everybody to the same server, whatever is asked of it.
#[test]
fn a_referral_is_the_same_for_all() {
    let table =
        steered("ns.sub.example", by_region([vec![a("ns.sub.example", 10)], vec![a("ns.sub.example", 20)]]));
    for network in ["10.1.2.0/24", "192.0.2.0/24"] {
        let asked = ask(&table, "x.sub.example", RrType::A, "192.0.2.1", network);
        let glue: Vec<String> = asked.message.additionals.iter().map(|r| r.data.to_string()).collect();
        assert_eq!((glue, asked.scope()), (vec!["192.0.2.54".to_owned()], 0));
    }
}

#[test]
fn the_apex_keeps_what_shapes_the_zone() {
    let mut table = steered("example", by_region([vec![a("example", 10)], vec![a("example", 20)]]));
    let get =
        |table: &Table, rtype| ask(table, "example", rtype, "192.0.2.1", "10.1.2.0/24").data().join(", ");
    assert_eq!(get(&table, RrType::A), "example. 192.0.2.20");
    assert_eq!(get(&table, RrType::NS), "example. ns.example.");
    assert!(get(&table, RrType::SOA).contains(" 2 2 3 4 60"), "{}", get(&table, RrType::SOA));
    // A later changeset says nothing of the apex but its serial, which every variant takes over.
    let soa = table.soa(&name("example")).expect("the zone");
    let later = Changeset::new(&soa, Serial(2), Serial(3), &[], &[]);
    table.apply(&later).expect("applied");
    assert!(get(&table, RrType::SOA).contains(" 3 2 3 4 60"), "{}", get(&table, RrType::SOA));
    assert_eq!(get(&table, RrType::A), "example. 192.0.2.20");
}

#[test]
fn queries_are_shared_out_by_weight() {
    let buckets = Buckets::even(&[(0, 3), (1, 1)]).expect("weights");
    let variants = vec![vec![a("app.example", 10)], vec![a("app.example", 20)]];
    let steering = Steering { variants, clients: None, regions: vec![Pick::PerQuery(buckets)], salt: 5 };
    let table = steered("app.example", steering);
    let ask = |ip: &str, id| {
        let asked = ask_as(&table, "app.example", RrType::A, ip, Some(&subnet("10.1.2.0/24")), id);
        assert_eq!(asked.scope(), 0, "a lot is no client's own");
        asked.data()[0].ends_with(".20")
    };
    let seconds = (0..8000u16).filter(|&id| ask("192.0.2.1", id)).count();
    // A quarter, and five standard deviations of so many draws.
    assert!(seconds.abs_diff(2000) < 200, "{seconds}");
    // Who always has the same id is no reason for all to get the same.
    let seconds = (0..=255u8).filter(|last| ask(&format!("10.0.0.{last}"), 0)).count();
    assert!(seconds.abs_diff(64) < 36, "{seconds}");
}

#[test]
fn a_clients_network_stays_in_its_bucket() {
    let among = |weight| {
        let one = |variant, key, weight| Weighted { variant, key, weight };
        Buckets::rendezvous(&[one(0, 100, 10), one(1, 200, weight)]).expect("weights")
    };
    let variants = || vec![vec![a("app.example", 10)], vec![a("app.example", 20)]];
    let table = |weight| {
        let regions = vec![Pick::PerClient(among(weight)); 1];
        steered("app.example", Steering { variants: variants(), clients: None, regions, salt: 5 })
    };
    let get = |table: &Table, network: &str, id| {
        let asked = ask_as(table, "app.example", RrType::A, "192.0.2.1", Some(&subnet(network)), id);
        (asked.data()[0].ends_with(".20"), asked.scope())
    };
    let (before, after) = (table(10), table(11));
    let (mut seconds, mut moved) = (0, 0);
    for i in 0..500 {
        let network = format!("10.{}.{}.0/24", i / 250, i % 250);
        let (second, scope) = get(&before, &network, 1);
        assert_eq!((second, scope), (get(&before, &network, 2).0, 24), "whatever the id");
        let inside = format!("10.{}.{}.128/25", i / 250, i % 250);
        assert_eq!(get(&before, &inside, 1), (second, 24), "one network, one answer");
        let (then, _) = get(&after, &network, 1);
        assert!(then || !second, "nobody moves away from the one that gains");
        seconds += usize::from(second);
        moved += usize::from(then != second);
    }
    assert!(seconds.abs_diff(250) < 60, "{seconds}");
    assert!(moved < 40, "{moved}");
    assert_eq!(get(&before, "2001:db8:1:200::/56", 1).1, 56);
}

#[test]
fn a_choice_is_the_finer_of_region_and_bucket() {
    let buckets = Pick::PerClient(Buckets::share(1, 0, 5000));
    let steering = Steering {
        regions: vec![Pick::One(0), buckets],
        ..by_region([vec![a("app.example", 10)], vec![a("app.example", 20)]])
    };
    let table = steered("app.example", steering);
    let scope = |network: &str| ask(&table, "app.example", RrType::A, "192.0.2.1", network).scope();
    assert_eq!([scope("10.1.2.0/24"), scope("192.0.2.0/24"), scope("2001:db8::/56")], [24, 1, 56]);
}

#[test]
fn what_it_tells_is_what_it_answers() {
    let table = steered("app.example", by_region([vec![a("app.example", 10)], vec![a("app.example", 20)]]));
    let choice = |ip: &str| table.choice_for(&name("app.example"), ip.parse().unwrap());
    let want = |region, variant, scope, last| {
        Some(ChoiceFor { region, variant: Some(variant), scope, rrsets: vec![a("app.example", last)] })
    };
    assert_eq!(choice("10.1.2.3"), want(1, 1, 13, 20));
    assert_eq!(choice("192.0.2.1"), want(0, 0, 1, 10));
    assert_eq!(table.choice_for(&name("ns.example"), [10, 0, 0, 1].into()), None);
    // What transfers carry is the plain content.
    assert_eq!(table.rrsets_at(&name("app.example")), [RrSet { ttl: 300, ..a("app.example", 1) }]);
}

#[test]
fn steering_ends_where_a_changeset_says_so() {
    let variants = [vec![a("app.example", 10)], vec![a("app.example", 20)]];
    let mut table = steered("app.example", by_region(variants));
    let get = |table: &Table| ask(table, "app.example", RrType::A, "192.0.2.1", "10.1.2.0/24").data();
    let soa = table.soa(&name("example")).expect("the zone");
    table.apply(&Changeset::new(&soa, Serial(2), Serial(3), &[], &[])).expect("applied");
    assert_eq!(get(&table), ["app.example. 192.0.2.20"], "it says nothing of it");
    table.apply(&changeset(&table, vec![(name("app.example"), None)])).expect("applied");
    assert_eq!(get(&table), ["app.example. 192.0.2.1"]);
}

/// Nothing of a changeset that does not fit is applied.
#[test]
fn what_does_not_fit_is_refused() {
    let check = |owner: &str, change: fn(&mut Steering), want: &str| {
        let mut table = table();
        let mut steering = by_region([vec![a(owner, 10)], vec![a(owner, 20)]]);
        change(&mut steering);
        let changes = changeset(&table, vec![(name(owner), Some(steering))]);
        let error = table.apply(&changes).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
        assert_eq!(table.choice_for(&name(owner), [10, 0, 0, 1].into()), None);
    };
    check("ns.other", |_| {}, "ns.other. does not lie in zone example.");
    check("app.example", |s| s.variants.clear(), "app.example.: 0 variants");
    check(
        "app.example",
        |s| s.clients = Some(ClientsId("gone".into())),
        "map gone, which this table does not",
    );
    check("app.example", |s| s.regions.truncate(1), "picks for 1 regions, but its clients' map has 2");
}
