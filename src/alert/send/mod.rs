//! The ways to receivers: one message in, delivered or why not out.
//!
//! Each try has a connection or a process of its own, and its caller bounds it in time.

mod command;
mod http;
mod mail;
mod payload;
mod smtp;

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;

use self::http::Post;
use super::message::Message;
use crate::certificate::Named;
use crate::model::{AlertReceiver, AlertWay, Authorities};
use crate::time::HostTime;

/// The way to one receiver, with what is made once for all messages.
#[derive(Default)]
pub(super) struct Line {
    /// What TLS is spoken with; or why it cannot be.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// Why a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SendError {
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
    /// Delivers a message; `now` is when it is signed.
    pub async fn send(&self, now: HostTime, to: &AlertReceiver, message: &Message) -> Result<(), SendError> {
        match &to.way {
            AlertWay::Webhook { url, key } => {
                let body = payload::webhook(&to.id, message);
                let headers = payload::signed(now, message, &body, key.as_ref());
                http::post(self, to, &Post { url, headers, body, secret: None }).await
            }
            AlertWay::Slack { url } => {
                let body = payload::slack(message);
                http::post(self, to, &Post { url, headers: Vec::new(), body, secret: None }).await
            }
            AlertWay::PagerDuty { url, routing_key } => {
                // A part that is over changes nothing at what goes on.
                let Some(body) = payload::pagerduty(routing_key, message) else { return Ok(()) };
                let secret = Some(routing_key.reveal());
                http::post(self, to, &Post { url, headers: Vec::new(), body, secret }).await
            }
            AlertWay::Email(mail) => smtp::send(self, to, mail, message).await,
            AlertWay::Command(words) => {
                command::run(words, message, &payload::webhook(&to.id, message)).await
            }
        }
    }

    /// Made when it is first needed: it may read this host's authorities.
    fn tls(&self, to: &AlertReceiver) -> Result<Arc<ClientConfig>, SendError> {
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
