//! The way of loads and changed contents to whoever publishes them.

use std::future::Future;

use super::messages::{Changed, NotTaken, PreparedLoad, Refused};
use super::outcome::{Rejected, Reloaded};

/// Who publishes what the loader has made ready, one thing after the other. `None` is that nobody does any more, or
/// that it panicked over this one, which is lost then.
pub trait Publisher: Send + Sync + 'static {
    /// Takes a checked configuration up.
    fn load(&self, load: PreparedLoad) -> impl Future<Output = Option<Reloaded>> + Send;
    /// Takes note of a configuration that was refused.
    fn reject(&self, refused: Refused) -> impl Future<Output = Option<Rejected>> + Send;
    /// Takes zones up whose contents changed, unless they are judged by what is not served any more, or the disk does
    /// not keep what must be kept.
    fn change(&self, changed: Changed) -> impl Future<Output = Option<Result<(), NotTaken>>> + Send;
    /// Whether nobody publishes any more.
    fn is_gone(&self) -> bool;
}
