//! The daemon and certificates: of nginx at the endpoint, and of its own, whose files change while it runs.

use std::time::Duration;

use crate::harness::{APP, Detour, own_address, until, zone};
use crate::peers::authority::Authority;
use crate::peers::nginx::Nginx;

const DAY: Duration = Duration::from_secs(86_400);

/// A service whose one endpoint is asked over https with these keys.
fn config(nginx: &Nginx, keys: &str) -> String {
    let (address, port) = (nginx.at[0].ip(), nginx.at[0].port());
    format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
threads = 1
[control]
listen = "127.0.0.1:0"
[sites.fra]
[probes.web]
type = "https"
port = {port}
interval = "500ms"
timeout = "400ms"
confirm = "50ms"
{keys}
[[zone]]
name = "example.com"
file = "example.com.zone"
[[service]]
name = "{APP}"
probes = ["web"]
endpoints = [{{ site = "fra", addresses = ["{address}"] }}]
"#
    )
}

fn start(config: &str, files: &[(&str, &str)]) -> Detour {
    let zone = zone(1, "");
    let files: Vec<(&str, &str)> =
        [("example.com.zone", &*zone)].into_iter().chain(files.iter().copied()).collect();
    let mut detour = Detour::spawn(config, &files);
    detour.await_listening();
    detour
}

/// Waits until the check's health is this, and status says these words of it.
fn becomes(detour: &Detour, health: &str, words: &str) {
    until(&format!("the check is {health}: {words}"), || {
        let check = detour.json("/v1/status")["engine"]["checks"][0].clone();
        let told = check["health"] == health && detour.told(&["status"]).contains(words);
        told.then_some(())
    });
}

fn warned(detour: &Detour) -> Option<String> {
    let (_, metrics) = detour.get("/metrics");
    let line = metrics.lines().find(|line| line.starts_with("detour_check_warning{"))?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[test]
fn a_certificate_that_is_about_to_expire_is_a_warning_and_then_a_failure() {
    let ours = Authority::new("ours");
    let (certificate, key) = ours.pem_for(&[APP], DAY * 10 + DAY / 2);
    let files = [("site.pem", &*certificate), ("site.key", &*key)];
    let block = "ssl_certificate site.pem; ssl_certificate_key site.key; location / { return 204; }";
    let nginx = Nginx::start(own_address(), &files, &[("ssl", block)]);

    let warning = "tls = { ca = \"ca.pem\", min_days = 14, min_days_is = \"warning\" }";
    let detour = start(&config(&nginx, warning), &[("ca.pem", &ours.pem)]);
    becomes(&detour, "up", "warning: the certificate expires in 10 days, at ");
    assert_eq!(warned(&detour).as_deref(), Some("1"));
    assert_eq!(detour.ask(APP, "A").data(), [nginx.at[0].ip().to_string()]);
    let told = |words: &str| detour.told(&["history"]).matches(words).count();
    assert_eq!(told(": the certificate expires in 10 days, at "), 1, "once, however often it is seen");

    detour.edit_config(", min_days_is = \"warning\"", "");
    detour.told(&["reload"]);
    becomes(&detour, "down", "; 14 days are wanted");
    detour.edit_config("min_days = 14", "min_days = 10");
    detour.told(&["reload"]);
    until("it is Up, and nothing is warned of", || {
        let check = &detour.json("/v1/status")["engine"]["checks"][0];
        (check["health"] == "up" && warned(&detour).as_deref() == Some("0")).then_some(())
    });
    assert_eq!((told(": the certificate expires"), told(": it is over")), (1, 1));
}

/// Nobody says `reload` here: the files are watched, as those of zones are.
#[test]
fn certificates_replaced_on_disk_are_taken_up() {
    let (ours, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let (certificate, key) = ours.pem(&[APP]);
    let files = [("site.pem", &*certificate), ("site.key", &*key), ("clients.pem", &*ours.pem)];
    let block = "ssl_certificate site.pem; ssl_certificate_key site.key;
                 ssl_verify_client on; ssl_client_certificate clients.pem;
                 location / { return 200 $ssl_client_s_dn; }";
    let nginx = Nginx::start(own_address(), &files, &[("ssl", block)]);

    let (first, first_key) = ours.pem(&["first"]);
    let keys = "tls = { ca = \"ca.pem\", certificate = \"own.pem\", key = \"own.key\" }\n\
                expect = { body = \"CN=second\" }";
    let files = [("ca.pem", &*stranger.pem), ("own.pem", &*first), ("own.key", &*first_key)];
    let detour = start(&config(&nginx, keys), &files);
    becomes(&detour, "down", "signed by an issuer this host does not trust");

    detour.write_file("ca.pem", &ours.pem);
    becomes(&detour, "down", "body mismatch: \"CN=second\" is not in it");

    // Between the two files of a new pair: what was loaded goes on, and everything says why.
    let (second, second_key) = ours.pem(&["second"]);
    detour.write_file("own.pem", &second);
    until("the pair that does not fit is refused", || {
        let load = &detour.json("/v1/status")["last_load"];
        let problems = load["problems"].as_str()?;
        assert!(problems.contains("own.key") && problems.contains("own.pem"), "{problems}");
        Some(())
    });
    becomes(&detour, "down", "body mismatch: \"CN=second\" is not in it");
    detour.write_file("own.key", &second_key);
    until("the new pair is shown", || {
        (detour.json("/v1/status")["engine"]["checks"][0]["health"] == "up").then_some(())
    });
    assert_eq!(detour.json("/v1/status")["last_load"]["ok"], true);
}
