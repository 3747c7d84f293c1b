//! What is asked without changing anything.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::api::{ClientBody, EntryBody, ExplainBody, HistoryBody, ServiceBody};
use super::{Daemon, DaemonStatus, ENGINE_PATIENCE, Gone, Problem, ZoneEdits};
use crate::engine::SiteView;
use crate::history::{self, MAX_QUERY};
use crate::policy::Proposal;
use crate::zone::{Name, RrSet};

/// How many entries are shown when the request does not say.
const DEFAULT_LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryArgs {
    before: Option<u64>,
    limit: Option<usize>,
    service: Option<String>,
    samples: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplainArgs {
    name: String,
    from: Option<IpAddr>,
}

pub(super) async fn status<D: Daemon>(State(daemon): State<Arc<D>>) -> Result<Json<DaemonStatus>, Problem> {
    Ok(Json(patiently(daemon.status()).await?))
}

pub(super) async fn services<D: Daemon>(
    State(daemon): State<Arc<D>>,
) -> Result<Json<Vec<ServiceBody>>, Problem> {
    let status = patiently(daemon.status()).await?;
    Ok(Json(status.engine.services.into_iter().map(ServiceBody::from).collect()))
}

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

pub(super) async fn sites<D: Daemon>(State(daemon): State<Arc<D>>) -> Result<Json<Vec<SiteView>>, Problem> {
    Ok(Json(patiently(daemon.status()).await?.engine.sites))
}

pub(super) async fn proposals<D: Daemon>(
    State(daemon): State<Arc<D>>,
) -> Result<Json<Vec<Proposal>>, Problem> {
    Ok(Json(patiently(daemon.status()).await?.engine.proposals))
}

pub(super) async fn history<D: Daemon>(
    State(daemon): State<Arc<D>>,
    args: Result<Query<HistoryArgs>, QueryRejection>,
) -> Result<Json<HistoryBody>, Problem> {
    let Query(args) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let service = args.service.as_deref().map(parse_name).transpose()?;
    let checks = match &service {
        // A service that was removed has a history, and no checks any more.
        Some(name) => patiently(daemon.explain(name.clone())).await?.map(|e| e.checks).unwrap_or_default(),
        None => Vec::new(),
    };
    let limit = args.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_QUERY);
    let query = history::Query {
        before: args.before,
        limit,
        service,
        checks: checks.into_iter().map(|check| check.key).collect(),
        samples: args.samples.unwrap_or(false),
        zone: None,
    };
    let read = tokio::task::spawn_blocking(move || daemon.history(&query)).await;
    let entries = read.map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))??;
    let next = if limit > 0 && entries.len() == limit { entries.last().map(|e| e.seq) } else { None };
    Ok(Json(HistoryBody { entries: entries.into_iter().map(EntryBody::from).collect(), next }))
}

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
        explanation.as_ref().and_then(|e| e.service.decision.as_ref()).map(|d| d.reason.to_string());
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

pub(super) async fn edits<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Path(name): Path<String>,
) -> Result<Json<ZoneEdits>, Problem> {
    let zone = parse_name(&name)?;
    let edits = daemon.edits(zone.clone()).await?;
    edits.map(Json).ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no zone {zone}")))
}
