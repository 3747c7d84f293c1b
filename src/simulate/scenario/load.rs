//! From a scenario's setup to what a load brings.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Databases;
use crate::dns::{MAX_RRSET_BYTES, Name, RrSet, RrType, SerialStyle};
use crate::engine::{AtServices, Load, Undecided, ZoneBase};
use crate::model::{
    Access, AllDown, Check, CheckKey, Config, Control, Damping, Endpoint, Failback, HistoryBounds,
    Maintenance, MaintenanceScope, Observed, Probe, ProbeKind, ProbeTree, RrsetOrder, Server, Service, Site,
    Target, Thresholds, Told, VantageSetup, Whereto, ZoneSource,
};

use super::groups;
use super::setup::{ServiceSpec, Setup};

/// What the checked files of this setup would come to.
pub fn load(setup: &Setup) -> Result<Load, String> {
    let zones = setup.zones.iter().map(|(apex, serial)| zone(setup, apex, *serial));
    let zones: Vec<ZoneBase> = zones.collect::<Result<_, _>>()?;
    let apexes: Vec<Name> = zones.iter().map(|zone| zone.apex.clone()).collect();
    let mut services = Vec::new();
    let mut probes: Vec<Arc<Probe>> = Vec::new();
    for (name, spec) in &setup.services {
        let of: Vec<Arc<Probe>> = spec.probes.iter().map(|id| probe(id, spec)).collect();
        probes.extend(of.iter().cloned());
        services.push(Arc::new(service(setup, &self::name(name)?, spec, tree(spec, of), &apexes)?));
    }
    let sites = setup.sites.keys();
    let config = Config {
        path: PathBuf::from("detour.toml"),
        server: Server {
            listen: Vec::new(),
            state_dir: PathBuf::from("state"),
            threads: 1,
            nsid: None,
            chaos: true,
            cookie_secrets: None,
            rrset_order: RrsetOrder::Fixed,
            rate_limit: None,
            journal: 0,
            max_exec: 64,
            include_folders: vec![],
            loading: crate::model::Loading::default(),
        },
        control: Control { listen: ([127, 0, 0, 1], 0).into(), tokens: None, tls: None },
        alerts: Vec::new(),
        heartbeat: None,
        sites: sites
            .map(|id| Site {
                id: id.as_str().into(),
                name: id.clone(),
                location: None,
                capacity: setup.capacity.get(id).copied(),
            })
            .collect(),
        probes,
        negative_ttls: BTreeMap::new(),
        zones: apexes
            .iter()
            .map(|apex| ZoneSource {
                max_edits: 0,
                name: apex.clone(),
                file: PathBuf::from("a.zone"),
                primaries: Vec::new(),
                update: Vec::new(),
                forward_updates: Access::default(),
                transfer: Access::default(),
                notify: Told::default(),
                serial: SerialStyle::default(),
                max_rrset_bytes: MAX_RRSET_BYTES,
            })
            .collect(),
        catalog: None,
        services,
        vantage: vantage(setup),
        maintenance: setup
            .maintenance
            .iter()
            .map(|plan| maintenance(setup, plan))
            .collect::<Result<_, _>>()?,
        observed: Observed::default(),
        history: HistoryBounds::default(),
        geo: groups::map(setup),
        safety: setup.safety.clone(),
        keys: Arc::default(),
    };
    let sorted = crate::geo::clients(&config, &Databases::new()).map_err(|why| why.to_string())?;
    let zones = zones.into_iter().map(Arc::new).collect();
    Ok(Load { config: Arc::new(config), zones, regions: sorted.regions, undecided: Undecided::default() })
}

/// A domain name.
pub fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|e| format!("{text} {e}"))
}

/// An RRset of values as text, with this TTL.
pub fn rrset(owner: &Name, rtype: &str, ttl: u32, value: &str) -> Result<RrSet, String> {
    let addr = || value.parse::<IpAddr>().map_err(|e| format!("{value}: {e}"));
    Ok(match rtype {
        "CNAME" => RrSet::cname(owner.clone(), ttl, &name(value)?),
        "A" => RrSet::a(owner.clone(), ttl, v4(addr()?)),
        "AAAA" => RrSet::aaaa(owner.clone(), ttl, v6(addr()?)),
        other => return Err(format!("no {other} records here")),
    })
}

fn v4(addr: IpAddr) -> Option<std::net::Ipv4Addr> {
    if let IpAddr::V4(v4) = addr { Some(v4) } else { None }
}

fn v6(addr: IpAddr) -> Option<std::net::Ipv6Addr> {
    if let IpAddr::V6(v6) = addr { Some(v6) } else { None }
}

fn zone(setup: &Setup, apex: &str, serial: u32) -> Result<ZoneBase, String> {
    let owner = name(apex)?;
    let mut soa = b"\x02ns\0\x05admin\0".to_vec();
    for number in [serial, 3600, 900, 604_800, 300] {
        soa.extend_from_slice(&number.to_be_bytes());
    }
    let mut steered: BTreeMap<Name, Vec<RrSet>> = BTreeMap::new();
    let apexes: Vec<Name> = setup.zones.keys().map(|apex| name(apex)).collect::<Result<_, _>>()?;
    for (at, rtype, value, ttl) in &setup.file {
        let at = name(at)?;
        // Whether a service steers it or not: the published zone holds it all the same.
        if zone_of(&at, &apexes)? != owner {
            continue;
        }
        let mut set = rrset(&at, rtype, *ttl, value)?;
        let sets = steered.entry(at).or_default();
        match sets.iter_mut().find(|have| have.rtype == set.rtype) {
            Some(have) => {
                set.rdata.append(&mut have.rdata);
                *have = RrSet::new(set.owner, set.rtype, set.ttl, set.rdata);
            }
            None => sets.push(set),
        }
    }
    let content = format!("{apex} {serial} {:?}", setup.file);
    // FNV-1a: any hash will do that is the same in every run.
    let fingerprint = content
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Ok(ZoneBase {
        apex: owner.clone(),
        soa: RrSet::new(owner, RrType::SOA, 3600, [soa]),
        fingerprint,
        edits: 0,
        at_services: Arc::new(AtServices { steered, ..AtServices::default() }),
    })
}

/// The longest apex a name lies below.
fn zone_of(name: &Name, apexes: &[Name]) -> Result<Name, String> {
    let above = apexes.iter().filter(|apex| name.is_at_or_below(apex));
    above.max_by_key(|apex| apex.labels().count()).cloned().ok_or_else(|| format!("{name} lies in no zone"))
}

/// All of these, or as many as the service says.
fn tree(spec: &ServiceSpec, of: Vec<Arc<Probe>>) -> ProbeTree {
    match spec.need {
        None => of.into(),
        Some(need) => ProbeTree::AtLeast { need, of: of.into_iter().map(ProbeTree::One).collect() },
    }
}

fn vantage(setup: &Setup) -> VantageSetup {
    let (addrs, quorum) = &setup.canaries;
    let spec = ServiceSpec { fall: 1, rise: 1, ..ServiceSpec::default() };
    let probe = probe("canary", &spec);
    let key = |addr: &IpAddr| CheckKey { probe: probe.id.clone(), whereto: Whereto::Addr(*addr), host: None };
    let check = |addr| Check { key: key(addr), probe: probe.clone() };
    VantageSetup { canaries: addrs.iter().map(check).collect(), quorum: *quorum }
}

fn maintenance(setup: &Setup, plan: &(String, String, String, Duration)) -> Result<Maintenance, String> {
    let (what, schedule, zone, duration) = plan;
    let scope = if setup.sites.contains_key(what) {
        MaintenanceScope::Site(what.as_str().into())
    } else {
        MaintenanceScope::Service(name(what)?)
    };
    Maintenance::new(scope, schedule, zone, *duration)
        .ok_or_else(|| format!("\"{schedule}\" in {zone} is no schedule"))
}

fn probe(id: &str, spec: &ServiceSpec) -> Arc<Probe> {
    Arc::new(Probe {
        id: id.into(),
        kind: ProbeKind::Tcp(crate::model::TcpProbe::default()),
        port: 443,
        interval: spec.interval,
        confirm: spec.confirm,
        timeout: Duration::from_secs(2).min(spec.interval / 2),
        thresholds: Thresholds { fall: spec.fall, rise: spec.rise, window: spec.window },
        damping: spec.damping.map(|(changes, within, hold, max_hold)| Damping {
            changes,
            within,
            hold,
            max_hold,
        }),
        watch: false,
    })
}

fn service(
    setup: &Setup,
    name: &Name,
    spec: &ServiceSpec,
    probes: ProbeTree,
    apexes: &[Name],
) -> Result<Service, String> {
    let endpoints = spec.sites.iter().map(|site| {
        let target = if let Some(target) = spec.cname.get(site) {
            Target::Cname(self::name(target)?)
        } else {
            let addrs = setup.sites.get(site).ok_or_else(|| format!("there is no site {site}"))?;
            Target::Addresses {
                v4: addrs.iter().copied().filter_map(v4).collect(),
                v6: addrs.iter().copied().filter_map(v6).collect(),
            }
        };
        Ok(Endpoint { site: site.as_str().into(), target, records: Vec::new(), weight: 1 })
    });
    let secs = |d: Duration| d.as_secs() as u32;
    let tree = groups::tree(spec)?;
    let mut service = Service {
        name: name.clone(),
        zone: zone_of(name, apexes)?,
        policy: spec.root.policy,
        ttl: secs(spec.ttl),
        ttl_suspect: secs(spec.suspect),
        probes,
        failback: spec.failback.map_or(Failback::Manual, |hold| Failback::Auto { hold }),
        all_down: match spec.all_down.as_str() {
            "keep" => AllDown::Keep,
            "all" => AllDown::All,
            "primary" => AllDown::Primary,
            "empty" => AllDown::Empty,
            fallback => {
                AllDown::Fallback(vec![fallback.parse().map_err(|e| format!("all_down {fallback}: {e}"))?])
            }
        },
        rto: None,
        moving: spec.moving.clone(),
        endpoints: endpoints.collect::<Result<_, String>>()?,
        tree,
    };
    groups::weights(&mut service, spec);
    Ok(service)
}
