//! The tools of others on the same files: BIND's named-compilezone, NSD's nsd-checkzone, Knot's kzonecheck.

use std::fs;

use crate::{Folder, run};

const HEAD: &str = "$TTL 1h\n@ SOA ns1 host 1 2h 15m 2w 5m\n@ NS ns1\nns1 A 192.0.2.1\n";

/// Names and records in every shape that all know, with white space, comments and parentheses.
const SHAPES: &str = r#"
www     IN 1h A ( 192.0.2.1 ; one
        )
        AAAA 2001:DB8::1
\097bc  TXT "a;b" c\;d "\"" ( "e"
   "f" )
*.wild  MX 10 mail.example.net.
_s._tcp SRV 0 5 443 www
k       TYPE65280 \# 4 01020304
caa     CAA 0 issue "ca.example.net; x=y"
tlsa    TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
svc     HTTPS 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1
loc     LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
naptr   NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:info@example.com!" .
ssh     SSHFP 4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
lab     NS ns.lab
ns.lab  A 192.0.2.5
lab     DS 60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A
$ORIGIN deep.example.com.
a       1d CNAME b
b       PTR @
old     DNAME new.example.net.
"#;

/// What BIND reads from a file, laid over what Detour reads from it: no difference.
fn check_same(text: &str) {
    let folder = Folder::new(&[("example.com.zone", text)]);
    let here = folder.path("");
    folder.zone(&["check", "example.com.zone"]).ended(0);
    let compile = ["-q", "-i", "none", "-k", "ignore", "-o", "bind", "example.com", "example.com.zone"];
    run("named-compilezone", &compile, &here).ended(0);
    folder.zone(&["diff", "--origin", "example.com", "example.com.zone", "bind"]).ended(0);
    run("nsd-checkzone", &["example.com", "example.com.zone"], &here).ended(0);
    run("kzonecheck", &["-o", "example.com", "example.com.zone"], &here).ended(0);
    // And what Detour makes of it is to them what it was before.
    let before = folder.text("bind");
    folder.zone(&["fmt", "example.com.zone"]).ended(0);
    run("named-compilezone", &compile, &here).ended(0);
    assert_eq!(folder.text("bind"), before);
    fs::write(folder.path("exported"), folder.zone(&["export", "example.com.zone"]).ended(0).out).unwrap();
    let compile = ["-q", "-i", "none", "-k", "ignore", "-o", "bind", "example.com", "exported"];
    run("named-compilezone", &compile, &here).ended(0);
    assert_eq!(folder.text("bind"), before);
    run("nsd-checkzone", &["example.com", "exported"], &here).ended(0);
    run("kzonecheck", &["-o", "example.com", "exported"], &here).ended(0);
}

#[test]
fn they_read_the_same_zones_and_find_the_same_in_them() {
    check_same(&format!("{HEAD}{SHAPES}"));
    check_same(&HEAD.replace("1 2h 15m 2w 5m", "( 1 ; serial\n 2h\n 15m 2w ; x\n 5m )"));
}

/// Many names and records, by a rule that a reader can repeat.
#[test]
fn they_find_the_same_in_a_generated_zone() {
    let mut text = HEAD.to_owned();
    for n in 0..2000u32 {
        let (ttl, byte) = (n % 7 * 30, n % 250);
        let line = match n % 9 {
            0 => format!("h{n}\t{ttl} A 192.0.2.{byte} ; mark\n"),
            1 => format!("   AAAA 2001:db8::{n:x}\n"),
            2 => format!("h{n}.d{}  IN {ttl} TXT ( \"{n}\" ; mark\n  \"more; of it\" )\n", n % 13),
            3 => format!("m{n} MX {byte} h{n}.example.net.\n"),
            4 => format!("c{n} {ttl} IN CNAME h{byte}\n"),
            5 => format!("t{n} TYPE{} \\# 2 {:04x}\n", 65280 + byte, n),
            6 => format!("z{n} NS ns.z{n}\nns.z{n} A 192.0.2.{byte}\n"),
            7 => format!("s{n} SRV {byte} {byte} {n} h{n}.example.org.\n\n"),
            _ => format!("; mark\nu{n} HTTPS {} svc.example.net. port={n}\n", byte + 1),
        };
        text.push_str(&line);
    }
    check_same(&text);
}

/// What Detour refuses they refuse, and the other way round. Where one differs, the list says which.
#[test]
fn they_refuse_the_same_files() {
    let wrong: &[(&str, &[&str])] = &[
        ("www A 192.0.2.256\n", &[]),
        ("www AAAA 192.0.2.1\n", &[]),
        ("www TXT \"open\n", &[]),
        // NSD takes the end of the file for the parenthesis.
        ("www ( A 192.0.2.1\n", &["nsd-checkzone"]),
        ("www A 192.0.2.1 more\n", &[]),
        ("www MX mail\n", &[]),
        ("www WRONG x\n", &[]),
        ("a..b A 192.0.2.1\n", &[]),
        ("www CNAME a\nwww CNAME b\n", &[]),
        ("www CNAME a\nwww A 192.0.2.1\n", &[]),
        ("$INCLUDE not-there\n", &[]),
        ("$TTL x\n", &[]),
        // BIND and Knot DNS warn of names outside the zone, and leave them out.
        ("www.example.net. A 192.0.2.1\n", &["named-checkzone", "kzonecheck"]),
    ];
    for (text, accept) in wrong {
        let folder = Folder::new(&[("example.com.zone", &format!("{HEAD}{text}"))]);
        folder.zone(&["check", "example.com.zone"]).ended(1);
        let tools: [(&str, &[&str]); 3] = [
            ("named-checkzone", &["-i", "none", "example.com", "example.com.zone"]),
            ("nsd-checkzone", &["example.com", "example.com.zone"]),
            ("kzonecheck", &["-o", "example.com", "example.com.zone"]),
        ];
        for (tool, args) in tools {
            let ran = run(tool, args, &folder.path(""));
            assert_eq!(
                ran.code == Some(0),
                accept.contains(&tool),
                "{tool} on {text:?}: {}{}",
                ran.out,
                ran.err
            );
        }
    }
}
