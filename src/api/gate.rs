//! What every request passes, in this order: what only a foreign page's browser sends is turned away
//! (`guard`), then who asks too often (`rates`), then who may not (`access`). A write goes on in a task of its
//! own, which ends in the audit log even if nobody waits for the answer any more.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use serde_json::Value;
use tokio::time::timeout;

use super::access::{Access, Caller, Denied};
use super::http::Peer;
use super::rates::{Buckets, Rate};
use super::{Daemon, MAX_BODY, MAX_REASON, MAX_WHO, Problem, REQUEST_TIMEOUT, WRITE_TIMEOUT, guard};
use crate::engine::Audit;
use crate::model::ApiRole;
use crate::text::is_hidden;

/// Requests of one source: at once, and a second.
pub const REQUESTS: (u32, u32) = (1_000, 200);
/// Writes of one source: at once, and a second.
pub const WRITES: (u32, u32) = (200, 20);
/// Wrong tokens of one source: at once, and a minute.
pub const WRONG_TOKENS: (u32, u32) = (10, 10);
/// Writes that were turned away before anybody looked at them and are in the audit log: at once, and a minute.
/// The rest is counted: whoever may do nothing may not push out of the history what others did.
pub const NOTED: (u32, u32) = (30, 1);
/// The longest path and query, in bytes.
pub const MAX_URI: usize = 8 * 1024;
/// How much of what was asked is in the audit log, in bytes.
const MAX_WHAT: usize = 400;

/// What is kept at the gate.
pub(super) struct Gate<D> {
    daemon: Arc<D>,
    access: Arc<Access>,
    timeouts: Timeouts,
    local: Option<SocketAddr>,
    requests: Buckets,
    writes: Buckets,
    wrong_tokens: Buckets,
    noted: Buckets,
    /// Writes that were turned away and not noted yet.
    unnoted: AtomicU64,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub read: Duration,
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { read: REQUEST_TIMEOUT, write: WRITE_TIMEOUT }
    }
}

/// A request that goes no further.
pub(super) struct Refusal {
    problem: Problem,
    /// The token's name, where it had one.
    who: Option<Arc<str>>,
    retry_after: Option<Duration>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal { problem, who: None, retry_after: None }
    }
}

impl Refusal {
    fn too_many(detail: String, retry_after: Duration) -> Refusal {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
        Refusal { retry_after: Some(retry_after), ..problem.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(after) = self.retry_after {
            let secs = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, secs.max(1).into());
        }
        response
    }
}

impl<D: Daemon> Gate<D> {
    pub(super) fn new(
        daemon: Arc<D>,
        access: Arc<Access>,
        local: Option<SocketAddr>,
        timeouts: Timeouts,
    ) -> Gate<D> {
        let a_second = |(burst, rate): (u32, u32)| Buckets::new(Rate { burst, per_second: rate.into() });
        let a_minute = |(burst, rate)| Buckets::new(Rate::a_minute(burst, rate));
        Gate {
            daemon,
            access,
            timeouts,
            local,
            requests: a_second(REQUESTS),
            writes: a_second(WRITES),
            wrong_tokens: a_minute(WRONG_TOKENS),
            noted: a_minute(NOTED),
            unnoted: AtomicU64::new(0),
        }
    }

    /// Who asks, if the request may go on.
    pub(super) fn admit(
        &self,
        request: &Request,
        from: SocketAddr,
        write: bool,
    ) -> Result<Option<Caller>, Refusal> {
        if let Some(problem) = guard::refused(request, self.local, self.access.has_tokens()) {
            return Err(problem.into());
        }
        if request.uri().path_and_query().map_or(0, |uri| uri.as_str().len()) > MAX_URI {
            let detail = format!("the path and query are longer than {MAX_URI} bytes");
            return Err(Problem::new(StatusCode::URI_TOO_LONG, detail).into());
        }
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > MAX_BODY as u64)
        {
            return Err(too_long().into());
        }
        let path = request.uri().path();
        // Who asks whether the daemon is well restarts it when the answer is no: it costs next to nothing.
        let now = Instant::now();
        if path == "/healthz" {
            return Ok(self.sees_details(request, from, now));
        }
        let (kind, rate) = if write { ("writes", WRITES) } else { ("requests", REQUESTS) };
        let turn = self.requests.take(from.ip(), now);
        turn.and_then(|()| if write { self.writes.take(from.ip(), now) } else { Ok(()) }).map_err(
            |after| {
                let detail = format!("more than {} {kind} a second from one address; wait a moment", rate.1);
                Refusal::too_many(detail, after)
            },
        )?;
        if is_open(request.method(), path) {
            return Ok(None);
        }
        let needs = if write { ApiRole::Operator } else { ApiRole::Viewer };
        let admitted = self.access.admit(request.headers(), needs, (from, self.local));
        admitted.map(Some).map_err(|denied| self.denied(request, &denied, from, now))
    }

    /// Who asks for `/healthz`, if they may see why it is not well: on loopback, or with a token.
    fn sees_details(&self, request: &Request, from: SocketAddr, now: Instant) -> Option<Caller> {
        if from.ip().is_loopback() {
            return Some(self.access.on_loopback(from));
        }
        match self.access.admit(request.headers(), ApiRole::Viewer, (from, self.local)) {
            Ok(caller) => Some(caller),
            Err(denied) => {
                // A wrong token is counted and logged as anywhere; the short answer is given all the same.
                drop(self.denied(request, &denied, from, now));
                None
            }
        }
    }

    fn denied(&self, request: &Request, denied: &Denied, from: SocketAddr, now: Instant) -> Refusal {
        let refusal = Refusal::from(Problem::from(denied));
        match denied {
            Denied::Role(name) => Refusal { who: Some(name.clone()), ..refusal },
            Denied::Elsewhere => refusal,
            // Whoever shows none was not told yet that one is asked for.
            Denied::Unknown if !request.headers().contains_key(header::AUTHORIZATION) => refusal,
            // A token is too long to be guessed. So a right one gets through all the same: a page left open with
            // an old token must not lock out who is on call behind the same address.
            Denied::Unknown => match self.wrong_tokens.take(from.ip(), now) {
                Ok(()) => {
                    tracing::warn!(from = %from.ip(), "a wrong token was shown to the API");
                    refusal
                }
                Err(after) => Refusal::too_many(
                    format!("more than {} wrong tokens a minute from one address", WRONG_TOKENS.1),
                    after,
                ),
            },
        }
    }

    /// Notes a write that was turned away, unless there are too many.
    async fn note(&self, refusal: &Refusal, what: String, from: IpAddr) {
        let everybody = Ipv6Addr::UNSPECIFIED.into();
        if self.noted.take(everybody, Instant::now()).is_err() {
            self.unnoted.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let audit = Audit {
            who: refusal.who.as_deref().unwrap_or("unknown").to_owned(),
            from,
            what,
            why: None,
            status: refusal.problem.status,
            detail: Some(bounded(&refusal.problem.detail)),
            unnoted: self.unnoted.swap(0, Ordering::Relaxed),
        };
        self.daemon.audit(audit).await;
    }

    /// Carries out a write, and notes what came of it.
    async fn write(self: Arc<Gate<D>>, caller: Caller, request: Request, next: Next) -> Response {
        let (mut parts, body) = request.into_parts();
        let what = asked(&parts.method, &parts.uri);
        let from = caller.from.ip();
        let (response, asked) = match read(body).await {
            Err(problem) => (problem.into_response(), Asked::default()),
            Ok(bytes) => {
                let asked = Asked::of(&bytes);
                parts.extensions.insert(caller.clone());
                let request = Request::from_parts(parts, Body::from(bytes));
                // In a task of its own, whose panic is an answer too.
                let running = tokio::spawn(next.run(request));
                let response = match timeout(self.timeouts.write, running).await {
                    Ok(Ok(response)) => response,
                    Ok(Err(_)) => {
                        let detail = "this failed inside; see the daemon's log";
                        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
                    }
                    Err(_) => too_slow(self.timeouts.write).into_response(),
                };
                (response, asked)
            }
        };
        let who = caller.who(asked.who.as_deref()).to_owned();
        let what = if asked.rest.is_empty() { what } else { format!("{what} {}", asked.rest) };
        let detail = response.extensions().get::<Problem>().map(|problem| bounded(&problem.detail));
        let status = response.status().as_u16();
        let audit = Audit { who, from, what, why: asked.why, status, detail, unnoted: 0 };
        self.daemon.audit(audit).await;
        response
    }
}

pub(super) async fn gate<D: Daemon>(
    State(gate): State<Arc<Gate<D>>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let write = is_write(request.method(), request.uri().path());
    let mut response = match gate.admit(&request, from, write) {
        Err(refusal) => {
            if write {
                gate.note(&refusal, asked(request.method(), request.uri()), from.ip()).await;
            }
            refusal.into_response()
        }
        Ok(_) if write && !guard::is_json(request.headers()) => {
            // No handler takes it: it asks for what is not there, or for nothing that can be carried out.
            let what = asked(request.method(), request.uri());
            let response = next.run(request).await;
            if let Some(problem) = response.extensions().get::<Problem>() {
                gate.note(&problem.clone().into(), what, from.ip()).await;
            }
            response
        }
        Ok(Some(caller)) if write => {
            // Whoever hangs up does not break off what was begun.
            let writing = tokio::spawn(gate.write(caller, request, next));
            writing.await.unwrap_or_else(|_| {
                let detail = "this failed inside; see the daemon's log";
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
            })
        }
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let limit = gate.timeouts.read;
            match timeout(limit, next.run(request)).await {
                Ok(response) => response,
                Err(_) => too_slow(limit).into_response(),
            }
        }
    };
    let headers = response.headers_mut();
    let mut ensure = |name: HeaderName, value| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    ensure(header::CACHE_CONTROL, "no-store");
    ensure(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// Whether it changes something. To suppose something (`whatif`) changes nothing.
fn is_write(method: &Method, path: &str) -> bool {
    !method.is_safe() && path != "/v1/whatif"
}

/// What is there for everybody: the dashboard's own files, which hold nothing and ask for a token themselves.
fn is_open(method: &Method, path: &str) -> bool {
    method.is_safe() && (path == "/" || path == "/favicon.ico" || path.starts_with("/dashboard/"))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    match timeout(REQUEST_TIMEOUT, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                if error.is::<LengthLimitError>() {
                    return Err(too_long());
                }
                cause = error.source();
            }
            Err(Problem::bad_request("the body broke off"))
        }
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to come")),
    }
}

fn too_long() -> Problem {
    let detail = format!("the body is over the length limit of {MAX_BODY} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn too_slow(limit: Duration) -> Problem {
    let detail = format!("this took longer than {limit:?}; a command may be carried out all the same");
    Problem::new(StatusCode::GATEWAY_TIMEOUT, detail)
}

/// `POST /v1/reload`
fn asked(method: &Method, uri: &Uri) -> String {
    bounded(&format!("{method} {}", uri.path()))
}

/// What a write's body says, for the audit log.
#[derive(Default)]
struct Asked {
    who: Option<String>,
    why: Option<String>,
    /// All else of it, as JSON.
    rest: String,
}

impl Asked {
    fn of(body: &[u8]) -> Asked {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else { return Asked::default() };
        let mut text = |key: &str, max: usize| match body.remove(key) {
            Some(Value::String(text)) => Some(cut(&plain(text.trim()), max)),
            _ => None,
        };
        let (who, why) = (text("who", MAX_WHO), text("reason", MAX_REASON));
        // What is left out is no news.
        body.retain(|_, value| !value.is_null() && *value != Value::Bool(false));
        let rest = if body.is_empty() { String::new() } else { bounded(&Value::Object(body).to_string()) };
        Asked { who: who.filter(|who| !who.is_empty()), why: why.filter(|why| !why.is_empty()), rest }
    }
}

/// Text of a stranger's, as a line of the history may hold it.
fn bounded(text: &str) -> String {
    cut(&plain(text), MAX_WHAT)
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
