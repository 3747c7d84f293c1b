//! How long clients can be sent to a dead endpoint: the sum `detour check` prints.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::duration::Seconds;
use super::{AllDown, CheckKey, Config, Endpoint, Probe, ProbeKind, Service, SiteId, Target};
use crate::dns::Name;
use crate::model::{Approval, Families, Unanswered};

/// From the decision to answers that carry it, the engine's wait for more events of the same instant
/// (20 ms at most) included.
pub const PUBLISH_BOUND: Duration = Duration::from_millis(100);

/// The longest time from an endpoint's failure to a client's new answer, and its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rto {
    /// Until the endpoint is Down.
    pub detection: Duration,
    /// Until the service may move: its delay.
    pub delay: Duration,
    /// Until it moves although nobody has approved.
    pub approval: Duration,
    /// Until the answer has changed.
    pub publish: Duration,
    /// Until resolvers ask again that have an answer.
    pub ttl: Duration,
    /// Until resolvers ask again that were told that there is no record, where that is longer.
    pub negative: Option<Duration>,
    /// The sum.
    pub total: Duration,
}

/// What a worst case depends on besides the service itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// How long the canaries may take to vouch for a failure ([`crate::model::VantageSetup::wait`]).
    pub vouch: Duration,
    /// For how long resolvers keep that a zone has no such record (RFC 2308 section 5), in seconds.
    pub negative_ttls: BTreeMap<Name, u32>,
    /// How long a run may wait for its turn while every check of a site hangs.
    pub turns: BTreeMap<SiteId, Turns>,
}

/// How long a run may wait for its turn. Both are zero where all runs can be under way at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// For one of the runs that this host lets be under way at once.
    pub run: Duration,
    /// For one of the commands that may run at once (`max_exec`).
    pub command: Duration,
}

impl Surroundings {
    /// Those of a configuration on a host that lets `runs` slow probe runs be under way at once.
    pub fn of(config: &Config, runs: usize) -> Surroundings {
        Surroundings {
            vouch: config.vantage.wait(),
            negative_ttls: config.negative_ttls.clone(),
            turns: turns(config.services.iter().map(AsRef::as_ref), runs, config.server.max_exec),
        }
    }
}

/// The waits at the sites that have too many checks for all of them to be under way at once. Checks that services
/// share are one.
pub fn turns<'a>(
    services: impl Iterator<Item = &'a Service> + Clone,
    runs: usize,
    commands: usize,
) -> BTreeMap<SiteId, Turns> {
    let (mut all, mut execs): (BTreeMap<&SiteId, usize>, BTreeMap<&SiteId, usize>) = Default::default();
    let each = services.flat_map(|service| service.endpoints.iter().map(move |endpoint| (service, endpoint)));
    for (service, endpoint) in each.clone() {
        let places = endpoint.places().len();
        *all.entry(&endpoint.site).or_default() += places * service.probes.leaves().count();
        let of_commands = service.probes.leaves().filter(|probe| is_command(probe)).count();
        *execs.entry(&endpoint.site).or_default() += places * of_commands;
    }
    // Counted generously, nearly every site has room for all, and no check has to be told from another.
    let is_crowded = |site: &SiteId| {
        all.get(site).is_some_and(|all| *all > runs) || execs.get(site).is_some_and(|execs| *execs > commands)
    };
    let mut crowded: BTreeMap<&SiteId, BTreeMap<CheckKey, (bool, Duration)>> = BTreeMap::new();
    for (service, endpoint) in each.filter(|(_, endpoint)| is_crowded(&endpoint.site)) {
        let checks = crowded.entry(&endpoint.site).or_default();
        for whereto in endpoint.places() {
            // A heartbeat is waited for, and takes nobody's turn.
            for probe in service.probes.leaves().filter(|probe| probe.kind != ProbeKind::Heartbeat) {
                let key = CheckKey::of(service, probe, whereto.clone());
                checks.insert(key, (is_command(probe), probe.timeout));
            }
        }
    }
    let waits = crowded.into_iter().map(|(site, checks)| {
        let run = wait(checks.values().map(|(_, timeout)| *timeout), runs);
        let commands_of = checks.values().filter(|(is_command, _)| *is_command);
        (site.clone(), Turns { run, command: wait(commands_of.map(|(_, timeout)| *timeout), commands) })
    });
    waits.filter(|(_, turns)| *turns != Turns::default()).collect()
}

fn is_command(probe: &Probe) -> bool {
    matches!(probe.kind, ProbeKind::Exec(_))
}

/// How long the last of these runs waits, where `room` of them are under way at once and each takes its timeout.
fn wait(timeouts: impl Iterator<Item = Duration> + Clone, room: usize) -> Duration {
    let rounds = timeouts.clone().count().div_ceil(room.max(1));
    let before = u32::try_from(rounds.saturating_sub(1)).unwrap_or(u32::MAX);
    timeouts.max().unwrap_or_default().saturating_mul(before)
}

/// The worst case for one service: an endpoint that hangs, in the instant after it was found well, with everything
/// else at its site; a resolver that asked in the instant before the answer changed; and the slowest of the probes.
/// Where there are canaries, their verdict on the first failure takes at most
/// [`vouch`](Surroundings::vouch).
///
/// The slowest counts under every combination. "At least k of n" is Down once n - k + 1 are: no sooner
/// than the slowest of those that fail, and the slowest of all can be one of them and be the last that is
/// needed. It is no later either, since by then every one that fails is Down.
pub fn worst_case(service: &Service, surroundings: &Surroundings) -> Rto {
    let turns = |endpoint: &Endpoint| surroundings.turns.get(&endpoint.site).copied();
    let run = service.endpoints.iter().filter_map(turns).map(|turns| turns.run).max().unwrap_or_default();
    let command =
        service.endpoints.iter().filter_map(turns).map(|turns| turns.command).max().unwrap_or_default();
    let detection = service.probes.leaves().map(|probe| {
        let turn = if is_command(probe) { run + command } else { run };
        detection(probe, surroundings.vouch, turn)
    });
    let detection = detection.max().unwrap_or_default();
    let ttl = Duration::from_secs(service.ttl.into());
    let delay = service.moving.delay;
    let approval = match service.moving.approval {
        Some(Approval { wait, unanswered: Unanswered::Move }) => wait,
        // Where nobody's answer is no, there is no bound to add.
        Some(Approval { unanswered: Unanswered::Stay, .. }) | None => Duration::ZERO,
    };
    let negative = surroundings.negative_ttls.get(&service.zone).filter(|_| may_be_empty(service));
    let negative =
        negative.map(|secs| Duration::from_secs((*secs).into())).filter(|negative| *negative > ttl);
    let total = detection + delay + approval + PUBLISH_BOUND + negative.unwrap_or(ttl);
    Rto { detection, delay, approval, publish: PUBLISH_BOUND, ttl, negative, total }
}

/// Whether clients can be told that the name has no record of a type that it has at other times: because nothing
/// works, or because the endpoint in use has no address of their family, or none that works.
pub fn may_be_empty(service: &Service) -> bool {
    let lacks = |v6: bool| {
        let has = |endpoint: &Endpoint| match &endpoint.target {
            Target::Addresses { v4, v6: sixes } => {
                if v6 {
                    !sixes.is_empty()
                } else {
                    !v4.is_empty()
                }
            }
            Target::Cname(_) => true,
        };
        service.endpoints.iter().any(has) && !service.endpoints.iter().all(has)
    };
    // Where families move together, one that is dead everywhere is not answered while the other works.
    let has_both = |endpoint: &Endpoint| match &endpoint.target {
        Target::Addresses { v4, v6 } => !v4.is_empty() && !v6.is_empty(),
        Target::Cname(_) => false,
    };
    let has_cname = service.endpoints.iter().any(|it| matches!(it.target, Target::Cname(_)));
    let together = service.moving.families == Families::Together || has_cname;
    let together = together && service.endpoints.iter().any(has_both);
    service.all_down == AllDown::Empty || lacks(false) || lacks(true) || together
}

/// The wait for the next run, then `fall` runs that each take their whole timeout, once it is their turn. Runs of
/// one check do not overlap: each begins `confirm` after the one before began, or when that one ends if this is
/// later. The canaries are asked from the first failure on, while the further runs are under way.
fn detection(probe: &Probe, vouch: Duration, turn: Duration) -> Duration {
    let run = turn + probe.timeout;
    let further = probe.confirm.max(run) * probe.thresholds.fall.saturating_sub(1);
    probe.interval + run + further.max(vouch)
}

/// `detection 11s + publish 0.1s + TTL 30s = 41.1s`
impl fmt::Display for Rto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rto { detection, delay, approval, publish, ttl, negative, total } = *self;
        write!(f, "detection {}", Seconds(detection))?;
        if !delay.is_zero() {
            write!(f, " + delay {}", Seconds(delay))?;
        }
        if !approval.is_zero() {
            write!(f, " + approval {}", Seconds(approval))?;
        }
        write!(f, " + publish {}", Seconds(publish))?;
        match negative {
            Some(negative) => write!(f, " + negative TTL {}", Seconds(negative))?,
            None => write!(f, " + TTL {}", Seconds(ttl))?,
        }
        write!(f, " = {}", Seconds(total))
    }
}
