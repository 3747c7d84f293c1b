//! Sites that call in, by curl and by `detour heartbeat`: silence moves the name, and so does a bad word.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{APP, Detour, Ran, detour, own_address, until, zone};
use crate::peers::authority::Authority;

const FRA_TOKEN: &str = "fra-0123456789abcdef";
const IAD_TOKEN: &str = "iad-0123456789abcdef";

/// A daemon that waits for beats of `app` at both sites; what it answers for each, and where it is called.
struct Waiting {
    detour: Detour,
    fra: String,
    iad: String,
    base: String,
}

impl Waiting {
    fn start() -> Waiting {
        Waiting::start_with("http", "", &[])
    }

    /// Called by this scheme, with a further line under `[heartbeat]` and further files.
    fn start_with(scheme: &str, tls: &str, more: &[(&str, &str)]) -> Waiting {
        let [fra, iad] = [own_address(), own_address()].map(|address| address.to_string());
        let config = format!(
            r#"
[server]
listen = ["127.0.0.1:0"]
threads = 1
[control]
listen = "127.0.0.1:0"
[heartbeat]
listen = "127.0.0.1:0"
tokens = "tokens"
{tls}
[sites.fra]
[sites.iad]
[probes.beat]
type = "heartbeat"
interval = "1s"
grace = "1s"
fall = 2
rise = 1
[[zone]]
name = "example.com"
file = "example.com.zone"
[[service]]
name = "app.example.com"
probes = ["beat"]
failback = {{ mode = "auto", hold = "0s" }}
endpoints = [{{ site = "fra", addresses = ["{fra}"] }}, {{ site = "iad", addresses = ["{iad}"] }}]
"#
        );
        let tokens = format!("# service site token\n{APP} fra {FRA_TOKEN}\n{APP} iad {IAD_TOKEN}\n");
        let (zone, files) = (zone(1, ""), ["example.com.zone", "tokens", "fra", "iad"].map(str::to_owned));
        let texts = [zone, tokens, FRA_TOKEN.to_owned(), format!("{IAD_TOKEN}\n")];
        let more = more.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let files: Vec<(String, String)> = files.into_iter().zip(texts).chain(more).collect();
        let mut detour = Detour::spawn(&config, &files);
        // Nobody calls yet, so the first answer comes when the first beats are missed.
        detour.await_listening();
        let addresses = std::fs::read(detour.state_dir().join("addresses.json")).unwrap();
        let addresses: serde_json::Value = serde_json::from_slice(&addresses).unwrap();
        let base = format!("{scheme}://{}", addresses["heartbeat"].as_str().unwrap());
        Waiting { detour, fra, iad, base }
    }

    fn url(&self, site: &str) -> String {
        format!("{}/v1/heartbeat/{APP}/{site}", self.base)
    }

    fn token_file(&self, site: &str) -> String {
        self.detour.config_path().with_file_name(site).display().to_string()
    }

    /// A site's caller, as it would run there.
    fn caller(&self, site: &str) -> Caller {
        let child = Command::new(env!("CARGO_BIN_EXE_detour"))
            .args(["heartbeat", "--url", &self.url(site), "--token-file", &self.token_file(site)])
            .args(["--every", "1s", "--", "true"])
            .stdin(Stdio::null())
            .spawn();
        Caller(child.unwrap())
    }

    fn settles_on(&self, address: &str) {
        until(&format!("{APP} answers {address}"), || {
            (self.detour.ask(APP, "A").data() == [address]).then_some(())
        });
    }

    fn explained(&self, words: &str) {
        until(&format!("explain says \"{words}\""), || {
            self.detour.told(&["explain", APP]).contains(words).then_some(())
        });
    }
}

struct Caller(Child);

impl Drop for Caller {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The status of what curl gets.
fn curl(args: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20"])
        .args(args)
        .output()
        .expect("curl runs; ./test installs it");
    assert!(output.status.success(), "curl {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_site_that_stops_calling_is_left() {
    let waiting = Waiting::start();
    let (fra, _iad) = (waiting.caller("fra"), waiting.caller("iad"));
    waiting.settles_on(&waiting.fra);

    drop(fra);
    waiting.settles_on(&waiting.iad);
    waiting.explained("no beat for ");

    let again = waiting.caller("fra");
    waiting.settles_on(&waiting.fra);
    drop(again);

    // A site that says it is not well is not waited for.
    let (url, file) = (waiting.url("fra"), waiting.token_file("fra"));
    let report = |words: &[&str]| {
        let command = ["heartbeat", "--url", &url, "--token-file", &file];
        detour(&[&command[..], words].concat())
    };
    // Beats less than 100 ms apart are refused, which may happen to any one of these.
    until("bad words make Down", || {
        let told = report(&["--", "sh", "-c", "echo disk full; exit 1"]);
        assert_eq!(told.code, 1);
        assert!(told.stderr == "told: disk full\n" || told.stderr.contains("says 429"), "{told:?}");
        (waiting.detour.ask(APP, "A").data() == [&waiting.iad]).then_some(())
    });
    waiting.explained("the site reports: disk full");
    until("it is told", || (report(&["--fail", "on fire"]).code == 0).then_some(()));
    waiting.explained("the site reports: on fire");
}

#[test]
fn only_the_right_token_speaks_for_an_endpoint() {
    let waiting = Waiting::start();
    let (fra, iad) = (waiting.url("fra"), waiting.url("iad"));
    let bearer = |token: &str| format!("Authorization: Bearer {token}");
    let (right, others) = (bearer(FRA_TOKEN), bearer(IAD_TOKEN));
    let elsewhere = waiting.url("ams");
    let long = "x".repeat(2000);
    let check = |args: &[&str], want: &str| assert_eq!(curl(args), want, "{args:?}");
    check(&["-X", "POST", &fra], "401");
    check(&["-X", "POST", "-H", &others, &fra], "401");
    check(&["-X", "POST", "-H", &bearer("fra-0123456789abcdeg"), &fra], "401");
    check(&["-X", "POST", "-H", &bearer(""), &fra], "401");
    check(&["-X", "POST", "-H", &right, &iad], "401");
    check(&["-X", "POST", "-H", &right, &elsewhere], "401");
    check(&["-H", &right, &fra], "405");
    check(&["-X", "POST", "-H", &right, &waiting.base], "404");
    check(&["-H", &right, "--data-binary", &long, &format!("{fra}/fail")], "413");
    let health = || waiting.detour.json("/v1/status")["engine"]["checks"][0]["health"].clone();
    assert_ne!(health(), "up", "nothing of that was a beat");

    assert_eq!(curl(&["-X", "POST", "-H", &right, &fra]), "204");
    waiting.settles_on(&waiting.fra);
    let (status, log) = (waiting.detour.get("/v1/status").1, waiting.detour.log());
    assert!(log.contains("without the right token was refused"), "{log}");
    for token in [FRA_TOKEN, IAD_TOKEN] {
        assert!(!status.contains(token) && !log.contains(token), "tokens are secrets");
    }
}

/// What `curl` ends with when it trusts nobody who signed the certificate (curl(1), exit codes).
const UNTRUSTED: i32 = 60;

/// A beat by curl that trusts this file of authorities: the status, or what curl ended with.
fn curl_trusting(ca: &Path, url: &str) -> Result<String, i32> {
    let output = Command::new("curl")
        .args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "20", "-X", "POST", "--cacert"])
        .arg(ca)
        .args(["-H", &format!("Authorization: Bearer {FRA_TOKEN}"), url])
        .output()
        .expect("curl runs; ./test installs it");
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        code => Err(code.expect("curl ends by itself")),
    }
}

#[test]
fn a_source_that_guesses_tokens_is_slowed_down() {
    let waiting = Waiting::start();
    let fra = waiting.url("fra");
    let guess = |source: &str, often: &str| {
        curl(&[
            "--interface",
            source,
            "-X",
            "POST",
            "-H",
            "Authorization: Bearer a-guess-0123456789",
            &format!("{fra}{often}"),
        ])
    };
    // A client that sends its guesses one after the other.
    let answers = guess("127.0.0.1", "?[1-40]");
    assert!(answers.starts_with(&"401".repeat(10)), "{answers}");
    assert!(answers.contains("429"), "{answers}");
    // The site itself is heard, and others may still be wrong.
    let right = format!("Authorization: Bearer {FRA_TOKEN}");
    assert_eq!(curl(&["--interface", "127.0.0.1", "-X", "POST", "-H", &right, &fra]), "204");
    assert_eq!(guess("127.0.0.9", ""), "401");
}

#[test]
fn sites_call_in_over_tls_with_certificates_that_are_replaced() {
    let (first, second) = (Authority::new("the first"), Authority::new("the second"));
    let (certificate, key) = first.pem(&["127.0.0.1"]);
    let waiting = Waiting::start_with(
        "https",
        "tls = { certificate = \"server.pem\", key = \"server.key\" }",
        &[
            ("server.pem", &certificate),
            ("server.key", &key),
            ("first.pem", &first.pem),
            ("second.pem", &second.pem),
        ],
    );
    let (url, token) = (waiting.url("fra"), waiting.token_file("fra"));
    let file = |name: &str| waiting.detour.config_path().with_file_name(name);
    let beat = |ca: &str| -> Ran {
        let ca = file(ca).display().to_string();
        detour(&["heartbeat", "--url", &url, "--token-file", &token, "--ca", &ca])
    };
    // A caller that connects and says nothing keeps nobody waiting.
    let _silent = TcpStream::connect(url.split('/').nth(2).unwrap()).unwrap();
    // Beats less than 100 ms apart are refused, which may happen to any one of these.
    let taken = |status: &Result<String, i32>| matches!(status.as_deref(), Ok("204" | "429"));

    assert_eq!(curl_trusting(&file("first.pem"), &url), Ok("204".to_owned()));
    waiting.settles_on(&waiting.fra);
    until("our own client is heard", || (beat("first.pem").code == 0).then_some(()));
    assert_eq!(curl_trusting(&file("second.pem"), &url), Err(UNTRUSTED));
    let untrusted = beat("second.pem");
    assert!(untrusted.code == 3 && untrusted.stderr.contains("UnknownIssuer"), "{untrusted:?}");
    let strangers = detour(&["heartbeat", "--url", &url, "--token-file", &token]);
    assert_eq!(strangers.code, 3, "a host does not trust an authority of ours: {strangers:?}");
    let plain = detour(&["heartbeat", "--url", &url.replace("https", "http"), "--token-file", &token]);
    assert_eq!(plain.code, 3, "a token is not taken in clear text: {plain:?}");

    // The certificate alone does not fit the key that is there: what was loaded goes on.
    let (certificate, key) = second.pem(&["127.0.0.1"]);
    waiting.detour.write_file("server.pem", &certificate);
    until("the pair that does not fit is refused", || {
        let load = &waiting.detour.json("/v1/status")["last_load"];
        load["problems"].as_str().is_some_and(|why| why.contains("does not belong")).then_some(())
    });
    let goes_on = curl_trusting(&file("first.pem"), &url);
    assert!(taken(&goes_on), "{goes_on:?}");
    waiting.detour.write_file("server.key", &key);
    until("the new certificate is shown", || taken(&curl_trusting(&file("second.pem"), &url)).then_some(()));
    assert_eq!(curl_trusting(&file("first.pem"), &url), Err(UNTRUSTED));
}
