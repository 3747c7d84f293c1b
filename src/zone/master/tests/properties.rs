//! What holds of every text: no panic, bounded problems, and what is printed is read back the same.

use proptest::prelude::*;

use super::*;
use crate::zone::{MAX_PROBLEMS, Name, RrSet, RrType, Serial, rdata_text};

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

/// RDATA of any bytes, or of bytes that often are of the type's shape.
fn rdata() -> impl Strategy<Value = (RrType, Vec<u8>)> {
    let rtype = prop_oneof![0..70u16, prop::sample::select(vec![99, 108, 109, 256, 257, 65280u16])];
    let small =
        prop_oneof![Just(0u8), 0..8u8, prop::sample::select(b"ab.A\\\",;@ 1\xff".to_vec()), any::<u8>()];
    (rtype.prop_map(RrType), prop::collection::vec(small, 0..40))
}

/// Reads one record's RDATA text, at an owner of its own.
fn reread(rtype: RrType, text: &str) -> Vec<Box<[u8]>> {
    let (zone, _) =
        parsed(format!("{APEX}x.example.com. {rtype} {text}\n")).map_err(|all| told(&all)).expect(text);
    zone.rrset(&"x.example.com".parse().unwrap(), rtype).expect(text).rdata
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parsed(bytes);
    }

    #[test]
    fn no_soup_panics(text in soup()) {
        let problems = match parsed(format!("{APEX}{text}")) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        };
        prop_assert!(problems.len() <= 2 * MAX_PROBLEMS + 2);
        for problem in problems {
            prop_assert!(problem.line as usize <= APEX.lines().count() + text.lines().count() + 1);
            let _ = problem.to_string();
        }
    }

    #[test]
    fn rdata_is_read_back_as_it_is_printed((rtype, rdata) in rdata()) {
        prop_assume!(!rtype.is_meta() && ![RrType::SOA, RrType::NS].contains(&rtype));
        let text = rdata_text(rtype, &rdata);
        // Bytes that are not of their type's shape have text that only a reader of unknown types takes.
        if !text.starts_with("\\#") || rdata_text(RrType(65280), &rdata) == text && rtype.0 > 60000 {
            let again = reread(rtype, &text);
            prop_assert!(again[0].eq_ignore_ascii_case(&rdata), "{}", text);
            prop_assert_eq!(rdata_text(rtype, &again[0]).to_ascii_lowercase(), text.to_ascii_lowercase());
            prop_assert_eq!(reread(rtype, &rdata_text(rtype, &again[0])), again);
        }
    }

    #[test]
    fn a_printed_zone_is_read_back_the_same(records in prop::collection::vec((owner(), 0..3u32, rdata()), 0..20)) {
        let mut sets = std::collections::BTreeMap::new();
        for (owner, ttl, (rtype, rdata)) in records {
            let rtype = if rdata_text(rtype, &rdata).starts_with("\\#") { RrType(65280) } else { rtype };
            if !rtype.is_meta() && ![RrType::SOA, RrType::NS, RrType::CNAME, RrType::DNAME].contains(&rtype) {
                let rdata = if rtype.0 < 65280 { reread(rtype, &rdata_text(rtype, &rdata)) } else { vec![rdata.into()] };
                sets.entry((owner.clone(), rtype)).or_insert_with(|| RrSet::new(owner, rtype, ttl, rdata));
            }
        }
        let (apex, _) = parsed(APEX).unwrap();
        let all: Vec<RrSet> = apex.rrsets().map(|set| set.to_rrset()).chain(sets.into_values()).collect();
        let text: String = all.iter().flat_map(RrSet::to_lines).map(|line| line + "\n").collect();
        let (zone, _) = parsed(&text).map_err(|all| told(&all)).unwrap();
        let want = Zone::from_rrsets(zone.apex().clone(), Serial(1), all);
        prop_assert_eq!(zone.fingerprint(), want.fingerprint());
        prop_assert_eq!(zone.len(), want.len());
        for set in want.rrsets() {
            let set = set.to_rrset();
            prop_assert_eq!(zone.rrset(&set.owner, set.rtype), Some(set));
        }
    }
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
