//! How far a run has come, and when: read when its time runs out, and for its sample.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::health::{Failure, Phase, Phases, Warning};

/// The course of one run.
#[derive(Debug)]
pub(super) struct Course {
    started: Instant,
    phase: AtomicU8,
    /// Microseconds from the start to each phase, plus one; 0 for those it has not come to.
    entered: [AtomicU32; PHASES.len()],
    warning: Mutex<Option<Warning>>,
    /// What it has failed with should its time run out now.
    so_far: Mutex<Option<Failure>>,
}

const PHASES: [Phase; 7] =
    [Phase::Resolve, Phase::Connect, Phase::Tls, Phase::FirstByte, Phase::Body, Phase::Reply, Phase::Command];

impl Course {
    /// A run begins now.
    pub(super) fn start() -> Course {
        Course {
            started: Instant::now(),
            phase: AtomicU8::new(0),
            entered: Default::default(),
            warning: Mutex::new(None),
            so_far: Mutex::new(None),
        }
    }

    /// The run has come to `phase`; it never goes back.
    pub(super) fn enter(&self, phase: Phase) {
        let before = self.phase.fetch_max(phase as u8, Ordering::Relaxed);
        if before < phase as u8 || phase == Phase::Resolve {
            let since = u32::try_from(self.started.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.entered[phase as usize].store(since.saturating_add(1), Ordering::Relaxed);
        }
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

    /// Something is not as it should be, and no failure. The last one said stands.
    pub(super) fn warn(&self, warning: Warning) {
        *self.warning.lock().unwrap_or_else(PoisonError::into_inner) = Some(warning);
    }

    /// What was warned of.
    pub(super) fn warning(&self) -> Option<Warning> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the run, which ends now, was in each phase it came to.
    pub(super) fn phases(&self) -> Phases {
        let mut phases = Phases::default();
        let mut until = self.started.elapsed();
        for phase in PHASES.into_iter().rev() {
            let entered = self.entered[phase as usize].load(Ordering::Relaxed);
            if let Some(since) = entered.checked_sub(1) {
                let since = Duration::from_micros(since.into());
                phases.set(phase, until.saturating_sub(since));
                until = since;
            }
        }
        phases
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_only_advance_within_a_run() {
        let course = Course::start();
        for phase in PHASES {
            course.enter(phase);
            assert_eq!(course.phase(), phase);
        }
        course.enter(Phase::Tls);
        assert_eq!(course.phase(), Phase::Command);
    }

    #[test]
    fn a_timeout_says_what_was_noted_or_else_where_it_was() {
        let course = Course::start();
        course.enter(Phase::Reply);
        assert_eq!(course.timed_out(), Failure::Timeout(Phase::Reply));
        course.note(Some(Failure::Reset));
        assert_eq!(course.timed_out(), Failure::Reset);
    }

    #[test]
    fn the_phases_a_run_came_to_have_times_that_add_up() {
        let course = Course::start();
        course.enter(Phase::Connect);
        std::thread::sleep(Duration::from_millis(2));
        course.enter(Phase::FirstByte);
        let phases = course.phases();
        assert!(phases.get(Phase::Connect) >= Some(Duration::from_millis(2)));
        assert!(phases.get(Phase::FirstByte).is_some());
        for never in [Phase::Resolve, Phase::Tls, Phase::Body] {
            assert_eq!(phases.get(never), None);
        }
        let sum: Duration = PHASES.iter().filter_map(|phase| phases.get(*phase)).sum();
        assert!(sum <= course.started.elapsed());
    }
}
