//! `GET /healthz`: whether the daemon itself does its work. Asks nothing that could wait for the engine.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Daemon, Vitals};

/// How long the engine's loop may stand still; it turns at least once a second.
pub const ENGINE_STALLED_MS: u64 = 10_000;
/// How many stalled checks are named.
const MAX_NAMED: usize = 10;

/// The body of `/healthz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HealthzBody {
    /// `ok` (200), `degraded` (200) or `failing` (503).
    pub status: String,
    /// Why it is not ok.
    pub reasons: Vec<String>,
    /// What does not make it less well, and people should know: moves that wait for an answer, standbys
    /// that could not take over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Whether the daemon itself does its work. It asks for no token.
#[utoipa::path(
    get, path = "/healthz", tag = "the daemon itself",
    responses(
        (status = 200, description = "It is well, or well enough to serve", body = HealthzBody),
        (status = 503, description = "It is not", body = HealthzBody),
    ),
)]
pub(super) async fn healthz<D: Daemon>(State(daemon): State<Arc<D>>) -> (StatusCode, Json<HealthzBody>) {
    let vitals = daemon.vitals();
    let mut reasons = reasons(&vitals);
    let (status, word) = match (reasons.is_empty(), vitals.doubt.is_some() || !vitals.hollow.is_empty()) {
        (true, false) => (StatusCode::OK, "ok"),
        // It answers, and moves nothing; or it waits for a primary. To have it restarted would help nobody.
        (true, true) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    reasons.extend(vitals.doubt.map(|why| format!("the vantage doubts itself, no sample counts: {why}")));
    let more = vitals.hollow.len().saturating_sub(MAX_NAMED);
    reasons.extend(vitals.hollow.into_iter().take(MAX_NAMED));
    if more > 0 {
        reasons.push(format!("{more} zones more are answered SERVFAIL"));
    }
    (status, Json(HealthzBody { status: word.to_owned(), reasons, notes: vitals.notes }))
}

/// A refused load is no reason: the last good one serves.
pub(super) fn reasons(vitals: &Vitals) -> Vec<String> {
    let mut reasons = Vec::new();
    if vitals.engine_idle_ms > ENGINE_STALLED_MS {
        reasons.push(format!("the engine's loop has stood still for {} ms", vitals.engine_idle_ms));
    }
    let stalled = &vitals.stalled_checks;
    reasons
        .extend(stalled.iter().take(MAX_NAMED).map(|c| format!("check {c}: no sample for three intervals")));
    if stalled.len() > MAX_NAMED {
        reasons.push(format!("{} checks more without a sample", stalled.len() - MAX_NAMED));
    }
    if vitals.udp_workers_failed > 0 {
        reasons.push(format!("UDP workers that failed: {}", vitals.udp_workers_failed));
    }
    reasons
}
