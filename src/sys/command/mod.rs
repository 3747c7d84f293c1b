//! A command of this host and whomever it starts: one process group, ended as a whole.
//!
//! In: a program and its arguments, run as they stand, by no shell. Out: how it ended. Whoever lets go of a
//! [`Group`] ends all of it; where nobody can any more, as the daemon was killed, `guard` does. `init` is what the
//! first process of a container has to do besides.

pub mod guard;
pub mod init;

use std::io;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};

/// Where commands find others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command with nothing of this process's environment but a path.
pub fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH);
    command
}

/// A command and whomever it started, killed when this is dropped.
pub struct Group {
    child: Child,
    /// The group's number: the child's, which the child itself forgets once it was waited for.
    id: Option<Pid>,
}

impl Group {
    /// Starts a command in a process group of its own.
    pub fn spawn(command: &mut Command) -> io::Result<Group> {
        // Killed on drop, so that it is reaped when nobody waits for it any more.
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        id.inspect(|id| guard::begin(*id));
        Ok(Group { child, id })
    }

    /// Waits for the command itself; whom it started may go on.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Its standard input, where that is a pipe; once.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Kills whoever is left of it, once: later the number may be somebody else's. Right after the wait
    /// it is not, as the kernel goes through all others before it gives a number again.
    pub fn kill(&mut self) {
        if let Some(id) = self.id.take() {
            // There is nobody left to kill where this fails.
            let _ = killpg(id, Signal::SIGKILL);
            guard::end(id);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
