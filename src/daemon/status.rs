//! Statuses on their way to those who asked: each is read from the engine a part at a time, with pauses in which
//! the core, and on a machine with one core the probes, get their turn.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::messages::View;
use crate::engine::{Engine, Status, Survey};
use crate::time::Time;

/// Services and checks read in one go, at least: about a millisecond's work.
const PART: usize = 250;
/// Into so many parts a picture is cut, at most, so that those who ask have it within two seconds.
const PARTS: usize = 200;
/// From one part to the next.
const PAUSE: Duration = Duration::from_millis(6);

/// The status that is being read, and who waits for it.
#[derive(Default)]
pub struct Showing {
    survey: Survey,
    asked: Vec<oneshot::Sender<View>>,
    /// Who asked when it had begun: what they caused before they asked may be missing in it.
    late: Vec<oneshot::Sender<View>>,
    next: Option<Instant>,
}

impl Showing {
    /// Somebody asks. Their number is bounded by the connections that control allows.
    pub fn ask(&mut self, reply: oneshot::Sender<View>) {
        if self.next.is_none() {
            self.next = Some(Instant::now());
            self.asked.push(reply);
        } else {
            self.late.push(reply);
        }
    }

    /// When to read on; `None` while nobody asks.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Reads on; once it is whole, the status, and those to give it to.
    pub fn read_on(&mut self, now: Time, engine: &Engine) -> Option<(Status, Vec<oneshot::Sender<View>>)> {
        self.next = Some(Instant::now() + PAUSE);
        let status = engine.read_on(now, &mut self.survey, PART.max(engine.size() / PARTS))?;
        let asked = std::mem::replace(&mut self.asked, std::mem::take(&mut self.late));
        self.next = self.next.filter(|_| !self.asked.is_empty());
        Some((status, asked))
    }
}
