//! `primary` of a `[[zone]]`: the servers that a zone is transferred from, and where what they sent is kept.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::access;
use super::error::ConfigError;
use super::keys::DraftKeys;
use super::report::Findings;
use super::section::{Item, Reported};
use crate::dns::Name;
use crate::model::{Peer, Primary};

/// The most primaries of one zone.
const MAX_PRIMARIES: usize = 16;
/// The longest part of a file's name, in bytes: no file system takes more than 255.
const MAX_PART: usize = 200;
/// The folder in `state_dir`.
const FOLDER: &str = "transferred";

/// Reads the list: each an address, with a port or without, or a table with an address and a key.
pub(super) fn read(item: Item, keys: &DraftKeys, findings: &mut Findings) -> Result<Vec<Primary>, Reported> {
    let listed =
        item.list("primaries", MAX_PRIMARIES, findings, |item, findings| access::peer(item, keys, findings))?;
    let mut primaries: Vec<Primary> = Vec::with_capacity(listed.len());
    let mut lines = Vec::with_capacity(listed.len());
    for primary in listed {
        let (at, Peer { address, key }) = (primary.span(), primary.into_inner());
        // A key whose secret is wrong has been reported, and there is nothing to load anyway.
        let primary = Primary { address, key: key.and_then(|key| keys.read.get(&key).cloned()) };
        if let Some(before) = primaries.iter().position(|before| before.address == primary.address) {
            findings
                .push(&at, ConfigError::ListedTwice(format!("primary {}", primary.address), lines[before]));
            return Err(Reported);
        }
        lines.push(findings.line(&at));
        primaries.push(primary);
    }
    Ok(primaries)
}

/// The file that keeps what was transferred. Its name is the zone's, with `%` and two digits in place of
/// what is no letter, digit, hyphen or underscore; a long one is a folder and a file.
pub(super) fn kept_in(state_dir: &Path, zone: &Name) -> PathBuf {
    let mut text = String::new();
    for byte in zone.to_string().into_bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(text, "%{byte:02x}")),
        }
    }
    text.push_str("zone");
    let mut path = state_dir.join(FOLDER);
    // Of ASCII alone, so that it may be cut anywhere.
    while text.len() > MAX_PART {
        let rest = text.split_off(MAX_PART);
        path.push(std::mem::replace(&mut text, rest));
    }
    path.join(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_has_a_file_of_its_own() {
        let file = |zone: &str| kept_in(Path::new("/s"), &zone.parse().unwrap()).display().to_string();
        assert_eq!(file("Example.com"), "/s/transferred/example.com.zone");
        assert_eq!(file("0/25.2.0.192.in-addr.arpa"), "/s/transferred/0%2f25.2.0.192.in-addr.arpa.zone");
        assert_eq!(file("."), "/s/transferred/.zone");
        assert_eq!(file(r"a\.b.example"), "/s/transferred/a%5c.b.example.zone");
        let long = file(&format!("{0}.{0}.{0}.example", "a".repeat(60)));
        assert_ne!(long, file(&format!("{0}.{0}.{0}b.example", "a".repeat(60))));
        let longest = file(&format!("{0}.{0}.{0}.{1}", "/".repeat(63), "/".repeat(60)));
        assert!(longest.split('/').all(|part| part.len() <= MAX_PART), "{longest}");
    }
}
