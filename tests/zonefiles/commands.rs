//! Each command, its output and its exit code.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::{Folder, SAMPLE};

const HEAD: &str =
    "$TTL 1h\n@ SOA ns1 host 1 2h 15m 2w 5m\n@ NS ns1\n@ NS ns.example.net.\nns1 A 192.0.2.1\n";

#[test]
fn check_tells_errors_with_their_place() {
    let folder = Folder::new(&[("example.com.zone", &format!("{HEAD}www A 192.0.2.999\n"))]);
    let ran = folder.zone(&["check", "example.com.zone"]).ended(1);
    assert!(ran.err.starts_with("example.com.zone:6:7: error: "), "{}", ran.err);
    assert_eq!(ran.out, "example.com.zone: 1 error, no warnings\n");
    Folder::sample().zone(&["check", "example.com.zone"]).ended(0);
}

/// Every lint is found where it is meant to be, once, and nowhere else.
#[test]
fn check_finds_every_lint() {
    let all = [
        ("alias-target", "@ MX 10 m\nm CNAME ns1\n"),
        ("doubled-origin", "@ MX 10 mail.example.com\n"),
        ("doubled-origin", "www.example.com A 192.0.2.1\n"),
        ("ds-alone", "x DS 1 8 1 0123456789abcdef0123456789abcdef01234567\n"),
        ("duplicate-record", "ns1 A 192.0.2.1\n"),
        ("expired-signature", "ns1 RRSIG A 8 3 3600 20200101000000 20191201000000 1 example.com. AQID\n"),
        ("inner-star", "a.*.b A 192.0.2.1\n"),
        ("missing-address", "lab NS ns.lab\nlab NS ns.example.net.\n"),
        ("missing-target", "@ MX 10 gone\n"),
        ("missing-target", "_x._tcp SRV 0 0 1 gone\n"),
        ("missing-target", "www CNAME gone\n"),
        ("occluded", "old DNAME new.example.net.\nwww.old TXT x\n"),
        ("odd-owner", "caf\\195\\169 A 192.0.2.1\n"),
        ("one-server", "lab NS ns.example.net.\n"),
        ("ttl-differs", "w 30 A 192.0.2.1\nw 60 A 192.0.2.2\n"),
        ("ttl-too-long", "w 4000000000 A 192.0.2.1\n"),
        ("unused-glue", "lab NS ns.example.net.\nlab NS ns.example.org.\nns.lab A 192.0.2.1\n"),
        ("wildcard-partial", "*.w A 192.0.2.1\n*.w TXT x\na.w A 192.0.2.1\n"),
        ("wildcard-server", "*.w NS ns.example.net.\n*.w NS ns.example.org.\n"),
    ];
    let soa = |soa: &str| HEAD.replace("ns1 host 1 2h 15m 2w 5m", soa);
    let soas = [
        ("soa-mailbox", soa("ns1 host\\@example.com. 1 2h 15m 2w 5m")),
        ("soa-timers", soa("ns1 host 1 1m 50s 2w 5m")),
        ("soa-timers", soa("ns1 host 1 2h 15m 1d 5m")),
        ("soa-timers", soa("ns1 host 1 2h 15m 2w 2d")),
        ("default-ttl", soa("ns1 host 1 2h 15m 2w 5m").replace("$TTL 1h\n", "")),
    ];
    let texts = all.map(|(lint, text)| (lint, format!("{HEAD}{text}"))).into_iter().chain(soas);
    let mut seen = vec!["fixed-hint", "negative-ttl", "steered-ttl"]; // with a configuration: below
    for (lint, text) in texts {
        let folder = Folder::new(&[("example.com.zone", &text)]);
        let ran = folder.zone(&["check", "example.com.zone"]).ended(0);
        let told: Vec<&str> = ran.err.lines().filter(|line| line.contains(": warning: ")).collect();
        assert!(
            !told.is_empty() && told.iter().all(|line| line.ends_with(&format!("[{lint}]"))),
            "{lint}: {}",
            ran.err
        );
        let quiet = folder.zone(&["check", "example.com.zone", "--allow", lint]).ended(0);
        assert_eq!(quiet.err, "", "{lint}");
        folder.zone(&["check", "example.com.zone", "--deny", lint]).ended(1);
        seen.push(lint);
    }
    let listed = Folder::new(&[]).zone(&["check", "--list"]).ended(0).out;
    for line in listed.lines() {
        let name = line.split(' ').next().unwrap();
        assert!(seen.contains(&name), "no test of {name}");
    }
    let quiet = Folder::new(&[("example.com.zone", HEAD)]).zone(&["check", "example.com.zone"]).ended(0);
    assert_eq!(quiet.err, "");
}

#[test]
fn check_holds_files_against_what_services_promise() {
    let config = "[sites.fra]\n[probes.web]\ntype = \"tcp\"\nport = 443\n[[zone]]\nname = \"example.com\"\nfile = \"example.com.zone\"\n[[service]]\nname = \"app.example.com\"\nttl = \"30s\"\nprobes = [\"web\"]\nendpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]\n";
    let folder =
        Folder::new(&[("detour.toml", config), ("example.com.zone", &format!("{HEAD}app A 192.0.2.10\n"))]);
    let ran = folder.zone(&["check", "example.com.zone", "-c", "detour.toml"]).ended(0);
    assert!(ran.err.contains("[steered-ttl]") && ran.err.contains("[negative-ttl]"), "{}", ran.err);
    let ran = folder.zone(&["check", "example.com.zone"]).ended(0);
    assert_eq!(ran.err, "");
    let hinted = |record: &str| {
        let zone = format!("{HEAD}{record}\n");
        let folder = Folder::new(&[("detour.toml", config), ("example.com.zone", &zone)]);
        let ran = folder.zone(&["check", "example.com.zone", "-c", "detour.toml"]).ended(0);
        ran.err.contains("[fixed-hint]")
    };
    assert!(hinted("app HTTPS 1 . alpn=h2 ipv4hint=192.0.2.10"));
    assert!(hinted("www HTTPS 1 APP ipv4hint=192.0.2.10"), "a hint of another name's address is no better");
    assert!(!hinted("app HTTPS 1 . alpn=h2") && !hinted("www HTTPS 1 . ipv4hint=192.0.2.80"));
    let json = folder.zone(&["check", "example.com.zone", "-c", "detour.toml", "--json"]).ended(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["ok"], json["problems"].as_array().unwrap().len()), (&true.into(), 2));
}

/// `detour check | head -1`, as people type it: here the reader is gone before the first byte.
#[test]
fn a_reader_that_stops_reading_ends_a_command_quietly() {
    let config = "[[zone]]\nname = \"example.com\"\nfile = \"example.com.zone\"\n";
    let folder = Folder::new(&[("detour.toml", config), ("example.com.zone", HEAD)]);
    for command in [
        "check -c detour.toml",
        "zone check --list",
        "zone check example.com.zone",
        "zone export example.com.zone",
        "zone fmt --stdout example.com.zone",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut detour = std::process::Command::new(env!("CARGO_BIN_EXE_detour"));
        detour.args(command.split(' ')).current_dir(folder.path("")).stdout(writer);
        let ended = detour.output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{command}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{command}");
    }
}

/// A part of a zone, and a zone whose SOA comes by $INCLUDE.
#[test]
fn fragments_are_laid_out_and_checked() {
    let folder = Folder::new(&[
        ("hosts", "@ CNAME other.example.net.\nwww   A 192.0.2.1\n"),
        ("wrong", "www A 192.0.2.999\n"),
        ("example.com.zone", "$INCLUDE soa\nwww     A 192.0.2.1\n"),
        ("soa", HEAD),
    ]);
    folder.zone(&["fmt", "hosts", "example.com.zone"]).ended(0);
    assert_eq!(folder.text("hosts"), "@    CNAME  other.example.net.\nwww  A      192.0.2.1\n");
    assert_eq!(folder.text("example.com.zone"), "$INCLUDE soa\nwww  A  192.0.2.1\n");
    folder.zone(&["check", "example.com.zone"]).ended(0);
    let ran = folder.zone(&["check", "--fragment", "hosts"]).ended(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("hosts: no errors, no warnings\n", ""));
    let ran = folder.zone(&["check", "--fragment", "wrong"]).ended(1);
    assert!(ran.err.starts_with("wrong:1:7: error: "), "{}", ran.err);
}

/// `$INCLUDE` from another folder, once the configuration allows it.
#[test]
fn files_are_included_from_folders_that_the_configuration_names() {
    let config = "[server]\ninclude_folders = [\"common\"]\n[[zone]]\nname = \"example.com\"\nfile = \"zones/example.com.zone\"\n";
    let zone = format!("{HEAD}$INCLUDE ../common/hosts\n");
    let folder = Folder::new(&[
        ("detour.toml", config),
        ("zones/example.com.zone", &zone),
        ("common/hosts", "www A 192.0.2.1\n"),
        ("elsewhere/hosts", "www A 192.0.2.1\n"),
    ]);
    let check = || run_detour(&folder, &["check", "-c", "detour.toml"]);
    check().ended(0);
    let refused = folder.zone(&["check", "zones/example.com.zone"]).ended(1);
    assert!(refused.err.contains("name its folder in include_folders of [server]"), "{}", refused.err);
    folder.zone(&["check", "-c", "detour.toml", "zones/example.com.zone"]).ended(0);
    let absolute = format!("{HEAD}$INCLUDE {}\n", folder.path("common/hosts").display());
    fs::write(folder.path("zones/example.com.zone"), absolute).unwrap();
    check().ended(0);
    fs::write(folder.path("zones/example.com.zone"), zone.replace("common", "elsewhere")).unwrap();
    assert!(check().ended(1).err.contains("lies outside the zone file's folder"));
}

fn run_detour(folder: &Folder, args: &[&str]) -> crate::Ran {
    crate::run(env!("CARGO_BIN_EXE_detour"), args, &folder.path(""))
}

#[test]
fn fmt_writes_once_and_keeps_mode_and_meaning() {
    let folder = Folder::sample();
    let path = folder.path("example.com.zone");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(folder.path("before.zone"), SAMPLE).unwrap();
    folder.zone(&["fmt", "--check", "example.com.zone", "example.com.hosts.zone"]).ended(1);
    assert_eq!(folder.text("example.com.zone"), SAMPLE);
    folder.zone(&["fmt", "example.com.zone", "example.com.hosts.zone"]).ended(0);
    assert_ne!(folder.text("example.com.zone"), SAMPLE);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let comments = |text: &str| text.matches(';').count();
    assert_eq!(comments(&folder.text("example.com.zone")), comments(SAMPLE));
    folder.zone(&["diff", "before.zone", "example.com.zone"]).ended(0);
    // Laid out already: not even written.
    let inode = fs::metadata(&path).unwrap().ino();
    let ran = folder.zone(&["fmt", "example.com.zone"]).ended(0);
    assert_eq!((ran.out.as_str(), fs::metadata(&path).unwrap().ino()), ("", inode));
    folder.zone(&["fmt", "--check", "example.com.zone", "example.com.hosts.zone"]).ended(0);
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 3, "nothing is left behind");
}

#[test]
fn fmt_leaves_a_wrong_file_alone() {
    let wrong = format!("{HEAD}www    A    192.0.2.999\n");
    let folder = Folder::new(&[("example.com.zone", &wrong), ("part", "www  AA 192.0.2.1\n")]);
    let ran = folder.zone(&["fmt", "example.com.zone", "part"]).ended(1);
    assert!(ran.err.contains("example.com.zone:6:") && ran.err.contains("part:1:6: error"), "{}", ran.err);
    assert_eq!(folder.text("example.com.zone"), wrong);
    let ran = folder.zone(&["fmt", "--stdout", "example.com.zone"]).ended(1);
    assert_eq!(ran.out, "");
}

#[test]
fn diff_tells_what_goes_and_comes() {
    let new = HEAD.replace("host 1 ", "host 2 ");
    let more = format!("{new}ns1 A 192.0.2.2\nwww CNAME ns1\n");
    let folder = Folder::new(&[("a", HEAD), ("b", &new), ("c", &more)]);
    let diff = |args: &[&str]| folder.zone(&[&["diff", "--origin", "example.com"], args].concat());
    assert_eq!(diff(&["a", "a"]).ended(0).out, "");
    let soa = diff(&["a", "b"]).ended(1).out;
    assert!(soa.starts_with("- example.com. 3600 IN SOA ") && soa.lines().count() == 2, "{soa}");
    assert_eq!(diff(&["a", "b", "--ignore-serial"]).ended(0).out, "");
    let want = "+ ns1.example.com. 3600 IN A 192.0.2.2\n+ www.example.com. 3600 IN CNAME ns1.example.com.\n";
    assert_eq!(diff(&["b", "c"]).ended(1).out, want);
    let json: serde_json::Value = serde_json::from_str(&diff(&["b", "c", "--json"]).ended(1).out).unwrap();
    assert_eq!(json["added"][1]["data"][0], "ns1.example.com.");
    assert_eq!(json["removed"].as_array().unwrap().len(), 1);
}

#[test]
fn export_prints_the_whole_zone() {
    let folder = Folder::sample();
    for args in [&["export", "example.com.zone"][..], &["export", "--relative", "example.com.zone"]] {
        let out = folder.zone(args).ended(0).out;
        fs::write(folder.path("out.zone"), &out).unwrap();
        folder.zone(&["diff", "example.com.zone", "out.zone", "--origin", "example.com"]).ended(0);
    }
}
