//! `detour serve`

use std::path::Path;
use std::process::ExitCode;

use super::logging;
use crate::command::guard;
use crate::config;
use crate::daemon;

/// Serves in the foreground until a signal ends it.
pub async fn run(config: &Path) -> anyhow::Result<ExitCode> {
    logging::start(config::log_format(config));
    guard::enable();
    daemon::serve(config).await?;
    Ok(ExitCode::SUCCESS)
}
