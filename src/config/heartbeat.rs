//! `[heartbeat]`, and the file of tokens that sites call in with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::error::ConfigError;
use super::files::{MAX_FILE_NAME, read_bounded};
use super::pem::{self, Files, Whose};
use super::report::Findings;
use super::secrets;
use super::section::{Item, Reported, Section, or};
use super::services::DraftService;
use super::values;
use crate::dns::Name;
use crate::model::{BeatToken, Heartbeat, Identity, ProbeKind, SiteId};

/// The largest file of tokens, in bytes.
const MAX_FILE: u64 = 16 << 20;
/// The most tokens.
const MAX_TOKENS: usize = 100_000;
/// A token's length in bytes: the shortest that nobody guesses, if it is random, and the longest.
const TOKEN_LEN: std::ops::RangeInclusive<usize> = 16..=256;
/// The most tokens of one endpoint: one, and the one that follows it.
const MAX_TOKENS_EACH: usize = 2;

/// The section, and where its file of tokens is named.
pub(super) struct DraftHeartbeat {
    pub read: Heartbeat,
    tokens_at: Range<usize>,
}

/// Reads `[heartbeat]`; what it names is added to `files`.
pub(super) fn read(
    item: Option<Item>,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<Option<DraftHeartbeat>, Reported> {
    let Some(item) = item else { return Ok(None) };
    let mut section = Section::of("[heartbeat]".to_owned(), item, findings)?;
    let listen = section.read("listen", findings, values::socket);
    let tokens = section.need("tokens", "tokens = \"heartbeat.tokens\"", findings, |item, findings| {
        let name = values::line(MAX_FILE_NAME)(item, findings)?;
        let path = files.base.join(&name);
        files.named.insert(path.clone());
        read_tokens(&path).map_err(|why| {
            let what = format!("heartbeat tokens {:?}", secrets::file_name(&name, &path));
            item.wrong(ConfigError::Unreadable { what, why }, findings)
        })
    });
    let tls = section.item("tls").map(|item| read_tls(item, files, findings)).transpose();
    section.finish(findings);
    let tokens = tokens?;
    let tokens_at = tokens.span();
    let listen = or(listen, SocketAddr::from((Ipv4Addr::LOCALHOST, 8054)))?;
    Ok(Some(DraftHeartbeat {
        read: Heartbeat { listen, tokens: tokens.into_inner(), tls: tls?.map(Arc::new) },
        tokens_at,
    }))
}

/// `tls`: what the listener shows of itself.
pub(super) fn read_tls(item: Item, files: &mut Files, findings: &mut Findings) -> Result<Identity, Reported> {
    let mut section = Section::of("\"tls\"".to_owned(), item, findings)?;
    let pair = pem::pair(&mut section, Whose::Server, files, findings);
    let found = match pair {
        Ok(None) => Err(section.missing("certificate", "certificate = \"server.pem\"", findings)),
        Ok(Some(identity)) => Ok(identity),
        Err(reported) => Err(reported),
    };
    section.finish(findings);
    found
}

/// Holds the services that sites call in for against the tokens there are.
pub(super) fn check(
    heartbeat: &Result<Option<DraftHeartbeat>, Reported>,
    services: &[DraftService],
    findings: &mut Findings,
) {
    let Ok(heartbeat) = heartbeat else { return };
    let mut wanted: BTreeMap<(&Name, &SiteId), &Range<usize>> = BTreeMap::new();
    for draft in services {
        let service = &draft.service;
        if service.probes.leaves().any(|probe| probe.kind == ProbeKind::Heartbeat) {
            let endpoints = service.endpoints.iter();
            wanted.extend(endpoints.map(|endpoint| ((&service.name, &endpoint.site), &draft.name_at)));
        }
    }
    let Some(heartbeat) = heartbeat else {
        if let Some(((service, _), at)) = wanted.first_key_value() {
            findings.push(at, ConfigError::NobodyListens((*service).clone()));
        }
        return;
    };
    let held: BTreeSet<(&Name, &SiteId)> =
        heartbeat.read.tokens.iter().map(|token| (&token.service, &token.site)).collect();
    for &(service, site) in wanted.keys().filter(|endpoint| !held.contains(*endpoint)) {
        let error = ConfigError::NoToken { service: service.clone(), site: site.to_string() };
        findings.push(&heartbeat.tokens_at, error);
    }
    for &(service, site) in held.iter().filter(|endpoint| !wanted.contains_key(*endpoint)) {
        let warning = ConfigError::IdleToken { service: service.clone(), site: site.to_string() };
        findings.push(&heartbeat.tokens_at, warning);
    }
}

/// Reads lines of `service site token`. Errors: why it is not such a file; no token is in them.
fn read_tokens(path: &Path) -> Result<Vec<BeatToken>, String> {
    let bytes = read_bounded(path, MAX_FILE).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut tokens = Vec::new();
    let mut each: BTreeMap<(Name, SiteId), usize> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let token = token(line).map_err(|why| format!("line {number} {why}"))?;
        let count = each.entry((token.service.clone(), token.site.clone())).or_default();
        *count += 1;
        if *count > MAX_TOKENS_EACH {
            return Err(format!("line {number} is one more token of an endpoint that has two"));
        }
        tokens.push(token);
        if tokens.len() > MAX_TOKENS {
            return Err(format!("it holds more than {MAX_TOKENS} tokens"));
        }
    }
    if tokens.is_empty() { Err("it holds no line \"service site token\"".to_owned()) } else { Ok(tokens) }
}

fn token(line: &str) -> Result<BeatToken, String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [service, site, token] = words[..] else {
        return Err("is not \"service site token\"".to_owned());
    };
    let service = service.parse().map_err(|_| "does not begin with a service's name".to_owned())?;
    if !TOKEN_LEN.contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let (min, max) = (TOKEN_LEN.start(), TOKEN_LEN.end());
        return Err(format!("has a token that is not {min} to {max} printable ASCII characters"));
    }
    Ok(BeatToken { service, site: site.into(), token: token.into() })
}
