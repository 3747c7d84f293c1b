//! RFC 1035 section 5: entries, what they may leave out, and where they break.

use super::*;

#[test]
fn owners() {
    check_records("www A 192.0.2.1", &["www.example.com. 3600 IN A 192.0.2.1"]);
    check_records("WWW.Example.COM. A 192.0.2.1", &["www.example.com. 3600 IN A 192.0.2.1"]);
    check_records("@ A 192.0.2.1", &["example.com. 3600 IN A 192.0.2.1"]);
    check_records("*.w A 192.0.2.1", &["*.w.example.com. 3600 IN A 192.0.2.1"]);
    check_records(r"a\.b\032 A 192.0.2.1", &[r"a\.b\032.example.com. 3600 IN A 192.0.2.1"]);
    check_records(r"\$TTL A 192.0.2.1", &[r"\$ttl.example.com. 3600 IN A 192.0.2.1"]);
    check_records(
        "www A 192.0.2.1\n\n ; nothing\n\tA 192.0.2.2\n  AAAA 2001:db8::1",
        &[
            "www.example.com. 3600 IN A 192.0.2.1",
            "www.example.com. 3600 IN A 192.0.2.2",
            "www.example.com. 3600 IN AAAA 2001:db8::1",
        ],
    );
}

#[test]
fn ttl_and_class_in_either_order() {
    let want = &["www.example.com. 60 IN A 192.0.2.1"][..];
    for text in ["60 A", "60 IN A", "IN 60 A", "in 1m a", "CLASS1 1m TYPE1", "0h1m IN A"] {
        check_records(&format!("www {text} 192.0.2.1"), want);
    }
    check_records(
        "www 1w2d3h4m5s A 192.0.2.1\nin IN A 192.0.2.2\na A 192.0.2.3",
        &[
            "www.example.com. 788645 IN A 192.0.2.1",
            "in.example.com. 3600 IN A 192.0.2.2",
            "a.example.com. 3600 IN A 192.0.2.3",
        ],
    );
}

#[test]
fn entries_over_several_lines() {
    check_records(
        "txt TXT ( \"a b\" ; one\n\n\tc ; (two\n) ; three\nwww ( A\n192.0.2.1 )\n",
        &[r#"txt.example.com. 3600 IN TXT "a b" "c""#, "www.example.com. 3600 IN A 192.0.2.1"],
    );
    check_records(
        "www A 192.0.2.1\r\nw2 A 192.0.2.2\r\n",
        &["www.example.com. 3600 IN A 192.0.2.1", "w2.example.com. 3600 IN A 192.0.2.2"],
    );
}

#[test]
fn origins() {
    check_records(
        "$ORIGIN sub\nwww CNAME @\n$ORIGIN example.com.\nw2 CNAME www.sub\n$origin net.\nw3.example.com. CNAME w4",
        &[
            "www.sub.example.com. 3600 IN CNAME sub.example.com.",
            "w2.example.com. 3600 IN CNAME www.sub.example.com.",
            "w3.example.com. 3600 IN CNAME w4.net.",
        ],
    );
}

#[test]
fn ttls_left_out() {
    let check = |text: &str, want: &[&str]| {
        let (zone, _) = parsed(text).map_err(|all| told(&all)).expect(text);
        let lines: Vec<String> =
            zone.rrsets().flat_map(|set| set.to_rrset().to_lines().collect::<Vec<_>>()).collect();
        for want in want {
            assert!(lines.iter().any(|line| line.starts_with(want)), "{want} in {lines:?}");
        }
    };
    let soa = "SOA ns.example.net. host 1 2h 1h 1w 5m\n NS ns.example.net.\n";
    // RFC 1035: the last one stated. RFC 2308: $TTL, from where it stands on.
    check(&format!("@ 7 {soa}"), &["example.com. 7 IN SOA", "example.com. 7 IN NS"]);
    check(&format!("@ 7 {soa}$TTL 9\nwww A 192.0.2.1"), &["example.com. 7 IN NS", "www.example.com. 9 IN A"]);
    check(
        &format!("$TTL 9\n@ 7 {soa}www 5 A 192.0.2.1\nw2 A 192.0.2.2"),
        &["example.com. 9 IN NS", "www.example.com. 5 IN A", "w2.example.com. 9 IN A"],
    );
    check(&format!("@ {soa}"), &["example.com. 300 IN SOA", "example.com. 300 IN NS"]);
    let (_, warnings) = parsed(format!("@ {soa}")).unwrap();
    assert_eq!(
        told(&warnings),
        [
            "zone:1:1: warning: the SOA has no TTL and there is no $TTL: taking its minimum, 300; add \"$TTL 300\" above"
        ],
    );
    let problems = parsed(format!("www A 192.0.2.1\nw2 A 192.0.2.2\n@ 1h {soa}")).unwrap_err();
    assert_eq!(
        told(&problems),
        [
            "zone:1:1: error: the record has no TTL, and nothing before it gives one; begin the file with \"$TTL 1h\""
        ],
    );
}

#[test]
fn ttls_too_long_count_as_zero() {
    check_warnings(
        "www 2147483647 A 192.0.2.1\nw2 2147483648 A 192.0.2.1\n",
        &[
            "zone:5:4: warning: a TTL of 2147483648 counts as 0: the longest is 2147483647 (RFC 2181 section 8)",
        ],
    );
    let (zone, _) = parsed(format!("{APEX}$TTL 4294967295\nwww A 192.0.2.1")).unwrap();
    assert_eq!(lines(&zone), ["www.example.com. 0 IN A 192.0.2.1"]);
}

#[test]
fn faults_of_words() {
    check_errors(
        "www A ( 192.0.2.1\nw2 A 192.0.2.2\n",
        &[
            "zone:4:7: error: this parenthesis is never closed; add the )",
            "zone:5:1: error: \"w2\" stands after the end of the A record; take it away",
        ],
    );
    check_errors(
        "www TXT \"a\nw2 A 192.0.2.300",
        &[
            "zone:4:9: error: this quote is not closed on its line; add the \"",
            "zone:5:6: error: \"192.0.2.300\" is not an IPv4 address like 192.0.2.1",
        ],
    );
    check_errors(
        "www A 192.0.2.1 )",
        &["zone:4:17: error: no parenthesis is open here; write \\) for the character"],
    );
}

#[test]
fn faults_of_heads() {
    check_errors("www", &["zone:4:4: error: the line ends too early: a record type is missing"]);
    check_errors("www 60 IN\n", &["zone:4:10: error: the line ends too early: a record type is missing"]);
    check_errors("www 60 5 A 192.0.2.1", &["zone:4:8: error: the record has two TTLs; keep one"]);
    check_errors("www IN 5 IN A 192.0.2.1", &["zone:4:10: error: the record has two classes; keep one"]);
    check_errors(
        "www 6x A 192.0.2.1",
        &["zone:4:5: error: \"6x\" is not a TTL; write seconds, or like 1h30m"],
    );
    check_errors(
        "www CH A 192.0.2.1",
        &["zone:4:5: error: \"CH\" is not a class served here; write IN, or leave it out"],
    );
    check_errors(
        "www CLASS3 A 192.0.2.1",
        &["zone:4:5: error: \"CLASS3\" is not a class served here; write IN, or leave it out"],
    );
    check_errors(
        "www AAAAA 2001:db8::1",
        &[
            "zone:4:5: error: \"AAAAA\" is not a record type; write a mnemonic like AAAA, or TYPEnnn (RFC 3597)",
        ],
    );
    check_errors("www ANY \\# 0", &["zone:4:5: error: ANY records exist in messages only; take it away"]);
}

#[test]
fn faults_of_owners() {
    check_errors(
        "www.example.org. A 192.0.2.1\n A 192.0.2.2\nxexample.com. A 192.0.2.1",
        &[
            "zone:4:1: error: www.example.org. lies outside the zone example.com.; take it away, or end the name without a dot",
            "zone:6:1: error: xexample.com. lies outside the zone example.com.; take it away, or end the name without a dot",
        ],
    );
    check_errors(
        "a..b A 192.0.2.1\n A x\nwww A 192.0.2.1",
        &["zone:4:1: error: name \"a..b\" has an empty label"],
    );
    let problems = parsed(" A 192.0.2.1").unwrap_err();
    assert_eq!(
        told(&problems),
        ["zone:1:2: error: no owner stands before this line for it to share; begin it with a name, or @"],
    );
}

#[test]
fn faults_of_directives() {
    check_errors(
        "$FOO x",
        &["zone:4:1: error: \"$FOO\" is not a directive; there are $ORIGIN, $TTL, $INCLUDE and $GENERATE"],
    );
    check_errors("$TTL", &["zone:4:5: error: the line ends too early: a TTL is missing"]);
    check_errors("$TTL 1 2", &["zone:4:8: error: \"2\" stands after the end of $TTL; take it away"]);
    check_errors("$TTL x", &["zone:4:6: error: \"x\" is not a TTL; write seconds, or like 1h30m"]);
    check_errors("$ORIGIN ..", &["zone:4:9: error: name \"..\" has an empty label"]);
    check_errors("$ORIGIN a b", &["zone:4:11: error: \"b\" stands after the end of $ORIGIN; take it away"]);
}

#[test]
fn problems_show_their_line() {
    let problems = parsed(format!("{APEX}\täöü\tA\t192.0.2.300 ; x\r\n")).unwrap_err();
    let shown = problems[0].to_string();
    assert_eq!(
        shown,
        "zone:4:2: error: \"äöü\" is not a record type; write a mnemonic like AAAA, or TYPEnnn (RFC 3597)\n\
         \x20    äöü A 192.0.2.300 ; x\n\
         \x20    ^"
    );
    let problems = parsed(format!("{APEX}ä A x")).unwrap_err();
    assert_eq!((problems[0].line, problems[0].column), (4, 5), "columns count characters");
    assert_eq!(problems[0].line_text, "ä A x");
}

#[test]
fn problems_are_bounded() {
    let text = format!("{APEX}{}{}", "x A x\n".repeat(150), "y A 192.0.2.1\n".repeat(120));
    let problems = parsed(text).unwrap_err();
    assert_eq!(problems.len(), 202);
    let told = told(&problems);
    assert_eq!(told[200..], ["zone: error: 50 more errors", "zone: warning: 19 more warnings"]);
    let problems = parsed(format!("{APEX}www A {}", "x".repeat(100_000))).unwrap_err();
    assert!(problems[0].line_text.chars().count() <= crate::zone::MAX_LINE_TEXT);
    assert!(problems[0].message.len() < 200);
}

/// Editors put a byte order mark before a text.
#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    let (zone, warnings) =
        parsed(format!("\u{feff}{APEX}www A 192.0.2.1")).map_err(|all| told(&all)).unwrap();
    assert_eq!(told(&warnings), [""; 0]);
    assert_eq!(lines(&zone), ["www.example.com. 3600 IN A 192.0.2.1"]);
}

/// Names that look odd and are in use: lower-case services, quoted and escaped labels, the delegations of RFC 2317 and the
/// names between that own nothing.
#[test]
fn odd_owners_are_taken_as_they_are() {
    check_records(
        "_why._tcp\tTXT\ta\r\n0/25 NS ns.example.net.\r\n1 CNAME 1.0/25\r\na.b.c\tTXT b\r\n\"q r\" TXT c\r\nx\\.y TXT d\r\n",
        &[
            "_why._tcp.example.com. 3600 IN TXT \"a\"",
            "0/25.example.com. 3600 IN NS ns.example.net.",
            "1.example.com. 3600 IN CNAME 1.0/25.example.com.",
            "a.b.c.example.com. 3600 IN TXT \"b\"",
            "q\\032r.example.com. 3600 IN TXT \"c\"",
            "x\\.y.example.com. 3600 IN TXT \"d\"",
        ],
    );
}
