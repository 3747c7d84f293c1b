//! The `exec` probe: a command of this host, whose exit code is the verdict.
//!
//! The command is run as it stands, by no shell, in a process group of its own. Whatever ends the run,
//! its end, its timeout, a reload or the daemon's stop, ends the whole group.
//!
//! ```text
//!   turn ──► spawn ──► read both pipes ──► ended: exit code, signal ─► Ok, Exit, Killed, discarded
//!              │              │  └───────► too much printed ─────────► Flood        } the group
//!              │              └──────────► dropped: timeout, abort ──► Hung, nobody } is killed
//!              └ refused: this host's fault, discarded
//! ```

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::failure::bounded;
use super::progress::Course;
use crate::health::{Discard, Failure, Outcome, Phase, Warning};
use crate::model::{Check, ExecProbe, ExitCodes, ExitVerdict};
use crate::sys::command::{Group, bare};

/// Commands at once, until the configuration says otherwise.
const DEFAULT_COMMANDS: usize = 64;
/// What a command may print, in bytes, to both of its outputs together.
const MAX_OUTPUT: usize = 1024 * 1024;
/// How much of the beginning of each output is kept for its first line, in bytes.
const MAX_KEPT: usize = 1024;
/// How much of a script's first line is read for its interpreter, in bytes: as much as Linux does.
const MAX_INTERPRETER: usize = 256;
/// What is read in one go, in bytes.
const CHUNK: usize = 4 * 1024;

/// How many commands may run at once.
#[derive(Debug)]
pub(super) struct Commands(Mutex<(usize, Arc<Semaphore>)>);

/// The right to run one of them.
pub(super) type Turn = OwnedSemaphorePermit;

impl Commands {
    pub(super) fn new() -> Commands {
        Commands(Mutex::new((DEFAULT_COMMANDS, Arc::new(Semaphore::new(DEFAULT_COMMANDS)))))
    }

    /// Changes it for those that come from now on.
    pub(super) fn limit(&self, max: usize) {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.0 != max {
            *turns = (max, Arc::new(Semaphore::new(max)));
        }
    }

    /// Waits for a turn; first come, first served.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let turns = self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
        // Fails on a semaphore that is closed, and none ever is.
        turns.acquire_owned().await.ok()
    }
}

/// Runs the command for `addr` and waits for its end.
pub(super) async fn ask(addr: IpAddr, check: &Check, exec: &ExecProbe, course: &Course) -> Outcome {
    course.enter(Phase::Command);
    course.note(Some(Failure::Hung { line: String::new() }));
    let program = exec.command.first().map_or("", String::as_str);
    let refused = |error: &io::Error| {
        let why = bounded(&not_started(program, &exec.cwd, error));
        tracing::warn!(check = %check.key, %why, "a probe's command does not start");
        Outcome::Discarded(Discard::Local(why))
    };
    let (mut group, mut out, mut err) = match spawn(addr, check, exec) {
        Ok(spawned) => spawned,
        Err(error) => return refused(&error),
    };
    loop {
        let (mut from_out, mut from_err) = ([0; CHUNK], [0; CHUNK]);
        tokio::select! {
            ended = group.wait() => {
                return match ended {
                    Ok(status) => {
                        // Whom it left behind may hold the pipes, and shall not outlive it.
                        group.kill();
                        out.rest();
                        err.rest();
                        verdict(&exec.exit, status, first_line(&out, &err), course)
                    }
                    Err(error) => refused(&error),
                };
            }
            read = out.pipe.read(&mut from_out), if out.open => out.take(read, &from_out),
            read = err.pipe.read(&mut from_err), if err.open => err.take(read, &from_err),
        }
        let line = first_line(&out, &err);
        if out.count + err.count > MAX_OUTPUT {
            return Outcome::Failed(Failure::Flood { limit: MAX_OUTPUT, line });
        }
        course.note(Some(Failure::Hung { line }));
    }
}

fn verdict(exit: &ExitCodes, status: ExitStatus, line: String, course: &Course) -> Outcome {
    let Some(code) = status.code() else {
        return Outcome::Failed(Failure::Killed { signal: status.signal().unwrap_or_default(), line });
    };
    match exit.verdict(code) {
        ExitVerdict::Pass => {
            if code != 0 {
                course.warn(Warning::Command { code, line });
            }
            Outcome::Ok
        }
        ExitVerdict::Fail => Outcome::Failed(Failure::Exit { code, line }),
        ExitVerdict::Discard => Outcome::Discarded(Discard::Exit { code, line }),
    }
}

/// Why a command did not start, where the operating system's word leaves it open which file is meant: the program,
/// what its first line names as its interpreter, or the folder it is run in.
fn not_started(program: &str, cwd: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        if !cwd.is_dir() {
            return format!("cannot run {program}: its folder {} does not exist", cwd.display());
        }
        if let Some(interpreter) = interpreter(program) {
            return format!("cannot run {program}: its interpreter {interpreter} does not exist");
        }
    }
    format!("cannot run {program}: {error}")
}

/// The interpreter that the first line of a script names, where there is no such file.
fn interpreter(program: &str) -> Option<String> {
    let mut head = [0; MAX_INTERPRETER];
    let read = File::open(program).and_then(|mut file| file.read(&mut head)).ok()?;
    let line = head[..read].strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    // A line of another system ends in a carriage return, which is then part of the name.
    let words = String::from_utf8_lossy(line).into_owned();
    let named = words.trim_start_matches([' ', '\t']).split([' ', '\t']).next()?;
    (!Path::new(named).exists()).then(|| match named.strip_suffix('\r') {
        Some(unix) => format!("{unix} with a carriage return (save the script with Unix line ends)"),
        None => named.to_owned(),
    })
}

fn spawn(addr: IpAddr, check: &Check, exec: &ExecProbe) -> io::Result<(Group, Output, Output)> {
    let given = Given::of(addr, check);
    let (out, to_out) = io::pipe()?;
    let (err, to_err) = io::pipe()?;
    let mut words = exec.command.iter().map(|word| given.put_into(word));
    let mut command = bare(words.next().unwrap_or_default());
    command
        .args(words)
        .envs(exec.env.iter().map(|(name, value)| (name, given.put_into(value))))
        .envs(given.variables())
        .current_dir(&exec.cwd)
        .stdin(Stdio::null())
        .stdout(to_out)
        .stderr(to_err);
    let group = Group::spawn(&mut command)?;
    // The command holds our ends of what it writes to until it is dropped.
    drop(command);
    Ok((group, Output::of(out)?, Output::of(err)?))
}

/// One of the two things a command prints to.
struct Output {
    pipe: pipe::Receiver,
    open: bool,
    head: Vec<u8>,
    count: usize,
}

impl Output {
    fn of(pipe: PipeReader) -> io::Result<Output> {
        let pipe = pipe::Receiver::from_owned_fd(pipe.into())?;
        Ok(Output { pipe, open: true, head: Vec::new(), count: 0 })
    }

    fn take(&mut self, read: io::Result<usize>, bytes: &[u8]) {
        let read = read.unwrap_or(0);
        self.open = read > 0;
        self.count += read;
        let room = MAX_KEPT - self.head.len();
        self.head.extend_from_slice(&bytes[..read.min(room)]);
    }

    /// What is in the pipe once the command has ended. Somebody that left the group may hold it open, so
    /// its end is not waited for; and the runtime may not have noticed yet that there is anything in it.
    fn rest(&mut self) {
        let Ok(pipe) = self.pipe.as_fd().try_clone_to_owned() else { return };
        let (mut pipe, mut bytes) = (File::from(pipe), [0; MAX_KEPT]);
        if self.open && self.head.len() < MAX_KEPT {
            let read = pipe.read(&mut bytes);
            self.take(read, &bytes);
        }
    }
}

/// The first line of what was printed that is not empty, of errors where nothing else was said.
fn first_line(out: &Output, err: &Output) -> String {
    let first = |output: &Output| {
        let text = String::from_utf8_lossy(&output.head);
        text.lines().map(str::trim).find(|line| !line.is_empty()).map(bounded)
    };
    first(out).or_else(|| first(err)).unwrap_or_default()
}

/// What a command is told of its check.
struct Given {
    address: String,
    port: String,
    service: String,
    probe: String,
}

impl Given {
    fn of(addr: IpAddr, check: &Check) -> Given {
        let port = check.probe.port;
        Given {
            address: addr.to_string(),
            port: if port == 0 { String::new() } else { port.to_string() },
            service: check.key.host.as_deref().unwrap_or_default().to_owned(),
            probe: check.probe.id.to_string(),
        }
    }

    fn named(&self) -> [(&'static str, &'static str, &str); 4] {
        [
            ("{address}", "DETOUR_ADDRESS", &self.address),
            ("{port}", "DETOUR_PORT", &self.port),
            ("{service}", "DETOUR_SERVICE", &self.service),
            ("{probe}", "DETOUR_PROBE", &self.probe),
        ]
    }

    /// The text with its placeholders filled in. None of the values holds a brace.
    fn put_into(&self, text: &str) -> String {
        self.named().iter().fold(text.to_owned(), |text, (mark, _, value)| text.replace(mark, value))
    }

    /// The variables of those that have a value.
    fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.named()
            .into_iter()
            .filter(|(_, _, value)| !value.is_empty())
            .map(|(_, name, value)| (name, value))
    }
}
