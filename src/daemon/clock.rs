//! The core follows the host's clock and minds its own: the engine is told where the one was set, and where time passed
//! in which the core stood still.

use super::core::Core;
use crate::engine::{Effect, Event, Happened};

impl Core {
    /// Sees where the host's clock is now.
    pub(super) fn look_at_clock(&mut self) {
        if self.host_clock.is_followed(self.clock.now()) {
            self.clock.look();
        }
        self.tell_clock();
    }

    /// Tells the engine where the host's clock is, where it does not know that.
    pub(super) fn tell_clock(&mut self) {
        let (now, offset) = (self.clock.now(), self.clock.offset());
        if self.engine.offset() == offset {
            return;
        }
        let effects = self.step(now, Event::Clock(offset));
        for effect in &effects {
            if let Effect::Record(what @ Happened::ClockSet { .. }) = effect {
                self.host_clock.was_set(now, what.to_string());
            }
        }
        self.perform(effects, None);
    }

    /// Tells the engine for how long the core stood still, where it did: before any other event of a turn.
    pub(super) fn tell_stall(&mut self) {
        let now = self.clock.now();
        if let Some(stalled) = self.stalls.take(now) {
            let effects = self.step(now, Event::Stalled(stalled));
            self.perform(effects, None);
        }
    }
}
