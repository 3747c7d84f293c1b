//! The keys of `[alerts.NAME]`. Secrets may stand in files of their own, and those with no other use must.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use super::super::error::{ConfigError, short};
use super::super::files::{MAX_FILE_NAME, read_bounded};
use super::super::pem::{self, Files};
use super::super::probes::program;
use super::super::report::Findings;
use super::super::secrets;
use super::super::section::{Item, Read, Reported, Section, entries, or};
use super::super::services::DraftService;
use super::super::values;
use super::template;
use crate::model::{
    AlertReceiver, AlertSeverity, AlertWay, EmailWay, HttpUrl, MAX_RECEIVERS, MailSecurity, Secret,
    ServicePattern,
};

/// The longest a first alert may wait for others.
const MAX_GROUP_WAIT: Duration = Duration::from_secs(600);
const DEFAULT_GROUP_WAIT: Duration = Duration::from_secs(5);
/// The longest one try may take; a test of all receivers is answered within control's request timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(25);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most names under `services`, and mailboxes under `to`.
const MAX_PATTERNS: usize = 10_000;
const MAX_MAILBOXES: usize = 100;
/// The longest URL, mailbox, user or host, in bytes.
const MAX_TEXT: usize = 2_048;
/// The largest file of a secret, in bytes.
const MAX_SECRET: u64 = 4_096;
/// The shortest key that signs, in bytes.
const MIN_KEY: usize = 16;
/// The most words of a command, its program included, and the longest in bytes.
const MAX_WORDS: usize = 64;
const MAX_WORD: usize = 4_096;
/// Where PagerDuty takes events.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

const TYPES: [&str; 5] = ["webhook", "slack", "pagerduty", "email", "command"];
/// The keys of some types alone.
const SPECIAL: [&str; 13] = [
    "url",
    "url_file",
    "key_file",
    "routing_key_file",
    "server",
    "port",
    "security",
    "from",
    "to",
    "username",
    "password_file",
    "command",
    "ca",
];

/// A receiver, and where the services it is told of are named.
pub(in super::super) struct DraftReceiver {
    pub read: AlertReceiver,
    patterns_at: Vec<Range<usize>>,
}

/// Reads `[alerts]`; what it names is added to `files`.
pub(in super::super) fn read(
    item: Item,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<Vec<DraftReceiver>, Reported> {
    let mut receivers = Vec::new();
    let mut whole = Ok(());
    for (key, item) in entries(item, "receivers of alerts", MAX_RECEIVERS, findings)? {
        let read = values::id(&key, findings).and_then(|id| receiver(id, item, files, findings));
        match read {
            Ok(receiver) => receivers.push(receiver),
            Err(reported) => whole = Err(reported),
        }
    }
    whole.map(|()| receivers)
}

/// Holds the services that receivers name against those there are.
pub(in super::super) fn check_services(
    receivers: &[DraftReceiver],
    services: &[DraftService],
    findings: &mut Findings,
) {
    for DraftReceiver { read, patterns_at } in receivers {
        for (pattern, at) in read.services.iter().flatten().zip(patterns_at) {
            if !services.iter().any(|draft| pattern.fits(&draft.service.name)) {
                let star = if pattern.below { "*." } else { "" };
                findings.push(at, ConfigError::NoServiceFits(format!("{star}{}", pattern.name)));
            }
        }
    }
}

fn receiver(
    id: Arc<str>,
    item: Item,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<DraftReceiver, Reported> {
    let mut section = Section::of(format!("[alerts.{id}]"), item, findings)?;
    let kind = section
        .need("type", "type = \"webhook\"", findings, |item, findings| values::word(item, &TYPES, findings));
    let severities =
        section.read("severities", findings, |item, findings| item.list("severities", 3, findings, severity));
    let services = section.read("services", findings, |item, findings| {
        item.list("services of a receiver", MAX_PATTERNS, findings, pattern)
    });
    let group_wait = section.read("group_wait", findings, values::duration(MAX_GROUP_WAIT));
    let timeout = section.read("timeout", findings, values::positive(MAX_TIMEOUT));
    let title = section.read("title", findings, template::line);
    let text = section.read("text", findings, template::lines);
    let kind = match kind {
        Ok(kind) => kind.into_inner(),
        Err(reported) => {
            // Without a type it cannot be said which of them are right.
            for key in SPECIAL {
                section.item(key);
            }
            section.finish(findings);
            return Err(reported);
        }
    };
    let (way, secure) = match kind {
        "slack" => slack(&mut section, files, findings),
        "pagerduty" => pagerduty(&mut section, files, findings),
        "email" => email(&mut section, files, findings),
        "command" => command(&mut section, findings),
        _ => webhook(&mut section, files, findings),
    };
    let ca = if secure {
        section.read("ca", findings, |item, findings| pem::authorities(item, files, findings))
    } else {
        Ok(None)
    };
    section.refuse_unasked(&SPECIAL, refusing(kind), findings);
    section.finish(findings);
    let services = services?.map(Spanned::into_inner);
    let patterns_at = services.iter().flatten().map(Spanned::span).collect();
    let severities = severities?.map(|list| list.into_inner().into_iter().map(Spanned::into_inner).collect());
    let all = vec![AlertSeverity::Critical, AlertSeverity::Warning, AlertSeverity::Info];
    let read = AlertReceiver {
        id,
        way: way?,
        severities: severities.unwrap_or(all),
        services: services.map(|list| list.into_iter().map(Spanned::into_inner).collect()),
        group_wait: or(group_wait, DEFAULT_GROUP_WAIT)?,
        timeout: or(timeout, DEFAULT_TIMEOUT)?,
        title: title?.map(Spanned::into_inner),
        text: text?.map(Spanned::into_inner),
        ca: ca?.map(Spanned::into_inner).map(Arc::new),
    };
    Ok(DraftReceiver { read, patterns_at })
}

fn refusing(kind: &str) -> &'static str {
    match kind {
        "slack" => "a slack receiver",
        "pagerduty" => "a pagerduty receiver",
        "email" => "an email receiver without it",
        "command" => "a command",
        _ => "a webhook receiver",
    }
}

fn severity(item: Item, findings: &mut Findings) -> Result<AlertSeverity, Reported> {
    Ok(match values::word(item, &["critical", "warning", "info"], findings)? {
        "critical" => AlertSeverity::Critical,
        "warning" => AlertSeverity::Warning,
        _ => AlertSeverity::Info,
    })
}

fn pattern(item: Item, findings: &mut Findings) -> Result<ServicePattern, Reported> {
    let text = item.text("a service's name", findings)?;
    let below = text.strip_prefix("*.");
    match below.unwrap_or(text).parse() {
        Ok(name) => Ok(ServicePattern { name, below: below.is_some() }),
        Err(why) => Err(item.wrong(ConfigError::BadName { text: short(text), why }, findings)),
    }
}

/// A way, and whether it may speak TLS. Whether it does is told of even where something else is wrong.
type Way = (Result<AlertWay, Reported>, bool);

fn webhook(section: &mut Section, files: &mut Files, findings: &mut Findings) -> Way {
    let url = url(section, None, files, findings);
    let key = section.read("key_file", findings, |item, findings| {
        let key = secret("the key of a webhook", item, files, findings)?;
        if key.reveal().len() >= MIN_KEY {
            return Ok(key);
        }
        let why = format!("it holds fewer than {MIN_KEY} bytes, which somebody could guess");
        Err(item.wrong(ConfigError::Unreadable { what: "the key of a webhook".to_owned(), why }, findings))
    });
    let secure = url.as_ref().map_or(true, |url| url.secure);
    let way = url.and_then(|url| Ok(AlertWay::Webhook { url, key: key?.map(Spanned::into_inner) }));
    (way, secure)
}

fn slack(section: &mut Section, files: &mut Files, findings: &mut Findings) -> Way {
    let url = url(section, None, files, findings);
    let secure = url.as_ref().map_or(true, |url| url.secure);
    (url.map(|url| AlertWay::Slack { url }), secure)
}

fn pagerduty(section: &mut Section, files: &mut Files, findings: &mut Findings) -> Way {
    let url = url(section, Some(PAGERDUTY), files, findings);
    let example = "routing_key_file = \"pagerduty.key\"";
    let key = section.need("routing_key_file", example, findings, |item, findings| {
        secret("the routing key", item, files, findings)
    });
    let secure = url.as_ref().map_or(true, |url| url.secure);
    let way = url.and_then(|url| Ok(AlertWay::PagerDuty { url, routing_key: key?.into_inner() }));
    (way, secure)
}

fn command(section: &mut Section, findings: &mut Findings) -> Way {
    let example = "command = [\"/usr/local/bin/tell\", \"--on-call\"]";
    let command = section.need("command", example, findings, |item, findings| {
        let mut first = true;
        item.list("words in a command", MAX_WORDS, findings, |item, findings| {
            let program_next = std::mem::take(&mut first);
            if program_next { program(item, findings) } else { values::line(MAX_WORD)(item, findings) }
        })
    });
    let words = command.map(|list| list.into_inner().into_iter().map(Spanned::into_inner).collect());
    (words.map(AlertWay::Command), false)
}

fn email(section: &mut Section, files: &mut Files, findings: &mut Findings) -> Way {
    let host = section.need("server", "server = \"mail.example.com\"", findings, host);
    let security = section.read("security", findings, |item, findings| {
        Ok(match values::word(item, &["starttls", "tls", "plain"], findings)? {
            "plain" => MailSecurity::Plain,
            "tls" => MailSecurity::Tls,
            _ => MailSecurity::StartTls,
        })
    });
    let port = section.read("port", findings, values::port);
    let from = section.need("from", "from = \"detour@example.com\"", findings, mailbox);
    let to = section.need("to", "to = [\"oncall@example.com\"]", findings, |item, findings| {
        item.list("mailboxes", MAX_MAILBOXES, findings, mailbox)
    });
    let username = section.read("username", findings, values::line(MAX_TEXT));
    let password = section
        .read("password_file", findings, |item, findings| secret("the password", item, files, findings));
    let plain =
        security.as_ref().is_ok_and(|s| s.as_ref().is_some_and(|s| *s.get_ref() == MailSecurity::Plain));
    let way = || {
        let (host, security) = (host?.into_inner(), or(security, MailSecurity::StartTls)?);
        let login = login(section, username, password, findings)?;
        if let Some((at, _)) = &login
            && security == MailSecurity::Plain
            && !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        {
            findings.push(at, ConfigError::PasswordInClear);
            return Err(Reported);
        }
        let usual = match security {
            MailSecurity::Plain => 25,
            MailSecurity::StartTls => 587,
            MailSecurity::Tls => 465,
        };
        Ok(AlertWay::Email(EmailWay {
            host,
            port: or(port, usual)?,
            security,
            from: from?.into_inner(),
            to: to?.into_inner().into_iter().map(Spanned::into_inner).collect(),
            login: login.map(|(_, login)| login),
        }))
    };
    (way(), !plain)
}

/// Where the password is named; user and password.
type Login = (Range<usize>, (String, Secret));

/// User and password, both or none; and where the password is named.
fn login(
    section: &mut Section,
    username: Read<String>,
    password: Read<Secret>,
    findings: &mut Findings,
) -> Result<Option<Login>, Reported> {
    match (username?, password?) {
        (None, None) => Ok(None),
        (Some(user), Some(password)) => {
            Ok(Some((password.span(), (user.into_inner(), password.into_inner()))))
        }
        (Some(_), None) => {
            Err(section.missing("password_file", "password_file = \"mail.password\"", findings))
        }
        (None, Some(_)) => Err(section.missing("username", "username = \"detour\"", findings)),
    }
}

fn host(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = values::line(MAX_TEXT)(item, findings)?;
    if values::is_host(&text) || text.parse::<IpAddr>().is_ok() {
        return Ok(text);
    }
    let (wanted, example) = ("a host's name or address", "\"mail.example.com\"");
    Err(item.wrong(ConfigError::Malformed { text: short(&text), wanted, example }, findings))
}

/// An address as SMTP takes it between angle brackets: no spaces, no brackets, one part on each side of `@`.
fn mailbox(item: Item, findings: &mut Findings) -> Result<String, Reported> {
    let text = values::line(MAX_TEXT)(item, findings)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte));
    let parts = text.rsplit_once('@');
    if plain && parts.is_some_and(|(local, host)| !local.is_empty() && values::is_host(host)) {
        return Ok(text);
    }
    let (wanted, example) = ("a mailbox", "\"oncall@example.com\"");
    Err(item.wrong(ConfigError::Malformed { text: short(&text), wanted, example }, findings))
}

/// `url`, or `url_file` where it is a secret; else what it is when left out.
fn url(
    section: &mut Section,
    usual: Option<&str>,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<HttpUrl, Reported> {
    let malformed = |text: String| {
        let (wanted, example) = ("an http or https address", "\"https://hooks.example.com/detour\"");
        ConfigError::Malformed { text, wanted, example }
    };
    let open = section.read("url", findings, |item, findings| {
        let text = values::line(MAX_TEXT)(item, findings)?;
        parse_url(&text).ok_or_else(|| item.wrong(malformed(short(&text)), findings))
    });
    let hidden = section.read("url_file", findings, |item, findings| {
        let text = secret("the address", item, files, findings)?;
        // Not repeated: it is a secret.
        parse_url(text.reveal())
            .ok_or_else(|| item.wrong(malformed("the file's content".to_owned()), findings))
    });
    match (open?, hidden?) {
        (Some(_), Some(hidden)) => {
            findings.push(&hidden.span(), ConfigError::Beside("url", "url_file"));
            Err(Reported)
        }
        (Some(url), None) | (None, Some(url)) => Ok(url.into_inner()),
        (None, None) => match usual.and_then(parse_url) {
            Some(url) => Ok(url),
            None => Err(section.missing("url", "url = \"https://hooks.example.com/detour\"", findings)),
        },
    }
}

/// An `http` or `https` address that says nothing of who asks.
pub(in crate::config) fn parse_url(text: &str) -> Option<HttpUrl> {
    let uri: hyper::Uri = text.parse().ok()?;
    let secure = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority()?;
    if authority.as_str().contains('@') {
        return None; // what stands before the @ would be shown to nobody, and sent to nobody
    }
    let bracketed = authority.host();
    let host = bracketed.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(bracketed);
    if !values::is_host(host) && host.parse::<IpAddr>().is_err() {
        return None;
    }
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Some(HttpUrl { secure, host: host.to_owned(), port, path: path.to_owned() })
}

/// The one line of an item's file.
fn secret(what: &str, item: Item, files: &mut Files, findings: &mut Findings) -> Result<Secret, Reported> {
    let name = values::line(MAX_FILE_NAME)(item, findings)?;
    let path = files.base.join(&name);
    files.named.insert(path.clone());
    let read = read_bounded(&path, MAX_SECRET).map_err(|why| why.to_string());
    let line = read.and_then(|bytes| {
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let line = text.trim();
        if line.is_empty() || line.chars().any(char::is_control) {
            return Err("it does not hold one line of text".to_owned());
        }
        Ok(Secret::new(line))
    });
    line.map_err(|why| {
        let what = format!("{what} {:?}", secrets::file_name(&name, &path));
        item.wrong(ConfigError::Unreadable { what, why }, findings)
    })
}
