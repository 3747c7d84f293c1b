//! `GET /v1/plots/{service}`: the last hour of a service's checks, for small plots. What a check has done since
//! the daemon started; nothing is kept across restarts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::read::{parse_name, patiently};
use super::{Daemon, Problem};
use crate::engine::PlotView;
use crate::health::{PLOT_STEP, PlotBucket};
use crate::model::SiteId;
use crate::time::Time;

/// What the engine says of a service's checks, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlotsAt {
    /// The moment.
    pub now: Time,
    /// In the order of the service's endpoints.
    pub plots: Vec<PlotView>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlotsBody {
    /// The moment, in milliseconds since 1970.
    pub now: Time,
    /// Seconds that a bucket is long.
    pub step_secs: u64,
    /// One for each check of the service, in the order of its endpoints.
    pub checks: Vec<PlotBody>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PlotBody {
    /// The endpoint's site.
    #[schema(value_type = String)]
    pub site: SiteId,
    /// The probe.
    pub probe: String,
    /// Where it goes: an address, or a CNAME target.
    pub target: String,
    /// What is asked for there, where the place alone does not say it.
    pub host: Option<String>,
    /// Thirty, the oldest first; the last one is still filling up.
    pub buckets: Vec<BucketBody>,
}

/// Two minutes of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BucketBody {
    /// When they begin, in milliseconds since 1970.
    pub at: Time,
    /// All runs that ended in them.
    pub runs: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that say nothing of the endpoint: this host was stalled, or in doubt.
    pub discarded: u32,
    /// Of those that succeeded; null where none did.
    pub latency_ms: Option<LatencyBody>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LatencyBody {
    /// The mean.
    pub mean: f64,
    /// The longest.
    pub max: f64,
}

/// The last hour of a service's checks.
#[utoipa::path(
    get, path = "/v1/plots/{service}", tag = "reading",
    params(("service" = String, Path, description = "A service; the final dot may be left out")),
    responses(
        (status = 200, description = "Each check's buckets", body = PlotsBody),
        (status = 404, description = "There is no such service", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn plots<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Path(service): Path<String>,
) -> Result<Json<PlotsBody>, Problem> {
    let name = parse_name(&service)?;
    match patiently(daemon.plots(name.clone())).await? {
        Some(PlotsAt { now, plots }) => {
            let checks = plots.into_iter().map(PlotBody::from).collect();
            Ok(Json(PlotsBody { now, step_secs: PLOT_STEP.as_secs(), checks }))
        }
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no service \"{name}\""))),
    }
}

impl From<PlotView> for PlotBody {
    fn from(PlotView { site, check, buckets }: PlotView) -> PlotBody {
        PlotBody {
            site,
            probe: check.probe.to_string(),
            target: check.whereto.to_string(),
            host: check.host.as_deref().map(str::to_owned),
            buckets: buckets.into_iter().map(BucketBody::from).collect(),
        }
    }
}

impl From<PlotBucket> for BucketBody {
    fn from(PlotBucket { at, runs, failures, discarded, latency }: PlotBucket) -> BucketBody {
        let ms = |took: std::time::Duration| took.as_micros() as f64 / 1000.0;
        let latency_ms = latency.map(|(mean, max)| LatencyBody { mean: ms(mean), max: ms(max) });
        BucketBody { at, runs, failures, discarded, latency_ms }
    }
}
