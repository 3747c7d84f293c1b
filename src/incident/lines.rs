//! A timeline as it grows: what a dead site does to a thousand services at once is one line.

use std::time::Duration;

use super::{Line, MAX_LINES, What};
use crate::dns::Name;
use crate::model::SiteId;
use crate::time::Time;

/// How far apart things may be that are told in one line.
const TOGETHER: Duration = Duration::from_secs(2);
/// How many lines are looked back at for one to join.
const LOOK_BACK: usize = 12;
/// How many names a line has.
const MAX_NAMES: usize = 3;

/// Lines, each with what it is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Gathered>,
    more: usize,
}

/// Something to tell.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub at: Time,
    pub what: What,
    pub seq: Option<u64>,
    /// What it is about: a check, a service.
    pub subject: String,
    /// What is said of it: `moves from fra to iad`. Told together is only what has the same.
    pub said: String,
    /// The same of several.
    pub of_many: String,
    /// Behind a colon; the first one's, where there are several.
    pub why: String,
    pub service: Option<Name>,
    pub site: Option<SiteId>,
    pub who: Option<String>,
}

#[derive(Clone, Debug)]
struct Gathered {
    told: Told,
    names: Vec<String>,
    count: usize,
}

impl Lines {
    pub fn tell(&mut self, told: Told) {
        let fresh = self.lines.iter_mut().rev().take(LOOK_BACK);
        let same = |line: &&mut Gathered| {
            let (had, new) = (&line.told, &told);
            let near = had.at.since(new.at).max(new.at.since(had.at)) <= TOGETHER;
            near && !new.of_many.is_empty()
                && (had.what, &had.site, &had.of_many) == (new.what, &new.site, &new.of_many)
        };
        let mut fresh = fresh;
        if let Some(line) = fresh.find(same) {
            if line.names.len() < MAX_NAMES && !line.names.contains(&told.subject) {
                line.names.push(told.subject);
            }
            line.count += 1;
            line.told.at = line.told.at.min(told.at);
            return;
        }
        if self.lines.len() >= MAX_LINES {
            self.more += 1;
            return;
        }
        self.lines.push(Gathered { names: vec![told.subject.clone()], count: 1, told });
    }

    /// How many are not told.
    pub fn more(&self) -> usize {
        self.more
    }

    /// All lines in the order of time.
    pub fn all(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.lines.iter().map(Gathered::line).collect();
        // What is of one moment stays in the order it was told in.
        lines.sort_by_key(|line| line.at);
        lines
    }

    pub fn absorb(&mut self, other: Lines) {
        self.more += other.more;
        self.lines.extend(other.lines);
        self.lines.sort_by_key(|line| line.told.at);
        self.more += self.lines.len().saturating_sub(MAX_LINES);
        self.lines.truncate(MAX_LINES);
    }
}

impl Gathered {
    fn line(&self) -> Line {
        let Told { at, what, seq, said, of_many, why, service, site, who, .. } = &self.told;
        let said = if self.count == 1 { said } else { of_many };
        let names = named(&self.names, self.count);
        let mut text = format!("{names} {said}").trim().to_owned();
        if !why.is_empty() {
            let whose = if self.count > 1 { format!("{}: ", self.names[0]) } else { String::new() };
            text = format!("{text}: {whose}{why}");
        }
        Line {
            at: *at,
            what: *what,
            service: service.clone().filter(|_| self.count == 1),
            site: site.clone(),
            text,
            sequence: *seq,
            count: self.count,
            who: who.clone(),
        }
    }
}

/// `a, b, c and 7 more`
fn named(names: &[String], count: usize) -> String {
    let more = count.saturating_sub(names.len());
    match names.split_last() {
        Some((last, before)) if more == 0 && !before.is_empty() => {
            format!("{} and {last}", before.join(", "))
        }
        _ if more > 0 => format!("{} and {more} more", names.join(", ")),
        _ => names.join(", "),
    }
}
