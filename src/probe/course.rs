//! How far a run has come: read when its time runs out.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::health::{Failure, Phase};

/// The course of a check's run. A check never overlaps itself, so one of these serves all its runs,
/// and a client that is built once can write to it.
#[derive(Debug)]
pub(super) struct Course {
    phase: AtomicU8,
    addr: Mutex<Option<IpAddr>>,
    so_far: Mutex<Option<Failure>>,
}

const PHASES: [Phase; 7] =
    [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::FirstByte, Phase::Body, Phase::Reply, Phase::Command];

impl Course {
    pub(super) fn new() -> Course {
        Course { phase: AtomicU8::new(0), addr: Mutex::new(None), so_far: Mutex::new(None) }
    }

    /// Back to the beginning, for the next run.
    pub(super) fn restart(&self) {
        self.phase.store(0, Ordering::Relaxed);
        *self.addr.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.so_far.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The run has come to `phase`; it never goes back.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::Relaxed);
    }

    pub(super) fn phase(&self) -> Phase {
        PHASES[usize::from(self.phase.load(Ordering::Relaxed)).min(PHASES.len() - 1)]
    }

    /// What the run has failed with should its time run out now, where that says more than the phase.
    pub(super) fn note(&self, so_far: Option<Failure>) {
        *self.so_far.lock().unwrap_or_else(PoisonError::into_inner) = so_far;
    }

    /// Time has run out.
    pub(super) fn timed_out(&self) -> Failure {
        let so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner).take();
        so_far.unwrap_or_else(|| Failure::Timeout(self.phase()))
    }

    /// The address this run goes to is known, and the connect is next.
    pub(super) fn connect_to(&self, addr: IpAddr) {
        *self.addr.lock().unwrap_or_else(PoisonError::into_inner) = Some(addr);
        self.enter(Phase::Connect);
    }

    /// The address this run goes to.
    pub(super) fn addr(&self) -> Option<IpAddr> {
        *self.addr.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_advance_within_a_run() {
        let course = Course::new();
        for phase in PHASES {
            course.enter(phase);
            assert_eq!(course.phase(), phase);
        }
        course.enter(Phase::Tls);
        assert_eq!(course.phase(), Phase::Command);
        course.note(Some(Failure::Reset));
        course.restart();
        assert_eq!(course.phase(), Phase::Resolve);
        assert_eq!(course.timed_out(), Failure::Timeout(Phase::Resolve));
        course.note(Some(Failure::Reset));
        assert_eq!(course.timed_out(), Failure::Reset);
    }
}
