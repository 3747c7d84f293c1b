//! A served zone by its own commands: as it is, its serials, how they differ, and the way back.

use std::process::{Command, Stdio};

use detour::dns::Name;
use detour::zone::parse;

use crate::dig::dig;
use crate::harness::{APP, Setup, World, until, zone};

/// A world whose zone takes updates from this host.
fn start() -> World {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let rule = "file = \"example.com.zone\"\nupdate = [{ from = \"127.0.0.0/8\" }]";
    world.detour.edit_config("file = \"example.com.zone\"", rule);
    world.detour.told(&["reload"]);
    // A port that stays over restarts.
    let listen = format!("listen = [\"{}\"]", world.detour.dns);
    world.detour.edit_config("listen = [\"127.0.0.1:0\"]", &listen);
    world
}

impl World {
    fn update(&self, script: &str) {
        use std::io::Write as _;
        let mut client = Command::new("nsupdate").stdin(Stdio::piped()).spawn().expect("./test installs it");
        let (ip, port) = (self.detour.dns.ip(), self.detour.dns.port());
        let script = format!("server {ip} {port}\nzone example.com\n{script}\nsend\n");
        client.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(client.wait().unwrap().success(), "{script}");
    }

    fn zone(&self, args: &[&str]) -> String {
        self.detour.told(&[&["zone"], args].concat())
    }

    /// The lines of a difference, which there must be.
    fn diff(&self, args: &[&str]) -> Vec<String> {
        let ran = self.detour.cli(&[&["zone", "diff", "--ignore-serial"], args].concat());
        assert_eq!(ran.code, i32::from(!ran.stdout.is_empty()), "{args:?}: {ran:?}");
        ran.stdout.lines().map(str::to_owned).collect()
    }

    fn a(&self, name: &str) -> Vec<String> {
        dig(self.detour.dns, name, "A").data().into_iter().map(str::to_owned).collect()
    }
}

/// Every record of the zone, the SOA and what is steered aside.
fn plain(shown: &str) -> Vec<String> {
    let apex: Name = "example.com".parse().unwrap();
    let read = parse(&apex, "shown", shown.as_bytes(), &mut |_| Err(String::new()));
    let (zone, _) = read.unwrap_or_else(|problems| panic!("{problems:?}\n{shown}"));
    let sets = zone.rrsets().map(|set| set.to_rrset());
    let lines = sets.flat_map(|set| set.to_lines().collect::<Vec<_>>());
    lines.filter(|line| !line.contains(" SOA ") && !line.starts_with(APP)).collect()
}

#[test]
fn a_zone_is_shown_with_what_is_steered_and_edited() {
    let mut world = start();
    let fra = world.fra.addresses[0].to_string();
    let shown = world.zone(&["show", "example.com"]);
    assert!(
        shown.starts_with(&format!("; example.com. serial {}, as it is served\n", world.detour.serial()))
    );
    assert!(shown.contains(&format!("\n{APP}. 30 IN A {fra} ; steered\n")), "{shown}");
    assert!(shown.contains(&format!("\n; {APP}. is steered: decision ")), "{shown}");
    assert_eq!(plain(&shown).len(), 3, "{shown}");

    world.update("add new.example.com 60 TXT \"a;b\"\ndel www.example.com A");
    world.fra.kill();
    let iad = world.settles_on_iad().data()[0].to_owned();
    let shown = world.zone(&["show", "example.com"]);
    assert!(shown.contains("\nnew.example.com. 60 IN TXT \"a;b\" ; edited\n"), "{shown}");
    assert!(shown.contains("\n; taken away by an update: www.example.com. 300 IN A 192.0.2.80\n"), "{shown}");
    let because = shown.lines().find(|line| line.starts_with(&format!("; {APP}. is steered"))).unwrap();
    // The same words as explain's.
    let explained = world.detour.json(&format!("/v1/explain?name={APP}"));
    let reason = explained["because"].as_str().unwrap();
    assert!(because.contains("from iad: ") && because.ends_with(reason), "{because}\n{reason}");
    assert!(shown.contains(&format!("\n{APP}. 30 IN A {iad} ; steered\n")), "{shown}");

    let json: serde_json::Value =
        serde_json::from_str(&world.zone(&["show", "example.com", "--json"])).unwrap();
    let records = json["records"].as_array().unwrap();
    let new = records.iter().find(|set| set["name"] == "new.example.com.").unwrap();
    assert_eq!((&new["edited"][0], &new["data"][0]), (&"\"a;b\"".into(), &"\"a;b\"".into()));
    assert_eq!(json["serial"], world.detour.serial());
    let none = world.detour.cli(&["zone", "show", "example.net"]);
    assert!(
        none.code == 1 && none.stderr.contains("there is no zone example.net. that is served"),
        "{none:?}"
    );
    // What is shown is a zone file, and as the zone file it would be the same but for its serial.
    let file = world.detour.config_path().with_file_name("shown.zone");
    world.detour.write_file("shown.zone", &shown);
    assert_eq!(world.diff(&["example.com", file.to_str().unwrap()]), [""; 0]);
}

#[test]
fn each_serial_tells_what_led_to_it() {
    let mut world = start();
    let first = world.detour.serial();
    world.update("add new.example.com 60 TXT x\nadd new.example.com 60 TXT y");
    world.fra.kill();
    world.settles_on_iad();
    world.detour.write_zone(&zone(1, "more A 192.0.2.100"));
    world.detour.told(&["reload"]);
    let last = world.detour.serial();

    let history = world.zone(&["history", "example.com"]);
    let told =
        |line: &str| history.lines().skip_while(|one| !one.ends_with(line)).nth(1).unwrap_or("").to_owned();
    let step = |from: u32| format!("{from} -> {}", from + 1);
    let update = told(&format!("{}  -0 +2  update", step(first)));
    assert!(update.starts_with("    update of example.com. by 127.0.0.1: + new.example.com."), "{history}");
    // A failing site may have been Suspect for a while, under a shorter TTL.
    let lines: Vec<&str> = history.lines().filter(|line| !line.starts_with(' ')).collect();
    let decided = lines.iter().find(|line| line.ends_with("  -1 +1  decision")).expect("a decision's serial");
    assert!(told(decided).starts_with("    decision "), "{history}");
    assert!(history.contains(&format!(": {APP}. from iad, TTL 30: ")), "{history}");
    assert!(history.contains(&format!("{}  -0 +1  load\n", step(last - 1))), "{history}");
    assert!(
        history.contains(&format!("to {last}: detour zone history example.com --serial {last}")),
        "{history}"
    );

    // One of them alone, and how two differ, both ways.
    let one = world.zone(&["history", "example.com", "--serial", &(first + 1).to_string()]);
    assert_eq!(one.lines().filter(|line| line.contains(" TXT ")).count(), 2, "{one}");
    assert!(one.contains(" SOA "), "{one}");
    let (a, b) = ((first + 1).to_string(), last.to_string());
    let there = world.diff(&["example.com", &a, &b]);
    let back = world.diff(&["example.com", &b, &a]);
    assert_eq!(there.len(), 3, "{there:?}");
    assert!(there.contains(&"+ more.example.com. 300 IN A 192.0.2.100".to_owned()), "{there:?}");
    assert!(back.contains(&"- more.example.com. 300 IN A 192.0.2.100".to_owned()), "{back:?}");
    assert_eq!(world.diff(&["example.com", &b]), [""; 0], "against itself");
    assert_eq!(world.diff(&["example.com", &a]), there, "against what is served");
    let none = world.detour.cli(&["zone", "diff", "example.com", "7000"]);
    assert!(none.code == 1 && none.stderr.contains("serial 7000 is not in the journal"), "{none:?}");

    // A file against what is served: the update and the decision are what differ.
    let file = world.detour.config_path().with_file_name("example.com.zone");
    let differs = world.diff(&["example.com", file.to_str().unwrap()]);
    assert!(
        differs.iter().any(|line| line.starts_with(&format!("- {APP}. ")) && line.ends_with(" ; steered"))
    );
    assert!(differs.contains(&"- new.example.com. 60 IN TXT \"x\"".to_owned()), "{differs:?}");
    assert_eq!(differs.len(), 3, "{differs:?}");
}

#[test]
fn a_zone_goes_back_and_what_is_steered_does_not() {
    let mut world = start();
    let before = world.detour.serial();
    let plain_before = plain(&world.zone(&["show", "example.com"]));
    world.detour.write_zone(
        &zone(1, "more A 192.0.2.100").replace("192.0.2.80", "192.0.2.81").replace("600 ", "700 "),
    );
    world.detour.told(&["reload"]);
    world.update("add new.example.com 60 TXT x\ndel ns1.example.com A\nadd ns1.example.com 90 A 127.0.0.1");
    world.fra.kill();
    let iad = world.settles_on_iad().data()[0].to_owned();
    let worse = world.detour.serial();

    let back = |to: u32| {
        ["zone", "rollback", "example.com", &to.to_string(), "--reason", "wrong hosts"].map(str::to_owned)
    };
    let run = |world: &World, to: u32| {
        let args = back(to);
        world.detour.cli(&args.each_ref().map(String::as_str))
    };
    let ran = run(&world, before);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("steered, left to decisions: app.example.com\n"), "{ran:?}");
    let after = world.detour.serial();
    assert!(after > worse && ran.stdout.contains(&format!("now serial {after}; ")), "{ran:?}");
    let holds = |world: &World| {
        let shown = world.zone(&["show", "example.com"]);
        assert_eq!(plain(&shown), plain_before, "{shown}");
        assert_eq!(world.a("www.example.com"), ["192.0.2.80"]);
        assert!(dig(world.detour.dns, "example.com", "SOA").records[0].data.contains(" 600 "), "{shown}");
        assert_eq!(world.detour.ask(APP, "A").data(), [&iad], "{shown}");
    };
    holds(&world);
    let history = world.zone(&["history", "example.com"]);
    assert!(history.contains("  rollback\n    rolled back example.com. to serial "), "{history}");
    assert!(history.contains(": wrong hosts; left to decisions: app.example.com."), "{history}");

    // Over restarts; and into the file, after which there is nothing left to put back.
    world.detour.kill();
    world.detour.start_again();
    until("the daemon answers as before", || (world.a("www.example.com") == ["192.0.2.80"]).then_some(()));
    holds(&world);
    world.zone(&["freeze", "example.com"]);
    holds(&world);
    assert_eq!(world.detour.cli(&["zone", "diff", "example.com"]).code, 0);
    let again = run(&world, before);
    assert!(again.code == 1 && again.stderr.contains("holds what it held at serial"), "{again:?}");
    // The way back has a way back.
    assert_eq!(run(&world, worse).code, 0);
    assert_eq!(world.a("www.example.com"), ["192.0.2.81"]);
    assert_eq!(world.a("more.example.com"), ["192.0.2.100"]);
}

#[test]
fn a_rollback_that_cannot_be_changes_nothing() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let serial = world.detour.serial();
    let refused = |to: u32, zone: &str, why: &str| {
        let ran = world.detour.cli(&["zone", "rollback", zone, &to.to_string(), "--reason", "no"]);
        assert!(ran.code == 1 && ran.stderr.contains(why), "{ran:?}");
        assert_eq!(world.detour.serial(), serial.max(world.detour.serial()));
    };
    refused(world.detour.serial(), "example.com", "is the serial of example.com. now");
    refused(7000, "example.com", "serial 7000 is not");
    refused(7000, "example.net", "there is no zone example.net.");
    assert_eq!(world.detour.cli(&["zone", "rollback", "example.com", "1"]).code, 2, "a reason must be given");

    // Where nothing took updates: the files are read for it, and one that is broken stands in the way.
    world.detour.edit_config("[server]", "[server]\nreload = \"manual\"");
    let before = world.detour.serial();
    world.detour.write_zone(&zone(1, "").replace("192.0.2.80", "192.0.2.81"));
    world.detour.told(&["reload"]);
    assert_eq!(world.a("www.example.com"), ["192.0.2.81"]);
    world.detour.write_zone("nonsense\n");
    refused(before, "example.com", "the zone files have to be read for this, and cannot be loaded");
    assert_eq!(world.a("www.example.com"), ["192.0.2.81"]);
    // A refused rollback loads nothing that waits in the files, sound as it may be.
    world.detour.write_zone(&zone(1, "").replace("192.0.2.80", "192.0.2.82"));
    refused(before, "example.com", "is not as it was loaded; run `detour reload`");
    world.detour.write_zone(&zone(1, "").replace("192.0.2.80", "192.0.2.81"));
    world.detour.edit_config("ttl = \"30s\"", "ttl = \"20s\"");
    refused(world.detour.serial(), "example.com", "is the serial of example.com. now");
    assert_eq!(world.settles_on_fra().ttl(), Some(30), "the configuration was not loaded");
    assert_eq!(world.a("www.example.com"), ["192.0.2.81"]);
    let args = ["zone", "rollback", "example.com", &before.to_string(), "--reason", "typo"];
    world.detour.told(&args);
    assert_eq!(world.a("www.example.com"), ["192.0.2.80"]);
    assert_eq!(world.settles_on_fra().ttl(), Some(30), "the configuration was not loaded");
}

#[test]
fn serials_are_of_the_style_that_is_asked_for() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let today = || {
        let now = Command::new("date").args(["-u", "+%Y%m%d00 %s"]).output().unwrap();
        let text = String::from_utf8(now.stdout).unwrap();
        let mut words = text.split_whitespace().map(|word| word.parse::<u32>().unwrap());
        (words.next().unwrap(), words.next().unwrap())
    };
    let (plain, file) = ("file = \"example.com.zone\"", "file = \"example.com.zone\"\nserial = ");
    let before = today();
    world.detour.edit_config(plain, &format!("{file}\"unix\""));
    world.detour.write_zone(&zone(1, "one TXT 1"));
    world.detour.told(&["reload"]);
    let serial = world.detour.serial();
    assert!((before.1..=today().1).contains(&serial), "{serial}");
    world.detour.edit_config("\"unix\"", "\"date\"");
    world.detour.write_zone(&zone(1, "one TXT 2"));
    world.detour.told(&["reload"]);
    let serial = world.detour.serial();
    assert!(serial >= before.0 && serial <= today().0 + 99, "{serial}");
    world.detour.write_zone(&zone(1, "one TXT 3"));
    world.detour.told(&["reload"]);
    assert_eq!(world.detour.serial(), serial + 1);
}
