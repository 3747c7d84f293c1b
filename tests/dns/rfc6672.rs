//! RFC 6672, DNAME.

use crate::ask::{ask, check};

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
