//! `endpoints` of a service.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;

use super::error::{ConfigError, short};
use super::groups;
use super::report::Findings;
use super::section::{Item, Reported, Section};
use super::sites::Sites;
use super::values;
use crate::dns::{Name, RrType, steered_rdata_from_text};
use crate::model::{Endpoint, SiteId, Target};

/// The most endpoints of one service.
const MAX_ENDPOINTS: usize = 64;
/// The most addresses of one endpoint, and of a fallback: their RRset still fits one answer over UDP.
const MAX_ADDRESSES: usize = 32;

/// The most further records of one endpoint.
const MAX_RECORDS: usize = 32;
/// The longest of them, in bytes of text.
const MAX_RECORD_TEXT: usize = 4_096;

/// What is missing when a service has no `endpoints`.
pub(super) const EXAMPLE: &str = "endpoints = [{ site = \"fra\", addresses = [\"192.0.2.10\"] }]";

/// The endpoints of a service, and where its CNAME targets stand.
pub(super) struct Endpoints {
    pub list: Vec<Endpoint>,
    pub cnames: Vec<Spanned<Name>>,
    /// Where CNAME targets stand that look as if they were meant to be relative to the zone.
    pub relative: Vec<Spanned<String>>,
    /// Where weights stand.
    pub weighed: Vec<Range<usize>>,
}

struct Draft {
    site: Spanned<SiteId>,
    addresses: Vec<Spanned<IpAddr>>,
    cname: Option<Spanned<CnameTarget>>,
    weight: Option<Spanned<u32>>,
    records: Vec<(RrType, Box<[u8]>)>,
}

/// A CNAME target.
struct CnameTarget {
    name: Name,
    /// The label, where it is a single one without a dot.
    relative: Option<String>,
}

/// Reads the list.
pub(super) fn read(item: Item, sites: &Sites, findings: &mut Findings) -> Result<Endpoints, Reported> {
    let drafts =
        item.list("endpoints", MAX_ENDPOINTS, findings, |item, findings| read_one(item, sites, findings))?;
    let drafts: Vec<Draft> = drafts.into_iter().map(Spanned::into_inner).collect();
    check_sites(&drafts, findings);
    check_addresses(&drafts, findings);
    check_families(&drafts, findings);
    let mut endpoints = Endpoints {
        list: Vec::with_capacity(drafts.len()),
        cnames: Vec::new(),
        relative: Vec::new(),
        weighed: Vec::new(),
    };
    for Draft { site, addresses, cname, weight, records } in drafts {
        let target = match &cname {
            Some(cname) => Target::Cname(cname.get_ref().name.clone()),
            None => by_family(&addresses),
        };
        endpoints.weighed.extend(weight.as_ref().map(Spanned::span));
        let weight = weight.map_or(1, Spanned::into_inner);
        endpoints.list.push(Endpoint { site: site.into_inner(), target, records, weight });
        if let Some(cname) = cname {
            let (at, CnameTarget { name, relative }) = (cname.span(), cname.into_inner());
            endpoints.relative.extend(relative.map(|label| Spanned::new(at.clone(), label)));
            endpoints.cnames.push(Spanned::new(at, name));
        }
    }
    Ok(endpoints)
}

/// Reads a list of addresses, each once.
pub(super) fn read_addresses(item: Item, findings: &mut Findings) -> Result<Vec<Spanned<IpAddr>>, Reported> {
    let listed = item.list("addresses", MAX_ADDRESSES, findings, values::address)?;
    findings.each_once(&listed, |addr, first| ConfigError::ListedTwice(format!("address {addr}"), first));
    Ok(listed)
}

fn read_one(item: Item, sites: &Sites, findings: &mut Findings) -> Result<Draft, Reported> {
    let mut section = Section::of("the endpoint".to_owned(), item, findings)?;
    let site = section.need("site", "site = \"fra\"", findings, |item, findings| sites.find(item, findings));
    let addresses = section.read("addresses", findings, read_addresses);
    let cname = section.read("cname", findings, cname_target);
    let weight = section.read("weight", findings, groups::weight);
    let records = section.read("records", findings, |item, findings| {
        item.list("records of an endpoint", MAX_RECORDS, findings, record)
    });
    let at: Range<usize> = section.at().clone();
    if matches!((&addresses, &cname), (Ok(None), Ok(None))) {
        // Reports `address = ...` as what it is, and nothing else.
        if section.has_unknown() {
            section.finish(findings);
            return Err(Reported);
        }
    }
    section.finish(findings);
    let (site, addresses, cname) = (site?, addresses?, cname?);
    let (weight, records) = (weight?, records?);
    let id = site.get_ref().to_string();
    match (&addresses, &cname) {
        (None, None) => findings.push(&at, ConfigError::NoTarget(id)),
        (Some(_), Some(cname)) => findings.push(&cname.span(), ConfigError::CnameBesideAddresses(id)),
        _ => {}
    }
    if let (Some(_), Some(records)) = (&cname, &records) {
        findings.push(&records.span(), ConfigError::RecordsBesideCname(site.get_ref().to_string()));
    }
    let addresses = addresses.map(Spanned::into_inner).unwrap_or_default();
    let records = records.map(Spanned::into_inner).unwrap_or_default();
    let records = records.into_iter().map(Spanned::into_inner).collect();
    Ok(Draft { site, addresses, cname, weight, records })
}

/// A CNAME target. One label without a dot is a name in somebody's own zone, as zone files have them: a top-level
/// domain has no address.
fn cname_target(item: Item, findings: &mut Findings) -> Result<CnameTarget, Reported> {
    let name = values::name(item, findings)?;
    let text = item.text("a domain name", findings)?;
    let relative = (!text.contains('.')).then(|| text.to_owned());
    Ok(CnameTarget { name, relative })
}

/// `MX 10 mail.example.com.`: a type and its data as in a zone file.
fn record(item: Item, findings: &mut Findings) -> Result<(RrType, Box<[u8]>), Reported> {
    let text = values::line(MAX_RECORD_TEXT)(item, findings)?;
    let mut bad = |why: String| {
        let text = short(&text);
        item.wrong(ConfigError::BadOwnRecord { text, why }, findings)
    };
    let (word, data) = text.trim().split_once(char::is_whitespace).unwrap_or((&text, ""));
    let Some(rtype) = RrType::from_text(word.as_bytes()) else {
        return Err(bad(format!("{:?} is no type of records", short(word))));
    };
    if [RrType::A, RrType::AAAA].contains(&rtype) {
        return Err(bad(
            "addresses have a key of their own, \"addresses\", so that they are probed".to_owned()
        ));
    }
    if rtype == RrType::CNAME {
        return Err(bad("a CNAME target has a key of its own, \"cname\"".to_owned()));
    }
    // What shapes a zone or signs it comes with its file.
    let own = [RrType::SOA, RrType::NS, RrType::DNAME, RrType::DS, RrType::RRSIG, RrType::NSEC];
    if own.contains(&rtype) || rtype.is_meta() {
        return Err(bad(format!("{rtype} records come from the zone file alone")));
    }
    match steered_rdata_from_text(rtype, data.trim()) {
        Ok(rdata) => Ok((rtype, rdata)),
        Err(why) => Err(bad(why)),
    }
}

/// Each site once.
fn check_sites(drafts: &[Draft], findings: &mut Findings) {
    let sites = drafts.iter().map(|draft| &draft.site);
    findings.each_once(sites, |site, first| ConfigError::SiteTwice(site.to_string(), first));
}

/// Each address at one site alone.
fn check_addresses(drafts: &[Draft], findings: &mut Findings) {
    let mut seen: BTreeMap<IpAddr, &SiteId> = BTreeMap::new();
    for draft in drafts {
        let site = draft.site.get_ref();
        for addr in &draft.addresses {
            let first = *seen.entry(*addr.get_ref()).or_insert(site);
            if first != site {
                let (address, first, second) = (*addr.get_ref(), first.to_string(), site.to_string());
                findings.push(&addr.span(), ConfigError::AddressAtTwoSites { address, first, second });
            }
        }
    }
}

/// Warns where a failover takes one family's answers away.
fn check_families(drafts: &[Draft], findings: &mut Findings) {
    let has = |draft: &Draft, v6: bool| draft.addresses.iter().any(|addr| addr.get_ref().is_ipv6() == v6);
    for (v6, family) in [(false, "IPv4"), (true, "IPv6")] {
        let Some(with) = drafts.iter().find(|draft| has(draft, v6)) else { continue };
        for draft in drafts.iter().filter(|draft| draft.cname.is_none() && !has(draft, v6)) {
            let (site, other) = (draft.site.get_ref().to_string(), with.site.get_ref().to_string());
            findings.push(&draft.site.span(), ConfigError::MixedFamilies { site, family, other });
        }
    }
}

fn by_family(addresses: &[Spanned<IpAddr>]) -> Target {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for addr in addresses {
        match addr.get_ref() {
            IpAddr::V4(addr) => v4.push(*addr),
            IpAddr::V6(addr) => v6.push(*addr),
        }
    }
    Target::Addresses { v4, v6 }
}
