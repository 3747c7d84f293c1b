//! RFC 4035, DNSSEC: what holds for zones without signatures too.

use crate::ask::ask;

/// Section 3.1.4.1: DS is the parent's, also where the child is served here.
#[test]
fn section_3_1_4_1_ds_is_answered_by_the_parent() {
    let tag = |name: &str| {
        let answer = ask(&format!("{name} DS")).udp();
        assert_eq!(answer.head(), "NOERROR aa", "{name}");
        assert_eq!((answer.message.answers.len(), answer.message.authorities.len()), (1, 0), "{name}");
        // Header, question, then a record's head: the RDATA begins with the key tag.
        let at = ask(&format!("{name} DS")).bytes().len() + 12;
        u16::from_be_bytes([answer.bytes[at], answer.bytes[at + 1]])
    };
    assert_eq!(tag("secure.example.test"), 12345);
    assert_eq!(tag("child.example.test"), 54321);
}

/// Section 3.1.4.1: no DS at a cut is the parent's to say.
#[test]
fn section_3_1_4_1_no_ds() {
    crate::ask::check(
        "sub.example.test DS",
        "NOERROR aa
         authority example.test. 60 SOA ns1.example.test. hostmaster.example.test. \
         2024010101 7200 3600 1209600 60",
    );
    // At the apex of a zone whose parent is not here the zone itself has to say so.
    crate::ask::check(
        "other.test DS",
        "NOERROR aa
         authority other.test. 30 SOA ns.other.test. hostmaster.other.test. 9 7200 3600 1209600 900",
    );
}

/// Below a cut even DS is the child's business.
#[test]
fn ds_below_a_cut_is_referred() {
    let answer = ask("host.secure.example.test DS").udp();
    assert_eq!((answer.head().as_str(), answer.message.answers.len()), ("NOERROR", 0));
}

/// Section 3.2.1 (RFC 3225 section 3): DO comes back as it was sent; section 3.1.6: AD and CD do not.
#[test]
fn section_3_2_1_do_is_repeated() {
    for (flags, want) in [(0u32, false), (0x8000, true)] {
        let answer = ask("www.example.test A").flags(0, 0x30).edns(1232).edns_flags(flags).udp();
        assert_eq!(answer.edns().map(|edns| edns.flags().dnssec_ok), Some(want));
        assert_eq!(answer.head(), "NOERROR aa");
    }
}
