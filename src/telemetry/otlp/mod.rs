//! OTLP: failovers as traces, to a collector of OpenTelemetry over HTTP, in the protocol's JSON form
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! In: [`Failover`]s as they happen. Out: one trace for each, a span for each phase. This room must never know why a
//! service moves, and nobody waits for it: what a collector does not take is lost, and counted.

mod spans;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

pub use spans::Failover;

/// Failovers that may wait to be sent.
const QUEUE: usize = 16_384;
/// Failovers in one message.
const BATCH: usize = 512;
/// How long the first failover waits for others, as when a site dies.
const GATHER: Duration = Duration::from_secs(1);
/// How long a collector may take for one message.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a collector's address is followed by, for traces.
const PATH: &str = "/v1/traces";

/// The way to the collector.
pub struct Exporter {
    shared: Arc<Shared>,
    out: mpsc::Sender<Failover>,
}

#[derive(Default)]
struct Shared {
    /// Where to; `None` is nowhere.
    target: Mutex<Option<String>>,
    sent: AtomicU64,
    lost: AtomicU64,
}

impl Exporter {
    /// One with nowhere to send to yet; its task is on the runtime this is called on. `instance` is this server's
    /// name.
    pub fn start(instance: Option<String>) -> Exporter {
        let (out, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        tokio::spawn(send(shared.clone(), queue, instance));
        Exporter { shared, out }
    }

    /// Where to from now on: a collector's address, without the path.
    pub fn set(&self, endpoint: Option<&str>) {
        *self.shared.target() = endpoint.map(|endpoint| format!("{}{PATH}", endpoint.trim_end_matches('/')));
    }

    /// Whether there is anybody to tell.
    pub fn is_on(&self) -> bool {
        self.shared.target().is_some()
    }

    /// A service left a dead site.
    pub fn tell(&self, failover: Failover) {
        if self.out.try_send(failover).is_err() {
            self.shared.lost.fetch_add(1, Relaxed);
        }
    }

    /// Traces that were taken, and those that were lost.
    pub fn counts(&self) -> [(&'static str, u64); 2] {
        [
            ("detour_traces_sent_total", self.shared.sent.load(Relaxed)),
            ("detour_traces_lost_total", self.shared.lost.load(Relaxed)),
        ]
    }
}

impl Shared {
    fn target(&self) -> MutexGuard<'_, Option<String>> {
        // Nothing that holds it can panic halfway through a change.
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client for endpoints in clear text, which are all there are here: it trusts nobody.
fn in_clear_text() -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let nobody = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    Ok(reqwest::Client::builder().no_proxy().tls_backend_preconfigured(nobody).build()?)
}

/// Sends what comes, for as long as there is an exporter.
async fn send(shared: Arc<Shared>, mut queue: mpsc::Receiver<Failover>, instance: Option<String>) {
    let http = match in_clear_text() {
        Ok(http) => http,
        Err(error) => {
            tracing::error!(%error, "no traces are sent: there is no HTTP client");
            return;
        }
    };
    let (random, mut drawn) = (RandomState::new(), 0_u64);
    let mut draw = move || {
        drawn += 1;
        random.hash_one(drawn)
    };
    let (mut batch, mut told) = (Vec::new(), false);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            sleep(GATHER).await;
            while batch.len() < BATCH
                && let Ok(next) = queue.try_recv()
            {
                batch.push(next);
            }
        }
        let target = shared.target().clone();
        let Some(target) = target else {
            batch.clear();
            continue;
        };
        let body = spans::message(&batch, instance.as_deref(), &mut draw).to_string();
        let post = http.post(&target).header("content-type", "application/json").body(body).timeout(PATIENCE);
        let taken = post.send().await.and_then(reqwest::Response::error_for_status);
        let count = if taken.is_ok() { &shared.sent } else { &shared.lost };
        count.fetch_add(batch.len() as u64, Relaxed);
        if let Err(error) = &taken
            && !told
        {
            tracing::warn!(%error, "traces of failovers cannot be sent; what is lost is counted");
        }
        told = taken.is_err();
        batch.clear();
    }
}
