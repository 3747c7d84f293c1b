//! Reading one TOML table, key by key, without stopping at the first thing wrong.
//!
//! The keys asked for are the keys known: whatever else the table holds is reported at the end.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Known, is_meant, short};
use super::report::Findings;

/// What is wrong has been reported already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported;

/// A key's value and where it stands; nothing when the key is absent.
pub type Read<T> = Result<Option<Spanned<T>>, Reported>;

/// A value in a table or a list, on its way to be parsed.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The key it is under.
    pub key: &'a str,
    /// What is there.
    pub value: &'a Spanned<DeValue<'a>>,
}

/// One table, while it is read.
pub struct Section<'a> {
    title: String,
    at: Range<usize>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
    /// Unknown keys that were reported already.
    refused: Vec<&'a str>,
}

impl<'a> Section<'a> {
    /// The table at `at`, called `title` in messages.
    pub fn new(title: String, at: Range<usize>, table: &'a DeTable<'a>) -> Section<'a> {
        Section { title, at, table, asked: Vec::new(), refused: Vec::new() }
    }

    /// The table that is the item's value, called `title` in messages.
    pub fn of(title: String, item: Item<'a>, findings: &mut Findings) -> Result<Section<'a>, Reported> {
        match item.value.get_ref() {
            DeValue::Table(table) => Ok(Section::new(title, item.value.span(), table)),
            _ => Err(item.wrong_type("a table", findings)),
        }
    }

    /// Where the table stands: its header, or all of an inline table.
    pub fn at(&self) -> &Range<usize> {
        &self.at
    }

    /// Where the value under a key stands, which asks for nothing.
    pub fn at_key(&self, key: &str) -> Option<Range<usize>> {
        self.table.get(key).map(Spanned::span)
    }

    /// The item under a key.
    pub fn item(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.asked.push(key);
        self.table.get(key).map(|value| Item { key, value })
    }

    /// Parses the value under a key that may be left out.
    pub fn read<T>(
        &mut self,
        key: &'static str,
        findings: &mut Findings,
        parse: impl FnOnce(Item<'a>, &mut Findings) -> Result<T, Reported>,
    ) -> Read<T> {
        let Some(item) = self.item(key) else { return Ok(None) };
        let value = parse(item, findings)?;
        Ok(Some(Spanned::new(item.value.span(), value)))
    }

    /// Parses the value under a key that must be there; `example` is what to add when it is not.
    pub fn need<T>(
        &mut self,
        key: &'static str,
        example: &'static str,
        findings: &mut Findings,
        parse: impl FnOnce(Item<'a>, &mut Findings) -> Result<T, Reported>,
    ) -> Result<Spanned<T>, Reported> {
        match self.read(key, findings, parse)? {
            Some(value) => Ok(value),
            None => Err(self.missing(key, example, findings)),
        }
    }

    /// Reports a key that should be there; where it probably is, under a wrong name, that and nothing else.
    pub fn missing(&mut self, key: &'static str, example: &'static str, findings: &mut Findings) -> Reported {
        let meant = self.table.keys().find(|name| {
            let name: &str = name.get_ref();
            !self.asked.contains(&name) && !self.refused.contains(&name) && is_meant(name, key)
        });
        if let Some(name) = meant {
            let text: &str = name.get_ref();
            self.refused.push(text);
            let (at, known) = (name.span(), Known::new(text, [key]));
            let unknown = ConfigError::UnknownKey { key: short(text), within: self.title.clone(), known };
            findings.push(&at, unknown);
            return Reported;
        }
        let within = self.title.clone();
        findings.push(&self.at, ConfigError::MissingKey { key, within, example });
        Reported
    }

    /// Whether there is a key that nobody asked for.
    pub fn has_unknown(&self) -> bool {
        self.table.keys().any(|name| !self.asked.contains(&&**name.get_ref()))
    }

    /// Reports those of `keys` that are there although `kind` never asked for them: they mean nothing to it.
    pub fn refuse_unasked(&mut self, keys: &[&'static str], kind: &'static str, findings: &mut Findings) {
        for &key in keys {
            if self.asked.contains(&key) {
                continue;
            }
            self.asked.push(key);
            self.refuse(key, kind, findings);
        }
    }

    /// Reports `key`, where it is there, as one that means nothing to `kind`.
    pub fn refuse(&self, key: &'static str, kind: &'static str, findings: &mut Findings) {
        if let Some((name, _)) = self.table.get_key_value(key) {
            findings.push(&name.span(), ConfigError::ForeignKey { key, kind });
        }
    }

    /// Reports every key that was never asked for.
    pub fn finish(self, findings: &mut Findings) {
        for name in self.table.keys() {
            let key: &str = name.get_ref();
            if !self.asked.contains(&key) && !self.refused.contains(&key) {
                findings.push_with(&name.span(), || {
                    let (key, known) = (short(key), Known::new(key, self.asked.iter().copied()));
                    ConfigError::UnknownKey { key, within: self.title.clone(), known }
                });
            }
        }
    }
}

impl<'a> Item<'a> {
    /// Where the value stands.
    pub fn at(&self) -> Range<usize> {
        self.value.span()
    }

    /// Reports the value, whatever is wrong with it.
    pub fn wrong(&self, error: ConfigError, findings: &mut Findings) -> Reported {
        findings.push(&self.at(), error);
        Reported
    }

    /// Reports that the value is of another type.
    pub fn wrong_type(&self, wanted: &'static str, findings: &mut Findings) -> Reported {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(ConfigError::WrongType { key: short(self.key), found, wanted }, findings)
    }

    /// The value as a string; `wanted` says what kind of string.
    pub fn text(&self, wanted: &'static str, findings: &mut Findings) -> Result<&'a str, Reported> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong_type(wanted, findings)),
        }
    }

    /// The elements of the value, which is a list of at most `limit` of `what`.
    pub fn elements(
        &self,
        what: &'static str,
        limit: usize,
        findings: &mut Findings,
    ) -> Result<impl Iterator<Item = Item<'a>> + use<'a>, Reported> {
        let DeValue::Array(array) = self.value.get_ref() else {
            return Err(self.wrong_type("a list", findings));
        };
        if array.len() > limit {
            return Err(self.wrong(ConfigError::TooMany { what, limit }, findings));
        }
        let key = self.key;
        Ok(array.iter().map(move |value| Item { key, value }))
    }

    /// Parses a list of at least one and at most `limit` of `what`, each with its place. What is wrong
    /// with one element does not hide what is wrong with the next.
    pub fn list<T>(
        &self,
        what: &'static str,
        limit: usize,
        findings: &mut Findings,
        mut parse: impl FnMut(Item<'a>, &mut Findings) -> Result<T, Reported>,
    ) -> Result<Vec<Spanned<T>>, Reported> {
        let elements: Vec<_> = self
            .elements(what, limit, findings)?
            .map(|item| parse(item, findings).map(|value| Spanned::new(item.at(), value)))
            .collect();
        if elements.is_empty() {
            return Err(self.wrong(ConfigError::EmptyList { key: short(self.key) }, findings));
        }
        elements.into_iter().collect()
    }
}

/// What stands under the keys of a table of at most `limit` of `what`, in the file's order.
pub fn entries<'a>(
    item: Item<'a>,
    what: &'static str,
    limit: usize,
    findings: &mut Findings,
) -> Result<Vec<(Spanned<&'a str>, Item<'a>)>, Reported> {
    let DeValue::Table(table) = item.value.get_ref() else {
        return Err(item.wrong_type("a table", findings));
    };
    if table.len() > limit {
        return Err(item.wrong(ConfigError::TooMany { what, limit }, findings));
    }
    let entry = |(name, value): (&'a Spanned<Cow<'a, str>>, _)| {
        let key: &str = name.get_ref();
        (Spanned::new(name.span(), key), Item { key, value })
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    Ok(entries)
}

/// The value read, or what it is when left out.
pub fn or<T>(read: Read<T>, default: T) -> Result<T, Reported> {
    Ok(read?.map_or(default, Spanned::into_inner))
}

/// A section that may be left out, which is the same as an empty one.
pub(super) fn section_or<'a>(
    item: Option<Item<'a>>,
    title: &str,
    empty: &'a DeTable<'a>,
    findings: &mut Findings,
) -> Result<Section<'a>, Reported> {
    match item {
        Some(item) => Section::of(title.to_owned(), item, findings),
        None => Ok(Section::new(title.to_owned(), 0..0, empty)),
    }
}
