//! New configuration and new zones under a running daemon: all or nothing, and no query lost.

use crate::harness::{APP, Detour, Setup, World, until, zone};

fn metric(detour: &Detour, name: &str) -> String {
    let (status, text) = detour.get("/metrics");
    assert_eq!(status, 200);
    let line = text.lines().find(|line| line.split([' ', '{']).next() == Some(name));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}")).rsplit(' ').next().unwrap().to_owned()
}

fn has_txt(detour: &Detour, text: &str) -> bool {
    detour.ask("note.example.com", "TXT").data() == [text]
}

#[test]
fn in_an_outage() {
    let mut world = World::start(&Setup::default());
    world.settles_on_fra();
    world.fra.kill();
    world.settles_on_iad();
    let serial = world.detour.serial();

    world.detour.edit_config("ttl = \"30s\"", "ttl = \"20s\"");
    world.detour.write_zone(&zone(2, "note TXT reloaded"));
    world.detour.told(&["reload"]);
    let answer = world.settles_on_iad();
    assert_eq!(answer.ttl(), Some(20), "the new configuration rules at once");
    assert!(has_txt(&world.detour, "reloaded"));
    assert!(world.detour.serial() > serial);

    world.fra.revive();
    assert_eq!(world.settles_on_fra().ttl(), Some(20));
}

#[test]
fn a_bad_one_changes_nothing_and_is_told_everywhere() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    assert_eq!(metric(&world.detour, "detour_last_load_ok"), "1");

    world.detour.edit_config("probes = [\"web\"]", "probes = [\"wbe\"]");
    world.detour.write_zone("@ SOA broken");
    let ran = world.detour.cli(&["reload"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert!(told.contains("detour.toml:") && told.contains("wbe"), "{told}");

    world.settles_on_fra();
    assert_eq!(world.detour.ask("www.example.com", "A").data(), ["192.0.2.80"]);
    let load = world.detour.json("/v1/status")["last_load"].clone();
    assert_eq!(load["ok"], false);
    assert!(load["problems"].as_str().unwrap().contains("wbe"), "{load}");
    assert_eq!(metric(&world.detour, "detour_last_load_ok"), "0");
    assert!(world.detour.log().contains("wbe"));
    assert!(world.detour.told(&["status"]).contains("wbe"));

    world.detour.edit_config("wbe", "web");
    world.detour.write_zone(&zone(2, ""));
    world.detour.told(&["reload"]);
    assert_eq!(metric(&world.detour, "detour_last_load_ok"), "1");
    world.settles_on_fra();
}

#[test]
fn a_changed_file_is_taken_up_by_itself() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.write_zone(&zone(2, "note TXT watched"));
    until("the zone file is taken up", || has_txt(&world.detour, "watched").then_some(()));
    world.detour.edit_config("ttl = \"30s\"", "ttl = \"20s\"");
    until("the configuration is taken up", || (world.settles_on_fra().ttl() == Some(20)).then_some(()));
}

#[test]
fn by_signal() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    world.detour.write_zone(&zone(2, "note TXT signalled"));
    world.detour.signal("HUP");
    until("SIGHUP reloads", || has_txt(&world.detour, "signalled").then_some(()));
}

#[test]
fn a_removed_service_gives_its_name_back_to_the_file() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let serial = world.detour.serial();
    world.detour.edit_config("name = \"app.example.com\"", "name = \"shop.example.com\"");
    world.detour.write_zone(&zone(2, "app A 192.0.2.10"));
    world.detour.told(&["reload"]);
    assert_eq!(world.detour.ask(APP, "A").data(), ["192.0.2.10"]);
    assert!(world.detour.serial() > serial);
    until("the new service is decided", || {
        let answer = world.detour.ask("shop.example.com", "A");
        (answer.data() == [world.fra.addresses[0].to_string()]).then_some(())
    });
}
