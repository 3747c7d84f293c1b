//! `[control]`, and the file of tokens that people and programs show to the API.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::error::{ConfigError, short};
use super::files::{MAX_FILE_NAME, read_bounded};
use super::heartbeat::read_tls;
use super::keys::READ_BY_ALL;
use super::pem::Files;
use super::report::Findings;
use super::secrets;
use super::section::{Item, Reported, or, section_or};
use super::values;
use crate::model::{ApiRole, ApiToken, Control};

/// The largest file of tokens, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// The most tokens.
pub const MAX_API_TOKENS: usize = 1_000;
/// The most tokens of one name: one, and the one that follows it.
const MAX_TOKENS_EACH: usize = 2;
/// The longest name, in bytes.
pub const MAX_TOKEN_NAME: usize = 64;

/// Reads `[control]`; what it names is added to `files`.
pub(super) fn read(
    item: Option<Item>,
    files: &mut Files,
    findings: &mut Findings,
) -> Result<Control, Reported> {
    let empty = DeTable::new();
    let mut section = section_or(item, "[control]", &empty, findings)?;
    let listen = section.read("listen", findings, values::socket);
    let tokens = section.read("tokens", findings, |item, findings| {
        let name = values::line(MAX_FILE_NAME)(item, findings)?;
        let path = files.base.join(&name);
        files.named.insert(path.clone());
        let tokens = read_tokens(&path).map_err(|why| {
            let what = format!("control tokens {:?}", secrets::file_name(&name, &path));
            item.wrong(ConfigError::Unreadable { what, why }, findings)
        })?;
        let mode = fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & READ_BY_ALL != 0 {
            findings.push(&item.at(), ConfigError::TokensReadByAll { file: short(&name) });
        }
        Ok(tokens)
    });
    let tls = section.item("tls").map(|item| read_tls(item, files, findings)).transpose();
    section.finish(findings);
    if let Ok(Some(listen)) = &listen {
        let elsewhere = (!listen.get_ref().ip().is_loopback()).then(|| listen.get_ref().to_string());
        let finding = match elsewhere {
            Some(listen) if matches!(tokens, Ok(None)) => Some(ConfigError::ControlNotLoopback(listen)),
            Some(listen) if matches!(tls, Ok(None)) => Some(ConfigError::TokensInClear(listen)),
            _ => None,
        };
        if let Some(finding) = finding {
            findings.push(&listen.span(), finding);
        }
    }
    let (tokens, tls) = (tokens?.map(|tokens| tokens.into_inner().into()), tls?.map(Arc::new));
    Ok(Control { listen: or(listen, SocketAddr::from((Ipv4Addr::LOCALHOST, 8053)))?, tokens, tls })
}

/// Reads lines of `name role hash`. Errors: why it is not such a file; no part of a hash is in them.
fn read_tokens(path: &Path) -> Result<Vec<ApiToken>, String> {
    let bytes = read_bounded(path, MAX_FILE).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut tokens = Vec::new();
    let mut each: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let token = token(line).map_err(|why| format!("line {number} {why}"))?;
        let count = each.entry(token.name.clone()).or_default();
        *count += 1;
        if *count > MAX_TOKENS_EACH {
            return Err(format!("line {number} is one more token of a name that has two"));
        }
        tokens.push(token);
        if tokens.len() > MAX_API_TOKENS {
            return Err(format!("it holds more than {MAX_API_TOKENS} tokens"));
        }
    }
    if tokens.is_empty() {
        return Err(
            "it holds no line \"name role hash\"; `detour token new NAME --role ROLE` makes one".into()
        );
    }
    Ok(tokens)
}

fn token(line: &str) -> Result<ApiToken, String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [name, role, hash] = words[..] else {
        return Err("is not \"name role hash\"".to_owned());
    };
    if !is_token_name(name) {
        return Err(format!(
            "has a name that is not 1 to {MAX_TOKEN_NAME} letters, digits or any of \"-_.@\""
        ));
    }
    let role =
        ApiRole::of(role).ok_or_else(|| "has a role that is neither viewer nor operator".to_owned())?;
    let hash = unhex(hash).ok_or_else(|| "does not end with 64 hexadecimal digits".to_owned())?;
    Ok(ApiToken { name: name.into(), role, hash })
}

/// Whether a token may have this name: it stands in logs and in a line of its own.
pub fn is_token_name(name: &str) -> bool {
    (1..=MAX_TOKEN_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.chars().map_while(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    if digits.len() != text.len() || digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(bytes)
}
