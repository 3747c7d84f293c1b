//! What this host does not let its probes do, known before any of them runs.

use std::net::IpAddr;

use super::echo::Family;
use super::icmp;
use crate::config::{Config, ProbeKind, Whereto};

/// One line for each lack that has every run of some of these probes discarded, so that nobody takes
/// endpoints for watched that are not. Opens a socket and closes it; sends nothing.
pub fn warnings(config: &Config) -> Vec<String> {
    let pings = |probe: &crate::config::Probe| matches!(probe.kind, ProbeKind::Icmp(_));
    let mut asked = Vec::new();
    for service in config.services.iter().filter(|service| service.probes.leaves().any(|probe| pings(probe)))
    {
        for whereto in service.endpoints.iter().flat_map(crate::config::Endpoint::places) {
            // A name's family is not known; every host is taken to have IPv4.
            let family = match whereto {
                Whereto::Addr(addr) => Family::of(addr),
                Whereto::Name(_) => Family::of(IpAddr::from([0, 0, 0, 0])),
            };
            if !asked.contains(&family) {
                asked.push(family);
            }
        }
        if asked.len() == 2 {
            break;
        }
    }
    let lacks = asked.into_iter().filter_map(|family| icmp::open(family).err());
    let mut warnings: Vec<String> =
        lacks.map(|why| format!("warning: icmp probes will say nothing: {why}")).collect();
    warnings.dedup();
    warnings
}
