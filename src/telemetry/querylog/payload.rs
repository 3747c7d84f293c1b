//! A dnstap payload: protobuf, as <https://dnstap.info/> has it in dnstap.proto, written by hand: a dozen fields.

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use crate::answer::Transport;
use crate::server::Seen;

/// What this server calls itself in each payload.
const VERSION: &str = concat!("detour ", env!("CARGO_PKG_VERSION"));

/// `Message.Type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What an authoritative server was asked.
    AuthQuery = 1,
    /// What it answered.
    AuthResponse = 2,
}

/// The wire types of protobuf that are used.
const VARINT: u64 = 0;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// A whole payload.
pub(super) fn payload(seen: &Seen, kind: Kind, identity: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + seen.query.len() + seen.answer.len());
    if let Some(identity) = identity {
        bytes(&mut out, 1, identity.as_bytes());
    }
    bytes(&mut out, 2, VERSION.as_bytes());
    bytes(&mut out, 14, &message(seen, kind));
    number(&mut out, 15, 1); // Dnstap.Type.MESSAGE
    out
}

fn message(seen: &Seen, kind: Kind) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + seen.query.len() + seen.answer.len());
    number(&mut out, 1, kind as u64);
    number(&mut out, 2, if seen.peer.is_ipv4() { 1 } else { 2 });
    let protocol = match seen.transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
    };
    number(&mut out, 3, protocol);
    for (field, address) in [(4, seen.peer), (5, seen.local)] {
        // A socket that listens on both families names itself by IPv6, whoever asks.
        match address.ip() {
            IpAddr::V4(ip) => bytes(&mut out, field, &ip.octets()),
            IpAddr::V6(ip) if seen.peer.is_ipv6() => bytes(&mut out, field, &ip.octets()),
            IpAddr::V6(_) => {}
        }
    }
    number(&mut out, 6, u64::from(seen.peer.port()));
    number(&mut out, 7, u64::from(seen.local.port()));
    let at = seen.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (time, text) = match kind {
        Kind::AuthQuery => (8, (10, &seen.query)),
        Kind::AuthResponse => (12, (14, &seen.answer)),
    };
    number(&mut out, time, at.as_secs());
    key(&mut out, time + 1, FIXED32);
    out.extend(at.subsec_nanos().to_le_bytes());
    bytes(&mut out, text.0, text.1);
    out
}

fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, BYTES);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_payload_is_what_the_schema_says() {
        let seen = Seen {
            at: UNIX_EPOCH + Duration::new(300, 1),
            transport: Transport::Udp,
            peer: "192.0.2.9:300".parse().unwrap(),
            local: "192.0.2.53:53".parse().unwrap(),
            rcode: 0,
            len: 2,
            query: b"ask"[..].into(),
            answer: b"ok"[..].into(),
        };
        let inner =
            b"\x08\x02\x10\x01\x18\x01\x22\x04\xc0\x00\x02\x09\x2a\x04\xc0\x00\x02\x35\x30\xac\x02\x38\x35\
                      \x60\xac\x02\x6d\x01\x00\x00\x00\x72\x02ok";
        assert_eq!(message(&seen, Kind::AuthResponse), inner);
        let whole = payload(&seen, Kind::AuthResponse, Some("ns1"));
        let version = [b"\x0a\x03ns1\x12", &[VERSION.len() as u8][..], VERSION.as_bytes()].concat();
        let want = [&version[..], b"\x72", &[inner.len() as u8], inner, b"\x78\x01"].concat();
        assert_eq!(whole, want);
        let asked = message(&seen, Kind::AuthQuery);
        assert!(asked.ends_with(b"\x40\xac\x02\x4d\x01\x00\x00\x00\x52\x03ask"), "{asked:x?}");
    }
}
