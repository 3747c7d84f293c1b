//! What http, https and tls probes may be told beyond the defaults.

use std::sync::Arc;
use std::time::Duration;

use detour::health::{Failure, Phase, Warning};
use detour::model::{BodyExpect, HttpProbe, MinDays, Pattern, ProbeKind, TlsOptions, TlsProbe};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use crate::checks::{HOST, LONG, SHORT, ask_http, check, http, https, sample_trusting};
use crate::peers::authority::{Authority, NOW};
use crate::servers::{answering, head, ok, serve, silent};

#[tokio::test]
async fn method_headers_and_body_are_sent() {
    let (heads, mut seen) = mpsc::unbounded_channel();
    let addr = serve(move |mut stream| {
        let heads = heads.clone();
        async move {
            heads.send(head(&mut stream).await).unwrap();
            stream.write_all(&ok(b"")).await.ok();
        }
    })
    .await;
    let http = HttpProbe {
        method: "POST".into(),
        headers: vec![("x-probe".into(), "yes".into()), ("user-agent".into(), "me".into())],
        request_body: Some("ping".into()),
        ..http()
    };
    assert_eq!(ask_http(http, addr, LONG).await, "ok");
    let head = seen.recv().await.unwrap().to_lowercase();
    assert!(head.starts_with("post /health http/1.1\r\n"), "{head}");
    for line in ["x-probe: yes\r\n", "user-agent: me\r\n", "content-length: 4\r\n"] {
        assert_eq!(head.matches(line).count(), 1, "{line} in {head}");
    }
    assert_eq!(head.matches("user-agent").count(), 1);
}

#[tokio::test]
async fn headers_and_patterns_are_expected() {
    let check = async |expect_headers: &[(&str, &str)], pattern: &str, want: &str| {
        let addr = answering(&[b"HTTP/1.1 200 OK\r\nX-State: all ready\r\n\r\nqueue=", b"17\n"]).await;
        let pairs = expect_headers.iter().map(|&(name, text)| (name.into(), text.into()));
        let body = Some(BodyExpect::Regex(Pattern::new(pattern).unwrap()));
        let http = HttpProbe { expect_headers: pairs.collect(), body, ..http() };
        assert_eq!(ask_http(http, addr, LONG).await, want);
    };
    check(&[("x-state", "ready")], "^queue=[0-9]{1,2}\n$", "ok").await;
    check(&[("x-state", "waiting")], "", "header mismatch: \"waiting\" is not in x-state: all ready").await;
    check(&[("x-other", "")], "", "header mismatch: there is no x-other").await;
    check(
        &[],
        "queue=[a-z]",
        r#"body mismatch: nothing in it matches queue=[a-z]; the body begins with "queue=17\n""#,
    )
    .await;
}

/// What is compressed is held against the text as it came: a bomb has nothing to go off in.
#[tokio::test]
async fn nothing_is_decompressed() {
    let bomb = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\n\x1f\x8b\x08READ";
    let addr = answering(&[bomb]).await;
    let http = HttpProbe { body: Some(BodyExpect::Text("\u{8}REA".into())), ..http() };
    assert_eq!(ask_http(http, addr, LONG).await, "ok");
}

#[tokio::test]
async fn a_slow_answer_is_a_failure_of_its_own() {
    let addr = serve(|mut stream| async move {
        head(&mut stream).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(&ok(b"")).await.ok();
    })
    .await;
    let http = HttpProbe { max_latency: Some(Duration::from_millis(20)), ..http() };
    let sample =
        sample_trusting(rustls::RootCertStore::empty(), check(ProbeKind::Http(http), addr, LONG)).await;
    assert_eq!(sample.outcome.to_string(), "slow answer: more than 20ms");
    let phases = sample.detail.phases;
    assert!(phases.get(Phase::FirstByte) >= Some(Duration::from_millis(40)), "{phases}");
    assert_eq!((phases.get(Phase::Tls), phases.get(Phase::Body)), (None, None));
}

fn tls(tls: TlsOptions) -> ProbeKind {
    ProbeKind::Tls(TlsProbe { tls: Arc::new(tls), max_latency: None })
}

#[tokio::test]
async fn a_handshake_is_enough_for_a_tls_probe() {
    let authority = Authority::new("ours");
    let (addr, _seen) = authority.server(&[HOST], NOW).await;
    let ask = async |options: TlsOptions| {
        let check = check(tls(options), addr, LONG);
        sample_trusting(authority.roots.clone(), check).await.outcome.to_string()
    };
    assert_eq!(ask(TlsOptions::default()).await, "ok");
    let other = TlsOptions { server_name: Some("other.example".into()), ..TlsOptions::default() };
    assert_eq!(ask(other).await, "certificate: not valid for other.example, but for app.example.com");
    let alpn = TlsOptions { alpn: vec!["h2".into()], ..TlsOptions::default() };
    assert_eq!(ask(alpn).await, "ALPN: the endpoint agreed on no protocol; h2 was offered");
    let silent = check(tls(TlsOptions::default()), silent().await, SHORT);
    let outcome = sample_trusting(authority.roots.clone(), silent).await.outcome.to_string();
    assert_eq!(outcome, "timeout in TLS");
}

#[tokio::test]
async fn a_certificate_nobody_trusts_is_taken_without_verify() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let (addr, _seen) = stranger.server(&["other.example"], NOW).await;
    let options = TlsOptions { verify: false, ..TlsOptions::default() };
    let http = HttpProbe { tls: Some(Arc::new(options)), ..https() };
    let check = check(ProbeKind::Http(http), addr, LONG);
    assert_eq!(sample_trusting(authority.roots.clone(), check).await.outcome.to_string(), "ok");
}

#[tokio::test]
async fn days_before_it_expires_a_certificate_is_a_failure_or_a_warning() {
    let authority = Authority::new("ours");
    let (addr, _seen) = authority.server(&[HOST], NOW).await;
    let sample = async |days: u32, fails: bool| {
        let options = TlsOptions { min_days: Some(MinDays { days, fails }), ..TlsOptions::default() };
        sample_trusting(authority.roots.clone(), check(tls(options), addr, LONG)).await
    };
    let good = sample(14, true).await;
    assert_eq!((good.outcome.to_string().as_str(), good.detail.warning), ("ok", None));
    let failed = sample(100_000, true).await.outcome;
    assert!(
        matches!(
            failed,
            detour::health::Outcome::Failed(Failure::CertificateExpires { min_days: 100_000, .. })
        ),
        "{failed}"
    );
    let warned = sample(100_000, false).await;
    assert_eq!(warned.outcome.to_string(), "ok");
    assert!(matches!(warned.detail.warning, Some(Warning::CertificateExpires { .. })));
}
