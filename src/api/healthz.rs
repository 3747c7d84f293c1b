//! `GET /healthz`: whether the daemon does its work, and whether people are without service. What it costs depends
//! neither on how many checks there are nor on how many services: the engine keeps the conditions as it steps,
//! and nothing is asked that could wait for it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::access::Caller;
use super::{Daemon, Liveness};
use crate::condition::{Condition, Summary};

/// How long the engine's loop may stand still; it turns at least once a second.
pub const ENGINE_STALLED_MS: u64 = 10_000;
/// How long no check may run although one is due.
pub const CHECKS_STALLED_MS: u64 = 30_000;
/// How many conditions are named.
const MAX_NAMED: usize = 20;

/// The body of `/healthz`. Whoever shows no token, and is not on loopback, is given `status` alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HealthzBody {
    /// `ok` (200), `degraded` (200) or `failing` (503): what a restart can mend.
    pub status: String,
    /// Why it is not ok.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What people should know before it is too late; clients are served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Whether the daemon does its work, and whether people are without service. It asks for no token.
#[utoipa::path(
    get, path = "/healthz", tag = "the daemon itself",
    responses(
        (status = 200, description = "`ok`, or `degraded`: a restart would not help", body = HealthzBody),
        (status = 503, description = "`failing`: it does not do its work, and a restart may help", body = HealthzBody),
    ),
)]
pub(super) async fn healthz<D: Daemon>(
    State(daemon): State<Arc<D>>,
    caller: Option<Extension<Caller>>,
) -> (StatusCode, Json<HealthzBody>) {
    let body = health_of(&daemon.liveness(), &daemon.conditions());
    let code = if body.status == FAILING { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    // Services, sites and paths are for those who may read them elsewhere.
    let body = match caller {
        Some(_) => body,
        None => HealthzBody { status: body.status, ..HealthzBody::default() },
    };
    (code, Json(body))
}

const FAILING: &str = "failing";

/// How the daemon is.
pub fn health_of(liveness: &Liveness, conditions: &Summary) -> HealthzBody {
    let failing = failures(liveness);
    let status = if !failing.is_empty() {
        FAILING
    } else if conditions.is_degraded() || liveness.udp_workers_failed > 0 {
        "degraded"
    } else {
        "ok"
    };
    let text = |condition: &Condition| condition.text.clone();
    let of = |degrades: bool| {
        let all: usize =
            conditions.counts.iter().filter(|(kind, _)| kind.degrades() == degrades).map(|(_, n)| n).sum();
        let listed = conditions.listed.iter().filter(|it| it.kind.degrades() == degrades);
        let mut texts: Vec<String> = listed.take(MAX_NAMED).map(text).collect();
        if all > texts.len() {
            texts.push(format!("and {} more; see `detour status`", all - texts.len()));
        }
        texts
    };
    let mut reasons = failing;
    if liveness.udp_workers_failed > 0 && liveness.udp_workers_failed < liveness.udp_workers {
        let (failed, all) = (liveness.udp_workers_failed, liveness.udp_workers);
        reasons.push(format!("{failed} of {all} UDP workers cannot receive, or TCP listeners have ended"));
    }
    reasons.extend(of(true));
    HealthzBody { status: status.to_owned(), reasons, notes: of(false) }
}

/// What a restart can mend.
pub(super) fn failures(liveness: &Liveness) -> Vec<String> {
    let mut failures = Vec::new();
    if liveness.engine_idle_ms > ENGINE_STALLED_MS {
        failures.push(format!("the engine has not run for {} s", liveness.engine_idle_ms / 1000));
    }
    if liveness.checks_idle_ms > CHECKS_STALLED_MS {
        failures
            .push(format!("no check has run for {} s, though some are due", liveness.checks_idle_ms / 1000));
    }
    if liveness.udp_workers > 0 && liveness.udp_workers_failed >= liveness.udp_workers {
        failures.push("no UDP worker is left".to_owned());
    }
    failures
}
