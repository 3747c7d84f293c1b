//! The listener that sites call in on: `POST /v1/heartbeat/SERVICE/SITE` says that the site is well, and
//! `POST /v1/heartbeat/SERVICE/SITE/fail`, with a text, that it is not.
//!
//! It stands apart from the API, for it has to be reached from other hosts and does nothing else. Each
//! endpoint has a token of its own, so that a site can speak for itself alone. Without a right token every
//! endpoint looks the same, whether it exists or not.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::access::bearer;
use super::callers::Callers;
use super::secure::Shown;
use super::{ENGINE_PATIENCE, Gone, Problem, SHUTDOWN_GRACE, problem};
use crate::config::{CheckKey, Config, ProbeKind, SiteId};
use crate::probe::{Beat, Prober, TooSoon};
use crate::zone::Name;

/// The longest text a site may send, in bytes; less of it is kept.
const MAX_TEXT: usize = 1024;
/// Between two lines in the log about callers that were refused.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Who may call in, and who is told.
pub struct Heartbeats {
    prober: Arc<Prober>,
    endpoints: ArcSwap<HashMap<(Name, SiteId), Endpoint>>,
    shown: Shown,
    refused: AtomicU64,
    complained: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Endpoint {
    tokens: Vec<Arc<str>>,
    checks: Vec<CheckKey>,
}

impl Heartbeats {
    /// Nobody may, until [`Heartbeats::set`].
    pub fn new(prober: Arc<Prober>) -> Heartbeats {
        Heartbeats {
            prober,
            endpoints: ArcSwap::default(),
            shown: Shown::default(),
            refused: AtomicU64::new(0),
            complained: Mutex::default(),
        }
    }

    /// Takes up who may by a configuration.
    pub fn set(&self, config: &Config) {
        let mut endpoints: HashMap<(Name, SiteId), Endpoint> = HashMap::new();
        for service in &config.services {
            let beats: Vec<_> =
                service.probes.leaves().filter(|probe| probe.kind == ProbeKind::Heartbeat).collect();
            for endpoint in service.endpoints.iter().filter(|_| !beats.is_empty()) {
                let checks = endpoint.places().into_iter().flat_map(|place| {
                    beats.iter().map(move |probe| CheckKey::of(service, probe, place.clone()))
                });
                let key = (service.name.clone(), endpoint.site.clone());
                endpoints.entry(key).or_default().checks.extend(checks);
            }
        }
        for token in config.heartbeat.iter().flat_map(|heartbeat| &heartbeat.tokens) {
            if let Some(endpoint) = endpoints.get_mut(&(token.service.clone(), token.site.clone())) {
                endpoint.tokens.push(token.token.clone());
            }
        }
        self.endpoints.store(Arc::new(endpoints));
        let identity = config.heartbeat.as_ref().and_then(|heartbeat| heartbeat.tls.clone());
        self.shown.set(identity, "heartbeat.tls");
    }

    /// The checks that a caller with this token speaks for.
    fn checks(&self, service: &str, site: &str, token: &[u8]) -> Option<Vec<CheckKey>> {
        let endpoints = self.endpoints.load();
        let endpoint = endpoints.get(&(service.parse().ok()?, site.into()))?;
        // Each byte of each token is looked at, right or wrong, so that time tells nothing but its length.
        let right =
            endpoint.tokens.iter().fold(0, |right, held| right | held.as_bytes().ct_eq(token).unwrap_u8());
        (right == 1).then(|| endpoint.checks.clone())
    }

    /// One line a minute at most, for anybody may call.
    fn complain(&self, service: &str, site: &str) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY) {
            *complained = Some(Instant::now());
            let shown = |text: &str| text.chars().take(80).collect::<String>();
            let (service, site) = (shown(service), shown(site));
            tracing::warn!(?service, ?site, refused, "a heartbeat without the right token was refused");
        }
    }
}

/// Serves until `shutdown` completes, then gives open requests [`SHUTDOWN_GRACE`] to end.
pub async fn serve(
    listener: TcpListener,
    heartbeats: Arc<Heartbeats>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (ending, ended) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async move {
        shutdown.await;
        drop(ending);
    };
    let callers = Callers::new(listener, heartbeats.shown.secured());
    let serving = axum::serve(callers, routes(heartbeats)).with_graceful_shutdown(shutdown);
    let grace = async {
        // Either way the sender is gone: the shutdown has begun.
        let _ = ended.await;
        sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        // Serving has no error of its own: a failed accept is tried again.
        _ = serving => {}
        () = grace => {}
    }
}

fn routes(heartbeats: Arc<Heartbeats>) -> Router {
    Router::new()
        .route("/v1/heartbeat/{service}/{site}", post(well))
        .route("/v1/heartbeat/{service}/{site}/fail", post(sick))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(MAX_TEXT))
        .with_state(heartbeats)
}

type Endpoints = Path<(String, String)>;
type Body = Result<Bytes, BytesRejection>;

async fn well(
    state: State<Arc<Heartbeats>>,
    endpoint: Endpoints,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take(state, endpoint, &headers, body, |_| Beat::Well).await
}

async fn sick(
    state: State<Arc<Heartbeats>>,
    endpoint: Endpoints,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take(state, endpoint, &headers, body, |text| {
        let text = String::from_utf8_lossy(text);
        let why = text.trim();
        Beat::Sick(if why.is_empty() { "no reason given".to_owned() } else { why.to_owned() })
    })
    .await
}

async fn take(
    State(heartbeats): State<Arc<Heartbeats>>,
    Path((service, site)): Endpoints,
    headers: &HeaderMap,
    body: Body,
    beat: impl FnOnce(&[u8]) -> Beat,
) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(bearer).unwrap_or_default();
    let Some(checks) = heartbeats.checks(&service, &site, token) else {
        heartbeats.complain(&service, &site);
        let detail = "send \"Authorization: Bearer TOKEN\" with the token of this service at this site";
        return Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    };
    let body = match body {
        Ok(body) => body,
        Err(e) => return Problem::new(e.status(), e.body_text()).into_response(),
    };
    let beat = beat(&body);
    let told = async {
        for check in &checks {
            heartbeats.prober.beat(check, beat.clone()).await?;
        }
        Ok(())
    };
    match timeout(ENGINE_PATIENCE, told).await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(soon)) => too_soon(soon),
        Err(_) => Problem::from(Gone).into_response(),
    }
}

fn too_soon(soon: TooSoon) -> Response {
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, soon.to_string()).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
