//! The word to stop, as those who wait for it hear it.

use tokio::sync::watch;

/// Ends when it is time to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says the sender is gone, which means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
