//! RDATA of every type: text in, the same or canonical text out.

use super::*;
use crate::dns::{RrType, rdata_text};

/// The RDATA means what it says, and is printed as `want`.
fn check(text: &str, want: &str) {
    check_records(&format!("x {text}"), &[&format!("x.example.com. 3600 IN {want}")]);
}

/// The RDATA is printed as it is written.
fn same(text: &str) {
    check(text, text);
}

/// The one problem of the RDATA, from its column on; `x ` stands before the text.
fn refused(text: &str, want: &str) {
    check_errors(&format!("x {text}"), &[&format!("zone:4:{want}")]);
}

#[test]
fn rfc1035_types() {
    same("A 192.0.2.1");
    check("CNAME www", "CNAME www.example.com.");
    same("PTR .");
    check("HINFO PC \"Plan 9\"", "HINFO \"PC\" \"Plan 9\"");
    check("MX 10 MAIL", "MX 10 mail.example.com.");
    same("MINFO a.example.net. b.example.net.");
    check(r#"TXT a "b c" "" \"q\" a\;b \200"#, r#"TXT "a" "b c" "" "\"q\"" "a;b" "\200""#);
    check("SPF v=spf1", "SPF \"v=spf1\"");
    refused("A 192.0.2.256", "5: error: \"192.0.2.256\" is not an IPv4 address like 192.0.2.1");
    refused("A", "4: error: the line ends too early: an IPv4 address like 192.0.2.1 is missing");
    refused("A 192.0.2.1 x", "15: error: \"x\" stands after the end of the A record; take it away");
    refused("MX mail", "6: error: \"mail\" is not a number up to 65535");
    refused("MX 65536 mail", "6: error: \"65536\" is not a number up to 65535");
    refused("MX +1 mail", "6: error: \"+1\" is not a number up to 65535");
    refused("MX 10 a..b", "9: error: name \"a..b\" has an empty label");
    refused("TXT", "6: error: the line ends too early: a string is missing");
    refused(
        r"TXT a\300",
        r#"7: error: "a\300" has a bad escape: write \DDD with a number up to 255, or \ before one character"#,
    );
    refused(
        &format!("TXT {}", "a".repeat(256)),
        "7: error: a string of 256 bytes; one holds at most 255: split it into several, each in quotes",
    );
}

#[test]
fn service_types() {
    check("AAAA 2001:DB8:0::1", "AAAA 2001:db8::1");
    same("SRV 1 2 443 host.example.net.");
    same(r#"NAPTR 100 10 "S" "SIP+D2U" "!^.*$!sip:a@b!" _sip._udp.example.com."#);
    same("AFSDB 1 host.example.net.");
    same("RP who.example.net. .");
    same("KX 5 host.example.net.");
    same("DNAME example.net.");
    same(r#"URI 10 1 "https://example.net/?a=\"b\"""#);
    same(r#"CAA 128 issue "ca.example; account=1""#);
    check("CAA 0 iodef mailto:a@b", r#"CAA 0 iodef "mailto:a@b""#);
    same("LOC 52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m");
    check("LOC 52 N 4 E 0", "LOC 52 0 0.000 N 4 0 0.000 E 0.00m 1.00m 10000.00m 10.00m");
    same("EUI48 00-00-5e-00-53-2a");
    same("EUI64 00-00-5e-ef-10-00-00-2a");
    same("IPSECKEY 10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==");
    same("IPSECKEY 10 0 0 .");
    check("IPSECKEY 10 3 2 Gw AQ==", "IPSECKEY 10 3 2 Gw.example.com. AQ==");
    refused("AAAA 192.0.2.1", "8: error: \"192.0.2.1\" is not an IPv6 address like 2001:db8::1");
    refused("CAA 0 a-b x", "9: error: \"a-b\" is not a tag of 1 to 255 letters and digits");
    refused("LOC 91 N 4 E 0", "7: error: \"91 N 4 E 0\" is not a location like 51 30 12 N 0 7 39 W 10m");
    refused(
        "EUI48 00-00-5e-00-53",
        "9: error: \"00-00-5e-00-53\" is not an EUI-48 address like 00-00-5e-00-53-2a",
    );
    refused("IPSECKEY 10 4 2 . AQ==", "19: error: gateway type 4 is unknown; write one up to 3");
    refused("IPSECKEY 10 0 2 x AQ==", "19: error: \"x\" is not a dot, which gateway type 0 wants");
}

#[test]
fn security_types() {
    same("DS 60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118");
    check("CDS 0 0 0 00", "CDS 0 0 0 00");
    check("DNSKEY 257 3 RSASHA256 ( AwEA\n AQ== )", "DNSKEY 257 3 8 AwEAAQ==");
    same("CDNSKEY 0 3 0 AA==");
    same("RRSIG A 5 3 3600 20030322173103 20030220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0MQ==");
    check(
        "RRSIG TYPE1 ed25519 3 1h 1048354263 0 1 . AA==",
        "RRSIG A 15 3 3600 20030322173103 19700101000000 1 . AA==",
    );
    check("NSEC Host A MX RRSIG NSEC TYPE1234", "NSEC Host.example.com. A MX RRSIG NSEC TYPE1234");
    check(
        "NSEC3 1 1 12 aabbccdd 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NS A",
        "NSEC3 1 1 12 aabbccdd 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A NS",
    );
    same("NSEC3 1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR");
    same("NSEC3PARAM 1 0 0 -");
    same("SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789");
    check("TLSA 3 1 1 ( d2ab\n de24 )", "TLSA 3 1 1 d2abde24");
    same("SMIMEA 3 0 0 00");
    same("OPENPGPKEY AQID");
    same("DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=");
    check("CERT PGP 0 0 AQID", "CERT 3 0 0 AQID");
    same("CSYNC 66 3 A NS AAAA");
    check(
        &format!("ZONEMD 2018031500 1 1 {}", "feBB".repeat(24)),
        &format!("ZONEMD 2018031500 1 1 {}", "febb".repeat(24)),
    );
    refused("DS 1 8 2 abc", "12: error: \"abc\" is not hex");
    refused("DS 1 8 2", "11: error: the line ends too early: hex is missing");
    refused("DNSKEY 257 3 8 A", "18: error: \"A\" is not base64");
    refused(
        "RRSIG A 5 3 1 20031322173103 0 1 . AA==",
        "17: error: \"20031322173103\" is not a time as YYYYMMDDHHmmSS",
    );
    refused("NSEC host A FOO", "15: error: \"FOO\" is not a record type");
    refused("NSEC3 1 0 0 - W", "17: error: \"W\" is not a hash in base32hex");
}

#[test]
fn service_binding_types() {
    // RFC 9460 appendix D.
    same("HTTPS 0 foo.example.com.");
    same("SVCB 1 .");
    same("SVCB 16 foo.example.com. port=53");
    same("SVCB 1 foo.example.com. key667=\"hello\"");
    same("SVCB 1 foo.example.com. key667=\"hello\\210qoo\"");
    same("SVCB 1 foo.example.com. ipv6hint=2001:db8::1,2001:db8::53:1");
    check(
        "SVCB 16 foo (alpn=h2,h3-19 mandatory=ipv4hint,alpn\n ipv4hint=192.0.2.1)",
        "SVCB 16 foo.example.com. mandatory=alpn,ipv4hint alpn=\"h2,h3-19\" ipv4hint=192.0.2.1",
    );
    let escaped = r#"SVCB 16 foo.example.org. alpn="f\\\\oo\\,bar,h2""#;
    same(escaped);
    check(r"SVCB 16 foo.example.org. alpn=f\\\092oo\092,bar,h2", escaped);
    check(
        "HTTPS 1 . ALPN=\"h2\" no-default-alpn ech=\"AQI=\"",
        "HTTPS 1 . alpn=\"h2\" no-default-alpn ech=\"AQI=\"",
    );
    same("SVCB 1 Case.example.com. dohpath=\"/q{?dns}\" ohttp");
    let refused = |params: &str, why: &str| {
        check_errors(&format!("x HTTPS 1 . {params}"), &[&format!("zone:4:13: error: {why}")]);
    };
    refused("key123=a key123=b", "the list of SvcParams has a key twice; each may stand once");
    refused(
        "mandatory=alpn",
        "the list of SvcParams has a mandatory list that is empty or names a key twice, itself, or one not here",
    );
    refused("alpn", "the list of SvcParams has an empty or broken value");
    refused(
        "no-default-alpn=x",
        "the list of SvcParams has no-default-alpn without alpn (RFC 9460 section 7.1.1)",
    );
    refused("port=http", "\"port=http\" is no port; write a number up to 65535");
    refused("ipv4hint=::1", "\"ipv4hint=::1\" has a part that is no address; write addresses and commas");
    refused("foo=1", "\"foo=1\" is no SvcParam; write a key like alpn or port, or keyNNNNN");
}

#[test]
fn types_that_few_zones_hold() {
    check("WKS 192.0.2.1 TCP smtp 80", "WKS 192.0.2.1 6 25 80");
    same("WKS 192.0.2.1 17");
    check("NSAP 0x47.0005.80.005a00", "NSAP 0x47000580005a00");
    same("NSAP-PTR host.example.net.");
    check("NXT WWW A SOA", "NXT www.example.com. A SOA");
    same("SIG A 8 2 3600 20300101000000 20291201000000 60485 example.com. AQID");
    same("APL 1:192.0.2.0/24 !1:192.0.2.128/25 2:2001:db8::/32");
    same("APL 1:0.0.0.0/0");
    same("NID 10 0014:4fff:ff20:ee64");
    check("NID 10 14:4fff:0:1", "NID 10 0014:4fff:0000:0001");
    same("L32 10 10.1.2.0");
    same("L64 10 2001:0db8:1140:1000");
    check("LP 10 l64-subnet1", "LP 10 l64-subnet1.example.com.");
    same(r#"AVC "app-name:WOLFGANG|app-class:OAM""#);
    same(r#"RESINFO "qnamemin" "exterr=15-17""#);
    refused(
        "APL 1:192.0.2.0/33",
        "7: error: \"1:192.0.2.0/33\" is not a prefix like 1:192.0.2.0/24 or !2:2001:db8::/32",
    );
    refused(
        "NID 10 14:4fff:0",
        "10: error: \"14:4fff:0\" is not four groups of hex digits like 0014:4fff:ff20:ee64",
    );
    refused("NXT www TYPE300", "11: error: \"TYPE300\" is not a record type up to 127");
    refused("NSAP 4700", "8: error: \"4700\" is not an NSAP address like 0x47000580");
}

#[test]
fn a_digest_is_as_long_as_its_type_says() {
    let sha256 = "d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a";
    same(&format!("CDS 1 8 2 {sha256}"));
    same("CDS 0 0 0 00");
    same(&format!("ZONEMD 1 1 1 {}", "ab".repeat(48)));
    same(&format!("ZONEMD 1 1 240 {}", "ab".repeat(12)));
    refused("DS 1 8 2 AABB", "12: error: a digest of 2 bytes; one of digest type 2 has 32");
    refused(&format!("DS 1 8 1 {sha256}"), "12: error: a digest of 32 bytes; one of digest type 1 has 20");
    refused("CDS 1 8 4 aabb", "13: error: a digest of 2 bytes; one of digest type 4 has 48");
    let wrong =
        "error: a digest of 4 bytes; hash 1 (SHA-384) has 48, hash 2 (SHA-512) has 64, any other at least 12";
    refused("ZONEMD 1 1 1 AABBCCDD", &format!("16: {wrong}"));
    // What a primary sends all the same is kept, and written in a form that can be read again.
    same(r"DS \# 6 00010802aabb");
}

#[test]
fn rfc3597_types() {
    same(r"TYPE731 \# 6 abcdef012345");
    check("TYPE731 \\# 6 abc ( def\n01 2345 )", r"TYPE731 \# 6 abcdef012345");
    same(r"TYPE65280 \# 0");
    same(r"NULL \# 1 00");
    check(r"A \# 4 C0000201", "A 192.0.2.1");
    check(r"TYPE28 \# 16 20010db8000000000000000000000001", "AAAA 2001:db8::1");
    check(r"MX \# 5 000a014100", "MX 10 a.");
    refused(r"A \# 3 c00002", "5: error: these bytes are not RDATA of type A");
    refused(r"CNAME \# 2 c000", "9: error: these bytes are not RDATA of type CNAME");
    refused(r"TYPE731 \# 2 ab", "14: error: \\# 2 wants 4 hex digits, but 2 follow");
    refused(r"TYPE731 \# 1 ax", "14: error: \"ax\" is not hex");
    refused(r"TYPE731 \# 65536 ", "14: error: \"65536\" is not a length up to 65535");
    refused("TYPE731 abc", "11: error: TYPE731 has no text form here; write \\# LENGTH HEX (RFC 3597)");
}

#[test]
fn bytes_not_of_their_types_shape_are_printed_in_hex() {
    let check = |rtype: RrType, rdata: &[u8], want: &str| assert_eq!(rdata_text(rtype, rdata), want);
    check(RrType::A, &[1, 2, 3], r"\# 3 010203");
    check(RrType::A, &[1, 2, 3, 4, 5], r"\# 5 0102030405");
    check(RrType::TXT, &[], r"\# 0");
    check(RrType::TXT, &[2, b'a'], r"\# 2 0261");
    check(RrType::CNAME, &[0xc0, 0x0c], r"\# 2 c00c");
    check(RrType::NSEC, &[0, 0, 1, 0], r"\# 4 00000100");
    check(RrType::HTTPS, &[0, 1, 0, 0, 3, 0, 1, 80], r"\# 8 0001000003000150");
}

#[test]
fn rdata_is_bounded() {
    let text = format!("x TXT {}", "\"abc\" ".repeat(20_000));
    check_errors(&text, &["zone:4:6: error: RDATA of 80000 bytes; a record holds at most 65535"]);
    // As much as a message has room for: 255 strings of 255 bytes.
    let string = format!(" \"{}\"", "a".repeat(255));
    same(&format!("TXT{}", string.repeat(255)));
    let text = format!("x TXT{}\nx TXT b", string.repeat(255));
    let (zone, _) = parsed(format!("{APEX}{text}")).unwrap();
    assert_eq!(zone.len(), 4);
    let text = format!("x TXT{}\nx TXT{string}", string.repeat(255));
    check_errors(
        &text,
        &[
            "zone:4:1: error: the TXT records of x.example.com. take 65575 bytes, and no answer has room for more than 65480",
        ],
    );
}
