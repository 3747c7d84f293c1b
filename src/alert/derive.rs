//! From what happened to what is told: each entry of the history comes to news, or to none. Pure.
//!
//! Nothing is known here of what was told before: a decision says where its service stands, and whether that
//! is new to somebody is for the [`Desk`](super::desk::Desk) to say.

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use crate::condition::{self, About, Condition, ConditionKind};
use crate::config::{AlertSeverity, SiteId};
use crate::dns::Name;
use crate::engine::{Happened, conditions_of, dead_site, lost_families};
use crate::health::Health;
use crate::history::Entry;
use crate::policy::{Decision, FamilyPart, Noted, OverrideKind, Reason, Rule};
use crate::time::Time;

/// The longest text of one piece of news, in bytes: a refused configuration can name many problems.
const MAX_REASON: usize = 2 * 1024;

/// The conditions of a service that stays where it is although it should not.
const STAYS: &[ConditionKind] =
    &[ConditionKind::DeadSite, ConditionKind::PendingApproval, ConditionKind::Blocked];

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

/// What an entry comes to.
pub fn derive(entry: &Entry) -> Vec<News> {
    let Entry { seq, at, what } = entry;
    let news = |kind, subject: String, turn, title: String| News {
        seq: *seq,
        at: *at,
        kind,
        subject,
        turn,
        service: None,
        site: None,
        title,
        reason: bounded(&what.to_string()),
        severity: None,
    };
    match what {
        Happened::Decision(decision) => decided(*seq, *at, decision),
        Happened::Limit { service, to, .. } => {
            let title = format!("{} moved to {to} against a safety rule", bare(service));
            let told = news(Kind::Limit, format!("limit {}", bare(service)), Turn::Once, title);
            vec![News { service: Some(service.clone()), site: Some(to.clone()), ..told }]
        }
        Happened::Standby { service, site, unready } => {
            let name = bare(service);
            let subject = format!("standby {name}");
            let told = if let Some(why) = unready {
                let title = format!("standby {site} of {name} could not take over now");
                let told = news(Kind::Standby, subject, Turn::Begins(site.to_string()), title);
                News { reason: bounded(why), ..told }
            } else {
                let title = format!("standby {site} of {name} could take over again");
                news(Kind::StandbyReady, subject, Turn::Ends, title)
            };
            vec![News { service: Some(service.clone()), site: Some(site.clone()), ..told }]
        }
        Happened::Doubt(_) => {
            let (subject, title) =
                ("vantage".to_owned(), "in doubt: no sample counts, nothing moves".to_owned());
            vec![news(Kind::Doubt, subject, Turn::Begins("doubt".to_owned()), title)]
        }
        Happened::Trust(_) => {
            let title = "trusted again: samples count".to_owned();
            vec![news(Kind::Trust, "vantage".to_owned(), Turn::Ends, title)]
        }
        // A new run begins without doubt, and says so again if it has to.
        Happened::Started { .. } => {
            let title = "restarted: samples count until canaries fail".to_owned();
            vec![news(Kind::Trust, "vantage".to_owned(), Turn::Ends, title)]
        }
        Happened::Health { check, to: Health::Unknown, .. } => {
            let title = format!("nothing is known any more of {check}");
            vec![news(Kind::Stale, format!("check {check}"), Turn::Begins("unknown".to_owned()), title)]
        }
        Happened::Health { check, from: Health::Unknown, .. } => {
            let title = format!("samples of {check} come again");
            vec![news(Kind::Fresh, format!("check {check}"), Turn::Ends, title)]
        }
        Happened::Warned { check, warning: Some(warning) } => {
            let title = format!("{check}: {warning}");
            vec![news(
                Kind::Certificate,
                format!("warning {check}"),
                Turn::Begins("warned".to_owned()),
                title,
            )]
        }
        Happened::Warned { check, warning: None } => {
            let title = format!("{check}: the certificate is good for long enough again");
            vec![news(Kind::Renewed, format!("warning {check}"), Turn::Ends, title)]
        }
        Happened::LoadRefused { problems } => {
            let title = "the configuration was refused; the last good one goes on".to_owned();
            let turn = Turn::Begins(bounded(problems));
            vec![News { reason: bounded(problems), ..news(Kind::Refused, "load".to_owned(), turn, title) }]
        }
        Happened::Loaded { .. } => {
            let title = "the configuration was taken up".to_owned();
            vec![news(Kind::Accepted, "load".to_owned(), Turn::Ends, title)]
        }
        Happened::Expired(over) => {
            let title = format!("{} {} has ended by itself", over.kind, over.scope);
            vec![news(Kind::Expired, format!("override {}", over.scope), Turn::Once, title)]
        }
        Happened::Condition(turn) => {
            let Condition { kind, subject, text, .. } = &turn.condition;
            let told = if turn.over {
                let (title, over) = (format!("{subject}: {kind} is over"), Kind::Cleared(*kind));
                news(over, condition_subject(turn), Turn::Ends, title)
            } else {
                let begins = Turn::Begins(kind.word().to_owned());
                news(Kind::Condition(*kind), condition_subject(turn), begins, text.clone())
            };
            let service = if kind.about() == About::Service { subject.parse().ok() } else { None };
            let site = (kind.about() == About::Site).then(|| subject.as_str().into());
            vec![News { service, site, ..told }]
        }
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

/// Where a service stands after a decision; and no proposal waits but the one it tells of.
fn decided(seq: u64, at: Time, decision: &Decision) -> Vec<News> {
    let name = bare(&decision.service);
    let reason = bounded(&decision.because());
    let news = |kind, subject, turn, site, title| News {
        seq,
        at,
        kind,
        subject,
        turn,
        service: Some(decision.service.clone()),
        site,
        title,
        reason: reason.clone(),
        severity: None,
    };
    let rule = &decision.reason.rule;
    let waits = |rule: &&Rule| matches!(rule, Rule::Proposed { .. } | Rule::Rejected { .. });
    // What waits may be one family of it.
    let waiting_for = decision.reasons().map(|reason| &reason.rule).find(waits).unwrap_or(rule);
    let wrong = conditions_of(decision);
    let mut told = Vec::new();
    match wrong.iter().find(|(kind, _)| STAYS.contains(kind)) {
        Some((condition, text)) => {
            let kind = match waiting_for {
                Rule::Proposed { limit: Some(_), .. } => Kind::Held,
                Rule::Proposed { limit: None, .. } => Kind::Approval,
                _ => Kind::DeadSite,
            };
            // A decision about the same thing is no news.
            let proposal = match waiting_for {
                Rule::Proposed { proposal, .. } | Rule::Rejected { proposal, .. } => proposal.to_string(),
                _ => String::new(),
            };
            let state = Turn::Begins(format!("{condition} {} {proposal}", kind.word()));
            let site = dead_site(decision).map(|dead| dead.noted.site.clone());
            let site = site.or_else(|| decision.reason.serving.clone());
            let stays = news(kind, waiting(&decision.service), state, site, bounded(text));
            told.push(News { severity: Some(condition.severity()), ..stays });
        }
        None => {
            let title = format!("{name}: no move is pending");
            told.push(news(Kind::Settled, waiting(&decision.service), Turn::Ends, None, title));
        }
    }
    let subject = service_subject(&decision.service);
    let sites = decision.sites.join(" and ");
    let stays = Turn::Begins(format!("at {sites}"));
    match (rule, left(decision)) {
        // Nothing is known yet; or it stays for now where it is, and whatever was told of it holds.
        (
            Rule::Unverified { .. } | Rule::Delayed { .. } | Rule::Proposed { .. } | Rule::Rejected { .. },
            _,
        ) => {}
        _ if dead_site(decision).is_some() => {}
        (Rule::AllDown { .. }, _) => {
            let title = format!("{name}: all endpoints down");
            told.push(news(Kind::AllDown, subject, Turn::Begins("all down".to_owned()), None, title));
        }
        (Rule::Unproven, gone) => {
            let title =
                format!("{name} is answered from {sites}, which is Unknown: no endpoint is known to work");
            let turn = Turn::Begins(format!("unknown at {sites}"));
            told.push(news(Kind::AllDown, subject, turn, gone.map(|gone| gone.site.clone()), title));
        }
        // People may be sent to a dead site: that is no recovery, though an operator says so.
        _ if forced_up_though_down(decision).is_some() => {
            let noted = forced_up_though_down(decision);
            let title =
                format!("{name} is answered from {}", noted.map(Noted::to_string).unwrap_or_default());
            let turn = Turn::Begins("forced up".to_owned());
            told.push(news(Kind::Moved, subject, turn, noted.map(|noted| noted.site.clone()), title));
        }
        (_, None) => match families(decision) {
            Some((kind, site, title)) => {
                told.push(news(kind, subject, Turn::Begins(title.clone()), site, title));
            }
            None => {
                let title = format!("{name} is back at {sites}");
                told.push(news(Kind::Failback, subject, Turn::Ends, None, title));
            }
        },
        (_, Some(gone)) => {
            let kind = if broken(gone) { Kind::Failover } else { Kind::Moved };
            let title = format!("{name} moved from {} to {sites}", gone.site);
            let (kind, title) = match families(decision) {
                Some((Kind::AllDown, _, down)) => (Kind::AllDown, format!("{title}; {down}")),
                _ => (kind, title),
            };
            let stays = if kind == Kind::AllDown { Turn::Begins(title.clone()) } else { stays };
            told.push(news(kind, subject, stays, Some(gone.site.clone()), title));
        }
    }
    told
}

/// The site that is answered from because an operator forces it up, though results say Down.
fn forced_up_though_down(decision: &Decision) -> Option<&Noted> {
    let forced_up = |noted: &Noted| noted.forced.as_ref().is_some_and(|it| it.kind == OverrideKind::ForceUp);
    let mut noted = decision.reason.endpoints.iter().filter(|noted| decision.sites.contains(&noted.site));
    noted.find(|noted| noted.health == Health::Down && forced_up(noted))
}

/// What is told of address families that are not answered with what works, or from other sites than the rest, with
/// the worst kind of it.
fn families(decision: &Decision) -> Option<(Kind, Option<SiteId>, String)> {
    let name = bare(&decision.service);
    let lost = lost_families(decision);
    let moved = |FamilyPart { family, sites, reason, .. }: &FamilyPart| {
        let gone = left_of(reason, sites).filter(|_| lost.iter().all(|(lost, _)| lost != family))?;
        let kind = if broken(gone) { Kind::Failover } else { Kind::Moved };
        let (from, to) = (&gone.site, sites.join(" and "));
        Some((kind, Some(from.clone()), format!("{family} of {name} moved from {from} to {to}")))
    };
    let moved = decision.families.iter().filter_map(moved);
    let told = lost.iter().map(|(family, why)| (Kind::AllDown, None, format!("{family} of {name} {why}")));
    let told: Vec<_> = told.chain(moved).collect();
    let worst = [Kind::AllDown, Kind::Failover, Kind::Moved];
    let worst = worst.into_iter().find_map(|kind| told.iter().find(|(of, ..)| *of == kind))?;
    let title: Vec<&str> = told.iter().map(|(.., title)| title.as_str()).collect();
    Some((worst.0, worst.1.clone(), title.join("; ")))
}

/// The endpoint that is not answered with although it is preferred, a broken one before others.
fn left(decision: &Decision) -> Option<&Noted> {
    left_of(&decision.reason, &decision.sites)
}

fn left_of<'a>(reason: &'a Reason, sites: &[SiteId]) -> Option<&'a Noted> {
    let mut left: Vec<&Noted> = match (&reason.rule, reason.endpoints.split_last()) {
        (Rule::Steered { .. }, _) => {
            let noted = reason.endpoints.iter();
            // Of those that are not answered with, the reason notes all that are not plainly Up.
            noted
                .filter(|noted| !sites.contains(&noted.site))
                .filter(|noted| {
                    noted.health != Health::Up || noted.forced.is_some() || noted.maintenance.is_some()
                })
                .collect()
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
    format!("service {}", bare(service))
}

/// What is told of a condition that began or is over: what else is told of the same thing has the same subject.
fn condition_subject(turn: &condition::Turn) -> String {
    let Condition { kind, subject, .. } = &turn.condition;
    match kind {
        ConditionKind::AllDown | ConditionKind::FamilyDown => format!("service {subject}"),
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
    format!("proposal {}", bare(service))
}

/// A name as people write it: without the last dot.
pub(super) fn bare(name: &Name) -> String {
    let text = name.to_string();
    text.strip_suffix('.').filter(|text| !text.is_empty()).map_or(text.clone(), str::to_owned)
}

fn bounded(text: &str) -> String {
    if text.len() <= MAX_REASON {
        return text.to_owned();
    }
    let end = (0..=MAX_REASON).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
