//! One incident as it goes on: what fails, whose answers are not where they belong, what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::affected::{broken, failure, family_left, is_broken, less, listed, waits};
use super::answer::Answer;
use super::lines::{Lines, Told};
use super::{
    FRESH, FirstFailure, For, LINGER, Line, MAX_NAMED, MAX_SERVED, Move, Served, Waiting, Way, What,
};
use crate::dns::{Name, Serial};
use crate::engine::{Bearing, MAX_BEARING};
use crate::health::Health;
use crate::model::{CheckKey, SiteId};
use crate::policy::{Decision, Rule};
use crate::time::Time;

/// A check that is not Up.
#[derive(Clone, Debug)]
struct Failing {
    site: SiteId,
    /// When the first failed run began.
    first: Time,
    down: Option<Time>,
}

/// A move that waits for its serial.
#[derive(Clone, Copy, Debug)]
struct Unpublished {
    /// Where the move is, if it is kept.
    kept: Option<usize>,
    /// Of a move away, when the run began that led to it.
    failed: Option<Time>,
}

/// Where an incident has come to.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub id: u64,
    pub began: Time,
    /// Something was Down, or moved: it is more than a lost probe.
    pub confirmed: bool,
    pub sites: Vec<SiteId>,
    pub services: BTreeSet<Name>,
    /// Those of them whose answer moved away, and where to, at last.
    pub away: BTreeMap<Name, Vec<SiteId>>,
    /// From the first failed run to the publish of the slowest move away.
    pub slowest: Duration,
    pub causes: Vec<FirstFailure>,
    pub moves: Vec<Move>,
    pub moves_total: usize,
    pub waiting: BTreeMap<Name, Waiting>,
    pub clear: Option<Time>,
    pub served: Vec<Served>,
    pub lines: Lines,
    failing: BTreeMap<CheckKey, Failing>,
    /// Checks that failed and are Up again: a decision may still tell of them.
    recovered: BTreeMap<CheckKey, Failing>,
    /// Decisions that wait for their serial.
    unpublished: BTreeMap<u64, Unpublished>,
    /// Checks that failed, by the services they bear on; and those that bear on more than are named.
    of_service: BTreeMap<Name, BTreeSet<CheckKey>>,
    wide: BTreeSet<CheckKey>,
    proposals: BTreeSet<u64>,
    /// The last failure that began.
    fresh: Time,
    /// Since when nothing fails and all is where it belongs.
    idle: Option<Time>,
}

impl Course {
    pub fn new(id: u64, at: Time) -> Course {
        Course {
            id,
            began: at,
            confirmed: false,
            sites: Vec::new(),
            services: BTreeSet::new(),
            away: BTreeMap::new(),
            slowest: Duration::ZERO,
            causes: Vec::new(),
            moves: Vec::new(),
            moves_total: 0,
            waiting: BTreeMap::new(),
            clear: None,
            served: Vec::new(),
            lines: Lines::default(),
            failing: BTreeMap::new(),
            recovered: BTreeMap::new(),
            unpublished: BTreeMap::new(),
            of_service: BTreeMap::new(),
            wide: BTreeSet::new(),
            proposals: BTreeSet::new(),
            fresh: at,
            idle: None,
        }
    }

    /// When it ended, once it has.
    pub fn ended(&self, now: Time) -> Option<Time> {
        let idle = self.idle?;
        let end = self.clear.map_or(idle, |clear| clear.max(idle));
        Some(end).filter(|&end| end <= now)
    }

    /// Whether the same may fail again and be another incident.
    pub fn is_closed(&self, now: Time) -> bool {
        self.ended(now).is_some_and(|end| now.since(end) >= LINGER)
    }

    /// Whether it was a lost probe and no more.
    pub fn is_void(&self) -> bool {
        !self.confirmed && self.failing.is_empty()
    }

    pub fn has_check(&self, check: &CheckKey) -> bool {
        self.failing.contains_key(check)
    }

    /// Whether a failure belongs here.
    pub fn takes(&self, check: &CheckKey, of: &Bearing, at: Time) -> bool {
        self.has_check(check)
            || of.services.iter().any(|service| self.services.contains(service))
            || self.takes_site(&of.site, at)
    }

    /// Whether a site's failures belong here.
    pub fn takes_site(&self, site: &SiteId, at: Time) -> bool {
        self.sites.contains(site) && at.since(self.fresh) <= FRESH
    }

    /// Whether a decision is about what failed here.
    pub fn concerns(&self, decision: &Decision) -> bool {
        let service = &decision.service;
        let fails_at = |site: &SiteId| self.checks_of(service).any(|it| it.site == *site);
        self.services.contains(service)
            || broken(decision)
                .any(|noted| fails_at(&noted.site) || self.takes_site(&noted.site, decision.at))
    }

    /// Whether an operator's word or an alert is about it.
    pub fn is_about(&self, site: Option<&SiteId>, service: Option<&Name>) -> bool {
        let serves = |site: &SiteId| self.waiting.keys().any(|name| self.at(name).contains(site));
        site.is_some_and(|site| self.sites.contains(site) || serves(site))
            || service.is_some_and(|service| self.has_service(service))
    }

    fn has_service(&self, service: &Name) -> bool {
        self.services.contains(service) || self.of_service.contains_key(service)
    }

    /// The checks that fail, or did, and bear on a service, as far as the history names it.
    fn checks_of(&self, service: &Name) -> impl Iterator<Item = &Failing> {
        let named = self.of_service.get(service).into_iter().flatten();
        let checks = named.chain(&self.wide);
        checks.filter_map(|check| self.failing.get(check).or_else(|| self.recovered.get(check)))
    }

    /// Where a service is answered from now.
    fn at(&self, service: &Name) -> &[SiteId] {
        let last = self.moves.iter().rev().find(|made| made.service == *service);
        last.map_or(&[], |made| &made.to)
    }

    pub fn has_proposal(&self, id: Option<u64>) -> bool {
        id.map_or(!self.proposals.is_empty(), |id| self.proposals.contains(&id))
    }

    pub fn note_proposal(&mut self, id: u64, service: &Name) {
        self.proposals.insert(id);
        self.services.insert(service.clone());
    }

    /// A check's health changed.
    pub fn health(&mut self, seq: u64, at: Time, check: &CheckKey, to: Health, because: &str, of: &Bearing) {
        let site = &of.site;
        let tell = |what: What, at: Time, said: &str, of_many: &str, why: &str| Told {
            at,
            what,
            seq: Some(seq),
            subject: check.to_string(),
            said: format!("{said} at {site}"),
            of_many: format!("{of_many} at {site}"),
            why: why.to_owned(),
            service: None,
            site: Some(site.clone()),
            who: None,
        };
        let why = failure(because);
        match to {
            Health::Suspect | Health::Down => {
                self.idle = None;
                if !self.sites.contains(site) {
                    self.sites.push(site.clone());
                }
                let began = of.began.unwrap_or(at);
                if !self.failing.contains_key(check) {
                    self.begin(check, of, began, why);
                    self.lines.tell(tell(What::FirstFailed, began, "fails first", "fail first", why));
                }
                if to == Health::Suspect {
                    self.lines.tell(tell(What::Suspect, at, "is Suspect", "are Suspect", because));
                    return;
                }
                self.confirmed = true;
                if let Some(failing) = self.failing.get_mut(check) {
                    failing.down.get_or_insert(at);
                }
                if let Some(cause) = self.causes.iter_mut().find(|cause| cause.check == *check) {
                    cause.down.get_or_insert(at);
                    cause.up = None;
                    cause.falls += 1;
                }
                self.lines.tell(tell(What::Down, at, "is Down", "are Down", because));
            }
            Health::Up | Health::Unknown => {
                let Some(failing) = self.failing.remove(check) else { return };
                if let Some(cause) = self.causes.iter_mut().find(|cause| cause.check == *check) {
                    cause.up = Some(at).filter(|_| to == Health::Up);
                }
                let (what, said, of_many) = match to {
                    Health::Up => (What::Recovered, "is Up again", "are Up again"),
                    _ => (What::Unknown, "is Unknown", "are Unknown"),
                };
                self.lines.tell(tell(what, at, said, of_many, because));
                self.recovered.insert(check.clone(), failing);
                self.settle(at);
            }
        }
    }

    fn begin(&mut self, check: &CheckKey, of: &Bearing, began: Time, why: &str) {
        self.recovered.remove(check);
        self.began = self.began.min(began);
        self.fresh = self.fresh.max(began);
        let Bearing { site, services, .. } = of;
        let failing = Failing { site: site.clone(), first: began, down: None };
        for service in services {
            self.of_service.entry(service.clone()).or_default().insert(check.clone());
        }
        if services.len() >= MAX_BEARING {
            self.wide.insert(check.clone());
        }
        self.failing.insert(check.clone(), failing);
        let known = self.causes.iter().any(|cause| cause.check == *check);
        if !known && self.causes.len() < MAX_NAMED {
            let (check, site, why) = (check.clone(), site.clone(), why.to_owned());
            self.causes.push(FirstFailure { check, site, at: began, why, down: None, up: None, falls: 0 });
        }
    }

    /// Checks are looked at no more.
    pub fn drop_checks(&mut self, at: Time, dropped: &[CheckKey]) {
        for check in dropped {
            self.failing.remove(check);
        }
        self.settle(at);
    }

    /// A service was decided anew.
    pub fn decide(&mut self, seq: u64, decision: &Decision, before: Option<&Answer>, now: &Answer) {
        let Decision { at, service, .. } = decision;
        let at = *at;
        for noted in broken(decision) {
            if !self.sites.contains(&noted.site) && noted.health == Health::Down {
                self.sites.push(noted.site.clone());
            }
        }
        self.services.insert(service.clone());
        self.note_served(decision, before, now);
        let moved = before.is_some_and(|before| before.sites != now.sites || before.lines != now.lines);
        let waits = waits(decision);
        let way = match (&waits, before) {
            (None, _) => Way::Back,
            (Some(_), Some(before)) if Course::left(decision, before) => Way::Away,
            _ => Way::Ordered,
        };
        let said = said_of(before, now, way, waits.as_ref());
        self.confirmed |= way == Way::Away && said.as_ref().is_some_and(|said| said.is_move);
        let because = decision.because();
        if let Some(Said { what, one, many, .. }) = said {
            self.lines.tell(Told {
                at,
                what,
                seq: Some(seq),
                subject: service.bare(),
                said: one,
                of_many: many,
                why: because.clone(),
                service: Some(service.clone()),
                site: now.sites.first().cloned(),
                who: None,
            });
        }
        if moved && let Some(before) = before {
            self.note_move(decision, before, now, way);
        }
        let Some(for_what) = waits else {
            self.waiting.remove(service);
            self.settle(at);
            return;
        };
        self.idle = None;
        let same = self.waiting.get(service).filter(|had| had.for_what == for_what);
        let since = same.map_or(at, |had| had.since);
        self.waiting.insert(service.clone(), Waiting { service: service.clone(), since, for_what, because });
    }

    /// Whether a decision leaves something broken that was answered before.
    fn left(decision: &Decision, before: &Answer) -> bool {
        let noted = |site: &SiteId| decision.reason.endpoints.iter().find(|noted| noted.site == *site);
        let gone = before.sites.iter().filter(|site| !decision.sites.contains(site));
        let mut whole = gone.map(|site| noted(site).is_some_and(is_broken));
        let withheld = before.sites == decision.sites || family_left(decision, before);
        withheld || whole.any(|broken| broken) || matches!(decision.reason.rule, Rule::AllDown { .. })
    }

    fn note_move(&mut self, decision: &Decision, before: &Answer, now: &Answer, way: Way) {
        let (at, service) = (decision.at, &decision.service);
        let gone = before.tail.max(at + Duration::from_secs(before.ttl.into()));
        self.clear = self.clear.max(Some(gone));
        let left = |it: &&Failing| before.sites.contains(&it.site) && it.down.is_some_and(|down| down <= at);
        // The decision followed the one that was Down last.
        let failed = self.checks_of(service).filter(left).max_by_key(|it| it.down);
        let failed = failed.filter(|_| way == Way::Away);
        let (failed, down) = match failed {
            Some(it) => (it.first, it.down),
            None if way == Way::Away => (self.began, None),
            None => (at, None),
        };
        self.moves_total += 1;
        if way == Way::Away {
            self.away.insert(service.clone(), now.sites.clone());
            self.slowest = self.slowest.max(at.since(failed));
        }
        let kept = (self.moves.len() < MAX_NAMED).then_some(self.moves.len());
        let failed_away = (way == Way::Away).then_some(failed);
        self.unpublished.insert(decision.id, Unpublished { kept, failed: failed_away });
        if kept.is_none() {
            return;
        }
        self.moves.push(Move {
            service: service.clone(),
            way,
            from: before.sites.clone(),
            to: now.sites.clone(),
            failed,
            down,
            decided: at,
            decision: decision.id,
            published: None,
            serial: None,
            gone,
            rto_ms: decision.rto_ms,
            families: now.families.clone(),
            because: decision.because(),
        });
    }

    fn note_served(&mut self, decision: &Decision, before: Option<&Answer>, now: &Answer) {
        let service = &decision.service;
        let served = |answer: &Answer, from, to| Served {
            service: service.clone(),
            from,
            to,
            sites: answer.sites.clone(),
            answer: answer.lines.clone(),
            ttl: answer.ttl,
            because: answer.because.clone(),
        };
        let room = self.served.len() < MAX_SERVED;
        let last = self.served.iter_mut().rev().find(|it| it.service == *service);
        match (last, before) {
            (Some(last), _) if last.answer == now.lines && last.ttl == now.ttl && last.sites == now.sites => {
                return;
            }
            (Some(last), _) => last.to = Some(decision.at),
            (None, Some(before)) if room => {
                let same = before.lines == now.lines && before.ttl == now.ttl && before.sites == now.sites;
                let to = Some(decision.at).filter(|_| !same);
                self.served.push(served(before, before.since, to));
                if same {
                    return;
                }
            }
            (None, _) => {}
        }
        if self.served.len() < MAX_SERVED {
            self.served.push(served(now, decision.at, None));
        }
    }

    /// A zone was published with these decisions.
    pub fn published(&mut self, seq: u64, at: Time, zone: &Name, serial: Serial, decisions: &[u64]) {
        let mut mine = 0;
        for id in decisions {
            let Some(Unpublished { kept, failed }) = self.unpublished.remove(id) else { continue };
            mine += 1;
            self.slowest = self.slowest.max(failed.map(|failed| at.since(failed)).unwrap_or_default());
            if let Some(made) = kept.and_then(|kept| self.moves.get_mut(kept)) {
                (made.published, made.serial) = (Some(at), Some(serial));
            }
        }
        if mine > 0 {
            let moves = if mine == 1 { "one move".to_owned() } else { format!("{mine} moves") };
            self.note(
                seq,
                at,
                What::Published,
                &format!("{} is published as serial {serial}: {moves}", zone.bare()),
            );
        }
    }

    /// A service's next endpoint could not take over, or can again. That what failed here is no standby goes
    /// without saying.
    pub fn standby(&mut self, seq: u64, at: Time, service: &Name, site: &SiteId, unready: Option<&str>) {
        if self.sites.contains(site) || !self.services.contains(service) {
            return;
        }
        let (said, of_many) = match unready {
            Some(_) => (format!("could not move to {site} now"), "could not move"),
            None => (format!("could move to {site}"), "could move"),
        };
        self.lines.tell(Told {
            at,
            what: What::Standby,
            seq: Some(seq),
            subject: service.bare(),
            said,
            of_many: format!("{of_many} to {site}"),
            why: unready.unwrap_or_default().to_owned(),
            service: Some(service.clone()),
            site: Some(site.clone()),
            who: None,
        });
    }

    /// A line of its own.
    pub fn note(&mut self, seq: u64, at: Time, what: What, text: &str) {
        self.note_of(seq, at, what, text, (None, None), None);
    }

    /// The same about somebody or something.
    pub fn note_of(
        &mut self,
        seq: u64,
        at: Time,
        what: What,
        text: &str,
        (site, service): (Option<SiteId>, Option<Name>),
        who: Option<String>,
    ) {
        let (said, subject, of_many, why) = (text.to_owned(), String::new(), String::new(), String::new());
        self.lines.tell(Told { at, what, seq: Some(seq), subject, said, of_many, why, service, site, who });
    }

    fn settle(&mut self, at: Time) {
        if self.failing.is_empty() && self.waiting.is_empty() {
            self.idle.get_or_insert(at);
        }
    }

    /// Takes in another one that turned out to be the same.
    pub fn absorb(&mut self, other: Course) {
        self.id = self.id.min(other.id);
        self.began = self.began.min(other.began);
        self.confirmed |= other.confirmed;
        self.fresh = self.fresh.max(other.fresh);
        self.clear = self.clear.max(other.clear);
        for site in other.sites {
            if !self.sites.contains(&site) {
                self.sites.push(site);
            }
        }
        let moves = self.moves.len();
        let unpublished = other.unpublished.into_iter();
        self.unpublished.extend(unpublished.map(|(id, made)| {
            let kept = made.kept.map(|kept| kept + moves);
            (id, Unpublished { kept, ..made })
        }));
        self.away.extend(other.away);
        self.slowest = self.slowest.max(other.slowest);
        self.services.extend(other.services);
        self.causes.extend(other.causes);
        self.moves.extend(other.moves);
        self.moves_total += other.moves_total;
        self.waiting.extend(other.waiting);
        self.served.extend(other.served);
        self.failing.extend(other.failing);
        self.recovered.extend(other.recovered);
        self.proposals.extend(other.proposals);
        self.wide.extend(other.wide);
        for (service, checks) in other.of_service {
            self.of_service.entry(service).or_default().extend(checks);
        }
        self.lines.absorb(other.lines);
        self.causes.truncate(MAX_NAMED);
        self.moves.truncate(MAX_NAMED);
        self.served.truncate(MAX_SERVED);
        self.idle = self.idle.and(other.idle).map(|idle| idle.max(other.idle.unwrap_or(idle)));
    }

    /// The timeline until now, with the moments old answers were gone.
    pub fn timeline(&self, now: Time) -> Vec<Line> {
        let mut lines = self.lines.clone();
        for made in self.moves.iter().filter(|made| made.gone <= now && made.from != made.to) {
            let (from, ttl) = (listed(&made.from), "the TTL of the last old answer has ended");
            lines.tell(Told {
                at: made.gone,
                what: What::OldTtlGone,
                seq: None,
                subject: made.service.bare(),
                said: format!("is answered from {from} by no cache any more, {ttl}"),
                of_many: format!("are answered from {from} by no cache any more, {ttl}"),
                why: String::new(),
                service: Some(made.service.clone()),
                site: made.from.first().cloned(),
                who: None,
            });
        }
        lines.all()
    }
}

/// What a decision changed, in words.
struct Said {
    what: What,
    /// Of one service: `moves from fra to iad`.
    one: String,
    /// Of several: `move from fra to iad`; empty where each is told by itself.
    many: String,
    /// Whether it is answered from somewhere else.
    is_move: bool,
}

/// What is told of a decision; `None` where it changed nothing that is seen, or where the proposal tells.
fn said_of(before: Option<&Answer>, now: &Answer, way: Way, waits: Option<&For>) -> Option<Said> {
    let alone = |what, one: String| Said { what, one, many: String::new(), is_move: false };
    match before {
        Some(before) if before.own == now.own && before.families != now.families => {
            let (what, said) = match (way, now.families.is_empty()) {
                (_, true) => (What::Failback, format!("is back at {}", listed(&now.own))),
                (Way::Back, false) => (What::Failback, format!("answers {}", now.families)),
                (_, false) => (What::Decided, format!("answers {}", now.families)),
            };
            Some(Said { is_move: true, ..alone(what, said) })
        }
        Some(before) if before.sites != now.sites => {
            let (from, to) = (listed(&before.sites), listed(&now.sites));
            let (what, verb, verbs) = match way {
                Way::Back => (What::Failback, "is back", "are back"),
                Way::Away | Way::Ordered => (What::Decided, "moves", "move"),
            };
            let said = |verb| format!("{verb} from {from} to {to}");
            Some(Said { what, one: said(verb), many: said(verbs), is_move: true })
        }
        Some(before) if before.lines != now.lines => {
            let (gone, come) = (less(&before.lines, &now.lines), less(&now.lines, &before.lines));
            let said = match (gone.is_empty(), come.is_empty()) {
                (false, true) => format!("leaves out {}", gone.join(", ")),
                (true, false) => format!("has {} again", come.join(", ")),
                _ => format!("answers {}", now.lines.join(", ")),
            };
            Some(alone(What::Answer, said))
        }
        Some(before) if before.ttl != now.ttl => {
            let ttl = now.ttl;
            let many = format!("answer with TTL {ttl}s");
            Some(Said { many, ..alone(What::Answer, format!("answers with TTL {ttl}s")) })
        }
        // What waits for an answer, the proposal tells.
        _ if matches!(waits, Some(For::Time | For::Failback)) => {
            Some(Said { many: "wait".to_owned(), ..alone(What::Waiting, "waits".to_owned()) })
        }
        _ => None,
    }
}
