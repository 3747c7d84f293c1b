//! What this process's own standing still means: whatever is waited for is waited for that much longer.
//!
//! The daemon measures it and says so before anything else that is due ([`super::Event::Stalled`]). What counts from a
//! moment that is known counts the time in which this process ran ([`Stalls`]): a check's silence, the wait for
//! canaries, a failover's delay, the holds and steps of a failback, a slow start. What is known by its end is moved here:
//! the first round of a start, the trial of what a reload brought, flap damping, and the time in which people may answer
//! a proposal. An override's expiry and a maintenance window stay where they are: an operator said when they end.

use std::time::Duration;

use super::{Effect, Engine, Saved};
use crate::policy::ProposalState;
use crate::time::Time;

impl Engine {
    /// This process stood still for so long until now.
    pub(super) fn stood_still(&mut self, now: Time, length: Duration, out: &mut Vec<Effect>) {
        self.stalls.add(now, length);
        let began = now - length;
        let postpone = |until: &mut Time| {
            let waited = *until > began;
            if waited {
                *until = *until + length;
            }
            waited
        };
        if let Some(until) = &mut self.agenda.first_round {
            postpone(until);
        }
        for (key, watched) in &mut self.checks {
            if watched.hold_on(began, length) {
                out.push(Effect::Save(Saved::Check(key.clone(), Some(watched.saved()))));
            }
        }
        for (name, steered) in &mut self.services {
            let mut waited = false;
            for earlier in steered.earlier.values_mut() {
                waited |= postpone(&mut earlier.until);
            }
            let Some(saved) = self.decided.get_mut(name) else { continue };
            if let Some(proposal) = &mut saved.proposal
                && proposal.state == ProposalState::Pending
                && let Some((until, _)) = &mut proposal.due
                && postpone(until)
            {
                waited = true;
                out.push(Effect::Save(Saved::Service(name.clone(), Some(saved.clone()))));
            }
            if waited {
                // What is shown says until when.
                self.agenda.touch(now, name.clone());
            }
        }
    }
}
