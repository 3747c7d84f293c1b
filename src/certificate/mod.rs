//! Certificates: whom TLS trusts where somebody has named the certificates to trust.
//!
//! In: the certificates of a file, as `ca` of the configuration or `--ca` of a command names it. Out: a verifier for
//! rustls. It must never know who names them, nor read a file or a clock.
//!
//! What is named is mostly an authority, which has signed what a server shows. But whoever makes a certificate with
//! `openssl req -x509` gets one that is an authority by its letter (`CA:TRUE`) and is shown by the server itself, and
//! names that. The library refuses it, as an authority is no server. Here it is good: where a server shows the very
//! certificate that was named, nobody has to have signed it. Its name and its time still have to be right.

mod validity;

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

pub use validity::validity;

use crate::time::HostTime;

/// Trusts what named authorities have signed, and the named certificates themselves.
pub struct Named {
    certificates: Vec<CertificateDer<'static>>,
    signed: Arc<WebPkiServerVerifier>,
}

impl Named {
    /// A verifier that trusts these certificates.
    ///
    /// # Errors
    ///
    /// Why one of them is no certificate, or that there is none.
    pub fn new(
        certificates: &[CertificateDer<'static>],
        provider: Arc<CryptoProvider>,
    ) -> Result<Named, String> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate.clone()).map_err(|why| why.to_string())?;
        }
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let signed = signed.map_err(|why| why.to_string())?;
        Ok(Named { certificates: certificates.to_vec(), signed })
    }
}

/// A certificate that is good whoever signed it: that it is for this name, and that it is its time.
fn is_fit(shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
    let unreadable = Error::InvalidCertificate(CertificateError::BadEncoding);
    let (from, until) = validity(shown).ok_or(unreadable)?;
    let second = |time: HostTime| UnixTime::since_unix_epoch(std::time::Duration::from_millis(time.0));
    if now < second(from) {
        let why = CertificateError::NotValidYetContext { time: now, not_before: second(from) };
        return Err(Error::InvalidCertificate(why));
    }
    if now > second(until) {
        let why = CertificateError::ExpiredContext { time: now, not_after: second(until) };
        return Err(Error::InvalidCertificate(why));
    }
    verify_server_name(&ParsedCertificate::try_from(shown)?, name)
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.contains(shown) {
            return is_fit(shown, name, now).map(|()| ServerCertVerified::assertion());
        }
        self.signed.verify_server_cert(shown, between, name, stapled, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Named({} certificates)", self.certificates.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

    use super::*;

    /// As `openssl req -x509` makes it: an authority, signed by itself, for a host.
    fn own(years: (i32, i32)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["app.example.com".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn a_self_signed_authority_that_a_server_shows_is_good_if_it_is_the_one_that_was_named() {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_770_000_000)); // in 2026
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let check = |named: &CertificateDer<'static>, shown: &CertificateDer<'static>, host: &'static str| {
            let named = Named::new(std::slice::from_ref(named), provider.clone()).unwrap();
            let name = ServerName::try_from(host).unwrap();
            named.verify_server_cert(shown, &[], &name, &[], now).map(|_| ()).map_err(|why| why.to_string())
        };
        let good = own((2020, 2040));
        assert_eq!(check(&good, &good, "app.example.com"), Ok(()));
        let refused = |shown: &CertificateDer<'static>, named: &CertificateDer<'static>, host, why: &str| {
            let told = check(named, shown, host).unwrap_err();
            assert!(told.contains(why), "{told}");
        };
        refused(&good, &good, "other.example.com", "not valid for name");
        let old = own((2020, 2025));
        refused(&old, &old, "app.example.com", "expired");
        let new = own((2030, 2040));
        refused(&new, &new, "app.example.com", "not valid yet");
        let another = own((2020, 2040));
        refused(&another, &good, "app.example.com", "invalid peer certificate");
    }
}
