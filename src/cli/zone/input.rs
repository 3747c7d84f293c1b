//! Zone files as the commands take them: which zone a file is, and what it holds.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

use crate::config::{ZoneText, load};
use crate::dns::Name;
use crate::zone::{Problem, Promises, Zone, declared_apex, lint, parse};

/// The way to a file that a zone includes: its name as shown and its bytes, or why it cannot be had.
pub type Include<'a> = dyn FnMut(&str) -> Result<(String, Vec<u8>), String> + 'a;

/// What reading gave: the zone and its warnings, or everything that is wrong.
pub type Parsed = Result<(Zone, Vec<Problem>), Vec<Problem>>;

/// Where zone files may include files from, beside their own folder: what the configuration says, if one is named.
pub fn include_folders(config: Option<&Path>) -> Result<Vec<PathBuf>> {
    let Some(path) = config else { return Ok(Vec::new()) };
    let loaded = load(path).map_err(|report| anyhow!("{report}"))?;
    Ok(loaded.config.server.include_folders.clone())
}

/// The bytes of a file; an error names it.
pub fn read(path: &Path, folders: &[PathBuf]) -> Result<ZoneText> {
    ZoneText::read(path, path, folders).with_context(|| format!("cannot read {}", path.display()))
}

/// Which zone a file is: what the caller says, else what the file says, else what it is called.
pub fn apex(given: Option<&Name>, path: &Path, text: &[u8]) -> Result<Name> {
    let found = given.cloned().or_else(|| declared_apex(text)).or_else(|| from_file_name(path));
    found.ok_or_else(|| anyhow!("{}: which zone is this? say --origin NAME", path.display()))
}

/// `example.com.zone`, `example.com.db` and `db.example.com` are `example.com`; `db.192.168.11` is the reverse zone of
/// 192.168.11.0/24.
fn from_file_name(path: &Path) -> Option<Name> {
    let name = path.file_name()?.to_str()?;
    if let Some(network) = name.strip_prefix("db.").and_then(reverse_of) {
        return Some(network);
    }
    let ends = [".zone", ".db", ".dns", ".txt", ".hosts"];
    let stem = ends.iter().find_map(|end| name.strip_suffix(end)).or_else(|| name.strip_prefix("db."));
    let stem = stem.unwrap_or(name).to_ascii_lowercase();
    // A word alone is as likely to be just a word, and a number is no top-level domain.
    let is_name = stem.contains('.')
        && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
        && !stem.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    stem.parse().ok().filter(|_| is_name)
}

/// The reverse zone (RFC 1035 section 3.5) of a network written as one to three of its address's numbers.
fn reverse_of(network: &str) -> Option<Name> {
    let numbers: Vec<u8> = network.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    if !(1..=3).contains(&numbers.len()) {
        return None;
    }
    let reversed = numbers.iter().rev().fold(String::new(), |name, number| format!("{name}{number}."));
    format!("{reversed}in-addr.arpa").parse().ok()
}

/// Reads a file's zone as a server does.
fn zone(given: Option<&Name>, path: &Path, folders: &[PathBuf]) -> Result<Parsed> {
    let ZoneText { text, mut includes } = read(path, folders)?;
    let apex = apex(given, path, &text)?;
    Ok(parse(&apex, &path.display().to_string(), &text, &mut |name| includes.read(name)))
}

/// Reads a file's zone with every lint; the TTLs that `promises` holds are of any zone.
pub fn linted(given: Option<&Name>, path: &Path, folders: &[PathBuf], promises: &Promises) -> Result<Parsed> {
    let ZoneText { text, mut includes } = read(path, folders)?;
    let apex = apex(given, path, &text)?;
    let here = promises.within(&apex);
    Ok(lint(&apex, &path.display().to_string(), &text, &mut |name| includes.read(name), &here))
}

/// What the zone is called that a fragment is read in.
const AROUND: &str = "(around)";

/// Reads a file that zones include: any name may stand in it, relative ones below `given`, and no SOA has to.
pub fn fragment(given: Option<&Name>, shown: &str, text: &[u8], include: &mut Include<'_>) -> Parsed {
    // As if the root included it. Its own names lie beside the root's, which has records of its own.
    let below = given.map_or_else(|| "fragment.".to_owned(), Name::to_string);
    let around = format!("$TTL 1h\n. SOA . . 1 1 1 1 1\n. NS .\n$INCLUDE file {below}\n");
    let mut own = Some((shown.to_owned(), text.to_vec()));
    let parsed = parse(&Name::root(), AROUND, around.as_bytes(), &mut |name| {
        own.take().map_or_else(|| include(name), Ok)
    });
    // What is said of the lines around it is nothing to the file.
    parsed.map(|(zone, mut problems)| {
        problems.retain(|problem| problem.file != AROUND);
        (zone, problems)
    })
}

/// The zone of a file that has no error; else its errors go to stderr.
pub fn good_zone(given: Option<&Name>, path: &Path, folders: &[PathBuf]) -> Result<Option<Zone>> {
    Ok(match zone(given, path, folders)? {
        Ok((zone, _)) => Some(zone),
        Err(problems) => {
            tell(&problems);
            None
        }
    })
}

/// Problems to stderr.
pub fn tell(problems: &[Problem]) {
    for problem in problems {
        eprintln!("{problem}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_zone_it_is_called() {
        let check = |path: &str, want: Option<&str>| {
            let want = want.map(|name| name.parse().unwrap());
            assert_eq!(from_file_name(Path::new(path)), want, "{path}");
        };
        check("/etc/zones/example.com.zone", Some("example.com"));
        check("db.Example.com", Some("example.com"));
        check("2.0.192.in-addr.arpa.db", Some("2.0.192.in-addr.arpa"));
        check("example.com", Some("example.com"));
        check("example.com.dns", Some("example.com"));
        check("db.192.168.11", Some("11.168.192.in-addr.arpa"));
        check("db.10", Some("10.in-addr.arpa"));
        check("192.168.11.zone", None);
        check("zone", None);
        check("my zone.com.zone", None);
    }
}
