//! What each service promises as its `rto`, held against the worst case.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::Draft;
use super::error::ConfigError;
use super::report::Findings;
use super::services::DraftService;
use crate::dns::Name;
use crate::model::{Surroundings, Unanswered, VantageSetup, turns, worst_case};

/// Holds the sum of each service against its `rto`, once for services that have both in common.
pub(super) fn check(draft: &Draft, negative_ttls: &BTreeMap<Name, u32>, findings: &mut Findings) {
    let promised = || draft.services.iter().filter(|draft| draft.service.rto.is_some());
    let mut surroundings = Surroundings { negative_ttls: negative_ttls.clone(), ..Surroundings::default() };
    if promised().next().is_some() {
        surroundings.vouch = draft.vantage.as_ref().map_or(Duration::ZERO, VantageSetup::wait);
        let commands = draft.server.as_ref().map_or(usize::MAX, |server| server.max_exec);
        let services = draft.services.iter().map(|draft| &*draft.service);
        // How many runs a host lets be under way is not the configuration's doing.
        surroundings.turns = turns(services, usize::MAX, commands);
    }
    let mut checked = None;
    for DraftService { service, rto_at, .. } in promised() {
        let (Some(rto), Some(at)) = (service.rto, rto_at) else { continue };
        if checked.replace((at, &service.zone)) == Some((at, &service.zone)) {
            continue;
        }
        if service.moving.approval.is_some_and(|approval| approval.unanswered == Unanswered::Stay) {
            findings.push(at, ConfigError::RtoWithoutAnswer);
            continue;
        }
        let sum = worst_case(service, &surroundings);
        if sum.total > rto {
            findings.push(at, ConfigError::RtoExceeded { sum, rto });
        }
    }
}
