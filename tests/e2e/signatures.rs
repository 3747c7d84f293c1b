//! Signed messages (RFC 8945) to a daemon that has no keys: what is signed is never answered as if it were not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use crate::harness::{Detour, Setup, config, own_address, zone};

/// The opcodes QUERY, NOTIFY and UPDATE, as they stand in the header.
const OPCODES: [u8; 3] = [0, 4 << 3, 5 << 3];
const BADKEY: [u8; 2] = [0, 17];

/// A message about example.com with these additional records.
fn message(opcode: u8, additional: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![0x51, 0x9e, opcode, 0, 0, 1, 0, 0, 0, 0, 0, additional.len() as u8];
    message.extend_from_slice(b"\x07example\x03com\0\x00\x06\x00\x01");
    message.extend(additional.concat());
    message
}

/// A TSIG record of this class by the key `k`, whose RDATA was cut to so many bytes less.
fn tsig(class: u8, cut: usize) -> Vec<u8> {
    let mut rdata = b"\x0bhmac-sha256\0\0\0\x6a\x00\x00\x00\x01\x2c\x00\x20".to_vec();
    rdata.extend_from_slice(&[7; 32]);
    rdata.extend_from_slice(b"\x51\x9e\0\0\0\0");
    rdata.truncate(rdata.len() - cut);
    let mut record = vec![1, b'k', 0, 0, 250, 0, class, 0, 0, 0, 0, 0, rdata.len() as u8];
    record.extend(rdata);
    record
}

fn ask(server: SocketAddr, message: &[u8]) -> [Vec<u8>; 2] {
    let patience = Some(Duration::from_secs(30));
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(patience).unwrap();
    udp.send_to(message, server).unwrap();
    let mut datagram = vec![0; 65_535];
    let len = udp.recv(&mut datagram).unwrap();
    datagram.truncate(len);
    let mut tcp = TcpStream::connect(server).unwrap();
    tcp.set_read_timeout(patience).unwrap();
    tcp.write_all(&[&(message.len() as u16).to_be_bytes()[..], message].concat()).unwrap();
    let mut len = [0; 2];
    tcp.read_exact(&mut len).unwrap();
    let mut framed = vec![0; usize::from(u16::from_be_bytes(len))];
    tcp.read_exact(&mut framed).unwrap();
    [datagram, framed]
}

/// RFC 8945 section 5.2.1: a key that is not known is NOTAUTH with BADKEY, in a record without a MAC. Section 5.2: a
/// record that cannot be read is FORMERR.
#[test]
fn a_signature_by_no_key_of_ours_is_badkey_and_a_malformed_one_formerr() {
    let setup = Setup { all_down: "\"primary\"", ..Setup::default() };
    let detour = Detour::start(&config(&setup, 1, &[own_address()], &[own_address()]), &zone(1, ""));
    let opt = b"\0\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    for opcode in OPCODES {
        for answer in ask(detour.dns, &message(opcode, &[&tsig(255, 0)])) {
            assert_eq!((answer[3] & 15, answer[11]), (9, 1), "{opcode} {answer:02x?}");
            // The MAC is empty; the id and the error follow it, and no other data.
            let end: [u8; 8] = *answer.last_chunk().unwrap();
            assert_eq!(end, [0, 0, 0x51, 0x9e, BADKEY[0], BADKEY[1], 0, 0], "{opcode} {answer:02x?}");
        }
        for answer in ask(detour.dns, &message(opcode, &[opt, &tsig(255, 0)])) {
            assert_eq!(
                (answer[3] & 15, answer[11]),
                (9, 2),
                "with an OPT, as it came with one: {answer:02x?}"
            );
        }
        let malformed: [&[&[u8]]; 3] = [&[&tsig(1, 0)], &[&tsig(255, 3)], &[&tsig(255, 0), opt]];
        for additional in malformed {
            for answer in ask(detour.dns, &message(opcode, additional)) {
                assert_eq!(answer[3] & 15, 1, "{opcode} {additional:02x?} {answer:02x?}");
                assert_eq!(answer[11], u8::from(additional.len() == 2), "{answer:02x?}");
            }
        }
    }
    // What is not signed is answered as ever.
    let rcodes = OPCODES.map(|opcode| ask(detour.dns, &message(opcode, &[])).map(|answer| answer[3] & 15));
    assert_eq!(rcodes, [[0, 0], [4, 4], [4, 4]]);
    let dig = Command::new("dig")
        .args(["@127.0.0.1", "-p", &detour.dns.port().to_string(), "-y", "hmac-sha256:k:c2VjcmV0"])
        .args(["www.example.com", "A"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&dig.stdout);
    assert!(said.contains("status: NOTAUTH") && said.contains("BADKEY"), "{said}");
}
