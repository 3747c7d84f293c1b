//! The watcher: asks for a reload when a configuration or zone file changed.
//!
//! It polls, because that also sees files replaced by rename, symlinks that are switched, and network
//! file systems, where change notices are lost. A change counts once it has stood still for one poll, so
//! that a file is not read while it is being written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tracing::info;

use super::messages::Ask;

/// Between two looks at the files.
const POLL: Duration = Duration::from_secs(1);

/// What tells one state of a file from another; `None` when it cannot be read.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The state of every file.
type Stamps = BTreeMap<PathBuf, Stamp>;

/// Polls the current list of files until nobody takes reloads any more.
pub async fn run(files: watch::Receiver<Vec<PathBuf>>, reload: mpsc::Sender<Ask>) {
    let mut loaded = stamps(&files.borrow());
    let mut last = loaded.clone();
    loop {
        sleep(POLL).await;
        let listed = files.borrow().clone();
        let now = stamps(&listed);
        // A file that a load has just added is taken as it stands now; one that was watched before is
        // held against what it was, so that a change during the load is not missed.
        loaded = now.iter().map(|(path, stamp)| (path.clone(), *loaded.get(path).unwrap_or(stamp))).collect();
        if now != loaded && now == last {
            info!("a configuration or zone file changed: reloading");
            loaded.clone_from(&now);
            if reload.send(Ask::Reload(None)).await.is_err() {
                return;
            }
        }
        last = now;
    }
}

fn stamps(files: &[PathBuf]) -> Stamps {
    let stamp = |path: &PathBuf| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    };
    files.iter().map(|path| (path.clone(), stamp(path))).collect()
}
