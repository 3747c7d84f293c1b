//! NSD's `nsd.conf`: clauses (`zone:`) of attributes (`name: "example.com"`), in any layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::source::{Budget, Found, MAX_DEPTH, beside, matching};

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
    let (mut clauses, mut budget) = (Vec::new(), Budget::default());
    load(path, &mut budget, 0, &mut clauses)?;
    budget.finish()?;
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
    // NSD puts the name there as it is written, a dot at its end included.
    let file =
        file.replace("%s", name).replace("%1", first(0)).replace("%2", first(1)).replace("%3", first(2));
    let file = file.replace("%z", label(0)).replace("%y", label(1)).replace("%x", label(2));
    // NSD changes into its zonesdir before it reads a zone.
    found.zone(place, name, folder.join(file), folder);
}

fn load(path: &Path, budget: &mut Budget, depth: usize, clauses: &mut Vec<Clause>) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("{}: files include each other more than {MAX_DEPTH} deep", path.display());
    }
    let Some(text) = budget.read(path)? else { return Ok(()) };
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
                    for file in matching(&beside(path, &word)) {
                        load(&file, budget, depth + 1, clauses)?;
                    }
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
