//! RFC 1034, domain names: concepts.

use crate::ask::check;

const SOA: &str = "authority example.test. 60 SOA ns1.example.test. hostmaster.example.test. \
                   2024010101 7200 3600 1209600 60";

/// Section 3.7.1: an RRset is answered whole, with authority.
#[test]
fn section_3_7_1_whole_rrsets() {
    check(
        "www.example.test A",
        "NOERROR aa
         answer www.example.test. 300 A 192.0.2.10
         answer www.example.test. 300 A 192.0.2.11",
    );
    check("www.example.test AAAA", "NOERROR aa\nanswer www.example.test. 300 AAAA 2001:db8::10");
    check(r"odd\.label.example.test A", "NOERROR aa\nanswer odd\\.label.example.test. 300 A 192.0.2.40");
    check("example.test TXT", "NOERROR aa\nanswer example.test. 300 TXT apex");
}

/// Section 3.6.2: a CNAME is followed, the chain is in the answer.
#[test]
fn section_3_6_2_aliases_are_followed() {
    check(
        "alias2.example.test AAAA",
        "NOERROR aa
         answer alias2.example.test. 300 CNAME alias.example.test.
         answer alias.example.test. 300 CNAME www.example.test.
         answer www.example.test. 300 AAAA 2001:db8::10",
    );
    check("alias.example.test CNAME", "NOERROR aa\nanswer alias.example.test. 300 CNAME www.example.test.");
    check(
        "to-wild.example.test TXT",
        "NOERROR aa
         answer to-wild.example.test. 300 CNAME any.wild.example.test.
         answer any.wild.example.test. 300 TXT wildcard",
    );
}

/// Knot: a chain ends after five names; the resolver asks on.
#[test]
fn section_3_6_2_long_chains_are_followed() {
    let links = (1..8).map(|i| format!("answer c0{i}.example.test. 300 CNAME c0{}.example.test.", i + 1));
    let chain: Vec<String> = links.collect();
    let rest = "answer c08.example.test. 300 CNAME www.example.test.
                answer www.example.test. 300 AAAA 2001:db8::10";
    check("c01.example.test AAAA", &format!("NOERROR aa\n{}\n{rest}", chain.join("\n")));
}

/// A chain that comes back ends where it began.
#[test]
fn section_3_6_2_loops_end() {
    check(
        "loop1.example.test A",
        "NOERROR aa
         answer loop1.example.test. 300 CNAME loop2.example.test.
         answer loop2.example.test. 300 CNAME loop1.example.test.",
    );
    check("self.example.test A", "NOERROR aa\nanswer self.example.test. 300 CNAME self.example.test.");
}

/// Section 4.3.2 step 3a: "change QNAME to the canonical name in the CNAME RR, and go back to step 1",
/// which is to look through all zones of this server.
/// Knot: a chain ends with its zone; the resolver asks on.
#[test]
fn section_4_3_2_chains_across_zones() {
    check(
        "across.example.test A",
        "NOERROR aa
         answer across.example.test. 300 CNAME www.other.test.
         answer www.other.test. 300 A 192.0.2.201",
    );
    check(
        "back.other.test AAAA",
        "NOERROR aa
         answer back.other.test. 300 CNAME www.example.test.
         answer www.example.test. 300 AAAA 2001:db8::10",
    );
    check(
        "outside.example.test A",
        "NOERROR aa
         answer outside.example.test. 300 CNAME www.example.net.",
    );
}

/// Section 4.2.1: below a cut is the child's business: a referral, without authority.
/// NSD: refuse-any answers every ANY over UDP with TC, a referral too.
#[test]
fn section_4_2_1_referrals() {
    let referral = "NOERROR
         authority sub.example.test. 300 NS ns.sub.example.test.
         authority sub.example.test. 300 NS ns.sibling.example.test.
         authority sub.example.test. 300 NS ns.example.net.
         additional ns.sub.example.test. 300 A 192.0.2.101
         additional ns.sub.example.test. 300 AAAA 2001:db8::101
         additional ns.sibling.example.test. 300 A 192.0.2.102";
    for question in [
        "sub.example.test A",
        "sub.example.test NS",
        "sub.example.test SOA",
        "host.sub.example.test A",
        "a.b.c.sub.example.test A",
        "sub.example.test ANY",
        // Occluded data and glue are the child's to answer with.
        "hidden.sub.example.test TXT",
        "ns.sub.example.test A",
        "below.hidden.sub.example.test A",
    ] {
        check(question, referral);
    }
}

/// Section 4.3.2 step 3b after 3a: a chain that ends below a cut ends in a referral; AA speaks of its first
/// name.
#[test]
fn section_4_3_2_a_chain_into_a_delegation() {
    check(
        "to-cut.example.test A",
        "NOERROR aa
         answer to-cut.example.test. 300 CNAME host.sub.example.test.
         authority sub.example.test. 300 NS ns.sub.example.test.
         authority sub.example.test. 300 NS ns.sibling.example.test.
         authority sub.example.test. 300 NS ns.example.net.
         additional ns.sub.example.test. 300 A 192.0.2.101
         additional ns.sub.example.test. 300 AAAA 2001:db8::101
         additional ns.sibling.example.test. 300 A 192.0.2.102",
    );
}

/// Section 4.3.2 step 6: addresses of the names in the answer come along.
/// NSD: minimal responses leave additional data out; without them each answer has the NS of the apex.
#[test]
fn section_4_3_2_additional_data() {
    check(
        "example.test MX",
        "NOERROR aa
         answer example.test. 300 MX 10 mail.example.test.
         additional mail.example.test. 300 A 192.0.2.25",
    );
    check(
        "example.test NS",
        "NOERROR aa
         answer example.test. 300 NS ns1.example.test.
         answer example.test. 300 NS ns2.example.test.
         additional ns1.example.test. 300 A 192.0.2.1
         additional ns1.example.test. 300 AAAA 2001:db8::1
         additional ns2.example.test. 300 A 192.0.2.2",
    );
    check(
        "_sip._tcp.example.test SRV",
        "NOERROR aa
         answer _sip._tcp.example.test. 300 SRV 1 2 5060 mail.example.test.
         additional mail.example.test. 300 A 192.0.2.25",
    );
}

/// Section 4.3.2 step 2: "the zone which is the nearest ancestor": a child served beside its parent.
#[test]
fn section_4_3_2_the_nearest_zone_answers() {
    check("www.child.example.test A", "NOERROR aa\nanswer www.child.example.test. 300 A 192.0.2.152");
    check("ns.child.example.test A", "NOERROR aa\nanswer ns.child.example.test. 300 A 192.0.2.151");
    check(
        "child.example.test NS",
        "NOERROR aa
         answer child.example.test. 300 NS ns.child.example.test.
         additional ns.child.example.test. 300 A 192.0.2.151",
    );
    check(
        "nothing.child.example.test A",
        "NXDOMAIN aa
         authority child.example.test. 90 SOA ns.child.example.test. hostmaster.child.example.test. \
         7 7200 3600 1209600 90",
    );
}

/// RFC 1034 section 3.1: names above a zone are not this server's.
#[test]
fn names_outside_the_zones_are_refused() {
    for question in ["example.net A", "test A", ". NS", "xexample.test A", "www.example.test.net A"] {
        check(question, "REFUSED");
    }
}

/// Section 3.1: any label may hold anything, and an empty answer is an answer.
#[test]
fn names_without_the_type_have_no_data() {
    check("www.example.test MX", &format!("NOERROR aa\n{SOA}"));
}
