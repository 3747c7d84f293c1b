//! What must hold among RRsets.

use super::*;

fn check_zone(text: &str, want: &[&str]) {
    assert_eq!(told(&parsed(text).expect_err(text)), want, "{text}");
}

#[test]
fn one_soa_at_the_apex() {
    check_zone(
        "",
        &[
            "zone: error: the zone has no SOA; begin it with \"example.com. 1h IN SOA PRIMARY MAILBOX 1 1h 15m 1w 5m\"",
        ],
    );
    check_zone(
        "$TTL 1\n@ SOA a. b. 1 1 1 1 1\n",
        &["zone:2:1: error: the apex has no NS; add \"example.com. 1h IN NS SERVER\" for each server"],
    );
    check_errors(
        "\n@ SOA a. b. 2 1 1 1 1\n",
        &["zone:5:1: error: example.com. has a second SOA; it may have one; the first is at line 2"],
    );
    check_errors(
        "sub SOA a. b. 2 1 1 1 1\n",
        &["zone:4:1: error: sub.example.com. has a SOA, but only the apex example.com. has one"],
    );
    // A transfer's end repeats the SOA.
    check_warnings(
        "@ SOA ns.example.net. host 1 2h 1h 1w 5m",
        &[
            "zone:4:1: warning: SOA \"ns.example.net. host.example.com. 1 7200 3600 604800 300\" stands twice; \
         it is kept once; the first is at line 2",
        ],
    );
}

#[test]
fn a_typo_is_one_problem() {
    check_zone(
        "$TTL 1\n@ SOA a. b. 1 1 1 1 x\n@ NS ns\n",
        &["zone:2:21: error: \"x\" is not a time in seconds or like 1h30m"],
    );
}

#[test]
fn a_cname_stands_alone() {
    let check = |text: &str, others: &str, at: u32| {
        let want = format!(
            "www.example.com. has a CNAME and {others} records; a CNAME stands alone (RFC 1034 section 3.6.2)"
        );
        check_errors(text, &[&format!("zone:4:1: error: {want}; the others begin at line {at}")]);
    };
    check("www CNAME a\nx A 192.0.2.1\nwww A 192.0.2.1\n", "A", 6);
    check("www CNAME a\nwww DNAME b\n", "DNAME", 5);
    check_errors(
        "www CNAME a\nwww CNAME b\n",
        &["zone:5:1: error: www.example.com. has a second CNAME; it may have one; the first is at line 4"],
    );
    check_errors(
        "@ CNAME a",
        &[
            "zone:4:1: error: example.com. has a CNAME and NS records; a CNAME stands alone (RFC 1034 section 3.6.2); \
         the others begin at line 3",
        ],
    );
    check_warnings("www 1 CNAME a\nwww 1 NSEC x CNAME\nwww 1 RRSIG CNAME 8 3 1 1 1 1 @ AA==", &[]);
}

#[test]
fn records_of_a_set_have_one_ttl() {
    check_warnings(
        "www 60 A 192.0.2.2\nwww 30 A 192.0.2.1\nwww 90 A 192.0.2.3",
        &["zone:5:1: warning: the A records of www.example.com. have TTLs of 60 and 30; all get 30 \
         (RFC 2181 section 5.2); the first is at line 4"],
    );
    let (zone, _) = parsed(format!("{APEX}www 60 A 192.0.2.2\nwww 30 A 192.0.2.1")).unwrap();
    assert_eq!(lines(&zone), ["www.example.com. 30 IN A 192.0.2.1", "www.example.com. 30 IN A 192.0.2.2"]);
    check_warnings("www 60 A 192.0.2.2\nwww 30 AAAA ::1", &[]);
    check_warnings("w 5 A 192.0.2.2\nw 5 RRSIG A 8 3 5 1 1 1 @ AA==\nw 6 RRSIG NSEC 8 3 6 1 1 1 @ AA==", &[]);
    check_warnings(
        "w 6 RRSIG A 8 3 5 1 1 1 @ AA==",
        &[
            "zone:4:1: warning: the RRSIG has a TTL of 6 and was made for one of 5, which it gets (RFC 4034 section 3)",
        ],
    );
    let signatures = "w 5 RRSIG A 8 3 5 1 1 1 @ AA==\nw 6 RRSIG NSEC 8 3 6 1 1 1 @ AA==";
    let (zone, _) = parsed(format!("{APEX}{signatures}")).unwrap();
    let ttls: Vec<String> =
        lines(&zone).iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    assert_eq!(ttls, ["5", "6"], "each its own");
}

#[test]
fn records_are_kept_once() {
    check_warnings(
        "www A 192.0.2.1\nwww A 192.0.2.2\nWWW A 192.0.2.1",
        &["zone:6:1: warning: A \"192.0.2.1\" stands twice; it is kept once; the first is at line 4"],
    );
    let (zone, _) = parsed(format!("{APEX}www MX 1 A.\nwww MX 1 a.")).unwrap();
    assert_eq!(lines(&zone), ["www.example.com. 3600 IN MX 1 a."]);
}

#[test]
fn servers_have_addresses() {
    let lacking = |server: &str, of: &str| {
        format!("warning: server {server}.example.com. of {of} has no address here; add its A or AAAA")
    };
    check_warnings("@ NS ns1\n", &[&format!("zone:3:1: {}", lacking("ns1", "example.com."))]);
    check_warnings("@ NS ns1\nns1 AAAA ::1", &[]);
    check_warnings("@ NS ns1\n* A 192.0.2.1", &[]);
    check_warnings("sub NS ns.sub\n", &[&format!("zone:4:1: {}", lacking("ns.sub", "sub.example.com."))]);
    check_warnings("sub NS ns.sub\nns.sub A 192.0.2.1", &[]);
    check_warnings("sub NS sub\nsub A 192.0.2.1", &[]);
    check_warnings("sub NS ns.example.net.\n", &[]);
    // Another delegation's names are its own to tell.
    check_warnings("sub NS ns.other\nother NS ns.other\nns.other A 192.0.2.1", &[]);
    check_warnings("sub NS a.b.other\nother NS ns.example.net.", &[]);
}

#[test]
fn hosts_are_no_cnames() {
    let check = |rtype: &str, rdata: &str| {
        let told = "is a CNAME; name the host it stands for (RFC 2181 section 10.3)";
        check_warnings(
            &format!("c CNAME example.net.\nx {rtype} {rdata} c\n"),
            &[&format!("zone:5:1: warning: x.example.com. {rtype} names c.example.com., which {told}")],
        );
    };
    check("MX", "10");
    check("SRV", "1 1 1");
    check("NS", "");
    check_warnings("c CNAME example.net.\nx MX 10 d", &[]);
}

#[test]
fn occluded_data_is_told() {
    let told = |line: u32, what: &str| {
        format!(
            "zone:{line}:1: warning: {what} is never answered: the delegation of sub.example.com. occludes it; that stands at line 4"
        )
    };
    let check = |text: &str, what: &str| {
        check_warnings(&format!("sub NS ns.example.net.\n{text}"), &[&told(5, what)]);
    };
    check("www.sub A 192.0.2.1", "www.sub.example.com. A");
    check("sub TXT x", "sub.example.com. TXT");
    check("sub A 192.0.2.1", "sub.example.com. A");
    check("a.b.sub NS ns.example.net.", "a.b.sub.example.com. NS");
    check_warnings(
        "sub NS ns.sub\nns.sub A 192.0.2.1\nsub DS 1 8 1 0123456789abcdef0123456789abcdef01234567\nsub NSEC www NS\nsubb A 192.0.2.1",
        &[],
    );
    check_warnings("sub NS ns.sub\nns.sub A 192.0.2.1\nns.sub TXT x", &[&told(6, "ns.sub.example.com. TXT")]);
}

#[test]
fn dnames_redirect_all_below() {
    check_warnings(
        "d DNAME example.net.\nd A 192.0.2.1\nx.d A 192.0.2.1",
        &[
            "zone:6:1: warning: x.d.example.com. A is never answered: the DNAME of d.example.com. occludes it; \
         that stands at line 4",
        ],
    );
    check_warnings(
        "@ DNAME example.net.\nx A 192.0.2.1",
        &["zone:5:1: warning: x.example.com. A is never answered: the DNAME of example.com. occludes it; \
         that stands at line 4"],
    );
    check_errors(
        "d DNAME a.\nd DNAME b.",
        &["zone:5:1: error: d.example.com. has a second DNAME; it may have one; the first is at line 4"],
    );
    check_errors(
        "d DNAME a.\nd NS b.",
        &["zone:4:1: error: d.example.com. is both a DNAME and a delegation (RFC 6672 section 2.3); \
         the NS stands at line 5"],
    );
}

#[test]
fn the_root_is_a_zone_too() {
    let text = "$TTL 1\n. SOA a. b. 1 1 1 1 1\n. NS ns.\nns A 192.0.2.1\ncom NS ns\nx.com A 192.0.2.1";
    let none = &mut |_: &str| Err(String::new());
    let (zone, warnings) = parse(&crate::dns::Name::root(), "root", text.as_bytes(), none).unwrap();
    assert_eq!((zone.len(), zone.serial().0), (5, 1));
    assert_eq!(
        told(&warnings),
        [
            "root:6:1: warning: x.com. A is never answered: the delegation of com. occludes it; that stands at line 5"
        ],
    );
}
