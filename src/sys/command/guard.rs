//! The guard: a process that ends the daemon's commands when the daemon itself was killed.
//!
//! A command is a process group, and the kernel ends none with its parent: `PR_SET_PDEATHSIG` reaches the first process
//! of a group alone, goes off when the *thread* that started it ends, and takes a fork of the whole daemon to set. So
//! the daemon tells a small process of its own, over a socket, which groups there are. The kernel closes the socket
//! with the daemon, however that ends, and what is left then is killed.
//!
//! ```text
//!   daemon ── "+4711" a group began ──► guard ── the socket is closed ──► SIGKILL to the groups left, and its end
//!          ── "-4711" it was ended ───►
//! ```

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::Pid;

/// The hidden command of this program that is the guard.
pub const COMMAND: &str = "guard-commands";

/// Whether this program's file knows [`COMMAND`]: that of a test does not.
static ENABLED: AtomicBool = AtomicBool::new(false);
static GUARDED: Mutex<Guarded> = Mutex::new(Guarded { groups: BTreeSet::new(), guard: None });

/// The groups there are, as many as commands may run at once, and who guards them.
struct Guarded {
    groups: BTreeSet<i32>,
    guard: Option<(Child, UnixStream)>,
}

/// Has the commands that start from now on guarded; the first one starts the guard.
pub fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// A process group began.
pub(super) fn begin(group: Pid) {
    tell(|groups| groups.insert(group.as_raw()), &format!("+{group}\n"));
}

/// A process group was ended.
pub(super) fn end(group: Pid) {
    tell(|groups| groups.remove(&group.as_raw()), &format!("-{group}\n"));
}

fn tell(note: impl FnOnce(&mut BTreeSet<i32>) -> bool, line: &str) {
    if !ENABLED.load(Ordering::Relaxed) {
        return;
    }
    let mut guarded = GUARDED.lock().unwrap_or_else(PoisonError::into_inner);
    note(&mut guarded.groups);
    let told = guarded.guard.as_mut().is_some_and(|(_, socket)| socket.write_all(line.as_bytes()).is_ok());
    if !told && let Err(error) = guarded.start() {
        tracing::warn!(%error, "commands would go on if this process were killed: their guard does not start");
    }
}

impl Guarded {
    /// Starts a guard that knows all groups, in the place of one that is gone or does not read.
    fn start(&mut self) -> io::Result<()> {
        if let Some((mut old, _socket)) = self.guard.take() {
            // SIGKILL, so that it does not take the closing of its socket for our end.
            let _ = old.kill();
            let _ = old.wait();
        }
        if self.groups.is_empty() {
            return Ok(());
        }
        let (mut ours, theirs) = UnixStream::pair()?;
        // A guard that does not read must not hold up the daemon.
        ours.set_nonblocking(true)?;
        let guard = Command::new("/proc/self/exe")
            .arg(COMMAND)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()?;
        let known: Vec<String> = self.groups.iter().map(|group| format!("+{group}\n")).collect();
        ours.write_all(known.concat().as_bytes())?;
        self.guard = Some((guard, ours));
        Ok(())
    }
}

/// The guard itself: reads until its input is closed, and kills what is left.
///
/// # Errors
///
/// Why its input cannot be read.
pub fn run() -> io::Result<()> {
    // Those who end a whole service send these to each of its processes; this one goes last.
    let kept = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];
    kept.into_iter().collect::<SigSet>().thread_block()?;
    for group in left(io::stdin().lock()) {
        // There is nobody left to kill where this fails.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    Ok(())
}

/// The groups that began and were not ended, when there is nothing more to read.
fn left(lines: impl BufRead) -> BTreeSet<i32> {
    let mut groups = BTreeSet::new();
    for line in lines.lines().map_while(Result::ok) {
        let number = |text: &str| text.parse::<i32>().ok().filter(|group| *group > 1);
        if let Some(group) = line.strip_prefix('+').and_then(number) {
            groups.insert(group);
        } else if let Some(group) = line.strip_prefix('-').and_then(number) {
            groups.remove(&group);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_and_was_not_ended_is_left() {
        let check =
            |lines: &str, want: &[i32]| assert_eq!(left(lines.as_bytes()), want.iter().copied().collect());
        check("", &[]);
        check("+12\n+13\n-12\n", &[13]);
        // A line cut short by the daemon's end names another group than was meant only if it has fewer digits; none
        // and everybody are never meant.
        check("+0\n+1\n+-5\n+x\n+7\n", &[7]);
    }
}
