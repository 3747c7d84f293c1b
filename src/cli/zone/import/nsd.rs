//! NSD's `nsd.conf`: clauses (`zone:`) of attributes (`name: "example.com"`), in any layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::source::{Budget, Found, MAX_DEPTH, beside};

/// One clause: its word, where it begins, and its attributes with their places.
struct Clause {
    word: String,
    place: String,
    attributes: Vec<(String, String, String)>,
}

impl Clause {
    fn get(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _, _)| name == key).map(|(_, value, _)| &**value)
    }
}

/// The words that begin a clause.
const CLAUSES: &[&str] =
    &["server", "remote-control", "zone", "pattern", "key", "tls-auth", "dnstap", "verify", "xdp"];
/// Attributes of a zone that let others in or tell them.
const PASSED_BY: &[&str] =
    &["provide-xfr", "notify", "allow-query", "catalog", "catalog-member-pattern", "verify-zone"];
/// Where Debian's NSD looks when its configuration does not say.
const ZONES_FOLDER: &str = "/etc/nsd";

/// Reads the configuration at `path`, and the files it includes.
pub(super) fn read(path: &Path) -> Result<Found> {
    let mut clauses = Vec::new();
    load(path, &mut Budget::default(), 0, &mut clauses)?;
    let mut found = Found::default();
    let zonesdir =
        clauses.iter().filter(|clause| clause.word == "server").find_map(|clause| clause.get("zonesdir"));
    let folder = zonesdir.map_or_else(|| PathBuf::from(ZONES_FOLDER), |folder| beside(path, folder));
    let patterns: BTreeMap<&str, &Clause> = clauses
        .iter()
        .filter(|clause| clause.word == "pattern")
        .filter_map(|clause| Some((clause.get("name")?, clause)))
        .collect();
    for clause in &clauses {
        match &*clause.word {
            "zone" => zone(clause, &patterns, &folder, &mut found),
            "key" | "tls-auth" => found
                .note(&clause.place, format!("{} {}", clause.word, clause.get("name").unwrap_or_default())),
            _ => {}
        }
    }
    Ok(found)
}

fn zone(clause: &Clause, patterns: &BTreeMap<&str, &Clause>, folder: &Path, found: &mut Found) {
    let name = clause.get("name").unwrap_or_default();
    let place = &clause.place;
    // The zone's own attributes, then those of its patterns and of theirs.
    let (mut parts, mut at) = (vec![clause], 0);
    while let Some(part) = parts.get(at).copied().filter(|_| parts.len() <= MAX_DEPTH) {
        let included = part.attributes.iter().filter(|(key, _, _)| key == "include-pattern");
        parts.extend(included.filter_map(|(_, value, _)| patterns.get(&**value).copied()));
        at += 1;
    }
    let get = |key: &str| parts.iter().find_map(|part| part.get(key));
    if get("request-xfr").is_some() {
        return found.note(place, format!("zone {name:?}, which is transferred from elsewhere"));
    }
    let Some(file) = get("zonefile") else {
        return found.note(place, format!("zone {name:?}, which has no file"));
    };
    for (key, _, place) in
        parts.iter().flat_map(|part| &part.attributes).filter(|(key, _, _)| PASSED_BY.contains(&&**key))
    {
        found.note(place, format!("{key} of zone {name:?}"));
    }
    let bare = name.trim_end_matches('.');
    let labels: Vec<&str> = bare.rsplit('.').collect();
    let label = |at: usize| labels.get(at).copied().unwrap_or(".");
    let first = |at: usize| bare.get(at..=at).unwrap_or(".");
    let file =
        file.replace("%s", bare).replace("%1", first(0)).replace("%2", first(1)).replace("%3", first(2));
    let file = file.replace("%z", label(0)).replace("%y", label(1)).replace("%x", label(2));
    found.zone(place, name, folder.join(file));
}

fn load(path: &Path, budget: &mut Budget, depth: usize, clauses: &mut Vec<Clause>) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("{}: files include each other more than {MAX_DEPTH} deep", path.display());
    }
    let text = budget.read(path)?;
    let mut key: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.display(), number + 1);
        for word in words(line) {
            // A value may end with a colon too (an IPv6 prefix), but not where a key is due.
            let next = word.strip_suffix(':').map(str::to_owned);
            match (key.take(), next) {
                (_, Some(clause)) if CLAUSES.contains(&&*clause) => {
                    clauses.push(Clause { word: clause, place: place.clone(), attributes: Vec::new() });
                }
                (None, next) => key = next,
                (Some(name), _) if name == "include" => {
                    include(&beside(path, &word), budget, depth, clauses)?;
                }
                (Some(name), _) => {
                    if let Some(clause) = clauses.last_mut() {
                        clause.attributes.push((name, word, place.clone()));
                    }
                }
            }
        }
    }
    Ok(())
}

/// One file, or with a `*` in its name those of the folder that fit, in order.
fn include(path: &Path, budget: &mut Budget, depth: usize, clauses: &mut Vec<Clause>) -> Result<()> {
    let pattern = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((start, end)) = pattern.split_once('*') else { return load(path, budget, depth + 1, clauses) };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path.parent().unwrap_or(Path::new("."))).into_iter().flatten() {
        let file = entry?.path();
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end) {
            files.push(file);
        }
    }
    files.sort();
    files.iter().try_for_each(|file| load(file, budget, depth + 1, clauses))
}

/// The words of a line, quotes and comments taken away.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = line.trim_start();
    while let Some(c) = rest.chars().next().filter(|&c| c != '#') {
        let (word, after) = match c {
            '"' | '\'' => rest[1..].split_once(c).unwrap_or((&rest[1..], "")),
            _ => {
                let ends = rest.find(|c: char| c.is_whitespace() || c == '#').unwrap_or(rest.len());
                // `name:"x"` is two words.
                let ends = rest[..ends].find(":\"").map_or(ends, |colon| colon + 1);
                rest.split_at(ends)
            }
        };
        out.push(word.to_owned());
        rest = after.trim_start();
    }
    out
}
