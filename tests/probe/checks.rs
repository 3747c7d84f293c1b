//! What the tests ask, and how they ask it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use detour::engine::Pace;
use detour::health::{Discard, Outcome, Sample};
use detour::model::{
    BodyExpect, Check, CheckKey, HttpProbe, Probe, ProbeKind, TcpProbe, Thresholds, Whereto,
};
use detour::probe::{Prober, Trust};
use detour::sys::clock::Clock;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

pub const HOST: &str = "app.example.com";
/// For runs whose time is meant to run out.
pub const SHORT: Duration = Duration::from_millis(500);
/// For runs that have all the time they need, whatever else the machine is doing.
pub const LONG: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

pub fn http() -> HttpProbe {
    HttpProbe { path: "/health".into(), ..HttpProbe::default() }
}

pub fn https() -> HttpProbe {
    HttpProbe { tls: Some(Arc::default()), ..http() }
}

pub fn expecting(body: &str) -> HttpProbe {
    HttpProbe { body: Some(BodyExpect::Text(body.into())), ..http() }
}

/// A check that is run once and then not for an hour, but for [`Pace::Confirm`].
pub fn check(kind: ProbeKind, to: SocketAddr, timeout: Duration) -> Check {
    let host = kind.host().is_some().then(|| HOST.into());
    let probe = Probe {
        id: "web".into(),
        kind,
        port: to.port(),
        interval: HOUR,
        confirm: Duration::from_millis(10),
        timeout,
        thresholds: Thresholds { fall: 3, rise: 2, window: None },
        damping: None,
        watch: false,
    };
    Check {
        key: CheckKey { probe: probe.id.clone(), whereto: Whereto::Addr(to.ip()), host },
        probe: Arc::new(probe),
    }
}

/// The same check under another probe's name.
pub fn named(check: &Check, id: &str) -> Check {
    let mut check = check.clone();
    check.key.probe = id.into();
    Arc::make_mut(&mut check.probe).id = id.into();
    check
}

/// The same check at another interval.
pub fn every(check: &Check, interval: Duration) -> Check {
    let mut check = check.clone();
    Arc::make_mut(&mut check.probe).interval = interval;
    check
}

/// A prober that trusts no authority, and its samples.
pub fn prober() -> (Prober, mpsc::Receiver<Sample>) {
    prober_trusting(rustls::RootCertStore::empty())
}

pub fn prober_trusting(roots: rustls::RootCertStore) -> (Prober, mpsc::Receiver<Sample>) {
    let (out, samples) = mpsc::channel(1024);
    let clock = Clock::start();
    (Prober::start_trusting(Trust::only(roots), clock, out, &Handle::current()), samples)
}

/// What one run says. A run that this machine itself was too busy for is run again.
pub async fn ask(check: Check) -> Outcome {
    ask_trusting(rustls::RootCertStore::empty(), check).await
}

pub async fn ask_trusting(roots: rustls::RootCertStore, check: Check) -> Outcome {
    sample_trusting(roots, check).await.outcome
}

pub async fn sample_trusting(roots: rustls::RootCertStore, check: Check) -> Sample {
    let (prober, mut samples) = prober_trusting(roots);
    let key = check.key.clone();
    prober.set(vec![check]);
    loop {
        let sample = samples.recv().await.expect("a sample");
        assert_eq!(sample.check, key);
        if !matches!(sample.outcome, Outcome::Discarded(Discard::Stalled(_))) {
            prober.stop().await;
            return sample;
        }
        prober.pace(&key, Pace::Confirm);
    }
}

/// What one http or https run says, in words.
pub async fn ask_http(http: HttpProbe, to: SocketAddr, timeout: Duration) -> String {
    ask(check(ProbeKind::Http(http), to, timeout)).await.to_string()
}

/// What one tcp run says, in words.
pub async fn ask_tcp(to: SocketAddr, timeout: Duration) -> String {
    ask(check(ProbeKind::Tcp(TcpProbe::default()), to, timeout)).await.to_string()
}

/// The next sample of the address.
pub async fn next_of(samples: &mut mpsc::Receiver<Sample>, addr: IpAddr) -> Sample {
    loop {
        let sample = samples.recv().await.expect("a sample");
        if sample.check.whereto == Whereto::Addr(addr) {
            return sample;
        }
    }
}
