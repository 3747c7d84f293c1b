//! RFC 4592, wildcards. The names are those of section 2.2.1, below `wild.example.test`.

use crate::ask::check;

const SOA: &str = "authority example.test. 60 SOA ns1.example.test. hostmaster.example.test. \
                   2024010101 7200 3600 1209600 60";

/// Section 2.2.1: "the following responses would be synthesized from one of the wildcards".
/// NSD: minimal responses leave additional data out.
#[test]
fn section_2_2_1_synthesised() {
    check(
        "host3.wild.example.test MX",
        "NOERROR aa
         answer host3.wild.example.test. 300 MX 10 mail.example.test.
         additional mail.example.test. 300 A 192.0.2.25",
    );
    check("host3.wild.example.test A", &format!("NOERROR aa\n{SOA}"));
    check("foo.bar.wild.example.test TXT", "NOERROR aa\nanswer foo.bar.wild.example.test. 300 TXT wildcard");
    check("a.wild.example.test TXT", "NOERROR aa\nanswer a.wild.example.test. 300 TXT wildcard");
}

/// Section 2.2.1: "the following responses would not be synthesized".
#[test]
fn section_2_2_1_not_synthesised() {
    // The name exists.
    check("host1.wild.example.test MX", &format!("NOERROR aa\n{SOA}"));
    // The name itself is one with an asterisk label.
    check("sub.*.wild.example.test MX", &format!("NOERROR aa\n{SOA}"));
    // The closest encloser is an empty non-terminal without a wildcard of its own.
    check("_telnet._tcp.host1.wild.example.test SRV", &format!("NXDOMAIN aa\n{SOA}"));
    check("_tcp.host2.wild.example.test TXT", &format!("NOERROR aa\n{SOA}"));
    check("other.host2.wild.example.test TXT", &format!("NXDOMAIN aa\n{SOA}"));
    // A delegation is not crossed.
    check(
        "host.cut.wild.example.test MX",
        "NOERROR\nauthority cut.wild.example.test. 300 NS ns.example.net.",
    );
    // The closest encloser is the asterisk itself, which has none below.
    check("ghost.*.wild.example.test MX", &format!("NXDOMAIN aa\n{SOA}"));
}

/// Section 2.1.3: a wildcard's own name can be asked for like any other.
#[test]
fn section_2_3_asked_for_by_name() {
    check("*.wild.example.test TXT", "NOERROR aa\nanswer *.wild.example.test. 300 TXT wildcard");
}

/// Section 4.3: a CNAME at a wildcard is followed, its owner the name asked for.
#[test]
fn section_4_3_cname() {
    check(
        "any.thing.wildalias.example.test AAAA",
        "NOERROR aa
         answer any.thing.wildalias.example.test. 300 CNAME www.example.test.
         answer www.example.test. 300 AAAA 2001:db8::10",
    );
}

/// Section 2.2: the wildcard's parent is not matched by it.
#[test]
fn section_2_2_the_parent_is_no_match() {
    check("wild.example.test TXT", &format!("NOERROR aa\n{SOA}"));
}
