//! Entries in, incidents out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::affected::{leaves_down, parts};
use super::answer::Answer;
use super::progress::Course;
use super::{Incident, MAX_ANSWERS, MAX_INCIDENTS, MAX_NAMED, MAX_OPEN, Phases, Way, What, summary};
use crate::dns::{Name, RrSet};
use crate::engine::{Action, Bearing, Command, Happened};
use crate::health::Health;
use crate::model::{CheckKey, SiteId};
use crate::policy::{Decision, Proposal, Scope};
use crate::state::Entry;
use crate::time::Time;

/// How long after its end an alert about an incident is still told in it.
const LATE_ALERTS: Duration = Duration::from_secs(900);

/// All incidents that the entries so far tell of.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    next: u64,
    answers: BTreeMap<Name, Answer>,
    open: Vec<Course>,
    /// The newest last.
    closed: VecDeque<Course>,
}

impl Incidents {
    /// The number after that of the last entry taken.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// An entry that cannot be read is left out.
    pub fn skip(&mut self, seq: u64) {
        self.next = self.next.max(seq + 1);
    }

    /// Every incident of these entries, in their order, the newest first.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>, now: Time) -> Vec<Incident> {
        let mut incidents = Incidents::default();
        entries.into_iter().for_each(|entry| incidents.take(entry));
        incidents.newest(now).collect()
    }

    /// What there is of them, the newest first.
    pub fn newest(&self, now: Time) -> impl Iterator<Item = Incident> + '_ {
        let mut courses: Vec<&Course> = self.closed.iter().chain(&self.open).collect();
        courses.sort_by_key(|course| std::cmp::Reverse(course.id));
        courses.into_iter().filter(|course| course.confirmed).map(move |course| incident(course, now))
    }

    /// The one with this id.
    pub fn find(&self, id: u64, now: Time) -> Option<Incident> {
        let mut courses = self.closed.iter().chain(&self.open).filter(|course| course.confirmed);
        courses.find(|course| course.id == id).map(|course| incident(course, now))
    }

    /// Takes the next entry in.
    pub fn take(&mut self, entry: &Entry) {
        let Entry { seq, at, what } = entry;
        let (seq, at) = (*seq, *at);
        self.next = self.next.max(seq + 1);
        self.pass(at);
        match what {
            Happened::Health { check, to, because, of: Some(of), .. } => {
                self.health(seq, at, (check, *to, because), of);
            }
            Happened::Decision(decision) => self.decision(seq, decision),
            Happened::Published { zone, to, decisions, .. } => {
                self.open.iter_mut().for_each(|course| course.published(seq, at, zone, *to, decisions));
            }
            Happened::Command(command) => self.command(seq, at, command, what),
            Happened::Expired(over) => {
                let text = what.to_string();
                let (site, service) = of_scope(&over.scope);
                self.note((seq, at), What::OverrideEnded, &text, (site, service), None);
            }
            Happened::Proposal { proposal, .. } => self.proposal(seq, at, proposal, what),
            Happened::Limit { service, .. } => {
                self.note((seq, at), What::Limit, &what.to_string(), (None, Some(service)), None);
            }
            Happened::Standby { service, site, unready } => {
                let unready = unready.as_deref();
                self.open.iter_mut().for_each(|course| course.standby(seq, at, service, site, unready));
            }
            Happened::Doubt(_) | Happened::Trust(_) => self.all(seq, at, What::Vantage, &what.to_string()),
            Happened::ClockSet { .. } => self.all(seq, at, What::Clock, &what.to_string()),
            Happened::Started { .. } => {
                self.all(seq, at, What::Started, &format!("detour {what}"));
            }
            Happened::Loaded { dropped, .. } => {
                self.all(seq, at, What::Loaded, &format!("the configuration is {what}"));
                self.open.iter_mut().for_each(|course| course.drop_checks(at, dropped));
            }
            Happened::AlertSent { site, services, .. } => {
                self.alert(seq, at, &what.to_string(), site.as_ref(), services);
            }
            // Whom it would have told of is not kept.
            Happened::AlertLost { .. } => self.all(seq, at, What::Alert, &what.to_string()),
            Happened::Health { .. }
            | Happened::LoadRefused { .. }
            | Happened::Sample(_)
            | Happened::Warned { .. }
            | Happened::Updated { .. }
            | Happened::UpdateRefused { .. }
            | Happened::Frozen { .. }
            | Happened::RolledBack { .. }
            | Happened::Audit(_)
            | Happened::Condition(_) => {}
        }
        self.open.retain(|course| !course.is_void());
    }

    /// Closes what has been over for long enough, and the oldest of too many.
    fn pass(&mut self, now: Time) {
        let mut at = 0;
        while at < self.open.len() {
            if self.open[at].is_closed(now) || self.open.len() > MAX_OPEN {
                let course = self.open.remove(at);
                if course.confirmed {
                    self.closed.push_back(course);
                }
            } else {
                at += 1;
            }
        }
        let spare = (self.closed.len() + self.open.len()).saturating_sub(MAX_INCIDENTS);
        self.closed.drain(..spare.min(self.closed.len()));
    }

    fn health(&mut self, seq: u64, at: Time, change: (&CheckKey, Health, &str), of: &Bearing) {
        let (check, to, because) = change;
        let failing = [Health::Suspect, Health::Down].contains(&to);
        let known = self.open.iter().any(|course| course.has_check(check));
        // What fails while it is worked on is no incident, unless it was one before.
        if !known && (!failing || of.maintained) {
            return;
        }
        let course = self.joined(seq, of.began.unwrap_or(at), |course| course.takes(check, of, at));
        course.health(seq, at, check, to, because, of);
    }

    /// The one this belongs to: those it joins are one from now on, and where there is none, it begins.
    fn joined(&mut self, seq: u64, at: Time, belongs: impl Fn(&Course) -> bool) -> &mut Course {
        let Some(first) = self.open.iter().position(&belongs) else {
            self.open.push(Course::new(seq, at));
            let last = self.open.len() - 1;
            return &mut self.open[last];
        };
        while let Some(other) = self.open.iter().skip(first + 1).position(&belongs) {
            let other = self.open.remove(first + 1 + other);
            self.open[first].absorb(other);
        }
        &mut self.open[first]
    }

    fn decision(&mut self, seq: u64, decision: &Decision) {
        let before = self.answers.get(&decision.service).cloned();
        let now = answer(decision, before.as_ref());
        let known = self.open.iter().any(|course| course.concerns(decision));
        let leaves = before.as_ref().is_some_and(|before| leaves_down(decision, before));
        if known || leaves {
            let course = self.joined(seq, decision.at, |course| course.concerns(decision));
            course.decide(seq, decision, before.as_ref(), &now);
        }
        if self.answers.len() < MAX_ANSWERS || before.is_some() {
            self.answers.insert(decision.service.clone(), now);
        }
    }

    fn proposal(&mut self, seq: u64, at: Time, proposal: &Proposal, what: &Happened) {
        let (service, from) = (&proposal.service, &proposal.from);
        let about =
            |course: &&mut Course| course.is_about(None, Some(service)) || course.takes_site(from, at);
        for course in self.open.iter_mut().filter(about) {
            course.note_proposal(proposal.id, service);
            let of = (Some(from.clone()), Some(service.clone()));
            course.note_of(seq, at, What::Proposal, &what.to_string(), of, None);
        }
    }

    fn command(&mut self, seq: u64, at: Time, command: &Command, what: &Happened) {
        let text = what.to_string();
        let text = text.strip_prefix("command: ").unwrap_or(&text);
        let who = Some(&command.who);
        let of = match &command.action {
            Action::Override { scope, .. } | Action::Clear { scope } => of_scope(scope),
            Action::Failover { service, to } => (Some(to), Some(service)),
            Action::Failback { service } => (None, Some(service)),
            Action::Approve { .. } | Action::Reject { .. } => {
                let id = match &command.action {
                    Action::Approve { proposal, .. } => *proposal,
                    Action::Reject { proposal } => Some(*proposal),
                    _ => None,
                };
                for course in self.open.iter_mut().filter(|course| course.has_proposal(id)) {
                    course.note_of(seq, at, What::Command, text, (None, None), who.cloned());
                }
                return;
            }
        };
        self.note((seq, at), What::Command, text, of, who);
    }

    /// A line in each that it is about.
    fn note(
        &mut self,
        (seq, at): (u64, Time),
        what: What,
        text: &str,
        (site, service): (Option<&SiteId>, Option<&Name>),
        who: Option<&String>,
    ) {
        for course in self.open.iter_mut().filter(|course| course.is_about(site, service)) {
            course.note_of(seq, at, what, text, (site.cloned(), service.cloned()), who.cloned());
        }
    }

    /// A line in each that is not over.
    fn all(&mut self, seq: u64, at: Time, what: What, text: &str) {
        for course in self.open.iter_mut().filter(|course| course.ended(at).is_none()) {
            course.note(seq, at, what, text);
        }
    }

    fn alert(&mut self, seq: u64, at: Time, text: &str, site: Option<&SiteId>, services: &[Name]) {
        let about = |course: &&mut Course| {
            let of_site = services.is_empty() && site.is_some_and(|site| course.sites.contains(site));
            let late = course.ended(at).is_some_and(|ended| at.since(ended) > LATE_ALERTS);
            !late && (of_site || services.iter().any(|service| course.services.contains(service)))
        };
        let mut courses = self.open.iter_mut().rev().chain(self.closed.iter_mut().rev());
        if let Some(course) = courses.find(about) {
            course.note_of(seq, at, What::Alert, text, (site.cloned(), None), None);
        }
    }
}

/// What a decision has answered from now on.
fn answer(decision: &Decision, before: Option<&Answer>) -> Answer {
    let lines = decision.records.iter().flat_map(RrSet::to_lines);
    // Owner, TTL and class say nothing here that is not said elsewhere.
    let lines = lines.map(|line| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned()).collect();
    let (at, ttl, sites) = (decision.at, decision.ttl, decision.sites.clone());
    let because = decision.because();
    let (own, families) = (decision.own_sites().to_vec(), parts(decision));
    let mut now = Answer { sites, own, families, lines, ttl, since: at, because, tail: Time(0) };
    if let Some(before) = before.filter(|before| before.lines == now.lines) {
        now.tail = before.tail;
        if before.ttl == now.ttl && before.sites == now.sites {
            now.since = before.since;
        } else {
            now.tail = now.tail.max(at + Duration::from_secs(before.ttl.into()));
        }
    }
    now
}

fn of_scope(scope: &Scope) -> (Option<&SiteId>, Option<&Name>) {
    match scope {
        Scope::Site(site) => (Some(site), None),
        Scope::Service(service) | Scope::Endpoint(service, _) => (None, Some(service)),
    }
}

fn incident(course: &Course, now: Time) -> Incident {
    let away = course.moves.iter().filter(|made| made.way == Way::Away);
    let over = |phases: &Phases| phases.total - phases.rto.unwrap_or(f64::MAX);
    // The one that missed its promise by most, else the slowest.
    let phases = away.map(super::Move::phases).max_by(|one, other| {
        let by_promise =
            (one.rto.is_some() || other.rto.is_some()).then(|| over(one).total_cmp(&over(other)));
        by_promise.unwrap_or_else(|| one.total.total_cmp(&other.total))
    });
    let named = |count: usize| count.min(MAX_NAMED);
    Incident {
        id: course.id,
        began: course.began,
        ended: course.ended(now),
        sites: course.sites.clone(),
        services: course.services.iter().take(named(course.services.len())).cloned().collect(),
        services_total: course.services.len(),
        summary: summary::summary(course, now),
        phases,
        causes: course.causes.clone(),
        moves: course.moves.clone(),
        moves_total: course.moves_total,
        waiting: course.waiting.values().take(MAX_NAMED).cloned().collect(),
        clear: course.clear,
        served: course.served.clone(),
        timeline: course.timeline(now),
        more_lines: course.lines.more(),
    }
}
