//! The daemon in this process: what no outside test can bring about.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::core::PANIC_NOTE;
use super::messages::Input;
use super::{Running, start};
use crate::api::{Daemon, DaemonStatus};
use crate::condition::ConditionKind;
use crate::engine::{Action, Command};
use crate::policy::{OverrideKind, Rule, Scope};
use crate::sys::files::faults::Disk;
use crate::zones::PreparedLoad;

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

/// Panics over a load or a change of contents, once, where a file `panic` beside the configuration says so.
pub(super) fn panic_if_asked(input: &Input, loaded: Option<&PreparedLoad>) {
    let folder = loaded.and_then(|loaded| loaded.load.config.path.parent());
    let takes_up = matches!(input, Input::Loaded(..) | Input::Changed(..));
    let is_asked = takes_up && folder.is_some_and(|folder| fs::remove_file(folder.join("panic")).is_ok());
    assert!(!is_asked, "as a test asked");
}

/// What the core had in its hands when it panicked is lost; what is asked for next is not.
#[tokio::test(flavor = "multi_thread")]
async fn reloads_and_updates_go_on_after_a_core_that_panicked_over_one() {
    const NX_DOMAIN: u8 = 3;
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = write(dir.path());
    let rule = "file = \"example.com.zone\"\nupdate = [{ from = \"127.0.0.0/8\" }]";
    fs::write(&path, CONFIG.replace("file = \"example.com.zone\"", rule)).unwrap();
    let running = start(&path).await.unwrap();
    let dns = running.addresses.dns[0];
    assert_eq!(update(dns, "a").await, 0);

    fs::write(dir.path().join("panic"), "").unwrap();
    fs::write(dir.path().join("example.com.zone"), format!("{ZONE}c 60 TXT x\n")).unwrap();
    assert!(running.handle.reload(false).await.is_err(), "it was lost");
    let warned = |status: &DaemonStatus| status.warnings.iter().any(|warning| warning == PANIC_NOTE);
    until(&running, "the core begins again", warned).await;
    // An update is laid over what is served, and not over what was lost.
    assert_eq!(update(dns, "b").await, 0);
    let labels = ["a", "b", "c"];
    let mut served = Vec::new();
    for label in labels {
        served.push(query(dns, label).await);
    }
    assert_eq!(served, [0, 0, NX_DOMAIN]);

    fs::write(dir.path().join("panic"), "").unwrap();
    assert_ne!(update(dns, "d").await, 0, "nobody is told that it was done");
    assert!(running.handle.reload(false).await.unwrap().is_ok());
    assert_eq!(update(dns, "e").await, 0);
    for label in ["a", "b", "c", "e"] {
        assert_eq!(query(dns, label).await, 0, "{label}");
    }
    let (again, _copy) = restarted(dir.path()).await;
    for label in ["a", "b", "c", "e"] {
        assert_eq!(query(again.addresses.dns[0], label).await, 0, "{label} after a restart");
    }
    again.stop().await;
    running.stop().await;
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

/// What a load found the files to hold is kept once: edits that were changed since are not put back by a core that
/// begins again from that load.
#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_begins_again_keeps_what_updates_changed_since_its_load() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = write(dir.path());
    let rule = "file = \"example.com.zone\"\nupdate = [{ from = \"127.0.0.0/8\" }]";
    fs::write(&path, CONFIG.replace("file = \"example.com.zone\"", rule)).unwrap();
    let running = start(&path).await.unwrap();
    let (dns, name) = (running.addresses.dns[0], "a.example.com".parse().unwrap());
    let records =
        |running: &Running| running.handle.answered(&name).iter().map(|set| set.rdata.len()).sum::<usize>();
    assert_eq!(update(dns, "a").await, 0);
    // The file has it now, and then there is another edit at that name.
    fs::write(dir.path().join("example.com.zone"), format!("{ZONE}a 60 TXT x\n")).unwrap();
    running.handle.reload(false).await.unwrap().unwrap();
    assert_eq!(update_to(dns, "a", b"other").await, 0);
    running.handle.core.send(Input::Panic).await.unwrap();
    let warned = |status: &DaemonStatus| status.warnings.iter().any(|warning| warning == PANIC_NOTE);
    until(&running, "the core begins again", warned).await;
    assert_eq!(records(&running), 2);
    let (again, _copy) = restarted(dir.path()).await;
    assert_eq!(records(&again), 2, "and it is on the disk");
    again.stop().await;
    running.stop().await;
}

/// The name below example.com, in a message.
fn wire(label: &str) -> Vec<u8> {
    let mut name = vec![label.len() as u8];
    name.extend_from_slice(label.as_bytes());
    name.extend_from_slice(b"\x07example\x03com\0");
    name
}

/// Sends a message and gives the answer's rcode.
async fn rcode(to: SocketAddr, message: &[u8]) -> u8 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(message, to).await.unwrap();
    let mut answer = [0; 1500];
    let received = timeout(Duration::from_secs(60), socket.recv(&mut answer)).await;
    assert!(received.expect("an answer").unwrap() >= 12);
    answer[3] & 15
}

/// Asks for the TXT records of a name.
pub(super) async fn query(to: SocketAddr, label: &str) -> u8 {
    let mut message = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0".to_vec();
    message.extend(wire(label));
    message.extend_from_slice(b"\0\x10\0\x01");
    rcode(to, &message).await
}

/// Adds a TXT record to a name.
pub(super) async fn update(to: SocketAddr, label: &str) -> u8 {
    update_to(to, label, b"x").await
}

/// Adds a TXT record of this text to a name.
pub(super) async fn update_to(to: SocketAddr, label: &str, text: &[u8]) -> u8 {
    let mut message = b"\x12\x34\x28\0\0\x01\0\0\0\x01\0\0\x07example\x03com\0\0\x06\0\x01".to_vec();
    message.extend(wire(label));
    message.extend_from_slice(b"\0\x10\0\x01\0\0\0\x3c\0");
    message.extend([text.len() as u8 + 1, text.len() as u8]);
    message.extend_from_slice(text);
    rcode(to, &message).await
}

/// An update that the disk refuses is not served, however often it is tried; one that was acknowledged is served
/// again after a power cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_updates_and_keeps_what_was_acknowledged() {
    const SERV_FAIL: u8 = 2;
    const NX_DOMAIN: u8 = 3;
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = write(dir.path());
    let rule = "file = \"example.com.zone\"\nupdate = [{ from = \"127.0.0.0/8\" }]";
    fs::write(&path, CONFIG.replace("file = \"example.com.zone\"", rule)).unwrap();
    // Over all of the folder, for the state's own is made there, and has to last.
    let disk = Disk::over(dir.path());
    let running = start(&path).await.unwrap();
    let dns = running.addresses.dns[0];
    assert_eq!((update(dns, "a").await, query(dns, "a").await), (0, 0));

    disk.fill(true);
    for _ in 0..3 {
        assert_eq!((update(dns, "b").await, query(dns, "b").await), (SERV_FAIL, NX_DOMAIN));
    }
    let troubles = running.handle.conditions();
    assert_eq!(troubles.counts.get(&ConditionKind::StateUnwritten), Some(&1), "{troubles:?}");
    let frozen = running.handle.freeze("example.com".parse().unwrap(), "ana".to_owned()).await;
    assert!(frozen.unwrap().is_err_and(|why| why.contains("nothing was changed")));
    assert_eq!(fs::read_to_string(dir.path().join("example.com.zone")).unwrap(), ZONE);
    let known = until(&running, "status says so", |status| !status.warnings.is_empty()).await;
    assert!(known.warnings[0].contains("updates are refused"), "{:?}", known.warnings);

    disk.fill(false);
    until(&running, "the disk is used again", |status| status.warnings.is_empty()).await;
    assert_eq!((update(dns, "b").await, query(dns, "b").await), (0, 0));
    // The power is cut; what lies on the disk then is what another daemon starts from.
    disk.kill();
    disk.lose_power();
    let (again, _copy) = restarted(dir.path()).await;
    let dns = again.addresses.dns[0];
    assert_eq!((query(dns, "a").await, query(dns, "b").await), (0, 0));
    again.stop().await;
    running.stop().await;
}

/// The recording of a first run begins with nothing: what came since is played again.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_damaged_after_the_first_run_is_restored_from_its_recording() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path());
    let running = start(&path).await.unwrap();
    running.decided().await;
    let apex = "example.com".parse().unwrap();
    let serial = |running: &Running| running.handle.table().serial(&apex).unwrap();
    let drain = Action::Override {
        scope: Scope::Site("fra".into()),
        kind: OverrideKind::Drain,
        until: None,
        force: true,
    };
    let (who, reason) = ("ana".to_owned(), "new disks".to_owned());
    running.handle.command(Command { who, reason, action: drain }).await.unwrap().unwrap();
    let before = serial(&running);
    running.stop().await;
    let copy = copied(dir.path());
    let file = copy.path().join("state").join(crate::state::FILE);
    let mut bytes = fs::read(&file).unwrap();
    bytes[0] ^= 1;
    fs::write(&file, bytes).unwrap();

    let running = start(&copy.path().join("detour.toml")).await.unwrap();
    let status = running.handle.status().await.unwrap();
    let overrides: Vec<_> = status.engine.overrides.iter().map(|it| (&*it.reason, &*it.who)).collect();
    assert_eq!(overrides, [("new disks", "ana")], "{:?}", status.warnings);
    assert!(serial(&running).0 > before.0 + 9_000, "{} after {}", serial(&running), before);
    assert_eq!(running.handle.conditions().counts.get(&ConditionKind::StateLost), Some(&1));
    running.stop().await;
}

/// A daemon on a copy of all that another one left behind.
pub(super) async fn restarted(dir: &Path) -> (Running, TempDir) {
    let copy = copied(dir);
    let running = start(&copy.path().join("detour.toml")).await.unwrap();
    (running, copy)
}

/// A folder with all that is in another one.
pub(super) fn copied(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir_in("/dev/shm").unwrap();
    let copied = std::process::Command::new("cp").arg("-a").arg(dir.join(".")).arg(copy.path()).status();
    assert!(copied.unwrap().success());
    copy
}

/// A secondary that has this serial of example.com, and says so to whoever asks.
async fn secondary(socket: UdpSocket, serial: u32) {
    let mut message = [0; 1500];
    while let Ok((_, from)) = socket.recv_from(&mut message).await {
        let mut answer = message[..2].to_vec();
        if message[2] & 0x78 == 0x20 {
            answer.extend_from_slice(b"\xa4\0\0\0\0\0\0\0\0\0");
        } else {
            answer.extend_from_slice(
                b"\x84\0\0\0\0\x01\0\0\0\0\x07example\x03com\0\0\x06\0\x01\0\0\0\x3c\0\x16\0\0",
            );
            answer.extend_from_slice(&serial.to_be_bytes());
            answer.extend_from_slice(&[0; 16]);
        }
        socket.send_to(&answer, from).await.unwrap();
    }
}

/// Where nothing is left of the state, a secondary still knows how far the serials had come.
#[tokio::test(flavor = "multi_thread")]
async fn serials_go_on_after_what_secondaries_have_when_the_state_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let told = format!("file = \"example.com.zone\"\nnotify = [\"{}\"]", socket.local_addr().unwrap());
    fs::write(&path, CONFIG.replace("file = \"example.com.zone\"", &told)).unwrap();
    fs::create_dir(dir.path().join("state")).unwrap();
    fs::write(dir.path().join("state/detour.redb"), "a state that cannot be read").unwrap();
    let secondary = tokio::spawn(secondary(socket, 5_000));
    let running = start(&path).await.unwrap();
    let serial = || running.handle.table().serial(&"example.com".parse().unwrap()).unwrap();
    let known = until(&running, "it goes on after the secondary's", |_| serial().0 > 5_000).await;
    assert!(
        known.warnings.iter().any(|warning| warning.contains("nothing of what came before")),
        "{known:?}"
    );
    secondary.abort();

    // And it stays so.
    let (again, _copy) = restarted(dir.path()).await;
    assert!(again.handle.table().serial(&"example.com".parse().unwrap()).unwrap().0 > 5_000);
    again.stop().await;
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
