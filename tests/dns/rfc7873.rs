//! RFC 7873, DNS cookies; with RFC 9018, cookies that servers of one address share.

use crate::ask::{Answer, Ask, ask};

const COOKIE: u16 = 10;
const CLIENT: &[u8; 8] = b"a client";

fn with_cookie(data: &[u8]) -> Ask {
    ask("www.example.test A").edns(1232).option(COOKIE, data)
}

fn cookie(answer: &Answer) -> Vec<u8> {
    answer.option(COOKIE).expect("a cookie")
}

/// Section 5.2.1: who sends no cookie gets none.
#[test]
fn section_5_2_1_no_cookie() {
    assert_eq!(ask("www.example.test A").edns(1232).udp().option(COOKIE), None);
}

/// Section 5.2.2: a cookie of a length that none can have is a format error.
/// NSD: it answers that without an OPT.
#[test]
fn section_5_2_2_malformed() {
    for len in [0, 1, 7, 9, 15, 41, 100] {
        let answer = with_cookie(&vec![7; len]).udp();
        // RFC 6891 section 6.1.1: with an OPT, as it came with one.
        assert_eq!((answer.head().as_str(), answer.edns().is_some()), ("FORMERR", true), "{len} bytes");
    }
}

/// Section 5.2.3: a client's cookie alone is answered with it and the server's.
/// Knot: it says BADCOOKIE, under pressure or not.
#[test]
fn section_5_2_3_client_only() {
    for answer in [with_cookie(CLIENT).udp(), with_cookie(CLIENT).tcp()] {
        assert_eq!(answer.head(), "NOERROR aa");
        assert_eq!(answer.message.answers.len(), 2);
        let cookie = cookie(&answer);
        assert_eq!(&cookie[..8], CLIENT);
        assert!((16..=40).contains(&cookie.len()), "{cookie:?}");
    }
    // It is there whatever the answer is.
    let answer = ask("example.net A").edns(1232).option(COOKIE, CLIENT).udp();
    assert_eq!((answer.head().as_str(), &cookie(&answer)[..8]), ("REFUSED", &CLIENT[..]));
}

/// Section 5.2.4: a server's cookie of another's making is answered as if it were not there, with a good
/// one, as long as the server is not under pressure.
/// Knot: it says BADCOOKIE, under pressure or not.
#[test]
fn section_5_2_4_bad() {
    for made_up in [[0; 16].as_slice(), &[1; 32], &[9; 8]] {
        let sent = [CLIENT, made_up].concat();
        let answer = with_cookie(&sent).udp();
        assert_eq!((answer.head().as_str(), answer.message.answers.len()), ("NOERROR aa", 2));
        assert_eq!(&cookie(&answer)[..8], CLIENT);
        assert_ne!(cookie(&answer), sent);
    }
}

/// Section 5.2.5: a good one is answered with a good one. It is the same for half an hour (RFC 9018
/// section 4.3).
#[test]
fn section_5_2_5_valid() {
    let first = cookie(&with_cookie(CLIENT).udp());
    let again = with_cookie(&first).udp();
    assert_eq!((again.head().as_str(), cookie(&again)), ("NOERROR aa", first));
}

/// Section 5.4: a query without a question asks for a cookie; without a cookie it asks for nothing.
/// Knot: no question is a format error, with a cookie too.
#[test]
fn section_5_4_no_question() {
    let mut bare = with_cookie(CLIENT);
    bare.counts[0] = 0;
    bare.body.clear();
    let answer = bare.udp();
    assert_eq!((answer.head().as_str(), answer.message.queries.len()), ("NOERROR", 0));
    assert_eq!(&cookie(&answer)[..8], CLIENT);
}

/// RFC 9018 section 4: version 1, three zero bytes, the time, a hash.
#[test]
fn rfc9018_section_4_layout() {
    let cookie = cookie(&with_cookie(CLIENT).udp());
    assert_eq!((cookie.len(), &cookie[8..12]), (24, &[1, 0, 0, 0][..]));
    let made = u32::from_be_bytes(cookie[12..16].try_into().expect("four bytes"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    assert!(now.as_secs().abs_diff(u64::from(made)) < 60, "{made}");
}
