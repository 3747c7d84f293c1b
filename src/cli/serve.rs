//! `detour serve`

use std::path::Path;
use std::process::ExitCode;

use super::logging;
use crate::config;
use crate::daemon;
use crate::state::Newer;
use crate::sys::command::guard;

/// What `detour serve` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep a state that a newer version wrote aside, and begin with what can be restored of it
    #[arg(long)]
    set_state_aside: bool,
}

/// Serves in the foreground until a signal ends it.
pub async fn run(config: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let newer = if args.set_state_aside { Newer::SetAside } else { Newer::Refuse };
    logging::start(config::log_format(config));
    guard::enable();
    daemon::serve(config, newer).await?;
    Ok(ExitCode::SUCCESS)
}
