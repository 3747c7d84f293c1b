//! The daemon in this process: what no outside test can bring about.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::core::PANIC_NOTE;
use super::messages::Input;
use super::{Running, start};
use crate::control::{Daemon, DaemonStatus};
use crate::policy::Rule;

const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
[control]
listen = "127.0.0.1:0"
[sites.fra]
[sites.iad]
[probes.port]
type = "tcp"
port = 1
timeout = "1s"
[[zone]]
name = "example.com"
file = "example.com.zone"
[[service]]
name = "app.example.com"
probes = ["port"]
all_down = "primary"
endpoints = [
  { site = "fra", addresses = ["127.0.0.1"] },
  { site = "iad", addresses = ["127.0.0.2"] },
]
"#;
const ZONE: &str = "@ 60 SOA ns h 7 60 60 60 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n";

fn write(dir: &Path) -> PathBuf {
    fs::write(dir.join("example.com.zone"), ZONE).unwrap();
    fs::write(dir.join("detour.toml"), CONFIG).unwrap();
    dir.join("detour.toml")
}

async fn until(running: &Running, what: &str, is: impl Fn(&DaemonStatus) -> bool) -> DaemonStatus {
    for _ in 0..1000 {
        // While the core begins again it may not answer; that is no failure of this test.
        if let Ok(status) = running.handle.status().await
            && is(&status)
        {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_panics_begins_again_and_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(&write(dir.path())).await.unwrap();
    let decided = |status: &DaemonStatus| status.engine.services[0].decision.clone();
    let all_down = |status: &DaemonStatus| {
        let reason = decided(status).map(|decision| decision.reason.rule);
        matches!(reason, Some(Rule::AllDown { .. })) && status.engine.sites.iter().all(|site| site.down == 1)
    };
    let before = until(&running, "both sites are Down", all_down).await;
    assert!(before.warnings.is_empty(), "{:?}", before.warnings);

    // In the middle of a bad edit, at that.
    fs::write(dir.path().join("detour.toml"), "[server").unwrap();
    running.handle.core.send(Input::Panic).await.unwrap();
    let warned = |status: &DaemonStatus| status.warnings.iter().any(|warning| warning == PANIC_NOTE);
    let after = until(&running, "the core begins again", warned).await;
    assert_eq!(decided(&after).map(|d| d.id), decided(&before).map(|d| d.id));
    assert_eq!(after.engine.zones[0].serial, before.engine.zones[0].serial);
    assert!(all_down(&after), "health is kept");

    // And it still does its work: new samples come in, and a stop is orderly.
    let at = after.engine.now;
    let sampled = |status: &DaemonStatus| {
        status.engine.checks.iter().all(|check| check.recent.first().is_some_and(|sample| sample.at > at))
    };
    until(&running, "samples go on", sampled).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_status_is_whole_for_all_who_ask_at_once() {
    const SERVICES: usize = 700;
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path());
    let names: Vec<String> = (0..SERVICES).map(|n| format!("\"s{n:03}.example.com\"")).collect();
    let text = CONFIG.replace("name = \"app.example.com\"", &format!("names = [{}]", names.join(", ")));
    // An http probe asks each host for itself: two checks for each service.
    let text = text.replace("type = \"tcp\"", "type = \"http\"");
    fs::write(&path, text).unwrap();
    let running = start(&path).await.unwrap();
    // Seven hundred first decisions keep the core busy for a while.
    running.decided().await;
    let handle = &running.handle;
    let (first, second, third) = tokio::join!(handle.status(), handle.status(), handle.status());
    for status in [first, second, third] {
        let status = status.unwrap().engine;
        let services: Vec<String> = status.services.iter().map(|service| service.name.to_string()).collect();
        let expected: Vec<String> = (0..SERVICES).map(|n| format!("s{n:03}.example.com.")).collect();
        assert_eq!(services, expected);
        assert_eq!(status.checks.len(), 2 * SERVICES);
        assert!(status.checks.is_sorted_by(|a, b| a.key < b.key));
        let site = &status.sites[0];
        assert_eq!(site.up + site.suspect + site.down + site.unknown, SERVICES);
    }
    running.stop().await;
}
