//! What laying out does, and what it never does.

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::*;
use crate::zone::{Zone, parse};

fn laid_out(text: &str) -> String {
    String::from_utf8(lay_out(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))).unwrap()
}

fn parsed(text: &[u8]) -> Option<Zone> {
    let include = &mut |path: &str| Ok((path.to_owned(), b"deep A 192.0.2.9\n".to_vec()));
    parse(&"example.com".parse().unwrap(), "zone", text, include).ok().map(|(zone, _)| zone)
}

/// Laid out, a valid text means the same, and laying it out again changes nothing.
fn check_kept(text: &[u8]) {
    let Some(zone) = parsed(text) else {
        let _ = lay_out(text); // whatever it says, it does not panic
        return;
    };
    let shown = String::from_utf8_lossy(text);
    let once = lay_out(text).unwrap_or_else(|error| panic!("{error}:\n{shown}"));
    let out = String::from_utf8_lossy(&once);
    let again = parsed(&once).unwrap_or_else(|| panic!("{shown}\nbecame\n{out}"));
    assert_eq!(
        (again.fingerprint(), again.len()),
        (zone.fingerprint(), zone.len()),
        "{shown}\nbecame\n{out}"
    );
    assert_eq!(out, String::from_utf8_lossy(&lay_out(&once).unwrap()), "{shown}");
    let marks = |text: &[u8]| String::from_utf8_lossy(text).matches("; mark").count();
    assert_eq!(marks(text), marks(&once), "{shown}\nbecame\n{out}");
}

#[test]
fn columns_are_straight_and_comments_kept() {
    let text = "; a zone \n\n\n\n$origin example.com. ; here\n$ttl 1h\n@ in soa ns1 hostmaster (1 ; serial\n2h 15m\n; how long\n2w ; expire\n5m)\n  NS ns1 ; one\n NS long-name.example.net. ; two\nwww 30 A (192.0.2.1)\n\tTXT (\n\"a b\" ; first\n  \"c\" )\n$GENERATE 1-3   x$  A  192.0.2.$\n\n";
    let want = "\
; a zone

$ORIGIN example.com.  ; here
$TTL 1h
@        IN  SOA  ns1 hostmaster (
                  1  ; serial
                  2h
                  15m
                  ; how long
                  2w  ; expire
                  5m )
             NS   ns1                     ; one
             NS   long-name.example.net.  ; two
www  30      A    192.0.2.1
             TXT  (
                  \"a b\"  ; first
                  \"c\" )
$GENERATE 1-3   x$  A  192.0.2.$
";
    let got = laid_out(text);
    assert_eq!(got, want, "{got}");
    assert_eq!(laid_out(&got), got);
}

#[test]
fn what_breaks_is_told_with_its_line() {
    let check = |text: &str, line, message: &str| {
        let error = lay_out(text.as_bytes()).unwrap_err();
        assert_eq!((error.line, &*error.message), (line, message), "{text}");
    };
    check("a A 192.0.2.1\nb TXT \"x\n", 2, "this quote is not closed on its line; add the \"");
    check("\n\na ( A 192.0.2.1\n", 3, "this parenthesis is never closed; add the )");
    check("a 1h IN\n", 1, "the line ends too early: a record type is missing");
    check("a TXT b\\\n", 1, "the line ends in the middle of an escape; write \\\\ for a backslash");
}

#[test]
fn a_file_says_what_its_apex_is() {
    let check = |text: &str, want: Option<&str>| {
        assert_eq!(declared_apex(text.as_bytes()), want.map(|name| name.parse().unwrap()), "{text}");
    };
    check("example.com. SOA a b 1 1 1 1 1\n", Some("example.com"));
    check("$ORIGIN com.\nexample ( ; x\n SOA a b 1 1 1 1 1 )\n", Some("example.com"));
    check("$ORIGIN com.\n$ORIGIN example\n@ TXT x\n SOA a b 1 1 1 1 1\n", Some("example.com"));
    check("@ SOA a b 1 1 1 1 1\n$ORIGIN example.com.\n", None);
    check("example.com. A 192.0.2.1\n", None);
    assert!(has_soa(b"@ SOA a b 1 1 1 1 1\n") && !has_soa(b"soa A 192.0.2.1\n; x SOA\n"));
}

/// What may stand between two words of an entry; inside parentheses more.
fn between(inside: bool) -> impl Strategy<Value = &'static str> {
    let mut all = vec![" ", "  ", "\t", " \t "];
    if inside {
        all.extend([" ; mark (\n", "\n", "\r\n ", " ;; mark \"x\n\t", "\n\n", "\n ; mark\n ; mark\n"]);
    }
    prop::sample::select(all)
}

/// An entry's words, and where its parenthesis begins, if it has one.
fn entry() -> impl Strategy<Value = String> {
    let owner = prop::sample::select(vec![
        "www",
        "a.b",
        "*",
        "x.example.com.",
        "",
        "\\(\\;",
        "a-long-name.of.many.labels",
    ]);
    let head = prop::sample::select(vec!["", "30", "IN", "1h in", "CLASS1 5m"]);
    let data = prop::sample::select(vec![
        "A 192.0.2.1",
        "aaaa 2001:db8::1",
        "MX 10 mail",
        "TXT \"a ; b\" c \"\" \"(\"",
        "TXT a\\ b \\\"",
        "TYPE65280 \\# 4 0102 0304",
        "HTTPS 1 . alpn=\"h2,h3\" port=443",
        "CAA 0 issue \"ca.example.net\"",
        "DNSKEY 257 3 13 AQID BAUG",
        "LOC 52 22 23.000 N 4 53 32.000 E -2.00m",
    ]);
    let seams = prop::collection::vec((between(false), between(true)), 24);
    let end =
        prop::sample::select(vec!["\n", " \n", " ; mark\n", ";mark\n", "\r\n", "\n; mark\n\n", "\n\n\n"]);
    (owner, head, data, prop::option::of(0..12usize), seams, end).prop_map(
        |(owner, head, data, open, seams, end)| {
            let words: Vec<&str> = split(head).chain(split(data)).collect();
            // RFC 3597's mark must follow its type, not a parenthesis.
            let open = open.filter(|&at| at < words.len() && words[at] != "\\#" && !data.contains("\\#"));
            let mut text = owner.to_owned();
            for (at, word) in words.iter().enumerate() {
                text.push_str(if open.is_some_and(|open| at > open) { seams[at].1 } else { seams[at].0 });
                text.push_str(if open == Some(at) { "( " } else { "" });
                text.push_str(word);
            }
            text.push_str(if open.is_some() { seams[23].1 } else { "" });
            text.push_str(if open.is_some() { ")" } else { "" });
            text + end
        },
    )
}

/// The words of an entry, those in quotes whole.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut last = ' ';
    text.split(move |c: char| {
        let escaped = std::mem::replace(&mut last, c) == '\\';
        quoted ^= c == '"' && !escaped;
        c == ' ' && !quoted && !escaped
    })
    .filter(|word| !word.is_empty())
}

fn soa() -> impl Strategy<Value = String> {
    let seams = prop::collection::vec(between(true), 8);
    (seams, 0..2usize).prop_map(|(seams, at)| {
        let words = ["ns.example.net.", "host", "1", "2h", "1h", "1w", "5m"];
        let mut text = "$TTL 1h\n@ SOA".to_owned();
        for (i, word) in words.iter().enumerate() {
            text.push_str(if i == at { " (" } else { "" });
            text.push_str(if i < at { " " } else { seams[i] });
            text.push_str(word);
        }
        text + seams[7] + ")\n@ NS ns.example.net.\n"
    })
}

fn other() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "; mark a comment\n",
        "   ; mark\n",
        "\n",
        "$ORIGIN\tsub ; mark\n",
        "$ttl ( 5m ; mark\n ) ; mark\n",
        "$INCLUDE  \"some file\"  inc\n",
        "$GENERATE 1-2 g$ TXT \"a  $\"  ; mark\n",
        "( ; mark\n)\n",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn a_zone_laid_out_is_the_same_zone(
        soa in soa(),
        entries in prop::collection::vec(prop_oneof![4 => entry(), 1 => other()], 0..12),
    ) {
        check_kept(format!("{soa}{}", entries.concat()).as_bytes());
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = lay_out(&bytes);
        let _ = declared_apex(&bytes);
    }
}

/// The properties would hold of nothing if the texts were all refused.
#[test]
fn most_generated_texts_are_zones() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (soa(), prop::collection::vec(entry(), 1..4));
    let zones = (0..50).filter(|_| {
        let (soa, entries) = strategy.new_tree(&mut runner).unwrap().current();
        parsed(format!("{soa}{}", entries.concat()).as_bytes()).is_some()
    });
    let zones = zones.count();
    assert!(zones >= 25, "{zones} of 50");
}

#[test]
fn the_seeds_are_kept() {
    for folder in ["zone_file", "zone_layout"] {
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(folder);
        for seed in std::fs::read_dir(seeds).unwrap() {
            check_kept(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }
}
