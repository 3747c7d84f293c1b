//! Any bytes as the answer to a dns probe's question: they are judged or passed over, and never panic.

use detour::dns::{RrType, rdata_from_text};
use detour::model::{DnsProbe, Matching};
use detour::probe::dns::Question;

/// Takes one input.
pub fn run(reply: &[u8]) {
    for (qtype, record) in [(RrType::A, "192.0.2.1"), (RrType::MX, "10 mail.example.com.")] {
        let expect = DnsProbe {
            name: None,
            qtype,
            tcp: false,
            recursion: false,
            rcode: 0,
            authoritative: None,
            records: vec![rdata_from_text(qtype, record).expect("a record")],
            empty: false,
            matching: Matching::Exact,
        };
        let name = "www.example.com".parse().expect("a name");
        let _ = Question::new(0x1234, &name, &expect).reply(reply);
    }
}
