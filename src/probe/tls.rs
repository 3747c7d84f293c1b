//! What probes trust, and the handshake of those that speak TLS.
//!
//! A handshake's configuration depends on the probe's options and on nothing of the check, so that all
//! checks with the same options share one, whatever their number.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connection::Metered;
use super::failure::{NO_CERTIFICATE, bounded, judge};
use super::progress::Course;
use crate::certificate::{Named, validity};
use crate::health::{Failure, Outcome, Phase, Warning};
use crate::model::{Authorities, Identity, TlsOptions};
use crate::time::HostTime;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// The certificate authorities that probes trust where their options name none, and the configurations
/// made from both.
#[derive(Clone, Debug)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    roots: Arc<OnceLock<Result<Arc<RootCertStore>, String>>>,
    /// Those in use: bounded by the probes of the configuration, as the checks hold them.
    made: Arc<Mutex<HashMap<Key, Weak<ClientConfig>>>>,
}

/// What a configuration depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    verify: bool,
    ca: Option<Arc<Authorities>>,
    identity: Option<Arc<Identity>>,
    alpn: Vec<String>,
}

impl Trust {
    /// Those this host trusts: its certificate store, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    /// Read once, when the first probe that needs them is taken up.
    pub fn of_host() -> Trust {
        Trust {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            roots: Arc::default(),
            made: Arc::default(),
        }
    }

    /// These alone.
    pub fn only(roots: RootCertStore) -> Trust {
        let trust = Trust::of_host();
        Trust { roots: Arc::new(OnceLock::from(Ok(Arc::new(roots)))), ..trust }
    }

    /// None, as on a host without a certificate store.
    #[cfg(test)]
    pub(super) fn none(why: &str) -> Trust {
        Trust { roots: Arc::new(OnceLock::from(Err(why.to_owned()))), ..Trust::of_host() }
    }

    /// Reads them, if that is still to be done. It reads files: better here than in a run.
    pub(super) fn load(&self) -> &Result<Arc<RootCertStore>, String> {
        self.roots.get_or_init(roots_of_host)
    }

    /// The configuration for these options, offering `alpn`.
    pub(super) fn config(&self, options: &TlsOptions, alpn: &[&str]) -> Result<Arc<ClientConfig>, Failure> {
        let key = Key {
            verify: options.verify,
            ca: options.ca.clone(),
            identity: options.identity.clone(),
            alpn: alpn.iter().map(|&name| name.to_owned()).collect(),
        };
        // Whoever panics in here leaves the map as it was.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = made.get(&key).and_then(Weak::upgrade) {
            return Ok(config);
        }
        let config = Arc::new(self.build(&key)?);
        made.retain(|_, config| config.strong_count() > 0);
        made.insert(key, Arc::downgrade(&config));
        Ok(config)
    }

    fn build(&self, key: &Key) -> Result<ClientConfig, Failure> {
        let tls = |error: TlsError| Failure::Tls(bounded(&error.to_string()));
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(tls)?;
        let builder = match (key.verify, key.ca.as_deref()) {
            (true, None) => {
                builder.with_root_certificates(self.load().clone().map_err(Failure::Certificate)?)
            }
            (true, Some(ca)) => {
                let named = Named::new(&ca.certificates, self.provider.clone());
                let named = named.map_err(|why| Failure::Certificate(bounded(&why)))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(named))
            }
            (false, _) => {
                let anyone = Arc::new(Anyone(self.provider.clone()));
                builder.dangerous().with_custom_certificate_verifier(anyone)
            }
        };
        let mut config = match key.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(tls)?,
        };
        // Every run shakes hands in full: it is the endpoint's certificate that is probed too.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = key.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        Ok(config)
    }
}

fn roots_of_host() -> Result<Arc<RootCertStore>, String> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(loaded.certs);
    for error in &loaded.errors {
        tracing::warn!(%error, "part of this host's certificate store cannot be read");
    }
    if !roots.is_empty() {
        return Ok(Arc::new(roots));
    }
    let because = loaded.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
    Err(bounded(&format!(
        "this host has no CA certificates to trust; install ca-certificates or set SSL_CERT_FILE{because}"
    )))
}

/// Shakes hands over a connection that stands, and looks at what came of it: the certificate's days and
/// the protocol. `host` is the name where the options give no other.
pub(super) async fn shake(
    config: Arc<ClientConfig>,
    options: &TlsOptions,
    host: &str,
    connection: Metered,
    course: &Course,
) -> Result<TlsStream<Metered>, Outcome> {
    course.enter(Phase::Tls);
    let name = options.server_name.as_deref().unwrap_or(host);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(name.to_owned())
        .map_err(|e| Outcome::Failed(Failure::Tls(bounded(&format!("{name}: {e}")))))?;
    let has_identity = options.identity.is_some();
    let asked = Arc::new(Asked::default());
    let config = if has_identity {
        config
    } else {
        // All checks share the configuration, and this is about one run.
        let mut own = ClientConfig::clone(&config);
        own.client_auth_cert_resolver = asked.clone();
        Arc::new(own)
    };
    let stream = TlsConnector::from(config).connect(name, connection).await.map_err(|error| {
        let was_asked = asked.0.load(Ordering::Relaxed);
        refused_for_certificate(&error, was_asked, has_identity)
            .unwrap_or_else(|| judge(&error, course.phase(), || true))
    })?;
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    if let (Some(wanted), Some(leaf)) = (options.min_days, leaf) {
        let now = HostTime(UnixTime::now().as_secs().saturating_mul(1000));
        match validity(leaf).map(|(_, until)| until) {
            None => {
                let why = "its time of expiry cannot be read".to_owned();
                return Err(Outcome::Failed(Failure::Certificate(why)));
            }
            // Without verification nobody else has looked.
            Some(at) if at < now => return Err(Outcome::Failed(Failure::CertificateExpired(at))),
            Some(at) => {
                let days = u32::try_from((at.0 - now.0) / DAY_MS).unwrap_or(u32::MAX);
                let min_days = wanted.days;
                if days < min_days && wanted.fails {
                    return Err(Outcome::Failed(Failure::CertificateExpires { days, at, min_days }));
                }
                if days < min_days {
                    course.warn(Warning::CertificateExpires { days, at });
                }
            }
        }
    }
    if let (None, Some(first)) = (session.alpn_protocol(), options.alpn.first()) {
        let why = format!("the endpoint agreed on no protocol; {first} was offered");
        return Err(Outcome::Failed(Failure::Alpn(bounded(&why))));
    }
    Ok(stream)
}

/// Has no certificate to show, and remembers whether one was asked for.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// What a server said of the client's certificate, or of its absence: up to TLS 1.2 a bare `HandshakeFailure`.
fn refused_for_certificate(error: &io::Error, was_asked: bool, has_identity: bool) -> Option<Outcome> {
    use AlertDescription as Alert;
    let tls = error.get_ref()?.downcast_ref::<TlsError>()?;
    let TlsError::AlertReceived(alert) = tls else { return None };
    let why = match alert {
        Alert::HandshakeFailure | Alert::BadCertificate if was_asked => NO_CERTIFICATE.to_owned(),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
            if has_identity =>
        {
            format!("the server refused the probe's client certificate: {alert:?}")
        }
        _ => return None,
    };
    Some(Outcome::Failed(Failure::Tls(why)))
}

/// Takes any certificate, but no bad signature: the endpoint has at least the key of what it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
