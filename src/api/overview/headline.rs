//! The state in a few sentences, the worst first: what somebody reads who was woken a minute ago.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::row::{Row, Stance};
use crate::time::Time;

/// How many names a sentence lists.
const MAX_NAMED: usize = 3;

/// One thing that is so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sentence {
    /// How bad it is.
    pub tone: Tone,
    /// `2 services moved off fra, which is Down: 3 of 3 failed, connection refused`
    pub text: String,
    /// Since when, where that is known.
    pub since: Option<Time>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// Clients are hurt, or will not be helped.
    Alarm,
    /// Something is not as it should be; clients are served.
    Notice,
    /// All is well.
    Well,
}

impl Stance {
    /// How bad it is.
    pub fn tone(self) -> Tone {
        match self {
            Stance::Stranded | Stance::FamilyDown | Stance::Held => Tone::Alarm,
            Stance::Moved | Stance::Failing | Stance::Partial | Stance::Undecided | Stance::Exposed => {
                Tone::Notice
            }
            Stance::Home => Tone::Well,
        }
    }
}

/// Says how these services are. The first sentence is the one to print large; there is always one.
pub(super) fn say(rows: &[Row]) -> Vec<Sentence> {
    let mut groups: BTreeMap<(Stance, String), Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.stance != Stance::Home) {
        groups.entry((row.stance, tail(row))).or_default().push(row);
    }
    let mut sentences: Vec<Sentence> =
        groups.iter().map(|((stance, tail), rows)| sentence(*stance, tail, rows)).collect();
    let is_off = |row: &&Row| !matches!(row.stance, Stance::Home | Stance::Exposed);
    let off = rows.iter().filter(is_off).count();
    let ways = groups.keys().filter(|(stance, _)| *stance != Stance::Exposed).count();
    if off == 0 {
        let text = match rows.len() {
            0 => "No service is configured".to_owned(),
            1 => "The one service is served from where it should be".to_owned(),
            all => format!("All {all} services are served from where they should be"),
        };
        sentences.insert(0, Sentence { tone: Tone::Well, text, since: None });
    } else if ways > 1 {
        let text = format!("{off} of {} services are not served as they should be", rows.len());
        let tone = sentences.iter().map(|sentence| sentence.tone).min().unwrap_or(Tone::Notice);
        sentences.insert(0, Sentence { tone, text, since: None });
    }
    sentences
}

fn sentence(stance: Stance, tail: &str, rows: &[&Row]) -> Sentence {
    let one = rows.len() == 1;
    let who = match rows {
        [row] => row.name.clone(),
        rows if rows.len() <= MAX_NAMED => {
            let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            names.join(", ")
        }
        rows => format!("{} services", rows.len()),
    };
    let verb = |singular: &'static str, plural: &'static str| if one { singular } else { plural };
    let text = match stance {
        Stance::Stranded => format!("{who}: no site works; {tail}"),
        Stance::FamilyDown => format!("{who}: {tail}"),
        Stance::Held => format!("{who} {} still answered from {tail}", verb("is", "are")),
        Stance::Moved => format!("{who} moved off {tail}"),
        Stance::Failing => format!("{who} {} answered from a site that fails: {tail}", verb("is", "are")),
        Stance::Partial => format!("{who} {} answered without {tail}", verb("is", "are")),
        Stance::Undecided => format!("{who} {} not decided yet", verb("is", "are")),
        Stance::Exposed => {
            format!("{who} {} no standby that could take over now: {tail}", verb("has", "have"))
        }
        Stance::Home => format!("{who} {} where {} should be", verb("is", "are"), verb("it", "they")),
    };
    let since = rows.iter().filter_map(|row| row.since).min();
    let dated = !matches!(stance, Stance::Undecided | Stance::Exposed | Stance::Failing);
    Sentence { tone: stance.tone(), text, since: since.filter(|_| dated) }
}

/// What a sentence says of a row beyond its name; rows of which the same is said share one.
fn tail(row: &Row) -> String {
    // What is answered in part comes before what is not answered at all.
    let partly = row.off.iter().find(|off| !off.withheld.is_empty());
    if let Some(off) = partly.filter(|_| row.stance == Stance::Partial) {
        return format!("{} of {}", off.withheld.join(" and "), off.site);
    }
    let off = row.off.first().map(|off| (off.site.to_string(), off.why.clone()));
    match row.stance {
        Stance::Moved | Stance::Held | Stance::Partial => match off {
            Some((site, why)) if why == "Up" => format!("{site}, which is Up again; {}", row.next.text),
            Some((site, why)) => format!("{site} ({why})"),
            None => row.because.clone(),
        },
        Stance::Stranded => row.because.rsplit("; ").next().unwrap_or_default().to_owned(),
        Stance::FamilyDown => row.lost.join("; "),
        Stance::Failing => row.because.clone(),
        Stance::Exposed => match &row.standby {
            Some(standby) => standby.unready.clone().unwrap_or_default(),
            None => "no other endpoint works".to_owned(),
        },
        Stance::Undecided | Stance::Home => String::new(),
    }
}
