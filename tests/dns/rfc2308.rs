//! RFC 2308, negative caching.

use crate::ask::check;

const SOA: &str = "authority example.test. 60 SOA ns1.example.test. hostmaster.example.test. \
                   2024010101 7200 3600 1209600 60";

/// Sections 2.1 and 3: NXDOMAIN brings the SOA, its TTL the smaller of its own and its MINIMUM field.
#[test]
fn section_2_1_name_error() {
    for name in ["nothing", "a.b.c.nothing", "below.www", "nothing.ent", "x.leaf.empty.ent", "*"] {
        check(&format!("{name}.example.test A"), &format!("NXDOMAIN aa\n{SOA}"));
    }
}

/// Section 3, where the SOA's own TTL is the smaller one.
#[test]
fn section_3_the_soa_itself_lives_shorter() {
    check(
        "nothing.other.test A",
        "NXDOMAIN aa
         authority other.test. 30 SOA ns.other.test. hostmaster.other.test. 9 7200 3600 1209600 900",
    );
}

/// Section 2.2: no data of the type; an empty non-terminal exists (RFC 8020 section 2, RFC 4592 section 2.2.2).
#[test]
fn section_2_2_no_data() {
    for question in
        ["www.example.test MX", "example.test A", "empty.ent.example.test TXT", "ent.example.test A"]
    {
        check(question, &format!("NOERROR aa\n{SOA}"));
    }
}

/// Section 2.1: at the end of a chain the RCODE is that of its last name (RFC 6604 section 3).
/// Knot: a chain ends with its zone, and so does what is said of its end.
#[test]
fn section_2_1_at_the_end_of_a_chain() {
    check(
        "dangling.example.test A",
        &format!("NXDOMAIN aa\nanswer dangling.example.test. 300 CNAME nothing.example.test.\n{SOA}"),
    );
    check(
        "alias.example.test MX",
        &format!("NOERROR aa\nanswer alias.example.test. 300 CNAME www.example.test.\n{SOA}"),
    );
    check(
        "across-gone.example.test A",
        "NXDOMAIN aa
         answer across-gone.example.test. 300 CNAME nothing.other.test.
         authority other.test. 30 SOA ns.other.test. hostmaster.other.test. 9 7200 3600 1209600 900",
    );
}

/// The SOA that is asked for has its own TTL.
#[test]
fn the_soa_itself() {
    check(
        "example.test SOA",
        "NOERROR aa
         answer example.test. 3600 SOA ns1.example.test. hostmaster.example.test. \
         2024010101 7200 3600 1209600 60",
    );
}
