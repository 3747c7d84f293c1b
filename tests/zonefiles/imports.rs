//! Zones taken over from running servers: what Detour then answers is what they answer.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::nameserver::Nameserver;
use crate::ports::free_port;
use crate::{Folder, SAMPLE, SAMPLE_HOSTS, run};

const REVERSE: &str = "$TTL 1h\n@ SOA ns1.example.com. host.example.com. 7 2h 15m 2w 5m\n@ NS ns1.example.com.\n@ NS ns2.example.com.\n; who is who\n1 PTR ns1.example.com.\n";

/// A server that ends with its test.
struct Server {
    process: Nameserver,
    port: u16,
}

impl Server {
    /// Starts a server and waits until it answers.
    fn start(program: &'static str, args: &'static [&'static str], folder: &Path, port: u16) -> Server {
        let process = Nameserver::new(program, args, folder.to_owned());
        process.start();
        let server = Server { process, port };
        server.process.await_answer(|| server.ask("example.com SOA\n", folder).contains("SOA").then_some(()));
        server
    }

    /// What is answered to questions, one to a line; sorted.
    fn ask(&self, questions: &str, folder: &Path) -> String {
        let file = folder.join(format!("questions-{}", self.port));
        fs::write(&file, questions).unwrap();
        let port = self.port.to_string();
        let file = file.display().to_string();
        let args = [
            "@127.0.0.1",
            "-p",
            &port,
            "+noall",
            "+answer",
            "+norecurse",
            "+tries=1",
            "+time=5",
            "-f",
            &file,
        ];
        let out = run("dig", &args, folder).out;
        // Servers print names in the case they were asked in; columns are dig's.
        let mut lines: Vec<String> = out
            .lines()
            .filter(|line| !line.starts_with(';') && !line.is_empty())
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        lines.sort();
        lines.join("\n")
    }
}

/// The sample as NSD and Knot DNS can read it: they know no $GENERATE, and want the origin of an $INCLUDE
/// to be absolute.
fn plain_sample() -> (String, String) {
    let hosts = SAMPLE_HOSTS.replace("$GENERATE 1-4 rack${0,2} A 192.0.2.${100}", "rack01 A 192.0.2.101");
    (SAMPLE.replace("  hosts\n", "  hosts.example.com.\n"), hosts)
}

/// Imports from a server that runs, serves the result, and asks both for every record set.
fn check(
    kind: &str,
    program: &'static str,
    config: impl Fn(u16, &str) -> String,
    args: &'static [&'static str],
) {
    let port = free_port();
    let bind = (SAMPLE.to_owned(), SAMPLE_HOSTS.to_owned());
    let (sample, hosts) = if kind == "bind" { bind } else { plain_sample() };
    let folder = Folder::new(&[
        ("z/example.com.zone", &sample),
        ("z/example.com.hosts.zone", &hosts),
        ("z/rev.db", REVERSE),
        ("run/empty", ""),
    ]);
    let here = folder.path("");
    let here = here.to_str().unwrap().trim_end_matches('/');
    fs::write(folder.path("server.conf"), config(port, here)).unwrap();
    let theirs = Server::start(program, args, &folder.path(""), port);

    let from = format!("{kind}=server.conf");
    let dry = folder.zone(&["import", "--from-config", &from, "--into", "new", "--dry-run"]).ended(0);
    assert!(dry.out.contains("name = \"example.com\"") && !folder.path("new").exists(), "{}", dry.out);
    let ran = folder.zone(&["import", "--from-config", &from, "--into", "new"]).ended(0);
    assert!(ran.err.contains("z/example.com.zone: its layout and comments"), "{}", ran.err);
    let again = folder.zone(&["import", "--from-config", &from, "--into", "new"]).ended(1);
    assert!(again.err.contains("is there already"), "{}", again.err);
    folder.zone(&["import", "--from-config", &from, "--into", "new", "--force"]).ended(0);
    assert_eq!(folder.text("new/zones/2.0.192.in-addr.arpa.zone"), REVERSE);

    let port = free_port();
    let text = folder.text("new/detour.toml").replace("127.0.0.1:5353", &format!("127.0.0.1:{port}"));
    fs::write(folder.path("new/detour.toml"), text + "\n[control]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let detour = env!("CARGO_BIN_EXE_detour");
    run(detour, &["check", "-c", "new/detour.toml"], &folder.path("")).ended(0);
    let ours = Server::start(detour, &["serve", "-c", "new/detour.toml"], &folder.path(""), port);

    let mut questions = String::new();
    for file in ["new/zones/example.com.zone", "new/zones/2.0.192.in-addr.arpa.zone"] {
        for line in folder.zone(&["export", file]).ended(0).out.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            writeln!(questions, "{} {}", words[0].replace("*.", "any."), words[3]).unwrap();
        }
    }
    let (mine, other) = (ours.ask(&questions, &folder.path("")), theirs.ask(&questions, &folder.path("")));
    assert!(mine.lines().count() >= 25, "{mine}");
    assert_eq!(mine, other, "{program}");
}

#[test]
fn from_bind() {
    let config = |port, here: &str| {
        format!(
            "options {{ directory \"{here}/z\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no; dnssec-validation no; minimal-responses no; }};\ncontrols {{ }};\nzone \"example.com\" {{ type primary; file \"example.com.zone\"; check-names ignore; }};\nzone \"2.0.192.in-addr.arpa\" {{ type primary; file \"rev.db\"; }};\n"
        )
    };
    check("bind", "named", config, &["-f", "-c", "server.conf"]);
}

#[test]
fn from_nsd() {
    let config = |port, here: &str| {
        format!(
            "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  zonesdir: \"{here}/z\"\n  database: \"\"\n  pidfile: \"\"\n  zonelistfile: \"{here}/run/list\"\n  xfrdfile: \"\"\n  xfrdir: \"{here}/run\"\n  server-count: 1\nremote-control:\n  control-enable: no\nzone:\n  name: example.com\n  zonefile: %s.zone\nzone:\n  name: \"2.0.192.in-addr.arpa\"\n  zonefile: \"rev.db\"\n"
        )
    };
    check("nsd", "nsd", config, &["-d", "-c", "server.conf"]);
}

#[test]
fn from_knot() {
    let config = |port, here: &str| {
        format!(
            "server:\n    rundir: {here}/run\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\ndatabase:\n    storage: {here}/run\ntemplate:\n  - id: default\n    storage: {here}/z\nzone:\n  - domain: example.com\n  - domain: 2.0.192.in-addr.arpa\n    file: rev.db\n"
        )
    };
    check("knot", "knotd", config, &["-c", "server.conf"]);
}

#[test]
fn a_wrong_zone_keeps_everything_from_being_written() {
    let folder = Folder::new(&[
        (
            "named.conf",
            "zone \"example.com\" { type primary; file \"a.zone\"; };\nzone \"example.net\" { type primary; file \"b.zone\"; };",
        ),
        ("a.zone", REVERSE),
        ("b.zone", "$TTL 1h\n@ SOA a b 1 1 1 1\n"),
    ]);
    let ran = folder.zone(&["import", "--from-config", "bind=named.conf", "--into", "new"]).ended(1);
    assert!(ran.err.contains("b.zone:2:"), "{}", ran.err);
    assert!(!folder.path("new").exists());
}
