//! `[probes.KEY]`

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::error::{ConfigError, Known, short};
use super::report::Findings;
use super::section::{Item, Read, Reported, Section, entries, or};
use super::{HttpProbe, Probe, ProbeId, ProbeKind, Thresholds, values};

/// The most probes.
const MAX_PROBES: usize = 10_000;
/// The longest `interval`, and so the longest of what is bounded by it.
const MAX_INTERVAL: Duration = Duration::from_secs(86_400);
/// The largest `fall`, `rise` and `window`: each check keeps that many outcomes.
const MAX_THRESHOLD: u32 = 100;
/// The most ranges in `expect.status`.
const MAX_STATUS_RANGES: usize = 32;
/// The longest `path`, in bytes.
const MAX_PATH: usize = 2_048;
/// The longest `expect.body`, in bytes.
const MAX_BODY_TEXT: usize = 1_024;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const DEFAULT_CONFIRM: Duration = Duration::from_millis(250);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
const DEFAULT_FALL: u32 = 3;
const DEFAULT_RISE: u32 = 2;

/// The protocols there are, and those to come.
const TYPES: [&str; 3] = ["http", "https", "tcp"];
const LATER_TYPES: [&str; 6] = ["tls", "icmp", "dns", "grpc", "exec", "heartbeat"];

/// The probes that are right, and the keys of all.
#[derive(Default)]
pub(super) struct Probes {
    pub read: Vec<Arc<Probe>>,
    /// By key; nothing where the probe is wrong, which has been reported.
    by_id: BTreeMap<ProbeId, Result<Arc<Probe>, Reported>>,
}

impl Probes {
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
pub(super) fn read(item: Item, findings: &mut Findings) -> Result<Probes, Reported> {
    let mut probes = Probes::default();
    for (key, item) in entries(item, "probes", MAX_PROBES, findings)? {
        let id = values::id(&key, findings);
        let probe = id.and_then(|id| read_probe(id, item, findings)).map(Arc::new);
        probes.read.extend(probe.clone());
        probes.by_id.insert((*key.get_ref()).into(), probe);
    }
    Ok(probes)
}

fn read_probe(id: ProbeId, item: Item, findings: &mut Findings) -> Result<Probe, Reported> {
    let mut section = Section::of(format!("[probes.{id}]"), item, findings)?;
    let kind = section.need("type", "type = \"http\", \"https\" or \"tcp\"", findings, |item, findings| {
        values::word(item, &TYPES, &LATER_TYPES, findings)
    });
    let port = section.read("port", findings, values::port);
    let pace = read_pace(&mut section, findings);
    let thresholds = read_thresholds(&mut section, findings);
    let watch = section.read("watch", findings, values::boolean);
    // What else a probe of another type may hold is not known, so no key of it is called unknown.
    let kind = kind?.into_inner();
    let http = if kind == "tcp" {
        section.refuse(&["path", "host", "expect"], "a tcp probe", findings);
        None
    } else {
        Some(read_http(kind == "https", &mut section, findings))
    };
    let port = match (port, kind) {
        (Ok(Some(port)), _) => Ok(port.into_inner()),
        (Ok(None), "http") => Ok(80),
        (Ok(None), "https") => Ok(443),
        (Ok(None), _) => Err(section.missing("port", "port = 443", findings)),
        (Err(reported), _) => Err(reported),
    };
    section.finish(findings);
    let [interval, confirm, timeout] = pace?;
    let kind = http.transpose()?.map_or(ProbeKind::Tcp, ProbeKind::Http);
    Ok(Probe {
        id,
        kind,
        port: port?,
        interval,
        confirm,
        timeout,
        thresholds: thresholds?,
        watch: or(watch, false)?,
    })
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

/// `path`, `host` and `expect`.
fn read_http(tls: bool, section: &mut Section, findings: &mut Findings) -> Result<HttpProbe, Reported> {
    let path = section.read("path", findings, path);
    let host = section.read("host", findings, host);
    let expect = section.item("expect").map(|item| read_expect(item, findings));
    let (status, body) = expect.unwrap_or(Ok((vec![200..=299], None)))?;
    Ok(HttpProbe { tls, path: or(path, "/".to_owned())?, host: host?.map(Spanned::into_inner), status, body })
}

type Expect = (Vec<RangeInclusive<u16>>, Option<String>);

fn read_expect(item: Item, findings: &mut Findings) -> Result<Expect, Reported> {
    let mut section = Section::of("\"expect\"".to_owned(), item, findings)?;
    let status: Read<_> = section.read("status", findings, |item, findings| {
        let ranges = item.list("status ranges", MAX_STATUS_RANGES, findings, status_range)?;
        Ok(ranges.into_iter().map(Spanned::into_inner).collect())
    });
    let body = section.read("body", findings, values::text(MAX_BODY_TEXT));
    section.finish(findings);
    Ok((or(status, vec![200..=299])?, body?.map(Spanned::into_inner)))
}

/// `200` or `200-299`
fn status_range(item: Item, findings: &mut Findings) -> Result<RangeInclusive<u16>, Reported> {
    let text = item.text("a status like \"200\" or \"200-299\"", findings)?;
    let code = |text: &str| text.parse().ok().filter(|code| text.len() == 3 && (100..=599).contains(code));
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (code(from), code(to)) {
        (Some(from), Some(to)) if from <= to => Ok(from..=to),
        _ => {
            let (wanted, example) = ("a status or a range of them", "\"200\" or \"200-299\"");
            Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings))
        }
    }
}

/// A request's target: begins with `/`, and holds nothing that would end the request line.
fn path(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = values::text(MAX_PATH)(item, findings)?;
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return Ok(text);
    }
    let (wanted, example) = ("a path of printable ASCII that begins with \"/\"", "\"/health\"");
    Err(item.wrong(ConfigError::Malformed { text: short(&text), wanted, example }, findings))
}

fn host(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = item.text("a host name", findings)?;
    if values::is_host(text) {
        return Ok(text.to_ascii_lowercase());
    }
    let (wanted, example) = ("a host name (the port has its own key)", "\"app.example.com\"");
    Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings))
}
