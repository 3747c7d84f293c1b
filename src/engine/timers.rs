//! What is to be done, and when: dirty services, holds, overrides that run out, checks that time alone
//! changes, and the next wake.

use std::collections::BTreeSet;

use super::{COALESCE, Effect};
use crate::dns::Name;
use crate::model::CheckKey;
use crate::policy::Scope;
use crate::time::Time;

/// A check may be looked at this much later than it asks for, so that many are looked at in one go.
const LOOK_MS: u64 = 50;
/// The engine's diary. Every entry is for a service, an override, a check or a maintenance window, so it is
/// as bounded as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    dirty: BTreeSet<Name>,
    flush_at: Option<Time>,
    holds: BTreeSet<(Time, Name)>,
    expiries: BTreeSet<(Time, Scope)>,
    /// When to look at a check again; at most one entry each.
    checks: BTreeSet<(Time, CheckKey)>,
    /// When a maintenance window begins or ends.
    pub window: Option<Time>,
    /// When the first round after a start has taken long enough.
    pub first_round: Option<Time>,
    /// The wake the daemon was last told of, as long as it lies ahead.
    announced: Option<Time>,
}

impl Agenda {
    /// Has a service decided again, at most [`COALESCE`] from the first that waits.
    pub fn touch(&mut self, now: Time, service: Name) {
        self.flush_at.get_or_insert(now + COALESCE);
        self.dirty.insert(service);
    }

    /// Whether there is something to decide that can wait no longer.
    pub fn is_flush_due(&self, now: Time) -> bool {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        due(self.flush_at) || due(self.holds.first().map(|(at, _)| *at))
    }

    /// Everything to decide now, those whose hold has ended with it.
    pub fn take_dirty(&mut self, now: Time) -> BTreeSet<Name> {
        self.flush_at = None;
        let mut dirty = std::mem::take(&mut self.dirty);
        while let Some((at, service)) = self.holds.pop_first() {
            if at > now {
                self.holds.insert((at, service));
                break;
            }
            dirty.insert(service);
        }
        dirty
    }

    /// Moves the end of a service's hold.
    pub fn hold(&mut self, service: &Name, old: Option<Time>, new: Option<Time>) {
        if let Some(old) = old {
            self.holds.remove(&(old, service.clone()));
        }
        if let Some(new) = new {
            self.holds.insert((new, service.clone()));
        }
    }

    /// Every service with a hold, or to be decided: a load does that.
    pub fn clear_services(&mut self) -> BTreeSet<Name> {
        self.flush_at = None;
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.extend(std::mem::take(&mut self.holds).into_iter().map(|(_, service)| service));
        dirty
    }

    /// Moves the moment at which a check is looked at.
    pub fn look_at(&mut self, check: &CheckKey, old: Option<Time>, new: Option<Time>) {
        if let Some(old) = old {
            self.checks.remove(&(rounded(old), check.clone()));
        }
        if let Some(new) = new {
            self.checks.insert((rounded(new), check.clone()));
        }
    }

    /// The checks to look at now.
    pub fn take_checks(&mut self, now: Time) -> Vec<CheckKey> {
        let mut due = Vec::new();
        while self.checks.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(self.checks.pop_first().map(|(_, check)| check));
        }
        due
    }

    /// Looks at no check any more: a load begins anew.
    pub fn clear_checks(&mut self) {
        self.checks.clear();
    }

    /// Notes when an override runs out.
    pub fn expires(&mut self, until: Time, scope: Scope) {
        self.expiries.insert((until, scope));
    }

    /// An override went before it ran out.
    pub fn cleared(&mut self, until: Time, scope: &Scope) {
        self.expiries.remove(&(until, scope.clone()));
    }

    /// The next override that has run out.
    pub fn take_expired(&mut self, now: Time) -> Option<Scope> {
        if self.expiries.first().is_none_or(|(until, _)| *until > now) {
            return None;
        }
        self.expiries.pop_first().map(|(_, scope)| scope)
    }

    /// Says when to step again, where that is not what the daemon was told last.
    pub fn wake(&mut self, now: Time) -> Option<Effect> {
        self.announced = self.announced.filter(|&at| at > now);
        let hold = self.holds.first().map(|(at, _)| *at);
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let check = self.checks.first().map(|(at, _)| *at);
        let next = [self.flush_at, hold, expiry, check, self.window, self.first_round]
            .into_iter()
            .flatten()
            .min()?;
        if self.announced == Some(next) {
            return None;
        }
        self.announced = Some(next);
        Some(Effect::Wake(next))
    }
}

/// Up to the next multiple of [`LOOK_MS`].
fn rounded(at: Time) -> Time {
    Time(at.0.div_ceil(LOOK_MS).saturating_mul(LOOK_MS))
}
