//! SvcParams, the parameters of SVCB and HTTPS (RFC 9460).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding::{parse_base64, parse_escaped, print_base64, print_quoted};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;

/// The keys that have names (IANA, "Service Parameter Keys").
const NAMES: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

/// What is wrong with a SvcParam, and the way out.
pub(super) type Wrong = &'static str;

/// One parameter's token, `key`, `key=value` or `key="value"`, as its key and wire-form value.
pub(super) fn parse_param(token: &[u8]) -> Result<(u16, Vec<u8>), Wrong> {
    let (name, value) = match token.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&token[..equals], Some(&token[equals + 1..])),
        None => (token, None),
    };
    let key = parse_key(name).ok_or("is no SvcParam; write a key like alpn or port, or keyNNNNN")?;
    let value = match value {
        Some([b'"', inner @ .., b'"']) => inner,
        Some(value) => value,
        None => b"",
    };
    let mut text = Vec::new();
    parse_escaped(value, &mut text).ok_or("has a bad escape: write \\DDD with a number up to 255")?;
    let mut wire = Vec::new();
    parse_value(key, &text, &mut wire)?;
    if wire.len() > usize::from(u16::MAX) {
        return Err("has a value of more than 65535 bytes");
    }
    Ok((key, wire))
}

fn parse_key(name: &[u8]) -> Option<u16> {
    if let Some(key) = NAMES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
        return Some(key as u16);
    }
    let (prefix, digits) = name.split_at_checked(3)?;
    let plain = prefix.eq_ignore_ascii_case(b"key") && digits.first()?.is_ascii_digit();
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

fn parse_value(key: u16, text: &[u8], wire: &mut Vec<u8>) -> Result<(), Wrong> {
    let utf8 = || std::str::from_utf8(text).ok();
    match key {
        MANDATORY => {
            let keys = text.split(|&byte| byte == b',').map(parse_key).collect::<Option<Vec<u16>>>();
            let mut keys = keys.ok_or("names an unknown key; write mandatory=alpn,port")?;
            keys.sort_unstable();
            wire.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        ALPN => {
            for id in split_list(text) {
                let len = u8::try_from(id.len()).map_err(|_| "has a protocol of more than 255 bytes")?;
                wire.push(len);
                wire.extend_from_slice(&id);
            }
        }
        PORT => {
            let port: Option<u16> = utf8().and_then(|text| text.parse().ok());
            wire.extend(port.ok_or("is no port; write a number up to 65535")?.to_be_bytes());
        }
        IPV4HINT => parse_hints::<Ipv4Addr, 4>(text, Ipv4Addr::octets, wire)?,
        IPV6HINT => parse_hints::<Ipv6Addr, 16>(text, Ipv6Addr::octets, wire)?,
        ECH => parse_base64(text, wire).ok_or("is not base64")?,
        _ => wire.extend_from_slice(text),
    }
    Ok(())
}

fn parse_hints<A: std::str::FromStr, const LEN: usize>(
    text: &[u8],
    octets: impl Fn(&A) -> [u8; LEN],
    wire: &mut Vec<u8>,
) -> Result<(), Wrong> {
    for part in text.split(|&byte| byte == b',') {
        let address = std::str::from_utf8(part).ok().and_then(|part| part.parse().ok());
        wire.extend(octets(&address.ok_or("has a part that is no address; write addresses and commas")?));
    }
    Ok(())
}

/// Splits a comma-separated list with its own escapes (RFC 9460 appendix A.1).
fn split_list(text: &[u8]) -> Vec<Vec<u8>> {
    let mut items = vec![Vec::new()];
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        let last = items.len() - 1;
        match byte {
            b',' => items.push(Vec::new()),
            b'\\' => items[last].extend(bytes.next()),
            _ => items[last].push(byte),
        }
    }
    items
}

/// Whether parameters in wire form, ordered by key, make sense together and each for itself.
pub(super) fn check(params: &[(u16, &[u8])]) -> Result<(), Wrong> {
    if params.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err("has a key twice; each may stand once");
    }
    let has = |key| params.iter().any(|&(other, _)| other == key);
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Err("has no-default-alpn without alpn (RFC 9460 section 7.1.1)");
    }
    for &(key, value) in params {
        let fine = match key {
            MANDATORY => {
                let (keys, rest) = value.as_chunks::<2>();
                let keys: Vec<u16> = keys.iter().map(|key| u16::from_be_bytes(*key)).collect();
                let ordered = keys.windows(2).all(|pair| pair[0] < pair[1]);
                let named = keys.iter().all(|&key| key != MANDATORY && has(key));
                !keys.is_empty() && rest.is_empty() && ordered && named
            }
            ALPN => split_strings(value).is_some_and(|ids| !ids.is_empty() && !ids.contains(&&b""[..])),
            NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
            PORT => value.len() == 2,
            IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
            IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
            ECH => !value.is_empty(),
            DOHPATH => std::str::from_utf8(value).is_ok(),
            _ => true,
        };
        if !fine {
            return Err(match key {
                MANDATORY => {
                    "has a mandatory list that is empty or names a key twice, itself, or one not here"
                }
                NO_DEFAULT_ALPN | OHTTP => "has a value for a key that takes none",
                DOHPATH => "has a dohpath that is not UTF-8",
                _ => "has an empty or broken value",
            });
        }
    }
    Ok(())
}

fn split_strings(mut value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut strings = Vec::new();
    while let Some((&len, rest)) = value.split_first() {
        let (string, rest) = rest.split_at_checked(usize::from(len))?;
        strings.push(string);
        value = rest;
    }
    Some(strings)
}

/// Appends a space and the text of each parameter; `None` where the bytes are not well-formed.
pub(super) fn print(mut wire: &[u8], out: &mut String) -> Option<()> {
    let mut params = Vec::new();
    while let [k0, k1, l0, l1, rest @ ..] = wire {
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])))?;
        params.push((u16::from_be_bytes([*k0, *k1]), value));
        wire = rest;
    }
    check(&params).ok().filter(|()| wire.is_empty())?;
    for (key, value) in params {
        out.push(' ');
        print_key(key, out);
        if !value.is_empty() {
            out.push('=');
            print_value(key, value, out)?;
        }
    }
    Some(())
}

fn print_key(key: u16, out: &mut String) {
    match NAMES.get(usize::from(key)) {
        Some(name) => out.push_str(name),
        None => {
            let _ = write!(out, "key{key}"); // writing to a String cannot fail
        }
    }
}

fn print_value(key: u16, value: &[u8], out: &mut String) -> Option<()> {
    let v4 = |&bytes: &[u8; 4]| Ipv4Addr::from(bytes).to_string();
    let v6 = |&bytes: &[u8; 16]| Ipv6Addr::from(bytes).to_string();
    match key {
        MANDATORY => {
            for (at, &[high, low]) in value.as_chunks::<2>().0.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                print_key(u16::from_be_bytes([high, low]), out);
            }
        }
        ALPN => print_quoted(&join_list(&split_strings(value)?), out),
        PORT => {
            let port = u16::from_be_bytes(value.try_into().ok()?);
            let _ = write!(out, "{port}");
        }
        IPV4HINT => out.push_str(&value.as_chunks().0.iter().map(v4).collect::<Vec<_>>().join(",")),
        IPV6HINT => out.push_str(&value.as_chunks().0.iter().map(v6).collect::<Vec<_>>().join(",")),
        ECH => {
            out.push('"');
            print_base64(value, out);
            out.push('"');
        }
        _ => print_quoted(value, out),
    }
    Some(())
}

/// The inverse of [`split_list`].
fn join_list(items: &[&[u8]]) -> Vec<u8> {
    let mut list = Vec::new();
    for (at, item) in items.iter().enumerate() {
        list.extend((at > 0).then_some(b','));
        for &byte in *item {
            list.extend(matches!(byte, b',' | b'\\').then_some(b'\\'));
            list.push(byte);
        }
    }
    list
}
