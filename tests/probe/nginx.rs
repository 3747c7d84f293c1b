//! nginx as http, https and tls probes find it, by configurations with PEM files as people write them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use detour::config::load;
use detour::health::{Failure, Outcome, Sample, Warning};
use detour::model::Check;
use rustls::RootCertStore;
use tempfile::TempDir;

use crate::checks::{HOST, sample_trusting};
use crate::peers::authority::Authority;
use crate::peers::nginx::Nginx;
use crate::talks::Server;

const DAY: Duration = Duration::from_secs(86_400);

/// The servers, by their place in [`Nginx::at`].
#[derive(Clone, Copy)]
enum At {
    Good,
    Plain,
    /// HTTP/2 in clear text, by prior knowledge (RFC 9113, section 3.3).
    PlainTwo,
    Client,
    Expired,
    OtherName,
    Stranger,
    Soon,
}

const SERVERS: [(&str, &str); 8] = [
    (
        "ssl http2",
        "ssl_certificate good.pem; ssl_certificate_key good.key; location / { return 200 $server_protocol; }",
    ),
    (
        "",
        "location /version { return 200 $server_protocol; }
         location /loop { return 302 /loop; }
         location /bomb { gzip_static always; types { } default_type text/plain; }",
    ),
    ("http2", "location / { return 200 $server_protocol; }"),
    (
        "ssl http2",
        "ssl_certificate good.pem; ssl_certificate_key good.key;
         ssl_verify_client on; ssl_client_certificate ours.pem;
         location / { return 200 \"$ssl_client_verify $ssl_client_s_dn\"; }",
    ),
    ("ssl", "ssl_certificate expired.pem; ssl_certificate_key expired.key;"),
    ("ssl", "ssl_certificate other.pem; ssl_certificate_key other.key;"),
    ("ssl", "ssl_certificate stranger.pem; ssl_certificate_key stranger.key; location / { return 204; }"),
    ("ssl", "ssl_certificate soon.pem; ssl_certificate_key soon.key; location / { return 204; }"),
];

/// nginx, and a folder with `ours.pem`, `stranger.pem` and certificates of both for clients.
struct World {
    nginx: Nginx,
    folder: TempDir,
}

impl World {
    fn start() -> World {
        let (ours, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
        let pairs = [
            ("good", ours.pem(&[HOST])),
            ("expired", ours.pem_over(&[HOST], (2020, 2021))),
            ("other", ours.pem(&["other.example"])),
            ("stranger", stranger.pem(&[HOST])),
            ("soon", ours.pem_for(&[HOST], DAY * 10 + DAY / 2)),
        ];
        let mut files = vec![("ours.pem".to_owned(), ours.pem.clone())];
        for (name, (certificate, key)) in pairs {
            files.push((format!("{name}.pem"), certificate));
            files.push((format!("{name}.key"), key));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        let nginx = Nginx::start([127, 0, 0, 1].into(), &files, &SERVERS);

        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("ours.pem", &ours.pem);
        write("stranger.pem", &stranger.pem);
        for (name, authority) in [("probe", &ours), ("odd", &stranger)] {
            let (certificate, key) = authority.pem(&[name]);
            write(&format!("{name}.pem"), &certificate);
            write(&format!("{name}.key"), &key);
        }
        write("example.com.zone", "$TTL 60\n@ SOA ns hostmaster 1 1h 15m 1w 5m\n  NS ns\nns A 192.0.2.53\n");
        World { nginx, folder }
    }

    /// What a probe with these keys says of a server, in one run.
    async fn sample(&self, at: At, keys: &str) -> Sample {
        // A host without authorities of its own, so that a certificate is trusted by `ca` or not at all.
        sample_trusting(RootCertStore::empty(), self.check(self.nginx.at[at as usize].port(), keys)).await
    }

    fn check(&self, port: u16, keys: &str) -> Check {
        let text = format!(
            "[sites.fra]\n[probes.web]\ninterval = \"1h\"\ntimeout = \"20s\"\nport = {port}\n{keys}\n\
             [[zone]]\nname = \"example.com\"\nfile = \"example.com.zone\"\n\
             [[service]]\nname = \"{HOST}\"\nprobes = [\"web\"]\n\
             endpoints = [{{ site = \"fra\", addresses = [\"127.0.0.1\"] }}]\n"
        );
        let file = self.folder.path().join("detour.toml");
        fs::write(&file, text).unwrap();
        let loaded = load(&file).unwrap_or_else(|report| panic!("{report}"));
        loaded.config.checks().remove(0)
    }

    async fn says(&self, at: At, keys: &str, want: &str) {
        self.says_of(self.nginx.at[at as usize].port(), keys, want).await;
    }

    async fn begins(&self, at: At, keys: &str, want: &str) {
        let port = self.nginx.at[at as usize].port();
        let sample = sample_trusting(RootCertStore::empty(), self.check(port, keys)).await;
        assert!(sample.outcome.to_string().starts_with(want), "{}", sample.outcome);
    }

    /// The same of a server that is not nginx.
    async fn says_of(&self, port: u16, keys: &str, want: &str) {
        let sample = sample_trusting(RootCertStore::empty(), self.check(port, keys)).await;
        assert_eq!(sample.outcome.to_string(), want, "{keys}");
    }
}

fn expecting(keys: &str, body: &str) -> String {
    format!("{keys}\nexpect = {{ body = {body:?} }}")
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_in_clear_text_and_over_tls() {
    let world = World::start();
    let ours = "type = \"https\"\ntls = { ca = \"ours.pem\" }";
    let two = |keys: &str| format!("{keys}\nhttp = \"2\"");
    world.says(At::Good, &expecting(ours, "HTTP/1.1"), "ok").await;
    world.says(At::Good, &expecting(&two(ours), "HTTP/2.0"), "ok").await;
    world
        .says(
            At::Good,
            &expecting(&two(ours), "HTTP/1.1"),
            r#"body mismatch: "HTTP/1.1" is not in it; the body begins with "HTTP/2.0""#,
        )
        .await;
    let plain = "type = \"http\"\npath = \"/version\"";
    world.says(At::Plain, &expecting(plain, "HTTP/1.1"), "ok").await;
    world.says(At::PlainTwo, &expecting(&two(plain), "HTTP/2.0"), "ok").await;
    // Where only the one is spoken, the other is told apart from silence.
    world.says(At::Soon, &two(ours), "ALPN: the endpoint takes none of the protocols offered").await;
    for (at, keys) in [(At::Plain, two(plain)), (At::PlainTwo, plain.to_owned())] {
        let said = world.sample(at, &keys).await.outcome;
        assert!(matches!(said, Outcome::Failed(Failure::Protocol(_))), "{said}");
    }
    world.says(At::Good, &plain.replace("/version", "/"), "status 400").await;
    world.says(At::Plain, ours, "TLS: the endpoint does not speak TLS").await;
}

#[tokio::test]
async fn certificates_are_held_against_the_authorities_named() {
    let world = World::start();
    let https = |tls: &str| format!("type = \"https\"\ntls = {{ {tls} }}");
    let ours = https("ca = \"ours.pem\"");
    let issuer = "certificate: signed by an issuer this host does not trust";
    let expired = "certificate: expired at 2021-01-01T00:00:00.000Z";
    world.says(At::Good, &https("ca = \"stranger.pem\""), issuer).await;
    world.says(At::Stranger, &ours, issuer).await;
    world.says(At::Stranger, &https("ca = \"stranger.pem\""), "ok").await;
    world.says(At::Stranger, &https("verify = false"), "ok").await;
    world.says(At::Expired, &ours, expired).await;
    // Whoever does not verify may still want to know of days.
    world.says(At::Expired, &https("verify = false, min_days = 1"), expired).await;
    let other = "certificate: not valid for app.example.com, but for other.example";
    world.says(At::OtherName, &ours, other).await;
    // It is the right name, and then there is no such page.
    let named = "ca = \"ours.pem\", server_name = \"other.example\"";
    world.says(At::OtherName, &https(named), "status 403").await;
    let tls = |tls: &str| format!("type = \"tls\"\ntls = {{ ca = \"ours.pem\", {tls} }}");
    world.says(At::Good, &tls("alpn = [\"dot\", \"h2\"]"), "ok").await;
    let none = "ALPN: the endpoint takes none of the protocols offered";
    world.says(At::Good, &tls("alpn = [\"dot\"]"), none).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let world = World::start();
    let with = |pair: &str| {
        let pair = pair.replace("PAIR", "certificate = \"X.pem\", key = \"X.key\"");
        format!("type = \"https\"\ntls = {{ ca = \"ours.pem\"{pair} }}")
    };
    let probe = with(", PAIR").replace('X', "probe");
    world.says(At::Client, &expecting(&probe, "SUCCESS CN=probe"), "ok").await;
    world.says(At::Client, &expecting(&format!("{probe}\nhttp = \"2\""), "SUCCESS CN=probe"), "ok").await;
    // nginx takes the handshake without one, or with anybody's, and then refuses the request.
    world.says(At::Client, &with(""), "status 400").await;
    let none = expecting(&with(""), "No required SSL certificate was sent");
    let none = none.replace("body =", "status = [\"400\"], body =");
    world.says(At::Client, &none, "ok").await;
    world.says(At::Client, &with(", PAIR").replace('X', "odd"), "status 400").await;
}

const NO_CERTIFICATE: &str = "TLS: the server asked for a client certificate, and the probe has none; add tls = { certificate = ..., key = ... }";

/// OpenSSL's own server ends the connection instead, by an alert that comes after the handshake (RFC 8446, section
/// 4.4.2.4, and appendix E.1.2).
#[tokio::test]
async fn a_server_that_insists_on_a_client_certificate() {
    let world = World::start();
    for (version, want) in [("-tls1_3", NO_CERTIFICATE), ("-tls1_2", NO_CERTIFICATE)] {
        let server = Server::start(|port| {
            let mut command = Command::new("openssl");
            command.args([
                "s_server",
                "-www",
                "-Verify",
                "1",
                "-verify_return_error",
                version,
                "-CAfile",
                "ours.pem",
            ]);
            command.args(["-cert", "good.pem", "-key", "good.key", "-accept", &format!("127.0.0.1:{port}")]);
            command.current_dir(world.nginx.folder());
            command
        })
        .await;
        let https = |pair: &str| format!("type = \"https\"\ntls = {{ ca = \"ours.pem\"{pair} }}");
        let shown = https(", certificate = \"probe.pem\", key = \"probe.key\"");
        world.says_of(server.addr.port(), &shown, "ok").await;
        world.says_of(server.addr.port(), &https(""), want).await;
    }
}

#[tokio::test]
async fn days_left_are_a_warning_or_a_failure() {
    let world = World::start();
    let https = |days: &str| format!("type = \"https\"\ntls = {{ ca = \"ours.pem\", {days} }}");
    let warned = world.sample(At::Soon, &https("min_days = 14, min_days_is = \"warning\"")).await;
    assert_eq!(warned.outcome, Outcome::Ok);
    assert!(
        matches!(warned.detail.warning, Some(Warning::CertificateExpires { days: 10, .. })),
        "{:?}",
        warned.detail
    );
    let failed = world.sample(At::Soon, &https("min_days = 14")).await.outcome;
    assert!(
        matches!(failed, Outcome::Failed(Failure::CertificateExpires { days: 10, min_days: 14, .. })),
        "{failed}"
    );
    let enough = world.sample(At::Soon, &https("min_days = 10")).await;
    assert_eq!((enough.outcome, enough.detail.warning), (Outcome::Ok, None));
}

#[tokio::test]
async fn a_loop_of_redirects_is_not_entered() {
    let world = World::start();
    let port = world.nginx.at[At::Plain as usize].port();
    let want = format!("status 302, a redirect to http://{HOST}:{port}/loop, which is not followed");
    world.says(At::Plain, "type = \"http\"\npath = \"/loop\"", &want).await;
    let moved = "type = \"http\"\npath = \"/loop\"\n\
                 expect = { status = [\"302\"], headers = { location = \"/loop\" } }";
    world.says(At::Plain, moved, "ok").await;
}

/// 256 MiB of what is looked for, in a quarter of a megabyte: found nowhere, as nothing is unpacked, and read
/// no further than any other body.
#[tokio::test]
async fn a_gzip_bomb_stays_packed() {
    let world = World::start();
    compress(256 << 20, &world.nginx.page("bomb.gz"));
    let packed = fs::metadata(world.nginx.page("bomb.gz")).unwrap().len();
    assert!((1 << 16..1 << 20).contains(&packed), "{packed}");
    let keys = "type = \"http\"\npath = \"/bomb\"";
    let encoded = format!("{keys}\nexpect = {{ headers = {{ content-encoding = \"gzip\" }} }}");
    world.says(At::Plain, &encoded, "ok").await;
    let want = r#"body mismatch: "yyyy" is not in its first 65536 bytes; the body begins with "\x1f\x8b"#;
    world.begins(At::Plain, &expecting(keys, "yyyy"), want).await;
}

/// Writes a file of so many times `y`, packed.
fn compress(bytes: u64, to: &Path) {
    let script = "yes y | tr -d '\\n' | head -c \"$0\" | gzip -c > \"$1\"";
    let made = Command::new("sh").args(["-c", script, &bytes.to_string()]).arg(to).status().unwrap();
    assert!(made.success());
}
