//! Tasks that end with the run they belong to: HTTP/2's library wants to start some.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::rt::Executor;
use tokio::task::JoinSet;

/// A run's tasks; broken off when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Tasks {
    /// What starts them.
    pub(super) fn starter(&self) -> Starter {
        Starter(Arc::downgrade(&self.0))
    }
}

/// Starts tasks for a run. A task that holds one does not keep itself alive by it.
#[derive(Clone, Debug)]
pub(super) struct Starter(Weak<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Starter
where
    F: Future + Send + 'static,
{
    fn execute(&self, task: F) {
        let Some(tasks) = self.0.upgrade() else { return };
        // Spawning leaves the set whole, whoever panicked before.
        tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            task.await;
        });
    }
}
