//! RFC 6891, EDNS; with RFC 5001, NSID.

use crate::ask::{Answer, ask, receive, udp, wire};

/// Section 6.1.1: an OPT is answered with one, its absence with none.
#[test]
fn section_6_1_1_opt_for_opt() {
    assert!(ask("www.example.test A").udp().edns().is_none());
    for question in ["www.example.test A", "nothing.example.test A", "sub.example.test A", "example.net A"] {
        let answer = ask(question).edns(4096).udp();
        let edns = answer.edns().expect("an OPT");
        assert_eq!((edns.version(), edns.max_payload()), (0, 1232), "{question}");
        assert!(answer.option(3).is_none());
    }
}

/// Section 7: a question that is not there is a format error, with an OPT all the same.
/// NSD: it says NOERROR, as if a cookie had been asked for.
#[test]
fn section_7_errors_have_an_opt() {
    let mut none = ask("www.example.test A").edns(1232);
    none.counts[0] = 0;
    none.body.clear();
    let answer = none.udp();
    assert_eq!((answer.head().as_str(), answer.edns().is_some()), ("FORMERR", true));
}

/// Section 6.1.1: more than one OPT, or one that is not the root's, is a format error.
/// Knot: an OPT that is not the root's is read all the same.
/// NSD: it answers two OPTs without one.
#[test]
fn section_6_1_1_one_opt_of_the_root() {
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    let mut two = ask("www.example.test A").edns(1232);
    two.counts[3] = 1;
    two.body.extend(opt);
    let answer = two.udp();
    assert_eq!((answer.head().as_str(), answer.edns().is_some()), ("FORMERR", true));
    let mut owned = ask("www.example.test A");
    owned.counts[3] = 1;
    owned.body.extend(wire("a"));
    owned.body.extend(&opt[1..]);
    assert_eq!(owned.udp().head(), "FORMERR");
}

/// Section 6.1.3: a version above 0 is BADVERS, with the version that is spoken.
#[test]
fn section_6_1_3_versions() {
    for version in [1u32, 100, 255] {
        let answer = ask("www.example.test A").edns(1232).edns_flags(version << 16).udp();
        assert_eq!((answer.head().as_str(), answer.message.answers.len()), ("BADVERS", 0));
        assert_eq!(answer.edns().map(hickory_proto::op::Edns::version), Some(0));
    }
}

/// Section 6.1.2: unknown options are passed over; section 6.1.4: so are unknown flags.
#[test]
fn section_6_1_2_the_unknown_is_passed_over() {
    let answer = ask("www.example.test A").edns(1232).edns_flags(0x7fff).option(65_001, b"what").udp();
    assert_eq!((answer.head().as_str(), answer.message.answers.len()), ("NOERROR aa", 2));
    assert_eq!(answer.edns().map(|edns| (edns.flags().z, edns.options().options.len())), Some((0, 0)));
}

/// Section 6.1.2: an option that runs past the OPT's end is a format error, answered with an OPT.
/// NSD: it answers without one.
/// Knot: it answers without one.
#[test]
fn section_6_1_2_options_end_with_the_opt() {
    let mut bytes = ask("www.example.test A").edns(1232).option(65_001, b"what").bytes();
    let at = bytes.len() - 5;
    bytes[at] = 9;
    let socket = udp();
    socket.send(&bytes).expect("sent");
    let answer = Answer::new(receive(&socket));
    assert_eq!((answer.head().as_str(), answer.edns().is_some()), ("FORMERR", true));
}

/// Section 6.1.1: what is not implemented is refused with an OPT, too.
/// NSD: it answers without one.
#[test]
fn section_6_1_1_other_opcodes_have_an_opt() {
    let answer = ask("www.example.test A").edns(1232).flags(2 << 3, 0).udp();
    assert_eq!((answer.head().as_str(), answer.edns().is_some()), ("NOTIMP", true));
    assert!(ask("www.example.test A").flags(2 << 3, 0).udp().edns().is_none());
}

/// Section 6.2.3: less than 512 means 512. Section 6.2.5: the answer is no longer than either side's limit.
#[test]
fn section_6_2_3_sizes() {
    let check = |question: &str, payload: u16, head: &str| {
        let answer = ask(question).edns(payload).udp();
        assert_eq!(answer.head(), head, "{question} {payload}");
        assert!(answer.bytes.len() <= usize::from(payload.clamp(512, 1232)), "{question} {payload}");
    };
    check("www.example.test A", 0, "NOERROR aa");
    check("medium.example.test TXT", 511, "NOERROR aa tc");
    check("medium.example.test TXT", 900, "NOERROR aa");
    check("medium.example.test TXT", 65_535, "NOERROR aa");
    check("large.example.test TXT", 65_535, "NOERROR aa tc");
}

/// RFC 5001 section 2.1: who answers is said when asked for, and then only.
#[test]
fn rfc5001_nsid() {
    let answer = ask("www.example.test A").edns(1232).option(3, b"").udp();
    assert_eq!(answer.option(3).as_deref(), Some(&b"ns1.test"[..]));
    assert_eq!(answer.head(), "NOERROR aa");
}
