//! `detour serve`

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::daemon;

/// Serves in the foreground until a signal ends it.
pub async fn run(config: &Path) -> anyhow::Result<ExitCode> {
    let filter = EnvFilter::try_from_env("DETOUR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    daemon::serve(config).await?;
    Ok(ExitCode::SUCCESS)
}
