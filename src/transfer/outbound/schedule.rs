//! What is said to one secondary about one zone, and when: NOTIFY until it is acknowledged, then questions for
//! its SOA until it has the serial. Pure: the time is an argument, and so is the jitter.
//!
//! ```text
//!                published                     acknowledged                 has the serial
//!   Quiet ───────────────────► NOTIFY, again and ───────────► SOA?, again and ───────────► Quiet
//!     ▲                        again, more slowly ◄────────── again, more slowly
//!     └── published ◄──────────                    asked in vain
//! ```

use std::time::Duration;

use crate::dns::Serial;

/// The least time from one NOTIFY to the next: what is published meanwhile is told with it.
const APART: Duration = Duration::from_millis(100);
/// How long an answer is waited for at first; each time twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// How soon a secondary that acknowledged is asked what it has; from an answer that it is behind to the next question each
/// time half as long again.
const FIRST_LOOK: Duration = Duration::from_millis(30);
/// Questions after which a secondary that still has not moved is told anew.
const LOOKS: u32 = 16;

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Notify,
    Look,
}

/// How it went the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing was said yet.
    #[default]
    New,
    /// It was told, and has not answered yet: so many times.
    Unanswered(u32),
    /// It knows that there is something new.
    Acknowledged,
    /// It has the serial.
    Current,
    /// It does not want to know, for this reason.
    Refused(String),
}

/// One secondary of one zone. Times are since any one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    published: Option<Serial>,
    published_at: Duration,
    /// The serial it acknowledged a NOTIFY of.
    pub(super) acknowledged: Option<Serial>,
    /// The serial it answered with when it was asked.
    pub(super) has: Option<Serial>,
    /// Since when it lacks something.
    pub(super) behind_since: Option<Duration>,
    pub(super) outcome: Outcome,
    /// A serial by which clients leave a dead site, and when it was published.
    awaited: Option<(Serial, Duration)>,
    told_at: Option<Duration>,
    tries: u32,
    /// Messages of the same kind in a row that were not answered.
    unanswered: u32,
    next: Option<(Duration, Act)>,
}

impl Course {
    /// What is due, and when.
    pub(super) fn next(&self) -> Option<(Duration, Act)> {
        self.next
    }

    /// The zone publishes this serial.
    pub(super) fn published(&mut self, serial: Serial, now: Duration) {
        if self.published == Some(serial) {
            return;
        }
        (self.published, self.published_at) = (Some(serial), now);
        self.behind_since.get_or_insert(now);
        (self.tries, self.unanswered) = (0, 0);
        let at = self.told_at.map_or(now, |told| now.max(told + APART));
        self.next = Some((at, Act::Notify));
    }

    /// What was due was sent. `jitter` is any number: it spreads what many courses do.
    pub(super) fn sent(&mut self, act: Act, now: Duration, jitter: u64) {
        self.tries += 1;
        if act == Act::Notify {
            self.told_at = Some(now);
            self.outcome = Outcome::Unanswered(self.tries);
        }
        // Without an answer it is said again, which is for what is lost and not for what is late.
        let wait = FIRST_RETRY * 2u32.pow(self.unanswered.min(10));
        self.unanswered += 1;
        self.next = Some((now + spread(wait.min(LONGEST), jitter), self.again(act)));
    }

    /// What follows on something: who was asked often enough in vain is told anew.
    fn again(&mut self, act: Act) -> Act {
        if act == Act::Notify || self.tries < LOOKS {
            return act;
        }
        (self.tries, self.unanswered) = (0, 0);
        Act::Notify
    }

    /// It answered a NOTIFY of `serial` as it should.
    pub(super) fn acknowledged(&mut self, serial: Serial, now: Duration) {
        self.acknowledged = Some(serial);
        // What was published since is told first.
        if self.published == Some(serial) && self.behind_since.is_some() {
            self.outcome = Outcome::Acknowledged;
            self.look_at(now + FIRST_LOOK);
        }
    }

    /// It answered, and that was no yes. It is asked again when it would have been without an answer.
    pub(super) fn refused(&mut self, why: String) {
        self.outcome = Outcome::Refused(why);
    }

    /// It asked for the zone by itself. One that was taken for dead is looked at again at once.
    pub(super) fn came(&mut self, now: Duration) {
        let silent = matches!(self.outcome, Outcome::Unanswered(2..) | Outcome::Refused(_));
        if silent && self.behind_since.is_some() {
            self.look_at(now + FIRST_LOOK);
        }
    }

    fn look_at(&mut self, at: Duration) {
        (self.tries, self.unanswered) = (0, 0);
        self.next = Some((at, Act::Look));
    }

    /// Clients leave a dead site by this serial: [`Course::looked`] says how long it took to arrive.
    pub(super) fn await_failover(&mut self, serial: Serial, now: Duration) {
        self.awaited.get_or_insert((serial, now));
    }

    /// It was asked and has this serial.
    pub(super) fn looked(&mut self, serial: Serial, now: Duration, jitter: u64) -> Looked {
        self.has = Some(serial);
        let arrived = self.awaited.take_if(|(awaited, _)| !awaited.is_after(serial));
        let failover = arrived.map(|(_, since)| now.saturating_sub(since));
        let mut caught_up = None;
        if self.published == Some(serial) {
            self.outcome = Outcome::Current;
            caught_up = self.behind_since.map(|_| now.saturating_sub(self.published_at));
            (self.behind_since, self.next, self.tries, self.unanswered) = (None, None, 0, 0);
        } else if matches!(self.next, Some((_, Act::Look))) {
            self.unanswered = 0;
            let wait = FIRST_LOOK.mul_f64(1.5f64.powf(f64::from(self.tries.min(LOOKS))));
            self.next = Some((now + spread(wait.min(LONGEST), jitter), self.again(Act::Look)));
        }
        Looked { failover, caught_up }
    }
}

/// What an answer to a question for the SOA comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Looked {
    /// How long a serial by which clients leave a dead site took to arrive, where it just has.
    pub(super) failover: Option<Duration>,
    /// How long after its publish it has what is published, where it was behind before.
    pub(super) caught_up: Option<Duration>,
}

/// A wait, made up to a quarter longer.
fn spread(wait: Duration, jitter: u64) -> Duration {
    wait + wait.mul_f64((jitter % 1024) as f64 / 4096.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_change_is_told_at_once_and_followed_until_it_has_arrived() {
        let mut course = Course::default();
        assert_eq!(course.next(), None);
        course.published(Serial(5), ms(1000));
        assert_eq!(course.next(), Some((ms(1000), Act::Notify)));
        course.sent(Act::Notify, ms(1000), 0);
        assert_eq!(course.next(), Some((ms(2000), Act::Notify)));
        course.acknowledged(Serial(5), ms(1010));
        assert_eq!(course.next(), Some((ms(1040), Act::Look)));
        course.sent(Act::Look, ms(1040), 0);
        course.looked(Serial(4), ms(1042), 0);
        assert_eq!((course.has, course.behind_since), (Some(Serial(4)), Some(ms(1000))));
        assert_eq!(course.next(), Some((ms(1087), Act::Look)));
        let caught_up = Some(ms(90));
        assert_eq!(course.looked(Serial(5), ms(1090), 0), Looked { failover: None, caught_up });
        assert_eq!((course.next(), course.behind_since), (None, None));
        assert_eq!(course.looked(Serial(5), ms(1100), 0), Looked::default(), "it is told once");
        assert_eq!(course.outcome, Outcome::Current);
        // What is there already is no news.
        course.published(Serial(5), ms(9000));
        assert_eq!(course.next(), None);
    }

    #[test]
    fn says_how_long_a_failover_took_to_arrive() {
        let mut course = Course::default();
        let looked = |course: &mut Course, serial, at| course.looked(Serial(serial), ms(at), 0).failover;
        assert_eq!(looked(&mut course, 4, 5), None);
        course.await_failover(Serial(5), ms(1000));
        // Another one before the first has arrived is not waited for by itself.
        course.await_failover(Serial(6), ms(1500));
        assert_eq!(looked(&mut course, 4, 1600), None);
        assert_eq!(looked(&mut course, 7, 1700), Some(ms(700)));
        assert_eq!(looked(&mut course, 7, 1800), None);
    }

    #[test]
    fn many_changes_are_told_together() {
        let mut course = Course::default();
        course.published(Serial(1), ms(0));
        course.sent(Act::Notify, ms(0), 0);
        for serial in 2..50 {
            course.published(Serial(serial), ms(serial.into()));
            assert_eq!(course.next(), Some((APART, Act::Notify)));
        }
        // The acknowledgement of the first says nothing of the others.
        course.acknowledged(Serial(1), ms(60));
        assert_eq!(course.next(), Some((APART, Act::Notify)));
        course.sent(Act::Notify, APART, 0);
        course.acknowledged(Serial(49), ms(110));
        assert_eq!(course.next().map(|(_, act)| act), Some(Act::Look));
        assert_eq!(course.behind_since, Some(ms(0)), "since the first it lacks");
    }

    #[test]
    fn who_does_not_answer_is_told_ever_more_rarely() {
        let mut course = Course::default();
        course.published(Serial(1), ms(0));
        let (mut now, mut waits) = (ms(0), Vec::new());
        for _ in 0..8 {
            course.sent(Act::Notify, now, 0);
            let (at, act) = course.next().unwrap();
            assert_eq!(act, Act::Notify);
            waits.push(at.saturating_sub(now).as_secs());
            now = at;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(course.outcome, Outcome::Unanswered(8));
        course.sent(Act::Notify, now, 1023);
        assert!(course.next().unwrap().0 < now + LONGEST * 5 / 4);
        course.refused("REFUSED".to_owned());
        assert!(course.next().is_some());
    }

    #[test]
    fn who_comes_back_is_looked_at_at_once() {
        let mut course = Course::default();
        course.published(Serial(1), ms(0));
        course.sent(Act::Notify, ms(0), 0);
        course.came(ms(5));
        assert_eq!(course.next(), Some((ms(1000), Act::Notify)), "it may have been told just now");
        course.sent(Act::Notify, ms(1000), 0);
        course.came(ms(1500));
        assert_eq!(course.next(), Some((ms(1530), Act::Look)));
        course.looked(Serial(1), ms(1540), 0);
        course.came(ms(1600));
        assert_eq!(course.next(), None);
    }

    #[test]
    fn who_acknowledges_and_does_not_move_is_told_again() {
        let mut course = Course::default();
        course.published(Serial(1), ms(0));
        course.sent(Act::Notify, ms(0), 0);
        course.acknowledged(Serial(1), ms(1));
        let mut looks = 0;
        while let Some((at, Act::Look)) = course.next() {
            course.sent(Act::Look, at, 0);
            course.looked(Serial(0), at, 0);
            looks += 1;
        }
        assert_eq!(looks, LOOKS);
        assert_eq!(course.next().map(|(_, act)| act), Some(Act::Notify));
    }

    /// It has serial 2 for long when 3 comes, and lacks nothing but that.
    #[test]
    fn what_is_told_of_a_serial_counts_from_its_own_publish() {
        let mut course = Course::default();
        course.published(Serial(2), ms(0));
        course.published(Serial(3), ms(4000));
        assert_eq!(course.behind_since, Some(ms(0)));
        assert_eq!(course.looked(Serial(2), ms(4100), 0).caught_up, None);
        assert_eq!(course.looked(Serial(3), ms(4300), 0).caught_up, Some(ms(300)));
    }

    #[test]
    fn an_answer_that_is_late_is_waited_for_before_it_is_asked_for_again() {
        let mut course = Course::default();
        course.published(Serial(1), ms(0));
        course.sent(Act::Notify, ms(0), 0);
        course.acknowledged(Serial(1), ms(400));
        let mut now = ms(430);
        for wait in [1000, 2000, 4000] {
            course.sent(Act::Look, now, 0);
            assert_eq!(course.next(), Some((now + ms(wait), Act::Look)), "lost, or on its way for so long");
            now += ms(wait);
        }
        // From one answer to the next question the pace is its own.
        course.looked(Serial(0), now, 0);
        assert!(course.next().unwrap().0 < now + ms(200));
        course.sent(Act::Look, now, 0);
        assert_eq!(course.next(), Some((now + ms(1000), Act::Look)));
    }
}
