//! What happened, as lines of the log: one for each thing an operator should find there.
//!
//! A line says in words what `detour history` says. Beside them it has fields, which are for programs: `kind`,
//! as the history calls it, `sequence`, the entry's number there, and what it is about. Whoever reads a terminal
//! is shown the sequence alone (`cli::logging`).

use std::collections::BTreeMap;

use tracing::{error, info, warn};

use crate::config::BrokenZone;
use crate::engine::Happened;
use crate::model::SiteId;
use crate::policy::ProposalNews;

/// How many services a line about many names.
const MAX_NAMED: usize = 3;

/// A line that warns where something is wrong; what is over, or mended, is information.
macro_rules! leveled {
    ($wrong:expr, $($rest:tt)*) => {
        if $wrong { warn!($($rest)*) } else { info!($($rest)*) }
    };
}

/// Standbys that were lost or are back, which a dead site makes of hundreds of services at once: one line for each
/// site, and the number.
#[derive(Default)]
pub struct Standbys(BTreeMap<(SiteId, bool), Gathered>);

/// Those of one site.
struct Gathered {
    first: Happened,
    sequence: Option<u64>,
    named: Vec<String>,
    count: usize,
}

impl Standbys {
    /// Whether it is one of those, and will be told with the others.
    pub fn gather(&mut self, what: &Happened, sequence: Option<u64>) -> bool {
        let Happened::Standby { service, site, unready } = what else { return false };
        let gathered = self.0.entry((site.clone(), unready.is_some()));
        let gathered = gathered.or_insert_with(|| Gathered {
            first: what.clone(),
            sequence,
            named: Vec::new(),
            count: 0,
        });
        gathered.count += 1;
        if gathered.named.len() < MAX_NAMED {
            gathered.named.push(service.bare());
        }
        true
    }

    /// Tells of them.
    pub fn tell(&mut self) {
        for ((site, unready), gathered) in std::mem::take(&mut self.0) {
            let Gathered { first, sequence, named, count } = gathered;
            if count == 1 {
                log(&first, sequence);
                continue;
            }
            let text = of_many(&site, unready, count, &named);
            leveled!(unready, kind = "standby", sequence, count, site = &*site, "{text}");
        }
    }
}

/// `300 services have no standby: iad is not ready (app.example.com, www.example.com and 298 more)`
fn of_many(site: &str, unready: bool, count: usize, named: &[String]) -> String {
    let more = count.saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = named.join(", ");
    if unready {
        format!("{count} services have no standby: {site} is not ready ({named}{more})")
    } else {
        format!("{count} services have a standby again: {site} is ready ({named}{more})")
    }
}

/// Says which zones' files are broken, with every problem; and the same in a line for each, with one problem.
pub fn broken(zones: &[BrokenZone]) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for BrokenZone { zone, problems, copy } in zones {
        let served = match copy {
            Some(serial) => format!("its last good copy (serial {serial}) is served"),
            None => "it is answered SERVFAIL".to_owned(),
        };
        let line = format!("zone {}: its file is broken, {served}", zone.bare());
        error!("{line}\n{problems}");
        // Warnings stand among the problems, and are not why.
        let first = problems.lines().find(|line| line.contains(": error: ")).unwrap_or_default();
        lines.insert(zone.bare(), format!("{line}: {first}"));
    }
    lines
}

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
            let (id, reason) = (decision.id, decision.because());
            info!(kind = "decision", sequence, decision = id, service, sites, reason, "{what}");
        }
        Happened::Health { check, from, to, because, .. } => {
            let (check, from, to) = (check.to_string(), from.to_string(), to.to_string());
            info!(kind = "health", sequence, check, from, to, because, "{what}");
        }
        Happened::Published { .. }
        | Happened::Updated { .. }
        | Happened::Frozen { .. }
        | Happened::UpdateRefused { .. }
        | Happened::RolledBack { .. } => log_of_zone(what, sequence),
        Happened::Command(command) => {
            warn!(kind = "command", sequence, who = command.who, reason = command.reason, "{what}");
        }
        Happened::Expired(forced) => {
            warn!(kind = "expired", sequence, scope = forced.scope.to_string(), "{what}");
        }
        Happened::Warned { check, warning } => {
            let check = check.to_string();
            leveled!(warning.is_some(), kind = "warned", sequence, check, "{what}");
        }
        Happened::Proposal { news, proposal } => {
            let service = proposal.service.to_string();
            let waits = *news != ProposalNews::Withdrawn;
            leveled!(waits, kind = "proposal", sequence, service, proposal = proposal.id, "{what}");
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
            leveled!(
                unready.is_some(),
                kind = "standby",
                sequence,
                service,
                site = &**site,
                reason,
                "{what}"
            );
        }
        Happened::Condition(turn) => {
            let (subject, condition) = (turn.condition.subject.as_str(), turn.condition.kind.word());
            leveled!(!turn.over, kind = "condition", sequence, condition, subject, "{what}");
        }
        Happened::ClockSet { by_ms } => warn!(kind = "clock_set", sequence, by_ms, "{what}"),
        Happened::Doubt(doubt) => warn!(kind = "doubt", sequence, reason = doubt.because, "{what}"),
        Happened::Trust(_) => info!(kind = "trust", sequence, "{what}"),
    }
}

/// The same of a zone.
fn log_of_zone(what: &Happened, sequence: Option<u64>) {
    match what {
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
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::condition::{Condition, ConditionKind, Turn};
    use crate::health::{Health, Warning};
    use crate::model::{AlertSeverity, CheckKey, Whereto};
    use crate::time::{HostTime, Time};

    /// What was logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The level at which each of these is logged.
    fn levels(happened: &[Happened]) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        let plain = tracing_subscriber::fmt().without_time().with_ansi(false);
        let log_into = plain.with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log_into, || happened.iter().for_each(|what| log(what, None)));
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_wrong_warns_and_its_recovery_is_information() {
        let check =
            || CheckKey { probe: "web".into(), whereto: Whereto::Addr([192, 0, 2, 1].into()), host: None };
        let standby = |unready: Option<&str>| Happened::Standby {
            service: "app.example.com".parse().unwrap(),
            site: "iad".into(),
            unready: unready.map(str::to_owned),
        };
        let warned = |warning| Happened::Warned { check: check(), warning };
        let condition = |over| {
            let (kind, severity) = (ConditionKind::ZoneBroken, AlertSeverity::Warning);
            let (subject, text, since) = ("a".to_owned(), "zone a: broken".to_owned(), Time(1));
            Happened::Condition(Turn { condition: Condition { kind, subject, severity, since, text }, over })
        };
        let expires = Warning::CertificateExpires { days: 6, at: HostTime(0) };
        assert_eq!(
            levels(&[standby(Some("iad Down")), warned(Some(expires)), condition(false)]),
            ["WARN", "WARN", "WARN"]
        );
        let up = Happened::Health {
            check: check(),
            from: Health::Down,
            to: Health::Up,
            because: "2 of 2 passed".to_owned(),
            of: None,
        };
        assert_eq!(levels(&[standby(None), warned(None), condition(true), up]), ["INFO"; 4]);
    }

    #[test]
    fn a_dead_standby_of_many_services_is_one_line() {
        let unready = |n: usize, unready: Option<&str>| Happened::Standby {
            service: format!("s{n}.example.com").parse().unwrap(),
            site: "iad".into(),
            unready: unready.map(str::to_owned),
        };
        let mut standbys = Standbys::default();
        for n in 0..300 {
            assert!(standbys.gather(&unready(n, Some("iad Down")), Some(n as u64)));
        }
        assert!(standbys.gather(&unready(7, None), None), "what is back is another line");
        assert!(!standbys.gather(&Happened::Started { fresh: true }, None));
        assert_eq!(standbys.0.len(), 2);
        let lost = &standbys.0[&("iad".into(), true)];
        assert_eq!((lost.count, lost.sequence), (300, Some(0)));
        let said = "300 services have no standby: iad is not ready (s0.example.com, s1.example.com, \
                    s2.example.com and 297 more)";
        assert_eq!(of_many("iad", true, lost.count, &lost.named), said);
        standbys.tell();
        assert!(standbys.0.is_empty());
    }
}
