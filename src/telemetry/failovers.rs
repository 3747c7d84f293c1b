//! What a failover takes, phase by phase, and how much moves: measured by the core as it happens, read by
//! whoever scrapes.
//!
//! A failover is a decision by which a service is no longer answered from a site that is Down. Its phases:
//!
//! ```text
//! first failed run ends ──detect──► Down ──decide──► decision ──publish──► answers ──secondaries──► theirs
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::otlp::{Exporter, Failover};
use super::{Counter, Measured};
use crate::dns::Name;
use crate::engine::{Engine, Happened, Saved};
use crate::health::Health;
use crate::model::{Observed, SiteId};
use crate::policy::{Decision, Reason};
use crate::sys::histogram::{Histogram, Unit};
use crate::time::{Time, by_host};
use crate::transfer::outbound::Teller;

/// The upper bounds of all phases, in microseconds: from a publish of a millisecond to an approval that takes
/// ten minutes.
const BOUNDS: [u64; 15] = [
    1_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    600_000_000,
];
const PHASES: [&str; 3] = ["detect", "decide", "publish"];
/// Why a service moved: off what is Down, or for anything else (failback, an operator, shares).
const MOVES: [&str; 2] = ["failover", "other"];
const HEALTHS: [&str; 4] = ["unknown", "up", "suspect", "down"];

/// What was counted so far.
pub struct Phases {
    took: [Histogram; PHASES.len()],
    /// From the first failed run to the publish.
    whole: Histogram,
    decisions: AtomicU64,
    moves: [AtomicU64; MOVES.len()],
    healths: [AtomicU64; HEALTHS.len()],
    /// Who is told of each failover.
    traces: Exporter,
}

/// Which sites each service is answered from, for the core alone.
#[derive(Default)]
pub struct Served(HashMap<Name, Vec<SiteId>>);

impl Served {
    /// What an earlier run had decided.
    pub fn restored(saved: &[Saved]) -> Served {
        let services = saved.iter().filter_map(|saved| match saved {
            Saved::Service(name, Some(saved)) => Some((name.clone(), saved.decision.sites.clone())),
            _ => None,
        });
        Served(services.collect())
    }
}

impl Phases {
    /// Nothing is counted yet; failovers are told to `traces`.
    pub fn new(traces: Exporter) -> Phases {
        let histogram = || Histogram::new(Unit::Micros, &BOUNDS);
        Phases {
            took: PHASES.map(|_| histogram()),
            whole: histogram(),
            decisions: AtomicU64::default(),
            moves: Default::default(),
            healths: Default::default(),
            traces,
        }
    }

    /// Where failovers are told from now on.
    pub fn set(&self, observed: &Observed) {
        self.traces.set(observed.otlp.as_deref());
    }

    /// What was recorded of a step is published by `now`. Secondaries are awaited where a service left a dead
    /// site.
    pub fn follow(
        &self,
        served: &mut Served,
        engine: &Engine,
        teller: &Teller,
        told: &[Happened],
        now: Time,
    ) {
        let mut failovers = HashSet::new();
        for what in told {
            match what {
                Happened::Health { to, .. } => {
                    let at = [Health::Unknown, Health::Up, Health::Suspect, Health::Down];
                    let at = at.iter().position(|health| health == to).unwrap_or_default();
                    self.healths[at].fetch_add(1, Relaxed);
                }
                Happened::Decision(decision) => {
                    self.decisions.fetch_add(1, Relaxed);
                    let before = served.0.insert(decision.service.clone(), decision.sites.clone());
                    let Some(before) = before.filter(|before| *before != decision.sites) else { continue };
                    let dead = before.iter().find(|site| left_dead(decision, site));
                    self.moves[usize::from(dead.is_none())].fetch_add(1, Relaxed);
                    if let Some(site) = dead {
                        self.fell(engine, decision, site, now);
                        failovers.insert(decision.id);
                    }
                }
                Happened::Published { zone, to, decisions, .. }
                    if decisions.iter().any(|id| failovers.contains(id)) =>
                {
                    teller.await_failover(zone, *to);
                }
                _ => {}
            }
        }
    }

    fn fell(&self, engine: &Engine, decision: &Decision, site: &SiteId, now: Time) {
        let Some(fall) = engine.fall(&decision.service, site) else { return };
        let [detect, decide, publish] = &self.took;
        if let Some(first) = fall.first_failed {
            detect.took(fall.since.since(first));
            self.whole.took(now.since(first));
        }
        decide.took(decision.at.since(fall.since));
        publish.took(now.since(decision.at));
        if self.traces.is_on() {
            // A collector has times of other hosts beside these.
            let on_host = |at: Time| at.on_host(engine.offset());
            self.traces.tell(Failover {
                service: decision.service.to_string(),
                from: site.to_string(),
                to: decision.sites.iter().map(ToString::to_string).collect(),
                decision: decision.id,
                reason: by_host(engine.offset(), || decision.because()),
                first_failed: fall.first_failed.map(on_host),
                down: on_host(fall.since),
                decided: on_host(decision.at),
                published: on_host(now),
            });
        }
    }

    /// The phases, that of the secondaries included.
    pub fn measured(&self, teller: &Teller) -> Vec<Measured> {
        let name = "detour_failover_phase_seconds";
        let labels = |phase: &str| vec![("phase", phase.to_owned())];
        let own = PHASES.iter().zip(&self.took);
        let own = own.map(|(phase, took)| Measured { name, labels: labels(phase), of: took.read() });
        let secondaries = Measured { name, labels: labels("secondaries"), of: teller.failovers() };
        let whole = Measured { name: "detour_failover_seconds", labels: vec![], of: self.whole.read() };
        own.chain([secondaries, whole]).collect()
    }

    /// What moved.
    pub fn counters(&self) -> Vec<Counter> {
        let mut counters = vec![("detour_decisions_total", vec![], self.decisions.load(Relaxed))];
        for (kind, count) in MOVES.iter().zip(&self.moves) {
            counters.push(("detour_moves_total", vec![("kind", (*kind).to_owned())], count.load(Relaxed)));
        }
        for (health, count) in HEALTHS.iter().zip(&self.healths) {
            let labels = vec![("to", (*health).to_owned())];
            counters.push(("detour_health_changes_total", labels, count.load(Relaxed)));
        }
        counters.extend(self.traces.counts().map(|(name, count)| (name, vec![], count)));
        counters
    }
}

/// Whether a decision no longer answers with a site, which is Down; or no longer does for one address family.
fn left_dead(decision: &Decision, site: &SiteId) -> bool {
    let left = |reason: &Reason, sites: &[SiteId]| {
        let mut noted = reason.endpoints.iter();
        !sites.contains(site) && noted.any(|noted| noted.site == *site && noted.health == Health::Down)
    };
    left(&decision.reason, &decision.sites)
        || decision.families.iter().any(|part| left(&part.reason, &part.sites))
}
