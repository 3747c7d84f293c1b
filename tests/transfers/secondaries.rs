//! NSD, Knot DNS and BIND, told of what is decided.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::harness::{self, own_address, until};
use crate::kills::nsupdate;
use crate::ports::free_port;
use crate::primary::{FIRST, MORE, Primary};
use crate::servers::{Kind, Secondary, axfr};

/// Changes made at random while a secondary follows, unless `DETOUR_CHANGES` says how many; every few of them
/// is a file that changes, or an update.
const CHANGES: u32 = 20;
/// Steps the journal keeps in these tests.
const JOURNAL: u32 = 20;
/// Changes that outrun it.
const OUTRUN: u32 = 24;

/// A primary and one secondary of it, which has the zone.
fn pair(kind: Kind, signed: bool) -> (Primary, Secondary) {
    let (port, theirs) = (free_port(), free_port());
    let zone = if signed {
        format!(
            "transfer = [{{ key = \"xfr\" }}]\nnotify = [{{ address = \"127.0.0.1:{theirs}\", key = \"xfr\" }}]"
        )
    } else {
        format!("transfer = [\"127.0.0.1\"]\nnotify = [\"127.0.0.1:{theirs}\"]")
    };
    let zone = format!("{zone}\nupdate = [{{ key = \"xfr\" }}]");
    let primary = Primary::start(port, &format!("journal = {JOURNAL}"), &zone);
    let secondary = Secondary::new(kind, theirs, primary.dns(), &["example.com"], signed);
    secondary.start();
    arrives(&primary, &secondary, signed);
    (primary, secondary)
}

/// Waits until the secondary has the primary's serial; then both have the same zone, record for record, and
/// the primary knows. Gives how long the wait was.
fn arrives(primary: &Primary, secondary: &Secondary, signed: bool) -> Duration {
    let start = Instant::now();
    let serial = primary.detour.serial();
    until(&format!("{:?} has serial {serial}", secondary.kind), || {
        (secondary.serial("example.com") == Some(serial)).then_some(())
    });
    let took = start.elapsed();
    let ours = axfr(primary.dns(), "example.com", signed);
    let theirs = secondary.zone("example.com");
    assert!(
        ours.len() > 10 && ours == theirs,
        "{:?}: {:?}",
        secondary.kind,
        ours.symmetric_difference(&theirs)
    );
    until("the primary knows that it is current", || {
        let status = primary.detour.json("/v1/status");
        let seen = &status["secondaries"][0];
        (seen["serial"] == serial && seen["lag_ms"] == 0 && seen["outcome"] == "current").then_some(())
    });
    took
}

fn transfers(primary: &Primary, kind: &str) -> u64 {
    primary.metric(&format!("detour_transfers_total{{kind=\"{kind}\"}}"))
}

/// A few numbers that look drawn, the same in every run.
fn drawn(n: u32) -> u32 {
    n.wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b) >> 8
}

fn follows(kind: Kind, signed: bool) {
    let (primary, secondary) = pair(kind, signed);
    // A failover goes out by NOTIFY and comes in as a difference.
    let before = (transfers(&primary, "ixfr"), transfers(&primary, "axfr"));
    primary.flip(true);
    let took = arrives(&primary, &secondary, signed);
    println!("{kind:?} has a failover {took:.1?} after it was published");
    assert!(transfers(&primary, "ixfr") > before.0, "{kind:?} asked for all of it");

    let (mut away, mut serial) = (true, 100);
    let changes = std::env::var("DETOUR_CHANGES").map_or(CHANGES, |n| n.parse().expect("a number"));
    for n in 0..changes {
        if drawn(n) % 5 == 1 {
            let (k, port) = (drawn(n + 1) % 3, primary.dns().port());
            let change = format!("del u{k}.example.com TXT\nadd u{k}.example.com 60 TXT {n}");
            assert!(nsupdate(&format!("server 127.0.0.1 {port}\nzone example.com\n{change}\nsend\n")));
        } else if drawn(n).is_multiple_of(5) {
            serial += 100;
            let more = format!("{MORE}r{} A 192.0.2.{}\n", drawn(n + 1) % 3, drawn(n + 2) % 250);
            primary.detour.write_zone(&harness::zone(FIRST + serial, &more));
            primary.detour.told(&["reload"]);
        } else {
            away = !away;
            primary.flip(away);
        }
        // Now and then it has the time to catch up; else changes come together.
        if drawn(n + 3).is_multiple_of(8) {
            arrives(&primary, &secondary, signed);
        }
    }
    arrives(&primary, &secondary, signed);
    if !signed {
        return;
    }

    // It was away, and comes back.
    secondary.stop();
    for _ in 0..3 {
        away = !away;
        primary.flip(away);
    }
    secondary.start();
    arrives(&primary, &secondary, signed);
    // It was away for so long that the journal no longer knows.
    secondary.stop();
    let before = axfrs_without_our_own(&primary);
    for _ in 0..OUTRUN {
        away = !away;
        primary.flip(away);
    }
    secondary.start();
    arrives(&primary, &secondary, signed);
    assert!(axfrs_without_our_own(&primary) > before, "{kind:?} cannot have had it as a difference");
}

/// Whole transfers so far; those that the test itself asks for come after it is called.
fn axfrs_without_our_own(primary: &Primary) -> u64 {
    transfers(primary, "axfr")
}

#[test]
fn nsd_follows() {
    follows(Kind::Nsd, false);
}

#[test]
fn nsd_follows_with_a_key() {
    follows(Kind::Nsd, true);
}

#[test]
fn knot_follows() {
    follows(Kind::Knot, false);
}

#[test]
fn knot_follows_with_a_key() {
    follows(Kind::Knot, true);
}

#[test]
fn bind_follows() {
    follows(Kind::Bind, false);
}

#[test]
fn bind_follows_with_a_key() {
    follows(Kind::Bind, true);
}

#[test]
fn a_dead_secondary_delays_nobody_and_is_told_when_it_is_back() {
    let (port, [dead, alive]) = (free_port(), [free_port(), free_port()]);
    let zone = format!("transfer = [\"127.0.0.1\"]\nnotify = [\"127.0.0.1:{dead}\", \"127.0.0.1:{alive}\"]");
    let primary = Primary::start(port, "", &zone);
    let knot = Secondary::new(Kind::Knot, alive, primary.dns(), &["example.com"], false);
    knot.start();
    let has = |secondary: &Secondary| secondary.serial("example.com") == Some(primary.detour.serial());
    until("Knot has the zone", || has(&knot).then_some(()));
    primary.flip(true);
    until("Knot has the failover", || has(&knot).then_some(()));
    let status = primary.detour.told(&["status"]);
    let line = |port: u16| status.lines().find(|line| line.contains(&format!("127.0.0.1:{port}"))).unwrap();
    assert!(line(dead).contains("no answer"), "{status}");

    let late = Secondary::new(Kind::Bind, dead, primary.dns(), &["example.com"], false);
    late.start();
    until("BIND has the failover", || has(&late).then_some(()));
    until("the primary knows", || {
        primary.detour.told(&["status"]).lines().filter(|line| line.ends_with("current")).nth(1).map(drop)
    });
    let lag = format!("detour_secondary_lag_seconds{{zone=\"example.com\",address=\"127.0.0.1:{dead}\"}}");
    assert_eq!(primary.metric(&lag), 0);
}

#[test]
fn the_name_servers_of_a_zone_are_told_where_it_says_they_are() {
    // The one that the SOA names as primary is told by nobody.
    let [first, second] = [own_address(), own_address()];
    let sockets =
        [first, second].map(|ip| UdpSocket::bind((ip, 53)).expect("port 53 of an address of our own"));
    sockets[0].set_nonblocking(true).unwrap();
    sockets[1].set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let primary = Primary::start(0, "", "transfer = [\"127.0.0.1\"]\nnotify = [\"ns\"]");
    let zone = harness::zone(FIRST + 50, &format!("{MORE}@ NS ns2\nns2 A {second}"));
    primary.detour.write_zone(&zone.replace("ns1  A   127.0.0.1", &format!("ns1 A {first}")));
    primary.detour.told(&["reload"]);

    let hear = || {
        let mut bytes = [0; 512];
        let (len, from) = sockets[1].recv_from(&mut bytes).expect("a message to the second name server");
        assert_eq!(from.ip(), primary.dns().ip());
        assert_eq!(bytes[12..29], *b"\x07example\x03com\0\0\x06\0\x01");
        (bytes[..len].to_vec(), from, bytes[2] >> 3 & 15)
    };
    for away in [true, false] {
        // A NOTIFY may come again before it is acknowledged, and so may one of the serial before.
        let mut acknowledged = 0;
        until("the primary knows that it is current", || {
            let (mut message, from, opcode) = hear();
            message[2] |= 0x80;
            match opcode {
                4 => acknowledged += 1,
                0 => {
                    message[7] = 1;
                    message.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
                    message
                        .extend([primary.detour.serial(), 1, 1, 1, 1].iter().flat_map(|n| n.to_be_bytes()));
                }
                other => panic!("opcode {other}"),
            }
            sockets[1].send_to(&message, from).unwrap();
            let status = primary.detour.json("/v1/status");
            let seen = &status["secondaries"];
            assert_eq!(seen.as_array().map(Vec::len), Some(1), "{seen}");
            let current = seen[0]["serial"] == primary.detour.serial() && seen[0]["outcome"] == "current";
            (current || opcode == 0 && acknowledged > 0).then_some(())
        });
        assert!(acknowledged > 0);
        until("its answer has arrived", || {
            let seen = &primary.detour.json("/v1/status")["secondaries"][0];
            (seen["serial"] == primary.detour.serial() && seen["address"] == format!("{second}:53"))
                .then_some(())
        });
        primary.flip(away);
    }
    let nothing = sockets[0].recv_from(&mut [0; 512]).expect_err("the primary of the SOA is not told");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

/// A secondary may be far away, and hundreds may answer at once: what it says counts, also when it was asked again by then,
/// and then it is asked no more.
#[test]
fn an_answer_that_comes_late_counts_and_is_the_last() {
    let secondary = UdpSocket::bind("127.0.0.1:0").unwrap();
    secondary.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let port = secondary.local_addr().unwrap().port();
    let zone = format!("transfer = [\"127.0.0.1\"]\nnotify = [\"127.0.0.1:{port}\"]");
    let primary = Primary::start(0, "", &zone);
    let mut questions = Vec::new();
    let mut message = [0; 512];
    while questions.len() < 2 {
        let (len, from) = secondary.recv_from(&mut message).expect("a NOTIFY or a question");
        if message[2] >> 3 & 15 == 4 {
            message[2] |= 0x80;
            secondary.send_to(&message[..len], from).unwrap();
            // What was asked before it is about an earlier serial.
            questions.clear();
        } else {
            questions.push((message[..len].to_vec(), from));
        }
    }
    let (mut answer, from) = questions.swap_remove(0);
    (answer[2], answer[7]) = (answer[2] | 0x80, 1);
    answer.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
    answer.extend([primary.detour.serial(), 1, 1, 1, 1].iter().flat_map(|n| n.to_be_bytes()));
    secondary.send_to(&answer, from).unwrap();
    let soa = "detour_secondary_messages_total{kind=\"soa\"}";
    until("the answer to the first question counts", || {
        let seen = &primary.detour.json("/v1/status")["secondaries"][0];
        (seen["outcome"] == "current").then_some(())
    });
    let asked = primary.metric(soa);
    // The next serial is told, and nothing was asked in between.
    primary.flip(true);
    let mut told = false;
    while !told {
        secondary.recv_from(&mut message).expect("a NOTIFY");
        told = message[2] >> 3 & 15 == 4;
        assert!(told || asked > 2, "it is asked no more once it is current");
    }
    assert_eq!(primary.metric(soa), asked);
}
