//! BIND's `named.conf`: statements that end with `;`, in blocks of braces.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::source::{Budget, Found, MAX_DEPTH, beside, matching};

/// One statement: words, then perhaps a block.
struct Statement {
    place: String,
    words: Vec<String>,
    block: Vec<Statement>,
}

/// Options of a zone that change who may ask, or what the zone holds.
const PASSED_BY: &[&str] = &[
    "allow-query",
    "allow-transfer",
    "allow-update",
    "also-notify",
    "auto-dnssec",
    "catalog-zones",
    "dns64",
    "dnssec-policy",
    "inline-signing",
    "key-directory",
    "rate-limit",
    "response-policy",
    "update-policy",
];

/// Reads the configuration at `path`, and the files it includes.
pub(super) fn read(path: &Path) -> Result<Found> {
    let (mut reading, mut budget) = (Reading::of(path), Budget::default());
    reading.load(path, &mut budget, 0)?;
    budget.finish()?;
    let Reading { folder, statements, .. } = reading;
    let mut found = Found::default();
    for statement in &statements {
        match statement.words.first().map(String::as_str) {
            Some("zone") => zone(statement, &folder, &mut found),
            Some("view") => {
                let zones = statement.block.iter().filter(|inner| inner.is("zone")).count();
                let name = statement.words.get(1).map_or("", |name| name);
                found.note(&statement.place, format!("view {name:?} and its {zones} zones: answers here do not depend on views; import one view by a configuration of its zones alone"));
            }
            Some(
                word @ ("acl" | "key" | "server" | "dnssec-policy" | "catalog-zones" | "dlz" | "dyndb"
                | "masters" | "primaries"),
            ) => {
                found.note(
                    &statement.place,
                    format!("{word} {}", statement.words.get(1).map_or("", |name| name)),
                );
            }
            Some("options") => {
                for option in statement.block.iter().filter(|option| option.is_any(PASSED_BY)) {
                    found.note(&option.place, format!("the option {}", option.words[0]));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn zone(statement: &Statement, folder: &Path, found: &mut Found) {
    let place = &statement.place;
    let name = statement.words.get(1).map_or("", |name| name);
    let value = |key: &str| {
        let option = statement.block.iter().find(|option| option.is(key));
        option.and_then(|option| option.words.get(1)).map(String::as_str)
    };
    let class = statement.words.get(2).map_or("IN", |class| class);
    let kind = value("type").unwrap_or("without a type");
    if !class.eq_ignore_ascii_case("IN") {
        return found.note(place, format!("zone {name:?} of class {class}"));
    }
    // PowerDNS calls native what it serves from its file and transfers to nobody.
    if !["master", "primary", "native"].contains(&kind) {
        return found.note(place, format!("zone {name:?}, which is {kind}"));
    }
    let Some(file) = value("file") else {
        return found.note(place, format!("zone {name:?}, which has no file"));
    };
    if let Some(format) = value("masterfile-format").filter(|format| *format != "text") {
        return found.note(
            place,
            format!("zone {name:?}, whose file is {format}; named-compilezone makes text of it"),
        );
    }
    for option in statement.block.iter().filter(|option| option.is_any(PASSED_BY)) {
        found.note(&option.place, format!("{} of zone {name:?}", option.words[0]));
    }
    let file = folder.join(file);
    if file.with_added(".jnl").exists() {
        found.note(
            place,
            format!("what is in the journal of zone {name:?} only; `rndc sync` writes it to the file"),
        );
    }
    // BIND and PowerDNS change into their directory before they read a zone.
    found.zone(place, name, file, folder);
}

trait WithAdded {
    fn with_added(&self, end: &str) -> PathBuf;
}

impl WithAdded for PathBuf {
    fn with_added(&self, end: &str) -> PathBuf {
        let mut path = self.clone().into_os_string();
        path.push(end);
        path.into()
    }
}

impl Statement {
    fn is(&self, word: &str) -> bool {
        self.words.first().is_some_and(|first| first == word)
    }

    fn is_any(&self, words: &[&str]) -> bool {
        self.words.first().is_some_and(|first| words.contains(&&**first))
    }
}

/// A configuration while it is read.
struct Reading {
    main: PathBuf,
    /// What relative names are relative to: the server changes into its `directory` as it reads that option, so files
    /// included before it lie elsewhere than those after it.
    folder: PathBuf,
    statements: Vec<Statement>,
}

impl Reading {
    fn of(main: &Path) -> Reading {
        Reading { main: main.to_owned(), folder: beside(main, ""), statements: Vec::new() }
    }

    /// Takes a file's statements, those of included files in their place.
    fn load(&mut self, path: &Path, budget: &mut Budget, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            bail!("{}: files include each other more than {MAX_DEPTH} deep", path.display());
        }
        let Some(text) = budget.read(path)? else { return Ok(()) };
        let mut words = words(&text, path)?.into_iter();
        for statement in statements(&mut words, path, 0)? {
            if let (true, Some(included)) = (statement.is("include"), statement.words.get(1)) {
                for file in matching(&self.folder.join(included)) {
                    self.load(&file, budget, depth + 1)?;
                }
                continue;
            }
            let directory = statement.block.iter().find(|option| option.is("directory"));
            if let Some(directory) = directory.and_then(|option| option.words.get(1))
                && statement.is("options")
            {
                self.folder = beside(&self.main, directory);
            }
            self.statements.push(statement);
        }
        Ok(())
    }
}

/// A word and its line; braces and semicolons are words that are not quoted.
struct Word {
    text: String,
    quoted: bool,
    line: usize,
}

/// The statements up to the end of the block.
fn statements(words: &mut std::vec::IntoIter<Word>, path: &Path, depth: usize) -> Result<Vec<Statement>> {
    if depth > MAX_DEPTH {
        bail!("{}: braces more than {MAX_DEPTH} deep", path.display());
    }
    let mut out = Vec::new();
    let new = || Statement { place: String::new(), words: Vec::new(), block: Vec::new() };
    let mut statement = new();
    while let Some(word) = words.next() {
        if statement.place.is_empty() {
            statement.place = format!("{}:{}", path.display(), word.line);
        }
        match (&*word.text, word.quoted) {
            ("{", false) => statement.block.extend(statements(words, path, depth + 1)?),
            ("}", false) if depth > 0 => return Ok(out),
            ("}", false) => bail!("{}: a closing brace without an opening one", statement.place),
            (";", false) => {
                let done = std::mem::replace(&mut statement, new());
                out.extend((!done.words.is_empty()).then_some(done));
            }
            _ => statement.words.push(word.text),
        }
    }
    if depth > 0 {
        bail!("{}: a brace is not closed", path.display());
    }
    Ok(out)
}

fn words(text: &str, path: &Path) -> Result<Vec<Word>> {
    let mut out = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(c) = rest.chars().next() {
        // What is passed over, and whether it is a word.
        let (len, word) = match c {
            '#' => (line_len(rest), None),
            '/' if rest.starts_with("//") => (line_len(rest), None),
            '/' if rest.starts_with("/*") => match rest.find("*/") {
                Some(end) => (end + 2, None),
                None => bail!("{}:{line}: this comment is not closed", path.display()),
            },
            '{' | '}' | ';' => (1, Some((&rest[..1], false))),
            '"' => match rest[1..].find('"') {
                Some(end) => (end + 2, Some((&rest[1..=end], true))),
                None => bail!("{}:{line}: this quote is not closed", path.display()),
            },
            c if c.is_whitespace() => (c.len_utf8(), None),
            _ => {
                let ends = |c: char| c.is_whitespace() || "{};\"#".contains(c);
                let len = rest.find(ends).unwrap_or(rest.len());
                (len, Some((&rest[..len], false)))
            }
        };
        out.extend(word.map(|(text, quoted)| Word { text: text.to_owned(), quoted, line }));
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    Ok(out)
}

fn line_len(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}
