//! The core follows the host's clock: where it was set, the engine is told, and people are.

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
}
