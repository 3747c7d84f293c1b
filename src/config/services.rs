//! `[[service]]`

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::endpoints::{self, Endpoints};
use super::error::{ConfigError, short};
use super::groups;
use super::moving::{DraftMoving, MAX_HOLD};
use super::probe_tree;
use super::probes::Probes;
use super::report::Findings;
use super::section::{Item, Reported, Section, or};
use super::sites::Sites;
use super::values;
use super::zones::Zones;
use crate::dns::Name;
use crate::model::{AllDown, Probe, ProbeTree, Service};

/// The most services, each name counted.
const MAX_SERVICES: usize = 100_000;

const DEFAULT_TTL: u32 = 30;
const DEFAULT_TTL_SUSPECT: u32 = 5;

/// What services refer to.
pub(super) struct Context<'a> {
    pub sites: &'a Sites,
    pub probes: &'a Probes,
    pub zones: &'a Zones,
    /// The keys of `[geo.*]`.
    pub geos: &'a [Arc<str>],
}

/// A service, and where what may be wrong with it stands.
pub(super) struct DraftService {
    pub service: Arc<Service>,
    pub name_at: Range<usize>,
    pub endpoints_at: Range<usize>,
    pub rto_at: Option<Range<usize>>,
    /// Where its TTL stands, if that is zero.
    pub ttl_at: Option<Range<usize>>,
}

/// Reads every `[[service]]`.
pub(super) fn read(
    item: Item,
    context: &Context,
    findings: &mut Findings,
) -> Result<Vec<DraftService>, Reported> {
    let mut seen = BTreeMap::new();
    let mut services = Vec::new();
    for item in item.elements("services", MAX_SERVICES, findings)? {
        // What is wrong with one service has been reported; the next is read all the same.
        let Ok(read) = read_service(item, context, &mut seen, findings) else { continue };
        services.extend(read);
        if services.len() > MAX_SERVICES {
            return Err(item.wrong(ConfigError::TooMany { what: "services", limit: MAX_SERVICES }, findings));
        }
    }
    Ok(services)
}

/// The services of one `[[service]]`: as many as it has names.
fn read_service(
    item: Item,
    context: &Context,
    seen: &mut BTreeMap<Name, usize>,
    findings: &mut Findings,
) -> Result<Vec<DraftService>, Reported> {
    let mut section = Section::of("[[service]]".to_owned(), item, findings)?;
    let names = read_names(&mut section, findings);
    let names = names.map(|names| settle(names, context, seen, findings));
    let groups = groups::read(&mut section, context.geos, findings);
    let ttl_at = section.at_key("ttl");
    let ttls = read_ttls(&mut section, findings);
    let probes = section.need("probes", "probes = [\"web\"]", findings, |item, findings| {
        probe_tree::read(item, context.probes, findings)
    });
    let moving = DraftMoving::read(&mut section, findings);
    let all_down = section.read("all_down", findings, read_all_down);
    let rto = section.read("rto", findings, values::positive(MAX_HOLD));
    let endpoints = section.need("endpoints", endpoints::EXAMPLE, findings, |item, findings| {
        endpoints::read(item, context.sites, findings)
    });
    section.finish(findings);

    let (names, endpoints, all_down) = (names?, endpoints?, all_down?);
    let (endpoints_at, endpoints) = (endpoints.span(), endpoints.into_inner());
    check_cnames(&names, &endpoints, all_down.as_ref(), findings);
    let groups = groups?;
    let policy = groups.policy();
    let tree = groups.settle(&endpoints.list, &endpoints.weighed, findings)?;
    let ([ttl, ttl_suspect], probes, rto) = (ttls?, probes?.into_inner(), rto?);
    let ttl_at = ttl_at.filter(|_| ttl == 0);
    check_hosts(&names, &probes, findings);
    let (failback, moving) = moving.settle(tree.as_deref(), findings)?;
    let pattern = Service {
        name: Name::root(),
        zone: Name::root(),
        policy,
        ttl,
        ttl_suspect,
        probes,
        failback,
        all_down: all_down.map_or(AllDown::Keep, Spanned::into_inner),
        rto: rto.as_ref().map(|rto| *rto.get_ref()),
        moving,
        endpoints: endpoints.list,
        tree,
    };
    let rto_at = rto.map(|rto| rto.span());
    let service = |(name, zone): (Spanned<Name>, Name)| DraftService {
        name_at: name.span(),
        endpoints_at: endpoints_at.clone(),
        rto_at: rto_at.clone(),
        ttl_at: ttl_at.clone(),
        service: Arc::new(Service { name: name.into_inner(), zone, ..pattern.clone() }),
    };
    Ok(names.into_iter().map(service).collect())
}

/// `name` or `names`
fn read_names(section: &mut Section, findings: &mut Findings) -> Result<Vec<Spanned<Name>>, Reported> {
    let name = section.read("name", findings, values::name);
    let names = section.read("names", findings, |item, findings| {
        item.list("services", MAX_SERVICES, findings, values::name)
    });
    match (name?, names?) {
        (Some(name), None) => Ok(vec![name]),
        (None, Some(names)) => Ok(names.into_inner()),
        (None, None) => Err(section.missing("name", "name = \"app.example.com\"", findings)),
        (Some(_), Some(names)) => {
            findings.push(&names.span(), ConfigError::NameAndNames);
            Err(Reported)
        }
    }
}

/// Each name with the apex of its zone; those that are taken or lie outside every zone are reported.
fn settle(
    names: Vec<Spanned<Name>>,
    context: &Context,
    seen: &mut BTreeMap<Name, usize>,
    findings: &mut Findings,
) -> Vec<(Spanned<Name>, Name)> {
    let mut settled = Vec::with_capacity(names.len());
    for name in names {
        let line = findings.line(&name.span());
        if let Some(first) = seen.get(name.get_ref()) {
            findings.push(&name.span(), ConfigError::ServiceTwice(name.into_inner(), *first));
            continue;
        }
        seen.insert(name.get_ref().clone(), line);
        if let Ok(apex) = context.zones.around(&name, findings) {
            settled.push((name, apex));
        }
    }
    settled
}

/// `ttl` and `ttl_suspect`
fn read_ttls(section: &mut Section, findings: &mut Findings) -> Result<[u32; 2], Reported> {
    let ttl = section.read("ttl", findings, values::ttl);
    let suspect = section.read("ttl_suspect", findings, values::ttl);
    let ttl = or(ttl, DEFAULT_TTL)?;
    let Some(suspect) = suspect? else { return Ok([ttl, ttl.min(DEFAULT_TTL_SUSPECT)]) };
    let ttl_suspect = *suspect.get_ref();
    if ttl_suspect > ttl {
        findings.push(&suspect.span(), ConfigError::SuspectAboveTtl { ttl_suspect, ttl });
    }
    Ok([ttl, ttl_suspect])
}

/// A word, or `{ fallback = [...] }`.
fn read_all_down(item: Item, findings: &mut Findings) -> Result<AllDown, Reported> {
    match item.value.get_ref() {
        DeValue::String(_) => Ok(match values::word(item, &["keep", "all", "primary", "empty"], findings)? {
            "all" => AllDown::All,
            "primary" => AllDown::Primary,
            "empty" => AllDown::Empty,
            _ => AllDown::Keep,
        }),
        DeValue::Table(_) => {
            let mut section = Section::of("\"all_down\"".to_owned(), item, findings)?;
            let example = "fallback = [\"192.0.2.99\"]";
            let addresses = section.need("fallback", example, findings, endpoints::read_addresses);
            section.finish(findings);
            let addresses = addresses?.into_inner().into_iter().map(Spanned::into_inner);
            Ok(AllDown::Fallback(addresses.collect::<Vec<IpAddr>>()))
        }
        _ => Err(item.wrong_type("a word or a table with \"fallback\"", findings)),
    }
}

/// A CNAME may not stand at an apex (RFC 1912 section 2.4), lead to itself, or stand beside another.
fn check_cnames(
    names: &[(Spanned<Name>, Name)],
    endpoints: &Endpoints,
    all_down: Option<&Spanned<AllDown>>,
    findings: &mut Findings,
) {
    if endpoints.cnames.is_empty() {
        return;
    }
    for (name, apex) in names {
        if name.get_ref() == apex {
            findings.push(&name.span(), ConfigError::CnameAtApex(apex.clone()));
        }
    }
    for cname in &endpoints.relative {
        let guess = names.first().map(|(_, apex)| format!("{}.{apex}", cname.get_ref()));
        let (label, guess) = (short(cname.get_ref()), guess.unwrap_or_default());
        findings.push(&cname.span(), ConfigError::RelativeCname { label, guess });
    }
    for cname in &endpoints.cnames {
        if names.iter().any(|(name, _)| name.get_ref() == cname.get_ref()) {
            findings.push(&cname.span(), ConfigError::CnameToItself);
        }
    }
    if let Some(all_down) = all_down
        && *all_down.get_ref() == AllDown::All
    {
        findings.push(&all_down.span(), ConfigError::AllWithCname);
    }
}

/// A probe without a `host` asks for the service's name, so that has to be one a host can have.
fn check_hosts(names: &[(Spanned<Name>, Name)], probes: &ProbeTree, findings: &mut Findings) {
    let needs_host = |probe: &&Arc<Probe>| probe.kind.host() == Some(None);
    let Some(probe) = probes.leaves().find(needs_host) else { return };
    for (name, _) in names {
        let text = name.get_ref().to_string();
        if !values::is_host(text.trim_end_matches('.')) {
            let (probe, service) = (probe.id.to_string(), name.get_ref().clone());
            findings.push(&name.span(), ConfigError::NoHost { probe, service });
        }
    }
}
