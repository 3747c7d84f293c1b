//! Wishes and databases in, sorted clients out.

use super::mmdb::{Value, database};
use super::*;

const FRA: u8 = 0;
const IAD: u8 = 1;
const SYD: u8 = 2;
const PLACES: [Option<[f64; 2]>; 3] = [Some([50.11, 8.68]), Some([38.94, -77.46]), Some([-33.87, 151.21])];

fn net(text: &str) -> Network {
    text.parse().expect("a network")
}

fn plan() -> Plan {
    Plan { sites: PLACES.into(), ..Plan::default() }
}

fn city<'v>(continent: &'v str, country: &'v str, at: Option<[f64; 2]>) -> Value<'v> {
    let mut entries = vec![
        ("continent", Value::Map(vec![("code", Value::Text(continent))])),
        ("country", Value::Map(vec![("iso_code", Value::Text(country))])),
    ];
    if let Some([latitude, longitude]) = at {
        let place = vec![("latitude", Value::Double(latitude)), ("longitude", Value::Double(longitude))];
        entries.push(("location", Value::Map(place)));
    }
    Value::Map(entries)
}

/// Madrid, Toronto, Auckland, somewhere in Brazil.
fn cities() -> Vec<u8> {
    let records = [
        city("EU", "ES", Some([40.42, -3.70])),
        city("NA", "CA", Some([43.65, -79.38])),
        city("OC", "NZ", Some([-36.85, 174.76])),
        city("SA", "BR", None),
    ];
    let networks = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:2::/48", "192.0.2.0/24", "192.0.3.0/25"];
    let networks: Vec<(Network, usize)> =
        networks.iter().zip([0, 1, 2, 3, 0]).map(|(network, record)| (net(network), record)).collect();
    database(&records, &networks)
}

fn order(regions: &Regions, ip: &str) -> Vec<u8> {
    let found = regions.map.find(ip.parse().expect("an address"));
    regions.orders[usize::from(found.region)].clone()
}

#[test]
fn the_nearest_site_comes_first() {
    let regions = regions(&plan(), &[&cities()]).expect("sorted");
    assert_eq!(order(&regions, "198.51.100.7"), [FRA, IAD, SYD]);
    assert_eq!(order(&regions, "203.0.113.7"), [IAD, FRA, SYD]);
    assert_eq!(order(&regions, "2001:db8:2::7"), [SYD, IAD, FRA]);
    assert_eq!(order(&regions, "192.0.2.7"), [FRA, IAD, SYD], "nobody knows where it is");
    assert_eq!(order(&regions, "10.0.0.1"), [FRA, IAD, SYD], "in no database");
    assert_eq!(regions.orders.len(), 3, "as many as lists, not as networks");
    assert_eq!(regions.map.find([203, 0, 113, 7].into()).prefix, 24);
}

#[test]
fn a_rule_comes_before_nearness_and_a_name_before_all() {
    let rule = |of, sites: &[u8]| Rule { of, sites: sites.into() };
    let plan = Plan {
        default: vec![IAD],
        networks: vec![(net("198.51.100.128/25"), vec![SYD, IAD]), (net("10.0.0.0/8"), vec![SYD])],
        rules: vec![
            rule(Of::Country("br".into()), &[IAD]),
            rule(Of::Continent("SA".into()), &[SYD]),
            rule(Of::Continent("EU".into()), &[SYD]),
            rule(Of::Asn(64_500), &[FRA]),
        ],
        ..plan()
    };
    let asns = database(
        &[Value::Map(vec![("autonomous_system_number", Value::Number(64_500))])],
        &[(net("203.0.113.0/25"), 0)],
    );
    let regions = regions(&plan, &[&cities(), &asns]).expect("sorted");
    assert_eq!(order(&regions, "192.0.2.7"), [IAD, FRA, SYD], "the first rule that fits");
    assert_eq!(order(&regions, "198.51.100.7"), [SYD, FRA, IAD], "after the rule the nearest");
    assert_eq!(order(&regions, "198.51.100.200"), [SYD, IAD, FRA], "named");
    assert_eq!(order(&regions, "10.1.1.1"), [SYD, IAD, FRA], "named, in no database");
    assert_eq!(order(&regions, "203.0.113.1"), [FRA, IAD, SYD], "the later database");
    assert_eq!(order(&regions, "203.0.113.200"), [IAD, FRA, SYD], "where it says nothing, the earlier");
    assert_eq!(order(&regions, "172.16.0.1"), [IAD, FRA, SYD], "the default");
}

#[test]
fn an_id_stands_for_lists_not_for_networks() {
    let id = |plan: &Plan, databases: &[&[u8]]| regions(plan, databases).expect("sorted").id();
    let named = |network, sites: &[u8]| Plan { networks: vec![(net(network), sites.into())], ..plan() };
    assert_eq!(id(&named("10.0.0.0/8", &[IAD]), &[]), id(&named("10.0.0.0/9", &[IAD]), &[]));
    assert_ne!(id(&named("10.0.0.0/8", &[IAD]), &[]), id(&named("10.0.0.0/8", &[SYD]), &[]));
    assert_ne!(id(&named("10.0.0.0/8", &[IAD]), &[]), id(&plan(), &[]));
}

#[test]
fn what_cannot_be_sorted_says_why() {
    let check = |plan: &Plan, databases: &[&[u8]], want: &str| {
        let error = regions(plan, databases).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    };
    check(&plan(), &[&cities(), b"no database"], "database 2: ");
    let whole = cities();
    check(&plan(), &[&whole[..whole.len() - 20]], "database 1: ");
    check(&Plan { default: vec![3], ..plan() }, &[], "site number 3 of 3");
    check(&Plan { sites: vec![None; 257], ..plan() }, &[], "at most 256");
}

/// Eight sites have 40,320 orders; those that matter least are given up.
#[test]
fn more_orders_than_regions_keep_their_first_sites() {
    let eight = Plan { sites: vec![None; 8], ..Plan::default() };
    let mut orders = Orders::new(&eight);
    let mut firsts = vec![0];
    for a in 0..8 {
        for b in 0..8 {
            for c in 0..8 {
                for d in 0..8 {
                    let list = [a, b, c, d];
                    let number = orders.of(&list, None) as usize;
                    firsts.resize(firsts.len().max(number + 1), a);
                }
            }
        }
    }
    assert!(firsts.len() > 1024, "{}", firsts.len());
    let (places, lists) = orders.finish();
    assert_eq!((places.len(), lists.len()), (firsts.len(), 8 * 7 * 6));
    for (first, place) in firsts.iter().zip(places) {
        assert_eq!(lists[usize::from(place)][0], *first);
        assert_eq!(lists[usize::from(place)].len(), 8);
    }
}

/// As large as those that are sold: every network once, from many records.
#[test]
fn a_hundred_thousand_networks_are_sorted() {
    let places: Vec<[f64; 2]> =
        (0..1000).map(|i| [f64::from(i % 170) - 85.0, f64::from(i * 7 % 350) - 175.0]).collect();
    let records: Vec<Value<'_>> = places.iter().map(|&place| city("XX", "XX", Some(place))).collect();
    let network =
        |i: usize| Network::of(std::net::Ipv4Addr::from_bits(0x0b00_0000 + (i << 8) as u32).into(), 24);
    let networks: Vec<(Network, usize)> = (0..100_000).map(|i| (network(i), i * 31 % 1000)).collect();
    let bytes = database(&records, &networks);
    let regions = regions(&plan(), &[&bytes]).expect("sorted");
    for &(network, record) in &networks {
        let found = regions.map.find(network.ip());
        let nearest = regions.orders[usize::from(found.region)][0];
        let km = |site: u8| PLACES[usize::from(site)].map(|at| distance::distance_km(places[record], at));
        assert_eq!((0..3).min_by_key(|&site| km(site)), Some(nearest), "{network}");
    }
    assert!(regions.map.size() < 4 << 20, "{}", regions.map.size());
}
