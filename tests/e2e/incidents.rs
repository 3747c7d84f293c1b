//! A site is killed: what `/v1/incidents`, `detour report` and `detour top` tell of it, while it goes on and after.

use std::fs;
use std::process::Command;

use crate::harness::{APP, Setup, World, detour, until};

fn setup() -> Setup {
    // The answers' TTL, which an incident waits for, is short.
    Setup { ttl: "\"5s\"", service: "rto = \"30s\"", ..Setup::default() }
}

#[test]
fn a_killed_site_is_one_incident_and_its_report_outlives_the_daemon() {
    let mut world = World::start(&setup());
    world.settles_on_fra();
    let none = world.detour.cli(&["report"]);
    assert_eq!(none.code, 1, "{none:?}");
    assert!(none.stderr.contains("there was no incident"), "{none:?}");

    world.fra.kill();
    world.settles_on_iad();
    let open = until("it is told", || {
        let page = world.detour.json("/v1/incidents");
        Some(page["incidents"][0].clone()).filter(|incident| incident["moves_total"] == 1)
    });
    assert_eq!((&open["ended"], &open["sites"][0]), (&serde_json::Value::Null, &"fra".into()), "{open}");
    world.detour.told(&["drain", "app.example.com@fra", "--reason", "a look at <fra>"]);
    world.detour.told(&["undrain", "app.example.com@fra"]);
    world.fra.revive();
    world.settles_on_fra();
    let over = until("it is over", || {
        let one = world.detour.json(&format!("/v1/incidents/{}", open["id"]));
        (!one["ended"].is_null()).then_some(one)
    });
    let whats: Vec<_> =
        over["timeline"].as_array().unwrap().iter().map(|line| line["what"].clone()).collect();
    for what in [
        "first_failed",
        "suspect",
        "down",
        "decided",
        "published",
        "command",
        "recovered",
        "failback",
        "old_ttl_gone",
    ] {
        assert!(whats.contains(&what.into()), "no {what} in {over:#}");
    }
    assert_eq!(over["phases"]["kept"], true, "{over:#}");

    let id = over["id"].to_string();
    let config = world.detour.config_path();
    let config = config.to_str().unwrap();
    let list = world.detour.told(&["report", "--list"]);
    assert!(list.contains(&id) && list.contains("fra failed (connection refused)"), "{list}");
    // With the configuration at hand it finds the recording, too.
    let told = |args: &[&str]| {
        let ran = detour(args);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
    };
    let live = told(&["report", &id, "-c", config]);
    let iad = world.iad.addresses[0].to_string();
    for part in [
        "connection refused",
        "it promises",
        "a look at \\<fra\\>",
        &iad,
        "Detection",
        "had no other standby left",
    ] {
        assert!(live.contains(part), "no {part} in\n{live}");
    }
    assert!(
        live.contains(&format!("| iad | `web@{iad} (app.example.com)` |")),
        "how the standby held:\n{live}"
    );

    world.detour.stop();
    let state = world.detour.state_dir();
    let state = state.to_str().unwrap();
    let kept = told(&["report", "--state", state]);
    let title = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    assert_eq!(title(&kept), title(&live));
    assert_eq!(
        title(&told(&["report", "-c", config])),
        title(&live),
        "where no daemon answers, what it left"
    );
    let file = world.detour.state_dir().join("report.html");
    told(&["report", "--html", "-o", file.to_str().unwrap(), "--state", state]);
    let html = fs::read_to_string(&file).unwrap();
    assert!(html.contains("a look at &lt;fra&gt;") && html.contains("<h2>Timeline</h2>"), "{html}");
    assert_eq!(detour(&["report", "4711", "--state", state]).code, 1);
    let empty = world.detour.state_dir().join("nothing");
    assert_ne!(detour(&["report", "--state", empty.to_str().unwrap()]).code, 0);
    assert!(!empty.exists(), "to look makes nothing");
}

/// A terminal of its own, and what runs in it.
struct Terminal {
    folder: tempfile::TempDir,
}

impl Terminal {
    fn run(command: &str) -> Terminal {
        let terminal = Terminal { folder: tempfile::tempdir().unwrap() };
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command]);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let socket = self.folder.path().join("socket");
        let output =
            Command::new("tmux").env_remove("TMUX").arg("-u").arg("-S").arg(socket).args(args).output();
        let output = output.expect("tmux runs; ./test installs it");
        assert!(output.status.success(), "tmux {args:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Waits until all of this is on the screen.
    fn shows(&self, parts: &[&str]) -> String {
        until(&format!("the screen shows {parts:?}"), || {
            Some(self.screen()).filter(|screen| parts.iter().all(|part| screen.contains(part)))
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the screen ---\n{}\n---", self.screen());
        }
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn top_follows_a_failover_in_a_real_terminal() {
    let mut world = World::start(&setup());
    world.settles_on_fra();
    let top = format!(
        "{} top --every 200ms --control {}; echo ended with $?; stty -a; cat",
        env!("CARGO_BIN_EXE_detour"),
        world.detour.control
    );
    let terminal = Terminal::run(&top);
    terminal.shows(&["The one service is served from where it should be", "home", APP, "RECENT"]);

    world.fra.kill();
    world.settles_on_iad();
    let screen = terminal.shows(&["moved", "iad", "fra Down: 3 of 3 failed", "DOWN"]);
    assert!(screen.contains("s old"), "{screen}");
    terminal.press("Enter");
    terminal.shows(&["endpoint fra: Down", "connection refused", "Esc back"]);
    terminal.press("G");
    terminal.shows(&["the table answers", "next:"]);
    terminal.press("Escape");
    terminal.tmux(&["resize-window", "-x", "120", "-y", "30"]);
    terminal.shows(&["ANSWER", "SERVICE 1/1"]);
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.press("/");
    terminal.press("z");
    terminal.shows(&["search: z_", "no service is what you look for"]);
    terminal.press("Escape");

    // A daemon that is frozen answers nobody: what it said last stays, and how old it is cannot be missed.
    world.detour.signal("STOP");
    terminal.shows(&["NO ANSWER", "no answer within 4s", "moved"]);
    world.detour.signal("CONT");
    world.fra.revive();
    world.settles_on_fra();
    terminal.shows(&["The one service is served from where it should be", "home"]);

    terminal.press("q");
    let after = terminal.shows(&["ended with 0", "echoe"]);
    assert!(after.contains(" icanon") && after.contains(" echo "), "the terminal is as it was:\n{after}");
}

#[test]
fn top_ends_by_a_signal_without_colour_and_asks_for_a_terminal() {
    let world = World::start(&setup());
    world.settles_on_fra();
    let none = world.detour.cli(&["top"]);
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.stderr.contains("detour status"), "{none:?}");
    let top = format!(
        "NO_COLOR=1 {} top --control {} & echo $! > pid; fg; echo ended with $?; stty -a; cat",
        env!("CARGO_BIN_EXE_detour"),
        world.detour.control
    );
    let folder = tempfile::tempdir().unwrap();
    let terminal = Terminal::run(&format!("cd {} && bash -mc '{top}'", folder.path().display()));
    terminal.shows(&[APP, "home"]);
    let drawn = terminal.tmux(&["capture-pane", "-e", "-p"]);
    let colour = (0..8).find(|n| drawn.contains(&format!("\u{1b}[3{n}")));
    assert!(drawn.contains("\u{1b}[1m") && colour.is_none(), "bold and reversed, no colour: {drawn:?}");
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    crate::site::signal(pid.trim().parse().unwrap(), "TERM");
    let after = terminal.shows(&["ended with 0", "echoe"]);
    assert!(after.contains(" icanon") && after.contains(" echo "), "the terminal is as it was:\n{after}");
}

#[test]
fn top_ends_with_its_terminal() {
    let world = World::start(&setup());
    world.settles_on_fra();
    let folder = tempfile::tempdir().unwrap();
    let (at, detour) = (folder.path().display(), env!("CARGO_BIN_EXE_detour"));
    let control = &world.detour.control;
    let terminal =
        Terminal::run(&format!("cd {at} && echo $$ > pid && exec {detour} top --control {control}"));
    terminal.shows(&[APP, "home"]);
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    assert!(process.exists());
    // The connection breaks; the server of terminals lives on.
    terminal.tmux(&["new-session", "-d", "cat"]);
    terminal.tmux(&["kill-session", "-t", "0"]);
    until("top has ended", || (!process.exists()).then_some(()));
}
