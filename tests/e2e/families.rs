//! Dual stack: one address family of a site dies, and what `dig` then gets of both, under each policy. In network
//! namespaces of their own, where sites have IPv6 addresses.

use std::net::IpAddr;

use crate::dig::dig;
use crate::harness::{APP, Detour, Setup, config, until, zone};
use crate::namespace::inside;
use crate::site::{Site, start_all};

/// Two sites' addresses of IPv6; those of IPv4 are all there.
const ADDRESSES: &str = "ip link set lo up && ip addr add fd00::1/128 dev lo nodad && \
                         ip addr add fd00::2/128 dev lo nodad && exec \"$@\"";
const FRA: [&str; 2] = ["127.0.50.1", "fd00::1"];
const IAD: [&str; 2] = ["127.0.50.2", "fd00::2"];
/// How many answers are looked at, where each query may draw another one.
const DRAWS: usize = 20;

/// The families of both sites, each with a process of its own to kill, and the daemon.
struct World {
    fra_v4: Site,
    fra_v6: Site,
    _iad: [Site; 2],
    detour: Detour,
}

impl World {
    fn start(service: &'static str, more: &str) -> World {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        let lists: Vec<Vec<IpAddr>> = FRA.iter().chain(&IAD).map(|text| vec![address(text)]).collect();
        let mut sites = start_all(&lists);
        let iad = [sites.remove(2), sites.remove(2)];
        let (fra_v6, fra_v4) = (sites.remove(1), sites.remove(0));
        let setup = Setup { interval: "300ms", timeout: "250ms", service, ..Setup::default() };
        let config = config(&setup, fra_v4.port, &FRA.map(address), &IAD.map(address));
        let detour = Detour::start(&(config + more), &zone(1, ""));
        World { fra_v4, fra_v6, _iad: iad, detour }
    }

    /// What some queries in a row are answered.
    fn answers(&self, rtype: &str) -> Vec<Vec<String>> {
        let one = |_| dig(self.detour.dns, APP, rtype).data().into_iter().map(str::to_owned).collect();
        (0..DRAWS).map(one).collect()
    }

    /// Waits until every query for either family is answered, with these addresses and no others.
    fn settles_on(&self, what: &str, v4: &[&str], v6: &[&str]) {
        until(what, || {
            let fits = |rtype: &str, among: &[&str]| {
                let fits = |one: &Vec<String>| !one.is_empty() && one.iter().all(|it| among.contains(&&**it));
                self.answers(rtype).iter().all(fits)
            };
            (fits("A", v4) && fits("AAAA", v6)).then_some(())
        });
    }
}

fn one_family_of_the_preferred_site_dies(service: &'static str, more: &str) {
    let mut world = World::start(service, more);
    world.settles_on(service, &[FRA[0], IAD[0]], &[FRA[1], IAD[1]]);
    world.fra_v4.kill();
    world.settles_on(&format!("{service}: A from iad"), &[IAD[0]], &[FRA[1], IAD[1]]);
    world.fra_v4.revive();
    until(&format!("{service}: IPv4 of fra is answered again"), || {
        world.answers("A").iter().flatten().any(|address| address == FRA[0]).then_some(())
    });
    world.fra_v6.kill();
    world.settles_on(&format!("{service}: AAAA from iad"), &[FRA[0], IAD[0]], &[IAD[1]]);
}

#[test]
fn with_one_family_dead_both_are_answered_under_each_policy() {
    if !inside("families::with_one_family_dead_both_are_answered_under_each_policy", ADDRESSES) {
        return;
    }
    one_family_of_the_preferred_site_dies("policy = \"failover\"", "");
    one_family_of_the_preferred_site_dies("policy = \"weighted\"", "");
    one_family_of_the_preferred_site_dies("policy = \"weighted\"\nsticky = true", "");
    one_family_of_the_preferred_site_dies("policy = \"all\"", "");
    one_family_of_the_preferred_site_dies("policy = \"all\"\nmax_answers = 1\npick = \"rotate\"", "");
    let geo = "[geo.world]\ndefault = [\"fra\", \"iad\"]\n";
    one_family_of_the_preferred_site_dies("policy = \"geo\"\ngeo = \"world\"", geo);
}

#[test]
fn a_family_that_moved_is_told_and_outlives_the_daemon() {
    if !inside("families::a_family_that_moved_is_told_and_outlives_the_daemon", ADDRESSES) {
        return;
    }
    let mut world = World::start("", "");
    world.settles_on("both from fra", &[FRA[0]], &[FRA[1]]);
    world.fra_v6.kill();
    world.settles_on("AAAA from iad", &[FRA[0]], &[IAD[1]]);

    let explained = world.detour.told(&["explain", APP]);
    assert!(explained.contains("AAAA from iad: fra Down: 3 of 3 failed, connection refused"), "{explained}");
    let status = world.detour.json("/v1/status");
    let part = &status["engine"]["services"][0]["decision"]["families"][0];
    assert_eq!((&part["family"], &part["sites"][0]), (&"AAAA".into(), &"iad".into()), "{status:#}");
    let incident = until("it is an incident", || {
        let page = world.detour.json("/v1/incidents");
        Some(page["incidents"][0].clone()).filter(|incident| incident["moves_total"] == 1)
    });
    assert_eq!(incident["moves"][0]["families"], "AAAA from iad", "{incident:#}");
    assert_eq!(incident["moves"][0]["way"], "away");
    let summary = incident["summary"].as_str().unwrap();
    assert!(summary.contains("answered AAAA from iad within"), "{summary}");

    // In the middle of it the daemon is killed.
    world.detour.kill();
    world.detour.start_again();
    world.settles_on("AAAA from iad, as before", &[FRA[0]], &[IAD[1]]);
    world.fra_v6.revive();
    world.settles_on("all is back", &[FRA[0]], &[FRA[1]]);
    until("it is over", || {
        let incident = world.detour.json("/v1/incidents")["incidents"][0].clone();
        (incident["waiting"].as_array().is_some_and(Vec::is_empty)).then_some(())
    });
}
