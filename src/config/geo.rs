//! `[geo.KEY]`: which sites a client prefers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;

use super::error::{ConfigError, short};
use super::files::{MAX_FILE_NAME, read_bounded};
use super::report::Findings;
use super::section::{Item, Reported, Section, entries, or};
use super::sites::Sites;
use super::values;
use crate::dns::Network;
use crate::model::{ClientsOf, Geo, SiteId};

/// The most sections.
const MAX_GEOS: usize = 16;
/// The most databases of one.
const MAX_DATABASES: usize = 8;
/// The largest database, in bytes.
const MAX_DATABASE_BYTES: u64 = 1 << 30;
/// The most rules of one section.
const MAX_RULES: usize = 10_000;
/// The most networks of one rule.
const MAX_NETWORKS: usize = 100_000;
/// The most sites in one order of preference.
const MAX_PREFERRED: usize = 256;

/// The content of every database, by its file.
pub type Databases = BTreeMap<PathBuf, Arc<[u8]>>;

/// Reads every section, and the databases.
pub(super) fn read(
    item: Item,
    sites: &Sites,
    base: &Path,
    files: &mut BTreeSet<PathBuf>,
    findings: &mut Findings,
) -> Result<(Vec<Arc<Geo>>, Databases), Reported> {
    let mut databases = Databases::new();
    let mut geos = Vec::new();
    for (key, item) in entries(item, "[geo] sections", MAX_GEOS, findings)? {
        let id = values::id(&key, findings)?;
        let mut section = Section::of(format!("[geo.{id}]"), item, findings)?;
        let read = section.read("databases", findings, |item, findings| {
            item.list("databases", MAX_DATABASES, findings, |item, findings| {
                database(item, base, files, &mut databases, findings)
            })
        });
        let default = section.read("default", findings, |item, findings| preferred(item, sites, findings));
        let rules = section.read("rules", findings, |item, findings| {
            let mut rules = Vec::new();
            for item in item.elements("rules", MAX_RULES, findings)? {
                rules.extend(rule(item, sites, findings));
            }
            Ok(rules)
        });
        section.finish(findings);
        let read: Vec<PathBuf> = or(read, Vec::new())?.into_iter().map(Spanned::into_inner).collect();
        let mut geo =
            Geo { id, databases: read, default: or(default, Vec::new())?, networks: vec![], rules: vec![] };
        for (of, prefer) in or(rules, Vec::new())? {
            match of {
                OfRule::Networks(networks) => {
                    geo.networks.extend(networks.into_iter().map(|network| (network, prefer.clone())));
                }
                OfRule::Told(of) if geo.databases.is_empty() => {
                    findings.push(&of.span(), ConfigError::RuleWithoutDatabase);
                }
                OfRule::Told(of) => geo.rules.push((of.into_inner(), prefer)),
            }
        }
        geos.push(Arc::new(geo));
    }
    Ok((geos, databases))
}

fn database(
    item: Item,
    base: &Path,
    files: &mut BTreeSet<PathBuf>,
    databases: &mut Databases,
    findings: &mut Findings,
) -> Result<PathBuf, Reported> {
    let name = values::line(MAX_FILE_NAME)(item, findings)?;
    let path = base.join(&name);
    files.insert(path.clone());
    if !databases.contains_key(&path) {
        let bytes = read_bounded(&path, MAX_DATABASE_BYTES).map_err(|why| {
            let (what, why) = (format!("database {:?}", short(&name)), why.to_string());
            item.wrong(ConfigError::Unreadable { what, why }, findings)
        })?;
        databases.insert(path.clone(), bytes.into());
    }
    Ok(path)
}

/// Sites in order, each once.
fn preferred(item: Item, sites: &Sites, findings: &mut Findings) -> Result<Vec<SiteId>, Reported> {
    let listed = item.list("sites", MAX_PREFERRED, findings, |item, findings| sites.find(item, findings))?;
    findings.each_once(&listed, |site, first| ConfigError::ListedTwice(format!("{:?}", &**site), first));
    Ok(listed.into_iter().map(Spanned::into_inner).collect())
}

enum OfRule {
    Networks(Vec<Network>),
    Told(Spanned<ClientsOf>),
}

/// `{ networks = [...], prefer = [...] }`, or with `country`, `continent` or `asn`.
fn rule(item: Item, sites: &Sites, findings: &mut Findings) -> Result<(OfRule, Vec<SiteId>), Reported> {
    let mut section = Section::of("a rule".to_owned(), item, findings)?;
    let networks = section.read("networks", findings, |item, findings| {
        item.list("networks", MAX_NETWORKS, findings, |item, findings| {
            let text = item.text("a network", findings)?;
            text.parse::<Network>().map_err(|_| {
                let (wanted, example) = ("a network", "\"10.1.0.0/16\" or \"2001:db8::/32\"");
                item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings)
            })
        })
    });
    let country =
        section.read("country", findings, |item, findings| Ok(ClientsOf::Country(code(item, findings)?)));
    let continent =
        section.read("continent", findings, |item, findings| Ok(ClientsOf::Continent(code(item, findings)?)));
    let asn = section.read("asn", findings, |item, findings| {
        Ok(ClientsOf::Asn(values::integer(1, u32::MAX)(item, findings)?))
    });
    let prefer = section.need("prefer", "prefer = [\"fra\", \"iad\"]", findings, |item, findings| {
        preferred(item, sites, findings)
    });
    section.finish(findings);
    let networks = networks?
        .map(|listed| OfRule::Networks(listed.into_inner().into_iter().map(Spanned::into_inner).collect()));
    let told = [country?, continent?, asn?].into_iter().flatten().map(OfRule::Told);
    let mut given: Vec<OfRule> = networks.into_iter().chain(told).collect();
    if let (Some(of), true) = (given.pop(), given.is_empty()) {
        Ok((of, prefer?.into_inner()))
    } else {
        let (key, choices) = ("rules".to_owned(), "networks, country, continent and asn");
        let example = "{ country = \"DE\", prefer = [\"fra\"] }";
        Err(item.wrong(ConfigError::NotOneOf { key, choices, example }, findings))
    }
}

/// Two letters.
fn code(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = item.text("a code of two letters", findings)?;
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(text.to_owned());
    }
    let (wanted, example) = ("a code of two letters", "\"DE\" or \"EU\"");
    Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings))
}
