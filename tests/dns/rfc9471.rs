//! RFC 9471, glue in referrals.

use crate::ask::ask;

/// Section 3.1: all glue of in-domain name servers, or TC.
/// NSD: version 4.6 leaves glue out without TC.
#[test]
fn section_3_1_in_domain_glue_is_whole_or_truncated() {
    let question = ask("host.glue.example.test A");
    let small = question.udp();
    assert_eq!(small.head(), "NOERROR tc");
    assert_eq!(small.message.authorities.len(), 12, "the delegation itself fits");
    assert!(small.bytes.len() <= 512);

    for whole in [question.clone().edns(1232).udp(), question.tcp()] {
        assert_eq!(whole.head(), "NOERROR");
        assert_eq!((whole.message.authorities.len(), whole.message.additionals.len()), (12, 24));
    }
}

/// Section 3.2: the addresses of name servers elsewhere in the zone are sent where they fit.
#[test]
fn section_3_2_sibling_glue() {
    let referral = ask("host.sub.example.test A").udp();
    let names: Vec<String> =
        referral.message.additionals.iter().map(|record| record.name.to_string()).collect();
    assert!(names.contains(&"ns.sibling.example.test.".to_owned()), "{names:?}");
}
