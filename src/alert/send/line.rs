//! What the ways to a receiver share: how TLS is spoken, and why a message was not delivered.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;

use crate::certificate::Named;
use crate::model::{AlertReceiver, Authorities};

/// The way to one receiver, with what is made once for all messages.
#[derive(Default)]
pub(in crate::alert) struct Line {
    /// What TLS is spoken with; or why it cannot be.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// Why a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::alert) struct SendError {
    /// Whether the receiver will never take this message.
    pub refused: bool,
    /// In words; nothing secret.
    pub why: String,
}

impl SendError {
    /// It may go better another time.
    pub fn again(why: impl Into<String>) -> SendError {
        SendError { refused: false, why: why.into() }
    }
}

impl Line {
    /// Made when it is first needed: it may read this host's authorities.
    pub(super) fn tls(&self, to: &AlertReceiver) -> Result<Arc<ClientConfig>, SendError> {
        self.tls.get_or_init(|| tls(to.ca.as_deref())).clone().map_err(SendError::again)
    }
}

/// TLS that trusts these authorities, or this host's.
fn tls(ca: Option<&Authorities>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?;
    if let Some(ca) = ca {
        let named = Arc::new(Named::new(&ca.certificates, provider)?);
        let builder = builder.dangerous().with_custom_certificate_verifier(named);
        return Ok(Arc::new(builder.with_no_client_auth()));
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this host trusts no certificate authority; name one with \"ca\"".to_owned());
    }
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
