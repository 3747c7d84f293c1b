//! The `tcp` probe: a connect is enough.

use std::net::SocketAddr;

use super::connection::connect;
use super::course::Course;
use crate::health::Outcome;

/// Connects and hangs up.
pub(super) async fn ask(to: SocketAddr, course: &Course) -> Outcome {
    match connect(to, course).await {
        Ok(_) => Outcome::Ok,
        Err(outcome) => outcome,
    }
}
