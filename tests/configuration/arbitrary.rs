//! Whatever a file holds, reading it ends with a configuration or with problems that can be shown.

use std::path::Path;

use detour::config::check;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const SAMPLE: &str = include_str!("../../zones/detour.toml");

/// Pieces of configurations, in no order that makes sense.
const PIECES: &[&str] = &[
    "[server]",
    "[control]",
    "[sites.fra]",
    "[probes.web]",
    "[[zone]]",
    "[[service]]",
    "[service]",
    "listen",
    "name",
    "names",
    "type",
    "ttl",
    "interval",
    "endpoints",
    "site",
    "addresses",
    "cname",
    "expect",
    "status",
    "all_down",
    "failback",
    "location",
    "=",
    ".",
    ",",
    "{",
    "}",
    "[",
    "]",
    "\n",
    "#",
    "\"",
    "'",
    "\"\"\"",
    "\"http\"",
    "\"5s\"",
    "\"-5s\"",
    "\"99999999999999999999d\"",
    "\"example.com\"",
    "\"192.0.2.1\"",
    "\"::1\"",
    "\"fra\"",
    "\"web\"",
    "0",
    "-1",
    "1e999",
    "nan",
    "true",
    "1979-05-27",
    "99999999999999999999999999999999999999999",
    "0xffff_ffff",
    "ä",
    "\u{0}",
    "\r",
    "\\",
];

/// Reads the text as a file in a folder that cannot be, so that no zone file is ever found.
fn read(text: &str) -> Result<(), TestCaseError> {
    let lines = text.split('\n').count();
    let report = check(Path::new("/dev/null/detour.toml"), text.to_owned());
    let problems = report.map_or_else(|report| report.problems, |loaded| loaded.warnings);
    for problem in problems {
        let place = problem.place.clone().expect("a problem with a text has a place in it");
        prop_assert!((1..=lines).contains(&(place.line as usize)), "{problem}");
        prop_assert!(place.indent < 160 + 1 && place.width <= 160, "{problem}");
        prop_assert!(!problem.to_string().replace('\n', "").contains(char::is_control), "{problem}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_to_its_end(text in any::<String>()) {
        read(&text)?;
    }

    #[test]
    fn any_soup_of_pieces_is_read_to_its_end(pieces in vec(select(PIECES), 0..60)) {
        read(&pieces.join(" "))?;
    }

    #[test]
    fn the_sample_with_a_few_scars_is_read_to_its_end(
        scars in vec((any::<Index>(), 0..8_usize, select(PIECES)), 1..5)
    ) {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (at, length, piece) in scars {
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, piece.chars());
        }
        read(&text.into_iter().collect::<String>())?;
    }
}

#[test]
fn the_fuzz_seeds_are_read() {
    let mut seen = 0;
    for seed in std::fs::read_dir("fuzz/seeds/config").unwrap() {
        let path = seed.unwrap().path();
        read(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        seen += 1;
    }
    assert!(seen >= 3, "only {seen} seeds");
}
