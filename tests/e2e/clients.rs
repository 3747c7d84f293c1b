//! The same question from clients in several networks, put to the daemon with `dig +subnet`: who is near which
//! site, by named networks and by a database that is replaced under way; and whom a failback in steps moves.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::PoisonError;

use crate::dig::dig_for;
use crate::harness::{APP, Detour, MACHINE, Setup, World, config, own_address, until, zone};
use crate::mmdb::{Value, database};
use crate::recordings::{decided, replayed};
use crate::site::{Site, sites};

const FAST: Setup = Setup {
    interval: "500ms",
    timeout: "400ms",
    failback: "{ mode = \"auto\", hold = \"1s\" }",
    all_down: "\"keep\"",
    ttl: "\"30s\"",
    service: "policy = \"geo\"\ngeo = \"world\"",
};

/// Networks of clients, as far as the daemon tells them apart.
const FRANKFURT: &str = "10.1.7.0/24";
const VIRGINIA: &str = "10.2.7.0/24";
const ELSEWHERE: &str = "192.0.2.0/24";

/// A daemon with sites `fra` and `iad`, and a map of clients as it stands in the configuration.
fn start(map: &str, databases: &[(&str, &[u8])]) -> (Site, Site, Detour) {
    let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
    let text = config(&FAST, fra.port, &fra.addresses, &iad.addresses)
        .replace("[[zone]]", &format!("{map}\n[[zone]]"));
    let text = text.replace("[sites.fra]", "[sites.fra]\nlocation = [50.11, 8.68]");
    let text = text.replace("[sites.iad]", "[sites.iad]\nlocation = [38.94, -77.46]");
    let zone = zone(1, "");
    let files = [&[("example.com.zone", zone.as_bytes())], databases].concat();
    let mut detour = Detour::spawn_beside(&text, &files);
    detour.await_listening();
    (fra, iad, detour)
}

/// Waits until clients of a network are answered from this site, and for so much of their addresses.
fn settles(detour: &Detour, network: &str, site: &Site, scope: u8) {
    let address = site.addresses[0].to_string();
    let mut last = None;
    until(&format!("{network} is answered {address} for /{scope}"), || {
        let got = dig_for(detour.dns, APP, "A", network);
        let fits = got.data == [address.as_str()] && got.scope == Some(scope);
        last = Some(got);
        fits.then_some(())
    });
}

#[test]
fn each_network_gets_the_site_near_it_and_the_next_when_that_dies() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let map = "[geo.world]\ndefault = [\"iad\"]\nrules = [\n  \
               { networks = [\"10.1.0.0/16\", \"2001:db8:1::/48\"], prefer = [\"fra\"] },\n  \
               { networks = [\"10.2.0.0/16\"], prefer = [\"iad\", \"fra\"] },\n]";
    let (mut fra, iad, detour) = start(map, &[]);
    settles(&detour, FRANKFURT, &fra, 16);
    settles(&detour, "2001:db8:1:700::/56", &fra, 48);
    settles(&detour, VIRGINIA, &iad, 15);
    settles(&detour, ELSEWHERE, &iad, 1);

    fra.kill();
    settles(&detour, FRANKFURT, &iad, 0);
    settles(&detour, "2001:db8:1:700::/56", &iad, 0);
    settles(&detour, VIRGINIA, &iad, 0);
    fra.revive();
    settles(&detour, FRANKFURT, &fra, 16);
    settles(&detour, VIRGINIA, &iad, 15);

    // The recording knows which sites each region prefers: it replays to what was decided.
    until("the recording holds every decision", || {
        let (was, is) = (decided(&detour), replayed(&detour));
        assert!(was.iter().any(|decision| decision.contains("near")), "{was:#?}");
        (was == is).then_some(())
    });

    // What one client is answered, in words.
    let told = detour.told(&["explain", APP, "--from", "10.1.7.9"]);
    assert!(told.contains(&fra.addresses[0].to_string()) && told.contains("/16"), "{told}");
}

fn country(code: &str) -> Value<'_> {
    Value::Map(vec![("country", Value::Map(vec![("iso_code", Value::Text(code))]))])
}

/// A database in which Frankfurt's network and Virginia's are in these countries.
fn countries(frankfurt: &str, virginia: &str) -> Vec<u8> {
    let networks = [(FRANKFURT.parse().unwrap(), 0), (VIRGINIA.parse().unwrap(), 1)];
    database(&[country(frankfurt), country(virginia)], &networks)
}

#[test]
fn a_database_that_is_replaced_is_taken_up() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let map = "[geo.world]\ndatabases = [\"places.mmdb\"]\ndefault = [\"iad\"]\nrules = [\n  \
               { country = \"DE\", prefer = [\"fra\"] },\n  { country = \"US\", prefer = [\"iad\"] },\n]";
    let (fra, iad, detour) = start(map, &[("places.mmdb", &countries("DE", "US"))]);
    settles(&detour, FRANKFURT, &fra, 24);
    // The default's list is the same as Virginia's: the two are one region, as far as Frankfurt is not.
    let there = dig_for(detour.dns, APP, "A", VIRGINIA);
    assert_eq!(there.data, [iad.addresses[0].to_string()]);

    // They trade places, and nobody tells the daemon.
    detour.replace("places.mmdb", &countries("US", "DE"));
    settles(&detour, VIRGINIA, &fra, 24);
    let there = dig_for(detour.dns, APP, "A", FRANKFURT);
    assert_eq!(there.data, [iad.addresses[0].to_string()]);

    // Half a file is not taken up, and said to be so.
    let whole = countries("DE", "DE");
    detour.replace("places.mmdb", &whole[..whole.len() / 2]);
    until("the broken database is told of", || {
        let load = detour.json("/v1/status")["last_load"].clone();
        (load["ok"] == false && load["problems"].as_str()?.contains("database 1")).then_some(())
    });
    settles(&detour, VIRGINIA, &fra, 24);
}

/// The networks among sixty whose clients are answered from this address.
fn answered_from(detour: &Detour, address: &IpAddr) -> BTreeSet<usize> {
    let network = |i: &usize| dig_for(detour.dns, APP, "A", &format!("20.0.{i}.0/24"));
    (0..60).filter(|i| network(i).data == [address.to_string()]).collect()
}

#[test]
fn a_failback_in_steps_moves_the_share_it_says_as_clients_see_it() {
    let failback = "{ mode = \"auto\", hold = \"1s\", steps = [10, 100], step_hold = \"1h\" }";
    let mut world = World::start(&Setup { failback, ..Setup::default() });
    world.settles_on_fra();
    world.fra.kill();
    world.settles_on_iad();
    let home = world.fra.addresses[0];
    assert_eq!(answered_from(&world.detour, &home).len(), 0);
    world.fra.revive();
    let percent = |wanted: u64| {
        until(&format!("{wanted} percent have moved"), || {
            let service = world.detour.json(&format!("/v1/services/{APP}"));
            (service["decision"]["partial"]["percent"] == wanted).then_some(())
        });
    };
    percent(10);
    let first = answered_from(&world.detour, &home);
    // Sixty lots: so many, give or take three times what they scatter by.
    assert!((1..=14).contains(&first.len()), "{first:?}");
    // Half of them now, says the operator, and need not wait for the hour to be over.
    world.detour.edit_config("steps = [10, 100]", "steps = [50, 100]");
    world.detour.told(&["reload"]);
    percent(50);
    let second = answered_from(&world.detour, &home);
    assert!((18..=42).contains(&second.len()), "{second:?}");
    assert!(second.is_superset(&first), "who has moved stays: {first:?} {second:?}");
    // It fails again, and everybody is where they were.
    world.fra.kill();
    until("all are back", || answered_from(&world.detour, &home).is_empty().then_some(()));
    world.fra.revive();
    percent(50);
    assert_eq!(answered_from(&world.detour, &home), second, "the same clients go first");
}
