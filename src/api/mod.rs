//! Control: the HTTP API, the dashboard, the health of the daemon itself, and the metrics.
//!
//! In: HTTP/1.1 requests on `control.listen`. Out: what the [`Daemon`] says of itself, as JSON or as
//! Prometheus text, and operators' commands, which enter the engine by the same door as a sample. This
//! room must never know how the daemon keeps what it shows, nor decide anything: it asks, and words the
//! answer.
//!
//! Sites that call in do so on a listener of its own (`heartbeat`).
//!
//! Every request passes the `gate`: no browser on a foreign page's behalf, no source too often, nobody without
//! a token where there are tokens, and no write without a line in the audit log. Without tokens whoever
//! reaches the port may steer the service, so it is for loopback.

mod access;
pub mod bodies;
mod dashboard;
mod events;
#[cfg(test)]
mod events_tests;
#[cfg(test)]
pub(crate) mod fixed;
#[cfg(test)]
pub(crate) mod fixture;
mod gate;
#[cfg(test)]
mod gate_tests;
mod guard;
mod healthz;
pub mod heartbeat;
mod http;
mod incidents;
mod metrics;
mod openapi;
pub mod overview;
mod paced;
mod pieces;
pub mod plots;
mod problem;
mod rates;
mod read;
mod secure;
#[cfg(test)]
mod tests;
mod turns;
mod whatif;
mod write;
pub mod zone_api;
mod zone_past;
mod zone_show;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::alert::{ReceiverView, Tested};
use crate::answer::{ChoiceFor, Table};
use crate::condition::Summary;
use crate::dns::{Name, RrSet, Serial};
use crate::engine::{Audit, Command, CommandError, Engine, Explanation, Status};
use crate::policy::{Decision, Scope, Target};
use crate::probe::WatchView;
use crate::server::Bounds;
use crate::state::{Entry, Query, StoreError};
use crate::telemetry::{Counter, Measured};
use crate::time::{Offset, Time, by_host_while};
use crate::transfer::inbound::TransferredView;
use crate::transfer::outbound::Secondary;
use crate::zone::Journal;
use crate::zones::{Frozen, LoadOutcome, Rejected, Reloaded, RolledBack, ZoneEdits};

pub use access::Access;
pub use events::KEEP_ALIVE;
pub use gate::{MAX_URI, NOTED, REQUESTS, WRITES, WRONG_TOKENS};
pub use healthz::{CHECKS_STALLED_MS, ENGINE_STALLED_MS, HealthzBody, health_of};
pub use heartbeat::{Heartbeats, MAX_CALLERS};
pub use http::HEAD_TIMEOUT;
pub use incidents::{IncidentBody, IncidentsBody};
pub use metrics::render as metrics_text;
pub use openapi::document;
pub use plots::PlotsAt;
pub use problem::Problem;
pub use rates::MAX_SOURCES;
pub use turns::{KEPT_FOR_OPERATORS, MAX_LISTENERS, MAX_LISTENERS_EACH};
pub use whatif::MAX_AT_ONCE;
pub use write::{MAX_FOR, MAX_REASON, MAX_WHO};

/// How many connections are open at a time, at most. One address has half of them, and an eighth is kept for
/// loopback, where operators and those who watch over the daemon come from.
pub const MAX_CONNECTIONS: usize = 128;
/// How long it may take to read something.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to write something: a reload parses every zone file. Nothing behind it gives up earlier.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a question to the engine may take before it counts as gone.
pub const ENGINE_PATIENCE: Duration = Duration::from_secs(5);
/// The longest request body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// How long open requests have to end once the daemon stops.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// What the API asks of the daemon.
pub trait Daemon: Send + Sync + 'static {
    /// The whole picture.
    fn status(&self) -> impl Future<Output = Result<DaemonStatus, Gone>> + Send;
    /// The chain behind one service's answer; `None` when there is no such service.
    fn explain(&self, name: Name) -> impl Future<Output = Result<Option<Explanation>, Gone>> + Send;
    /// The last hour of a service's checks; `None` when there is no such service.
    fn plots(&self, name: Name) -> impl Future<Output = Result<Option<PlotsAt>, Gone>> + Send;
    /// A copy of the engine, to suppose things of.
    fn snapshot(&self) -> impl Future<Output = Result<Snapshot, Gone>> + Send;
    /// The scope that an operator names; one to be cleared may have outlived its site or service.
    fn resolve(
        &self,
        target: Target,
        clears: bool,
    ) -> impl Future<Output = Result<Result<Scope, CommandError>, Gone>> + Send;
    /// Carries out a command; the decisions it led to.
    fn command(
        &self,
        command: Command,
    ) -> impl Future<Output = Result<Result<Vec<Decision>, CommandError>, Gone>> + Send;
    /// Loads configuration and zones anew, however much that removes where it is forced; or why it could not.
    fn reload(&self, force: bool) -> impl Future<Output = Result<Result<Reloaded, Rejected>, Gone>> + Send;
    /// How a zone differs from its file by updates; `None` where there is no such zone.
    fn edits(&self, zone: Name) -> impl Future<Output = Result<Option<ZoneEdits>, Gone>> + Send;
    /// Writes that into the file, for whoever asks (`who`); or why it could not.
    fn freeze(
        &self,
        zone: Name,
        who: String,
    ) -> impl Future<Output = Result<Result<Frozen, String>, Gone>> + Send;
    /// Has a zone hold again what it held at a serial, for whoever asks and why; or why it could not.
    fn rollback(
        &self,
        zone: Name,
        to: Serial,
        who: String,
        reason: String,
    ) -> impl Future<Output = Result<Result<RolledBack, String>, Gone>> + Send;
    /// The published table.
    fn table(&self) -> Arc<Table>;
    /// What changed in a zone of late, step by step; empty where nothing is known.
    fn journal(&self, zone: &Name) -> Journal;
    /// Sends a test alert to one receiver, or to all; `None` where there is none of that name.
    fn test_alerts(&self, id: Option<String>) -> impl Future<Output = Option<Vec<Tested>>> + Send;
    /// What happened. May block on the disk.
    fn history(&self, query: &Query) -> Result<Vec<Entry>, StoreError>;
    /// Up to `limit` entries from a number on, samples aside, the oldest first; and the number of the oldest
    /// that is kept at all. May block on the disk.
    fn entries_from(&self, seq: u64, limit: usize) -> Result<(Option<u64>, Vec<Entry>), StoreError>;
    /// The number after that of the last entry, samples aside. May block on the disk.
    fn next_entry(&self) -> Result<u64, StoreError>;
    /// Keeps what was asked of the API in the history; returns when it is on the disk, or the disk stalls.
    fn audit(&self, audit: Audit) -> impl Future<Output = ()> + Send;
    /// Changes whenever the history has more entries.
    fn grown(&self) -> watch::Receiver<u64>;
    /// What the published table answers at a name: the answer side's own view, to set beside the decision.
    fn answered(&self, name: &Name) -> Vec<RrSet>;
    /// How the watches of the prober stand; never waits for the engine.
    fn watches(&self) -> Vec<WatchView>;
    /// What it answers a client at an address, where that depends on the client.
    fn answered_to(&self, name: &Name, client: IpAddr) -> Option<ChoiceFor>;
    /// The moment, as the daemon counts it.
    fn now(&self) -> Time;
    /// How far the host's clock is ahead of that: people are shown the host's.
    fn offset(&self) -> Offset;
    /// Whether the daemon does its work. Never waits for the engine, and costs the same however many checks
    /// there are.
    fn liveness(&self) -> Liveness;
    /// What is wrong now: what status, `/healthz`, metrics and dashboard say of it. Never waits for the engine,
    /// and costs the same however many checks there are.
    fn conditions(&self) -> Summary;
    /// What is counted and measured beside the engine; never waits for it.
    fn measurements(&self) -> Measurements;
}

/// The engine does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine does not answer; see /healthz and the log")]
pub struct Gone;

/// The engine at one moment; what is done to it concerns nobody else.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The moment.
    pub now: Time,
    /// The copy.
    pub engine: Box<Engine>,
}

/// The daemon at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DaemonStatus {
    /// Of the program.
    pub version: String,
    /// When it started.
    pub started: Time,
    /// The configuration file.
    #[schema(value_type = String)]
    pub config: PathBuf,
    /// The addresses DNS is served on, as bound.
    #[schema(value_type = Vec<String>)]
    pub listen: Vec<SocketAddr>,
    /// What is wrong now, the worst first.
    #[serde(default)]
    pub conditions: Summary,
    /// What the engine shows of itself.
    pub engine: Status,
    /// How the last load went.
    pub last_load: LoadOutcome,
    /// Of the last good load.
    pub warnings: Vec<String>,
    /// Every watch.
    #[serde(default)]
    pub watches: Vec<WatchView>,
    /// Every secondary that is told of a zone.
    #[serde(default)]
    pub secondaries: Vec<Secondary>,
    /// Every zone that comes from a primary.
    #[serde(default)]
    pub transferred: Vec<TransferredView>,
    /// Every receiver of alerts.
    #[serde(default)]
    pub alerts: Vec<ReceiverView>,
}

/// Whether the daemon does its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Liveness {
    /// Milliseconds since the engine's loop last turned; it turns at least once a second.
    pub engine_idle_ms: u64,
    /// Milliseconds for which no check has run although one is due.
    pub checks_idle_ms: u64,
    /// How many UDP workers there are; 0 until the sockets are open.
    pub udp_workers: u64,
    /// UDP workers that cannot receive queries, and TCP listeners that ended before their time.
    pub udp_workers_failed: u64,
}

/// What is counted and measured beside the engine.
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    /// Whether the last load was taken up.
    pub last_load_ok: bool,
    /// How long things took, and how large they were.
    pub measured: Vec<Measured>,
    /// How many endpoints, and how many checks, have series of their own.
    pub endpoints: usize,
    /// Metric name, labels, value: the answer side's counts, and others'.
    pub counters: Vec<Counter>,
}

/// Serves until `shutdown` completes, then gives open requests [`SHUTDOWN_GRACE`] to end. So many connections are
/// open at a time, [`MAX_CONNECTIONS`] at most.
pub async fn serve<D: Daemon>(
    listener: tokio::net::TcpListener,
    connections: usize,
    access: Arc<Access>,
    daemon: Arc<D>,
    shutdown: impl Future<Output = ()>,
) {
    serve_within(gate::Timeouts::default(), listener, connections, access, daemon, shutdown).await;
}

async fn serve_within<D: Daemon>(
    timeouts: gate::Timeouts,
    listener: tokio::net::TcpListener,
    connections: usize,
    access: Arc<Access>,
    daemon: Arc<D>,
    shutdown: impl Future<Output = ()>,
) {
    let local = listener.local_addr().ok();
    let (open, closing) = watch::channel(());
    let shutdown = async move {
        shutdown.await;
        // Who listens for events does so for as long as it may, and would hold up the end.
        drop(open);
    };
    let total = connections.clamp(2, MAX_CONNECTIONS);
    let bounds = Bounds { total, per_source: total / 2, kept_for_loopback: total / 8 };
    let secured = access.secured();
    let gate = Arc::new(gate::Gate::new(daemon.clone(), access, local, timeouts));
    let routes = routes(daemon, closing).layer(from_fn_with_state(gate, gate::gate));
    http::serve(listener, secured, ("the API", http::Limits::new(bounds, None)), routes, shutdown).await;
}

/// Times in answers are the host's.
async fn by_the_hosts_clock<D: Daemon>(
    State(daemon): State<Arc<D>>,
    request: Request,
    next: Next,
) -> Response {
    by_host_while(|| daemon.offset(), next.run(request)).await
}

/// A route that takes a body.
fn writes<S: Clone + Send + Sync + 'static>(handler: MethodRouter<S>) -> MethodRouter<S> {
    handler.route_layer(from_fn(guard::json_only))
}

fn routes<D: Daemon>(daemon: Arc<D>, closing: watch::Receiver<()>) -> Router {
    Router::new()
        .route("/v1/status", get(read::status::<D>))
        .route("/v1/overview", get(overview::overview::<D>))
        .route("/v1/services", get(read::services::<D>))
        .route("/v1/services/{name}", get(read::service::<D>))
        .route("/v1/plots/{service}", get(plots::plots::<D>))
        .route("/v1/sites", get(read::sites::<D>))
        .route("/v1/history", get(read::history::<D>))
        .route("/v1/incidents", get(incidents::list::<D>))
        .route("/v1/incidents/{id}", get(incidents::one::<D>))
        .route("/v1/events", get(events::events::<D>))
        .route("/v1/explain", get(read::explain::<D>))
        .route("/v1/overrides", writes(post(write::set_override::<D>).delete(write::clear_override::<D>)))
        .route("/v1/services/{name}/failover", writes(post(write::failover::<D>)))
        .route("/v1/services/{name}/failback", writes(post(write::failback::<D>)))
        .route("/v1/proposals", get(read::proposals::<D>))
        .route("/v1/proposals/{id}/approve", writes(post(write::approve::<D>)))
        .route("/v1/proposals/{id}/reject", writes(post(write::reject::<D>)))
        .route("/v1/whatif", writes(post(whatif::whatif::<D>)))
        .route("/v1/zones/{name}", get(zone_show::show::<D>))
        .route("/v1/zones/{name}/history", get(zone_past::history::<D>))
        .route("/v1/zones/{name}/diff", get(zone_past::diff::<D>))
        .route("/v1/zones/{name}/edits", get(read::edits::<D>))
        .route("/v1/zones/{name}/rollback", writes(post(write::rollback::<D>)))
        .route("/v1/zones/{name}/freeze", writes(post(write::freeze::<D>)))
        .route("/v1/alerts/test", writes(post(write::test_alerts::<D>)))
        .route("/v1/reload", writes(post(write::reload::<D>)))
        .route("/v1/openapi.json", get(openapi::openapi))
        .route("/healthz", get(healthz::healthz::<D>))
        .route("/metrics", get(metrics::metrics::<D>))
        .merge(dashboard::routes())
        .layer(Extension(Arc::<overview::Pictures>::default()))
        .layer(Extension(metrics::Bodies::default()))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(Extension(incidents::Read::default()))
        .layer(Extension(events::Listening::new(closing)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(daemon.clone(), by_the_hosts_clock::<D>))
        .with_state(daemon)
}
