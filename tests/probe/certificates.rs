//! https against certificates made on the spot.

use std::net::SocketAddr;
use std::sync::Arc;

use detour::model::{Check, ProbeKind};
use rcgen::date_time_ymd;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::checks::{HOST, LONG, SHORT, ask_trusting, check, https};
use crate::peers::authority::{Authority, NOW};
use crate::servers::{ok, serve, until_closed};

impl Authority {
    /// What a server with a certificate for `names`, valid over these years, goes by.
    fn config(&self, names: &[&str], years: (i32, i32)) -> Arc<rustls::ServerConfig> {
        let (certificate, key) = self.issue(names, |params| {
            params.not_before = date_time_ymd(years.0, 1, 1);
            params.not_after = date_time_ymd(years.1, 1, 1);
        });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Arc::new(config)
    }

    /// A server with a certificate for `names`, valid over these years; what SNI its clients send.
    pub async fn server(
        &self,
        names: &[&str],
        years: (i32, i32),
    ) -> (SocketAddr, mpsc::UnboundedReceiver<Option<String>>) {
        let config = self.config(names, years);
        let acceptor = TlsAcceptor::from(config);
        let (names, seen) = mpsc::unbounded_channel();
        let addr = serve(move |stream| {
            let (acceptor, names) = (acceptor.clone(), names.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                names.send(stream.get_ref().1.server_name().map(str::to_owned)).ok();
                let mut request = [0; 1024];
                let Ok(1..) = stream.read(&mut request).await else { return };
                stream.write_all(&ok(b"OK")).await.ok();
                stream.shutdown().await.ok();
            }
        })
        .await;
        (addr, seen)
    }
}

fn https_check(to: SocketAddr) -> Check {
    check(ProbeKind::Http(https()), to, LONG)
}

async fn ask(authority: &Authority, check: Check) -> String {
    ask_trusting(authority.roots.clone(), check).await.to_string()
}

#[tokio::test]
async fn a_certificate_is_held_against_name_time_and_issuer() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger's"));
    let check = async |by: &Authority, names: &[&str], years: (i32, i32), want: &str| {
        let (addr, _seen) = by.server(names, years).await;
        assert_eq!(ask(&authority, https_check(addr)).await, want);
    };
    check(&authority, &[HOST], NOW, "ok").await;
    check(&authority, &["other.example", "*.example.com"], NOW, "ok").await;
    check(&authority, &[HOST], (2020, 2021), "certificate: expired at 2021-01-01T00:00:00.000Z").await;
    check(&authority, &[HOST], (2089, 2090), "certificate: not valid before 2089-01-01T00:00:00.000Z").await;
    check(
        &authority,
        &["other.example", "third.example"],
        NOW,
        "certificate: not valid for app.example.com, but for other.example, third.example",
    )
    .await;
    check(&stranger, &[HOST], NOW, "certificate: signed by an issuer this host does not trust").await;
}

#[tokio::test]
async fn the_host_is_named_in_the_handshake() {
    let authority = Authority::new("ours");
    let (addr, mut seen) = authority.server(&[HOST], NOW).await;
    assert_eq!(ask(&authority, https_check(addr)).await, "ok");
    assert_eq!(seen.recv().await.unwrap().as_deref(), Some(HOST));
}

/// A host that is an address is what the certificate must name, wherever the probe goes.
#[tokio::test]
async fn a_host_that_is_an_address() {
    let authority = Authority::new("ours");
    let (addr, mut seen) = authority.server(&["127.0.0.77"], NOW).await;
    let with_host = |host: &str| {
        let mut check = https_check(addr);
        check.key.host = Some(host.into());
        check
    };
    assert_eq!(ask(&authority, with_host("127.0.0.77")).await, "ok");
    assert_eq!(seen.recv().await.unwrap(), None, "there is no SNI for an address");
    let outcome = ask(&authority, with_host("127.0.0.1")).await;
    assert!(outcome.starts_with("certificate: not valid for 127.0.0.1"), "{outcome}");
}

#[tokio::test]
async fn a_server_without_tls() {
    let authority = Authority::new("ours");
    let check = async |greeting: &'static [u8], want: &str| {
        let addr = serve(move |mut stream| async move {
            stream.write_all(greeting).await.ok();
            until_closed(&mut stream).await;
        })
        .await;
        assert_eq!(ask(&authority, https_check(addr)).await, want);
    };
    check(b"220 mail.example.com ESMTP\r\n", "TLS: the endpoint does not speak TLS").await;
    check(b"HTTP/1.1 400 Bad Request\r\n\r\n", "TLS: the endpoint does not speak TLS").await;
    let closing = serve(|mut stream| async move {
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).await.is_ok_and(|n| n > 0));
    })
    .await;
    assert_eq!(ask(&authority, https_check(closing)).await, "TLS: closed during the handshake");
}

/// Says the beginning of its part of the handshake and then nothing, until the probe has hung up.
#[tokio::test]
async fn a_handshake_that_stalls() {
    let authority = Authority::new("ours");
    let config = authority.config(&[HOST], NOW);
    let (left, mut leaves) = mpsc::unbounded_channel();
    // The ServerHello alone; that and the half of a record; one byte.
    for said in [|hello: usize| hello, |hello| hello + 20, |_| 1] {
        let (config, left) = (config.clone(), left.clone());
        let stalls = serve(move |mut stream| {
            let (config, left) = (config.clone(), left.clone());
            async move {
                let mut session = rustls::ServerConnection::new(config).unwrap();
                let mut hello = [0; 4096];
                let read = stream.read(&mut hello).await.unwrap();
                session.read_tls(&mut &hello[..read]).unwrap();
                session.process_new_packets().unwrap();
                let mut flight = Vec::new();
                session.write_tls(&mut flight).unwrap();
                // RFC 8446, section 5.1: a record has five bytes of head, the last two of which are its length.
                let first = 5 + usize::from(u16::from_be_bytes([flight[3], flight[4]]));
                stream.write_all(&flight[..said(first)]).await.unwrap();
                until_closed(&mut stream).await;
                left.send(()).unwrap();
            }
        })
        .await;
        let check = check(ProbeKind::Http(https()), stalls, SHORT);
        assert_eq!(ask(&authority, check).await, "timeout in TLS");
        leaves.recv().await.unwrap();
    }
}

/// A byte at a time, each sooner than any run's timeout: the whole is what is bounded.
#[tokio::test]
async fn a_handshake_that_drips() {
    let authority = Authority::new("ours");
    let drips = serve(|mut stream| async move {
        // A handshake record that would be 16 KiB long.
        let mut bytes = [0x16, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat(2));
        while let Some(byte) = bytes.next()
            && stream.write_all(&[byte]).await.is_ok()
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let check = check(ProbeKind::Http(https()), drips.await, SHORT);
    assert_eq!(ask(&authority, check).await, "timeout in TLS");
}
