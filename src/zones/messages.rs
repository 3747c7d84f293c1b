//! What the loader is asked for, and what it makes of that for whoever publishes.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::diff::Differences;
use super::outcome::{Frozen, Rejected, Reloaded, RolledBack};
use super::recovery::PublishedState;
use crate::answer::Table;
use crate::config::BrokenZone;
use crate::dns::{Name, RrSet, RrType, Serial};
use crate::engine::{Happened, Load, Saved, Undecided, ZoneBase};
use crate::state::Unkept;
use crate::transfer::inbound::NewContent;
use crate::zone::{Update, UpdateError};

/// Reloads, updates and transfers that may wait; further askers wait for room.
pub const RELOAD_QUEUE: usize = 64;

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

/// A zone of which what is kept of what its primary sent is something else, or gone.
pub struct TransferredAsk {
    /// The zone.
    pub zone: Name,
    /// What that is, if the caller already has it.
    pub new: Option<NewContent>,
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
pub struct PreparedLoad {
    /// What the engine gets.
    pub load: Load,
    /// The configuration's text, as history keeps it.
    pub text: Arc<str>,
    /// The files' content, compiled; decisions are laid over it by the core.
    pub table: Table,
    /// Where the files differ from those of the load before; not known of the first one.
    pub differences: Option<Differences>,
    /// What the zones published before a start; `None` of every load but the first.
    pub past: Option<Arc<PublishedState>>,
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
    /// How many zones have files that were read.
    pub read: usize,
    /// What is all there is to it, where the configuration is the one in force.
    pub only: Option<OnlyContents>,
}

/// What a load changes where it changes nothing but what zones hold.
#[derive(Clone)]
pub struct OnlyContents {
    /// The zones that hold something else.
    pub zones: Vec<ZoneBase>,
    /// How the table's contents come to be that.
    pub how: How,
}

impl PreparedLoad {
    /// The same for a core that begins again: not what came before it, nor what was kept of it, for edits may have been
    /// changed since.
    #[must_use]
    pub fn to_begin_again(&self) -> PreparedLoad {
        let (saves, records) = (Vec::new(), Vec::new());
        let mut again =
            PreparedLoad { differences: None, past: None, only: None, saves, records, ..self.clone() };
        again.load.undecided = Undecided::default();
        again
    }
}

/// Zones that came to hold something else without a file that changed.
#[derive(Clone)]
pub struct Changed {
    /// Each of them, once.
    pub zones: Vec<ZoneBase>,
    /// What becomes of their contents; `None` where no zone changed.
    pub contents: Option<Contents>,
    /// What is kept, and recorded, in the transaction that keeps the serials.
    pub saves: Vec<Saved>,
    /// See `saves`.
    pub records: Vec<Happened>,
    /// Of zones where what is served had a say in it: the serial it was judged by.
    pub judged_by: Vec<(Name, Option<Serial>)>,
    /// Whether nobody is to see it unless the disk has it.
    pub must_be_kept: bool,
}

/// What becomes of the contents of zones.
#[derive(Clone)]
pub struct Contents {
    /// Those of all zones as they are then; decisions are laid over them by whoever publishes.
    pub table: Table,
    /// How they come to be that.
    pub how: How,
}

/// How contents come to be others.
#[derive(Clone)]
pub enum How {
    /// RRset by RRset, zone by zone.
    Edited(Vec<(Name, Sets)>),
    /// As a whole; and where they differ from what was before.
    Replaced(Option<Differences>),
}

/// RRsets that a zone comes to hold; `None`: none of that type.
pub type Sets = Vec<(Name, RrType, Option<RrSet>)>;

/// Why a change was not taken up.
#[derive(Debug)]
pub enum NotTaken {
    /// A zone has moved on since the change was judged.
    Outdated,
    /// The disk does not have it.
    Unkept(Unkept),
}

/// A load that is refused.
pub struct Refused {
    /// Every problem, as `detour check` prints them.
    pub problems: String,
    /// Every file that was read or looked for: mending one of them is worth another try.
    pub files: Vec<PathBuf>,
    /// Whether nothing is wrong with them but that too much would be removed.
    pub is_loss: bool,
}
