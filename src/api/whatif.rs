//! `POST /v1/whatif`: what would follow, from the running engine. A supposition in; what becomes of it out.
//!
//! The core hands out a copy of the engine and goes on; what is supposed happens to the copy, on a thread
//! where computing keeps nobody waiting. Nothing that is served changes.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use tokio::sync::Semaphore;

use super::read::patiently;
use super::write::parse;
use super::{Daemon, Problem, Snapshot};
use crate::simulate::{Outlook, Supposition, suppose};
use crate::time::by_host;

/// How many are worked out at a time: each holds a copy of the engine.
pub const MAX_AT_ONCE: usize = 2;

static AT_ONCE: Semaphore = Semaphore::const_new(MAX_AT_ONCE);

/// What would follow if sites failed or were drained. Nothing changes.
#[utoipa::path(
    post, path = "/v1/whatif", tag = "reading",
    request_body = Supposition,
    responses(
        (status = 200, description = "What would follow", body = Outlook),
        (status = 422, description = "Nothing is supposed, too much, or of a site that there is not", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn whatif<D: Daemon>(
    State(daemon): State<Arc<D>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Outlook>, Problem> {
    let asked: Supposition = parse(body)?;
    let Ok(turn) = AT_ONCE.try_acquire() else {
        let detail =
            format!("{MAX_AT_ONCE} suppositions are being worked out already; ask again in a moment");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let Snapshot { now, engine } = patiently(daemon.snapshot()).await?;
    let Some(config) = engine.config().cloned() else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no configuration is loaded yet"));
    };
    asked.check(&config).map_err(|why| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why.to_string()))?;
    let worked_out = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        by_host(engine.offset(), || suppose(*engine, now, &config, &asked))
    });
    let outlook =
        worked_out.await.map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
    Ok(Json(outlook))
}
