//! What happened, in one line: log, history and `detour history` print these words and no others.

use std::fmt;
use std::time::Duration;

use super::{Action, Cause, Happened};
use crate::policy::{IfUnanswered, Proposal, ProposalNews};
use crate::time::span;

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happened::Started { fresh: true } => f.write_str("started without an earlier state"),
            Happened::Started { fresh: false } => f.write_str("started with the state of the last run"),
            Happened::Loaded { services, zones, .. } => {
                write!(f, "loaded: services {services}, zones {zones}")
            }
            Happened::LoadRefused { problems } => {
                let lines: Vec<&str> = problems.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
                write!(f, "load refused: {}", lines.join(" | "))
            }
            Happened::Sample(s) => {
                write!(f, "sample {} from {}: {} in {:.1?}", s.check, s.vantage.0, s.outcome, s.latency)
            }
            Happened::Health { check, from, to, because, .. } => {
                write!(f, "health {check}: {from} -> {to}: {because}")
            }
            Happened::Warned { check, warning: Some(warning) } => write!(f, "warning {check}: {warning}"),
            Happened::Warned { check, warning: None } => write!(f, "warning {check}: it is over"),
            Happened::Decision(d) => {
                let sites = if d.sites.is_empty() { "no site".to_owned() } else { d.sites.join(", ") };
                write!(f, "decision {}: {} from {sites}, TTL {}: {}", d.id, d.service, d.ttl, d.because())
            }
            Happened::Published { zone, from, to, decisions, by, counts } => {
                write!(f, "published {zone} serial {from} -> {to}")?;
                write_cause(f, decisions, *by)?;
                counts.map_or(Ok(()), |(gone, come)| write!(f, ", records -{gone} +{come}"))
            }
            Happened::Updated { zone, who, removed, added, more } => {
                write!(f, "update of {zone} by {who}:")?;
                write_changes(f, removed, added)?;
                if *more > 0 { write!(f, "; and {more} more") } else { Ok(()) }
            }
            Happened::UpdateRefused { zone, who, why } => {
                write!(f, "update of {zone} by {who} refused: {why}")
            }
            Happened::Frozen { zone, edits, who } => {
                write!(f, "frozen: {edits} edited records of {zone} are in its file now, by {who}")
            }
            Happened::RolledBack { zone, to, who, reason, counts: (gone, come), left } => {
                write!(f, "rolled back {zone} to serial {to}, records -{gone} +{come}, by {who}: {reason}")?;
                if left.is_empty() {
                    return Ok(());
                }
                let left: Vec<String> = left.iter().map(ToString::to_string).collect();
                write!(f, "; left to decisions: {}", left.join(", "))
            }
            Happened::Command(command) => {
                f.write_str("command: ")?;
                write_action(f, &command.action)?;
                write!(f, ", by {}: {}", command.who, command.reason)
            }
            Happened::Proposal { news, proposal } => write_proposal(f, *news, proposal),
            Happened::Limit { service, to, limit } => {
                write!(f, "safety rule broken by {service} moving to {to}: {limit}")
            }
            Happened::Standby { service, site, unready: Some(why) } => {
                write!(f, "standby {site} of {service} could not take over now: {why}")
            }
            Happened::Standby { service, site, unready: None } => {
                write!(f, "standby {site} of {service} could take over")
            }
            Happened::AlertSent { receiver, title, .. } => write!(f, "alert to {receiver} sent: {title}"),
            Happened::AlertLost { receiver, title, why } => {
                write!(f, "alert to {receiver} given up: {title}: {why}")
            }
            Happened::ClockSet { by_ms } => write_step(f, *by_ms),
            Happened::Audit(audit) => audit.fmt(f),
            Happened::Doubt(doubt) => write!(f, "in doubt, no sample counts: {}", doubt.because),
            Happened::Trust(doubt) => {
                write!(f, "trusted again, samples count; in doubt since {}: {}", doubt.since, doubt.because)
            }
            Happened::Condition(turn) => turn.fmt(f),
            Happened::Expired(o) => {
                write!(f, "expired: {} {}, by {}: {}", o.kind, o.scope, o.who, o.reason)
            }
        }
    }
}

/// What a zone was published for.
fn write_cause(f: &mut fmt::Formatter<'_>, decisions: &[u64], by: Option<Cause>) -> fmt::Result {
    match (decisions, by) {
        ([], None | Some(Cause::Decisions)) => Ok(()),
        ([], Some(by)) => write!(f, " by {by}"),
        ([one], _) => write!(f, " for decision {one}"),
        ([first, .., last], _) => write!(f, " for {} decisions, {first} to {last}", decisions.len()),
    }
}

/// `- a.example.com. 60 IN A 192.0.2.1; + a.example.com. 60 IN A 192.0.2.2`
fn write_changes(f: &mut fmt::Formatter<'_>, removed: &[String], added: &[String]) -> fmt::Result {
    let lines = removed.iter().map(|line| ("-", line)).chain(added.iter().map(|line| ("+", line)));
    for (at, (sign, line)) in lines.enumerate() {
        write!(f, "{} {sign} {line}", if at > 0 { ";" } else { "" })?;
    }
    Ok(())
}

fn write_action(f: &mut fmt::Formatter<'_>, action: &Action) -> fmt::Result {
    match action {
        Action::Override { scope, kind, until, force } => {
            write!(f, "{kind} {scope}")?;
            if let Some(until) = until {
                write!(f, " until {until}")?;
            }
            if *force { f.write_str(" whatever safety rules say") } else { Ok(()) }
        }
        Action::Clear { scope } => write!(f, "undrain {scope}"),
        Action::Failover { service, to } => write!(f, "failover {service} to {to}"),
        Action::Failback { service } => write!(f, "failback {service}"),
        Action::Approve { proposal, force } => {
            match proposal {
                None => f.write_str("approve all")?,
                Some(id) => write!(f, "approve {id}")?,
            }
            if *force { f.write_str(" whatever the capacity") } else { Ok(()) }
        }
        Action::Reject { proposal } => write!(f, "reject {proposal}"),
    }
}

fn write_proposal(f: &mut fmt::Formatter<'_>, news: ProposalNews, proposal: &Proposal) -> fmt::Result {
    let Proposal { id, from, to, due, .. } = proposal;
    let what = proposal.subject();
    match news {
        ProposalNews::Proposed => write!(f, "{proposal}"),
        ProposalNews::Withdrawn => {
            write!(f, "proposal {id} withdrawn: no reason is left for {what} to move from {from} to {to}")
        }
        ProposalNews::Unanswered => {
            let then = match due {
                Some((_, IfUnanswered::Move)) => "it is made",
                Some((_, IfUnanswered::Stay)) | None => "the service stays",
            };
            write!(f, "proposal {id} of {what} from {from} to {to} was not answered: {then}")
        }
    }
}

/// Somebody set the host's clock.
fn write_step(f: &mut fmt::Formatter<'_>, by_ms: i64) -> fmt::Result {
    let by = span(Duration::from_millis(by_ms.unsigned_abs()));
    let way = if by_ms < 0 { "back" } else { "forward" };
    write!(
        f,
        "the host's clock was set {way} by {by}: times from before are shown by it too, and no delay or hold changed"
    )
}

/// `decision`, `load`, `update`, `transfer`, `rollback`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Decisions => "decision",
            Cause::Load => "load",
            Cause::Update => "update",
            Cause::Transfer => "transfer",
            Cause::Rollback => "rollback",
            Cause::Freeze => "freeze",
        })
    }
}
