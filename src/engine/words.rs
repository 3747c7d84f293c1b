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
                match &decisions[..] {
                    [] => match by {
                        None | Some(Cause::Decisions) => Ok(()),
                        Some(by) => write!(f, " by {by}"),
                    },
                    [one] => write!(f, " for decision {one}"),
                    [first, .., last] => {
                        write!(f, " for {} decisions, {first} to {last}", decisions.len())
                    }
                }?;
                counts.map_or(Ok(()), |(gone, come)| write!(f, ", records -{gone} +{come}"))
            }
            Happened::Updated { zone, who, removed, added, more } => {
                write!(f, "update of {zone} by {who}:")?;
                let lines =
                    removed.iter().map(|line| ("-", line)).chain(added.iter().map(|line| ("+", line)));
                for (at, (sign, line)) in lines.enumerate() {
                    write!(f, "{} {sign} {line}", if at > 0 { ";" } else { "" })?;
                }
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
            Happened::Command(c) => {
                match &c.action {
                    Action::Override { scope, kind, until, force } => {
                        write!(f, "command: {kind} {scope}")?;
                        if let Some(until) = until {
                            write!(f, " until {until}")?;
                        }
                        if *force {
                            f.write_str(" whatever safety rules say")?;
                        }
                    }
                    Action::Clear { scope } => write!(f, "command: undrain {scope}")?,
                    Action::Failover { service, to } => write!(f, "command: failover {service} to {to}")?,
                    Action::Failback { service } => write!(f, "command: failback {service}")?,
                    Action::Approve { proposal, force } => {
                        match proposal {
                            None => f.write_str("command: approve all")?,
                            Some(id) => write!(f, "command: approve {id}")?,
                        }
                        if *force {
                            f.write_str(" whatever the capacity")?;
                        }
                    }
                    Action::Reject { proposal } => write!(f, "command: reject {proposal}")?,
                }
                write!(f, ", by {}: {}", c.who, c.reason)
            }
            Happened::Proposal { news: ProposalNews::Proposed, proposal } => proposal.fmt(f),
            Happened::Proposal { news: ProposalNews::Withdrawn, proposal } => {
                let Proposal { id, from, to, .. } = proposal;
                let what = proposal.subject();
                write!(f, "proposal {id} withdrawn: no reason is left for {what} to move from {from} to {to}")
            }
            Happened::Proposal { news: ProposalNews::Unanswered, proposal } => {
                let then = match proposal.due {
                    Some((_, IfUnanswered::Move)) => "it is made",
                    Some((_, IfUnanswered::Stay)) | None => "the service stays",
                };
                let Proposal { id, from, to, .. } = proposal;
                let what = proposal.subject();
                write!(f, "proposal {id} of {what} from {from} to {to} was not answered: {then}")
            }
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
            Happened::ClockSet { by_ms } => {
                let by = span(Duration::from_millis(by_ms.unsigned_abs()));
                let way = if *by_ms < 0 { "back" } else { "forward" };
                write!(
                    f,
                    "the host's clock was set {way} by {by}: times from before are shown by it too, and no delay or hold changed"
                )
            }
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
