//! Zone files as the commands take them: which zone a file is, and what it holds.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};

use crate::config::ZoneText;
use crate::zone::{Name, Problem, Promises, Zone, declared_apex, lint, parse};

/// What reading gave: the zone and its warnings, or everything that is wrong.
pub type Parsed = Result<(Zone, Vec<Problem>), Vec<Problem>>;

/// The bytes of a file; an error names it.
pub fn read(path: &Path) -> Result<ZoneText> {
    ZoneText::read(path, path).with_context(|| format!("cannot read {}", path.display()))
}

/// Which zone a file is: what the caller says, else what the file says, else what it is called.
pub fn apex(given: Option<&Name>, path: &Path, text: &[u8]) -> Result<Name> {
    let found = given.cloned().or_else(|| declared_apex(text)).or_else(|| from_file_name(path));
    found.ok_or_else(|| anyhow!("{}: which zone is this? say --origin NAME", path.display()))
}

/// `example.com.zone`, `example.com.db` and `db.example.com` are `example.com`.
fn from_file_name(path: &Path) -> Option<Name> {
    let name = path.file_name()?.to_str()?;
    let ends = [".zone", ".db", ".txt", ".hosts"];
    let stem = ends.iter().find_map(|end| name.strip_suffix(end)).or_else(|| name.strip_prefix("db."));
    let stem = stem.unwrap_or(name).to_ascii_lowercase();
    // A word alone is as likely to be just a word.
    let is_name =
        stem.contains('.') && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    stem.parse().ok().filter(|_| is_name)
}

/// Reads a file's zone as a server does.
pub fn zone(given: Option<&Name>, path: &Path) -> Result<Parsed> {
    let ZoneText { text, mut includes } = read(path)?;
    let apex = apex(given, path, &text)?;
    Ok(parse(&apex, &path.display().to_string(), &text, &mut |name| includes.read(name)))
}

/// Reads a file's zone with every lint; `promises` are of any zone.
pub fn linted(given: Option<&Name>, path: &Path, promises: &Promises) -> Result<Parsed> {
    let ZoneText { text, mut includes } = read(path)?;
    let apex = apex(given, path, &text)?;
    let here = promises.iter().filter(|(name, _)| name.is_at_or_below(&apex));
    let here = here.map(|(name, ttl)| (name.clone(), *ttl)).collect();
    Ok(lint(&apex, &path.display().to_string(), &text, &mut |name| includes.read(name), &here))
}

/// The zone of a file that has no error; else its errors go to stderr.
pub fn good_zone(given: Option<&Name>, path: &Path) -> Result<Option<Zone>> {
    Ok(match zone(given, path)? {
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
        check("zone", None);
        check("my zone.com.zone", None);
    }
}
