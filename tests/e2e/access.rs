//! Who may steer a daemon: tokens and TLS of the API, by the commands of operators, while the files change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Detour, Ran, detour, until, zone};
use crate::peers::authority::Authority;

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
threads = 1
[control]
listen = "127.0.0.1:0"
tokens = "tokens"
tls = { certificate = "api.pem", key = "api.key" }
[sites.fra]
[sites.iad]
[probes.web]
type = "tcp"
port = 9
[[zone]]
name = "example.com"
file = "example.com.zone"
[[service]]
name = "app.example.com"
probes = ["web"]
endpoints = [{ site = "fra", addresses = ["127.0.0.1"] }, { site = "iad", addresses = ["127.0.0.2"] }]
"#;

/// A token, as `detour token new` makes it: what is shown, and the line that lets in who shows it.
fn token(name: &str, role: &str) -> (String, String) {
    let made = detour(&["token", "new", name, "--role", role, "--bare"]);
    assert_eq!(made.code, 0, "{made:?}");
    (made.stdout.trim().to_owned(), made.stderr.trim().to_owned())
}

/// A daemon, and files of tokens beside it.
struct Guarded {
    detour: Detour,
    folder: PathBuf,
}

impl Guarded {
    fn start(files: &[(&str, &str)]) -> Guarded {
        let zone = zone(1, "");
        let files: Vec<(&str, &str)> =
            [("example.com.zone", &*zone)].into_iter().chain(files.iter().copied()).collect();
        let mut detour = Detour::spawn(CONFIG, &files);
        detour.await_listening();
        let folder = detour.config_path().parent().unwrap().to_owned();
        Guarded { detour, folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A command on the daemon's own host, which has its configuration, with the token in a file.
    fn run(&self, token: &str, args: &[&str]) -> Ran {
        let (config, token) = (self.file("detour.toml"), self.file(token));
        detour(&[args, &["-c", &config, "--token-file", &token]].concat())
    }

    /// What `/healthz`, which asks for no token, notes.
    fn notes(&self) -> String {
        let ran = detour(&["healthz", "--json", "-c", &self.file("detour.toml")]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
    }
}

#[test]
fn tokens_and_certificates_let_in_whom_the_files_say() {
    let ours = Authority::new("ours");
    let (certificate, key) = ours.pem(&["localhost"]);
    let ((ana, ana_line), (graphs, graphs_line)) = (token("ana", "operator"), token("grafana", "viewer"));
    assert!(ana.starts_with("detour_") && ana.len() > 40 && !ana_line.contains(&ana), "{ana} {ana_line}");
    let tokens = format!("# people\n{ana_line} # on call\n\n{graphs_line}\n");
    let files = [
        ("tokens", &*tokens),
        ("api.pem", &*certificate),
        ("api.key", &*key),
        ("ca.pem", &*ours.pem),
        ("ana", &*ana),
        ("grafana", &*graphs),
        ("mallory", "detour_nobodys"),
    ];
    let guarded = Guarded::start(&files);

    // Nobody, somebody unknown, a viewer, an operator.
    let config = guarded.file("detour.toml");
    let nobody = detour(&["status", "-c", &config]);
    assert_eq!((nobody.code, nobody.stderr.contains("DETOUR_TOKEN_FILE")), (1, true), "{nobody:?}");
    assert_eq!(guarded.run("mallory", &["status"]).code, 1);
    let viewed = guarded.run("grafana", &["status"]);
    assert_eq!((viewed.code, viewed.stdout.contains("app.example.com")), (0, true), "{viewed:?}");
    let drain = ["drain", "fra", "--reason", "disk swap"];
    let refused = guarded.run("grafana", &drain);
    assert_eq!((refused.code, refused.stderr.contains("is a viewer's")), (1, true), "{refused:?}");
    assert_eq!(guarded.run("ana", &drain).code, 0);
    let by_environment = Command::new(env!("CARGO_BIN_EXE_detour"))
        .args(["history", "-c", &config])
        .env("DETOUR_TOKEN_FILE", guarded.file("grafana"))
        .output()
        .unwrap();
    let history = String::from_utf8(by_environment.stdout).unwrap();
    let asked = "POST /v1/overrides {\"kind\":\"drain\",\"scope\":\"fra\"}";
    for line in [
        "command: drain fra, by ana: disk swap",
        &format!("api: ana from 127.0.0.1: {asked}, because \"disk swap\": done"),
        "api: grafana from 127.0.0.1: POST /v1/overrides: refused (403): the token of grafana is a viewer's",
    ] {
        assert!(history.contains(line), "{line} is not in:\n{history}");
    }
    assert!(guarded.detour.log().contains("api: grafana from 127.0.0.1: POST /v1/overrides: refused (403)"));
    assert!(!guarded.detour.log().contains(&ana) && !history.contains(&ana), "tokens are not for logs");

    // In clear text there is nobody; from elsewhere the name and the authority count.
    let clear = detour(&["status", "--control", &guarded.detour.control.to_string()]);
    assert_eq!(clear.code, 3, "{clear:?}");
    let at = format!("https://localhost:{}", guarded.detour.control.port());
    let remote = |ca: &[&str]| {
        let (token, ca_file) = (guarded.file("ana"), guarded.file("ca.pem"));
        let ca: Vec<&str> = ca.iter().map(|_| "--ca").chain(ca.iter().map(|_| &*ca_file)).collect();
        detour(&[&["status", "--control", &at, "--token-file", &token], &*ca].concat())
    };
    assert_eq!(remote(&["ca"]).code, 0, "{:?}", remote(&["ca"]));
    assert_eq!(remote(&[]).code, 3, "this host does not know the authority");

    changes_are_taken_up(&guarded, &ours, &graphs_line);
}

fn changes_are_taken_up(guarded: &Guarded, ours: &Authority, graphs_line: &str) {
    // A file that is broken changes nothing, and everybody can know.
    guarded.detour.replace("tokens", b"ana operator 1234\n");
    until("the broken file is refused, and that is told", || {
        let notes = guarded.notes();
        (notes.contains("the configuration was rejected") && notes.contains("tokens")).then_some(())
    });
    assert_eq!(guarded.run("ana", &["status"]).code, 0);
    guarded.detour.replace("tokens", graphs_line.as_bytes());
    until("a token that was taken away is good no more", || {
        (guarded.run("ana", &["status"]).code == 1 && guarded.run("grafana", &["status"]).code == 0)
            .then_some(())
    });

    // A new certificate whose key is not there yet: the old one is shown on.
    let (certificate, key) = ours.pem(&["localhost"]);
    let old = fs::read(Path::new(&guarded.file("api.pem"))).unwrap();
    guarded.detour.replace("api.pem", certificate.as_bytes());
    until("the pair that does not fit is refused, and the old one is shown", || {
        let args = [
            "healthz",
            "--json",
            "--control",
            &format!("https://localhost:{}", guarded.detour.control.port()),
        ];
        let ran = detour(&[&args[..], &["--ca", &guarded.file("ca.pem")]].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout.contains("api.key").then_some(())
    });
    // What the configuration names by now is another certificate than the daemon's.
    let ran = guarded.run("grafana", &["status"]);
    assert_eq!((ran.code, ran.stderr.contains("another certificate")), (3, true), "{ran:?}");
    guarded.detour.replace("api.key", key.as_bytes());
    until("the new pair is shown", || (guarded.run("grafana", &["status"]).code == 0).then_some(()));
    assert_ne!(old, certificate.as_bytes());
}

#[test]
fn without_tokens_it_is_for_this_host() {
    let config = CONFIG.replace("listen = \"127.0.0.1:0\"\ntokens", "listen = \"0.0.0.0:0\"\n# tokens");
    let mut detour = Detour::spawn(&config, &[("example.com.zone", &*zone(1, ""))]);
    let said = until("it says why it does not start", || {
        let log = detour.log();
        log.contains("is not a loopback address").then_some(log)
    });
    assert!(said.contains("detour.toml:6:10: error: 0.0.0.0:0 is not a loopback address"), "{said}");
    assert!(said.contains("help: add tokens = \"tokens\""), "{said}");
    detour.kill();
}
