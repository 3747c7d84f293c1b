//! The keys of the probes `tcp`, `icmp` and `exec`, right and wrong.

use std::path::PathBuf;
use std::time::Duration;

use detour::model::{
    ExecProbe, ExitCodes, ExitVerdict, Expect, IcmpProbe, Pattern, Probe, ProbeKind, Step, TcpProbe,
};

use crate::refused::{check, check_head, first, probe};
use crate::{Folder, HEAD, ZONE, loaded};

const SERVICE: &str = r#"
[[service]]
name = "app.example.com"
probes = ["db"]
endpoints = [{ site = "fra", addresses = ["192.0.2.10"] }]
"#;

/// The probe with these keys.
fn good(keys: &str) -> Probe {
    let text = HEAD.replace("type = \"tcp\"\nport = 5432\n", &format!("{keys}\n"));
    Probe::clone(&loaded(&format!("{text}{SERVICE}")).config.probes[1])
}

/// The report of a probe with these keys, from line 8 on.
fn bad(keys: &str) -> String {
    let text = HEAD.replace("type = \"tcp\"\nport = 5432\n", &format!("{keys}\n"));
    Folder::new(&[("detour.toml", &text), ("example.com.zone", ZONE)]).report()
}

fn tcp(keys: &str) -> Vec<Step> {
    match good(&format!("type = \"tcp\"\nport = 1\n{keys}")).kind {
        ProbeKind::Tcp(TcpProbe { steps }) => steps,
        other => panic!("{other:?}"),
    }
}

fn step(send: &[u8], expect: Option<Expect>) -> Step {
    Step { send: send.to_vec(), expect }
}

fn bytes(text: &[u8]) -> Expect {
    Expect::Bytes(text.to_vec())
}

#[test]
fn a_tcp_probe_says_and_expects() {
    assert_eq!(tcp(""), []);
    assert_eq!(
        tcp(r#"send = "PING\r\n"
expect = "+PONG""#),
        [step(b"PING\r\n", Some(bytes(b"+PONG")))]
    );
    assert_eq!(tcp(r#"expect = { text = "220 " }"#), [step(b"", Some(bytes(b"220 ")))]);
    let regex = Some(Expect::Regex(Pattern::new("^[SN]").unwrap()));
    assert_eq!(
        tcp("send_hex = \"00 00 00 08 04d2 162f\"\nexpect = { regex = '^[SN]' }"),
        [step(&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f], regex)]
    );
    assert_eq!(
        tcp(r#"script = [{ expect = { hex = "32 32 30" } }, { send = "QUIT\r\n" }]"#),
        [step(b"", Some(bytes(b"220"))), step(b"QUIT\r\n", None)]
    );
}

#[test]
fn what_a_tcp_probe_cannot_say() {
    check(
        &probe("expect = { regex = '[' }"),
        r#"
detour.toml:10:20: error: pattern "[": unclosed character class
    expect = { regex = '[' }
                       ^^^
    help: the syntax is that of the regex crate; in TOML a pattern is easiest in 'single quotes'
"#,
    );
    check(
        &probe("expect = { text = \"a\", hex = \"41\" }"),
        r#"
detour.toml:10:10: error: "expect" has none of "text", "hex" and "regex", or several
    expect = { text = "a", hex = "41" }
             ^^^^^^^^^^^^^^^^^^^^^^^^^^
    help: write it like expect = { text = "+PONG" }
"#,
    );
    check_head(
        &probe("send = \"a\"\nsend_hex = \"41\""),
        "detour.toml:11:12: error: both \"send\" and \"send_hex\"",
    );
    check_head(
        &probe("send_hex = \"4\""),
        "detour.toml:10:12: error: \"4\" is not pairs of hexadecimal digits for 1 to 1024 bytes",
    );
    check_head(
        &probe("send = \"a\"\nscript = [{ send = \"b\" }]"),
        "detour.toml:11:10: error: both \"script\" and \"send or expect\"",
    );
    check_head(&probe("script = [{}]"), "detour.toml:10:11: error: a step that neither sends nor expects");
    check_head(&probe("script = []"), "detour.toml:10:10: error: \"script\" is an empty list");
    check_head(
        &probe("script = [{ sned = \"a\" }]"),
        "detour.toml:10:13: error: unknown key \"sned\" in a step of \"script\"",
    );
    check_head(
        &probe("expect = { regex = '(a{500}){500}' }"),
        "detour.toml:10:20: error: pattern \"(a{500}){500}\": it is too large once compiled",
    );
}

#[test]
fn an_icmp_probe_has_no_port() {
    let probe = good("type = \"icmp\"");
    let spacing = Duration::from_millis(100);
    assert_eq!(probe.port, 0);
    assert_eq!(probe.kind, ProbeKind::Icmp(IcmpProbe { count: 1, max_loss: 0, spacing, size: 56 }));
    let probe = good("type = \"icmp\"\ncount = 3\nmax_loss = 1\nspacing = \"20ms\"\nsize = 1232");
    let spacing = Duration::from_millis(20);
    assert_eq!(probe.kind, ProbeKind::Icmp(IcmpProbe { count: 3, max_loss: 1, spacing, size: 1232 }));
    check_head(
        &bad("type = \"icmp\"\nport = 1"),
        "detour.toml:9:1: error: \"port\" means nothing to an icmp probe",
    );
    check_head(
        &bad("type = \"icmp\"\nwatch = true"),
        "detour.toml:9:1: error: \"watch\" means nothing to an icmp probe",
    );
}

#[test]
fn what_an_icmp_probe_cannot_count() {
    let icmp = |keys: &str| bad(&format!("type = \"icmp\"\n{keys}"));
    check(
        &icmp("count = 3\nmax_loss = 3"),
        r"
detour.toml:10:12: error: max_loss 3 is not below count 3
    max_loss = 3
               ^
    help: at least one reply has to come: lower max_loss or raise count
",
    );
    check_head(&icmp("count = 0"), "detour.toml:9:9: error: \"count\" is zero");
    check_head(&icmp("count = 21"), "detour.toml:9:9: error: \"count\" is 21, not between 0 and 20");
    check_head(&icmp("size = 8"), "detour.toml:9:8: error: \"size\" is 8, not between 16 and 1232");
    check_head(
        &icmp("count = 3\nspacing = \"1s\""),
        "detour.toml:7:1: error: the last echo request would leave 2s after the first, which is not within timeout 2s",
    );
}

#[test]
fn an_exec_probe_is_a_list_of_words() {
    let probe = good("type = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"exit 0\", \"{address}\", \"\"]");
    let command = ["/bin/sh", "-c", "exit 0", "{address}", ""].map(str::to_owned).to_vec();
    assert_eq!(probe.port, 0);
    let ProbeKind::Exec(exec) = probe.kind else { panic!("{:?}", probe.kind) };
    assert!(!exec.names_service());
    assert_eq!(exec, ExecProbe { command, env: vec![], cwd: PathBuf::from("/"), exit: ExitCodes::default() });
    let probe = good(
        "type = \"exec\"\nport = 25\ncwd = \"/tmp\"\nenv = { LANG = \"C\", FOR = \"{service}\" }\ncommand = [\"/bin/true\"]",
    );
    let ProbeKind::Exec(exec) = probe.kind else { panic!("{:?}", probe.kind) };
    assert_eq!((probe.port, exec.cwd.to_str(), exec.names_service()), (25, Some("/tmp"), true));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(exec.env, [pair("LANG", "C"), pair("FOR", "{service}")]);
}

/// Services share a command that is not told for whom it is run.
#[test]
fn a_command_that_names_the_service_is_run_for_each() {
    let checks = |argument: &str| {
        let keys = format!("type = \"exec\"\ncommand = [\"/bin/true\", \"{argument}\"]");
        let head = HEAD.replace("type = \"tcp\"\nport = 5432\n", &format!("{keys}\n"));
        let service =
            SERVICE.replace("name = \"app.example.com\"", "names = [\"app.example.com\", \"b.example.com\"]");
        let checks = loaded(&format!("{head}{service}")).config.checks();
        checks.iter().map(|check| check.key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(checks("{address}"), ["db@192.0.2.10"]);
    assert_eq!(checks("{service}"), ["db@192.0.2.10 (app.example.com)", "db@192.0.2.10 (b.example.com)"]);
}

#[test]
fn what_cannot_be_run() {
    let exec = |keys: &str| bad(&format!("type = \"exec\"\n{keys}"));
    check(
        &exec("command = [\"/usr/lib/nowhere/check_x\"]"),
        r#"
detour.toml:9:12: error: command "/usr/lib/nowhere/check_x": No such file or directory (os error 2)
    command = ["/usr/lib/nowhere/check_x"]
               ^^^^^^^^^^^^^^^^^^^^^^^^^^
    help: command is a list: the path of a program on this host, then its arguments
"#,
    );
    check_head(
        &exec("command = [\"/etc/passwd\"]"),
        "detour.toml:9:12: error: command \"/etc/passwd\": not executable",
    );
    check_head(&exec("command = [\"/usr\"]"), "detour.toml:9:12: error: command \"/usr\": not a file");
    check_head(
        &exec("command = [\"true\"]"),
        "detour.toml:9:12: error: command \"true\": not an absolute path",
    );
    check_head(
        &exec("command = \"/bin/true\""),
        "detour.toml:9:11: error: \"command\" is a string, not a list",
    );
    check_head(&exec(""), "detour.toml:7:1: error: [probes.db] has no \"command\"");
    check_head(
        &exec("command = [\"/bin/true\", \"{adress}\"]"),
        "detour.toml:9:25: error: unknown placeholder \"{adress}\"",
    );
    check_head(
        &exec("command = [\"/bin/true\"]\nenv = { DETOUR_PORT = \"1\" }"),
        "detour.toml:10:9: error: \"DETOUR_PORT\" is not a variable's name that does not begin with DETOUR_",
    );
    check_head(
        &exec("command = [\"/bin/true\"]\ncwd = \"here\""),
        "detour.toml:10:7: error: \"here\" is not an absolute path",
    );
    check_head(&first("[server]\nmax_exec = 0"), "detour.toml:2:12: error: \"max_exec\" is zero");
}

#[test]
fn exit_codes_are_listed_or_those_of_plugins() {
    use ExitVerdict::{Discard, Fail, Pass};
    let exit = |line: &str| {
        let probe = good(&format!("type = \"exec\"\ncommand = [\"/bin/true\"]\n{line}"));
        let ProbeKind::Exec(exec) = probe.kind else { panic!("{:?}", probe.kind) };
        [0, 1, 2, 3, 4].map(|code| exec.exit.verdict(code))
    };
    assert_eq!(exit(""), [Pass, Fail, Fail, Fail, Fail]);
    assert_eq!(exit("exit = \"plugin\""), [Pass, Pass, Fail, Discard, Discard]);
    assert_eq!(
        exit("exit = { pass = [0, 1], fail = [2], discard = [3] }"),
        [Pass, Pass, Fail, Discard, Fail]
    );
    assert_eq!(exit("exit = { discard = [3] }"), [Pass, Fail, Fail, Discard, Fail]);
    let refused = |line: &str, want: &str| {
        let report = bad(&format!("type = \"exec\"\ncommand = [\"/bin/true\"]\n{line}"));
        check_head(&report, &format!("detour.toml:10:{want}"));
    };
    refused("exit = 0", "8: error: \"exit\" is an integer, not \"plugin\" or a table of lists of exit codes");
    refused("exit = { pass = [1], fail = [1] }", "30: error: exit code 1 is listed twice");
    let twice = bad("type = \"exec\"\ncommand = [\"/bin/true\"]\nexit = { pass = [1], fail = [1] }");
    assert!(twice.contains("help: the first is on line 10; a code either passes"), "{twice}");
    refused("exit = { pass = [256] }", "18: error: \"pass\" is 256, not between 0 and 255");
    refused("exit = { past = [1] }", "10: error: unknown key \"past\" in \"exit\"");
}
