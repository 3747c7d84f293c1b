//! What is shown to a daemon, and whom it is shown to: tokens in files, and the certificates that are trusted.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::certificate::Named;

/// The longest file of a token, in bytes.
const MAX_TOKEN_FILE: u64 = 4_096;
/// The longest file of certificates, in bytes.
const MAX_PEM_FILE: u64 = 1 << 20;

/// Whose certificates are good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authorities this host trusts.
    Host,
    /// Those of the authorities in a file, and the certificates in it themselves.
    File(PathBuf),
    /// The one in a file, and no other: the daemon's own configuration names it.
    This(PathBuf),
}

/// The token in a file, and nothing else.
pub fn token(path: &Path) -> anyhow::Result<String> {
    let bytes = read(path, MAX_TOKEN_FILE)?;
    let text = String::from_utf8_lossy(&bytes);
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{} does not hold a token and nothing else", path.display());
    }
    Ok(token.to_owned())
}

/// How a connection shakes hands. Errors: a file that cannot be read, or holds no certificate; a host that
/// trusts nobody.
pub fn client_config(trust: &Trust) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let roots = match trust {
        Trust::Host => roots_of_host()?,
        Trust::File(file) => {
            let named = Named::new(&certificates(file)?, provider);
            let named = named.map_err(|why| anyhow!("{}: {why}", file.display()))?;
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(named));
            return Ok(builder.with_no_client_auth());
        }
        Trust::This(file) => {
            let certificate = certificates(file)?.swap_remove(0);
            let only = Arc::new(Only { certificate, provider });
            return Ok(builder.dangerous().with_custom_certificate_verifier(only).with_no_client_auth());
        }
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots_of_host() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        bail!("this host trusts no authorities; install ca-certificates or give --ca");
    }
    Ok(roots)
}

/// The certificates of a file; never none.
fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let bytes = read(file, MAX_PEM_FILE)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let certificates = certificates.with_context(|| format!("{} is not PEM", file.display()))?;
    if certificates.is_empty() {
        bail!("{} holds no certificate in PEM form", file.display());
    }
    Ok(certificates)
}

fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// Trusts one certificate, whoever signed it and whatever name it is for.
struct Only {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Only {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Only").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.certificate {
            return Ok(ServerCertVerified::assertion());
        }
        let why = "the daemon shows another certificate than its configuration names: is that the daemon, and \
                   has it read the file anew? --ca FILE trusts an authority";
        Err(Error::General(why.to_owned()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
