//! `[probes.KEY]`: what every probe has; each type's own keys are read in a file of their own.

mod dns;
mod exec;
mod grpc;
mod heartbeat;
mod http;
mod icmp;
mod tcp;
mod tls;

pub(super) use self::exec::program;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::error::{ConfigError, Known, short};
use super::pem::Files;
use super::report::Findings;
use super::section::{Item, Reported, Section, entries, or};
use super::{damping, values};
use crate::model::{Damping, Probe, ProbeId, ProbeKind, Thresholds};

/// The most probes.
const MAX_PROBES: usize = 10_000;
/// The longest `interval`, and so the longest of what is bounded by it.
const MAX_INTERVAL: Duration = Duration::from_secs(86_400);
/// The largest `fall`, `rise` and `window`: each check keeps that many outcomes.
const MAX_THRESHOLD: u32 = 100;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_CONFIRM: Duration = Duration::from_millis(250);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_FALL: u32 = 3;
const DEFAULT_RISE: u32 = 2;

/// The protocols there are.
const TYPES: [&str; 9] = ["http", "https", "tcp", "tls", "icmp", "dns", "grpc", "exec", "heartbeat"];
/// Those that ask over TCP, so that a connection to the place can be held open.
const WATCHED_TYPES: [&str; 4] = ["http", "https", "tcp", "tls"];
/// The keys that some types have and others do not.
const KEYS_OF_TYPES: [&str; 25] = [
    "path",
    "host",
    "expect",
    "method",
    "headers",
    "body",
    "http",
    "max_latency",
    "tls",
    "name",
    "qtype",
    "transport",
    "recursion",
    "send",
    "send_hex",
    "script",
    "count",
    "max_loss",
    "spacing",
    "size",
    "command",
    "env",
    "cwd",
    "exit",
    "service",
];

/// The probes that are right, and the keys of all.
#[derive(Default)]
pub(super) struct Probes {
    pub read: Vec<Arc<Probe>>,
    /// Where each of them stands.
    at: Vec<Range<usize>>,
    /// By key; nothing where the probe is wrong, which has been reported.
    by_id: BTreeMap<ProbeId, Result<Arc<Probe>, Reported>>,
}

impl Probes {
    /// The key of every probe, and where it stands.
    pub fn places(&self) -> impl Iterator<Item = (&ProbeId, &Range<usize>)> {
        self.read.iter().map(|probe| &probe.id).zip(&self.at)
    }

    /// The probe an item names.
    pub fn find(&self, item: Item, findings: &mut Findings) -> Result<Arc<Probe>, Reported> {
        let key = item.text("a probe's key", findings)?;
        self.by_id.get(key).cloned().unwrap_or_else(|| {
            findings.push_with(&item.at(), || {
                ConfigError::UnknownProbe(short(key), Known::new(key, self.by_id.keys().map(|id| &**id)))
            });
            Err(Reported)
        })
    }
}

/// Reads `[probes]`.
pub(super) fn read(item: Item, files: &mut Files, findings: &mut Findings) -> Result<Probes, Reported> {
    let mut probes = Probes::default();
    for (key, item) in entries(item, "probes", MAX_PROBES, findings)? {
        let id = values::id(&key, findings);
        let probe = id.and_then(|id| read_probe(id, item, files, findings)).map(Arc::new);
        if let Ok(probe) = &probe {
            probes.read.push(probe.clone());
            probes.at.push(key.span());
        }
        probes.by_id.insert((*key.get_ref()).into(), probe);
    }
    Ok(probes)
}

fn read_probe(
    id: ProbeId,
    item: Item,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<Probe, Reported> {
    let mut section = Section::of(format!("[probes.{id}]"), item, findings)?;
    let kind = section.need("type", "type = \"http\", or another type", findings, |item, findings| {
        values::word(item, &TYPES, findings)
    });
    if kind.as_ref().is_ok_and(|kind| *kind.get_ref() == "heartbeat") {
        return heartbeat::read(id, section, findings);
    }
    let port = if kind.as_ref().is_ok_and(|kind| *kind.get_ref() == "icmp") {
        section.refuse_unasked(&["port"], "an icmp probe", findings);
        Ok(None)
    } else {
        section.read("port", findings, values::port)
    };
    let pace = read_pace(&mut section, findings);
    let thresholds = read_thresholds(&mut section, findings);
    let damping = section.read("damping", findings, damping::read);
    // What else a probe of another type may hold is not known, so no key of it is called unknown.
    let word = kind?.into_inner();
    let timeout = pace.as_ref().ok().map(|[_, _, timeout]| *timeout);
    let (kind, a_probe, default_port) = match word {
        "http" => (http::read(None, timeout, &mut section, findings), "an http probe", Some(80)),
        "https" => (http::read(Some(files), timeout, &mut section, findings), "an https probe", Some(443)),
        "tls" => (tls::read(files, timeout, &mut section, findings), "a tls probe", Some(443)),
        "dns" => (dns::read(&mut section, findings).map(ProbeKind::Dns), "a dns probe", Some(53)),
        "grpc" => {
            let read = grpc::read(files, timeout, &mut section, findings);
            // In clear text there is no port that everybody means.
            let default = read.as_ref().map_or(true, |grpc| grpc.tls.is_some()).then_some(443);
            (read.map(ProbeKind::Grpc), "a grpc probe", default)
        }
        "icmp" => {
            (icmp::read(timeout, &mut section, findings).map(ProbeKind::Icmp), "an icmp probe", Some(0))
        }
        "exec" => (exec::read(&mut section, findings).map(ProbeKind::Exec), "an exec probe", Some(0)),
        _ => (tcp::read(&mut section, findings).map(ProbeKind::Tcp), "a tcp probe", None),
    };
    let watch = if WATCHED_TYPES.contains(&word) {
        section.read("watch", findings, values::boolean)
    } else {
        section.refuse_unasked(&["watch"], a_probe, findings);
        Ok(None)
    };
    section.refuse_unasked(&KEYS_OF_TYPES, a_probe, findings);
    let port = match (port, default_port) {
        (Ok(Some(port)), _) => Ok(port.into_inner()),
        (Ok(None), Some(port)) => Ok(port),
        (Ok(None), None) => Err(section.missing("port", "port = 443", findings)),
        (Err(reported), _) => Err(reported),
    };
    section.finish(findings);
    let [interval, confirm, timeout] = pace?;
    let (kind, port, thresholds) = (kind?, port?, thresholds?);
    let damping = or(damping, Some(Damping::default()))?;
    let watch = or(watch, false)?;
    Ok(Probe { id, kind, port, interval, confirm, timeout, thresholds, watch, damping })
}

/// `max_latency`, which `timeout` has to leave room for.
fn read_max_latency(
    timeout: Option<Duration>,
    section: &mut Section,
    findings: &mut Findings,
) -> Result<Option<Duration>, Reported> {
    let Some(read) = section.read("max_latency", findings, values::positive(MAX_INTERVAL))? else {
        return Ok(None);
    };
    let (at, max_latency) = (read.span(), read.into_inner());
    if let Some(timeout) = timeout
        && max_latency >= timeout
    {
        findings.push(&at, ConfigError::MaxLatencyNotBelowTimeout { max_latency, timeout });
    }
    Ok(Some(max_latency))
}

/// A host name, in lower case.
fn host(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = item.text("a host name", findings)?;
    if values::is_host(text) {
        return Ok(text.to_ascii_lowercase());
    }
    let (wanted, example) = ("a host name (the port has its own key)", "\"app.example.com\"");
    Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings))
}

/// `interval`, `confirm` and `timeout`.
fn read_pace(section: &mut Section, findings: &mut Findings) -> Result<[Duration; 3], Reported> {
    let duration = values::positive(MAX_INTERVAL);
    let interval = section.read("interval", findings, &duration);
    let confirm = section.read("confirm", findings, &duration);
    let timeout = section.read("timeout", findings, &duration);
    let interval = or(interval, DEFAULT_INTERVAL)?;
    let confirm = match confirm? {
        None => DEFAULT_CONFIRM.min(interval),
        Some(confirm) => {
            let (at, confirm) = (confirm.span(), confirm.into_inner());
            if confirm > interval {
                findings.push(&at, ConfigError::ConfirmAboveInterval { confirm, interval });
            }
            confirm
        }
    };
    let timeout = match timeout? {
        None => DEFAULT_TIMEOUT.min(interval / 2),
        Some(timeout) => {
            let (at, timeout) = (timeout.span(), timeout.into_inner());
            if timeout >= interval {
                findings.push(&at, ConfigError::TimeoutNotBelowInterval { timeout, interval });
            }
            timeout
        }
    };
    Ok([interval, confirm, timeout])
}

/// `fall`, `rise` and `window`.
fn read_thresholds(section: &mut Section, findings: &mut Findings) -> Result<Thresholds, Reported> {
    let count = values::count(MAX_THRESHOLD);
    let fall = section.read("fall", findings, &count);
    let rise = section.read("rise", findings, &count);
    let window = section.read("window", findings, &count);
    let fall = or(fall, DEFAULT_FALL)?;
    let window = window?;
    if let Some(window) = &window
        && *window.get_ref() < fall
    {
        findings.push(&window.span(), ConfigError::WindowBelowFall { window: *window.get_ref(), fall });
    }
    Ok(Thresholds { fall, rise: or(rise, DEFAULT_RISE)?, window: window.map(Spanned::into_inner) })
}
