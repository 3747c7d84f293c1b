//! TLS of the listeners here: with which certificate, or none, may change from one connection to the next.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;

use crate::model::Identity;

/// How the next connection shakes hands; nothing while they are in clear text.
pub(super) type Secured = Arc<ArcSwapOption<ServerConfig>>;

/// What a listener shows of itself.
#[derive(Default)]
pub(super) struct Shown {
    secured: Secured,
    /// What that was made of.
    identity: Mutex<Option<Arc<Identity>>>,
}

impl Shown {
    pub(super) fn secured(&self) -> Secured {
        self.secured.clone()
    }

    /// What the next callers are shown; `key` is where the configuration has it.
    pub(super) fn set(&self, identity: Option<Arc<Identity>>, key: &str) {
        let mut shown = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == identity {
            return;
        }
        match identity.as_deref().map(server_config).transpose() {
            Ok(config) => {
                self.secured.store(config.map(Arc::new));
                *shown = identity;
            }
            // In clear text nobody would be served by it either.
            Err(error) => tracing::error!(%error, "{key} cannot be used, and stays as it is"),
        }
    }
}

/// How calls over TLS are taken. Errors: a certificate that is none, which loading has ruled out.
fn server_config(identity: &Identity) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    // Of what a client may offer (RFC 7301, section 6), the one that is spoken here.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
