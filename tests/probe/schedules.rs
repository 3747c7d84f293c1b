//! When checks run, beside each other and over reloads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use detour::engine::Pace;
use detour::health::{Discard, Outcome};
use detour::model::{
    AllDown, Config, Control, Endpoint, Failback, PolicyKind, Probe, ProbeKind, RrsetOrder, Server, Service,
    Target, TcpProbe, VantageSetup,
};
use tokio::sync::mpsc;

use crate::checks::{LONG, SHORT, check, every, http, named, next_of, prober};
use crate::servers::{answering, black_hole, head, ok, serve, silent, until_closed};

const SOON: Duration = Duration::from_millis(20);

/// Takes connections, answers none; how many came, and word of each that was closed.
async fn holding() -> (SocketAddr, Arc<AtomicUsize>, mpsc::UnboundedReceiver<()>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let (closed, closes) = mpsc::unbounded_channel();
    let counted = connections.clone();
    let addr = serve(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        let closed = closed.clone();
        async move {
            until_closed(&mut stream).await;
            closed.send(()).ok();
        }
    })
    .await;
    (addr, connections, closes)
}

async fn connected(connections: &AtomicUsize, count: usize) {
    while connections.load(Ordering::SeqCst) < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn black_holes_delay_nobody() {
    let (hole, good) = (black_hole(), answering(&[&ok(b"OK")]).await);
    let slow = check(ProbeKind::Tcp(TcpProbe::default()), hole.addr, Duration::from_secs(60));
    let mut checks: Vec<_> = (0..50).map(|n| named(&slow, &format!("slow-{n}"))).collect();
    let good = every(&named(&check(ProbeKind::Http(http()), good, LONG), "good"), SOON);
    checks.push(good.clone());
    let (prober, mut samples) = prober();
    prober.set(checks);
    for _ in 0..10 {
        let sample = samples.recv().await.unwrap();
        assert_eq!((sample.check, sample.outcome), (good.key.clone(), Outcome::Ok));
    }
}

#[tokio::test]
async fn services_that_ask_the_same_share_one_connection() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let addr = serve(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            head(&mut stream).await;
            tokio::io::AsyncWriteExt::write_all(&mut stream, &ok(b"OK")).await.ok();
        }
    })
    .await;
    let probe =
        check(ProbeKind::Http(detour::model::HttpProbe { host: Some("app".into()), ..http() }), addr, LONG)
            .probe;
    let checks = config(&probe, addr, &["a.example.com", "b.example.com"]).checks();
    assert_eq!(checks.len(), 1);
    let (prober, mut samples) = prober();
    prober.set(vec![every(&checks[0], SOON)]);
    for n in 1..=5 {
        assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok);
        let connections = connections.load(Ordering::SeqCst);
        assert!((n..=n + 1).contains(&connections), "{connections} connections for {n} samples");
    }
}

/// Services of these names, one endpoint each, all at `addr`.
fn config(probe: &Arc<Probe>, addr: SocketAddr, names: &[&str]) -> Config {
    let zone: detour::dns::Name = "example.com.".parse().unwrap();
    let SocketAddr::V4(addr) = addr else { unreachable!("the tests' servers are at 127.0.0.1") };
    let service = |name: &&str| {
        Arc::new(Service {
            name: format!("{name}.").parse().unwrap(),
            zone: zone.clone(),
            policy: PolicyKind::Failover,
            ttl: 30,
            ttl_suspect: 5,
            probes: vec![probe.clone()].into(),
            failback: Failback::Manual,
            all_down: AllDown::Keep,
            rto: None,
            moving: detour::model::Moving::default(),
            endpoints: vec![Endpoint {
                site: "fra".into(),
                target: Target::Addresses { v4: vec![*addr.ip()], v6: vec![] },
                records: vec![],
                weight: 1,
            }],
            tree: None,
        })
    };
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        observed: detour::model::Observed::default(),
        alerts: vec![],
        path: PathBuf::new(),
        server: Server {
            listen: vec![],
            state_dir: PathBuf::new(),
            threads: 1,
            nsid: None,
            chaos: true,
            cookie_secrets: None,
            rrset_order: RrsetOrder::Fixed,
            rate_limit: None,
            journal: 0,
            max_exec: 64,
            include_folders: vec![],
            loading: detour::model::Loading::default(),
        },
        control: Control { listen: nowhere, tokens: None, tls: None },
        heartbeat: None,
        sites: vec![],
        probes: vec![probe.clone()],
        negative_ttls: BTreeMap::default(),
        zones: vec![],
        services: names.iter().map(service).collect(),
        vantage: VantageSetup::default(),
        maintenance: vec![],
        history: detour::model::HistoryBounds::default(),
        geo: vec![],
        safety: detour::model::Safety::default(),
        keys: Arc::default(),
        catalog: None,
    }
}

#[tokio::test]
async fn a_reload_leaves_alone_what_stays() {
    let (addr, connections, _closes) = holding().await;
    let (other, mut samples_of_other) = (answering(&[&ok(b"OK")]).await, prober());
    let staying = check(ProbeKind::Http(http()), addr, LONG);
    let (prober, samples) = (&samples_of_other.0, &mut samples_of_other.1);
    prober.set(vec![staying.clone()]);
    connected(&connections, 1).await;
    let added = named(&check(ProbeKind::Http(http()), other, LONG), "added");
    prober.set(vec![staying.clone(), added.clone()]);
    let sample = next_of(samples, other.ip()).await;
    assert_eq!((sample.check, sample.outcome), (added.key, Outcome::Ok));
    assert_eq!(connections.load(Ordering::SeqCst), 1, "the run under way was not started anew");
}

#[tokio::test]
async fn a_reload_breaks_off_what_changes_or_goes() {
    let (addr, connections, mut closes) = holding().await;
    let (prober, mut samples) = prober();
    let first = check(ProbeKind::Http(http()), addr, LONG);
    prober.set(vec![first.clone()]);
    connected(&connections, 1).await;
    prober.set(vec![every(&first, Duration::from_secs(1800))]);
    closes.recv().await.unwrap();
    connected(&connections, 2).await;
    prober.set(vec![]);
    closes.recv().await.unwrap();
    assert!(samples.try_recv().is_err(), "a run that is broken off gives no sample");
}

#[tokio::test]
async fn the_pace_is_the_engines_to_set() {
    let addr = answering(&[&ok(b"OK")]).await;
    let (prober, mut samples) = prober();
    let check = check(ProbeKind::Http(http()), addr, LONG);
    prober.set(vec![check.clone()]);
    samples.recv().await.unwrap();
    // The next run is up to an hour away; now it is not.
    for _ in 0..3 {
        prober.pace(&check.key, Pace::Confirm);
        samples.recv().await.unwrap();
    }
}

#[tokio::test]
async fn after_the_stop_no_sample_comes() {
    let (addr, connections, mut closes) = holding().await;
    let (prober, mut samples) = prober();
    prober.set(vec![check(ProbeKind::Http(http()), addr, LONG)]);
    connected(&connections, 1).await;
    prober.stop().await;
    assert!(samples.recv().await.is_none());
    closes.recv().await.unwrap();
    prober.stop().await;
}

/// A full channel must hold the runs back, not pile them up; and it must show.
#[tokio::test]
async fn a_consumer_that_takes_nothing_shows_as_stalled() {
    let addr = answering(&[&ok(b"OK")]).await;
    let (prober, samples) = prober();
    prober.set(vec![every(&check(ProbeKind::Http(http()), addr, LONG), Duration::from_secs(60))]);
    while samples.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let now = detour::sys::clock::Clock::start().now();
    assert_eq!(prober.idle(now), Duration::ZERO);
    let idle = prober.idle(now + Duration::from_secs(181));
    assert!(idle > Duration::from_secs(60), "{idle:?}");
}

/// The one thread of this test's runtime sleeps through the timeout: that is nobody's failure but ours.
#[tokio::test(flavor = "current_thread")]
async fn failures_of_a_stalled_process_are_discarded() {
    let (addr, connections, _closes) = holding().await;
    let (prober, mut samples) = prober();
    prober.set(vec![check(ProbeKind::Http(http()), addr, SHORT)]);
    connected(&connections, 1).await;
    std::thread::sleep(SHORT * 2);
    let outcome = samples.recv().await.unwrap().outcome;
    assert!(matches!(outcome, Outcome::Discarded(Discard::Stalled(d)) if d >= SHORT / 2), "{outcome}");
}

#[tokio::test(flavor = "current_thread")]
async fn successes_of_a_stalled_process_count() {
    let (prober, mut samples) = prober();
    let addr = silent().await;
    prober.set(vec![check(ProbeKind::Tcp(TcpProbe::default()), addr, LONG)]);
    tokio::task::yield_now().await;
    std::thread::sleep(SHORT);
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok);
}
