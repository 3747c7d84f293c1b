//! When a zone's primaries are asked, and when its content is too old (RFC 1035 section 3.3.13, RFC 1034
//! section 4.3.5). Pure: `now` is an argument.
//!
//! ```text
//!               confirmed: in `refresh`                  failed: in `retry`
//!              ┌──────────────────────┐                ┌────────────────────┐
//!   start ─► asked ◄── NOTIFY ──── waiting           asked ◄── NOTIFY ── waiting
//!              └───────── failed ───────────────────────┘  ▲
//!   `expire` since it was confirmed: expired, and asked on ┘
//! ```

use std::time::Duration;

use crate::dns::RrSet;
use crate::time::Time;

/// The shortest refresh and retry, so that an SOA full of zeros is no flood; and from one NOTIFY's check to
/// the next.
const MIN_WAIT: Duration = Duration::from_secs(1);
/// The longest refresh and retry: a NOTIFY may be lost.
const MAX_REFRESH: Duration = Duration::from_secs(28 * 86_400);
const MAX_RETRY: Duration = Duration::from_secs(14 * 86_400);
/// As long as nothing is had: the first wait, which doubles up to the last.
const FIRST_TRY: Duration = Duration::from_secs(1);
const LAST_TRY: Duration = Duration::from_secs(300);

/// What an SOA says of its secondaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// From one check to the next.
    pub refresh: Duration,
    /// From a check that failed to the next.
    pub retry: Duration,
    /// How long the content holds without being confirmed.
    pub expire: Duration,
}

impl Timers {
    /// Those of an SOA, within their bounds. Content holds long enough to be checked twice.
    pub fn of(soa: &RrSet) -> Timers {
        let numbers = soa.rdata.first().and_then(|rdata| rdata.last_chunk::<20>());
        let secs = |at: usize| {
            let four = numbers.and_then(|numbers| numbers[at * 4..].first_chunk());
            Duration::from_secs(four.map_or(0, |four| u64::from(u32::from_be_bytes(*four))))
        };
        let refresh = secs(1).clamp(MIN_WAIT, MAX_REFRESH);
        let retry = secs(2).clamp(MIN_WAIT, MAX_RETRY);
        Timers { refresh, retry, expire: secs(3).max(refresh + retry) }
    }
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// A primary has what is had here, or sent something newer; then with that content's timers.
    Yes(Timers),
    /// None did.
    No,
}

/// One zone's times.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The timers of what is had, and when a primary last confirmed it.
    held: Option<(Timers, Time)>,
    /// When the primaries are asked next.
    due: Time,
    /// Checks that failed in a row.
    failures: u32,
    checked: Option<Time>,
}

impl Refresh {
    /// A zone whose primaries are asked at once, whatever is had and when that was confirmed.
    pub fn start(now: Time, held: Option<(Timers, Time)>) -> Refresh {
        Refresh { held, due: now, failures: 0, checked: None }
    }

    /// When something happens next, the check or the expiry.
    pub fn next(&self) -> Time {
        self.expires().map_or(self.due, |expires| expires.min(self.due))
    }

    /// When the primaries are asked next.
    pub fn due(&self) -> Time {
        self.due
    }

    /// Checks that failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When a primary last confirmed what is had; nothing where nothing is.
    pub fn confirmed(&self) -> Option<Time> {
        self.held.map(|(_, at)| at)
    }

    /// When what is had will be too old; nothing where nothing is.
    pub fn expires(&self) -> Option<Time> {
        self.held.map(|(timers, at)| at + timers.expire)
    }

    /// Lets go of what is too old; true when that is now.
    pub fn expire(&mut self, now: Time) -> bool {
        let expired = self.expires().is_some_and(|at| at <= now);
        if expired {
            self.held = None;
        }
        expired
    }

    /// Somebody said that there is something newer: the primaries are asked at once, but not all the time.
    pub fn notified(&mut self, now: Time) {
        let earliest = self.checked.map_or(now, |checked| now.max(checked + MIN_WAIT));
        self.due = self.due.min(earliest);
    }

    /// A check ended.
    pub fn checked(&mut self, now: Time, confirmed: Confirmed) {
        self.checked = Some(now);
        match (confirmed, self.held) {
            (Confirmed::Yes(timers), _) => {
                self.held = Some((timers, now));
                self.failures = 0;
                self.due = now + timers.refresh;
            }
            (Confirmed::No, held) => {
                let doubled = FIRST_TRY * 2u32.saturating_pow(self.failures.min(16));
                self.failures = self.failures.saturating_add(1);
                self.due = now + held.map_or(doubled.min(LAST_TRY), |(timers, _)| timers.retry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{RrType, rdata_from_text};

    fn at(secs: u64) -> Time {
        Time(1_800_000_000_000 + secs * 1000)
    }

    fn timers(text: &str) -> Timers {
        let rdata = rdata_from_text(RrType::SOA, &format!("ns. h. 1 {text} 5")).unwrap();
        Timers::of(&RrSet::new("example".parse().unwrap(), RrType::SOA, 60, [rdata]))
    }

    #[test]
    fn timers_are_those_of_the_soa_within_bounds() {
        let check = |text: &str, want: [u64; 3]| {
            let Timers { refresh, retry, expire } = timers(text);
            assert_eq!([refresh, retry, expire].map(|d| d.as_secs()), want, "{text}");
        };
        check("3600 900 604800", [3600, 900, 604_800]);
        check("0 0 0", [1, 1, 2]);
        check("10 5 3", [10, 5, 15]);
        check("4294967295 4294967295 4294967295", [28 * 86_400, 14 * 86_400, u64::from(u32::MAX)]);
    }

    #[test]
    fn a_confirmed_zone_is_asked_for_again_after_refresh_and_a_failed_check_after_retry() {
        let mut refresh = Refresh::start(at(0), None);
        assert_eq!(refresh.next(), at(0));
        refresh.checked(at(1), Confirmed::Yes(timers("60 10 300")));
        assert_eq!((refresh.next(), refresh.expires()), (at(61), Some(at(301))));
        refresh.checked(at(62), Confirmed::No);
        assert_eq!((refresh.next(), refresh.failures()), (at(72), 1));
        refresh.checked(at(73), Confirmed::No);
        assert_eq!((refresh.next(), refresh.expires()), (at(83), Some(at(301))));
        refresh.checked(at(84), Confirmed::Yes(timers("60 10 300")));
        assert_eq!((refresh.next(), refresh.expires(), refresh.failures()), (at(144), Some(at(384)), 0));
    }

    #[test]
    fn what_nobody_confirms_expires_once_and_is_asked_for_on() {
        let mut refresh =
            Refresh::start(at(0), Some((timers("60 10 300"), at(0) - Duration::from_secs(290))));
        assert!(!refresh.expire(at(9)));
        refresh.checked(at(9), Confirmed::No);
        assert_eq!(refresh.next(), at(10), "the expiry comes before the retry");
        assert!(refresh.expire(at(10)));
        assert!(!refresh.expire(at(11)));
        assert_eq!((refresh.confirmed(), refresh.next()), (None, at(19)));
        refresh.checked(at(19), Confirmed::Yes(timers("60 10 300")));
        assert_eq!(refresh.expires(), Some(at(319)));
    }

    #[test]
    fn as_long_as_nothing_is_had_the_waits_double_up_to_a_bound() {
        let mut refresh = Refresh::start(at(0), None);
        let mut now = at(0);
        let waits: Vec<u64> = (0..12)
            .map(|_| {
                refresh.checked(now, Confirmed::No);
                let wait = refresh.next().since(now);
                now = refresh.next();
                wait.as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn a_notify_has_the_primaries_asked_at_once_but_not_all_the_time() {
        let mut refresh = Refresh::start(at(0), None);
        refresh.checked(at(0), Confirmed::Yes(timers("3600 600 86400")));
        refresh.notified(at(0));
        assert_eq!(refresh.next(), at(1));
        refresh.notified(at(100));
        assert_eq!(refresh.next(), at(1), "it does not put off what is due");
        refresh.checked(at(100), Confirmed::Yes(timers("3600 600 86400")));
        refresh.notified(at(200));
        assert_eq!(refresh.next(), at(200));
    }
}
