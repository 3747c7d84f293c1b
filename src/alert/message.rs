//! One message to a receiver, as it waits on disk until it is delivered.

use serde::{Deserialize, Serialize};

use super::derive::{News, Turn};
use super::kind::Kind;
use crate::dns::Name;
use crate::model::{AlertReceiver, AlertSeverity, SiteId};
use crate::time::Time;

/// How many services a message names; of others it tells the number.
pub const MAX_NAMED: usize = 100;
/// How many of them are in its text.
const MAX_LISTED: usize = 10;

/// What a receiver is to do with what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on until it is resolved.
    Firing,
    /// What was told under this key is over.
    Resolved,
    /// It needs nobody's end: something that happened, or a part of what was told is over.
    Told,
}

impl State {
    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            State::Firing => "firing",
            State::Resolved => "resolved",
            State::Told => "told",
        }
    }
}

/// What is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The same each time the same message is sent: whoever gets it twice can tell.
    pub id: String,
    /// What it is about: the beginning and the end of a thing have the same.
    pub key: String,
    /// What to do with it.
    pub state: State,
    /// How much it matters.
    pub severity: AlertSeverity,
    /// What kind of thing.
    pub kind: Kind,
    /// When the first of it happened.
    pub at: Time,
    /// The site that all of it has in common.
    pub site: Option<SiteId>,
    /// At most [`MAX_NAMED`] of the services.
    pub services: Vec<Name>,
    /// How many things are told: services, mostly.
    pub count: usize,
    /// In a few words.
    pub title: String,
    /// In as many as it takes.
    pub text: String,
    /// The first one's reason: the decision's own, where there is one.
    pub reason: String,
}

impl Message {
    /// What a group of news of one kind comes to; none for no news.
    pub fn of(group: &[&News], kind: Kind, key: String, state: State, to: &AlertReceiver) -> Option<Message> {
        let (first, last) = (group.first()?, group.last()?);
        let site =
            first.site.clone().filter(|site| group.iter().all(|news| news.site.as_ref() == Some(site)));
        let mut named: Vec<&Name> = group.iter().filter_map(|news| news.service.as_ref()).collect();
        named.sort();
        named.dedup();
        // One service may be told of several times within a group's wait.
        let count = if named.is_empty() { group.len() } else { named.len() };
        // The worst of them: the order is from critical on.
        let severity = group.iter().map(|news| news.severity()).min().unwrap_or(kind.severity());
        let own_title = match group {
            [one] => one.title.clone(),
            _ if count == 1 => last.title.clone(),
            _ => kind.of_many(count, site.as_deref()),
        };
        let stuck = group.len() > 1 && severity == AlertSeverity::Critical;
        let own_title = match kind {
            Kind::Approval | Kind::Held if stuck && count > 1 => {
                format!("{own_title} while the site in use is Down")
            }
            _ => own_title,
        };
        let own_text = if count == 1 { last.reason.clone() } else { listed(group) };
        let services: Vec<Name> = named.iter().take(MAX_NAMED).map(|&name| name.clone()).collect();
        let (names, time) = (names(&named), first.at.to_string());
        let value = |placeholder: &str| match placeholder {
            "{service}" => names.clone(),
            "{site}" => site.as_deref().unwrap_or_default().to_owned(),
            "{reason}" => last.reason.clone(),
            "{time}" => time.clone(),
            "{severity}" => severity.word().to_owned(),
            _ => kind.word().to_owned(),
        };
        let title = to.title.as_ref().map_or(own_title, |template| template.fill(value));
        let text = to.text.as_ref().map_or(own_text, |template| template.fill(value));
        Some(Message {
            id: format!("{}-{}-{}", first.at.0, first.seq, kind.word()),
            key,
            state,
            severity,
            kind,
            at: first.at,
            services,
            count,
            title,
            text,
            reason: last.reason.clone(),
            site,
        })
    }

    /// What `detour alert test` has delivered.
    pub fn test(now: Time, to: &AlertReceiver) -> Option<Message> {
        let title = format!("a test of the receiver {}", to.id);
        let news = News {
            seq: now.0,
            at: now,
            kind: Kind::Test,
            subject: "test".to_owned(),
            turn: Turn::Once,
            service: None,
            site: None,
            severity: None,
            title,
            reason: "somebody asked for it; nothing has happened".to_owned(),
        };
        Message::of(&[&news], Kind::Test, format!("test {}", now.0), State::Told, to)
    }
}

/// `app.example.com, www.example.com and 3 more`
fn names(named: &[&Name]) -> String {
    let listed: Vec<String> = named.iter().take(MAX_LISTED).map(|name| name.bare()).collect();
    more(listed.join(", "), named.len(), " and ")
}

/// A line for each of them.
fn listed(group: &[&News]) -> String {
    let line = |news: &&News| match &news.service {
        Some(service) => format!("{}: {}", service.bare(), news.reason),
        None => news.title.clone(),
    };
    let lines: Vec<String> = group.iter().take(MAX_LISTED).map(line).collect();
    more(lines.join("\n"), group.len(), "\nand ")
}

fn more(listed: String, count: usize, and: &str) -> String {
    if count > MAX_LISTED { format!("{listed}{and}{} more", count - MAX_LISTED) } else { listed }
}
