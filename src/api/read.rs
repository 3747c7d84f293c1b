//! What is asked without changing anything.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::bodies::{ClientBody, EntryBody, ExplainBody, HistoryBody, ServiceBody};
use super::{Daemon, DaemonStatus, ENGINE_PATIENCE, Gone, Problem};
use crate::dns::{Name, RrSet};
use crate::engine::SiteView;
use crate::policy::Proposal;
use crate::state::{self, MAX_QUERY};
use crate::zones::ZoneEdits;

/// How many entries are shown when the request does not say.
const DEFAULT_LIMIT: usize = 100;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryArgs {
    /// Only entries with a smaller number.
    before: Option<u64>,
    /// How many: 100 when left out, at most 1,000.
    limit: Option<usize>,
    /// Only what concerns this service.
    service: Option<String>,
    /// Samples too.
    samples: Option<bool>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainArgs {
    /// Of which name.
    name: String,
    /// What this client's network is answered.
    #[param(value_type = Option<String>)]
    from: Option<IpAddr>,
}

/// The whole picture.
#[utoipa::path(
    get, path = "/v1/status", tag = "reading",
    responses(
        (status = 200, description = "The picture", body = DaemonStatus),
    ),
)]
pub(super) async fn status<D: Daemon>(State(daemon): State<Arc<D>>) -> Result<Json<DaemonStatus>, Problem> {
    Ok(Json(patiently(daemon.status()).await?))
}

/// Every service: what it is answered with, and why.
#[utoipa::path(
    get, path = "/v1/services", tag = "reading",
    responses(
        (status = 200, description = "Every service", body = Vec<ServiceBody>),
    ),
)]
pub(super) async fn services<D: Daemon>(
    State(daemon): State<Arc<D>>,
) -> Result<Json<Vec<ServiceBody>>, Problem> {
    let status = patiently(daemon.status()).await?;
    Ok(Json(status.engine.services.into_iter().map(ServiceBody::from).collect()))
}

/// One service.
#[utoipa::path(
    get, path = "/v1/services/{name}", tag = "reading",
    params(("name" = String, Path, description = "A service; the final dot may be left out")),
    responses(
        (status = 200, description = "The service", body = ServiceBody),
        (status = 404, description = "There is no such service, or no such site", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn service<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Path(name): Path<String>,
) -> Result<Json<ServiceBody>, Problem> {
    let name = parse_name(&name)?;
    match patiently(daemon.explain(name.clone())).await? {
        Some(explanation) => Ok(Json(explanation.service.into())),
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no service \"{name}\""))),
    }
}

/// Every site, with the health of its endpoints.
#[utoipa::path(
    get, path = "/v1/sites", tag = "reading",
    responses(
        (status = 200, description = "Every site", body = Vec<SiteView>),
    ),
)]
pub(super) async fn sites<D: Daemon>(State(daemon): State<Arc<D>>) -> Result<Json<Vec<SiteView>>, Problem> {
    Ok(Json(patiently(daemon.status()).await?.engine.sites))
}

/// Moves that wait for an operator, or were rejected.
#[utoipa::path(
    get, path = "/v1/proposals", tag = "reading",
    responses(
        (status = 200, description = "Every proposal", body = Vec<Proposal>),
    ),
)]
pub(super) async fn proposals<D: Daemon>(
    State(daemon): State<Arc<D>>,
) -> Result<Json<Vec<Proposal>>, Problem> {
    Ok(Json(patiently(daemon.status()).await?.engine.proposals))
}

/// What happened, the newest first, page by page: `next` of one page is `before` of the one after it.
#[utoipa::path(
    get, path = "/v1/history", tag = "reading",
    params(HistoryArgs),
    responses(
        (status = 200, description = "A page", body = HistoryBody),
        (status = 404, description = "There is no such service, nor was there", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn history<D: Daemon>(
    State(daemon): State<Arc<D>>,
    args: Result<Query<HistoryArgs>, QueryRejection>,
) -> Result<Json<HistoryBody>, Problem> {
    let Query(args) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let service = args.service.as_deref().map(parse_name).transpose()?;
    let explained = match &service {
        Some(name) => patiently(daemon.explain(name.clone())).await?,
        None => None,
    };
    // A service that was removed has a history, and no checks any more.
    let unknown = service.clone().filter(|_| explained.is_none());
    let checks = explained.map(|explained| explained.checks).unwrap_or_default();
    let limit = args.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_QUERY);
    let query = state::Query {
        before: args.before,
        limit,
        service,
        checks: checks.into_iter().map(|check| check.key).collect(),
        samples: args.samples.unwrap_or(false),
        zone: None,
    };
    let read = tokio::task::spawn_blocking(move || daemon.history(&query)).await;
    let entries = read.map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))??;
    if let Some(name) = unknown.filter(|_| entries.is_empty()) {
        let detail = format!("no service named {}; `detour status` lists them", name.bare());
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let next = if limit > 0 && entries.len() == limit { entries.last().map(|e| e.seq) } else { None };
    Ok(Json(HistoryBody { entries: entries.into_iter().map(EntryBody::from).collect(), next }))
}

/// The chain behind a name's answer, from samples to records; with `from`, what one client gets.
#[utoipa::path(
    get, path = "/v1/explain", tag = "reading",
    params(ExplainArgs),
    responses(
        (status = 200, description = "The chain", body = ExplainBody),
        (status = 404, description = "It is no service, and the zones hold no record there", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn explain<D: Daemon>(
    State(daemon): State<Arc<D>>,
    args: Result<Query<ExplainArgs>, QueryRejection>,
) -> Result<Json<ExplainBody>, Problem> {
    let Query(args) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let name = parse_name(&args.name)?;
    let explanation = patiently(daemon.explain(name.clone())).await?;
    let answered = daemon.answered(&name);
    if explanation.is_none() && answered.is_empty() {
        let detail = format!("\"{name}\" is no service, and the zones hold no record there");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let because =
        explanation.as_ref().and_then(|e| e.service.decision.as_ref()).map(crate::policy::Decision::because);
    let answered_text = answered.iter().flat_map(RrSet::to_lines).collect();
    let checks = explanation.iter().flat_map(|e| &e.checks).map(|check| &check.key);
    let checks: std::collections::BTreeSet<_> = checks.collect();
    let mut watches = daemon.watches();
    watches.retain(|watch| checks.contains(&watch.check));
    let client = args.from.map(|from| client(&*daemon, &name, from, &answered));
    Ok(Json(ExplainBody { explanation, because, answered, answered_text, watches, client }))
}

fn client<D: Daemon>(daemon: &D, name: &Name, from: IpAddr, plain: &[RrSet]) -> ClientBody {
    let choice = daemon.answered_to(name, from);
    let records = choice.as_ref().map_or(plain, |choice| &choice.rrsets);
    ClientBody {
        from,
        region: choice.as_ref().map(|choice| choice.region),
        variant: choice.as_ref().and_then(|choice| choice.variant),
        scope: choice.as_ref().map_or(0, |choice| choice.scope),
        answered_text: records.iter().flat_map(RrSet::to_lines).collect(),
    }
}

/// An engine that takes too long is as good as gone.
pub(super) async fn patiently<T>(asked: impl Future<Output = Result<T, Gone>>) -> Result<T, Gone> {
    tokio::time::timeout(ENGINE_PATIENCE, asked).await.unwrap_or(Err(Gone))
}

pub(super) fn parse_name(text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|e| Problem::bad_request(format!("name \"{text}\" {e}")))
}

/// How a zone differs from its file by updates.
#[utoipa::path(
    get, path = "/v1/zones/{name}/edits", operation_id = "zone_edits", tag = "zones",
    params(("name" = String, Path, description = "A zone; the final dot may be left out")),
    responses(
        (status = 200, description = "The difference", body = ZoneEdits),
        (status = 404, description = "There is no such zone", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn edits<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Path(name): Path<String>,
) -> Result<Json<ZoneEdits>, Problem> {
    let zone = parse_name(&name)?;
    let edits = daemon.edits(zone.clone()).await?;
    edits.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no zone {zone}")))
}
