//! What holds of every text: no panic, bounded problems, and what is printed is read back the same.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::dns::rdata::tests::shaped;
use crate::dns::{Name, RrSet, RrType};
use crate::zone::MAX_PROBLEMS;

/// Text as people mistype it: words of master files in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "@",
        "www",
        "a.b",
        "x.",
        "*",
        "\\",
        "\\000",
        "\\# ",
        "4",
        "c0000201",
        "1h",
        "IN",
        "CH",
        "A",
        "AAAA",
        "NS",
        "SOA",
        "CNAME",
        "DNAME",
        "MX",
        "TXT",
        "HTTPS",
        "NSEC",
        "LOC",
        "RRSIG",
        "IPSECKEY",
        "TYPE9",
        "192.0.2.1",
        "::1",
        "alpn=\"h2",
        "mandatory=",
        "\"",
        "(",
        ")",
        ";",
        "\n",
        "\n ",
        "\t",
        "$TTL",
        "$ORIGIN",
        "$INCLUDE",
        "$GENERATE",
        "1-3",
        "$",
        "${0,2,n}",
        "${",
        "é",
        "\r\n",
        "AQ==",
        "N",
        "E",
        "-",
    ]);
    prop::collection::vec((words, prop::bool::weighted(0.8)), 0..60).prop_map(|words| {
        words.into_iter().flat_map(|(word, space)| [word, if space { " " } else { "" }]).collect()
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parsed(bytes);
    }

    #[test]
    fn no_soup_panics(text in soup()) {
        let problems = match parsed(format!("{APEX}{text}")) {
            Ok((zone, warnings)) => {
                check_printed(&zone);
                warnings
            }
            Err(problems) => problems,
        };
        prop_assert!(problems.len() <= 2 * MAX_PROBLEMS + 2);
        for problem in problems {
            prop_assert!(problem.line as usize <= APEX.lines().count() + text.lines().count() + 1);
            prop_assert!(problem.to_string().starts_with("zone:"));
        }
    }

    #[test]
    fn a_printed_zone_is_read_back_the_same(records in prop::collection::vec((owner(), 0..3u32, shaped()), 0..20)) {
        let (apex, _) = parsed(APEX).unwrap();
        let mut sets: BTreeMap<_, _> = apex.rrsets().map(|set| set.to_rrset()).map(keyed).collect();
        for (owner, ttl, (rtype, rdata)) in records {
            // Those that may not stand beside others are the tables' matter.
            if ![RrType::SOA, RrType::NS, RrType::CNAME, RrType::DNAME].contains(&rtype) {
                let (key, set) = keyed(RrSet::new(owner, rtype, ttl, [rdata]));
                sets.entry(key).or_insert(set);
            }
        }
        check_printed(&Zone::from_rrsets(apex.apex().clone(), apex.serial(), sets.into_values().collect()));
    }
}

fn keyed(set: RrSet) -> ((Name, RrType), RrSet) {
    ((set.owner.clone(), set.rtype), set)
}

/// Below the apex, with any bytes in its label.
fn owner() -> impl Strategy<Value = Name> {
    prop::collection::vec(any::<u8>(), 1..4).prop_map(|label| {
        let mut wire = vec![label.len() as u8];
        wire.extend(label);
        wire.extend_from_slice(b"\x07example\x03com\0");
        Name::from_wire(&wire).unwrap()
    })
}
