//! An incident as a page that people read afterwards.

use std::time::Duration;

use super::findings::findings;
use super::page::{Block, Line, Page, Piece, code, plain, words};
use super::standby::Held;
use crate::cli::show::{list, span};
use crate::dns::Name;
use crate::incident::{Incident, Move, Phases, Way, What};
use crate::model::Config;
use crate::time::Time;

/// How many rows a table has where the incident names hundreds.
const MAX_ROWS: usize = 50;

/// What is known of an incident.
pub(super) struct Known<'a> {
    pub incident: &'a Incident,
    /// What was recorded of those that carried; `None` where there is no recording to be had, and why.
    pub held: Result<Vec<Held>, String>,
    pub config: Option<&'a Config>,
    /// When it was looked at.
    pub now: Time,
}

impl Known<'_> {
    pub fn page(&self) -> Page {
        let incident = self.incident;
        let mut blocks = vec![Block::Paragraph(self.summary())];
        blocks.push(self.facts());
        let held = self.held.as_deref().unwrap_or_default();
        let mut section = |title: &str, parts: Vec<Block>| {
            blocks.push(Block::Heading(title.to_owned()));
            blocks.extend(parts);
        };
        let found = findings(incident, held, self.config, self.now);
        let nothing = || vec![Block::Paragraph(plain("Nothing stands out."))];
        section("What to look at", if found.is_empty() { nothing() } else { vec![Block::List(found)] });
        section("Cause", causes(incident));
        section("How long it took", phases(incident));
        section("What was served when", served(incident, self.now));
        section("Who did what", done(incident));
        section("How the standby held", self.standby());
        section("Alerts", alerts(incident));
        section("Timeline", timeline(incident));
        Page { title: format!("Incident {}: {}", incident.id, list(&incident.sites)), blocks }
    }

    /// Two sentences: what happened, and whether what was promised was kept.
    fn summary(&self) -> Line {
        let text = format!("{}. ", self.incident.summary);
        let promise = match &self.incident.phases {
            None => "Clients were answered the same all the time.".to_owned(),
            Some(phases) => {
                let (service, total) = (phases.service.bare(), secs(phases.total));
                let whose = if self.incident.moves_total > 1 { "the slowest move" } else { "the move" };
                let took = format!(
                    "From the first failed run until no cache held the old answer, {whose} ({service}) took {total}"
                );
                match (phases.rto, phases.kept) {
                    (Some(rto), Some(true)) => format!("{took}, within the {} it promises.", secs(rto)),
                    (Some(rto), _) => format!(
                        "{took}, {} more than the {} it promises.",
                        secs(phases.total - rto),
                        secs(rto)
                    ),
                    (None, _) => format!("{took}; no `rto` is promised."),
                }
            }
        };
        let mut line = plain(text);
        line.extend(words(&promise));
        line
    }

    fn facts(&self) -> Block {
        let incident = self.incident;
        let mut rows = vec![
            vec![plain("Began"), plain(incident.began.to_string())],
            vec![
                plain("Ended"),
                match incident.ended {
                    Some(ended) => plain(format!("{ended}, after {}", span(ended.since(incident.began)))),
                    None => plain(format!("not yet, after {}", span(self.now.since(incident.began)))),
                },
            ],
            vec![plain("Sites that failed"), plain(list(&incident.sites))],
        ];
        let mut names: Vec<String> = incident.services.iter().take(10).map(Name::bare).collect();
        let more = incident.services_total.saturating_sub(names.len());
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        rows.push(vec![plain(format!("Services ({})", incident.services_total)), plain(list(&names))]);
        Block::Table { head: vec!["What", "Value"], rows }
    }

    fn standby(&self) -> Vec<Block> {
        let held = match &self.held {
            Err(why) => return vec![Block::Paragraph(plain(format!("Not known: {why}.")))],
            Ok(held) if held.is_empty() => {
                return vec![Block::Paragraph(plain(
                    "No sample of a site that answers moved to was recorded.",
                ))];
            }
            Ok(held) => held,
        };
        let ms = |ms: Option<f64>| plain(ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms")));
        let row = |held: &Held| {
            let during = &held.during;
            vec![
                plain(held.site.to_string()),
                code(held.check.to_string()),
                plain(during.all.to_string()),
                plain(match (&during.why, during.failures) {
                    (Some(why), failures) => format!("{failures}: {why}"),
                    (None, failures) => failures.to_string(),
                }),
                ms(during.median_ms),
                ms(during.p95_ms),
                ms(held.before.median_ms),
            ]
        };
        let head = vec!["Site", "Check", "Runs", "Failed", "Median", "95 %", "Median before"];
        vec![Block::Table { head, rows: held.iter().take(MAX_ROWS).map(row).collect() }]
    }
}

fn secs(secs: f64) -> String {
    if secs < 10.0 { format!("{secs:.2} s") } else { format!("{secs:.1} s") }
}

fn bounded(mut rows: Vec<Vec<Line>>, head: Vec<&'static str>, total: usize) -> Vec<Block> {
    rows.truncate(MAX_ROWS);
    let more = total.saturating_sub(rows.len());
    let mut blocks = vec![Block::Table { head, rows }];
    if more > 0 {
        blocks.push(Block::Paragraph(plain(format!("And {more} more."))));
    }
    blocks
}

fn none(text: &str) -> Vec<Block> {
    vec![Block::Paragraph(plain(text))]
}

fn causes(incident: &Incident) -> Vec<Block> {
    if incident.causes.is_empty() {
        return none("The history does not tell which check failed first.");
    }
    let rows = incident.causes.iter().map(|cause| {
        let later = |at: Option<Time>| {
            plain(at.map_or_else(|| "-".to_owned(), |at| format!("+{}", span(at.since(cause.at)))))
        };
        vec![
            plain(cause.at.to_string()),
            plain(cause.site.to_string()),
            code(cause.check.to_string()),
            plain(cause.why.clone()),
            later(cause.down),
            later(cause.up),
            plain(cause.falls.to_string()),
        ]
    });
    let head = vec!["First failed run", "Site", "Check", "It said", "Down", "Up again", "Times Down"];
    bounded(rows.collect(), head, incident.causes.len())
}

fn phases(incident: &Incident) -> Vec<Block> {
    let mut away: Vec<&Move> = incident.moves.iter().filter(|made| made.way == Way::Away).collect();
    if away.is_empty() {
        return none("No answer moved away from what failed.");
    }
    let slowest = |made: &&Move| std::cmp::Reverse(made.gone.since(made.failed));
    away.sort_by_key(slowest);
    let rows = away.iter().map(|made| {
        let Phases { detect, decide, publish, ttl, total, rto, kept, .. } = made.phases();
        let promised = match (rto, kept) {
            (Some(rto), Some(true)) => plain(format!("{}: kept", secs(rto))),
            (Some(rto), _) => vec![Piece::Strong(format!("{}: missed", secs(rto)))],
            (None, _) => plain("-"),
        };
        let mut row =
            vec![plain(made.service.bare()), plain(format!("{} → {}", list(&made.from), list(&made.to)))];
        row.extend([detect, decide, publish, ttl, total].map(|phase| plain(secs(phase))));
        row.push(promised);
        row
    });
    let head = vec!["Service", "Move", "Detection", "Decision", "Publish", "Old TTL", "In all", "Promised"];
    let mut blocks = bounded(rows.collect(), head, away.len());
    blocks.push(Block::Paragraph(words(
        "Detection counts from the beginning of the first failed run; the site may have failed up to an `interval` before. \
         The old TTL counts from the new answer until the last cache lost the old one.",
    )));
    blocks
}

fn served(incident: &Incident, now: Time) -> Vec<Block> {
    if incident.served.is_empty() {
        return none("What was served did not change.");
    }
    let mut all: Vec<_> = incident.served.iter().collect();
    all.sort_by(|a, b| (&a.service, a.from).cmp(&(&b.service, b.from)));
    let rows = all.iter().map(|served| {
        let to = served.to.map_or_else(|| "still".to_owned(), |to| to.to_string());
        let lasted = span(served.to.unwrap_or(now).since(served.from));
        let from = if served.from < incident.began { "before".to_owned() } else { served.from.to_string() };
        vec![
            plain(served.service.bare()),
            plain(from),
            plain(to),
            plain(lasted),
            plain(list(&served.sites)),
            plain(list(&served.answer)),
            plain(format!("{} s", served.ttl)),
        ]
    });
    let head = vec!["Service", "From", "To", "For", "Site", "Answer", "TTL"];
    bounded(rows.collect(), head, all.len())
}

fn done(incident: &Incident) -> Vec<Block> {
    let by_people = |what: What| [What::Command, What::OverrideEnded, What::Loaded].contains(&what);
    let lines = incident.timeline.iter().filter(|line| by_people(line.what));
    let rows: Vec<Vec<Line>> = lines
        .map(|line| {
            let who = line.who.clone().unwrap_or_else(|| "-".to_owned());
            vec![plain(line.at.to_string()), plain(who), plain(line.text.clone())]
        })
        .collect();
    if rows.is_empty() {
        return none("Nobody did anything: all of it was decided by rule.");
    }
    let total = rows.len();
    bounded(rows, vec!["When", "Who", "What and why"], total)
}

fn alerts(incident: &Incident) -> Vec<Block> {
    let lines = incident.timeline.iter().filter(|line| line.what == What::Alert);
    let rows: Vec<Vec<Line>> =
        lines.map(|line| vec![plain(line.at.to_string()), plain(line.text.clone())]).collect();
    if rows.is_empty() {
        return none("No alert about it was taken or given up.");
    }
    let total = rows.len();
    bounded(rows, vec!["When", "What"], total)
}

fn timeline(incident: &Incident) -> Vec<Block> {
    let rows = incident.timeline.iter().map(|line| {
        let since = relative(line.at.since(incident.began));
        vec![plain(line.at.to_string()), plain(since), plain(line.text.clone())]
    });
    let head = vec!["UTC", "After", "What"];
    let mut blocks = vec![Block::Table { head, rows: rows.collect() }];
    if incident.more_lines > 0 {
        let text = format!("And {} lines more; `detour history` has them all.", incident.more_lines);
        blocks.push(Block::Paragraph(words(&text)));
    }
    blocks
}

/// `+2.02s`, `+4m 12s`
fn relative(d: Duration) -> String {
    if d < Duration::from_secs(60) { format!("+{:.2}s", d.as_secs_f64()) } else { format!("+{}", span(d)) }
}
