//! What the daemon's tasks send the core, and how much of it may wait.

use tokio::sync::{mpsc, oneshot};

use crate::api::{PlotsAt, Snapshot};
use crate::dns::Name;
use crate::engine::{Command, CommandError, Explanation, Status};
use crate::policy::{Decision, Scope, Target};
use crate::zones::{Changed, LoadOutcome, NotTaken, PreparedLoad, Publisher, Refused, Rejected, Reloaded};

/// Inputs that may wait for the core; control and the loader wait for room.
pub const INPUT_QUEUE: usize = 64;
/// Samples that may wait for the core; probes wait for room.
pub const SAMPLE_QUEUE: usize = 16_384;
/// Secondaries ahead of us that may wait for the loader; of others is told when they are asked again.
pub const AHEAD_QUEUE: usize = 64;

/// What reaches the core besides samples.
pub enum Input {
    /// Read the engine's picture.
    Status(oneshot::Sender<View>),
    /// Read the chain behind one name.
    Explain(Name, oneshot::Sender<Option<Explanation>>),
    /// Read the last hour of a service's checks.
    Plots(Name, oneshot::Sender<Option<PlotsAt>>),
    /// Say which scope a word means, to set an override or to clear one.
    Resolve(Target, bool, oneshot::Sender<Result<Scope, CommandError>>),
    /// Copy the engine.
    Snapshot(oneshot::Sender<Snapshot>),
    /// An operator's command, answered with the decisions it led to.
    Command(Command, oneshot::Sender<Result<Vec<Decision>, CommandError>>),
    /// A checked configuration with the table compiled from its files.
    Loaded(Box<PreparedLoad>, oneshot::Sender<Reloaded>),
    /// Zones whose contents changed, with the table compiled from all zones.
    Changed(Box<Changed>, oneshot::Sender<Result<(), NotTaken>>),
    /// A configuration that was refused.
    Refused(Refused, oneshot::Sender<Rejected>),
    /// Panic, to test what becomes of it.
    #[cfg(test)]
    Panic,
    /// Write what is held, and end.
    Stop(oneshot::Sender<()>),
}

impl Publisher for mpsc::Sender<Input> {
    async fn load(&self, load: PreparedLoad) -> Option<Reloaded> {
        let (reply, loaded) = oneshot::channel();
        self.send(Input::Loaded(Box::new(load), reply)).await.ok()?;
        loaded.await.ok()
    }

    async fn reject(&self, refused: Refused) -> Option<Rejected> {
        let (reply, rejected) = oneshot::channel();
        self.send(Input::Refused(refused, reply)).await.ok()?;
        rejected.await.ok()
    }

    async fn change(&self, changed: Changed) -> Option<Result<(), NotTaken>> {
        let (reply, done) = oneshot::channel();
        self.send(Input::Changed(Box::new(changed), reply)).await.ok()?;
        done.await.ok()
    }

    fn is_gone(&self) -> bool {
        self.is_closed()
    }
}

/// The answer to [`Input::Status`].
#[derive(Clone)]
pub struct View {
    /// The engine's picture.
    pub status: Status,
    /// How the last load ended.
    pub last_load: LoadOutcome,
    /// What people should know.
    pub warnings: Vec<String>,
}
