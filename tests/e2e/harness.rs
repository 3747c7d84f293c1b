//! A daemon as the tests hold it: the real binary in a folder of its own, with real sites to look after.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use crate::dig::{Answer, Client};
use crate::site::{self, Site, sites};

pub const APP: &str = "app.example.com";

/// How long anything a test waits for may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(90);

/// Most tests run side by side; one that needs the whole machine takes this for writing.
pub static MACHINE: RwLock<()> = RwLock::new(());

/// Beside the configuration: how far off the host's clock is, as faketime has it (`+3h`, `-10y`).
pub const CLOCK: &str = "clock";

/// What differs from test to test, as TOML values.
pub struct Setup {
    pub interval: &'static str,
    pub timeout: &'static str,
    pub failback: &'static str,
    pub all_down: &'static str,
    pub ttl: &'static str,
    /// More lines for the service.
    pub service: &'static str,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            interval: "500ms",
            timeout: "400ms",
            failback: "{ mode = \"auto\", hold = \"1s\" }",
            all_down: "\"keep\"",
            ttl: "\"30s\"",
            service: "",
        }
    }
}

/// A daemon with a service at two sites, `fra` before `iad`.
pub struct World {
    pub fra: Site,
    pub iad: Site,
    pub detour: Detour,
    _machine: RwLockReadGuard<'static, ()>,
}

impl World {
    pub fn start(setup: &Setup) -> World {
        let machine = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        let [fra, iad] = sites(&[vec![own_address()], vec![own_address()]]);
        let detour = Detour::start(&config(setup, fra.port, &fra.addresses, &iad.addresses), &zone(1, ""));
        World { fra, iad, detour, _machine: machine }
    }

    /// Waits until `app` is answered with this one address, and nothing else.
    pub fn settles_on(&self, address: IpAddr) -> Answer {
        let address = address.to_string();
        until(&format!("{APP} answers {address}"), || {
            let answer = self.detour.ask(APP, "A");
            (answer.data() == [&address]).then_some(answer)
        })
    }

    pub fn settles_on_fra(&self) -> Answer {
        self.settles_on(self.fra.addresses[0])
    }

    pub fn settles_on_iad(&self) -> Answer {
        self.settles_on(self.iad.addresses[0])
    }
}

/// An address of 127.0.0.0/8 that no other test of this run has, nor a run beside this one.
pub fn own_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high | 0x80, low, NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// The configuration of one service at two sites.
pub fn config(setup: &Setup, port: u16, fra: &[IpAddr], iad: &[IpAddr]) -> String {
    let list =
        |addresses: &[IpAddr]| addresses.iter().map(|a| format!("\"{a}\"")).collect::<Vec<_>>().join(", ");
    format!(
        r#"
[server]
listen = ["127.0.0.1:0"]
state_dir = "state"
threads = 2

[control]
listen = "127.0.0.1:0"

[sites.fra]
[sites.iad]

[probes.web]
type = "http"
port = {port}
path = "/health"
expect = {{ status = ["200-299"], body = "OK" }}
interval = "{interval}"
confirm = "100ms"
timeout = "{timeout}"
fall = 3
rise = 2

[[zone]]
name = "example.com"
file = "example.com.zone"

[[service]]
name = "app.example.com"
ttl = {ttl}
ttl_suspect = "5s"
probes = ["web"]
failback = {failback}
all_down = {all_down}
{service}
endpoints = [
  {{ site = "fra", addresses = [{fra}] }},
  {{ site = "iad", addresses = [{iad}] }},
]
"#,
        interval = setup.interval,
        timeout = setup.timeout,
        ttl = setup.ttl,
        failback = setup.failback,
        all_down = setup.all_down,
        service = setup.service,
        fra = list(fra),
        iad = list(iad),
    )
}

/// The zone file with the given serial and further records.
pub fn zone(serial: u32, more: &str) -> String {
    format!(
        "$TTL 300\n\
         @    SOA ns1 hostmaster {serial} 3600 600 604800 60\n\
         @    NS  ns1\n\
         ns1  A   127.0.0.1\n\
         www  A   192.0.2.80\n\
         {more}\n"
    )
}

/// What a command of the CLI came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `detour` to its end.
pub fn detour<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_detour")).args(args).output().unwrap();
    Ran {
        code: output.status.code().expect("detour ends by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `detour serve` in a folder of its own; it is killed with this value.
pub struct Detour {
    folder: tempfile::TempDir,
    process: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Whether its log says that the first round of checks is over.
    decided: Arc<AtomicBool>,
    pub dns: SocketAddr,
    pub control: SocketAddr,
}

impl Detour {
    /// Starts it and waits until it listens and every service is decided.
    pub fn start(config: &str, zone: &str) -> Detour {
        let mut detour = Detour::spawn(config, &[("example.com.zone", zone)]);
        detour.await_listening();
        detour
    }

    /// Starts it with these zone files, and does not wait.
    pub fn spawn<S: AsRef<str>>(config: &str, zones: &[(S, S)]) -> Detour {
        let files: Vec<_> =
            zones.iter().map(|(name, text)| (name.as_ref(), text.as_ref().as_bytes())).collect();
        Detour::spawn_beside(config, &files)
    }

    /// The same with files of any kind.
    pub fn spawn_beside(config: &str, files: &[(&str, &[u8])]) -> Detour {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("detour.toml"), config).unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let log = Arc::default();
        let process = spawn(folder.path(), &log, None);
        Detour::at(folder, log, process)
    }

    /// [`Detour::start`] with no more than this many open files.
    pub fn start_within(files: u32, config: &str, zone: &str) -> Detour {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("detour.toml"), config).unwrap();
        fs::write(folder.path().join("example.com.zone"), zone).unwrap();
        let log = Arc::default();
        let process = spawn(folder.path(), &log, Some(files));
        let mut detour = Detour::at(folder, log, process);
        detour.await_listening();
        detour
    }

    fn at(
        folder: tempfile::TempDir,
        log: Arc<Mutex<Vec<String>>>,
        (process, decided): (Child, Arc<AtomicBool>),
    ) -> Detour {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Detour { folder, process, log, decided, dns: nowhere, control: nowhere }
    }

    /// Waits until the daemon listens, and its first round of checks is over.
    pub fn await_listening(&mut self) {
        self.await_bound();
        until("the first round of checks is over", || self.decided.load(Ordering::Relaxed).then_some(()));
    }

    /// Waits until the daemon has written where it listens.
    pub fn await_bound(&mut self) {
        let file = self.state_dir().join("addresses.json");
        let found: serde_json::Value = until("the daemon listens", || {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended before it listened: {ended:?}");
            serde_json::from_slice(&fs::read(&file).ok()?).ok()
        });
        self.dns = found["dns"][0].as_str().unwrap().parse().unwrap();
        self.control = found["control"].as_str().unwrap().parse().unwrap();
    }

    pub fn state_dir(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("detour.toml")
    }

    pub fn write_config(&self, config: &str) {
        fs::write(self.config_path(), config).unwrap();
    }

    pub fn config(&self) -> String {
        fs::read_to_string(self.config_path()).unwrap()
    }

    pub fn edit_config(&self, from: &str, to: &str) {
        let config = self.config();
        assert!(config.contains(from), "{from} is not in:\n{config}");
        self.write_config(&config.replace(from, to));
    }

    pub fn write_zone(&self, zone: &str) {
        self.write_file("example.com.zone", zone);
    }

    pub fn write_file(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Puts a whole file in the place of one that is there, at once.
    pub fn replace(&self, name: &str, bytes: &[u8]) {
        let (fresh, file) = (self.folder.path().join("fresh"), self.folder.path().join(name));
        fs::write(&fresh, bytes).unwrap();
        fs::rename(&fresh, &file).unwrap();
    }

    /// SIGKILL, from one instant to the next.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGTERM; gives the exit code.
    pub fn stop(&mut self) -> i32 {
        self.signal("TERM");
        self.process.wait().unwrap().code().expect("SIGTERM ends it in order")
    }

    pub fn signal(&self, name: &str) {
        site::signal(self.process.id(), name);
    }

    /// Starts it again after [`Detour::kill`] or [`Detour::stop`], and does not wait.
    pub fn spawn_again(&mut self) {
        // It may not have come as far as writing the file.
        let _ = fs::remove_file(self.state_dir().join("addresses.json"));
        (self.process, self.decided) = spawn(self.folder.path(), &self.log, None);
    }

    /// The same, and waits until it listens.
    pub fn start_again(&mut self) {
        self.spawn_again();
        self.await_listening();
    }

    /// Asks over UDP. That no answer comes is a failure: the daemon is up.
    pub fn ask(&self, name: &str, rtype: &str) -> Answer {
        Client::of(self.dns).ask(name, rtype).unwrap_or_else(|| panic!("no answer to {name} {rtype}"))
    }

    /// The zone's serial, as clients see it.
    pub fn serial(&self) -> u32 {
        let soa = self.ask("example.com", "SOA");
        soa.records[0].data.split_whitespace().nth(2).unwrap().parse().unwrap()
    }

    /// Runs a command of the CLI against this daemon.
    pub fn cli(&self, args: &[&str]) -> Ran {
        let control = self.control.to_string();
        detour(&[args, &["--control", &control]].concat())
    }

    /// The same, and it must succeed; gives what it printed.
    pub fn told(&self, args: &[&str]) -> String {
        let ran = self.cli(args);
        assert_eq!(ran.code, 0, "detour {args:?}: {ran:?}");
        ran.stdout
    }

    /// Status and body of a GET on the control address.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.control).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.control).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Whether every check says Down.
    pub fn all_down(&self) -> bool {
        let checks = &self.json("/v1/status")["engine"]["checks"];
        checks.as_array().unwrap().iter().all(|check| check["health"] == "down")
    }

    pub fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        // It may have been killed before; then there is nothing left to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}\n---", self.log());
        }
    }
}

/// Asks again and again until there is something; patience that ends first is a failure.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited {PATIENCE:?} in vain until {what}");
}

/// The process, and whether its log says that the first round is over.
fn spawn(folder: &Path, log: &Arc<Mutex<Vec<String>>>, files: Option<u32>) -> (Child, Arc<AtomicBool>) {
    let mut command = Command::new(if files.is_some() { "prlimit" } else { env!("CARGO_BIN_EXE_detour") });
    if let Some(files) = files {
        // It becomes what it starts, so the process is the daemon's own.
        command.arg(format!("--nofile={files}")).arg(env!("CARGO_BIN_EXE_detour"));
    }
    if folder.join(CLOCK).exists() {
        // Its host's clock is as far off as the file says; the steady one is not.
        command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketimeMT.so.1");
        command.env("FAKETIME_TIMESTAMP_FILE", folder.join(CLOCK)).env("FAKETIME_CACHE_DURATION", "1");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
    }
    let mut process = command
        .args(["serve", "-c"])
        .arg(folder.join("detour.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(process.stderr.take().unwrap());
    let log = log.clone();
    let decided = Arc::new(AtomicBool::new(false));
    let over = decided.clone();
    // Ends with the process: then its stderr does.
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            if line.contains("the first round of checks is over") {
                over.store(true, Ordering::Relaxed);
            }
            log.lock().unwrap().push(line);
        }
    });
    (process, decided)
}
