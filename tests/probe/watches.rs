//! Connections held open beside the runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use detour::engine::Pace;
use detour::health::{Failure, Outcome, Phase};
use detour::model::{Check, ProbeKind, TcpProbe, Whereto};
use detour::probe::{Prober, WatchState};
use tokio::sync::watch;

use crate::checks::{HOST, LONG, SHORT, check, https, prober, prober_trusting};
use crate::names::{RESOLVER, name_server};
use crate::namespace::{inside, ip, nft, swallow};
use crate::peers::authority::Authority;
use crate::peers::nginx::Nginx;
use crate::servers::{serve, silent, until_closed};

/// The same check, watched.
fn watched(check: &Check) -> Check {
    let mut check = check.clone();
    Arc::make_mut(&mut check.probe).watch = true;
    check
}

/// Waits until the one watch stands like this.
async fn becomes(prober: &Prober, state: WatchState) {
    while prober.watches().iter().all(|watch| watch.state != state) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The checks here are run once an hour: a further sample comes of the watch, or the test hangs.
#[tokio::test]
async fn a_closed_connection_has_the_check_run_at_once_and_is_made_anew() {
    let (close, closing) = watch::channel(());
    let addr = serve(move |mut stream| {
        let mut closing = closing.clone();
        closing.mark_unchanged(); // a close before this connection is not its own
        async move {
            tokio::select! {
                _ = closing.changed() => {}
                () = until_closed(&mut stream) => {}
            }
        }
    })
    .await;
    let (prober, mut samples) = prober();
    prober.set(vec![watched(&check(ProbeKind::Tcp(TcpProbe::default()), addr, LONG))]);
    for _ in 0..3 {
        assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok);
        becomes(&prober, WatchState::Standing).await;
        close.send(()).unwrap();
        while prober.watches()[0].state == WatchState::Standing {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok, "a hint is no failure");
    prober.stop().await;
}

#[tokio::test]
async fn a_watch_goes_with_its_check_and_with_its_key() {
    let held = Arc::new(AtomicUsize::new(0));
    let counted = held.clone();
    let addr = serve(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        let counted = counted.clone();
        async move {
            until_closed(&mut stream).await;
            counted.fetch_sub(1, Ordering::SeqCst);
        }
    })
    .await;
    let settles = async |want: usize| {
        while held.load(Ordering::SeqCst) != want {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let plain = check(ProbeKind::Tcp(TcpProbe::default()), addr, LONG);
    let (prober, mut samples) = prober();
    prober.set(vec![watched(&plain)]);
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok);
    becomes(&prober, WatchState::Standing).await;
    settles(1).await;
    prober.set(vec![plain.clone()]);
    settles(0).await;
    assert_eq!(prober.watches(), []);
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok, "a changed probe is run at once");

    prober.set(vec![watched(&plain)]);
    becomes(&prober, WatchState::Standing).await;
    prober.stop().await;
    settles(0).await;
}

/// A server that closes every connection at once is left alone after a few, and it is told.
#[tokio::test]
async fn a_server_that_closes_at_once_is_not_hammered() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    let addr = serve(move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { drop(stream) }
    })
    .await;
    let (prober, mut samples) = prober();
    prober.set(vec![watched(&check(ProbeKind::Tcp(TcpProbe::default()), addr, LONG))]);
    // One run at first, one for each of five watches that ended.
    for _ in 0..6 {
        assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok);
    }
    becomes(&prober, WatchState::NotUseful).await;
    // Nothing else is due for minutes: six runs and five watches are all there was.
    assert_eq!(connections.load(Ordering::SeqCst), 11);
    assert!(samples.try_recv().is_err());
    prober.stop().await;
}

/// The watch says nothing, so a server that waits for a handshake is watched as well as any.
#[tokio::test]
async fn a_server_of_https_that_dies_is_noticed() {
    let authority = Authority::new("ours");
    let (certificate, key) = authority.pem(&[HOST]);
    let block = "ssl_certificate site.pem; ssl_certificate_key site.key; location / { return 204; }";
    let files = [("site.pem", &*certificate), ("site.key", &*key)];
    let nginx = Nginx::start([127, 0, 0, 1].into(), &files, &[("ssl", block)]);
    let (prober, mut samples) = prober_trusting(authority.roots.clone());
    prober.set(vec![watched(&check(ProbeKind::Http(https()), nginx.at[0], LONG))]);
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok);
    becomes(&prober, WatchState::Standing).await;
    drop(nginx);
    // The watch's reset, and what it led to: the next run is due in an hour.
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Failed(Failure::Refused));
    becomes(&prober, WatchState::Waiting).await;
    prober.stop().await;
}

/// The name is looked up for the watch as it is for a run, by a name server of this test's own.
#[tokio::test]
async fn a_cname_target_is_watched() {
    if !inside("watches::a_cname_target_is_watched", RESOLVER) {
        return;
    }
    ip("link set lo up");
    let asked = name_server().await;
    let (close, closing) = watch::channel(());
    let addr = serve(move |mut stream| {
        let mut closing = closing.clone();
        closing.mark_unchanged();
        async move {
            tokio::select! {
                _ = closing.changed() => {}
                () = until_closed(&mut stream) => {}
            }
        }
    })
    .await;
    let mut check = watched(&check(ProbeKind::Tcp(TcpProbe::default()), addr, LONG));
    check.key.whereto = Whereto::Name("there.example.com".into());
    let (prober, mut samples) = prober();
    prober.set(vec![check]);
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok);
    becomes(&prober, WatchState::Standing).await;
    // Both for A and AAAA, once for the run and once for the watch.
    assert!(asked.load(Ordering::SeqCst) >= 4);
    close.send(()).unwrap();
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok, "the end of a watch is a hint");
    becomes(&prober, WatchState::Standing).await;
    prober.stop().await;
}

/// Whoever falls silent with a connection open says no farewell: TCP's keepalive finds it, and from then on the
/// runs alone say what is.
#[tokio::test]
async fn a_host_that_dies_without_a_word_is_noticed() {
    if !inside("watches::a_host_that_dies_without_a_word_is_noticed", "exec \"$@\"") {
        return;
    }
    ip("link set lo up");
    let check = watched(&check(ProbeKind::Tcp(TcpProbe::default()), silent().await, SHORT));
    let (prober, mut samples) = prober();
    prober.set(vec![check.clone()]);
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Ok);
    becomes(&prober, WatchState::Standing).await;

    swallow("127.0.0.1");
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Failed(Failure::Timeout(Phase::Connect)));
    becomes(&prober, WatchState::Waiting).await;
    prober.pace(&check.key, Pace::Confirm);
    assert_eq!(samples.recv().await.unwrap().outcome, Outcome::Failed(Failure::Timeout(Phase::Connect)));
    assert_eq!(prober.watches()[0].state, WatchState::Waiting, "nothing is watched that no run has reached");

    nft("delete table inet hole");
    prober.pace(&check.key, Pace::Confirm);
    // A run may have begun before.
    while samples.recv().await.unwrap().outcome != Outcome::Ok {}
    becomes(&prober, WatchState::Standing).await;
    prober.stop().await;
}
