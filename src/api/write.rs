//! What operators ask for. Each becomes one `Command`; the engine decides whether it is carried out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::de::DeserializeOwned;

use super::access::Caller;
use super::bodies::{
    AnswerRequest, ClearRequest, CommandBody, DecisionBody, FailbackRequest, FailoverRequest, FreezeRequest,
    OverrideRequest, ReloadRequest, RollbackRequest, TestBody, TestRequest,
};
use super::read::parse_name;
use super::{Daemon, Problem};
use crate::engine::{Action, Command};
use crate::text::is_hidden;
use crate::zones::{Frozen, Rejected, Reloaded, RolledBack};

/// The longest `reason`, in bytes.
pub const MAX_REASON: usize = 500;
/// The longest `who`, in bytes.
pub const MAX_WHO: usize = 200;
/// The longest time an override may be set for; for longer, it is set until cleared.
pub const MAX_FOR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

type Body = Result<Bytes, BytesRejection>;

/// Drains a site, a service or an endpoint, or counts it as Up or Down.
#[utoipa::path(
    post, path = "/v1/overrides", tag = "steering",
    request_body = OverrideRequest,
    responses(
        (status = 200, description = "What it led to", body = CommandBody),
        (status = 404, description = "There is no such service, or no such site", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It cannot be done as things stand", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "A text is empty or too long", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn set_override<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<CommandBody>, Problem> {
    let asked: OverrideRequest = parse(body)?;
    let until = match asked.for_secs.map(Duration::from_secs) {
        None => None,
        Some(time) if time.is_zero() || time > MAX_FOR => {
            return Err(Problem::bad_request(format!("for_secs is from 1 to {}", MAX_FOR.as_secs())));
        }
        Some(time) => Some(daemon.now() + time),
    };
    let scope = daemon.resolve(asked.scope, false).await??;
    let action = Action::Override { scope, kind: asked.kind, until, force: asked.force };
    command(&*daemon, action, caller.who(asked.who.as_deref()), asked.reason).await
}

/// Clears an override.
#[utoipa::path(
    delete, path = "/v1/overrides", tag = "steering",
    request_body = ClearRequest,
    responses(
        (status = 200, description = "What it led to", body = CommandBody),
        (status = 404, description = "There is no such override", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "A text is empty or too long", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn clear_override<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(caller): Extension<Caller>,
    body: Body,
) -> Result<Json<CommandBody>, Problem> {
    let asked: ClearRequest = parse(body)?;
    let reason = asked.reason.unwrap_or_else(|| "cleared".to_owned());
    let scope = daemon.resolve(asked.scope, true).await??;
    command(&*daemon, Action::Clear { scope }, caller.who(asked.who.as_deref()), reason).await
}

/// Moves a service to a site, and holds it there until a failback.
#[utoipa::path(
    post, path = "/v1/services/{name}/failover", tag = "steering",
    params(("name" = String, Path, description = "A service; the final dot may be left out")),
    request_body = FailoverRequest,
    responses(
        (status = 200, description = "What it led to", body = CommandBody),
        (status = 404, description = "There is no such service, or no such site", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It cannot be done as things stand", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "A text is empty or too long", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn failover<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<CommandBody>, Problem> {
    let asked: FailoverRequest = parse(body)?;
    let action = Action::Failover { service: parse_name(&name)?, to: asked.to.into() };
    command(
        &*daemon,
        action,
        caller.who(asked.who.as_deref()),
        asked.reason.unwrap_or_else(|| "failover asked for".to_owned()),
    )
    .await
}

/// Lets a service return to the endpoint it prefers, at once.
#[utoipa::path(
    post, path = "/v1/services/{name}/failback", tag = "steering",
    params(("name" = String, Path, description = "A service; the final dot may be left out")),
    request_body = FailbackRequest,
    responses(
        (status = 200, description = "What it led to", body = CommandBody),
        (status = 404, description = "There is no such service, or no such site", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It cannot be done as things stand", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "A text is empty or too long", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn failback<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<CommandBody>, Problem> {
    let asked: FailbackRequest = parse(body)?;
    let action = Action::Failback { service: parse_name(&name)? };
    command(
        &*daemon,
        action,
        caller.who(asked.who.as_deref()),
        asked.reason.unwrap_or_else(|| "failback asked for".to_owned()),
    )
    .await
}

/// Has a proposed move made; `all` as the number has every one made that waits.
#[utoipa::path(
    post, path = "/v1/proposals/{id}/approve", tag = "steering",
    params(("id" = String, Path, description = "A proposal's number, or `all`")),
    request_body = AnswerRequest,
    responses(
        (status = 200, description = "What it led to", body = CommandBody),
        (status = 404, description = "Nothing of that number waits", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It cannot be done as things stand", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "A text is empty or too long", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn approve<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(caller): Extension<Caller>,
    Path(proposal): Path<String>,
    body: Body,
) -> Result<Json<CommandBody>, Problem> {
    let asked: AnswerRequest = parse(body)?;
    // A name as the path's last segment, for there is no proposal of that number.
    let proposal = if proposal == "all" { None } else { Some(parse_id(&proposal)?) };
    let action = Action::Approve { proposal, force: asked.force };
    command(&*daemon, action, caller.who(asked.who.as_deref()), asked.reason).await
}

/// Has a proposed move not made, as long as its reason lasts.
#[utoipa::path(
    post, path = "/v1/proposals/{id}/reject", tag = "steering",
    params(("id" = u64, Path, description = "A proposal's number")),
    request_body = AnswerRequest,
    responses(
        (status = 200, description = "What it led to", body = CommandBody),
        (status = 404, description = "Nothing of that number waits", content_type = "application/problem+json", body = Problem),
        (status = 409, description = "It cannot be done as things stand", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "A text is empty or too long", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn reject<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(caller): Extension<Caller>,
    Path(proposal): Path<String>,
    body: Body,
) -> Result<Json<CommandBody>, Problem> {
    let asked: AnswerRequest = parse(body)?;
    let proposal = parse_id(&proposal)?;
    command(&*daemon, Action::Reject { proposal }, caller.who(asked.who.as_deref()), asked.reason).await
}

fn parse_id(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::bad_request(format!("\"{text}\" is no proposal's number")))
}

/// Writes what updates changed into the zone's file.
#[utoipa::path(
    post, path = "/v1/zones/{name}/freeze", tag = "zones",
    params(("name" = String, Path, description = "A zone; the final dot may be left out")),
    request_body = FreezeRequest,
    responses(
        (status = 200, description = "What was written", body = Frozen),
        (status = 409, description = "It cannot be done as things stand", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "A text is empty or too long", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn freeze<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<Frozen>, Problem> {
    let asked: FreezeRequest = parse(body)?;
    let who = plain("who", caller.who(asked.who.as_deref()), MAX_WHO)?;
    let done = daemon.freeze(parse_name(&name)?, who).await?;
    done.map(Json).map_err(|why| Problem::new(StatusCode::CONFLICT, why))
}

/// Has a zone hold again what it held at an earlier serial.
#[utoipa::path(
    post, path = "/v1/zones/{name}/rollback", tag = "zones",
    params(("name" = String, Path, description = "A zone; the final dot may be left out")),
    request_body = RollbackRequest,
    responses(
        (status = 200, description = "What it led to", body = RolledBack),
        (status = 409, description = "It cannot be done as things stand", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "A text is empty or too long", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn rollback<D: Daemon>(
    State(daemon): State<Arc<D>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<RolledBack>, Problem> {
    let asked: RollbackRequest = parse(body)?;
    let who = plain("who", caller.who(asked.who.as_deref()), MAX_WHO)?;
    let reason = plain("reason", &asked.reason, MAX_REASON)?;
    let done = daemon.rollback(parse_name(&name)?, asked.serial, who, reason).await?;
    done.map(Json).map_err(|why| Problem::new(StatusCode::CONFLICT, why))
}

/// Sends a test alert to one receiver, or to all.
#[utoipa::path(
    post, path = "/v1/alerts/test", tag = "alerts",
    request_body = TestRequest,
    responses(
        (status = 200, description = "What came of it", body = TestBody),
        (status = 404, description = "There is no such receiver", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn test_alerts<D: Daemon>(
    State(daemon): State<Arc<D>>,
    body: Body,
) -> Result<Json<TestBody>, Problem> {
    let asked: TestRequest = parse(body)?;
    let Some(receivers) = daemon.test_alerts(asked.receiver.clone()).await else {
        let id = asked.receiver.unwrap_or_default();
        let detail = format!("there is no receiver \"{id}\"; `detour status` lists them");
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    };
    Ok(Json(TestBody { receivers }))
}

/// Loads configuration and zone files anew, all or nothing.
#[utoipa::path(
    post, path = "/v1/reload", tag = "steering",
    request_body = ReloadRequest,
    responses(
        (status = 200, description = "It was loaded", body = Reloaded),
        (status = 409, description = "It would remove more than `server.max_loss` allows, or services; with `force` it is loaded", content_type = "application/problem+json", body = Problem),
        (status = 422, description = "It was rejected, and what was loaded before goes on; every problem is named", content_type = "application/problem+json", body = Problem),
    ),
)]
pub(super) async fn reload<D: Daemon>(
    State(daemon): State<Arc<D>>,
    body: Body,
) -> Result<Json<Reloaded>, Problem> {
    let asked: ReloadRequest = parse(body)?;
    let done = daemon.reload(asked.force).await?;
    done.map(Json).map_err(|Rejected { problems, is_loss }| {
        let status = if is_loss { StatusCode::CONFLICT } else { StatusCode::UNPROCESSABLE_ENTITY };
        Problem::new(status, problems)
    })
}

async fn command<D: Daemon>(
    daemon: &D,
    action: Action,
    who: &str,
    reason: String,
) -> Result<Json<CommandBody>, Problem> {
    let who = plain("who", who, MAX_WHO)?;
    let reason = plain("reason", &reason, MAX_REASON)?;
    let decisions = daemon.command(Command { who, reason, action }).await??;
    Ok(Json(CommandBody { decisions: decisions.into_iter().map(DecisionBody::from).collect() }))
}

/// Text that is printed in logs and terminals for as long as the history lasts.
fn plain(key: &str, text: &str, max: usize) -> Result<String, Problem> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.len() > max || trimmed.chars().any(is_hidden) {
        let detail = format!("{key} is 1 to {max} bytes of text without control characters");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    Ok(trimmed.to_owned())
}

/// The body's JSON; no body is as good as `{}`.
pub(super) fn parse<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let bytes = body.map_err(|e| Problem::new(e.status(), e.body_text()))?;
    let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes[..] };
    serde_json::from_slice(bytes).map_err(|e| Problem::bad_request(format!("the body: {e}")))
}
