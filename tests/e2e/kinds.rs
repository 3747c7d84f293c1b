//! The sample of every kind of probe, zones/probes.toml, against an endpoint where each finds something else wrong.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::harness::{Detour, own_address, until};

const SAMPLE: &str = include_str!("../../zones/probes.toml");
const ZONE: &str = include_str!("../../zones/example.com.zone");
const HOSTS: &str = include_str!("../../zones/example.com.hosts.zone");
const TOKENS: &str = include_str!("../../zones/probes.tokens");

/// Says this to whoever connects, after it was asked where it is to wait for that; its port.
fn says(address: IpAddr, words: &'static [u8], when_asked: bool) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut asked = [0; 4096];
                let _ = !when_asked || stream.read(&mut asked).is_ok();
                let _ = stream.write_all(words);
                // Until the client has had enough of it.
                while stream.read(&mut asked).is_ok_and(|read| read > 0) {}
            });
        }
    });
    port
}

/// A name server that refuses every question; its port.
fn refuses(address: IpAddr) -> u16 {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut message) {
            message[2] |= 0x80;
            message[3] = 5;
            let _ = socket.send_to(&message[..len], from);
        }
    });
    port
}

#[test]
fn each_kind_of_probe_fails_in_its_own_words() {
    let at = own_address();
    let ports = [
        (
            "type      = \"http\"\nport      = 8080",
            says(at, b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", true),
        ),
        ("type      = \"https\"", says(at, b"not TLS at all\r\n", true)),
        ("type      = \"tcp\"\nport      = 25", says(at, b"554 no service\r\n", false)),
        ("type      = \"tls\"\nport      = 853", says(at, b"", true)),
        ("type      = \"dns\"", refuses(at)),
        ("type      = \"grpc\"\nport      = 50051", says(at, b"HTTP/1.1 400 Bad Request\r\n\r\n", true)),
    ];
    let mut config = SAMPLE.replace("192.0.2.10", &at.to_string());
    for (keys, port) in ports {
        let kind = keys.lines().next().unwrap();
        assert!(config.contains(keys), "{keys} is not in the sample");
        config = config.replacen(&format!("{keys}\n"), &format!("{kind}\nport      = {port}\n"), 1);
    }
    for (from, to) in [
        ("127.0.0.1:5353", "127.0.0.1:0"),
        ("127.0.0.1:8053", "127.0.0.1:0"),
        ("127.0.0.1:8054", "127.0.0.1:0"),
        ("state-probes", "state"),
        ("interval  = \"10s\"\ngrace     = \"5s\"", "interval  = \"1s\"\ngrace     = \"500ms\""),
    ] {
        assert!(config.contains(from), "{from} is not in the sample");
        config = config.replace(from, to);
    }
    let files = [("example.com.zone", ZONE), ("example.com.hosts.zone", HOSTS), ("probes.tokens", TOKENS)];
    let mut detour = Detour::spawn(&config, &files);
    detour.await_listening();

    let exec = format!("exit code 3: the queue at {at} is stuck");
    let words = [
        ("http@", "status 500"),
        ("https@", "TLS: "),
        ("tcp@", "unexpected reply: \"220 \" is not in \"554 no service"),
        ("tls@", "timeout in TLS"),
        ("dns@", "answered REFUSED"),
        ("grpc@", "bad HTTP: "),
        ("exec@", &exec),
        ("heartbeat@", "no beat for "),
    ];
    for (check, words) in words {
        until(&format!("{check} is Down in its own words"), || {
            let status = detour.told(&["status"]);
            let said = |line: &str| line.starts_with(check) && line.contains("Down") && line.contains(words);
            let told = status.lines().any(said);
            if !told {
                thread::sleep(Duration::from_millis(100));
            }
            told.then_some(())
        });
    }
    // Every address of a host answers its own echo.
    let checks = &detour.json("/v1/status")["engine"]["checks"];
    let ping = checks.as_array().unwrap().iter().find(|check| check["key"]["probe"] == "icmp").unwrap();
    assert_ne!(ping["health"], "down", "{ping}");
}
