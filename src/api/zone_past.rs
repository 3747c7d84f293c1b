//! What became of a zone: its serials out of the history, and how two of them differ out of its journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::read::parse_name;
use super::zone_api::{SerialBody, ZoneDiffBody, ZoneHistoryBody};
use super::{Daemon, Problem};
use crate::dns::{Name, RrSet, Serial};
use crate::engine::Happened;
use crate::state::{self, MAX_QUERY, StoreError};
use crate::time::by_host;
use crate::zone::{Journal, Step};
use crate::zones::unreached;

/// How many serials are shown when the request does not say.
const DEFAULT_LIMIT: usize = 50;
/// How many decisions or updates of one serial are told one by one.
const MAX_TOLD: usize = 20;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PastArgs {
    /// Only what was published before the entry of this number.
    before: Option<u64>,
    /// How many: 50 when left out, at most 1,000.
    limit: Option<usize>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffArgs {
    /// From this serial; the one before `to` when left out.
    from: Option<Serial>,
    /// To this serial; what is served when left out.
    to: Option<Serial>,
}

/// A zone's serials and what led to each, the newest first, page by page.
#[utoipa::path(
    get, path = "/v1/zones/{name}/history", operation_id = "zone_history", tag = "zones",
    params(("name" = String, Path, description = "A zone; the final dot may be left out"), PastArgs),
    responses(
        (status = 200, description = "A page", body = ZoneHistoryBody),
        (status = 404, description = "There is no such zone", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn history<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Path(name): Path<String>,
    args: Result<Query<PastArgs>, QueryRejection>,
) -> Result<Json<ZoneHistoryBody>, Problem> {
    let Query(args) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let zone = parse_name(&name)?;
    known(&*daemon, &zone)?;
    let limit = args.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_QUERY);
    let journal = daemon.journal(&zone);
    let of = zone.clone();
    let read = move || by_host(daemon.offset(), || serials(&*daemon, of, args.before, limit));
    let read = tokio::task::spawn_blocking(read).await;
    let (serials, next) =
        read.map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))??;
    Ok(Json(ZoneHistoryBody { zone, serials, next, journal: journal.from().zip(journal.to()) }))
}

/// The newest `limit` serials before an entry, and where the next page begins.
fn serials<D: Daemon>(
    daemon: &D,
    zone: Name,
    before: Option<u64>,
    limit: usize,
) -> Result<(Vec<SerialBody>, Option<u64>), StoreError> {
    let mut query = state::Query { before, limit: MAX_QUERY, zone: Some(zone), ..state::Query::default() };
    let mut serials: Vec<SerialBody> = Vec::new();
    // Which serial waits for a decision's words: it was recorded before, and so comes after.
    let mut decided: BTreeMap<u64, usize> = BTreeMap::new();
    let mut next = None;
    'pages: loop {
        let entries = daemon.history(&query)?;
        for entry in &entries {
            let last = serials.len().checked_sub(1);
            match &entry.what {
                Happened::Published { from, to, decisions, by, counts, .. } => {
                    if serials.len() == limit {
                        next = serials.last().map(|last| last.seq);
                        break 'pages;
                    }
                    decided.extend(decisions.iter().take(MAX_TOLD).map(|id| (*id, serials.len())));
                    serials.push(SerialBody {
                        seq: entry.seq,
                        at: entry.at,
                        from: *from,
                        to: *to,
                        by: *by,
                        counts: *counts,
                        because: Vec::new(),
                        more: decisions.len().saturating_sub(MAX_TOLD),
                    });
                }
                Happened::Decision(decision) => {
                    if let Some(of) = decided.remove(&decision.id) {
                        serials[of].because.push(entry.what.to_string());
                    }
                }
                // Of the same transaction, and so of the same moment.
                what => {
                    let Some(serial) = last.map(|last| &mut serials[last]) else { continue };
                    if serial.at == entry.at {
                        if serial.because.len() < MAX_TOLD {
                            serial.because.push(what.to_string());
                        } else {
                            serial.more += 1;
                        }
                    }
                }
            }
        }
        match entries.last() {
            Some(last) if entries.len() == MAX_QUERY => query.before = Some(last.seq),
            _ => break 'pages,
        }
    }
    for serial in &mut serials {
        serial.because.reverse();
    }
    Ok((serials, next))
}

/// How two serials of a zone differ.
#[utoipa::path(
    get, path = "/v1/zones/{name}/diff", operation_id = "zone_diff", tag = "zones",
    params(("name" = String, Path, description = "A zone; the final dot may be left out"), DiffArgs),
    responses(
        (status = 200, description = "The difference", body = ZoneDiffBody),
        (status = 404, description = "There is no such zone, or its journal does not reach back so far", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn diff<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Path(name): Path<String>,
    args: Result<Query<DiffArgs>, QueryRejection>,
) -> Result<Json<ZoneDiffBody>, Problem> {
    let Query(args) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let zone = parse_name(&name)?;
    let serial = known(&*daemon, &zone)?;
    let journal = daemon.journal(&zone);
    let step = match (args.from, args.to) {
        (None, None) => return Err(Problem::bad_request("say from which serial, to which, or both")),
        (None, Some(to)) => journal.step_to(to).ok_or(to),
        (Some(from), to) => between(&journal, from, to.unwrap_or(serial)),
    };
    let step =
        step.map_err(|serial| Problem::new(StatusCode::NOT_FOUND, unreached(&zone, &journal, serial)))?;
    let (from, to) = (step.from(), step.to());
    if from == to {
        return Ok(Json(ZoneDiffBody { zone, from, to, removed: Vec::new(), added: Vec::new() }));
    }
    let body = |soa: &RrSet, sets: &[RrSet]| std::iter::once(soa).chain(sets).map(Into::into).collect();
    let (removed, added) = (body(&step.old, &step.removed), body(&step.new, &step.added));
    Ok(Json(ZoneDiffBody { zone, from, to, removed, added }))
}

/// From one serial to another, whichever is the later one. Errors: which of them the journal does not have.
fn between(journal: &Journal, from: Serial, to: Serial) -> Result<Step, Serial> {
    if let Some(step) = journal.between(from, to) {
        return Ok(step);
    }
    if let Some(step) = journal.between(to, from) {
        return Ok(step.reversed());
    }
    // Either they are the same, or the journal does not have both.
    let at =
        journal.step_to(from).map(|step| step.new).or_else(|| journal.condense(from).map(|step| step.old));
    match at {
        Some(soa) if from == to => Ok(Step::of(soa.clone(), soa, &[], &[])),
        Some(_) => Err(to),
        None => Err(from),
    }
}

/// The serial of a zone that is served.
fn known<D: Daemon>(daemon: &D, zone: &Name) -> Result<Serial, Problem> {
    let serial = daemon.table().serial(zone);
    serial
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, format!("there is no zone {zone} that is served")))
}
