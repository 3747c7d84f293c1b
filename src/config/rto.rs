//! How long clients can be sent to a dead endpoint: the sum `detour check` prints.

use std::fmt;
use std::time::Duration;

use super::duration::Seconds;
use super::{Approval, Probe, Service, Unanswered};

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
    /// Until resolvers ask again.
    pub ttl: Duration,
    /// The sum.
    pub total: Duration,
}

/// The worst case for one service: an endpoint that hangs, in the instant after it was found well, a
/// resolver that asked in the instant before the answer changed, and the slowest of the probes. Where
/// there are canaries, their verdict on the first failure takes at most `vouch`
/// ([`VantageSetup::wait`](super::VantageSetup::wait)).
///
/// The slowest counts under every combination. "At least k of n" is Down once n - k + 1 are: no sooner
/// than the slowest of those that fail, and the slowest of all can be one of them and be the last that is
/// needed. It is no later either, since by then every one that fails is Down.
pub fn worst_case(service: &Service, vouch: Duration) -> Rto {
    let detection = service.probes.leaves().map(|probe| detection(probe, vouch)).max().unwrap_or_default();
    let ttl = Duration::from_secs(service.ttl.into());
    let delay = service.moving.delay;
    let approval = match service.moving.approval {
        Some(Approval { wait, unanswered: Unanswered::Move }) => wait,
        // Where nobody's answer is no, there is no bound to add.
        Some(Approval { unanswered: Unanswered::Stay, .. }) | None => Duration::ZERO,
    };
    let total = detection + delay + approval + PUBLISH_BOUND + ttl;
    Rto { detection, delay, approval, publish: PUBLISH_BOUND, ttl, total }
}

/// The wait for the next run, then `fall` runs that each take their whole timeout. Runs of one check do
/// not overlap: each begins `confirm` after the one before began, or when that one ends if this is later.
/// The canaries are asked from the first failure on, while the further runs are under way.
fn detection(probe: &Probe, vouch: Duration) -> Duration {
    let start_to_start = probe.confirm.max(probe.timeout);
    let further = start_to_start * probe.thresholds.fall.saturating_sub(1);
    probe.interval + probe.timeout + further.max(vouch)
}

/// `detection 11s + publish 0.1s + TTL 30s = 41.1s`
impl fmt::Display for Rto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rto { detection, delay, approval, publish, ttl, total } = *self;
        write!(f, "detection {}", Seconds(detection))?;
        if !delay.is_zero() {
            write!(f, " + delay {}", Seconds(delay))?;
        }
        if !approval.is_zero() {
            write!(f, " + approval {}", Seconds(approval))?;
        }
        let (publish, ttl, total) = (Seconds(publish), Seconds(ttl), Seconds(total));
        write!(f, " + publish {publish} + TTL {ttl} = {total}")
    }
}
