//! RFC 4892, who answers: class CH.

use crate::ask::{Answer, ask};

const CHAOS: u16 = 3;

/// The one text of a TXT record of class CH, owned by the question.
fn text(answer: &Answer) -> String {
    assert_eq!(answer.message.answers.len(), 1, "{:?}", answer.lines());
    let record = &answer.message.answers[0];
    assert_eq!(u16::from(record.dns_class), CHAOS);
    assert_eq!(record.name.to_lowercase(), answer.message.queries[0].name().to_lowercase());
    record.data.to_string()
}

/// Section 3: one server of several under one address says which it is, in whatever case it is asked.
#[test]
fn section_3_id_server() {
    for name in ["id.server", "hostname.bind", "ID.Server", "HostName.BIND"] {
        for answer in
            [ask(&format!("{name} TXT")).class(CHAOS).udp(), ask(&format!("{name} TXT")).class(CHAOS).tcp()]
        {
            assert_eq!((answer.bytes[3] & 0xf, text(&answer).as_str()), (0, "ns1.test"), "{name}");
        }
    }
}

/// The version is told the same way, under the names it has come to be asked by.
#[test]
fn version() {
    for name in ["version.bind", "version.server"] {
        let answer = ask(&format!("{name} TXT")).class(CHAOS).udp();
        assert!(!text(&answer).is_empty(), "{name}");
    }
}

/// Nothing else is there, and the names mean nothing in class IN.
#[test]
fn nothing_else() {
    for question in ["authors.example TXT", "www.example.test A", "version.bind A", "bind TXT"] {
        assert_eq!(ask(question).class(CHAOS).udp().head(), "REFUSED", "{question}");
    }
    assert_eq!(ask("version.bind TXT").udp().head(), "REFUSED");
}
