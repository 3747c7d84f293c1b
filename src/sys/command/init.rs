//! What the first process of a container, or of any PID namespace, has to do besides its work: take up orphans.
//!
//! A process whose parent is gone becomes the child of the first one, and stays a zombie until that one waits for it.
//! The daemon waits for its own children and for no others, so that it never takes away what another part of it waits
//! for. So where it is the first process, it stays a small one that waits for everybody, hands signals on, and has the
//! daemon as its child.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The signals that are handed on to the daemon.
const HANDED_ON: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// Whether this is the first process of its PID namespace.
pub fn is_first() -> bool {
    std::process::id() == 1
}

/// Takes the signals again that [`run`] has blocked in itself: a program starts with what its parent has blocked. It
/// is to be called before there is another thread.
///
/// # Errors
///
/// Why they stay blocked.
pub fn take_signals() -> io::Result<()> {
    Ok(signals().thread_unblock()?)
}

fn signals() -> SigSet {
    HANDED_ON.into_iter().chain([Signal::SIGCHLD]).collect()
}

/// Runs this program once more, with the same arguments, and waits for it and for all orphans meanwhile. Gives the exit
/// code: the program's own, or 128 and the signal that ended it.
///
/// # Errors
///
/// Why it does not start, or cannot be waited for.
pub fn run() -> io::Result<u8> {
    let signals = signals();
    // Before the start, so that none is lost.
    signals.thread_block()?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "detour".into());
    // A group of its own: what a terminal sends to ours is handed on, and must not come twice.
    let program = Command::new("/proc/self/exe").arg0(name).args(arguments).process_group(0).spawn()?;
    let program = Pid::from_raw(i32::try_from(program.id()).map_err(io::Error::other)?);
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => {
                if let Some(code) = take_up(program)? {
                    return Ok(code);
                }
            }
            signal => match kill(program, signal) {
                // It has ended, which is told next.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            },
        }
    }
}

/// Waits for all who have ended; the program's exit code if it is among them.
fn take_up(program: Pid) -> io::Result<Option<u8>> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => ended = Some(exit_code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                ended = Some(exit_code(128 + signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(ended),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// An exit code, which has eight bits.
fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}
