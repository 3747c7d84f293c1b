//! RFC 8482, minimal answers to ANY.

use hickory_proto::rr::Record;

use crate::ask::{ask, check};

/// Section 4.1: one RRset of those there are.
/// NSD: refuse-any answers every ANY over UDP with TC.
#[test]
fn section_4_1_one_rrset() {
    for name in ["www.example.test", "example.test", "any.wild.example.test"] {
        let answer = ask(&format!("{name} ANY")).udp();
        assert_eq!(answer.head(), "NOERROR aa", "{name}");
        let mut types: Vec<_> = answer.message.answers.iter().map(Record::record_type).collect();
        types.dedup();
        assert_eq!(types.len(), 1, "{name}: {types:?}");
    }
}

/// Section 4: a CNAME is an RRset like others.
/// NSD: refuse-any answers every ANY over UDP with TC.
#[test]
fn section_4_cname() {
    check("alias.example.test ANY", "NOERROR aa\nanswer alias.example.test. 300 CNAME www.example.test.");
}

/// Section 4: names that are not there, or hold nothing, are so for ANY too.
/// NSD: refuse-any answers every ANY over UDP with TC.
#[test]
fn section_4_nothing() {
    let soa = "authority example.test. 60 SOA ns1.example.test. hostmaster.example.test. \
               2024010101 7200 3600 1209600 60";
    check("nothing.example.test ANY", &format!("NXDOMAIN aa\n{soa}"));
    check("ent.example.test ANY", &format!("NOERROR aa\n{soa}"));
}
