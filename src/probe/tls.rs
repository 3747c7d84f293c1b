//! What probes trust, and how a run's course learns of the TLS handshake.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue, WebPkiServerVerifier,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, NamedGroup, RootCertStore, SignatureScheme,
};

use super::course::Course;
use super::failure::bounded;
use crate::health::Phase;

/// The certificate authorities that https probes trust.
#[derive(Clone, Debug)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    roots: Arc<OnceLock<Result<Arc<RootCertStore>, String>>>,
}

impl Trust {
    /// Those this host trusts: its certificate store, or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    /// Read once, when the first https probe is taken up.
    pub fn of_host() -> Trust {
        Trust { provider: Arc::new(rustls::crypto::ring::default_provider()), roots: Arc::default() }
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

    /// The TLS side of a client that trusts these and reports to `course`. `literal` is the address a
    /// certificate must be good for where the host is one. An error is a text for people.
    pub(super) fn config(
        &self,
        course: &Arc<Course>,
        literal: Option<ServerName<'static>>,
    ) -> Result<ClientConfig, String> {
        let roots = self.load().clone()?;
        self.with_roots(roots, course, literal)
    }

    /// The TLS side of a client that will speak none: the client insists on having one.
    pub(super) fn unused(&self, course: &Arc<Course>) -> Result<ClientConfig, String> {
        self.with_roots(Arc::new(RootCertStore::empty()), course, None)
    }

    fn with_roots(
        &self,
        roots: Arc<RootCertStore>,
        course: &Arc<Course>,
        literal: Option<ServerName<'static>>,
    ) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let mut config = match literal {
            None => builder.with_root_certificates(roots).with_no_client_auth(),
            Some(name) => {
                let inner = WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone())
                    .build()
                    .map_err(|e| e.to_string())?;
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(GoodFor { name, inner }))
                    .with_no_client_auth()
            }
        };
        config.resumption = Resumption::store(Arc::new(Forgetful(course.clone())));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
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

/// A session store that keeps nothing, so that every run shakes hands in full. Being asked for a session
/// is how a handshake begins: TCP stands, and nothing has been sent yet.
#[derive(Debug)]
struct Forgetful(Arc<Course>);

impl ClientSessionStore for Forgetful {
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.enter(Phase::Tls);
        None
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}
}

/// Holds a certificate against the configured host instead of the address in the URL: the client does
/// not resolve a host that is an address, so the URL has to carry the endpoint's.
#[derive(Debug)]
struct GoodFor {
    name: ServerName<'static>,
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for GoodFor {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.inner.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
