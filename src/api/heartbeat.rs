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
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::access::bearer;
use super::http::{self, Limits, Peer};
use super::rates::{Buckets, Rate};
use super::secure::Shown;
use super::{ENGINE_PATIENCE, Gone, Problem, WRONG_TOKENS, problem};
use crate::dns::Name;
use crate::model::{CheckKey, Config, ProbeKind, SiteId};
use crate::probe::{Beat, Prober, TooSoon};
use crate::server::Bounds;

/// How many connections are open at a time, at most.
pub const MAX_CALLERS: usize = 1024;
/// How many of them one address has. Many sites may sit behind one address, and a beat takes milliseconds.
const MAX_PER_ADDRESS: usize = 32;
/// How long one lasts, whatever comes over it.
const LIFETIME: Duration = Duration::from_secs(10);
/// The longest text a site may send, in bytes; less of it is kept.
const MAX_TEXT: usize = 1024;
/// What a site that beats too often is told to wait.
const MIN_WAIT: Duration = Duration::from_secs(1);
/// Between two lines in the log about callers that were refused.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Who may call in, and who is told.
pub struct Heartbeats {
    prober: Arc<Prober>,
    endpoints: ArcSwap<HashMap<(Name, SiteId), Endpoint>>,
    shown: Shown,
    wrong_tokens: Buckets,
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
            wrong_tokens: Buckets::new(Rate::a_minute(WRONG_TOKENS.0, WRONG_TOKENS.1)),
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

/// Serves until `shutdown` completes, then gives open requests [`SHUTDOWN_GRACE`](super::SHUTDOWN_GRACE) to end. So
/// many connections are open at a time, [`MAX_CALLERS`] at most.
pub async fn serve(
    listener: TcpListener,
    connections: usize,
    heartbeats: Arc<Heartbeats>,
    shutdown: impl Future<Output = ()>,
) {
    let total = connections.clamp(2, MAX_CALLERS);
    let bounds = Bounds { total, per_source: MAX_PER_ADDRESS.min(total / 2), kept_for_loopback: 0 };
    let secured = heartbeats.shown.secured();
    let limits = Limits::new(bounds, Some(LIFETIME));
    http::serve(listener, secured, ("heartbeats", limits), routes(heartbeats), shutdown).await;
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
    peer: ConnectInfo<Peer>,
    endpoint: Endpoints,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take(state, peer, endpoint, &headers, body, |_| Beat::Well).await
}

async fn sick(
    state: State<Arc<Heartbeats>>,
    peer: ConnectInfo<Peer>,
    endpoint: Endpoints,
    headers: HeaderMap,
    body: Body,
) -> Response {
    take(state, peer, endpoint, &headers, body, |text| {
        let text = String::from_utf8_lossy(text);
        let why = text.trim();
        Beat::Sick(if why.is_empty() { "no reason given".to_owned() } else { why.to_owned() })
    })
    .await
}

async fn take(
    State(heartbeats): State<Arc<Heartbeats>>,
    ConnectInfo(Peer(from)): ConnectInfo<Peer>,
    Path((service, site)): Endpoints,
    headers: &HeaderMap,
    body: Body,
    beat: impl FnOnce(&[u8]) -> Beat,
) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(bearer).unwrap_or_default();
    let Some(checks) = heartbeats.checks(&service, &site, token) else {
        heartbeats.complain(&service, &site);
        // A token is too long to be guessed. So a right one gets through all the same: a site with an old token must
        // not silence those behind the same address. Whoever shows none was not told yet that one is asked for.
        if headers.contains_key(header::AUTHORIZATION)
            && let Err(after) = heartbeats.wrong_tokens.take(from.ip(), Instant::now())
        {
            return too_many(
                after,
                format!("more than {} wrong tokens a minute from one address", WRONG_TOKENS.1),
            );
        }
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
        Ok::<(), TooSoon>(())
    };
    match timeout(ENGINE_PATIENCE, told).await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(soon)) => too_many(MIN_WAIT, soon.to_string()),
        Err(_) => Problem::from(Gone).into_response(),
    }
}

fn too_many(after: Duration, detail: String) -> Response {
    let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).into_response();
    let secs = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, secs.max(1).into());
    response
}
