//! Nameservers of others, each in a folder of its own. One that ends before it has answered, or writes to its log
//! that it cannot go on, is started again: NSD can lose its own children in the first moments of a busy machine,
//! and a port can still be somebody else's.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often one is started again before it has answered.
const AGAIN: u32 = 3;
/// How long one may take to begin, on a machine that is busy with other things; and to end.
const PATIENCE: Duration = Duration::from_secs(90);
const END: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// What logs say, in small letters, of a server that lives on and will not answer: NSD without its children, and
/// whoever goes on without the port.
const CANNOT: [&str; 5] = [
    "did not get start signal",
    "problems sending reload",
    "address already in use",
    "address in use",
    "unable to listen",
];

/// A server and what it is run with; it ends with this value, and its log is shown where the test fails.
pub struct Nameserver {
    program: &'static str,
    args: &'static [&'static str],
    folder: PathBuf,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    /// Where its part of the log begins.
    log: usize,
    answered: bool,
    again: u32,
}

impl Nameserver {
    /// One that runs in `folder`, where its log is the file `log`. It is not started.
    pub fn new(program: &'static str, args: &'static [&'static str], folder: PathBuf) -> Nameserver {
        Nameserver { program, args, folder, running: Mutex::new(None) }
    }

    /// Starts it. Whoever waits for its answers asks by [`Nameserver::tended`].
    pub fn start(&self) {
        *self.lock() = Some(self.run(AGAIN));
    }

    fn run(&self, again: u32) -> Running {
        let log = self.log().len();
        let file = fs::File::options().append(true).create(true).open(self.folder.join("log")).unwrap();
        let child = Command::new(self.program)
            .args(self.args)
            .current_dir(&self.folder)
            // Its children are in the group, and end with it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; ./test installs it", self.program));
        Running { child, log, answered: false, again }
    }

    /// What `ask` hears of it. Where that is nothing, and never was anything since it was started, it is started
    /// again if it has ended or will not answer.
    pub fn tended<T>(&self, ask: impl FnOnce() -> Option<T>) -> Option<T> {
        let heard = ask();
        let mut running = self.lock();
        let Some(now) = running.as_mut() else { return heard };
        now.answered |= heard.is_some();
        if now.answered {
            return heard;
        }
        let ended = now.child.try_wait().unwrap().map(|status| status.to_string());
        let cannot = || {
            let log = self.log().split_off(now.log).to_lowercase();
            CANNOT.iter().find(|what| log.contains(*what)).map(|what| format!("its log says {what:?}"))
        };
        let Some(why) = ended.or_else(cannot) else { return heard };
        assert!(now.again > 0, "{} does not start: {why}\n{}", self.program, self.log());
        eprintln!("{} is started again before its first answer: {why}", self.program);
        now.end("KILL");
        // Whoever has the port may be about to end.
        thread::sleep(LOOK);
        *now = self.run(now.again - 1);
        heard
    }

    /// Asks until there is an answer.
    pub fn await_answer<T>(&self, ask: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(heard) = self.tended(&ask) {
                return heard;
            }
            thread::sleep(LOOK);
        }
        panic!("{} does not answer within {PATIENCE:?}:\n{}", self.program, self.log());
    }

    /// Ends it, in order: what it has is on its disk then.
    pub fn stop(&self) {
        if let Some(mut running) = self.lock().take() {
            running.end("TERM");
        }
    }

    /// Sends a signal to it, if it runs.
    pub fn signal(&self, name: &str) {
        if let Some(running) = self.lock().as_ref() {
            assert!(signal(&running.child.id().to_string(), name), "kill -{name} {}", self.program);
        }
    }

    /// The processes that answer for it now: those of its group that have no others below them, it itself aside.
    pub fn workers(&self) -> BTreeSet<u32> {
        let Some(leader) = self.lock().as_ref().map(|running| running.child.id()) else {
            return BTreeSet::new();
        };
        let processes = fs::read_dir("/proc").unwrap();
        let processes = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        // After the name, which may hold anything: state, parent, group (proc(5)).
        let of = |process: u32| -> Option<(u32, u32)> {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
            let mut number = || words.next()?.parse().ok();
            let (parent, group): (u32, u32) = (number()?, number()?);
            (group == leader).then_some((process, parent))
        };
        let all: Vec<(u32, u32)> = processes.filter_map(of).collect();
        let is_worker =
            |&process: &u32| process != leader && all.iter().all(|(_, parent)| *parent != process);
        all.iter().map(|(process, _)| *process).filter(is_worker).collect()
    }

    /// All that it wrote to its log.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Has it end, and whatever is left of it.
    fn end(&mut self, by: &str) {
        // It may have ended by itself; then there is nobody to tell.
        signal(&self.child.id().to_string(), by);
        let deadline = Instant::now() + END;
        while Instant::now() < deadline && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            thread::sleep(Duration::from_millis(10));
        }
        signal(&format!("-{}", self.child.id()), "KILL");
        let _ = self.child.wait();
    }
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            eprintln!("--- the log of {} ---\n{}\n---", self.program, self.log());
        }
    }
}

/// Whether there was somebody to tell.
fn signal(whom: &str, name: &str) -> bool {
    let told = Command::new("sh").args(["-c", "kill -s \"$0\" -- \"$1\" 2>/dev/null", name, whom]).status();
    told.unwrap().success()
}
