//! `detour serve`: a daemon that lives until a signal ends it.

use std::path::Path;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use super::start_with;
use crate::api::Daemon;
use crate::state::Newer;

/// Serves until SIGTERM or SIGINT; SIGHUP reloads.
pub async fn serve(path: &Path, newer: Newer) -> anyhow::Result<()> {
    // Before the start, so that a signal during the first round is not lost.
    let mut hangup = signal(SignalKind::hangup()).context("SIGHUP")?;
    let mut term = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("SIGINT")?;
    let running = tokio::select! {
        running = start_with(path, newer) => running?,
        _ = term.recv() => return Ok(()),
        _ = int.recv() => return Ok(()),
    };
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                info!("SIGHUP: reloading");
                let handle = running.handle.clone();
                // The core logs the outcome; a stop must not wait behind a reload.
                tokio::spawn(async move { drop(handle.reload(false).await) });
            }
            _ = term.recv() => break,
            _ = int.recv() => break,
        }
    }
    running.stop().await;
    Ok(())
}
