//! The seeds of the dns_reply fuzz target, judged without the fuzzer: each is an answer to its question.

use detour::dns::{RrType, rdata_from_text};
use detour::model::{DnsProbe, Matching};
use detour::probe::dns::{Question, Reply};

#[test]
fn every_seed_is_judged() {
    let mut seen = 0;
    for seed in std::fs::read_dir("fuzz/seeds/dns_reply").expect("the seeds") {
        let path = seed.expect("a file").path();
        let bytes = std::fs::read(&path).expect("its bytes");
        let judge = |qtype: RrType, record: &str| {
            let records = vec![rdata_from_text(qtype, record).expect("a record")];
            let (rcode, authoritative, matching, empty) = (0, None, Matching::Exact, false);
            let (name, tcp, recursion) = (None, false, false);
            let expect =
                DnsProbe { name, qtype, tcp, recursion, rcode, authoritative, records, matching, empty };
            Question::new(0x1234, &"www.example.com".parse().expect("a name"), &expect).reply(&bytes)
        };
        let judged = [judge(RrType::A, "192.0.2.1"), judge(RrType::MX, "10 mail.example.com.")];
        assert!(judged.iter().any(|reply| *reply != Reply::Foreign), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} seeds");
}
