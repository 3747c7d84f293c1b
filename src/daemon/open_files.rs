//! How many files this process may open, and who gets how many of them. In: the limit it was started with. Out: that
//! limit as high as it goes, and each one's share of it. It must never know what the files are.
//!
//! What is for the state, for zones and for messages to others is never given to clients: a flood of connections must
//! not keep this process from probing, deciding or writing down what it decided.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{api, probe, server};

/// Raises the soft limit on open files to the hard one, and says what that is. Shells and service managers
/// start processes with 1024, for the sake of programs that use `select`; half of that many probe runs would
/// be under way after a tenth of a second of black holes.
pub fn raise() -> Result<usize, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(usize::try_from(hard).unwrap_or(usize::MAX))
}

/// How many connections each listener may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// DNS over TCP.
    pub dns: usize,
    /// The API.
    pub control: usize,
    /// Sites that call in.
    pub heartbeat: usize,
}

impl Shares {
    /// Of so many files: what probes leave, less `sockets` of our own and a quarter for the state, zones, transfers and
    /// messages to others. `heartbeat` says whether sites call in.
    pub fn of(files: usize, sockets: usize, heartbeat: bool) -> Shares {
        let others = probe::files_for_others(files);
        let control = (others / 8).clamp(2, api::MAX_CONNECTIONS);
        let heartbeat = if heartbeat { (others / 8).clamp(2, api::MAX_CALLERS) } else { 0 };
        let taken = [others / 4, sockets, control, heartbeat].iter().sum();
        let dns = others.saturating_sub(taken).clamp(1, server::MAX_CONNECTIONS);
        Shares { dns, control, heartbeat }
    }

    /// Whether the limit on open files leaves less than there could be.
    pub fn are_small(self) -> bool {
        self.dns < server::MAX_CONNECTIONS || self.control < api::MAX_CONNECTIONS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_probes_state_and_control() {
        let check = |files: usize, dns, control, heartbeat| {
            assert_eq!(Shares::of(files, 10, true), Shares { dns, control, heartbeat }, "of {files}");
        };
        check(64, 6, 4, 4);
        check(256, 54, 16, 16);
        check(1024, 246, 64, 64);
        check(4096, 1024, 128, 256);
        check(65_536, 1024, 128, 512);
        check(usize::MAX, 1024, 128, 512);
        // Whatever the limit is, all of them together leave half of it.
        for files in 64..10_000 {
            let Shares { dns, control, heartbeat } = Shares::of(files, 10, true);
            assert!(dns + control + heartbeat + 10 <= files.div_ceil(2), "of {files}");
        }
    }

    #[test]
    fn who_does_not_listen_gets_none() {
        assert_eq!(Shares::of(1024, 10, false), Shares { dns: 310, control: 64, heartbeat: 0 });
    }
}
