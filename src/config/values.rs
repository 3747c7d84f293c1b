//! Parsers of single values: what is wrong with one is reported where it stands.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::advice::Advice;
use super::error::{ConfigError, Known, short};
use super::report::Findings;
use super::section::{Item, Reported};
use crate::dns::Name;
use crate::model::{Seconds, parse_duration};
use crate::text::is_hidden;

/// The longest site or probe key, in bytes.
const MAX_ID: usize = 63;
/// The largest TTL (RFC 2181 section 8).
const MAX_TTL: u64 = (1 << 31) - 1;

/// A string of at most `max` bytes.
pub fn text(max: usize) -> impl Fn(Item, &mut Findings) -> Result<String, Reported> {
    move |item, findings| {
        let text = item.text("a string", findings)?;
        let key = item.key.to_owned();
        if text.is_empty() {
            return Err(item.wrong(ConfigError::EmptyText { key }, findings));
        }
        if text.len() > max {
            return Err(item.wrong(ConfigError::LongText { key, limit: max }, findings));
        }
        Ok(text.to_owned())
    }
}

/// A string of at most `max` bytes without control characters.
pub fn line(max: usize) -> impl Fn(Item, &mut Findings) -> Result<String, Reported> {
    move |item, findings| {
        let text = text(max)(item, findings)?;
        if text.chars().any(is_hidden) {
            let key = item.key.to_owned();
            return Err(item.wrong(ConfigError::ControlCharacter { key }, findings));
        }
        Ok(text)
    }
}

/// A number of bytes within bounds: `"256MiB"`, `"2GiB"`.
pub fn size(bounds: RangeInclusive<u64>) -> impl Fn(Item, &mut Findings) -> Result<u64, Reported> {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    move |item, findings| {
        let text = item.text("a size", findings)?;
        let size = UNITS.iter().find_map(|(unit, shift)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(1 << shift)
        });
        match size {
            None => {
                let (wanted, example) = ("a size", "\"256MiB\" or \"2GiB\"");
                Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings))
            }
            Some(size) if !bounds.contains(&size) => {
                let shown = |bytes: u64| {
                    let unit = UNITS
                        .iter()
                        .find(|(_, shift)| bytes >> shift << shift == bytes && bytes >> shift > 0);
                    unit.map_or_else(
                        || bytes.to_string(),
                        |(unit, shift)| format!("{}{unit}", bytes >> shift),
                    )
                };
                let (key, value) = (item.key.to_owned(), short(text));
                let (min, max) = (shown(*bounds.start()), shown(*bounds.end()));
                Err(item.wrong(ConfigError::OutOfRange { key, value, min, max }, findings))
            }
            Some(size) => Ok(size),
        }
    }
}

/// `true` or `false`.
pub fn boolean(item: Item, findings: &mut Findings) -> Result<bool, Reported> {
    match item.value.get_ref() {
        DeValue::Boolean(value) => Ok(*value),
        _ => Err(item.wrong_type("true or false", findings)),
    }
}

/// An integer from `min` to `max`.
pub fn integer(min: u32, max: u32) -> impl Fn(Item, &mut Findings) -> Result<u32, Reported> {
    move |item, findings| {
        let DeValue::Integer(digits) = item.value.get_ref() else {
            return Err(item.wrong_type("an integer", findings));
        };
        let value = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        match value.and_then(|value| u32::try_from(value).ok()) {
            Some(value) if (min..=max).contains(&value) => Ok(value),
            _ => Err(item.wrong(out_of_range(item, digits, [min, max]), findings)),
        }
    }
}

/// How many samples something takes: 1 to `max`.
pub fn count(max: u32) -> impl Fn(Item, &mut Findings) -> Result<u32, Reported> {
    move |item, findings| match integer(0, max)(item, findings)? {
        0 => Err(item.wrong(ConfigError::Zero { key: item.key.to_owned() }, findings)),
        value => Ok(value),
    }
}

/// A TCP port.
pub fn port(item: Item, findings: &mut Findings) -> Result<u16, Reported> {
    Ok(integer(1, 65535)(item, findings)? as u16)
}

/// A number from `-max` to `max`.
pub fn number(max: f64) -> impl Fn(Item, &mut Findings) -> Result<f64, Reported> {
    move |item, findings| {
        let value: Option<f64> = match item.value.get_ref() {
            DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str().parse().ok(),
            DeValue::Float(digits) => digits.as_str().parse().ok(),
            _ => None,
        };
        match value {
            None => Err(item.wrong_type("a number", findings)),
            Some(value) if (-max..=max).contains(&value) => Ok(value),
            Some(value) => Err(item.wrong(out_of_range(item, value, [-max, max]), findings)),
        }
    }
}

/// A duration of at most `max`, zero included.
pub fn duration(max: Duration) -> impl Fn(Item, &mut Findings) -> Result<Duration, Reported> {
    move |item, findings| {
        let text = item.text("a duration", findings)?;
        let value = parse_duration(text)
            .map_err(|why| item.wrong(ConfigError::BadDuration { text: short(text), why }, findings))?;
        if value > max {
            let error = out_of_range(item, Seconds(value), [Seconds(Duration::ZERO), Seconds(max)]);
            return Err(item.wrong(error, findings));
        }
        Ok(value)
    }
}

/// A duration of at most `max` that is not zero.
pub fn positive(max: Duration) -> impl Fn(Item, &mut Findings) -> Result<Duration, Reported> {
    move |item, findings| match duration(max)(item, findings)? {
        Duration::ZERO => Err(item.wrong(ConfigError::Zero { key: item.key.to_owned() }, findings)),
        value => Ok(value),
    }
}

/// A TTL: whole seconds.
pub fn ttl(item: Item, findings: &mut Findings) -> Result<u32, Reported> {
    let value = duration(Duration::from_secs(MAX_TTL))(item, findings)?;
    if value.subsec_nanos() != 0 {
        return Err(item.wrong(ConfigError::TtlFraction { key: item.key.to_owned() }, findings));
    }
    Ok(value.as_secs() as u32) // at most MAX_TTL, as just checked
}

/// An address that a host can have.
pub fn address(item: Item, findings: &mut Findings) -> Result<IpAddr, Reported> {
    let text = item.text("an IP address", findings)?;
    let Ok(addr) = text.parse::<IpAddr>() else {
        let (wanted, example) = ("an IP address", "\"192.0.2.10\" or \"2001:db8::10\"");
        return Err(item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings));
    };
    if is_a_host(addr) { Ok(addr) } else { Err(item.wrong(ConfigError::NotAHost(addr), findings)) }
}

/// Whether one host can have the address, and be sent to at it.
pub fn is_a_host(addr: IpAddr) -> bool {
    let odd = match addr {
        IpAddr::V4(addr) => addr.is_broadcast(),
        IpAddr::V6(addr) => addr.to_ipv4_mapped().is_some(),
    };
    !(odd || addr.is_unspecified() || addr.is_multicast())
}

/// An address and a port to listen on.
pub fn socket(item: Item, findings: &mut Findings) -> Result<SocketAddr, Reported> {
    let text = item.text("an address with a port", findings)?;
    text.parse().map_err(|_| {
        let (wanted, example) = ("an address with a port", "\"127.0.0.1:5353\" or \"[::1]:5353\"");
        item.wrong(ConfigError::Malformed { text: short(text), wanted, example }, findings)
    })
}

/// A domain name, with or without its last dot.
pub fn name(item: Item, findings: &mut Findings) -> Result<Name, Reported> {
    let text = item.text("a domain name", findings)?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(item.wrong(ConfigError::ForeignName { text: short(text) }, findings));
    }
    if text.split_once("${").is_some_and(|(_, rest)| rest.contains('}')) {
        findings.push(&item.at(), ConfigError::Advice(Advice::Placeholder(short(text))));
    }
    text.parse().map_err(|why| item.wrong(ConfigError::BadName { text: short(text), why }, findings))
}

/// A site's or a probe's key: letters, digits, `-` and `_`, so that it can stand in a command.
pub fn id(key: &Spanned<&str>, findings: &mut Findings) -> Result<Arc<str>, Reported> {
    let text = *key.get_ref();
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if fits && (1..=MAX_ID).contains(&text.len()) {
        return Ok(text.into());
    }
    let (wanted, example) = ("a key of at most 63 letters, digits, \"-\" and \"_\"", "fra or us-east_2");
    findings.push(&key.span(), ConfigError::Malformed { text: short(text), wanted, example });
    Err(Reported)
}

/// Whether text can be asked for as a host: a host name, or an IPv4 address. Underscores are let pass,
/// as service labels have them.
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        fits && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// One of the words in `known`.
pub fn word(item: Item, known: &[&'static str], findings: &mut Findings) -> Result<&'static str, Reported> {
    let text = item.text("a string", findings)?;
    if let Some(word) = known.iter().find(|word| **word == text) {
        return Ok(word);
    }
    Err(item.wrong(unknown_word(item, text, known), findings))
}

fn unknown_word(item: Item, text: &str, known: &[&'static str]) -> ConfigError {
    let (key, value) = (item.key.to_owned(), short(text));
    let known = Known::new(text, known.iter().copied());
    ConfigError::UnknownWord { key, value, known }
}

fn out_of_range<B: fmt::Display>(item: Item, value: impl fmt::Display, [min, max]: [B; 2]) -> ConfigError {
    let (key, value) = (item.key.to_owned(), short(&value.to_string()));
    ConfigError::OutOfRange { key, value, min: min.to_string(), max: max.to_string() }
}
