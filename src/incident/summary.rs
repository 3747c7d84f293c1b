//! An incident in one sentence.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::progress::Course;
use super::{For, Move, Way};
use crate::time::{Time, span};

/// How many sites a summary names.
const MAX_TARGETS: usize = 5;

/// `fra failed (connection refused): 3 services moved to iad within 0.7s; over after 4m 12s`
///
/// Within is from the first failed run to the last publish, which is when the last of them had moved.
pub(super) fn summary(course: &Course, now: Time) -> String {
    let mut out = course.sites.join(" and ");
    out.push_str(" failed");
    if let Some(cause) = course.causes.first() {
        let _ = write!(out, " ({})", cause.why);
    }
    out.push_str(": ");
    let away: Vec<&Move> = course.moves.iter().filter(|made| made.way == Way::Away).collect();
    match away.first() {
        None => out.push_str("no answer moved"),
        Some(first) => {
            let whose = match course.away.len() {
                1 => first.service.bare(),
                many => format!("{many} services"),
            };
            let how = match (&first.to[..], first.from == first.to) {
                _ if !first.families.is_empty() => format!("answered {}", first.families),
                (_, true) => "left out what failed".to_owned(),
                ([], _) => "lost its last site".to_owned(),
                _ => format!("moved to {}", targets(course)),
            };
            let _ = write!(out, "{whose} {how} within {}", span(course.slowest));
        }
    }
    if let Some(ended) = course.ended(now) {
        let _ = write!(out, "; over after {}", span(ended.since(course.began)));
    } else {
        let _ = write!(out, "; goes on for {}", span(now.since(course.began)));
        out.push_str(&waiting(course));
    }
    out
}

/// Where services moved to: `iad`, or where they went to several sites `iad (30), gru (10) and lhr (2)`.
fn targets(course: &Course) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for to in course.away.values() {
        let to = if to.is_empty() { "no site".to_owned() } else { to.join(" and ") };
        *counts.entry(to).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
    if let [(to, _)] = &counts[..] {
        return to.clone();
    }
    let rest: usize = counts.iter().skip(MAX_TARGETS).map(|(_, count)| count).sum();
    let mut said: Vec<String> =
        counts.iter().take(MAX_TARGETS).map(|(to, count)| format!("{to} ({count})")).collect();
    if rest > 0 {
        said.push(format!("others ({rest})"));
    }
    match said.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => said.concat(),
    }
}

/// What has to happen for it to be over.
fn waiting(course: &Course) -> String {
    let count = |what: For| course.waiting.values().filter(|waiting| waiting.for_what == what).count();
    let services =
        |count: usize| if count == 1 { "a service".to_owned() } else { format!("{count} services") };
    let verb = |count: usize| if count == 1 { "waits" } else { "wait" };
    for (what, for_what) in [
        (For::Approval, "`detour approve`"),
        (For::Failback, "`detour failback`"),
        (For::Time, "a hold to end"),
    ] {
        let count = count(what);
        if count > 0 {
            return format!("; {} {} for {for_what}", services(count), verb(count));
        }
    }
    String::new()
}
