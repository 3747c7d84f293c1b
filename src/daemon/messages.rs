//! What the daemon's tasks send each other, and how much of it may wait.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::differences::Differences;
use crate::answer::Table;
use crate::control::{LoadOutcome, Reloaded};
use crate::engine::{Command, CommandError, Explanation, Load, Status};
use crate::policy::Decision;
use crate::zone::Name;

/// Inputs that may wait for the core; control and the loader wait for room.
pub const INPUT_QUEUE: usize = 64;
/// Samples that may wait for the core; probes wait for room.
pub const SAMPLE_QUEUE: usize = 16_384;
/// Reloads that may wait; further askers wait for room.
pub const RELOAD_QUEUE: usize = 16;

/// What reaches the core besides samples.
pub enum Input {
    /// Read the engine's picture.
    Status(oneshot::Sender<View>),
    /// Read the chain behind one name.
    Explain(Name, oneshot::Sender<Option<Explanation>>),
    /// An operator's command, answered with the decisions it led to.
    Command(Command, oneshot::Sender<Result<Vec<Decision>, CommandError>>),
    /// A checked configuration with the table compiled from its files.
    Loaded(Box<Fresh>, Asker),
    /// A configuration that was refused.
    Refused(Refused, Asker),
    /// Panic, to test what becomes of it.
    #[cfg(test)]
    Panic,
    /// Write what is held, and end.
    Stop(oneshot::Sender<()>),
}

/// The answer to [`Input::Status`].
pub struct View {
    /// The engine's picture.
    pub status: Status,
    /// How the last load ended.
    pub last_load: LoadOutcome,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// Somebody who asked for a reload and waits for its outcome.
pub type Asker = Option<oneshot::Sender<Result<Reloaded, String>>>;

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
    /// Every file that was read.
    pub files: Vec<PathBuf>,
    /// What people should know.
    pub warnings: Vec<String>,
}

/// A load that is refused.
pub struct Refused {
    /// Every problem, as `detour check` prints them.
    pub problems: String,
    /// Every file that was read or looked for: mending one of them is worth another try.
    pub files: Vec<PathBuf>,
}
