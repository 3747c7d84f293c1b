//! RFC 7828, edns-tcp-keepalive: how long a connection may be idle.

use crate::ask::ask;

const KEEPALIVE: u16 = 11;

/// Section 3.3.2: who asks over TCP is told, in tenths of a second; who does not ask is not.
/// NSD: the option is passed over.
/// Knot: the option is passed over.
#[test]
fn section_3_3_2_over_tcp() {
    let answer = ask("www.example.test A").edns(1232).option(KEEPALIVE, b"").tcp();
    let idle = answer.option(KEEPALIVE).expect("a timeout");
    assert!(u16::from_be_bytes(idle.try_into().expect("two bytes")) > 0);
    assert_eq!(answer.head(), "NOERROR aa");
    assert_eq!(ask("www.example.test A").edns(1232).tcp().option(KEEPALIVE), None);
}

/// Section 3.2.1: over UDP the option is passed over.
#[test]
fn section_3_2_1_not_over_udp() {
    let answer = ask("www.example.test A").edns(1232).option(KEEPALIVE, b"").udp();
    assert_eq!((answer.head().as_str(), answer.option(KEEPALIVE)), ("NOERROR aa", None));
}
