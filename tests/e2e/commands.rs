//! Commands of exec probes: none outlives the daemon, and none stays behind as a zombie.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{Detour, until, zone};

/// A daemon whose probe starts a shell that starts a `sleep` of this many seconds, by which it is found.
fn config(sleeps: &str, timeout: &str) -> String {
    format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
state_dir = "state"
[control]
listen = "127.0.0.1:0"
[sites.fra]
[sites.iad]
[probes.script]
type = "exec"
command = ["/bin/sh", "-c", "sleep {sleeps}; exit 0"]
interval = "1s"
timeout = "{timeout}"
confirm = "100ms"
[[zone]]
name = "example.com"
file = "example.com.zone"
[[service]]
name = "app.example.com"
probes = ["script"]
endpoints = [{{ site = "fra", addresses = ["192.0.2.10"] }}, {{ site = "iad", addresses = ["192.0.2.20"] }}]
"#
    )
}

/// A number of seconds that no other process sleeps.
fn odd_seconds(which: u32) -> String {
    format!("9{which}{}", std::process::id())
}

/// The processes with this word among their arguments, zombies not among them.
fn running(word: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let has = |path: &Path| {
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|found| found == word.as_bytes())
    };
    processes.filter(|path| has(path)).count()
}

#[test]
fn commands_end_with_a_daemon_that_is_killed() {
    let seconds = odd_seconds(1);
    let text = config(&seconds, "999ms")
        .replace("interval = \"1s\"", "interval = \"3600s\"")
        .replace("999ms", "3000s");
    let mut detour = Detour::spawn(&text, &[("example.com.zone", zone(1, "").as_str())]);
    until("both commands run", || (running(&seconds) == 2).then_some(()));
    detour.kill();
    until("the commands have ended", || (running(&seconds) == 0).then_some(()));
}

#[test]
fn no_zombies_are_left_where_the_daemon_is_the_first_process() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("detour.toml"), config(&odd_seconds(2), "200ms")).unwrap();
    fs::write(folder.path().join("example.com.zone"), zone(1, "")).unwrap();
    // In the namespace: the daemon, and a look at it once enough commands have timed out, whose `sleep`s were orphans.
    let script = r#"
        exec 3>&1 >/dev/null
        (
            while [ ! -s state/addresses.json ]; do sleep 0.1; done
            n=0
            while [ $n -lt 40 ]; do
                n=$((n + 1)); sleep 0.1
                grep -h '^State:' /proc/[0-9]*/status | grep -c Z >> zombies
            done
            kill -TERM 1
        ) &
        exec "$0" serve -c detour.toml
    "#;
    let ran = Command::new("unshare")
        .args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_detour"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!((ran.status.code(), ran.status.signal()), (Some(0), None), "it ends in order: {said}");
    let counts = fs::read_to_string(folder.path().join("zombies")).unwrap();
    let counts: Vec<usize> = counts.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(counts.len(), 40, "{said}");
    // One that has just ended may be seen before it is waited for; without end they would pile up.
    assert!(counts.iter().rev().take(10).all(|count| *count <= 2), "{counts:?}");
}
