//! Knot DNS's `knot.conf`: sections (`zone:`) of items (`- domain: example.com`), in the YAML it allows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::nsd::words;
use super::source::{Budget, Found, MAX_DEPTH, beside, matching};

/// One item of a section, and where it begins.
#[derive(Default)]
struct Item {
    section: String,
    place: String,
    values: Vec<(String, String)>,
}

impl Item {
    fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }
}

/// Settings of a zone that let others in, tell them, or change what it holds.
const PASSED_BY: &[&str] = &[
    "acl",
    "notify",
    "dnssec-signing",
    "dnssec-policy",
    "catalog-role",
    "module",
    "zonemd-generate",
    "reverse-generate",
];
/// Where Knot DNS looks when its configuration does not say.
const STORAGE: &str = "/var/lib/knot";

/// Reads the configuration at `path`, and the files it includes.
pub(super) fn read(path: &Path) -> Result<Found> {
    let (mut items, mut budget) = (Vec::new(), Budget::default());
    load(path, &mut budget, 0, &mut items)?;
    budget.finish()?;
    let mut found = Found::default();
    let templates: BTreeMap<&str, &Item> = items
        .iter()
        .filter(|item| item.section == "template")
        .filter_map(|item| Some((item.get("id")?, item)))
        .collect();
    for item in &items {
        match &*item.section {
            "zone" => zone(item, &templates, path, &mut found),
            "acl" | "key" | "policy" | "remote" => {
                found.note(&item.place, format!("{} {}", item.section, item.get("id").unwrap_or_default()));
            }
            section if section.starts_with("mod-") => {
                found.note(&item.place, format!("the module {section}"));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn zone(item: &Item, templates: &BTreeMap<&str, &Item>, path: &Path, found: &mut Found) {
    let name = item.get("domain").unwrap_or_default();
    let place = &item.place;
    let template = templates.get(item.get("template").unwrap_or("default")).copied();
    let get = |key: &str| item.get(key).or_else(|| template.and_then(|template| template.get(key)));
    if get("master").is_some() {
        return found.note(place, format!("zone {name:?}, which is transferred from elsewhere"));
    }
    for key in PASSED_BY.iter().filter(|key| get(key).is_some_and(|value| value != "off" && value != "none"))
    {
        found.note(place, format!("{key} of zone {name:?}"));
    }
    let bare = name.trim_end_matches('.');
    let file = get("file").unwrap_or("%s.zone").replace("%s", bare);
    if file.contains('%') {
        return found.note(
            place,
            format!("zone {name:?}, whose file is called {file}: of such names only %s is understood"),
        );
    }
    let storage = get("storage").map_or_else(|| PathBuf::from(STORAGE), |storage| beside(path, storage));
    let file = storage.join(file);
    // Its reader of zone files looks beside the file.
    let includes_from = beside(&file, "");
    found.zone(place, name, file, &includes_from);
}

/// A file, those that a pattern stands for, or all of a folder, in order.
fn included(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() { matching(&path.join("*")) } else { matching(path) }
}

fn load(path: &Path, budget: &mut Budget, depth: usize, items: &mut Vec<Item>) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("{}: files include each other more than {MAX_DEPTH} deep", path.display());
    }
    let Some(text) = budget.read(path)? else { return Ok(()) };
    let mut section = String::new();
    for (number, line) in text.lines().enumerate() {
        let indented = line.starts_with([' ', '\t']);
        let begins = line.trim_start().starts_with("- ");
        let line = line.trim_start().trim_start_matches("- ");
        let Some((key, value)) = line.split_once(':').filter(|(key, _)| !key.starts_with('#')) else {
            continue;
        };
        let (key, values) = (key.trim(), words(value));
        let place = format!("{}:{}", path.display(), number + 1);
        if key == "include" && !indented {
            for file in values.iter().flat_map(|file| included(&beside(path, file))) {
                load(&file, budget, depth + 1, items)?;
            }
            continue;
        }
        if !indented && !begins {
            key.clone_into(&mut section);
            continue;
        }
        // Sections with one item only, like server, need no dash.
        if begins || items.last().is_none_or(|last| last.section != section) {
            items.push(Item { section: section.clone(), place, values: Vec::new() });
        }
        if let Some(item) = items.last_mut() {
            item.values.push((key.to_owned(), values.join(" ")));
        }
    }
    Ok(())
}
