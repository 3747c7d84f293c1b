//! RFC 9460, SVCB and HTTPS.

use crate::ask::ask;

/// The owners and types of an answer's additional section, sorted.
fn additional(question: &str) -> Vec<String> {
    let answer = ask(question).tcp();
    assert_eq!(answer.head(), "NOERROR aa", "{question}");
    let records = answer.message.additionals.iter();
    let mut told: Vec<String> =
        records.map(|r| format!("{} {}", r.name, u16::from(r.record_type()))).collect();
    told.sort();
    told
}

/// Section 4.1: A, AAAA and the bindings of targets in the zone are added, each once.
/// NSD: it adds nothing.
/// Knot: it takes the root for a target that is not there, and adds twice what two records name.
#[test]
fn section_4_1_targets_come_with_their_addresses_and_bindings() {
    let back = ["back.bind.example.test. 1", "back.bind.example.test. 65"];
    assert_eq!(
        additional("pool.bind.example.test TYPE65"),
        [back[0], back[1], "pool.bind.example.test. 1"],
        "the root as a target stands for the owner (section 2.5)"
    );
    let resolver = ["resolver.bind.example.test. 28", "resolver.bind.example.test. 64"];
    assert_eq!(additional("_dns.bind.example.test TYPE64"), resolver);
    let pool = ["pool.bind.example.test. 1"].into_iter().chain(["pool.bind.example.test. 65"; 3]);
    assert_eq!(additional("alias.bind.example.test TYPE65"), pool.collect::<Vec<_>>());
}

/// Section 2.5.2: the owner that the root stands for is the name that was asked for, also where a wildcard answers.
/// NSD: it adds nothing.
/// Knot: it takes the root for a target that is not there.
#[test]
fn section_2_5_2_the_owner_of_a_wildcard_is_the_name_asked_for() {
    assert_eq!(additional("x.any.bind.example.test TYPE65"), ["x.any.bind.example.test. 1"]);
}
