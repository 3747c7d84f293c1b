//! Who listens to `/v1/events` at a time: so many in all, so many of each caller, and a part for operators alone. So
//! neither one caller nor all viewers together keep an operator from the events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many listen at a time; a quarter of all connections.
pub const MAX_LISTENERS: usize = 32;
/// How many of them are one token's, or where there are no tokens one address's.
pub const MAX_LISTENERS_EACH: usize = 8;
/// How many of all are for operators alone.
pub const KEPT_FOR_OPERATORS: usize = 8;

/// The listeners.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Open>>);

/// Callers with a listener only, so bounded by [`MAX_LISTENERS`].
#[derive(Default)]
struct Open {
    each: HashMap<String, usize>,
    all: usize,
}

/// One listener's turn; given back when dropped.
pub(super) struct Turn {
    turns: Turns,
    caller: String,
}

/// Why there is no turn for another listener.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Busy {
    #[error(
        "you listen {MAX_LISTENERS_EACH} times already: close a dashboard, or another listener of this token"
    )]
    Caller,
    #[error("{0} listen already; ask again in a moment")]
    All(usize),
}

impl Turns {
    /// A turn for a caller.
    pub(super) fn take(&self, caller: String, operator: bool) -> Result<Turn, Busy> {
        let mut open = self.lock();
        let most = if operator { MAX_LISTENERS } else { MAX_LISTENERS - KEPT_FOR_OPERATORS };
        if open.all >= most {
            return Err(Busy::All(open.all));
        }
        let count = open.each.entry(caller.clone()).or_default();
        if *count >= MAX_LISTENERS_EACH {
            return Err(Busy::Caller);
        }
        *count += 1;
        open.all += 1;
        Ok(Turn { turns: self.clone(), caller })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many listen.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().all
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = self.turns.lock();
        open.all -= 1;
        if let Some(count) = open.each.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                open.each.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_one_caller_nor_all_viewers_keep_an_operator_out() {
        let turns = Turns::default();
        let take = |caller: &str, operator| turns.take(caller.to_owned(), operator);
        let mut held: Vec<_> = (0..MAX_LISTENERS_EACH).map(|_| take("grafana", false).unwrap()).collect();
        assert_eq!(take("grafana", false).err(), Some(Busy::Caller));
        let others = (MAX_LISTENERS_EACH..MAX_LISTENERS - KEPT_FOR_OPERATORS)
            .map(|n| take(&format!("viewer {n}"), false).unwrap());
        held.extend(others);
        assert_eq!(take("one more", false).err(), Some(Busy::All(24)));
        held.extend((0..MAX_LISTENERS_EACH).map(|_| take("ana", true).unwrap()));
        assert_eq!(take("bo", true).err(), Some(Busy::All(32)));
        held.pop();
        assert!(take("bo", true).is_ok());
        drop(held);
        assert_eq!((turns.count(), turns.lock().each.len()), (0, 0));
    }
}
