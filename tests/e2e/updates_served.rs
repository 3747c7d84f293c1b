//! UPDATE of a zone whose answers move: what it is judged by, and how much one RRset can hold.

use std::process::Command;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::dig::dig;
use crate::harness::{APP, Detour, MACHINE, Ran, Setup, config, own_address, until, zone};
use crate::site::sites;

const KEY: &str = "hmac-sha256:all:czNjcmV0LW9mLXRlc3RzLW5vdC1mb3ItdXNlISEhISE=";
const SECRET: &str = "czNjcmV0LW9mLXRlc3RzLW5vdC1mb3ItdXNlISEhISE=";
const RULES: &str = "file = \"example.com.zone\"\nupdate = [{ key = \"all\" }]\nmax_rrset_bytes = 4000";

fn update(detour: &Detour, client: &str, script: &str) -> Ran {
    let (ip, port) = (detour.dns.ip(), detour.dns.port());
    let script = format!("server {ip} {port}\nzone example.com\n{script}\nsend\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    std::fs::write(&file, script).unwrap();
    let output = Command::new(client).args(["-y", KEY]).arg(&file).output();
    let output = output.expect("the client runs; ./test installs it");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn start(config: &str, zone: String) -> Detour {
    let config = format!("[keys.all]\nsecret_file = \"all.key\"\n{config}");
    let config = config.replace("file = \"example.com.zone\"", RULES);
    let files = [("example.com.zone", zone), ("all.key", SECRET.to_owned())];
    let mut detour =
        Detour::spawn(&config, &files.map(|(name, text): (&str, String)| (name.to_owned(), text)));
    detour.await_listening();
    detour
}

/// The prerequisite that the SOA is the zone's, under this serial.
fn soa(serial: u32) -> String {
    let rdata = format!("ns1.example.com. hostmaster.example.com. {serial} 3600 600 604800 60");
    format!("prereq yxrrset example.com SOA {rdata}")
}

/// RFC 2136 section 3.2: prerequisites are about what is served, not about what the file says.
#[test]
fn prerequisites_are_held_against_what_is_served() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    // Nobody listens at the sites: the first one is answered all the same.
    let setup = Setup { all_down: "\"primary\"", ..Setup::default() };
    let served = own_address();
    let file = zone(100, "app A 192.0.2.10");
    let detour = start(&config(&setup, 1, &[served], &[own_address()]), file);
    for (turn, client) in ["nsupdate", "knsupdate"].into_iter().enumerate() {
        let app = until("the service is decided", || {
            let app = dig(detour.dns, APP, "A");
            (app.data() == [served.to_string()]).then_some(app)
        });
        let refused = |prerequisite: &str| {
            let ran = update(&detour, client, &format!("{prerequisite}\nadd no.example.com 60 TXT no"));
            assert!(ran.code != 0 && format!("{ran:?}").contains("NXRRSET"), "{prerequisite}: {ran:?}");
        };
        let serial = detour.serial();
        assert_ne!(serial, 100, "a decision is laid over the file");
        refused(&soa(100));
        refused(&format!("prereq yxrrset {APP} A 192.0.2.10"));
        let both = format!("{}\nprereq yxrrset {APP} A {}", soa(serial), app.data()[0]);
        let script = format!("{both}\nadd t{turn}.example.com 60 TXT yes");
        let ran = update(&detour, client, &script);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(detour.serial(), serial + 1);
        // It cannot be said again: that serial is the past.
        refused(&script);
    }
    assert_eq!(dig(detour.dns, "no.example.com", "TXT").rcode, 3);
}

/// A decision between the judgement of an update and its publication has it judged anew: what was accepted under a serial
/// was laid over that serial.
#[test]
fn an_update_under_a_serial_is_laid_over_that_serial_during_failovers() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
    let setup = Setup { failback: "\"manual\"", ..Setup::default() };
    let detour = start(&config(&setup, fra.port, &fra.addresses, &iad.addresses), zone(1, ""));
    until("the service is decided", || {
        (dig(detour.dns, APP, "A").data() == [fra.addresses[0].to_string()]).then_some(())
    });
    let over = AtomicBool::new(false);
    let mut accepted = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for to in ["iad", "fra"].into_iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                // One address may write so often a second, and no more.
                thread::sleep(Duration::from_millis(60));
                let ran = detour.cli(&["failover", APP, "--to", to, "--reason", "to and fro"]);
                assert_eq!(ran.code, 0, "{ran:?}");
            }
        });
        for turn in 0..500 {
            let serial = detour.serial();
            let script = format!("{}\nadd t{turn}.example.com 60 TXT x", soa(serial));
            if update(&detour, "nsupdate", &script).code == 0 {
                accepted.push(serial);
            }
            if accepted.len() == 10 {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(!accepted.is_empty(), "none was ever accepted");
    for serial in accepted {
        let line = format!("published example.com. serial {serial} -> {} by update", serial + 1);
        until(&line, || detour.log().contains(&line).then_some(()));
    }
}

#[test]
fn an_rrset_that_no_answer_has_room_for_is_refused() {
    let _machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    let setup = Setup { all_down: "\"primary\"", ..Setup::default() };
    let detour = start(&config(&setup, 1, &[own_address()], &[own_address()]), zone(1, ""));
    let add = |range: std::ops::Range<u32>| {
        let lines = range.map(|i| format!("add big.example.com 60 A 10.0.{}.{}", i / 256, i % 256));
        update(&detour, "nsupdate", &lines.collect::<Vec<_>>().join("\n"))
    };
    // The owner has 17 bytes, each record 16.
    let ran = add(0..240);
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = add(240..250);
    assert!(ran.code != 0 && ran.stderr.contains("REFUSED"), "{ran:?}");
    assert_eq!(dig(detour.dns, "big.example.com", "A").records.len(), 240);
    let history = detour.told(&["history"]);
    let why = "the A records of big.example.com. would take 4017 bytes in an answer";
    assert!(history.contains(why), "{history}");

    // A file is held to it, too, and the last good one goes on.
    let file: Vec<String> = (0..300).map(|i| format!("big A 10.0.{}.{}", i / 256, i % 256)).collect();
    detour.write_zone(&zone(2, &file.join("\n")));
    let ran = detour.cli(&["reload"]);
    assert!(ran.code != 0 && format!("{ran:?}").contains("max_rrset_bytes is 4000"), "{ran:?}");
}
