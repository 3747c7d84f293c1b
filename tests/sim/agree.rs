//! Status, `/healthz`, metrics, alerts and dashboard say the same of how things stand: each is held against what
//! the decisions say, and so all against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use detour::alert::queue::Desk;
use detour::api::overview::{Overview, Stance};
use detour::api::{DaemonStatus, Liveness, Measurements, health_of, metrics_text};
use detour::condition::{ConditionKind, Summary};
use detour::engine::{Effect, Happened, ServiceView};
use detour::health::Health;
use detour::model::{AlertReceiver, AlertSeverity, AlertWay, SiteId, Whereto};
use detour::policy::{Decision, Family, Noted, OverrideKind, Rule};
use detour::simulate::scenario::World;
use detour::state::Entry;
use detour::time::Time;
use detour::zones::LoadOutcome;

const OF_SERVICES: [ConditionKind; 5] = [
    ConditionKind::AllDown,
    ConditionKind::DeadSite,
    ConditionKind::Unverified,
    ConditionKind::PendingApproval,
    ConditionKind::Blocked,
];

/// One who is told everything, at once.
pub struct Agreement {
    desk: Desk,
    to: AlertReceiver,
    seq: u64,
    seen: BTreeMap<ConditionKind, usize>,
}

impl Default for Agreement {
    fn default() -> Agreement {
        let to = AlertReceiver {
            id: "all".into(),
            way: AlertWay::Command(vec!["/bin/true".to_owned()]),
            severities: vec![AlertSeverity::Critical, AlertSeverity::Warning, AlertSeverity::Info],
            services: None,
            group_wait: Duration::ZERO,
            timeout: Duration::from_secs(1),
            title: None,
            text: None,
            ca: None,
        };
        Agreement { desk: Desk::new(0), to, seq: 0, seen: BTreeMap::new() }
    }
}

/// A service's name as conditions and alerts have it.
fn bare(service: &ServiceView) -> String {
    service.name.to_string().trim_end_matches('.').to_owned()
}

/// What is wrong with a service, by what its decision notes.
fn wrong(service: &ServiceView) -> Option<ConditionKind> {
    let decision = service.decision.as_ref()?;
    match &decision.reason.rule {
        Rule::AllDown { .. } | Rule::Unproven => return Some(ConditionKind::AllDown),
        Rule::Unverified { .. } => return Some(ConditionKind::Unverified),
        Rule::Damped => return None,
        _ => {}
    }
    let shared = matches!(decision.reason.rule, Rule::Steered { .. }) && !decision.families.is_empty();
    let dead = !shared
        && decision.reason.endpoints.iter().any(|noted| {
            let forced_up = noted.forced.as_ref().is_some_and(|it| it.kind == OverrideKind::ForceUp);
            decision.own_sites().contains(&noted.site) && noted.health == Health::Down && !forced_up
        });
    if dead || family_dead(decision) {
        return Some(ConditionKind::DeadSite);
    }
    decision.reasons().find_map(|reason| match &reason.rule {
        Rule::Proposed { limit: Some(_), .. } => Some(ConditionKind::Blocked),
        Rule::Proposed { limit: None, .. } => Some(ConditionKind::PendingApproval),
        _ => None,
    })
}

/// Whether a family is answered from where it is Down, as its own move waits.
fn family_dead(decision: &Decision) -> bool {
    decision.families.iter().any(|part| {
        let waits =
            matches!(part.reason.rule, Rule::Delayed { .. } | Rule::Proposed { .. } | Rule::Rejected { .. });
        let down = |noted: &Noted| {
            let forced = noted.forced.as_ref().is_some_and(|it| it.kind == OverrideKind::ForceUp);
            part.sites.contains(&noted.site) && noted.health == Health::Down && !forced
        };
        waits && part.reason.endpoints.iter().any(|noted| noted.maintenance.is_none() && down(noted))
    })
}

/// Whether somebody is answered without a family that an endpoint in use was given, and that is Down there.
fn family_withheld(decision: &Decision) -> bool {
    let steered = decision.steer.iter().flat_map(|steer| &steer.variants);
    let steered = steered.map(|variant| (&variant.sites[..], &variant.records));
    let answers = std::iter::once((decision.own_sites(), &decision.records)).chain(steered);
    answers.into_iter().any(|(sites, records)| {
        Family::BOTH.into_iter().filter(|&family| decision.part(family).is_none()).any(|family| {
            let down = |site: &SiteId| {
                let mut noted = decision.reason.endpoints.iter().filter(|noted| noted.site == *site);
                let address = |place: &str| place.parse().is_ok_and(|it| family.has(&Whereto::Addr(it)));
                noted.any(|noted| {
                    noted.withheld.iter().any(|it| it.health == Health::Down && address(&it.place))
                })
            };
            records.iter().all(|set| set.rtype != family.rtype()) && sites.iter().any(down)
        })
    })
}

impl Agreement {
    /// A new run of the daemon begins.
    pub fn restarted(&mut self, now: Time) {
        self.tell(now, [Happened::Started { fresh: false }]);
    }

    fn tell(&mut self, now: Time, what: impl IntoIterator<Item = Happened>) {
        let entries = what.into_iter().map(|what| {
            self.seq += 1;
            Entry { seq: self.seq, at: now, what }
        });
        let entries: Vec<Entry> = entries.collect();
        self.desk.read(now, &entries, &self.to);
        self.desk.group(now, &self.to);
        while self.desk.ready(now).is_some() {
            self.desk.delivered();
        }
    }

    pub fn after(&mut self, world: &World, effects: &[Effect], services: &[ServiceView]) {
        let records = effects.iter().filter_map(|effect| match effect {
            // They are no news.
            Effect::Record(Happened::Sample(_)) => None,
            Effect::Record(what) => Some(what.clone()),
            _ => None,
        });
        self.tell(world.now, records.collect::<Vec<_>>());
        let conditions = world.engine.conditions();
        let told = serde_json::to_value(&self.desk).expect("JSON");
        let (mut degraded, mut known) = (false, BTreeSet::new());
        for service in services {
            let (name, wrong) = (bare(service), wrong(service));
            for kind in OF_SERVICES {
                assert_eq!(
                    conditions.has(kind, &name),
                    wrong == Some(kind),
                    "{kind} of {name}: {service:#?}"
                );
            }
            let parts = service.decision.iter().flat_map(|it| &it.families);
            let some_down =
                parts.filter(|part| matches!(part.reason.rule, Rule::AllDown { .. } | Rule::Unproven));
            let nothing = [ConditionKind::AllDown, ConditionKind::Unverified];
            let withheld = service.decision.as_ref().is_some_and(family_withheld);
            let family_down =
                (some_down.count() > 0 || withheld) && !wrong.is_some_and(|kind| nothing.contains(&kind));
            assert_eq!(conditions.has(ConditionKind::FamilyDown, &name), family_down, "{service:#?}");
            degraded |= family_down;
            // A family that nobody is given is told, whatever the rest of the service waits for.
            let state = told["open"][format!("service {name}")]["state"].as_str().unwrap_or_default();
            if family_down && wrong != Some(ConditionKind::DeadSite) {
                assert!(
                    !state.is_empty(),
                    "no alert of {name}: {} {:#?}",
                    told["open"],
                    service.decision.as_ref().map(|it| (it.because(), &it.sites))
                );
            }
            let stays = self.desk.subjects().contains(&*format!("proposal {name}"));
            let should = [ConditionKind::DeadSite, ConditionKind::PendingApproval, ConditionKind::Blocked];
            assert_eq!(
                stays,
                wrong.is_some_and(|kind| should.contains(&kind)),
                "alerts of {name}: {service:#?}"
            );
            let state = told["open"][format!("service {name}")]["state"].as_str().unwrap_or_default();
            let all_down = state == "all down" || state.starts_with("unknown at ");
            // An alert stays until something is known again.
            if wrong != Some(ConditionKind::Unverified) && wrong != Some(ConditionKind::DeadSite) {
                let is = wrong == Some(ConditionKind::AllDown);
                assert!(all_down == is, "alerts of {name}: {service:#?}");
            }
            degraded |= wrong.is_some_and(ConditionKind::degrades);
            *self.seen.entry(wrong.unwrap_or(ConditionKind::NoStandby)).or_default() += 1;
            known.insert(name);
        }
        let of_services = conditions.iter().filter(|it| OF_SERVICES.contains(&it.kind));
        for condition in of_services {
            assert!(known.contains(&condition.subject), "of a service that is no more: {condition:?}");
        }
        degraded |= conditions.iter().any(|it| !OF_SERVICES.contains(&it.kind) && it.kind.degrades());
        let health = health_of(&Liveness::default(), &Summary::of(conditions));
        assert_eq!(health.status == "degraded", degraded, "{health:?}");
    }

    /// What is shown when all has settled.
    pub fn check_settled(world: &World) {
        let summary = Summary::of(world.engine.conditions());
        let status = DaemonStatus {
            version: String::new(),
            started: world.now,
            config: "detour.toml".into(),
            listen: Vec::new(),
            conditions: summary.clone(),
            engine: world.status(),
            last_load: LoadOutcome { at: world.now, ok: true, problems: None },
            warnings: Vec::new(),
            watches: Vec::new(),
            secondaries: Vec::new(),
            transferred: Vec::new(),
            alerts: Vec::new(),
        };
        let text = metrics_text(Some(&status), &Liveness::default(), &summary, &Measurements::default());
        for kind in ConditionKind::ALL {
            let (word, severity) = (kind.word(), kind.severity().word());
            let line = format!(
                "detour_conditions{{kind=\"{word}\",severity=\"{severity}\"}} {}\n",
                summary.count(*kind)
            );
            assert!(text.contains(&line), "no {line}");
        }
        assert!(text.contains(&format!("detour_degraded {}\n", u8::from(summary.is_degraded()))));
        for site in &status.engine.sites {
            let over = site.capacity.is_some_and(|capacity| site.load > u64::from(capacity));
            let told = world.engine.conditions().has(ConditionKind::OverCapacity, &site.id);
            assert_eq!(told, over, "{site:?}");
        }
        let page = Overview::of(status, &Liveness::default()).expect("a page");
        assert_eq!(page.frame.conditions, summary);
        for row in &page.services {
            let has = |kind| world.engine.conditions().has(kind, &row.name);
            assert_eq!(row.stance == Stance::Stranded, has(ConditionKind::AllDown), "{row:?}");
            // A move off a drained site that works waits too, and hurts nobody.
            let drained = row.endpoints.iter().any(|it| it.serving && it.forced.is_some());
            let held = row.stance == Stance::Held;
            let lost = row.stance == Stance::FamilyDown;
            assert_eq!(lost, has(ConditionKind::FamilyDown), "{row:?}");
            assert!(held == has(ConditionKind::DeadSite) || held && drained || lost, "{row:?}");
        }
    }

    /// How often a kind was met.
    pub fn met(&self, kind: ConditionKind) -> usize {
        self.seen.get(&kind).copied().unwrap_or(0)
    }
}
