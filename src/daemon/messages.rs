//! What the daemon's tasks send each other, and how much of it may wait.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::differences::Differences;
use super::past::Past;
use super::publisher::Publisher;
use crate::answer::Table;
use crate::api::{Frozen, LoadOutcome, PlotsAt, Rejected, Reloaded, RolledBack, Snapshot};
use crate::config::BrokenZone;
use crate::dns::{Name, Serial};
use crate::engine::{Command, CommandError, Explanation, Happened, Load, Saved, Status, Undecided, ZoneBase};
use crate::policy::{Decision, Scope, Target};
use crate::zone::{Update, UpdateError, Zone};

/// Inputs that may wait for the core; control and the loader wait for room.
pub const INPUT_QUEUE: usize = 64;
/// Samples that may wait for the core; probes wait for room.
pub const SAMPLE_QUEUE: usize = 16_384;
/// Reloads, updates and transfers that may wait; further askers wait for room.
pub const RELOAD_QUEUE: usize = 64;
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
    Loaded(Box<Fresh>, oneshot::Sender<Reloaded>),
    /// Zones whose contents changed, with the table compiled from all zones.
    Changed(Box<Changed>, oneshot::Sender<Result<(), Outdated>>),
    /// A configuration that was refused.
    Refused(Refused, oneshot::Sender<Rejected>),
    /// Panic, to test what becomes of it.
    #[cfg(test)]
    Panic,
    /// Write what is held, and end.
    Stop(oneshot::Sender<()>),
}

impl Publisher for mpsc::Sender<Input> {
    async fn load(&self, load: Fresh) -> Option<Reloaded> {
        let (reply, loaded) = oneshot::channel();
        self.send(Input::Loaded(Box::new(load), reply)).await.ok()?;
        loaded.await.ok()
    }

    async fn reject(&self, refused: Refused) -> Option<Rejected> {
        let (reply, rejected) = oneshot::channel();
        self.send(Input::Refused(refused, reply)).await.ok()?;
        rejected.await.ok()
    }

    async fn change(&self, changed: Changed) -> Option<Result<(), Outdated>> {
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

/// Somebody who asked for a reload and waits for its outcome.
pub type Asker = Option<oneshot::Sender<Result<Reloaded, Rejected>>>;

/// What the loader is asked for.
pub enum Ask {
    /// Read the files again; whatever that removes, where it is forced.
    Reload(Asker, Force),
    /// Carry an update out.
    Update(UpdateAsk),
    /// Put a zone back to an earlier serial's contents.
    Rollback(RollbackAsk),
    /// Have a zone's serials go on after this one, which a secondary has.
    Raise(Name, Serial),
    /// Take up what a primary sent.
    Transferred(TransferredAsk),
    /// Write a zone's edits into its file, for whoever asks.
    Freeze(Name, String, oneshot::Sender<Result<Frozen, String>>),
}

/// Whether a load may remove more than `server.max_loss` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// It is rejected.
    No,
    /// It is loaded.
    Yes,
}

/// A zone that is to hold again what it held at an earlier serial.
pub struct RollbackAsk {
    /// What is asked for.
    pub rollback: Rollback,
    /// Told when that is served, or why it is not.
    pub reply: oneshot::Sender<Result<RolledBack, String>>,
}

/// Which zone, and back to what.
#[derive(Clone)]
pub struct Rollback {
    /// The zone.
    pub zone: Name,
    /// The serial.
    pub to: Serial,
    /// Who asks.
    pub who: String,
    /// Why.
    pub reason: String,
}

/// A zone whose file, which keeps what its primary sent, is another one, or gone.
pub struct TransferredAsk {
    /// The zone.
    pub zone: Name,
    /// What the file holds, where who asks has it at hand.
    pub new: Option<Box<Zone>>,
    /// Told when that is served, or why it cannot be.
    pub reply: oneshot::Sender<Result<(), String>>,
}

/// An update that is to be carried out.
pub struct UpdateAsk {
    /// What it asks for.
    pub update: Update,
    /// The key it is signed with.
    pub key: Option<Name>,
    /// Where it came from.
    pub from: IpAddr,
    /// Told what became of it.
    pub reply: oneshot::Sender<Result<(), UpdateError>>,
}

/// A load that is checked and compiled.
#[derive(Clone)]
pub struct Fresh {
    /// What the engine gets.
    pub load: Load,
    /// The configuration's text, as history keeps it.
    pub text: Arc<str>,
    /// The files' content, compiled; decisions are laid over it by the core.
    pub table: Table,
    /// Where the files differ from those of the load before; not known of the first one.
    pub differences: Option<Differences>,
    /// What the zones published before a start; `None` of every load but the first.
    pub past: Option<Arc<Past>>,
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Why probes cannot keep what the configuration promises on this host, in a line.
    pub crowding: Option<String>,
    /// Edits that the files hold by now: kept in the transaction that keeps the serials.
    pub saves: Vec<Saved>,
    /// What led to the load, where that is more than a reload.
    pub records: Vec<Happened>,
    /// Zones whose files are broken; none but at a start.
    pub broken: Vec<BrokenZone>,
}

impl Fresh {
    /// The same for a core that begins again: not what came before it, nor what was kept of it, for edits may have been
    /// changed since.
    pub fn to_begin_again(&self) -> Fresh {
        let (saves, records) = (Vec::new(), Vec::new());
        let mut again = Fresh { differences: None, past: None, saves, records, ..self.clone() };
        again.load.undecided = Undecided::default();
        again
    }
}

/// Zones that came to hold something else without a file that changed.
pub struct Changed {
    /// Each of them, once.
    pub zones: Vec<ZoneBase>,
    /// The contents of all zones, compiled; decisions are laid over it by the core. `None` where no zone
    /// changed.
    pub table: Option<Table>,
    /// Where it differs from the one before.
    pub differences: Option<Differences>,
    /// What is kept, and recorded, in the transaction that keeps the serials.
    pub saves: Vec<Saved>,
    /// See `saves`.
    pub records: Vec<Happened>,
    /// Of zones where what is served had a say in it: the serial it was judged by.
    pub judged_by: Vec<(Name, Option<Serial>)>,
}

/// A zone has moved on since a change was judged: it was not taken up.
pub struct Outdated;

/// A load that is refused.
pub struct Refused {
    /// Every problem, as `detour check` prints them.
    pub problems: String,
    /// Every file that was read or looked for: mending one of them is worth another try.
    pub files: Vec<PathBuf>,
    /// Whether nothing is wrong with them but that too much would be removed.
    pub is_loss: bool,
}
