//! One receiver's desk: what it has read of the history, what it was told, and what waits for it. Pure: the
//! time and the jitter of retries are arguments.
//!
//! ```text
//!   history ──read──► filtered ──► not told yet? ──► gathered, `group_wait` ──► grouped ──► waiting ──► delivered
//!    `next`            severity,     `open`: one         from the first on       by kind      in order,    or given up
//!                      service       state a subject                             and site     with backoff after a day
//! ```
//!
//! All of it is kept on disk whenever it changes, and what is read again after a crash comes to the same: so
//! a message is delivered at least once, and never forgotten between a decision and its delivery.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::derive::{News, Turn, derive, service_subject};
use super::kind::Kind;
use super::message::{Message, State};
use crate::dns::Name;
use crate::engine::Happened;
use crate::model::{AlertReceiver, SiteId};
use crate::state::Entry;
use crate::time::Time;

/// News that may gather for one message; the next are gathered once these are grouped.
pub const MAX_GATHERED: usize = 20_000;
/// Messages that may wait for a receiver. While so many wait, no more of the history is read, which has a
/// bound of its own.
pub const MAX_WAITING: usize = 1_000;
/// Subjects that are remembered as told and not over. Of further ones everything is told.
pub const MAX_OPEN: usize = 100_000;
/// How long a message is tried.
pub const GIVE_UP: Duration = Duration::from_secs(24 * 60 * 60);
/// From the first try to the second, and at most from one to the next.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);

/// What a receiver has read, was told, and is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desk {
    /// The number of the history's entry to read next.
    pub next: u64,
    /// Since when news gather, and which.
    gathering: Option<(Time, Vec<News>)>,
    /// By subject, the state it is in once what gathers is told; `None` where it is over.
    after: BTreeMap<String, Option<String>>,
    /// By subject, what it was told and is not over.
    open: BTreeMap<String, Open>,
    /// The oldest first.
    waiting: VecDeque<Waiting>,
}

/// What was told of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Open {
    state: String,
    kind: Kind,
    /// The site it was told of.
    site: Option<SiteId>,
    /// The key of the message that told it first.
    key: String,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    message: Message,
    since: Time,
    tries: u32,
    again: Time,
}

/// What became of a message that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again at this time.
    Again(Time),
    /// It is not: it was tried for [`GIVE_UP`], or the receiver refuses this very message.
    GivenUp(Box<Message>),
}

impl Desk {
    /// One that begins with the history's next entry.
    pub fn new(next: u64) -> Desk {
        Desk { next, ..Desk::default() }
    }

    /// Whether more of the history may be read.
    pub fn has_room(&self) -> bool {
        let gathered = self.gathering.as_ref().map_or(0, |(_, gathered)| gathered.len());
        self.waiting.len() < MAX_WAITING && gathered < MAX_GATHERED
    }

    /// Takes up entries of the history, in their order. Whether anything of it is to be told.
    pub fn read(&mut self, now: Time, entries: &[Entry], to: &AlertReceiver) -> bool {
        let before = self.gathered();
        for entry in entries {
            // What was read before a crash may be read again.
            if entry.seq < self.next {
                continue;
            }
            self.next = entry.seq + 1;
            for news in derive(entry).into_iter().chain(self.of_last_run(entry)) {
                let news = self.as_told(news, to);
                if self.wants(&news, to) {
                    match &news.turn {
                        Turn::Begins(state) => self.after.insert(news.subject.clone(), Some(state.clone())),
                        Turn::Ends => self.after.insert(news.subject.clone(), None),
                        Turn::Once => None,
                    };
                    self.gathering.get_or_insert_with(|| (now, Vec::new())).1.push(news);
                }
            }
        }
        self.gathered() > before
    }

    /// What the last run of the daemon found and recorded is not known of this one, which finds it again if it
    /// is still so.
    fn of_last_run(&self, entry: &Entry) -> Vec<News> {
        if !matches!(entry.what, Happened::Started { .. }) {
            return Vec::new();
        }
        let gathered = self.gathering.iter().flat_map(|(_, gathered)| gathered);
        let gathered = gathered.map(|news| (&news.subject, news.kind));
        let told = self.open.iter().map(|(subject, open)| (subject, open.kind));
        let found: BTreeMap<&String, Kind> = told.chain(gathered).collect();
        let ends = found.into_iter().filter_map(|(subject, kind)| match kind {
            // What a decision says is so still is: decisions are kept.
            Kind::Condition(of) if of.is_told_by_turns() => Some(News {
                seq: entry.seq,
                at: entry.at,
                kind: Kind::Cleared(of),
                subject: subject.clone(),
                turn: Turn::Ends,
                service: None,
                site: None,
                title: format!("{subject} ended with a restart"),
                reason: entry.what.to_string(),
                severity: None,
            }),
            _ => None,
        });
        ends.collect()
    }

    fn gathered(&self) -> usize {
        self.gathering.as_ref().map_or(0, |(_, gathered)| gathered.len())
    }

    /// How many messages wait, those still gathering counted as one.
    pub fn queued(&self) -> usize {
        self.waiting.len() + usize::from(self.gathering.is_some())
    }

    /// When there is something to do; `None` while there is nothing.
    pub fn due(&self, to: &AlertReceiver) -> Option<Time> {
        let grouped = self.gathering.as_ref().map(|(since, _)| *since + to.group_wait);
        let sent = self.waiting.front().map(|waiting| waiting.again);
        [grouped, sent].into_iter().flatten().min()
    }

    /// How something stands as far as was told, or is about to be.
    fn state_of(&self, subject: &str) -> Option<&String> {
        match self.after.get(subject) {
            Some(after) => after.as_ref(),
            None => self.open.get(subject).map(|open| &open.state),
        }
    }

    /// What is left of something graver, and not for this receiver, is the end of what it was told.
    fn as_told(&self, news: News, to: &AlertReceiver) -> News {
        let is_lesser = matches!(news.turn, Turn::Begins(_)) && !to.severities.contains(&news.severity());
        let turn = if is_lesser && self.state_of(&news.subject).is_some() { Turn::Ends } else { news.turn };
        News { turn, ..news }
    }

    /// Whether it concerns the receiver, and says what it has not been told.
    fn wants(&self, news: &News, to: &AlertReceiver) -> bool {
        let concerned = match (&to.services, &news.service) {
            (Some(patterns), Some(service)) => patterns.iter().any(|pattern| pattern.fits(service)),
            _ => true,
        };
        let state = self.state_of(&news.subject);
        concerned
            && match &news.turn {
                Turn::Begins(begins) => state != Some(begins) && to.severities.contains(&news.severity()),
                // Whoever was told of a beginning is told of its end.
                Turn::Ends => state.is_some(),
                Turn::Once => to.severities.contains(&news.severity()),
            }
    }

    /// Groups what has gathered for long enough. Whether there was anything.
    pub fn group(&mut self, now: Time, to: &AlertReceiver) -> bool {
        let due = self.gathering.as_ref().is_some_and(|(since, _)| *since + to.group_wait <= now);
        if !due {
            return false;
        }
        let Some((_, gathered)) = self.gathering.take() else { return false };
        self.after.clear();
        let gathered = self.without_echoes(gathered);
        for group in self.groups(&gathered) {
            for group in self.by_key(group) {
                let message = self.tell(&group, to);
                let waiting = message.map(|message| Waiting { message, since: now, tries: 0, again: now });
                self.waiting.extend(waiting);
            }
        }
        true
    }

    /// Without standbys that could not take over because their service has just left them, or had before: that
    /// was told, in the words that matter more.
    fn without_echoes(&self, gathered: Vec<News>) -> Vec<News> {
        let begins = |news: &&News| matches!(news.turn, Turn::Begins(_));
        let left: BTreeSet<(Option<Name>, Option<SiteId>)> = gathered
            .iter()
            .filter(|news| news.kind == Kind::Failover)
            .map(|news| (news.service.clone(), news.site.clone()))
            .collect();
        let told = |news: &News| {
            let service = news.service.as_ref().map(service_subject);
            let open = service.and_then(|service| self.open.get(&service));
            open.is_some_and(|open| open.kind == Kind::Failover && open.site == news.site)
        };
        let echoes = |news: &News| {
            news.kind == Kind::Standby
                && begins(&news)
                && (left.contains(&(news.service.clone(), news.site.clone())) || told(news))
        };
        gathered.into_iter().filter(|news| !echoes(news)).collect()
    }

    /// The same, apart by what they are told under: what began and ends within one wait has a key only now.
    fn by_key<'a>(&self, group: Vec<&'a News>) -> Vec<Vec<&'a News>> {
        let mut apart: BTreeMap<Option<&str>, Vec<&News>> = BTreeMap::new();
        for news in group {
            let key = self.open.get(&news.subject).map(|open| open.key.as_str());
            apart.entry(key).or_default().push(news);
        }
        apart.into_values().collect()
    }

    /// News of one kind and site, and about the same incident, that stand in no wrong order: a group takes up
    /// what came later only as far as nothing else was told of the same subject in between.
    fn groups<'a>(&self, gathered: &'a [News]) -> Vec<Vec<&'a News>> {
        let mut groups: Vec<Vec<&News>> = Vec::new();
        // Which group a thing of this kind goes into, and the last group that tells of a subject.
        let mut open: BTreeMap<(Kind, Option<&str>, Option<&str>), usize> = BTreeMap::new();
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for news in gathered {
            let held = self.open.get(&news.subject);
            let kind = match (news.kind, held) {
                (Kind::Failback, Some(open)) if open.kind.is_outage() => Kind::Recovered,
                (kind, _) => kind,
            };
            let sort = (kind, news.site.as_deref(), held.map(|open| open.key.as_str()));
            let after = last.get(news.subject.as_str()).copied();
            let at = match open.get(&sort) {
                Some(&at) if after.is_none_or(|after| after < at) => at,
                _ => {
                    groups.push(Vec::new());
                    open.insert(sort, groups.len() - 1);
                    groups.len() - 1
                }
            };
            groups[at].push(news);
            last.insert(&news.subject, at);
        }
        groups
    }

    /// The message of a group, and what is open after it.
    fn tell(&mut self, group: &[&News], to: &AlertReceiver) -> Option<Message> {
        // What was left out at its beginning has no end.
        let ends = |news: &&News| news.turn == Turn::Ends;
        let group: Vec<&News> = group
            .iter()
            .copied()
            .filter(|news| !ends(news) || self.open.contains_key(&news.subject))
            .collect();
        let group = group.as_slice();
        let first = group.first()?;
        let held = self.open.get(&first.subject).cloned();
        let key = match (&held, group) {
            (Some(open), _) => open.key.clone(),
            (None, [one]) => one.subject.clone(),
            (None, _) => {
                let site = first.site.as_deref().unwrap_or("several");
                format!("{} {site} {}", first.kind.word(), first.at)
            }
        };
        let recovered = held.is_some_and(|open| open.kind.is_outage()) && first.kind == Kind::Failback;
        let kind = if recovered { Kind::Recovered } else { first.kind };
        let state = match first.turn {
            Turn::Once => State::Told,
            Turn::Begins(_) => {
                for news in group {
                    let Turn::Begins(state) = &news.turn else { continue };
                    if self.open.len() < MAX_OPEN || self.open.contains_key(&news.subject) {
                        let (state, site) = (state.clone(), news.site.clone());
                        let open = Open { state, kind, site, key: key.clone() };
                        self.open.insert(news.subject.clone(), open);
                    }
                }
                State::Firing
            }
            Turn::Ends => {
                for news in group {
                    self.open.remove(&news.subject);
                }
                // Of a site that died, services may come back one after the other.
                let others = self.open.values().any(|open| open.key == key);
                if others { State::Told } else { State::Resolved }
            }
        };
        Message::of(group, kind, key, state, to)
    }

    /// The message to send now.
    pub fn ready(&self, now: Time) -> Option<&Message> {
        self.waiting.front().filter(|waiting| waiting.again <= now).map(|waiting| &waiting.message)
    }

    /// The first message was delivered.
    pub fn delivered(&mut self) {
        self.waiting.pop_front();
    }

    /// It was not; `refused` where the receiver says that it never will take this one.
    pub fn failed(&mut self, now: Time, refused: bool, jitter: u8) -> Option<Failed> {
        let first = self.waiting.front_mut()?;
        first.tries = first.tries.saturating_add(1);
        if !refused && now.since(first.since) < GIVE_UP {
            first.again = now + backoff(first.tries, jitter);
            return Some(Failed::Again(first.again));
        }
        self.waiting.pop_front().map(|waiting| Failed::GivenUp(Box::new(waiting.message)))
    }

    /// Every subject that is open; for tests and for whoever looks at the file.
    pub fn subjects(&self) -> BTreeSet<&str> {
        self.open.keys().map(String::as_str).collect()
    }
}

/// How long after the given number of tries the next one comes: twice as long each time, of which `jitter`
/// takes away up to a half, so that not all receivers of a dead service come back at once.
pub fn backoff(tries: u32, jitter: u8) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX));
    let whole = doubled.min(LAST_RETRY);
    whole.saturating_sub(whole.mul_f64(f64::from(jitter) / f64::from(u8::MAX) / 2.0))
}
