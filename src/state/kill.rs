//! `kill -9` at any instant: the test starts itself as another process that commits without end, kills
//! it, and looks at what is left.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::tests::{decision, name, sample, saved_service, saved_zone};
use super::{Durable, Opened, Query, Store};
use crate::dns::Serial;
use crate::engine::{Happened, Saved};
use crate::time::Time;

const TEST: &str = "state::kill::state_is_whole_after_kill_9_at_any_instant";
const DIR: &str = "DETOUR_TEST_KILL_DIR";
const ROUNDS: u64 = 60;

#[test]
fn state_is_whole_after_kill_9_at_any_instant() {
    if let Some(dir) = std::env::var_os(DIR) {
        commit_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        // Every third round dies while it opens or makes the file, the others between and in commits.
        let acks = if round % 3 == 0 { 0 } else { round * 7 % 23 };
        let then = Duration::from_micros(round * 1_237 % 20_000);
        acknowledged = acknowledged.max(run_and_kill(&state, acks, then));
        let Opened { store, saved, set_aside, last, .. } = Store::open(&state).unwrap();
        assert_eq!(set_aside, None, "round {round}");
        let found = counted(&saved);
        assert!(found >= acknowledged, "round {round}: {found}, and {acknowledged} was acknowledged");
        if found > 0 {
            assert!(last >= Some(Time(found)), "round {round}: {last:?}");
            let newest = store.history(&Query { limit: 1, ..Query::default() }).unwrap();
            assert_eq!(newest[0].what, Happened::Decision(decision(found)), "round {round}");
        }
        acknowledged = found;
    }
    assert!(acknowledged > ROUNDS, "the rounds committed something: {acknowledged}");
}

/// The other process: two values and a record in each transaction, which must agree ever after.
fn commit_until_killed(dir: &Path) -> ! {
    let Opened { store, saved, .. } = Store::open(dir).unwrap();
    let mut n = counted(&saved);
    loop {
        n += 1;
        let serial = Serial(u32::try_from(n).unwrap());
        let (zone, service) = (saved_zone(serial, n), saved_service(decision(n)));
        let saves = [
            Saved::Zone(name("example.com"), Some(zone)),
            Saved::Service(name("app.example.com"), Some(service)),
        ];
        store.commit(Time(n), &[], &[Happened::Sample(sample(n))], Durable::Later).unwrap();
        store.commit(Time(n), &saves, &[Happened::Decision(decision(n))], Durable::Now).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {n}").unwrap();
        out.flush().unwrap();
    }
}

/// Runs the other process for `acks` commits and a moment, kills it, and says what it acknowledged.
fn run_and_kill(dir: &Path, acks: u64, then: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The test harness may have begun a line of its own.
    let mut next = || -> Option<u64> {
        let line = lines.find(|line| line.as_ref().is_ok_and(|l| l.contains("ack ")))?.unwrap();
        line.split("ack ").nth(1)?.parse().ok()
    };
    let mut last = 0;
    for _ in 0..acks {
        last = next().expect("the other process commits");
    }
    let until = Instant::now() + then;
    while Instant::now() < until {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    while let Some(n) = next() {
        last = n;
    }
    last
}

/// The number both values hold.
fn counted(saved: &[Saved]) -> u64 {
    match saved {
        [] => 0,
        [Saved::Service(_, Some(service)), Saved::Zone(_, Some(zone))] => {
            assert_eq!(service.decision.id, u64::from(zone.published.0), "one transaction");
            service.decision.id
        }
        other => panic!("half a state: {other:?}"),
    }
}
