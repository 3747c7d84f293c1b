//! `[vantage]`: the canaries, by which this place tells its own trouble from that of the sites.
//!
//! A canary is a probe of something that is well known to work and is none of the sites: a router on the
//! way out, a public resolver. When fewer than `quorum` of them work, the vantage doubts itself.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use toml::Spanned;

use super::endpoints;
use super::error::ConfigError;
use super::probes::Probes;
use super::report::Findings;
use super::section::{Item, Reported, Section};
use super::services::DraftService;
use super::values;
use crate::model::{Check, CheckKey, Endpoint, ProbeKind, Thresholds, VantageSetup, Whereto};

/// The most canaries: each failing sample is held against all of them.
const MAX_CANARIES: usize = 32;

/// What `[vantage]` says, and where each address stands.
#[derive(Default)]
pub(super) struct DraftVantage {
    pub setup: VantageSetup,
    addresses: Vec<Spanned<IpAddr>>,
}

impl DraftVantage {
    /// A canary at an endpoint would make its failure this host's fault.
    pub fn check_services(&self, services: &[DraftService], findings: &mut Findings) {
        if self.addresses.is_empty() {
            return;
        }
        let endpoints = services.iter().flat_map(|draft| &draft.service.endpoints);
        let taken: BTreeSet<Whereto> = endpoints.flat_map(Endpoint::places).collect();
        for addr in self.addresses.iter().filter(|addr| taken.contains(&Whereto::Addr(*addr.get_ref()))) {
            findings.push(&addr.span(), ConfigError::CanaryAtEndpoint(*addr.get_ref()));
        }
    }
}

/// Reads `[vantage]`.
pub(super) fn read(item: Item, probes: &Probes, findings: &mut Findings) -> Result<DraftVantage, Reported> {
    let mut section = Section::of("[vantage]".to_owned(), item, findings)?;
    let example = "canaries = [{ probe = \"ping\", addresses = [\"192.0.2.1\"] }]";
    let groups = section.need("canaries", example, findings, |item, findings| {
        item.list("canaries", MAX_CANARIES, findings, |item, findings| read_group(item, probes, findings))
    });
    let quorum = section.read("quorum", findings, values::count(MAX_CANARIES as u32));
    section.finish(findings);
    let groups = groups?;
    let (mut canaries, mut addresses): (Vec<Check>, Vec<Spanned<IpAddr>>) = (Vec::new(), Vec::new());
    for (check, addr) in groups.get_ref().iter().flat_map(Spanned::get_ref) {
        if !canaries.iter().any(|known| known.key == check.key) {
            canaries.push(check.clone());
            addresses.push(addr.clone());
        }
    }
    if canaries.len() > MAX_CANARIES {
        let error = ConfigError::TooMany { what: "canaries", limit: MAX_CANARIES };
        findings.push(&groups.span(), error);
        return Err(Reported);
    }
    let quorum = match quorum? {
        None => canaries.len().div_ceil(2),
        Some(quorum) => {
            let (at, quorum) = (quorum.span(), quorum.into_inner() as usize);
            if quorum > canaries.len() {
                findings.push(&at, ConfigError::QuorumAboveCanaries { quorum, canaries: canaries.len() });
            }
            quorum
        }
    };
    Ok(DraftVantage { setup: VantageSetup { canaries, quorum }, addresses })
}

/// One probe, put to some addresses.
fn read_group(
    item: Item,
    probes: &Probes,
    findings: &mut Findings,
) -> Result<Vec<(Check, Spanned<IpAddr>)>, Reported> {
    let mut section = Section::of("the canary".to_owned(), item, findings)?;
    let probe = section.need("probe", "probe = \"ping\"", findings, |item, findings| {
        let probe = probes.find(item, findings)?;
        match &probe.kind {
            ProbeKind::Heartbeat => {
                Err(item.wrong(ConfigError::CanaryCallsIn(probe.id.to_string()), findings))
            }
            kind if kind.host() == Some(None) => {
                Err(item.wrong(ConfigError::CanaryWithoutHost(probe.id.to_string()), findings))
            }
            _ => Ok(probe),
        }
    });
    let example = "addresses = [\"192.0.2.1\"]";
    let addresses = section.need("addresses", example, findings, endpoints::read_addresses);
    section.finish(findings);
    let mut probe = (*probe?.into_inner()).clone();
    // A canary is asked to show what is wrong now, not to decide about a site.
    probe.thresholds = Thresholds { fall: 1, rise: 1, window: None };
    probe.damping = None;
    // Nor is it run at any other moment than those.
    probe.watch = false;
    let probe = Arc::new(probe);
    let host = probe.kind.host().flatten();
    let check = |addr: Spanned<IpAddr>| {
        let whereto = Whereto::Addr(*addr.get_ref());
        let key = CheckKey { probe: probe.id.clone(), whereto, host: host.clone() };
        (Check { key, probe: probe.clone() }, addr)
    };
    Ok(addresses?.into_inner().into_iter().map(check).collect())
}
