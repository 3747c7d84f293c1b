//! One run of a check, from its start to its sample.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::course::Course;
use super::failure::{bounded, judge};
use super::http::HttpCheck;
use super::stall::Stalls;
use super::tcp;
use super::tls::Trust;
use crate::clock::Clock;
use crate::config::{Check, ProbeKind, Whereto};
use crate::health::{Discard, Failure, Outcome, Phase, Sample, Vantage};

/// CNAME targets being resolved at once. The host's resolver works on blocking threads and cannot be
/// interrupted, so a look-up may outlive the run that asked for it.
const MAX_LOOKUPS: usize = 128;
static LOOKUPS: Semaphore = Semaphore::const_new(MAX_LOOKUPS);

/// What is kept of a check between its runs.
#[derive(Debug)]
pub(super) struct Runner {
    check: Check,
    course: Arc<Course>,
    http: HttpCheck,
    vantage: Vantage,
}

impl Runner {
    pub(super) fn new(check: Check, trust: Trust, vantage: Vantage) -> Runner {
        let course = Arc::new(Course::new());
        let http = HttpCheck::new(course.clone(), trust);
        Runner { check, course, http, vantage }
    }

    /// Runs the check once, within its timeout.
    pub(super) async fn run(&self, clock: Clock, stalls: &Stalls) -> Sample {
        let probe = &self.check.probe;
        let (from, started) = (clock.now(), Instant::now());
        self.course.restart();
        let outcome = match timeout(probe.timeout, self.ask()).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Failed(Failure::Timeout(self.course.phase())),
        };
        let latency = started.elapsed();
        // A success is a success, however long this process slept over it.
        let outcome = match outcome {
            Outcome::Failed(failure) => match stalls.spoiled(from, probe.timeout) {
                Some(stalled) => Outcome::Discarded(Discard::Stalled(stalled)),
                None => Outcome::Failed(failure),
            },
            other => other,
        };
        let (check, vantage) = (self.check.key.clone(), self.vantage.clone());
        Sample { check, vantage, at: clock.now(), latency, outcome }
    }

    async fn ask(&self) -> Outcome {
        let addr = match &self.check.key.whereto {
            Whereto::Addr(addr) => *addr,
            Whereto::Name(name) => match resolve(name).await {
                Ok(Some(addr)) => addr,
                Ok(None) => {
                    return Outcome::Failed(Failure::Resolve(bounded(&format!("{name} has no address"))));
                }
                Err(error) => return judge(&error, Phase::Resolve, || true),
            },
        };
        self.course.connect_to(addr);
        match &self.check.probe.kind {
            ProbeKind::Http(http) => self.http.ask(&self.check, http).await,
            ProbeKind::Tcp => tcp::ask(SocketAddr::new(addr, self.check.probe.port), &self.course).await,
        }
    }
}

/// The first address of a CNAME target, in the order the host prefers (RFC 6724): a client that follows
/// the CNAME will most often take that one too.
pub(super) async fn resolve(name: &Arc<str>) -> io::Result<Option<IpAddr>> {
    // Never closed, so there is always a permit to come; the run's timeout bounds the wait.
    let permit = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let name = name.clone();
    let lookup = tokio::spawn(async move {
        let _held_to_the_end = permit;
        let mut addrs = tokio::net::lookup_host((&*name, 0)).await?;
        Ok(addrs.next().map(|addr| addr.ip()))
    });
    lookup.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::super::tests::http_check;
    use super::*;
    use crate::time::Time;

    #[tokio::test]
    async fn a_host_that_trusts_nobody_says_so() {
        let (mut check, http) = http_check("127.0.0.1", "app.example.com", 443);
        Arc::make_mut(&mut check.probe).kind =
            ProbeKind::Http(crate::config::HttpProbe { tls: true, ..http });
        let clock = Clock::start(Time::default());
        let runner = Runner::new(check, Trust::none("no CA certificates"), Vantage::local());
        let sample = runner.run(clock, &Stalls::new(clock)).await;
        assert_eq!(sample.outcome, Outcome::Failed(Failure::Certificate("no CA certificates".into())));
    }
}
