//! The host's clock: maintenance windows, serials that tell the date and what people are shown go by it, and
//! nothing else does.
//!
//! The engine's own time is `now`, which nobody sets. It is told how far the host's clock is from that; delays, holds,
//! expiries and checks count on through a step of it as if there was none.

use super::{Effect, Engine, Happened, Saved};
use crate::time::{CLOCK_STEP, HostTime, Offset, Time};

impl Engine {
    /// How far the host's clock is ahead of this engine's.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The time of day at `now`.
    pub(super) fn on_host(&self, now: Time) -> HostTime {
        now.on_host(self.offset)
    }

    /// Takes note of where the host's clock is; tells of it where it was set.
    pub(super) fn set_clock(&mut self, now: Time, offset: Offset, out: &mut Vec<Effect>) {
        let by_ms = self.offset.moved_by(offset);
        if by_ms == 0 {
            return;
        }
        self.offset = offset;
        out.push(Effect::Save(Saved::Clock(offset)));
        if u128::from(by_ms.unsigned_abs()) >= CLOCK_STEP.as_millis() {
            out.push(Effect::Record(Happened::ClockSet { by_ms }));
        }
        self.look_at_windows(now, |_| true, out);
    }
}
