//! Updates of a zone that comes from a primary: handed on to it, or refused with the place to send them to.

use std::io::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::others::Primary;
use crate::{SECRET, addresses, config, free_port, secondary, settles_on_serial, transferred, zone};

/// What an updating client says of a change, if it was not taken.
fn update(client: &str, port: u16, secret: &str, change: &str) -> Result<(), String> {
    let mut process = Command::new(client)
        .args(["-y", &format!("hmac-sha256:xfr:{secret}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("./test installs it");
    let script = format!("server 127.0.0.1 {port}\nzone example.com\n{change}\nsend\n");
    process.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let out = process.wait_with_output().unwrap();
    let text = [out.stdout, out.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    if out.status.success() { Ok(()) } else { Err(text) }
}

/// One update with EDNS and without a signature; the answer's text, as far as it can be read.
fn unsigned(port: u16) -> (u8, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let message =
        b"\x12\x34\x28\0\0\x01\0\0\0\0\0\x01\x07example\x03com\0\0\x06\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
    socket.send_to(message, ("127.0.0.1", port)).unwrap();
    let mut bytes = [0; 1500];
    let len = socket.recv(&mut bytes).unwrap();
    (bytes[3] & 15, String::from_utf8_lossy(&bytes[..len]).into_owned())
}

fn hands_on(kind: &str) {
    let listen = free_port();
    let primary = Primary::start(kind, listen, &zone(100, "3600 600 86400", ""));
    let address = format!("{{ address = \"127.0.0.1:{}\", key = \"xfr\" }}", primary.port);
    let detour = secondary(&(config(listen, &address) + "forward_updates = [{ key = \"xfr\" }]\n"));
    settles_on_serial(&detour, 100);
    for (client, name, last) in [("nsupdate", "one", 1), ("knsupdate", "two", 2)] {
        let change = format!("add {name}.example.com 60 A 192.0.2.{last}");
        update(client, listen, SECRET, &change).unwrap_or_else(|why| panic!("{kind}, {client}: {why}"));
        settles_on_serial(&detour, 100 + last);
        assert_eq!(addresses(&detour, &format!("{name}.example.com")), [format!("192.0.2.{last}")]);
    }
    let stands = transferred(&detour);
    assert_eq!((&stands["full"], &stands["incremental"]), (&1.into(), &2.into()), "{stands}");
    // What the primary says of it is what the client hears.
    let outside = update("nsupdate", listen, SECRET, "add www.example.net 60 A 192.0.2.1").unwrap_err();
    assert!(outside.contains("NOTZONE"), "{outside}");
    let taken = update(
        "nsupdate",
        listen,
        SECRET,
        "prereq nxdomain one.example.com\nadd one.example.com 60 A 192.0.2.9",
    );
    assert!(taken.unwrap_err().contains("YXDOMAIN"));
    // Whom the list does not have, nobody hands on for.
    let wrong = "YW5vdGhlciBzZWNyZXQsIGJ1dCBvZiBzb21lIGxlbmd0aA==";
    let refused = update("nsupdate", listen, wrong, "add x.example.com 60 A 192.0.2.9").unwrap_err();
    assert!(refused.contains("BADSIG"), "{refused}");
    let (rcode, why) = unsigned(listen);
    assert!(rcode == 5 && why.contains("send updates there"), "{rcode} {why}");
    assert!(detour.log().contains("handed on to 127.0.0.1"), "{}", detour.log());

    primary.stop();
    let refused = update("nsupdate", listen, SECRET, "add x.example.com 60 A 192.0.2.9").unwrap_err();
    assert!(refused.contains("SERVFAIL"), "{refused}");
}

#[test]
fn knot_gets_the_updates_of_its_zone() {
    hands_on("knot");
}

#[test]
fn bind_gets_the_updates_of_its_zone() {
    hands_on("bind, updated");
}

#[test]
fn unless_they_are_handed_on_updates_are_refused_and_it_is_said_where_to_send_them() {
    let listen = free_port();
    let primary = Primary::start("knot", listen, &zone(100, "3600 600 86400", ""));
    let address = format!("{{ address = \"127.0.0.1:{}\", key = \"xfr\" }}", primary.port);
    let detour = secondary(&config(listen, &address));
    settles_on_serial(&detour, 100);
    for client in ["nsupdate", "knsupdate"] {
        let why = update(client, listen, SECRET, "add x.example.com 60 A 192.0.2.9").unwrap_err();
        assert!(why.contains("REFUSED"), "{client}: {why}");
    }
    let (rcode, why) = unsigned(listen);
    let told = format!("example.com. comes from 127.0.0.1:{}: send updates there", primary.port);
    assert!(rcode == 5 && why.contains(&told), "{rcode} {why}");
    assert_eq!(detour.serial(), 100);
}
