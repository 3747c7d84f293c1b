//! RFC 6672, DNAME.

use crate::ask::{Answer, ask, check};

const SOA: &str = "authority example.test. 60 SOA ns1.example.test. hostmaster.example.test. \
                   2024010101 7200 3600 1209600 60";

/// Section 3.1: below the owner the DNAME answers, with a CNAME made from it, and the answer goes on there.
#[test]
fn section_3_1_names_below_move() {
    check(
        "host.moved.example.test A",
        "NOERROR aa
         answer moved.example.test. 300 DNAME new.example.test.
         answer host.moved.example.test. 300 CNAME host.new.example.test.
         answer host.new.example.test. 300 A 192.0.2.90",
    );
    check(
        "x.star.moved.example.test A",
        "NOERROR aa
         answer moved.example.test. 300 DNAME new.example.test.
         answer x.star.moved.example.test. 300 CNAME x.star.new.example.test.
         answer x.star.new.example.test. 300 A 192.0.2.91",
    );
    check(
        "gone.moved.example.test A",
        &format!(
            "NXDOMAIN aa
             answer moved.example.test. 300 DNAME new.example.test.
             answer gone.moved.example.test. 300 CNAME gone.new.example.test.
             {SOA}"
        ),
    );
}

/// Section 2.3: the owner itself does not move.
#[test]
fn section_2_3_the_owner_stays() {
    check("moved.example.test DNAME", "NOERROR aa\nanswer moved.example.test. 300 DNAME new.example.test.");
    check("moved.example.test A", &format!("NOERROR aa\n{SOA}"));
}

/// Section 2.2: a name that would be too long is YXDOMAIN.
/// Knot: it says NXDOMAIN.
#[test]
fn section_2_2_too_long_a_name() {
    let answer = ask(&format!("{}.long.example.test A", "d".repeat(60))).udp();
    assert_eq!(answer.head(), "YXDOMAIN aa");
    assert_eq!(answer.message.answers.len(), 1);
    let fits = ask("d.long.example.test A").tcp();
    assert_eq!((fits.head().as_str(), fits.message.answers.len()), ("NXDOMAIN aa", 2));
}

/// Section 3.2: what a DNAME leads to may lie below it again. It stands in the answer once, and the last name decides.
#[test]
fn section_3_2_a_dname_applies_again() {
    check(
        "www.again.again.twice.example.test A",
        "NOERROR aa
         answer again.twice.example.test. 300 DNAME twice.example.test.
         answer www.again.again.twice.example.test. 300 CNAME www.again.twice.example.test.
         answer www.again.twice.example.test. 300 CNAME www.twice.example.test.
         answer www.twice.example.test. 300 A 192.0.2.92",
    );
    check(
        "nope.again.again.again.twice.example.test A",
        &format!(
            "NXDOMAIN aa
             answer again.twice.example.test. 300 DNAME twice.example.test.
             answer nope.again.again.again.twice.example.test. 300 CNAME nope.again.again.twice.example.test.
             answer nope.again.again.twice.example.test. 300 CNAME nope.again.twice.example.test.
             answer nope.again.twice.example.test. 300 CNAME nope.twice.example.test.
             {SOA}"
        ),
    );
}

/// A chain of redirections ends, whether it goes round or is long.
#[test]
fn section_3_2_chains_end() {
    let cnames = |answer: &Answer| answer.lines().iter().filter(|line| line.contains(" CNAME ")).count();
    let round = ask("www.to.round.example.test A").tcp();
    assert!((1..=20).contains(&cnames(&round)), "{:?}", round.lines());
    let long = ask(&format!("www{}.twice.example.test A", ".again".repeat(30))).tcp();
    assert!((1..=31).contains(&cnames(&long)), "{:?}", long.lines());
}

/// The target of a CNAME that is made on the way points at what the DNAME says: an answer that fits, fits.
/// NSD: it writes the target in full, and has no room for the SOA.
/// Knot: it writes the target in full.
#[test]
fn section_3_1_the_target_is_compressed() {
    let answer = ask("d.long.example.test A").udp();
    assert_eq!((answer.head().as_str(), answer.message.answers.len()), ("NXDOMAIN aa", 2));
    assert!(answer.bytes.len() <= 336, "{} bytes", answer.bytes.len());
}
