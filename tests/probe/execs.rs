//! Commands: what becomes of them, what they are told, and that none is left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use detour::health::{Discard, Failure, Outcome, Warning};
use detour::model::{Check, ExecProbe, ExitCodes, ExitVerdict, ProbeKind};
use tempfile::TempDir;

use crate::checks::{LONG, SHORT, ask, check, every, named, prober, sample_trusting};

/// A check by this shell script, with these arguments.
fn script(text: &str, arguments: &[&str], timeout: Duration) -> Check {
    let command =
        ["/bin/sh", "-c", text, "sh"].iter().chain(arguments).map(|&word| word.to_owned()).collect();
    let env = vec![("OWN".into(), "a {port}".into())];
    let exec = ExecProbe { command, env, cwd: PathBuf::from("/usr"), exit: ExitCodes::default() };
    check(ProbeKind::Exec(exec), ([127, 0, 0, 1], 25).into(), timeout)
}

/// What runs a program in a folder.
fn of_program(program: &str, cwd: &str) -> ExecProbe {
    let command = vec![program.to_owned()];
    ExecProbe { command, env: vec![], cwd: PathBuf::from(cwd), exit: ExitCodes::default() }
}

async fn said(text: &str, timeout: Duration) -> String {
    ask(script(text, &[], timeout)).await.to_string()
}

async fn is_there(path: &Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_exit_code_is_the_verdict() {
    assert_eq!(said("exit 0", LONG).await, "ok");
    assert_eq!(said("echo all is well; echo and more", LONG).await, "ok");
    assert_eq!(said("exit 3", LONG).await, "exit code 3");
    assert_eq!(
        said("echo; echo 'CRITICAL: 9 \u{1b}[2Jlate' ; echo x; exit 2", LONG).await,
        "exit code 2: CRITICAL: 9 ?[2Jlate"
    );
    assert_eq!(said("echo to stderr >&2; exit 1", LONG).await, "exit code 1: to stderr");
    assert_eq!(said("echo to stderr >&2; echo to stdout; exit 1", LONG).await, "exit code 1: to stdout");
    assert_eq!(said("echo so far; kill -SEGV $$", LONG).await, "killed by signal 11: so far");
}

#[tokio::test]
async fn the_codes_of_monitoring_plugins_move_nothing_but_for_critical() {
    let plugin = async |text: &str, exit: &ExitCodes| {
        let mut check = script(text, &[], LONG);
        let probe = Arc::make_mut(&mut check.probe);
        let ProbeKind::Exec(exec) = &mut probe.kind else { panic!("it is an exec probe") };
        exec.exit = exit.clone();
        sample_trusting(rustls::RootCertStore::empty(), check).await
    };
    let convention = ExitCodes::plugin();
    let warned = plugin("echo WARNING - 9 s; exit 1", &convention).await;
    assert_eq!(warned.outcome, Outcome::Ok);
    let line = "WARNING - 9 s".to_owned();
    assert_eq!(warned.detail.warning, Some(Warning::Command { code: 1, line }));
    let well = plugin("exit 0", &convention).await;
    assert_eq!((well.outcome, well.detail.warning), (Outcome::Ok, None));
    let critical = plugin("echo CRITICAL; exit 2", &convention).await.outcome;
    assert_eq!(critical, Outcome::Failed(Failure::Exit { code: 2, line: "CRITICAL".into() }));
    for code in [3, 127] {
        let unknown = plugin(&format!("echo UNKNOWN; exit {code}"), &convention).await.outcome;
        assert_eq!(unknown, Outcome::Discarded(Discard::Exit { code, line: "UNKNOWN".into() }));
    }
    let own =
        ExitCodes { listed: vec![(7, ExitVerdict::Discard), (0, ExitVerdict::Pass)], ..ExitCodes::default() };
    assert_eq!(plugin("exit 1", &own).await.outcome.to_string(), "exit code 1");
    let told = plugin("exit 7", &own).await.outcome.to_string();
    assert_eq!(told, "discarded: the command could not tell: exit code 7");
}

#[tokio::test]
async fn a_script_that_does_not_start_says_which_file_is_missing() {
    let folder = TempDir::new().unwrap();
    let said = async |text: &str, cwd: &str| {
        let path = folder.path().join("check");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let exec = of_program(path.to_str().unwrap(), cwd);
        let said = ask(check(ProbeKind::Exec(exec), ([127, 0, 0, 1], 0).into(), LONG)).await.to_string();
        said.rsplit_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(said("#!/usr/bin/pyhton3 -u\n", "/").await, "its interpreter /usr/bin/pyhton3 does not exist");
    let dos =
        "its interpreter /bin/sh with a carriage return (save the script with Unix line ends) does not exist";
    assert_eq!(said("#!/bin/sh\r\n", "/").await, dos);
    assert_eq!(said("#!/bin/sh\n", "/nowhere").await, "its folder /nowhere does not exist");
}

#[tokio::test]
async fn a_command_is_told_whom_to_ask_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let into = folder.path().join("told");
    let told = into.to_str().unwrap();
    let check =
        script("{ echo \"$*\"; pwd; env | sort; } > $4", &["{address}", "{port}", "{probe}; id", told], LONG);
    assert_eq!(ask(check).await, Outcome::Ok);
    let lines = fs::read_to_string(&into).unwrap();
    let lines: Vec<&str> =
        lines.lines().filter(|line| !line.starts_with("_=") && !line.starts_with("OLDPWD")).collect();
    let words = format!("127.0.0.1 25 web; id {told}");
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let variables =
        ["DETOUR_ADDRESS=127.0.0.1", "DETOUR_PORT=25", "DETOUR_PROBE=web", "OWN=a 25", path, "PWD=/usr"];
    assert_eq!(lines, [vec![words.as_str(), "/usr"], variables.to_vec()].concat());
}

/// The pipe that a grandchild holds open, and reads nothing from, ends when it is killed.
fn hangs_with_a_grandchild(alive: &Path) -> String {
    let alive = alive.display();
    format!(
        "echo hanging; mkfifo {alive}.fifo; (exec 3<>{alive}.fifo; echo $$ > {alive}; read x <&3) & wait; sleep 1000"
    )
}

/// That no process has this path in its command line any more.
async fn nobody_left(path: &Path) {
    let path = path.to_str().unwrap().as_bytes().to_vec();
    let alive = || {
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            line.windows(path.len()).any(|window| window == path) && line.starts_with(b"/bin/sh")
        })
    };
    while alive() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_hang_is_killed_with_all_it_started() {
    let folder = TempDir::new().unwrap();
    let alive = folder.path().join("alive");
    let outcome = ask(script(&hangs_with_a_grandchild(&alive), &[], SHORT)).await;
    assert_eq!(outcome.to_string(), "timeout in command: hanging");
    nobody_left(&alive).await;
}

#[tokio::test]
async fn a_removed_check_and_a_stop_kill_too() {
    let folder = TempDir::new().unwrap();
    for round in ["removed", "stopped"] {
        let alive = folder.path().join(round);
        let (prober, _samples) = prober();
        prober.set(vec![script(&hangs_with_a_grandchild(&alive), &[], LONG)]);
        is_there(&alive).await;
        if round == "removed" {
            prober.set(vec![]);
        } else {
            prober.stop().await;
        }
        nobody_left(&alive).await;
    }
}

/// A daemon that a check starts by mistake holds its pipes: nobody waits for it, and it is killed.
#[tokio::test]
async fn an_end_is_an_end_though_a_grandchild_holds_the_pipe() {
    let folder = TempDir::new().unwrap();
    let alive = folder.path().join("alive");
    let script_text = format!("(sleep 1000; echo {}) & echo done; exit 4", alive.display());
    assert_eq!(ask(script(&script_text, &[], LONG)).await.to_string(), "exit code 4: done");
    nobody_left(&alive).await;
}

#[tokio::test]
async fn a_flood_of_output_is_cut_off() {
    assert_eq!(said("exec yes flood", LONG).await, "printed more than 1048576 bytes: flood");
    assert_eq!(said("head -c 900000 /dev/zero; exit 0", LONG).await, "ok");
}

#[tokio::test]
async fn what_cannot_be_started_is_a_fault_of_this_host() {
    let folder = TempDir::new().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    for program in ["/nowhere/check_x", plain.to_str().unwrap(), "/usr"] {
        let exec = of_program(program, "/");
        let outcome = ask(check(ProbeKind::Exec(exec), ([127, 0, 0, 1], 0).into(), LONG)).await;
        let Outcome::Discarded(Discard::Local(why)) = outcome else { panic!("{program}: {outcome}") };
        assert!(why.starts_with(&format!("cannot run {program}: ")), "{why}");
    }
}

/// Two hang until their time is up; those behind them wait far longer than a run may take, and pass.
#[tokio::test]
async fn a_wait_for_a_turn_is_nobodys_failure() {
    let (prober, mut samples) = prober();
    prober.limit_commands(1);
    let slow = script("sleep 1000", &[], SHORT);
    let mut checks: Vec<Check> = (0..3).map(|n| named(&slow, &format!("slow-{n}"))).collect();
    let quick = every(&script("exit 0", &[], SHORT), Duration::from_secs(3000));
    checks.extend((0..3).map(|n| named(&quick, &format!("quick-{n}"))));
    prober.set(checks);
    for _ in 0..6 {
        let sample = samples.recv().await.unwrap();
        match sample.outcome {
            Outcome::Failed(Failure::Hung { .. }) => assert!(sample.check.probe.starts_with("slow")),
            Outcome::Ok => assert!(sample.check.probe.starts_with("quick")),
            // This machine was too busy for it.
            Outcome::Discarded(Discard::Stalled(_)) => {}
            other => panic!("{}: {other}", sample.check),
        }
    }
}

/// Never more at once than allowed: each takes a folder of its own, and counts them.
#[tokio::test]
async fn many_at_once_are_as_many_as_allowed() {
    let folder = TempDir::new().unwrap();
    let at = folder.path().display();
    let (prober, mut samples) = prober();
    prober.limit_commands(3);
    let text = format!(
        "mkdir {at}/$DETOUR_PROBE; sleep 0.05; n=$(ls {at} | wc -l); rmdir {at}/$DETOUR_PROBE; echo $n; test $n -le 3"
    );
    let one = script(&text, &[], LONG);
    prober.set((0..30).map(|n| named(&one, &format!("check-{n}"))).collect());
    for _ in 0..30 {
        let sample = samples.recv().await.unwrap();
        assert!(!matches!(sample.outcome, Outcome::Failed(_)), "{}: {}", sample.check, sample.outcome);
    }
}
