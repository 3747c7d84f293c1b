//! The keys of `http` and `https` probes.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::tls::{Alpn, options};
use super::{host, read_max_latency};
use crate::config::error::{ConfigError, short};
use crate::config::pem::Files;
use crate::config::report::Findings;
use crate::config::section::{Item, Read, Reported, Section, entries, or};
use crate::config::{pattern, values};
use crate::model::{BodyExpect, HttpProbe, HttpVersion, ProbeKind, TlsOptions};

/// The most ranges in `expect.status`.
const MAX_STATUS_RANGES: usize = 32;
/// The longest `path`, in bytes.
const MAX_PATH: usize = 2_048;
/// The longest `expect.body` or `expect.body_regex`, in bytes.
const MAX_BODY_TEXT: usize = 1_024;
/// The longest `body`, in bytes.
const MAX_REQUEST_BODY: usize = 16_384;
/// The most entries of `headers`, and of `expect.headers`.
const MAX_HEADERS: usize = 32;
/// The longest name of a header, in bytes.
const MAX_HEADER_NAME: usize = 128;
/// The longest value of a header, in bytes.
const MAX_HEADER_VALUE: usize = 2_048;
/// The longest `method`, in bytes.
const MAX_METHOD: usize = 32;

/// Reads the keys of an `http` probe, or of an `https` one, which may name `files`.
pub(super) fn read(
    files: Option<&mut Files>,
    timeout: Option<Duration>,
    section: &mut Section,
    findings: &mut Findings,
) -> Result<ProbeKind, Reported> {
    let method = section.read("method", findings, method);
    let path = section.read("path", findings, path);
    let host = section.read("host", findings, host);
    let headers = section.read("headers", findings, request_headers);
    let request_body = section.read("body", findings, values::text(MAX_REQUEST_BODY));
    let version = section.read("http", findings, |item, findings| {
        Ok(match values::word(item, &["1.1", "2"], findings)? {
            "2" => HttpVersion::Two,
            _ => HttpVersion::One,
        })
    });
    let max_latency = read_max_latency(timeout, section, findings);
    let tls = files.map(|files| match section.item("tls") {
        Some(item) => options(item, Alpn::Given("an https probe, whose \"http\" says it"), files, findings),
        None => Ok(TlsOptions::default()),
    });
    let method = or(method, "GET".to_owned());
    let headless = method.as_deref() == Ok("HEAD");
    let expect = match section.item("expect") {
        Some(item) => read_expect(item, headless, findings)?,
        None => Expect { status: vec![200..=299], headers: Vec::new(), body: None },
    };
    Ok(ProbeKind::Http(HttpProbe {
        tls: tls.transpose()?.map(Arc::new),
        version: or(version, HttpVersion::One)?,
        method: method?,
        path: or(path, "/".to_owned())?,
        host: host?.map(Spanned::into_inner),
        headers: or(headers, Vec::new())?,
        request_body: request_body?.map(Spanned::into_inner),
        status: expect.status,
        expect_headers: expect.headers,
        body: expect.body,
        max_latency: max_latency?,
    }))
}

struct Expect {
    status: Vec<RangeInclusive<u16>>,
    headers: Vec<(String, String)>,
    body: Option<BodyExpect>,
}

fn read_expect(item: Item, headless: bool, findings: &mut Findings) -> Result<Expect, Reported> {
    let mut section = Section::of("\"expect\"".to_owned(), item, findings)?;
    let status: Read<_> = section.read("status", findings, |item, findings| {
        let ranges = item.list("status ranges", MAX_STATUS_RANGES, findings, status_range)?;
        Ok(ranges.into_iter().map(Spanned::into_inner).collect())
    });
    let headers = section.read("headers", findings, headers);
    let text = section.read("body", findings, values::text(MAX_BODY_TEXT));
    let pattern = section.read("body_regex", findings, pattern::read);
    if headless {
        let kind = "a HEAD request, which is answered without a body";
        section.refuse("body", kind, findings);
        section.refuse("body_regex", kind, findings);
    }
    section.finish(findings);
    let body = match (text?, pattern?) {
        (Some(_), Some(pattern)) => {
            findings.push(&pattern.span(), ConfigError::Beside("body", "body_regex"));
            return Err(Reported);
        }
        (Some(text), None) => Some(BodyExpect::Text(text.into_inner())),
        (None, Some(pattern)) => Some(BodyExpect::Regex(pattern.into_inner())),
        (None, None) => None,
    };
    Ok(Expect { status: or(status, vec![200..=299])?, headers: or(headers, Vec::new())?, body })
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
    if text.starts_with('/') && text.bytes().all(is_target) {
        return Ok(text);
    }
    let (wanted, example) = ("a path of printable ASCII that begins with \"/\"", "\"/health\"");
    Err(item.wrong(ConfigError::Malformed { text: short(&text), wanted, example }, findings))
}

/// What a target may hold: printable ASCII but for what begins a fragment (RFC 3986 section 3.5).
fn is_target(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#'
}

/// A method in capitals. CONNECT asks for a tunnel and not for an answer (RFC 9110 section 9.3.6).
fn method(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = values::text(MAX_METHOD)(item, findings)?;
    if text.bytes().all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte)) && text != "CONNECT" {
        return Ok(text);
    }
    let (wanted, example) = ("a method in capitals other than CONNECT", "\"GET\" or \"POST\"");
    Err(item.wrong(ConfigError::Malformed { text: short(&text), wanted, example }, findings))
}

/// `headers`: names and values, without those that the probe writes itself.
fn request_headers(item: Item, findings: &mut Findings) -> Result<Vec<(String, String)>, Reported> {
    const OWN: [&str; 7] =
        ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "keep-alive"];
    let headers = headers(item, findings)?;
    match headers.iter().find(|(name, _)| OWN.contains(&name.as_str())) {
        None => Ok(headers),
        Some((name, _)) => Err(item.wrong(ConfigError::OwnHeader { name: name.clone() }, findings)),
    }
}

/// A table of header names, in whatever case, and their values.
fn headers(item: Item, findings: &mut Findings) -> Result<Vec<(String, String)>, Reported> {
    let mut headers = Vec::new();
    let mut reported = None;
    for (name, item) in entries(item, "headers", MAX_HEADERS, findings)? {
        let lower = name.get_ref().to_ascii_lowercase();
        // RFC 9110 section 5.1: a name is a token, in any case.
        let token =
            lower.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if lower.is_empty() || lower.len() > MAX_HEADER_NAME || !token {
            let (wanted, example) = ("a header's name", "\"x-probe\"");
            let text = short(name.get_ref());
            findings.push(&name.span(), ConfigError::Malformed { text, wanted, example });
            reported = Some(Reported);
            continue;
        }
        match values::line(MAX_HEADER_VALUE)(item, findings) {
            Ok(value) => headers.push((lower, value)),
            Err(already) => reported = Some(already),
        }
    }
    reported.map_or(Ok(headers), Err)
}
