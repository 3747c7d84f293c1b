//! What comes by IXFR is kept as steps beside the zone's file: over kills, with a torn end, and until it is written into the
//! file.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Detour, until};
use crate::others::Primary;
use crate::{addresses, config, free_port, secondary, settles_on_serial, transferred, zone};

const TIMERS: &str = "1 1 86400";

/// A zone with one name that each serial gives another address, and so many long records that differ with it. Others stay:
/// BIND sends steps only where they are less than the zone.
fn version(serial: u32, long: usize) -> String {
    let others = (0..200).fold(String::new(), |text, n| text + &format!("other{n} A 192.0.2.{n}\n"));
    let texts = (0..long)
        .fold(String::new(), |text, n| text + &format!("long{n} TXT \"{n} {serial} {}\"\n", "x".repeat(220)));
    zone(serial, TIMERS, &format!("host A 192.0.2.{}\n{others}{texts}", serial % 250))
}

/// A primary and a daemon that has followed it up to a serial.
fn followed(kind: &str, long: usize, serials: &[u32]) -> (Primary, Detour) {
    let listen = free_port();
    let primary = Primary::start(kind, listen, &version(serials[0], long));
    let address = format!("{{ address = \"127.0.0.1:{}\", key = \"xfr\" }}", primary.port);
    let detour = secondary(&config(listen, &address));
    settles_on_serial(&detour, serials[0]);
    for &serial in &serials[1..] {
        primary.change(&version(serial, long));
        settles_on_serial(&detour, serial);
    }
    (primary, detour)
}

fn kept(detour: &Detour) -> (PathBuf, PathBuf) {
    let folder = detour.state_dir().join("transferred");
    (folder.join("example.com.zone"), folder.join("example.com.zone.steps"))
}

/// Whether the zone's file itself has a serial.
fn file_has(detour: &Detour, serial: u32) -> bool {
    fs::read_to_string(kept(detour).0).unwrap().contains(&format!(" hostmaster.example.com. {serial} "))
}

fn host(serial: u32) -> [String; 1] {
    [format!("192.0.2.{}", serial % 250)]
}

fn lasts(kind: &str) {
    let (primary, mut detour) = followed(kind, 0, &[100, 101, 102]);
    let stands = transferred(&detour);
    assert_eq!((&stands["full"], &stands["incremental"]), (&1.into(), &2.into()), "{stands}");
    // The file is as it was; what came since is beside it.
    assert!(file_has(&detour, 100) && kept(&detour).1.exists());
    primary.stop();
    for _ in 0..2 {
        detour.kill();
        detour.start_again();
        assert_eq!((detour.serial(), addresses(&detour, "host.example.com")), (102, host(102).to_vec()));
        assert_eq!(transferred(&detour)["serial"], 102);
    }
    assert!(!detour.log().contains(".steps"), "{}", detour.log());
    let past = detour.told(&["zone", "history", "example.com"]);
    assert!(past.contains("101 -> 102  -1 +1  transfer\n"), "{past}");
    // And it goes on from there.
    primary.start_again();
    primary.change(&version(103, 0));
    settles_on_serial(&detour, 103);
    assert_eq!(transferred(&detour)["incremental"], 1, "{}", transferred(&detour));
    detour.kill();
    detour.start_again();
    assert_eq!((detour.serial(), addresses(&detour, "host.example.com")), (103, host(103).to_vec()));
}

#[test]
fn steps_from_nsd_are_there_after_a_kill() {
    lasts("nsd");
}

#[test]
fn steps_from_knot_are_there_after_a_kill() {
    lasts("knot");
}

#[test]
fn steps_from_bind_are_there_after_a_kill() {
    lasts("bind");
}

#[test]
fn a_torn_end_is_cut_off_and_asked_for_again() {
    let (primary, mut detour) = followed("knot", 0, &[100, 101, 102]);
    primary.stop();
    detour.kill();
    let (_, steps) = kept(&detour);
    let bytes = fs::read(&steps).unwrap();
    fs::write(&steps, &bytes[..bytes.len() - 3]).unwrap();
    detour.start_again();
    assert_eq!(addresses(&detour, "host.example.com"), host(101));
    let log = until("the log tells of it", || Some(detour.log()).filter(|log| log.contains("is cut off")));
    assert!(
        log.contains("example.com.zone.steps: its end is torn or damaged; what comes after serial 101"),
        "{log}"
    );
    assert!(fs::metadata(&steps).unwrap().len() < bytes.len() as u64 - 3);
    // Serials do not go back: it was published with a later one.
    assert_eq!(transferred(&detour)["serial"], 101);
    assert_eq!(detour.serial(), 103);
    primary.start_again();
    until("the step is had again", || (addresses(&detour, "host.example.com") == host(102)).then_some(()));
    assert_eq!(transferred(&detour)["serial"], 102);
    detour.kill();
    detour.start_again();
    assert_eq!(addresses(&detour, "host.example.com"), host(102));
    assert_eq!(detour.serial(), 104);

    // Where nothing of it can be read the file is served, until the primary has answered.
    detour.kill();
    fs::write(&steps, b"nothing of the kind").unwrap();
    detour.start_again();
    until("it is had anew", || (addresses(&detour, "host.example.com") == host(102)).then_some(()));
}

#[test]
fn many_steps_are_written_into_the_file() {
    let (primary, mut detour) = followed("knot", 2000, &[100, 101]);
    let (_, steps) = kept(&detour);
    let before = fs::read(&steps).unwrap();
    assert!(file_has(&detour, 100) && before.len() > 1 << 19);
    let mut serial = 102;
    while steps.exists() {
        assert!(serial < 110, "{} bytes", fs::metadata(&steps).unwrap().len());
        primary.change(&version(serial, 2000));
        settles_on_serial(&detour, serial);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
        while steps.exists() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        serial += 1;
    }
    let last = serial - 1;
    assert!(file_has(&detour, last));
    let stands = transferred(&detour);
    assert_eq!((&stands["full"], &stands["incremental"]), (&1.into(), &(last - 100).into()), "{stands}");
    // A kill between the two leaves steps that the file has gone.
    detour.kill();
    fs::write(&steps, &before).unwrap();
    detour.start_again();
    assert_eq!((detour.serial(), addresses(&detour, "host.example.com")), (last, host(last).to_vec()));
    primary.change(&version(serial, 2000));
    settles_on_serial(&detour, serial);
    detour.kill();
    detour.start_again();
    assert_eq!((detour.serial(), addresses(&detour, "host.example.com")), (serial, host(serial).to_vec()));
    assert!(!detour.log().contains("is cut off"), "{}", detour.log());
}
