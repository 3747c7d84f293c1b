//! `[keys.NAME]`: the TSIG keys that this server shares with others, each secret in a file of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::{ConfigError, Known, short};
use super::files::{MAX_FILE_NAME, read_bounded};
use super::report::Findings;
use super::secrets;
use super::section::{Item, Reported, Section, entries, or};
use super::values;
use crate::dns::tsig::{ALGORITHMS, Algorithm, Key, Keys};
use crate::dns::{Name, from_base64};

/// The most keys.
const MAX_KEYS: usize = 10_000;
/// The largest file of a secret, in bytes.
const MAX_FILE: u64 = 4_096;
/// The mode bit of a file that everybody may read.
pub(super) const READ_BY_ALL: u32 = 0o004;

/// The keys that are right, and the names of all with their lines.
#[derive(Default)]
pub(super) struct DraftKeys {
    pub read: Keys,
    names: BTreeMap<Name, usize>,
}

impl DraftKeys {
    /// The name of the key that an item names.
    pub fn find(&self, item: Item, findings: &mut Findings) -> Result<Name, Reported> {
        let name = values::name(item, findings)?;
        if self.names.contains_key(&name) {
            return Ok(name);
        }
        findings.push_with(&item.at(), || {
            let given = name.to_string();
            let names: Vec<String> = self.names.keys().map(ToString::to_string).collect();
            let known = Known::new(&given, names.iter().map(String::as_str));
            ConfigError::UnknownKeyName(name.clone(), known)
        });
        Err(Reported)
    }
}

/// Reads every key; files that are read are added to `files`.
pub(super) fn read(
    item: Option<Item>,
    base: &Path,
    findings: &mut Findings,
    files: &mut BTreeSet<PathBuf>,
) -> DraftKeys {
    let mut draft = DraftKeys::default();
    let Some(entries) = item.and_then(|item| entries(item, "keys", MAX_KEYS, findings).ok()) else {
        return draft;
    };
    let mut keys = Vec::with_capacity(entries.len());
    for (key, item) in entries {
        let Ok(name) = key_name(&key, findings) else { continue };
        let line = findings.line(&key.span());
        if let Some(first) = draft.names.get(&name) {
            findings.push(&key.span(), ConfigError::KeyTwice(name, *first));
            continue;
        }
        draft.names.insert(name.clone(), line);
        keys.extend(read_key(name, item, base, findings, files));
    }
    draft.read = keys.into_iter().collect();
    draft
}

/// A key's name is a domain name (RFC 8945 section 4.2).
fn key_name(key: &Spanned<&str>, findings: &mut Findings) -> Result<Name, Reported> {
    let text = *key.get_ref();
    let read = if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        text.parse().map_err(|why| ConfigError::BadName { text: short(text), why })
    } else {
        Err(ConfigError::ForeignName { text: short(text) })
    };
    read.map_err(|error| {
        findings.push(&key.span(), error);
        Reported
    })
}

fn read_key(
    name: Name,
    item: Item,
    base: &Path,
    findings: &mut Findings,
    files: &mut BTreeSet<PathBuf>,
) -> Result<Key, Reported> {
    let mut section = Section::of(format!("[keys.{}]", short(&name.to_string())), item, findings)?;
    let algorithm = section.read("algorithm", findings, |item, findings| {
        let known = ALGORITHMS.map(|(_, name)| name);
        let word = values::word(item, &known, findings)?;
        Algorithm::named(word).ok_or(Reported)
    });
    let secret = section.need("secret_file", "secret_file = \"keys/xfr\"", findings, |item, findings| {
        let name = values::line(MAX_FILE_NAME)(item, findings)?;
        let path = base.join(&name);
        files.insert(path.clone());
        let secret = read_secret(&path).map_err(|why| {
            let what = format!("secret {:?}", secrets::file_name(&name, &path));
            item.wrong(ConfigError::Unreadable { what, why }, findings)
        })?;
        let mode = fs::metadata(&path).map_or(0, |metadata| metadata.permissions().mode());
        if mode & READ_BY_ALL != 0 {
            findings.push(&item.at(), ConfigError::ReadByAll { file: short(&name) });
        }
        Ok(secret)
    });
    section.finish(findings);
    Ok(Key::new(name, or(algorithm, Algorithm::HmacSha256)?, secret?.into_inner()))
}

/// Reads the base64 of a secret, on one line or several. Errors: why it is not one; no part of it is in them.
pub fn read_secret(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = read_bounded(path, MAX_FILE).map_err(|error| error.to_string())?;
    text.retain(|byte| !byte.is_ascii_whitespace());
    let secret = from_base64(&text).ok_or("it is not base64, and that alone")?;
    if secret.is_empty() { Err("it is empty".to_owned()) } else { Ok(secret) }
}
