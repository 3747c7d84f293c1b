//! $GENERATE, as BIND's reference manual has it.

use super::*;

/// The entries of one $GENERATE, without the domain and what is the same in all.
fn check(generate: &str, want: &[&str]) {
    let (zone, _) = parsed(format!("{APEX}$GENERATE {generate}")).map_err(|all| told(&all)).expect(generate);
    let short = |line: String| line.replace(".example.com. 3600 IN", "");
    assert_eq!(lines(&zone).into_iter().map(short).collect::<Vec<_>>(), want, "{generate}");
}

#[test]
fn numbers() {
    check("1-3 h$ A 192.0.2.$", &["h1 A 192.0.2.1", "h2 A 192.0.2.2", "h3 A 192.0.2.3"]);
    check(
        "1-2 h$ 60 IN A 192.0.2.$ ; twice",
        &["h1.example.com. 60 IN A 192.0.2.1", "h2.example.com. 60 IN A 192.0.2.2"],
    );
    check("0-5/2 h$ A 192.0.2.$", &["h0 A 192.0.2.0", "h2 A 192.0.2.2", "h4 A 192.0.2.4"]);
    check("7-7 ${0,3,d} CNAME ${-7}.example.net.", &["007 CNAME 0.example.net."]);
    check("30-30 ${0} CNAME ${0,0,o}-${0,4,x}-${0,0,X}.example.net.", &["30 CNAME 36-001e-1e.example.net."]);
    check("291-291 ${0,0,n} CNAME ${0,8,N}example.net.", &["3.2.1 CNAME 3.2.1.0.example.net."]);
    check("1-1 h$ TXT \\$-$$-$", &["h1 TXT \"$-$-1\""]);
}

#[test]
fn one_quoted_word_is_unquoted() {
    check("1-1 h$ MX \"10 mail$\"", &["h1 MX 10 mail1.example.com."]);
    check("1-1 h$ TXT \"a $\"", &["h1 TXT \"a\" \"1\""]);
    check("1-1 h$ TXT \"\\\"a $\\\"\"", &["h1 TXT \"a 1\""]);
    check("1-1 h$ TXT \"a $\" \"b\"", &["h1 TXT \"a 1\" \"b\""]);
}

#[test]
fn faults() {
    let check = |generate: &str, want: &str| {
        check_errors(&format!("$GENERATE {generate}"), &[&format!("zone:4:{want}")]);
    };
    let range = "is not a range; write START-STOP or START-STOP/STEP, like 1-100 or 0-254/2";
    for bad in ["5", "5-1", "1-5/0", "-5", "a-b", "+1-5", "1-5000000000"] {
        check(&format!("{bad} h$ A 192.0.2.1"), &format!("11: error: \"{bad}\" {range}"));
    }
    check(
        "0-65536 h$ A 192.0.2.1",
        "11: error: \"0-65536\" makes 65537 entries; one $GENERATE makes at most 65536",
    );
    check("1-5 h$", "17: error: the line ends too early: a record type is missing");
    check(
        "1-5 h$ (A\n192.0.2.1)",
        "1: error: a $GENERATE stands on one line, without parentheses before its RDATA",
    );
    let modifier = "1: error: after ${ comes OFFSET[,WIDTH[,BASE]]}, like ${0,3,d}";
    for bad in ["${", "${}", "${x}", "${0,x}", "${0,999}", "${0,0,d,0}"] {
        check(&format!("1-5 h{bad} A 192.0.2.1"), modifier);
    }
    check("1-5 h${0,0,z} A 192.0.2.1", "1: error: base \"z\" is unknown; there are d, o, x, X, n and N");
    check("1-5 h${-2} A 192.0.2.1", "1: error: 1 and the offset -2 make a negative number");
    check(
        "254-300 h$ A 192.0.2.$",
        "1: error: \"192.0.2.256\" is not an IPv4 address like 192.0.2.1 (in the entry for 256: \"h256 A  192.0.2.256\")",
    );
}

#[test]
fn what_checks_say_of_an_entry_stands_at_its_generate() {
    check_warnings(
        "\n$GENERATE 1-2 h A 192.0.2.1\n",
        &["zone:5:1: warning: A \"192.0.2.1\" stands twice; it is kept once; the first is at line 5"],
    );
}

#[test]
fn a_generated_owner_is_never_a_directive() {
    check("1-1 $$TTL$ CNAME .", &["\\$ttl1 CNAME ."]);
}
