//! The seeds of the fuzz targets tsig and transfer, taken without the fuzzer: each comes to what its name says.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use detour::dns::tsig::{BadAnswer, TsigError, ask, verify};
use detour::transfer::inbound::Received;
use detour::zone::canonical_lines;

#[path = "../fuzz/bodies/transfer.rs"]
#[allow(dead_code, reason = "shared with the fuzz target")]
mod transfer;
#[path = "../fuzz/bodies/tsig.rs"]
#[allow(dead_code, reason = "shared with the fuzz target")]
mod tsig;

/// Every seed of a target, by name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new("fuzz/seeds").join(target);
    let seeds = fs::read_dir(folder).expect("the seeds").map(|seed| {
        let path = seed.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read(path).expect("its bytes"))
    });
    seeds.collect()
}

#[test]
fn messages_are_believed_or_refused_for_what_is_wrong_with_them() {
    let keys = [tsig::key()].into_iter().collect();
    for (name, seed) in seeds("tsig") {
        let refused = || verify(&keys, &seed, tsig::NOW).expect_err(&name).error();
        let checked = || {
            let mut asked = ask(&mut tsig::request(), &Arc::new(tsig::key()), tsig::NOW);
            asked.check(&mut seed.clone(), tsig::NOW)
        };
        match name.as_str() {
            "request" | "request_edns" => {
                assert!(verify(&keys, &seed, tsig::NOW).expect(&name).is_some(), "{name}");
            }
            "request_late" => assert_eq!(refused(), TsigError::BadTime),
            "request_cut" => assert_eq!(refused(), TsigError::BadTrunc),
            "request_wrong" => assert_eq!(refused(), TsigError::BadSig),
            "request_other_key" => assert_eq!(refused(), TsigError::BadKey),
            "answer" => assert_eq!(checked(), Ok(())),
            "answer_badkey" => assert_eq!(checked(), Err(BadAnswer::Refused(TsigError::BadKey))),
            other => panic!("{other} says nothing of what it is"),
        }
    }
}

#[test]
fn transfers_come_to_a_zone_or_to_nothing() {
    let lines = |received: Option<Received>| match received {
        Some(Received::Whole { zone, .. } | Received::Steps { zone, .. }) => {
            canonical_lines(&zone, true).skip(2).collect::<Vec<_>>().join("|")
        }
        Some(Received::Current) => "current".to_owned(),
        None => "nothing".to_owned(),
    };
    let whole = "@ 300 IN NS ns.example.com.|mail 300 IN MX 10 www.example.com.|ns 300 IN A 192.0.2.1|t 300 IN TXT \"hello\"|www 300 IN A 192.0.2.81";
    for (name, seed) in seeds("transfer") {
        let by_axfr = lines(transfer::transfer(&seed, None));
        let by_ixfr = lines(transfer::transfer(&seed, Some(transfer::have())));
        let (wanted, came) = match name.as_str() {
            "axfr" | "axfr_messages" => (whole, by_axfr),
            "ixfr_whole" => (whole, by_ixfr),
            "ixfr_steps" => (
                "@ 300 IN NS ns.example.com.|ns 300 IN A 192.0.2.1|t 300 IN TXT \"hello\"|www 300 IN A 192.0.2.81",
                by_ixfr,
            ),
            "ixfr_steps_messages" => {
                ("@ 300 IN NS ns.example.com.|ns 300 IN A 192.0.2.1|www 300 IN A 192.0.2.82", by_ixfr)
            }
            "current" => ("current", by_ixfr),
            "bad_not_there" => ("nothing", by_ixfr),
            bad => {
                assert!(bad.starts_with("bad_"), "{bad} says nothing of what it is");
                ("nothing", by_axfr)
            }
        };
        assert_eq!(came, wanted, "{name}");
    }
}
