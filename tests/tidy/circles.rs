//! Files of one room that need each other, directly or in a ring: none of them can be understood first.
//!
//! What a file needs is what it names, tests aside. A name that another file hands on (`pub use`) counts as that of the
//! file that has it. A room's first file, and a folder's, stands for the whole: it may name what is in there, and what is
//! in there may name what it has; so it is in no ring.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use crate::tidy::source::Source;

type Module = Vec<String>;

/// A file, as far as others name it.
struct File<'s> {
    source: &'s Source,
    module: Module,
    /// Whether it stands for all that is in its folder.
    is_first: bool,
    /// The lines of each `pub use`.
    handed_on: Vec<RangeInclusive<usize>>,
    /// What it hands on by name, and where from.
    names: BTreeMap<String, Module>,
    /// The modules of which it hands on everything.
    all_of: Vec<Module>,
}

/// Every ring, as the paths of its files.
pub fn circles(sources: &[Source]) -> Vec<Vec<&str>> {
    let files: BTreeMap<Module, File<'_>> =
        sources.iter().filter_map(File::of).map(|file| (file.module.clone(), file)).collect();
    let needs: BTreeMap<&str, BTreeSet<&str>> =
        files.values().map(|file| (file.source.path.as_str(), file.needs(&files))).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        needs.keys().map(|&path| (path, reached_from(path, &needs))).collect();
    let mut rings = BTreeSet::new();
    for (path, reached_here) in &reached {
        if reached_here.contains(path) {
            let back = |other: &&&str| reached[**other].contains(path);
            rings.insert(reached_here.iter().filter(back).copied().collect::<Vec<_>>());
        }
    }
    rings.into_iter().collect()
}

fn reached_from<'s>(path: &str, needs: &BTreeMap<&'s str, BTreeSet<&'s str>>) -> BTreeSet<&'s str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = needs[path].iter().copied().collect();
    while let Some(path) = next.pop() {
        if reached.insert(path) {
            next.extend(&needs[path]);
        }
    }
    reached
}

impl<'s> File<'s> {
    /// One of a room, tests aside.
    fn of(source: &'s Source) -> Option<File<'s>> {
        let inside = source.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        if !inside.contains('/') || source.test.iter().all(|test| *test) {
            return None;
        }
        let module: Module = inside.trim_end_matches("/mod").split('/').map(str::to_owned).collect();
        // A file of tests below it makes no file the first of others.
        let mut lines = source.code.iter().zip(&source.test);
        let is_first = lines.any(|(line, test)| !test && is_declaration(line));
        let handed_on = hand_ons(&source.code);
        let mut file =
            File { source, module, is_first, handed_on, names: BTreeMap::new(), all_of: Vec::new() };
        for used in source.paths() {
            if !file.hands_on(used.line) {
                continue;
            }
            let Some(from) = file.absolute(&used.segments) else { continue };
            if source.code[used.line].contains("::*") {
                file.all_of.push(from);
            } else if let Some(name) = used.segments.last() {
                file.names.insert(name.clone(), from);
            }
        }
        Some(file)
    }

    fn hands_on(&self, line: usize) -> bool {
        self.handed_on.iter().any(|lines| lines.contains(&line))
    }

    /// The files of its room that it needs.
    fn needs(&self, files: &BTreeMap<Module, File<'s>>) -> BTreeSet<&'s str> {
        let mut needs = BTreeSet::new();
        if self.is_first {
            return needs;
        }
        for used in self.source.paths() {
            if self.source.test[used.line] || self.hands_on(used.line) {
                continue;
            }
            let is_path = ["crate", "super", "self"].contains(&used.segments[0].as_str());
            if !is_path {
                continue;
            }
            let of = self.absolute(&used.segments).and_then(|path| owner(&path, files, 0));
            needs.extend(of.filter(|of| of.module[0] == self.module[0]).map(|of| of.source.path.as_str()));
        }
        needs.remove(self.source.path.as_str());
        needs
    }

    /// A path that begins in this file, from the crate's root on; `None` where it leaves the crate.
    fn absolute(&self, segments: &[String]) -> Option<Module> {
        let ups = segments.iter().take_while(|segment| *segment == "super").count();
        let (base, rest) = match segments[0].as_str() {
            "crate" => (&[][..], &segments[1..]),
            "self" => (&self.module[..], &segments[1..]),
            _ => (&self.module[..self.module.len().checked_sub(ups)?], &segments[ups..]),
        };
        Some([base, rest].concat())
    }

    fn defines(&self, name: &str) -> bool {
        self.source.code.iter().any(|line| {
            let Some(item) = line.strip_prefix("pub ") else { return false };
            let mut words = item.split(|c: char| !c.is_alphanumeric() && c != '_');
            let kinds = ["fn", "struct", "enum", "type", "const", "static", "trait"];
            words.by_ref().any(|word| kinds.contains(&word)) && words.next() == Some(name)
        })
    }
}

/// The file that has what a path names.
fn owner<'f, 's>(
    path: &[String],
    files: &'f BTreeMap<Module, File<'s>>,
    depth: usize,
) -> Option<&'f File<'s>> {
    /// How often a name may be handed on.
    const HANDS: usize = 8;
    let file = (0..=path.len()).rev().find_map(|len| files.get(&path[..len]))?;
    let Some(name) = path.get(file.module.len()).filter(|_| depth < HANDS) else { return Some(file) };
    if let Some(from) = file.names.get(name) {
        let beyond = &path[file.module.len() + 1..];
        return owner(&[&from[..], beyond].concat(), files, depth + 1);
    }
    let mut of_all = file.all_of.iter().filter_map(|module| files.get(module));
    Some(of_all.find(|of| of.defines(name)).unwrap_or(file))
}

/// Whether a line says that there is another file below this one: `mod name;`.
fn is_declaration(line: &str) -> bool {
    line.ends_with(';')
        && line.rsplit_once("mod ").is_some_and(|(before, _)| before.is_empty() || before.starts_with("pub"))
}

/// The lines of each statement that hands names on.
fn hand_ons(code: &[String]) -> Vec<RangeInclusive<usize>> {
    let begins = |line: &&String| {
        let line = line.trim_start();
        line.starts_with("pub")
            && line.split_once(' ').is_some_and(|(_, rest)| rest.trim_start().starts_with("use "))
    };
    let lines = code.iter().enumerate().filter(|(_, line)| begins(line)).map(|(line, _)| line);
    lines
        .map(|first| {
            let end = code[first..].iter().position(|line| line.contains(';')).unwrap_or(0);
            first..=first + end
        })
        .collect()
}
