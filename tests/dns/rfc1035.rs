//! RFC 1035, domain names: implementation.

use crate::ask::{Answer, ask, check, check_ask, check_silence, receive, udp};

/// Section 2.3.3: names compare without case, and what was asked comes back as it was asked.
#[test]
fn section_2_3_3_case_is_kept_and_does_not_matter() {
    check("wWw.eXaMpLe.TeSt AAAA", "NOERROR aa\nanswer wWw.eXaMpLe.TeSt. 300 AAAA 2001:db8::10");
    // The part of the target that the question holds too is a pointer to it.
    check("ALIAS.example.test CNAME", "NOERROR aa\nanswer ALIAS.example.test. 300 CNAME www.example.test.");
}

/// Section 4.1.1: RD comes back, RA is for resolvers, and everything else in the header is cleared.
/// NSD: some of these flags are a format error to it.
#[test]
fn section_4_1_1_flags() {
    let want = |flags: &str| format!("NOERROR {flags}\nanswer www.example.test. 300 AAAA 2001:db8::10");
    let question = || ask("www.example.test AAAA");
    check_ask(&question().flags(0x01, 0x00), "RD", &want("aa rd"));
    check_ask(&question().flags(0x06, 0xff), "AA, TC, RA, Z, AD, CD and an RCODE", &want("aa"));
}

/// Section 4.1.1: other opcodes are not implemented.
/// NSD: it takes NOTIFY, and answers that the zone is none of its own.
/// Knot: it takes NOTIFY and UPDATE, and answers NOTAUTH.
#[test]
fn section_4_1_1_opcodes() {
    for opcode in 1..16u8 {
        let answer = ask("www.example.test A").flags(opcode << 3, 0).udp();
        assert_eq!(answer.head(), "NOTIMP", "opcode {opcode}");
        assert_eq!(answer.bytes[2] >> 3 & 0xf, opcode);
    }
}

/// Section 4.1.1: what cannot be read is a format error, as long as there is a header to say so in.
/// NSD: bytes after the end are passed over.
/// Knot: some of these get no answer at all.
#[test]
fn section_4_1_1_format_errors() {
    let good = ask("www.example.test A").bytes();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let broken = [
        ("no question", with(&|b| b[5] = 0)),
        ("two questions announced", with(&|b| b[5] = 2)),
        ("cut off in the type", with(&|b| b.truncate(b.len() - 3))),
        ("cut off in the name", with(&|b| b.truncate(16))),
        ("header alone", with(&|b| b.truncate(12))),
        ("a pointer as the name", with(&|b| b[12] = 0xc0)),
        ("a label type of the past", with(&|b| b[12] = 0x41)),
        ("a record announced and not there", with(&|b| b[11] = 1)),
        ("bytes after the end", with(&|b| b.push(0))),
    ];
    for (what, bytes) in broken {
        let socket = udp();
        socket.send(&bytes).expect("sent");
        let answer = Answer::new(receive(&socket));
        assert_eq!((answer.head().as_str(), &answer.bytes[..2]), ("FORMERR", &bytes[..2]), "{what}");
    }
}

/// RFC 9619 section 4: a second question is a format error, also where both can be read.
/// Knot: it gives no answer at all.
#[test]
fn rfc9619_section_4_two_questions() {
    let mut two = ask("www.example.test A");
    two.counts[0] = 2;
    two.body.extend(ask("mail.example.test A").body);
    let answer = two.udp();
    assert_eq!((answer.head().as_str(), answer.message.answers.len()), ("FORMERR", 0));
}

/// Section 4.1.1: what is itself a response, or too short to say who asks, gets none.
#[test]
fn silence() {
    let mut response = ask("www.example.test A").bytes();
    response[2] |= 0x80;
    check_silence(&response);
    check_silence(&[]);
    check_silence(&response[..11]);
    check_silence(&ask("www.example.test A").bytes()[..11]);
}

/// Section 2.3.4: names up to 255 bytes and 127 labels.
/// Knot: a name that is too long gets no answer at all.
#[test]
fn section_2_3_4_names_at_the_limits() {
    let soa = "authority example.test. 60 SOA ns1.example.test. hostmaster.example.test. \
               2024010101 7200 3600 1209600 60";
    // 14 bytes of "example.test." leave 241: 120 labels of one byte and one more byte.
    let deepest = format!("{}bb.example.test TXT", "a.".repeat(119));
    assert_eq!(ask(&deepest).body.len(), 255 + 4);
    check(&deepest, &format!("NXDOMAIN aa\n{soa}"));
    let mut too_long = ask(&format!("{}bbb.example.test TXT", "a.".repeat(119)));
    assert_eq!(too_long.udp().head(), "FORMERR");
    too_long = ask(&format!("{} A", "a.".repeat(127)));
    assert_eq!(too_long.udp().head(), "REFUSED");
}

/// Section 3.2.4: other classes hold nothing here.
/// NSD: REFUSED comes without the question.
/// Knot: class ANY is answered as IN.
#[test]
fn section_3_2_4_classes() {
    for class in [0, 2, 4, 254, 255] {
        check_ask(&ask("www.example.test A").class(class), "class", "REFUSED");
    }
}

/// Section 4.2.1: 512 bytes over UDP, with TC where that is not enough; over TCP it is whole.
#[test]
fn section_4_2_1_udp_is_512_bytes() {
    let question = ask("medium.example.test TXT");
    let udp = question.udp();
    assert_eq!((udp.head().as_str(), udp.message.answers.len()), ("NOERROR aa tc", 0));
    let tcp = question.tcp();
    assert_eq!((tcp.head().as_str(), tcp.message.answers.len()), ("NOERROR aa", 7));
    assert!(tcp.bytes.len() > 512);
}

/// RFC 2181 section 9: what fits is there whole, what does not is left out whole.
#[test]
fn rfc2181_section_9_whole_rrsets_or_none() {
    let answer = ask("to-large.example.test TXT").edns(1232).udp();
    let want = ["NOERROR aa tc", "answer to-large.example.test. 300 CNAME large.example.test."];
    assert_eq!(answer.lines(), want);
    assert_eq!(ask("to-large.example.test TXT").tcp().message.answers.len(), 28);
}

/// Transfers are not offered: refused, not passed over (RFC 5936 section 2.2.1).
/// NSD: over UDP it says NOTIMP.
/// Knot: over UDP it says NOTIMP.
#[test]
fn transfers_are_refused() {
    check("example.test AXFR", "REFUSED");
    check("example.test IXFR", "REFUSED");
}

/// RFC 3597 section 3: types nobody knows are answered like all others.
#[test]
fn rfc3597_unknown_types() {
    let answer = ask("unknown.example.test TYPE65280").udp();
    assert_eq!((answer.head().as_str(), answer.message.answers.len()), ("NOERROR aa", 1));
    assert!(answer.bytes.ends_with(&[0, 4, 10, 0, 0, 1]));
}
