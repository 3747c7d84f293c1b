//! RFC 7871, client subnets.

use crate::ask::ask;

const SUBNET: u16 = 8;

/// Section 7.2.1: the answer is the same for everybody, so it comes back with a scope of zero.
/// NSD: the option is passed over.
/// Knot: the option is passed over where no module reads it.
#[test]
fn section_7_2_1_scope_zero() {
    let subnets: [&[u8]; 3] =
        [&[0, 1, 24, 0, 198, 51, 100], &[0, 1, 0, 0], &[0, 2, 48, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 1]];
    for subnet in subnets {
        for question in ["www.example.test A", "nothing.example.test A", "host.sub.example.test A"] {
            let answer = ask(question).edns(1232).option(SUBNET, subnet).udp();
            assert_eq!(answer.option(SUBNET).as_deref(), Some(subnet), "{question} {subnet:?}");
        }
    }
}

/// Section 6: what is malformed is a format error.
/// NSD: the option is passed over.
/// Knot: the option is passed over where no module reads it.
#[test]
fn section_6_malformed() {
    let broken: [(&str, &[u8]); 6] = [
        ("no address where there should be one", &[0, 1, 24, 0]),
        ("an address longer than its prefix", &[0, 1, 24, 0, 198, 51, 100, 7]),
        ("bits past the prefix", &[0, 1, 20, 0, 198, 51, 100]),
        ("a prefix longer than an address", &[0, 1, 33, 0, 198, 51, 100, 7, 0]),
        ("a scope in a query", &[0, 1, 24, 24, 198, 51, 100]),
        ("cut off", &[0, 1]),
    ];
    for (what, subnet) in broken {
        let answer = ask("www.example.test A").edns(1232).option(SUBNET, subnet).udp();
        // RFC 6891 section 6.1.1: with an OPT, as it came with one.
        assert_eq!((answer.head().as_str(), answer.edns().is_some()), ("FORMERR", true), "{what}");
    }
}
