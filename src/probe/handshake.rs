//! The `tls` probe: a handshake that ends well is enough.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;

use super::connection::{Metered, connect};
use super::progress::Course;
use super::tls::shake;
use crate::health::Outcome;
use crate::model::TlsProbe;

/// Connects, shakes hands and hangs up.
pub(super) async fn ask(
    to: SocketAddr,
    host: &str,
    probe: &TlsProbe,
    config: Arc<ClientConfig>,
    course: &Course,
) -> Outcome {
    let connection = match connect(to, course).await {
        Ok(stream) => Metered::new(stream),
        Err(outcome) => return outcome,
    };
    match shake(config, &probe.tls, host, connection, course).await {
        Ok(_) => Outcome::Ok,
        Err(outcome) => outcome,
    }
}
