//! One run of a check, from its start to its sample.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use tokio::time::{Instant, timeout};

use super::exec::{self, Commands, Turn};
use super::progress::Course;
use super::stall::Stalls;
use super::tls::Trust;
use super::{dns, grpc, handshake, http, icmp, lookup, tcp};
use crate::health::{Detail, Discard, Failure, Outcome, Phase, Sample, Vantage};
use crate::model::{Check, ProbeKind, TlsOptions, Whereto};
use crate::sys::clock::Clock;

/// What is kept of a check between its runs.
#[derive(Debug)]
pub(super) struct Runner {
    check: Check,
    trust: Trust,
    /// Looked up at the first run of a check that speaks TLS; checks with the same options share it.
    tls: OnceLock<Arc<ClientConfig>>,
    vantage: Vantage,
}

impl Runner {
    pub(super) fn new(check: Check, trust: Trust, vantage: Vantage) -> Runner {
        Runner { check, trust, tls: OnceLock::new(), vantage }
    }

    /// Whether a run has to wait for its [`turn`](Runner::turn).
    pub(super) fn takes_turns(&self) -> bool {
        matches!(self.check.probe.kind, ProbeKind::Exec(_))
    }

    /// The right to run, where only so many may run at once. It is waited for before the run begins, so
    /// that no endpoint is blamed for the wait.
    pub(super) async fn turn(&self, commands: &Commands) -> Option<Turn> {
        if self.takes_turns() { commands.turn().await } else { None }
    }

    /// Runs the check once, within its timeout.
    pub(super) async fn run(&self, clock: &Clock, stalls: &Stalls) -> Sample {
        let probe = &self.check.probe;
        let (from, started) = (clock.now(), Instant::now());
        let course = Course::start();
        let ended = timeout(probe.timeout, self.ask(&course)).await;
        let latency = started.elapsed();
        let too_slow = probe.kind.max_latency().filter(|max| latency > *max);
        let (outcome, bound) = match (ended, too_slow) {
            (Ok(Outcome::Ok), Some(max)) => (Outcome::Failed(Failure::Slow(max)), max),
            (Ok(outcome), _) => (outcome, probe.timeout),
            (Err(_), _) => (self.timed_out(&course), probe.timeout),
        };
        // A success is a success, however long this process slept over it.
        let outcome = match outcome {
            Outcome::Failed(failure) => match stalls.spoiled(from, bound) {
                Some(stalled) => Outcome::Discarded(Discard::Stalled(stalled)),
                None => Outcome::Failed(failure),
            },
            other => other,
        };
        let (check, vantage) = (self.check.key.clone(), self.vantage.clone());
        let detail = Detail { phases: course.phases(), warning: course.warning() };
        Sample { check, vantage, at: clock.now(), latency, outcome, detail }
    }

    fn timed_out(&self, course: &Course) -> Outcome {
        match &self.check.key.whereto {
            Whereto::Name(name) if course.phase() == Phase::Resolve => lookup::too_late(name),
            _ => Outcome::Failed(course.timed_out()),
        }
    }

    async fn ask(&self, course: &Course) -> Outcome {
        let addr = match &self.check.key.whereto {
            Whereto::Addr(addr) => *addr,
            Whereto::Name(name) => {
                course.enter(Phase::Resolve);
                match lookup::resolve(name).await {
                    Ok(addr) => addr,
                    Err(outcome) => return outcome,
                }
            }
        };
        course.enter(Phase::Connect);
        let to = SocketAddr::new(addr, self.check.probe.port);
        // The buffers of one kind must not be the size of every run: those that have some are boxed.
        match &self.check.probe.kind {
            ProbeKind::Http(http) => {
                let tls = http.tls.as_deref().map(|options| {
                    let config = self.tls(options, &http::alpn(http.version))?;
                    Ok((config, options))
                });
                match tls.transpose() {
                    Ok(tls) => http::ask(&self.check, http, addr, tls, course).await,
                    Err(failure) => Outcome::Failed(failure),
                }
            }
            ProbeKind::Tcp(tcp) => Box::pin(tcp::ask(to, tcp, course)).await,
            ProbeKind::Tls(probe) => {
                let alpn: Vec<&str> = probe.tls.alpn.iter().map(String::as_str).collect();
                let host = self.check.key.host.as_deref().unwrap_or_default();
                match self.tls(&probe.tls, &alpn) {
                    Ok(config) => handshake::ask(to, host, probe, config, course).await,
                    Err(failure) => Outcome::Failed(failure),
                }
            }
            ProbeKind::Icmp(icmp) => Box::pin(icmp::ask(addr, icmp, course)).await,
            ProbeKind::Exec(exec) => Box::pin(exec::ask(addr, &self.check, exec, course)).await,
            ProbeKind::Dns(dns) => dns::ask(&self.check, dns, to, course).await,
            ProbeKind::Grpc(grpc) => {
                let tls = grpc.tls.as_deref().map(|options| self.tls(options, &grpc::ALPN));
                match tls.transpose() {
                    Ok(tls) => Box::pin(grpc::ask(to, &self.check, grpc, tls, course)).await,
                    Err(failure) => Outcome::Failed(failure),
                }
            }
            // The prober hands these to `heartbeat`, which waits where others ask.
            ProbeKind::Heartbeat => Outcome::Discarded(Discard::Local("a heartbeat is not asked for".into())),
        }
    }

    /// How this check shakes hands.
    fn tls(&self, options: &TlsOptions, alpn: &[&str]) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let config = self.trust.config(options, alpn)?;
        Ok(self.tls.get_or_init(|| config).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::http_check;
    use super::*;

    #[tokio::test]
    async fn a_host_that_trusts_nobody_says_so() {
        let (mut check, http) = http_check("127.0.0.1", "app.example.com", 443);
        Arc::make_mut(&mut check.probe).kind =
            ProbeKind::Http(crate::model::HttpProbe { tls: Some(Arc::default()), ..http });
        let clock = Clock::start();
        let runner = Runner::new(check, Trust::none("no CA certificates"), Vantage::local());
        let sample = runner.run(&clock, &Stalls::new(clock.clone())).await;
        assert_eq!(sample.outcome, Outcome::Failed(Failure::Certificate("no CA certificates".into())));
    }
}
