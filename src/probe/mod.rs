//! Probe: checks in, samples out.
//!
//! **In:** the checks of the loaded configuration, whole, at start and at each reload; the pace the
//! engine wants each run at. **Out:** one [`Sample`](crate::health::Sample) for each run, on a bounded
//! channel. **Must never know:** what a sample is worth. Thresholds, services, sites and decisions are
//! other rooms' business; a run tells what happened, and whether it was the endpoint's doing at all.
//!
//! ```text
//!            set                      due, room                  ended, sample taken
//!   (none) ───────► waiting ────────────────────────► running ─────────────────────┐
//!                   ▲    ▲  pace: the next run moves     │                         │
//!                   │    └───┘                           │ set without it: aborted │
//!                   └────────────────────────────────────┼─────────────────────────┘
//!                                                        ▼
//!                                                      (none)
//! ```
//!
//! - `prober` starts what is due: one task, woken by a timer or a change; each run is a task of its own.
//! - `table` and `schedule` say what is due, without a clock.
//! - `times` counts how late runs start, and how long they take.
//! - `run` makes a sample of a run; `tcp`, `http`, `handshake`, `dns`, `grpc`, `icmp` and `exec` ask the question, one
//!   file for each protocol; `progress` follows them, so that a timeout can say where. `echo` is what `icmp` sends.
//! - `lookup` finds the address of a CNAME target.
//! - `connection` is what they ask it over, and how it ends; `heard` keeps how an HTTP answer begins, for its failures.
//! - `preflight` says before any run what this host does not let its probes do.
//! - `failure` turns errors into typed failures, or into faults of this host.
//! - `stall` notices when this process stood still, and then failures are discarded.
//! - `heartbeat` waits where the others ask: it makes samples of beats, and of their absence.
//! - `watch` holds connections open, and has a check run when one ends.
//! - `tls` holds what is trusted, and shakes hands.
//! - `tasks` ends what a library starts for a run with that run.

mod connection;
pub mod dns;
mod echo;
mod exec;
mod failure;
mod grpc;
mod handshake;
mod heard;
mod heartbeat;
mod http;
mod icmp;
mod lookup;
mod preflight;
mod prober;
mod progress;
mod run;
mod schedule;
mod stall;
mod table;
mod tasks;
mod tcp;
mod times;
mod tls;
mod watch;

pub use heartbeat::{Beat, MIN_GAP, TooSoon};
pub use preflight::{crowding, slow_runs, warnings};
pub use prober::{Prober, files_for_others};
pub use times::ProbeTimes;
pub use tls::Trust;
pub use watch::{WatchState, WatchView};

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use crate::model::{Check, CheckKey, HttpProbe, Probe, ProbeKind, Thresholds, Whereto};

    fn probe(id: &str, kind: ProbeKind, port: u16) -> Arc<Probe> {
        Arc::new(Probe {
            id: id.into(),
            kind,
            port,
            interval: Duration::from_secs(5),
            confirm: Duration::from_millis(250),
            timeout: Duration::from_secs(2),
            thresholds: Thresholds { fall: 3, rise: 2, window: None },
            damping: None,
            watch: false,
        })
    }

    pub(super) fn tcp_probe(id: &str, port: u16) -> Arc<Probe> {
        probe(id, ProbeKind::Tcp(crate::model::TcpProbe::default()), port)
    }

    pub(super) fn check(probe: &Arc<Probe>, addr: [u8; 4]) -> Check {
        let key = CheckKey { probe: probe.id.clone(), whereto: Whereto::Addr(addr.into()), host: None };
        Check { key, probe: probe.clone() }
    }

    pub(super) fn http_check(place: &str, host: &str, port: u16) -> (Check, HttpProbe) {
        let http = HttpProbe { path: "/health?full=1".into(), ..HttpProbe::default() };
        let whereto = match place.parse::<IpAddr>() {
            Ok(addr) => Whereto::Addr(addr),
            Err(_) => Whereto::Name(place.into()),
        };
        let probe = probe("web", ProbeKind::Http(http.clone()), port);
        (Check { key: CheckKey { probe: probe.id.clone(), whereto, host: Some(host.into()) }, probe }, http)
    }
}
