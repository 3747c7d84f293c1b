//! What went wrong and how it ended, out of the history.
//!
//! What was read once is kept, so a request costs what happened since the last one; the first after a start reads
//! the whole history, off the core's thread as every other.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::{Daemon, Problem};
use crate::incident::{Incident, Incidents, Line};
use crate::state::{MAX_ENTRIES, MAX_QUERY, StoreError};
use crate::time::{Offset, Time, by_host};

/// How many incidents are shown when the request does not say.
const DEFAULT_LIMIT: usize = 10;
/// The most that one request shows: each can be a timeline of some hundred lines.
const MAX_LIMIT: usize = 50;
/// How many lines at the end of a timeline may still change: as many as are looked back at for one to join.
const UNSETTLED: usize = 16;
/// How many pages of entries one request reads: all there can be, and some that come meanwhile.
const MAX_PAGES: u64 = MAX_ENTRIES / MAX_QUERY as u64 + 10;

/// What was made of the history so far, and by which host's clock.
#[derive(Clone, Default)]
pub(super) struct Read(Arc<Mutex<(Offset, Incidents)>>);

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListArgs {
    /// Only incidents with a smaller id.
    before: Option<u64>,
    /// How many: 10 when left out, at most 50.
    limit: Option<usize>,
    /// Without `causes`, `moves`, `served` and `timeline`, which one incident has.
    #[serde(default)]
    brief: bool,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OneArgs {
    /// What changed is enough: the `known` of an earlier answer, or nothing for the first. The lines of the timeline
    /// that came with that one are not sent again, nor `causes`, `moves` and `served` at all.
    known: Option<String>,
}

/// `GET /v1/incidents/{id}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IncidentBody {
    /// The incident.
    #[serde(flatten)]
    pub incident: Incident,
    /// How many lines of the timeline come before those that are here: as many as are known.
    #[serde(default)]
    pub timeline_from: usize,
    /// What to ask with, to be told only what changed.
    #[serde(default)]
    pub known: String,
}

impl IncidentBody {
    /// The incident as it is to whoever knows so much of it already; all of it where nothing is said of that.
    fn of(incident: Incident, known: Option<&str>) -> IncidentBody {
        // The last lines may still take in what happens at about the same time.
        let settled = incident.timeline.len().saturating_sub(UNSETTLED);
        let mut body =
            IncidentBody { timeline_from: 0, known: mark(&incident.timeline[..settled]), incident };
        let Some(known) = known else { return body };
        let incident = &mut body.incident;
        shorten(incident);
        let lines = known.split('-').next().and_then(|lines| lines.parse::<usize>().ok());
        let had = lines.and_then(|lines| incident.timeline.get(..lines));
        if let Some(had) = had.filter(|had| mark(had) == known) {
            body.timeline_from = had.len();
            incident.timeline.drain(..body.timeline_from);
        }
        body
    }
}

/// Leaves out what neither a list nor a timeline shows.
fn shorten(incident: &mut Incident) {
    (incident.causes, incident.moves, incident.served) = (Vec::new(), Vec::new(), Vec::new());
}

/// How many lines there are, and what tells them from others.
fn mark(lines: &[Line]) -> String {
    let mut hasher = DefaultHasher::new();
    for Line { at, text, count, .. } in lines {
        (at, text, count).hash(&mut hasher);
    }
    format!("{}-{:x}", lines.len(), hasher.finish())
}

/// `GET /v1/incidents`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct IncidentsBody {
    /// The newest first.
    pub incidents: Vec<Incident>,
    /// `before` for the next page; `None` on the last one.
    pub next: Option<u64>,
}

/// What went wrong, the newest first.
#[utoipa::path(
    get, path = "/v1/incidents", tag = "reading", params(ListArgs),
    responses((status = 200, description = "A page of incidents", body = IncidentsBody)),
)]
pub(super) async fn list<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(read): Extension<Read>,
    args: Result<Query<ListArgs>, QueryRejection>,
) -> Result<Json<IncidentsBody>, Problem> {
    let Query(args) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let limit = args.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let before = args.before.unwrap_or(u64::MAX);
    let page = asked(daemon, read, move |incidents, now| {
        let mut newest = incidents.newest(now).filter(|incident| incident.id < before);
        let mut page: Vec<Incident> = newest.by_ref().take(limit).collect();
        if args.brief {
            page.iter_mut().for_each(shorten);
            for incident in &mut page {
                incident.timeline.clear();
            }
        }
        let next = newest.next().and(page.last()).map(|last| last.id);
        IncidentsBody { incidents: page, next }
    });
    Ok(Json(page.await?))
}

/// One incident.
#[utoipa::path(
    get, path = "/v1/incidents/{id}", tag = "reading",
    params(("id" = u64, Path, description = "The incident's id"), OneArgs),
    responses(
        (status = 200, description = "The incident", body = IncidentBody),
        (status = 404, description = "There is no such incident", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn one<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(read): Extension<Read>,
    id: Result<Path<u64>, PathRejection>,
    args: Result<Query<OneArgs>, QueryRejection>,
) -> Result<Json<IncidentBody>, Problem> {
    let Path(id) = id.map_err(|e| Problem::bad_request(e.body_text()))?;
    let Query(OneArgs { known }) = args.map_err(|e| Problem::bad_request(e.body_text()))?;
    let found = asked(daemon, read, move |incidents, now| incidents.find(id, now)).await?;
    let missing = || format!("there is no incident {id}; GET /v1/incidents lists those that are known");
    let found = found.map(|incident| Json(IncidentBody::of(incident, known.as_deref())));
    found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, missing()))
}

/// Reads what happened since the last request, and asks.
async fn asked<D: Daemon, T: Send + 'static>(
    daemon: Arc<D>,
    read: Read,
    ask: impl FnOnce(&Incidents, Time) -> T + Send + 'static,
) -> Result<T, Problem> {
    let asked = tokio::task::spawn_blocking(move || {
        let (now, offset) = (daemon.now(), daemon.offset());
        // A panic amid an entry leaves what was made of those before it.
        let mut kept = read.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != offset {
            // There are times in texts.
            *kept = (offset, Incidents::default());
        }
        by_host(offset, || {
            catch_up(&*daemon, &mut kept.1)?;
            Ok::<T, StoreError>(ask(&kept.1, now))
        })
    });
    Ok(asked.await.map_err(|e| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))??)
}

fn catch_up<D: Daemon>(daemon: &D, incidents: &mut Incidents) -> Result<(), StoreError> {
    for _ in 0..MAX_PAGES {
        match daemon.entries_from(incidents.next(), MAX_QUERY) {
            Ok((_, entries)) if entries.is_empty() => break,
            Ok((_, entries)) => entries.iter().for_each(|entry| incidents.take(entry)),
            // One of another version, say: those after it tell something all the same.
            Err(StoreError::Entry { seq, .. }) => incidents.skip(seq),
            Err(other) => return Err(other),
        }
    }
    Ok(())
}
