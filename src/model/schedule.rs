//! When a maintenance window begins: five fields as crontab has them, in a time zone.
//!
//! ```text
//! minute hour day-of-month month day-of-week      "30 3 * * 1-5": at half past three from Monday to Friday
//! 0-59   0-23 1-31         1-12  0-7 (0, 7: Sunday)   each `*`, `5`, `1-5`, `*/10`, `0-30/10` or a list of such
//! ```
//!
//! As in crontab, a day matches either field where both of the fields for days are restricted.
//!
//! Where a zone's clock is put forward, a time that the clock passes over begins as much later as the clock
//! went: `30 2` at 03:30 in a night without a 02:30. Where it is put back, a time that comes twice begins
//! at the first.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::time::HostTime;

/// How far ahead a beginning is looked for, in days: 29 February may be eight years away (1896, 1904).
const MAX_DAYS: usize = 366 * 9;

/// A schedule in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    either_day: bool,
    zone: TimeZone,
}

/// Numbers below 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set(u64);

impl Set {
    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.0 >> number & 1 == 1)
    }

    fn all(self) -> impl Iterator<Item = i8> {
        (0..60).filter(move |&number| self.has(number))
    }
}

impl Schedule {
    /// Reads the five fields; nothing where they are none, or name a day that never comes.
    pub fn parse(text: &str, zone: TimeZone) -> Option<Schedule> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else { return None };
        let mut week = field(weekdays, 0, 7)?;
        week.0 |= week.0 >> 7;
        let schedule = Schedule {
            minutes: field(minutes, 0, 59)?,
            hours: field(hours, 0, 23)?,
            days: field(days, 1, 31)?,
            months: field(months, 1, 12)?,
            weekdays: week,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
            zone,
        };
        schedule.next_after(HostTime::default())?;
        Some(schedule)
    }

    /// The first beginning after a moment; `None` where there is none for nine years.
    pub fn next_after(&self, after: HostTime) -> Option<HostTime> {
        let ms = i64::try_from(after.0).ok()?;
        let local = Timestamp::from_millisecond(ms).ok()?.to_zoned(self.zone.clone());
        // A day before: a clock that was put forward leads from one day into the next.
        let mut day = local.date().yesterday().ok()?;
        for _ in 0..MAX_DAYS {
            if self.has_day(day)
                && let Some(begins) = self.begins_on(day).filter(|&at| at > after).min()
            {
                return Some(begins);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn has_day(&self, day: Date) -> bool {
        let (of_month, of_week) =
            (self.days.has(day.day()), self.weekdays.has(day.weekday().to_sunday_zero_offset()));
        let matches = if self.either_day { of_month || of_week } else { of_month && of_week };
        matches && self.months.has(day.month())
    }

    fn begins_on(&self, day: Date) -> impl Iterator<Item = HostTime> {
        let times = self.hours.all().flat_map(|hour| self.minutes.all().map(move |minute| (hour, minute)));
        times.filter_map(move |(hour, minute)| {
            let local = day.at(hour, minute, 0, 0);
            let at = self.zone.to_ambiguous_timestamp(local).compatible().ok()?;
            u64::try_from(at.as_millisecond()).ok().map(HostTime)
        })
    }
}

/// One field: a list of `*`, `N`, `N-M`, each with `/STEP` or without.
fn field(text: &str, min: u32, max: u32) -> Option<Set> {
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|&step: &u32| step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => return None,
            None => (number(range)?, number(range)?),
        };
        if from < min || to > max || from > to {
            return None;
        }
        set |= (from..=to).step_by(step as usize).fold(0, |set, number| set | 1 << number);
    }
    Some(Set(set))
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|_| text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> HostTime {
        let at: Timestamp = text.parse().expect("a time");
        HostTime(u64::try_from(at.as_millisecond()).expect("after 1970"))
    }

    fn check(schedule: &str, zone: &str, after: &str, expect: &[&str]) {
        let zone = TimeZone::get(zone).expect("a zone");
        let schedule = Schedule::parse(schedule, zone).expect("a schedule");
        let mut now = at(after);
        for expect in expect {
            now = schedule.next_after(now).expect("a beginning");
            assert_eq!(now, at(expect), "{now}");
        }
    }

    #[test]
    fn fields_are_those_of_crontab() {
        let from = "2026-11-21T12:00:00Z"; // a Saturday
        check("0 3 * * 0", "UTC", from, &["2026-11-22T03:00:00Z", "2026-11-29T03:00:00Z"]);
        check("0 3 * * 7", "UTC", from, &["2026-11-22T03:00:00Z"]);
        check(
            "*/20 12 * * *",
            "UTC",
            from,
            &["2026-11-21T12:20:00Z", "2026-11-21T12:40:00Z", "2026-11-22T12:00:00Z"],
        );
        check(
            "5,10-12 13 * * *",
            "UTC",
            from,
            &["2026-11-21T13:05:00Z", "2026-11-21T13:10:00Z", "2026-11-21T13:11:00Z"],
        );
        check("0 0 1 1 *", "UTC", from, &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]);
        check("0 0 29 2 *", "UTC", from, &["2028-02-29T00:00:00Z"]);
        // Either of the two days, where both are restricted.
        check(
            "0 0 24 * 1",
            "UTC",
            from,
            &["2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z", "2026-11-30T00:00:00Z"],
        );
    }

    #[test]
    fn a_zone_has_its_own_hours() {
        check("0 3 * * *", "Europe/Berlin", "2026-11-21T12:00:00Z", &["2026-11-22T02:00:00Z"]);
        check("0 3 * * *", "Europe/Berlin", "2026-07-01T12:00:00Z", &["2026-07-02T01:00:00Z"]);
        check("30 0 * * *", "Asia/Kolkata", "2026-11-21T12:00:00Z", &["2026-11-21T19:00:00Z"]);
    }

    #[test]
    fn a_time_the_clock_passes_over_begins_as_much_later() {
        // Berlin, 2026-03-29: from 02:00 CET to 03:00 CEST. 02:30 is 03:30 CEST that night.
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T00:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
        );
    }

    #[test]
    fn a_time_that_comes_twice_begins_once() {
        // Berlin, 2026-10-25: from 03:00 CEST back to 02:00 CET. The first 02:30 is CEST.
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        let bad = "x|* * * *|* * * * * *|60 * * * *|* 24 * * *|* * 0 * *|* * * 13 *|* * * * 8|5-1 * * * *|*/0 * * * *|5/2 * * * *|-1 * * * *|+1 * * * *|1,,2 * * * *|0 0 31 2 *|";
        for text in bad.split('|') {
            assert_eq!(Schedule::parse(text, TimeZone::UTC), None, "{text}");
        }
    }
}
