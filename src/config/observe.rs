//! `[log]`, `[metrics]`, `[query_log]`, `[dnstap]` and `[otlp]`: what is told to those who watch.

use std::path::Path;

use toml::de::DeTable;

use super::alerts::parse_url;
use super::error::{ConfigError, short};
use super::files::MAX_FILE_NAME;
use super::report::Findings;
use super::section::{Item, Reported, Section, or, section_or};
use super::values;
use crate::model::{DEFAULT_ENDPOINTS, Dnstap, LogFormat, Observed, QueryLog};

/// The most endpoints that have series of their own.
const MAX_ENDPOINTS: u32 = 10_000_000;
/// The least and the most a query log may grow to, in bytes.
const MIN_LOG_BYTES: u64 = 1 << 20;
const MAX_LOG_BYTES: u64 = 1 << 40;
/// What a query log may grow to unless the document says otherwise, in bytes.
const DEFAULT_LOG: u64 = 64 << 20;
/// The rarest sample: one of so many queries.
const MAX_SAMPLE: u32 = 1_000_000_000;
const DEFAULT_SAMPLE: u32 = 1_000;
/// The longest path of a unix socket, in bytes: what the kernel has room for.
const MAX_SOCKET: usize = 107;

/// Reads them; relative paths are below `base`.
pub(super) fn read(root: &mut Section, base: &Path, findings: &mut Findings) -> Result<Observed, Reported> {
    let log = read_log(root.item("log"), findings);
    let endpoints = read_metrics(root.item("metrics"), findings);
    let query_log = root.item("query_log").map(|item| read_query_log(item, base, findings)).transpose();
    let dnstap = root.item("dnstap").map(|item| read_dnstap(item, base, findings)).transpose();
    let otlp = root.item("otlp").map(|item| read_otlp(item, findings)).transpose();
    Ok(Observed {
        log: log?,
        endpoints: endpoints? as usize,
        query_log: query_log?,
        dnstap: dnstap?,
        otlp: otlp?,
    })
}

fn read_log(item: Option<Item>, findings: &mut Findings) -> Result<LogFormat, Reported> {
    let empty = DeTable::new();
    let mut section = section_or(item, "[log]", &empty, findings)?;
    let format = section.read("format", findings, |item, findings| {
        Ok(match values::word(item, &["human", "json"], findings)? {
            "json" => LogFormat::Json,
            _ => LogFormat::Human,
        })
    });
    section.finish(findings);
    or(format, LogFormat::Human)
}

fn read_metrics(item: Option<Item>, findings: &mut Findings) -> Result<u32, Reported> {
    let empty = DeTable::new();
    let mut section = section_or(item, "[metrics]", &empty, findings)?;
    let endpoints = section.read("endpoints", findings, values::integer(0, MAX_ENDPOINTS));
    section.finish(findings);
    or(endpoints, DEFAULT_ENDPOINTS)
}

fn read_query_log(item: Item, base: &Path, findings: &mut Findings) -> Result<QueryLog, Reported> {
    let mut section = Section::of("[query_log]".to_owned(), item, findings)?;
    let file = section.need("file", "file = \"queries.log\"", findings, values::line(MAX_FILE_NAME));
    let sample = section.read("sample", findings, values::count(MAX_SAMPLE));
    let max = section.read("max", findings, values::size(MIN_LOG_BYTES..=MAX_LOG_BYTES));
    section.finish(findings);
    Ok(QueryLog {
        file: base.join(file?.get_ref()),
        sample: or(sample, DEFAULT_SAMPLE)?,
        max: or(max, DEFAULT_LOG)?,
    })
}

fn read_dnstap(item: Item, base: &Path, findings: &mut Findings) -> Result<Dnstap, Reported> {
    let mut section = Section::of("[dnstap]".to_owned(), item, findings)?;
    let socket = section.need("socket", "socket = \"/run/dnstap.sock\"", findings, |item, findings| {
        let path = base.join(values::line(MAX_FILE_NAME)(item, findings)?);
        if path.as_os_str().len() > MAX_SOCKET {
            let (wanted, example) = ("a path of at most 107 bytes", "\"/run/dnstap.sock\"");
            let text = short(&path.display().to_string());
            return Err(item.wrong(ConfigError::Malformed { text, wanted, example }, findings));
        }
        Ok(path)
    });
    let sample = section.read("sample", findings, values::count(MAX_SAMPLE));
    section.finish(findings);
    Ok(Dnstap { socket: socket?.into_inner(), sample: or(sample, 1)? })
}

fn read_otlp(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let mut section = Section::of("[otlp]".to_owned(), item, findings)?;
    let example = "endpoint = \"http://127.0.0.1:4318\"";
    let endpoint = section.need("endpoint", example, findings, |item, findings| {
        let text = values::line(MAX_FILE_NAME)(item, findings)?;
        match parse_url(&text) {
            Some(url) if !url.secure => Ok(text),
            _ => {
                let (wanted, example) = ("an http address", "\"http://127.0.0.1:4318\"");
                Err(item.wrong(ConfigError::Malformed { text: short(&text), wanted, example }, findings))
            }
        }
    });
    section.finish(findings);
    Ok(endpoint?.into_inner())
}

/// How the log is to be written, as the file at `path` says, before anything else of it is read: problems of
/// the file are written that way, too. What cannot be made sense of is for people.
pub fn log_format(path: &Path) -> LogFormat {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    match table.get("log").and_then(|log| log.get("format")).and_then(toml::Value::as_str) {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Human,
    }
}
