//! RFC 8914, extended errors: what an RCODE leaves open.

use crate::ask::{Ask, ask};

const EXTENDED_ERROR: u16 = 15;

/// The INFO-CODE, if there is one.
fn code(ask: &Ask) -> Option<u16> {
    let data = ask.clone().edns(1232).udp().option(EXTENDED_ERROR)?;
    Some(u16::from_be_bytes([data[0], data[1]]))
}

/// Section 4.21: a name in no zone, or a class of none, is asked for at the wrong server.
/// NSD: for a name in no zone it says 21, not supported.
/// Knot: it does not say why.
#[test]
fn section_4_21_not_authoritative() {
    assert_eq!(code(&ask("example.net A")), Some(20));
    assert_eq!(code(&ask("www.example.test A").class(4)), Some(20));
}

/// Section 4.19: what is there and not given to this client is prohibited.
/// NSD: it does not say why.
/// Knot: it does not say why.
#[test]
fn section_4_19_prohibited() {
    assert_eq!(code(&ask("example.test AXFR")), Some(18));
    assert_eq!(code(&ask("example.test IXFR")), Some(18));
}

/// Section 2: what an RCODE says in full has none.
#[test]
fn section_2_no_more_than_needed() {
    for question in
        ["www.example.test A", "nothing.example.test A", "sub.example.test A", "long.example.test A"]
    {
        assert_eq!(code(&ask(question)), None, "{question}");
    }
}

/// Section 3: who does not speak EDNS is not spoken to in it.
#[test]
fn section_3_without_edns() {
    assert!(ask("example.net A").udp().edns().is_none());
}
