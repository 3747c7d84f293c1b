//! From what happened to what is told: each entry of the history comes to news, or to none. Pure.
//!
//! Nothing is known here of what was told before: a decision says where its service stands, and whether that
//! is new to somebody is for the [`Desk`](super::queue::Desk) to say.

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::condition::{self, About, Condition, ConditionKind};
use crate::dns::Name;
use crate::engine::{Happened, conditions_of, dead_site, forced_up_though_down, lost_families};
use crate::health::Health;
use crate::model::{AlertSeverity, SiteId};
use crate::policy::{Decision, FamilyPart, Noted, Reason, Rule};
use crate::state::Entry;
use crate::time::Time;

/// The longest text of one piece of news, in bytes: a refused configuration can name many problems.
const MAX_REASON: usize = 2 * 1024;

/// The conditions of a service that stays where it is although it should not.
const STAYS: &[ConditionKind] =
    &[ConditionKind::DeadSite, ConditionKind::PendingApproval, ConditionKind::Blocked];

const FAMILY_DOWN: Kind = Kind::Condition(ConditionKind::FamilyDown);
const FORCED_UP: Kind = Kind::Condition(ConditionKind::ForcedUp);

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The entry's number in the history.
    pub seq: u64,
    /// When it happened.
    pub at: Time,
    /// What kind of thing.
    pub kind: Kind,
    /// What it is about: the same thing has the same one each time.
    pub subject: String,
    /// Whether it begins, ends, or is just told.
    pub turn: Turn,
    /// The service it is about.
    pub service: Option<Name>,
    /// The site it is about: the one that was left, or cannot take over.
    pub site: Option<SiteId>,
    /// In a few words.
    pub title: String,
    /// Why: the decision's own reason, where there is one.
    pub reason: String,
    /// How much it matters, where that is not as its kind says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<AlertSeverity>,
}

/// Where a subject stands from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// It is not as it should be; the text tells one such state from another.
    Begins(String),
    /// All is well with it.
    Ends,
    /// It has no state.
    Once,
}

impl News {
    /// How much it matters.
    pub fn severity(&self) -> AlertSeverity {
        self.severity.unwrap_or_else(|| self.kind.severity())
    }
}

/// One piece of news of an entry, of no service in particular.
fn news(entry: &Entry, kind: Kind, subject: String, turn: Turn, title: String) -> News {
    News {
        seq: entry.seq,
        at: entry.at,
        kind,
        subject,
        turn,
        service: None,
        site: None,
        title,
        reason: bounded(&entry.what.to_string()),
        severity: None,
    }
}

/// What an entry comes to.
pub fn derive(entry: &Entry) -> Vec<News> {
    let begins = |state: &str| Turn::Begins(state.to_owned());
    let told = |kind, subject: String, turn, title: String| vec![news(entry, kind, subject, turn, title)];
    match &entry.what {
        Happened::Decision(decision) => decided(entry, decision),
        Happened::Limit { service, to, .. } => {
            let title = format!("{} moved to {to} against a safety rule", service.bare());
            let told = news(entry, Kind::Limit, format!("limit {}", service.bare()), Turn::Once, title);
            vec![News { service: Some(service.clone()), site: Some(to.clone()), ..told }]
        }
        Happened::Standby { service, site, unready } => {
            vec![standby(entry, service, site, unready.as_deref())]
        }
        Happened::Doubt(_) => {
            let title = "in doubt: no sample counts, nothing moves".to_owned();
            told(Kind::Doubt, "vantage".to_owned(), begins("doubt"), title)
        }
        Happened::Trust(_) => {
            told(Kind::Trust, "vantage".to_owned(), Turn::Ends, "trusted again: samples count".to_owned())
        }
        // A new run begins without doubt, and says so again if it has to.
        Happened::Started { .. } => {
            let title = "restarted: samples count until canaries fail".to_owned();
            told(Kind::Trust, "vantage".to_owned(), Turn::Ends, title)
        }
        Happened::Health { check, to: Health::Unknown, .. } => {
            let title = format!("nothing is known any more of {check}");
            told(Kind::Stale, format!("check {check}"), begins("unknown"), title)
        }
        Happened::Health { check, from: Health::Unknown, .. } => {
            told(Kind::Fresh, format!("check {check}"), Turn::Ends, format!("samples of {check} come again"))
        }
        Happened::Warned { check, warning: Some(warning) } => told(
            Kind::Certificate,
            format!("warning {check}"),
            begins("warned"),
            format!("{check}: {warning}"),
        ),
        Happened::Warned { check, warning: None } => {
            let title = format!("{check}: the certificate is good for long enough again");
            told(Kind::Renewed, format!("warning {check}"), Turn::Ends, title)
        }
        Happened::LoadRefused { problems } => {
            let title = "the configuration was refused; the last good one goes on".to_owned();
            let (reason, turn) = (bounded(problems), Turn::Begins(bounded(problems)));
            vec![News { reason, ..news(entry, Kind::Refused, "load".to_owned(), turn, title) }]
        }
        Happened::Loaded { removed, .. } => {
            let title = "the configuration was taken up".to_owned();
            let taken_up = news(entry, Kind::Accepted, "load".to_owned(), Turn::Ends, title);
            std::iter::once(taken_up).chain(removed.iter().flat_map(|name| gone(entry, name))).collect()
        }
        Happened::Expired(over) => {
            let title = format!("{} {} has ended by itself", over.kind, over.scope);
            told(Kind::Expired, format!("override {}", over.scope), Turn::Once, title)
        }
        Happened::Condition(turn) => vec![condition_turned(entry, turn)],
        // The decision that comes with it says what waits, and what is answered meanwhile.
        Happened::Proposal { .. }
        | Happened::Health { .. }
        | Happened::Sample(_)
        | Happened::Published { .. }
        | Happened::Command(_)
        | Happened::Updated { .. }
        | Happened::UpdateRefused { .. }
        | Happened::Frozen { .. }
        | Happened::RolledBack { .. }
        | Happened::AlertSent { .. }
        | Happened::AlertLost { .. }
        | Happened::ClockSet { .. }
        | Happened::Audit(_) => Vec::new(),
    }
}

/// A service is not configured any more: whatever was told of it is over.
fn gone(entry: &Entry, service: &Name) -> Vec<News> {
    let name = service.bare();
    let subjects = [service_subject(service), waiting(service), format!("standby {name}")];
    let over = subjects.into_iter().map(|subject| {
        let title = format!("{name} is not configured any more");
        let told = news(entry, Kind::Removed, subject, Turn::Ends, title);
        News { service: Some(service.clone()), ..told }
    });
    over.collect()
}

/// The next endpoint of a service could not take over, or could again.
fn standby(entry: &Entry, service: &Name, site: &SiteId, unready: Option<&str>) -> News {
    let name = service.bare();
    let subject = format!("standby {name}");
    let told = if let Some(why) = unready {
        let title = format!("standby {site} of {name} could not take over now");
        let told = news(entry, Kind::Standby, subject, Turn::Begins(site.to_string()), title);
        News { reason: bounded(why), ..told }
    } else {
        let title = format!("standby {site} of {name} could take over again");
        news(entry, Kind::StandbyReady, subject, Turn::Ends, title)
    };
    News { service: Some(service.clone()), site: Some(site.clone()), ..told }
}

/// A condition that no other entry tells of began, or is over.
fn condition_turned(entry: &Entry, turn: &condition::Turn) -> News {
    let Condition { kind, subject, text, .. } = &turn.condition;
    let told = if turn.over {
        let title = format!("{subject}: {kind} is over");
        news(entry, Kind::Cleared(*kind), condition_subject(turn), Turn::Ends, title)
    } else {
        let begins = Turn::Begins(kind.word().to_owned());
        news(entry, Kind::Condition(*kind), condition_subject(turn), begins, text.clone())
    };
    let service = if kind.about() == About::Service { subject.parse().ok() } else { None };
    let site = (kind.about() == About::Site).then(|| subject.as_str().into());
    News { service, site, ..told }
}

/// What a decision comes to: whether a move is pending, and where its service stands. No proposal waits but the one it
/// tells of.
fn decided(entry: &Entry, decision: &Decision) -> Vec<News> {
    let stands = stands(decision).map(|(kind, turn, site, title)| {
        let told = news(entry, kind, service_subject(&decision.service), turn, title);
        News { site, ..told }
    });
    let told = std::iter::once(waits(entry, decision)).chain(stands);
    let service = || Some(decision.service.clone());
    told.map(|told| News { service: service(), reason: bounded(&decision.because()), ..told }).collect()
}

/// Whether a service stays where it is although it should not, and how much that matters.
fn waits(entry: &Entry, decision: &Decision) -> News {
    let subject = waiting(&decision.service);
    let wrong = conditions_of(decision);
    let Some((condition, text)) = wrong.iter().find(|(kind, _)| STAYS.contains(kind)) else {
        let title = format!("{}: no move is pending", decision.service.bare());
        return news(entry, Kind::Settled, subject, Turn::Ends, title);
    };
    let is_waiting = |rule: &&Rule| matches!(rule, Rule::Proposed { .. } | Rule::Rejected { .. });
    // What waits may be one family of it.
    let rule = decision.reasons().map(|reason| &reason.rule).find(is_waiting);
    let kind = match rule {
        Some(Rule::Proposed { limit: Some(_), .. }) => Kind::Held,
        Some(Rule::Proposed { limit: None, .. }) => Kind::Approval,
        _ => Kind::DeadSite,
    };
    // A decision about the same thing is no news.
    let proposal = match rule {
        Some(Rule::Proposed { proposal, .. } | Rule::Rejected { proposal, .. }) => proposal.to_string(),
        _ => String::new(),
    };
    let state = Turn::Begins(format!("{condition} {} {proposal}", kind.word()));
    let site = dead_site(decision).map(|dead| dead.noted.site.clone());
    let site = site.or_else(|| decision.reason.serving.clone());
    News { site, severity: Some(condition.severity()), ..news(entry, kind, subject, state, bounded(text)) }
}

/// Where a service stands; `None` where whatever was told of it holds.
fn stands(decision: &Decision) -> Option<(Kind, Turn, Option<SiteId>, String)> {
    let name = decision.service.bare();
    // Those of single families are told with these.
    let sites = decision.own_sites().join(" and ");
    match (&decision.reason.rule, left(decision)) {
        // Nothing is known yet; or it waits where it is Down.
        (Rule::Unverified { .. }, _) => None,
        _ if dead_site(decision).is_some() => None,
        (Rule::AllDown { .. }, _) => {
            let title = format!("{name}: all endpoints down");
            Some((Kind::AllDown, Turn::Begins("all down".to_owned()), None, title))
        }
        (Rule::Unproven, gone) => {
            let title =
                format!("{name} is answered from {sites}, which is Unknown: no endpoint is known to work");
            let turn = Turn::Begins(format!("unknown at {sites}"));
            Some((Kind::AllDown, turn, gone.map(|gone| gone.site.clone()), title))
        }
        (_, gone) => Some(match (forced_up_though_down(decision), gone, families(decision)) {
            // People may be sent to a dead site: that is no recovery, though an operator says so.
            (Some(noted), ..) => {
                let title = format!("{name} is answered from {}, which is forced Up: {noted}", noted.site);
                (FORCED_UP, Turn::Begins("forced up".to_owned()), Some(noted.site.clone()), title)
            }
            (None, None, None) => (Kind::Failback, Turn::Ends, None, format!("{name} is back at {sites}")),
            (None, None, Some((kind, site, title))) => (kind, Turn::Begins(title.clone()), site, title),
            // What its families are answered from by themselves may matter more.
            (None, Some(gone), Some((kind @ (FAMILY_DOWN | Kind::Failover), site, families))) => {
                let title = format!("{name} moved from {} to {sites}; {families}", gone.site);
                (kind, Turn::Begins(title.clone()), site, title)
            }
            (None, Some(gone), _) => {
                let kind = if broken(gone) { Kind::Failover } else { Kind::Moved };
                let title = format!("{name} moved from {} to {sites}", gone.site);
                (kind, Turn::Begins(format!("at {sites}")), Some(gone.site.clone()), title)
            }
        }),
    }
}

/// What is told of address families that are not answered with what works, or from other sites than the rest, with
/// the worst kind of it.
fn families(decision: &Decision) -> Option<(Kind, Option<SiteId>, String)> {
    let name = decision.service.bare();
    let lost = lost_families(decision);
    let moved = |FamilyPart { family, sites, reason, .. }: &FamilyPart| {
        let gone = left_of(reason, sites).filter(|_| lost.iter().all(|(lost, _)| lost != family))?;
        let kind = if broken(gone) { Kind::Failover } else { Kind::Moved };
        let (from, to) = (&gone.site, sites.join(" and "));
        Some((kind, Some(from.clone()), format!("{family} of {name} moved from {from} to {to}")))
    };
    let moved = decision.families.iter().filter_map(moved);
    let told = lost.iter().map(|(family, why)| (FAMILY_DOWN, None, format!("{family} of {name} {why}")));
    let told: Vec<_> = told.chain(moved).collect();
    let worst = [FAMILY_DOWN, Kind::Failover, Kind::Moved];
    let worst = worst.into_iter().find_map(|kind| told.iter().find(|(of, ..)| *of == kind))?;
    let title: Vec<&str> = told.iter().map(|(.., title)| title.as_str()).collect();
    Some((worst.0, worst.1.clone(), title.join("; ")))
}

/// The endpoint that is not answered with although it is preferred, a broken one before others.
fn left(decision: &Decision) -> Option<&Noted> {
    left_of(&decision.reason, decision.own_sites())
}

fn left_of<'a>(reason: &'a Reason, sites: &[SiteId]) -> Option<&'a Noted> {
    let mut left: Vec<&Noted> = match (&reason.rule, reason.endpoints.split_last()) {
        (Rule::Steered { policy, toward, .. }, _) => {
            let is_used = |noted: &Noted| sites.contains(&noted.site);
            // Of those that are not answered with, the reason notes all that are not plainly Up.
            let is_off = |noted: &Noted| {
                !is_used(noted)
                    && (noted.health != Health::Up || noted.forced.is_some() || noted.maintenance.is_some())
            };
            let first = reason.endpoints.iter().position(is_used).unwrap_or(reason.endpoints.len());
            let is_preferred = |(at, noted): (usize, &Noted)| match policy.as_str() {
                // Some clients prefer it to all others; where they are not told apart, those before are preferred.
                "geo" if toward.iter().any(|it| it.near.is_some()) => {
                    toward.iter().any(|it| it.near.as_ref() == Some(&noted.site))
                }
                "geo" | "failover" => at < first,
                _ => true,
            };
            let all = reason.endpoints.iter().enumerate();
            let left = all.filter(|(_, noted)| is_off(noted)).filter(|&it| is_preferred(it));
            left.map(|(_, noted)| noted).collect()
        }
        (_, Some((_, before))) => before.iter().collect(),
        (_, None) => Vec::new(),
    };
    left.sort_by_key(|noted| !broken(noted));
    left.first().copied()
}

/// Whether it fails by itself: nobody took it out of use.
fn broken(noted: &Noted) -> bool {
    noted.health == Health::Down && noted.forced.is_none() && noted.maintenance.is_none()
}

/// What decisions about a service are told of.
pub(super) fn service_subject(service: &Name) -> String {
    format!("service {}", service.bare())
}

/// What is told of a condition that began or is over: what else is told of the same thing has the same subject.
fn condition_subject(turn: &condition::Turn) -> String {
    let Condition { kind, subject, .. } = &turn.condition;
    match kind {
        ConditionKind::AllDown | ConditionKind::FamilyDown | ConditionKind::ForcedUp => {
            format!("service {subject}")
        }
        ConditionKind::DeadSite | ConditionKind::PendingApproval | ConditionKind::Blocked => {
            format!("proposal {subject}")
        }
        ConditionKind::NoStandby => format!("standby {subject}"),
        ConditionKind::CheckSilent => format!("check {subject}"),
        ConditionKind::VantageFault => "vantage".to_owned(),
        ConditionKind::LoadRejected => "load".to_owned(),
        kind => format!("{kind} {subject}"),
    }
}

/// A service that stays where it is though it should not: it has at most one proposal.
fn waiting(service: &Name) -> String {
    format!("proposal {}", service.bare())
}

fn bounded(text: &str) -> String {
    if text.len() <= MAX_REASON {
        return text.to_owned();
    }
    let end = (0..=MAX_REASON).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
