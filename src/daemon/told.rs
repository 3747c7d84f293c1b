//! What happened, as lines of the log: one for each thing an operator should find there.
//!
//! A line says in words what `detour history` says. Beside them it has fields, which are for programs: `kind`,
//! as the history calls it, `sequence`, the entry's number there, and what it is about. Whoever reads a terminal
//! is shown the sequence alone (`cli::logging`).

use tracing::{info, warn};

use crate::engine::Happened;

/// Says what happened; `sequence` is its number in the history, where that is known.
pub fn log(what: &Happened, sequence: Option<u64>) {
    match what {
        // A load says its own, and so does who gives an alert up.
        Happened::Started { .. }
        | Happened::Loaded { .. }
        | Happened::LoadRefused { .. }
        | Happened::AlertSent { .. }
        | Happened::Audit(_)
        | Happened::AlertLost { .. }
        | Happened::Sample(_) => {}
        Happened::Decision(decision) => {
            let (service, sites) = (decision.service.to_string(), decision.sites.join(","));
            let (id, reason) = (decision.id, decision.reason.to_string());
            info!(kind = "decision", sequence, decision = id, service, sites, reason, "{what}");
        }
        Happened::Health { check, from, to, because, .. } => {
            let (check, from, to) = (check.to_string(), from.to_string(), to.to_string());
            info!(kind = "health", sequence, check, from, to, because, "{what}");
        }
        Happened::Published { zone, from, to, .. } => {
            let zone = zone.to_string();
            info!(kind = "published", sequence, zone, from = from.0, serial = to.0, "{what}");
        }
        Happened::Updated { zone, who, .. } => {
            info!(kind = "updated", sequence, zone = zone.to_string(), who, "{what}");
        }
        Happened::Frozen { zone, who, .. } => {
            info!(kind = "frozen", sequence, zone = zone.to_string(), who, "{what}");
        }
        Happened::UpdateRefused { zone, who, why } => {
            warn!(kind = "update_refused", sequence, zone = zone.to_string(), who, reason = why, "{what}");
        }
        Happened::RolledBack { zone, who, reason, .. } => {
            warn!(kind = "rolled_back", sequence, zone = zone.to_string(), who, reason, "{what}");
        }
        Happened::Command(command) => {
            warn!(kind = "command", sequence, who = command.who, reason = command.reason, "{what}");
        }
        Happened::Expired(forced) => {
            warn!(kind = "expired", sequence, scope = forced.scope.to_string(), "{what}");
        }
        Happened::Warned { check, .. } => {
            warn!(kind = "warned", sequence, check = check.to_string(), "{what}");
        }
        Happened::Proposal { proposal, .. } => {
            let service = proposal.service.to_string();
            warn!(kind = "proposal", sequence, service, proposal = proposal.id, "{what}");
        }
        Happened::Limit { service, to, limit } => {
            warn!(
                kind = "limit",
                sequence,
                service = service.to_string(),
                site = &**to,
                reason = limit,
                "{what}"
            );
        }
        Happened::Standby { service, site, unready } => {
            let (service, reason) = (service.to_string(), unready.as_deref());
            warn!(kind = "standby", sequence, service, site = &**site, reason, "{what}");
        }
        Happened::Doubt(doubt) => warn!(kind = "doubt", sequence, reason = doubt.because, "{what}"),
        Happened::Trust(_) => warn!(kind = "trust", sequence, "{what}"),
    }
}
