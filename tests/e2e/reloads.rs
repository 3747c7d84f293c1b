//! New configuration and new zones under a running daemon: all or nothing, and no query lost.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

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
fn a_load_that_removes_too_much_has_to_be_forced() {
    let mut world = World::start(&Setup::default());
    let detour = &world.detour;
    let hosts =
        |count: usize| (0..count).map(|n| format!("h{n} A 192.0.2.{n}\n")).collect::<Vec<_>>().concat();
    detour.write_zone(&zone(2, &hosts(40)));
    detour.told(&["reload"]);
    let has = |detour: &Detour, name: &str| detour.ask(name, "A").rcode == 0;
    assert!(has(detour, "h39.example.com"));

    // A file that is half there.
    detour.write_zone(&zone(3, &hosts(20)));
    let ran = detour.cli(&["reload"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("would remove 20 of the 44 records of example.com;"), "{ran:?}");
    assert!(ran.stderr.contains("`detour reload --force`"), "{ran:?}");
    detour.signal("HUP");
    until("the log tells that SIGHUP was rejected, too", || {
        let told = detour.log().matches("would remove 20 of the 44").count();
        (told >= 2).then_some(())
    });
    assert_eq!(detour.json("/v1/status")["last_load"]["ok"], false);
    assert!(has(detour, "h39.example.com"));
    // A start is never held against what was.
    world.detour.kill();
    world.detour.start_again();
    let detour = &world.detour;
    assert!(!has(detour, "h39.example.com") && has(detour, "h19.example.com"));

    // Little may always go, and what an operator insists on.
    detour.write_zone(&zone(4, &hosts(11)));
    detour.told(&["reload"]);
    detour.write_zone(&zone(5, ""));
    assert_eq!(detour.cli(&["reload"]).code, 1);
    detour.told(&["reload", "--force"]);
    assert!(!has(detour, "h1.example.com"));

    // Services are not there yet in a configuration that is half there.
    let config = detour.config();
    detour.write_config(config.split("[[service]]").next().unwrap());
    let ran = detour.cli(&["reload"]);
    assert!(ran.code == 1 && ran.stderr.contains("would remove 1 service (app.example.com);"), "{ran:?}");
    world.settles_on_fra();
    world.detour.told(&["reload", "--force"]);
    assert_eq!(world.detour.ask(APP, "A").rcode, 3);
}

/// Who sits at a terminal is asked, and what they type counts.
#[test]
fn a_load_that_removes_too_much_asks_at_a_terminal() {
    let world = World::start(&Setup::default());
    let detour = &world.detour;
    let at_terminal = |types: &str| {
        let command = format!("{} reload --control {}", env!("CARGO_BIN_EXE_detour"), detour.control);
        let mut terminal = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Debian package bsdutils");
        terminal.stdin.take().unwrap().write_all(types.as_bytes()).unwrap();
        let output = terminal.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let config = detour.config();
    detour.write_config(config.split("[[service]]").next().unwrap());
    for no in ["n\n", "\n", "\x04"] {
        let (code, shown) = at_terminal(no);
        assert_eq!(code, Some(1), "{no:?}: {shown}");
        assert!(shown.contains("would remove 1 service (app.example.com);"), "{no:?}: {shown}");
        assert!(shown.contains("Load it all the same? [y/N]"), "{no:?}: {shown}");
        assert_eq!(detour.ask(APP, "A").rcode, 0, "{no:?}");
    }
    let (code, shown) = at_terminal("y\n");
    assert!(code == Some(0) && shown.contains("reloaded: services 0, zones 1"), "{code:?}: {shown}");
    assert_eq!(detour.ask(APP, "A").rcode, 3);
}

#[test]
fn a_service_added_at_a_name_that_is_answered_keeps_the_answer_until_it_is_decided() {
    let world = World::start(&Setup::default());
    let detour = &world.detour;
    detour.write_zone(&zone(2, "*.wild A 192.0.2.90"));
    detour.told(&["reload"]);
    let names = ["www.example.com", "a.wild.example.com"];
    let before = names.map(|name| detour.ask(name, "A").data().join(" "));
    assert_eq!(before, ["192.0.2.80", "192.0.2.90"]);
    // A check that has not reported for a long time, and the records move out of the file at the same time.
    let config = detour
        .config()
        .replace("[[zone]]", "[probes.slow]\ntype = \"heartbeat\"\ninterval = \"10m\"\n[[zone]]");
    let config =
        config.replace("[control]", "[heartbeat]\nlisten = \"127.0.0.1:0\"\ntokens = \"tokens\"\n[control]");
    let service = format!(
        "[[service]]\nnames = [\"www.example.com\", \"a.wild.example.com\"]\nprobes = [\"slow\"]\nendpoints = [{{ site = \"fra\", addresses = [\"{}\"] }}]\n",
        world.fra.addresses[0]
    );
    detour.write_file(
        "tokens",
        "www.example.com fra fra-0123456789abcdef\na.wild.example.com fra fra-0123456789abcdef\n",
    );
    detour.write_zone(&zone(3, "*.wild A 192.0.2.90").replace("www  A   192.0.2.80\n", ""));
    detour.write_config(&format!("{config}\n{service}"));
    detour.told(&["reload"]);
    assert_eq!(names.map(|name| detour.ask(name, "A").data().join(" ")), before);
    // Also when zones are laid over anew.
    detour.write_zone(&zone(4, "*.wild A 192.0.2.91\nmore TXT x").replace("www  A   192.0.2.80\n", ""));
    detour.told(&["reload"]);
    assert_eq!(names.map(|name| detour.ask(name, "A").data().join(" ")), before);
}

#[test]
fn a_removed_service_gives_its_name_back_to_the_file() {
    let world = World::start(&Setup::default());
    world.settles_on_fra();
    let serial = world.detour.serial();
    world.detour.edit_config("name = \"app.example.com\"", "name = \"shop.example.com\"");
    world.detour.write_zone(&zone(2, "app A 192.0.2.10"));
    world.detour.told(&["reload", "--force"]);
    assert_eq!(world.detour.ask(APP, "A").data(), ["192.0.2.10"]);
    assert!(world.detour.serial() > serial);
    until("the new service is decided", || {
        let answer = world.detour.ask("shop.example.com", "A");
        (answer.data() == [world.fra.addresses[0].to_string()]).then_some(())
    });
}

/// Ten zones, of which one is touched; and files that come into the place of others by ways that hide it.
#[test]
fn only_what_changed_is_read() {
    const HEAD: &str = "@ 60 SOA ns h 1 1 1 1 1\n@ 60 NS ns\nns 60 A 192.0.2.1\n";
    let world = World::start(&Setup::default());
    let detour = &world.detour;
    let folder = detour.config_path().parent().unwrap().to_owned();
    let mut config = detour.config();
    for zone in 0..9 {
        std::fs::write(folder.join(format!("z{zone}.zone")), format!("{HEAD}t 60 TXT 0\n")).unwrap();
        let _ = write!(config, "[[zone]]\nname = \"z{zone}.test\"\nfile = \"z{zone}.zone\"\n");
    }
    detour.write_config(&config.replace("[server]", "[server]\nreload = \"manual\""));
    let read = || {
        let reply = serde_json::from_str::<serde_json::Value>(&detour.told(&["reload", "--json"])).unwrap();
        assert_eq!(reply["zones"], 10, "{reply}");
        reply["zones_read"].as_u64().unwrap()
    };
    let txt = |zone: &str| detour.ask(&format!("t.{zone}.test"), "TXT").data().join(" ");
    read();
    // Until the files are old enough for their times to tell them apart.
    std::thread::sleep(std::time::Duration::from_secs(4));
    read();
    assert_eq!(read(), 0);
    // Touched.
    let file = std::fs::File::options().append(true).open(folder.join("z3.zone")).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    assert_eq!((read(), txt("z3")), (1, "0".to_owned()));
    // A copy of the same size and with the same time, in its place and beside it.
    for (zone, is_renamed) in [("z4", true), ("z5", false)] {
        let path = folder.join(format!("{zone}.zone"));
        let modified = path.metadata().unwrap().modified().unwrap();
        let target = if is_renamed { folder.join("new") } else { path.clone() };
        std::fs::write(&target, format!("{HEAD}t 60 TXT 1\n")).unwrap();
        std::fs::File::options().append(true).open(&target).unwrap().set_modified(modified).unwrap();
        std::fs::rename(&target, &path).unwrap();
        read();
        assert_eq!(txt(zone), "1", "{zone}");
    }
    // As configuration maps are switched: the file is a link through a folder that is one.
    for version in ["one", "two"] {
        std::fs::create_dir_all(folder.join(version)).unwrap();
        std::fs::write(folder.join(version).join("z6.zone"), format!("{HEAD}t 60 TXT {version}\n")).unwrap();
        std::os::unix::fs::symlink(version, folder.join("link")).unwrap();
        std::fs::rename(folder.join("link"), folder.join("data")).unwrap();
        if version == "one" {
            std::os::unix::fs::symlink("data/z6.zone", folder.join("link")).unwrap();
            std::fs::rename(folder.join("link"), folder.join("z6.zone")).unwrap();
        }
        read();
        assert_eq!(txt("z6"), version);
    }
    assert!(detour.log().contains("zones_read"), "{}", detour.log());
}
