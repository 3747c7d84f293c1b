//! How many files this process may open: as many as it can get. In: the limits it was started with. Out: the
//! soft one at the hard one. It must never know what the files are.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard one, and says what that is. Shells and service managers
/// start processes with 1024, for the sake of programs that use `select`; half of that many probe runs would
/// be under way after a tenth of a second of black holes.
pub fn raise() -> Result<u64, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}
