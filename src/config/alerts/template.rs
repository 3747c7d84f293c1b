//! A title or a text with placeholders, checked when the configuration is read.

use super::super::error::{ConfigError, Known, short};
use super::super::report::Findings;
use super::super::section::{Item, Reported};
use super::super::values;

/// What a template may hold.
pub const ALERT_PLACEHOLDERS: [&str; 6] =
    ["{service}", "{site}", "{reason}", "{time}", "{severity}", "{kind}"];

/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 4_096;

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// One of [`ALERT_PLACEHOLDERS`].
    Placeholder(&'static str),
}

impl Template {
    /// The text, with `value` put in for each placeholder. What is put in is not looked at again.
    pub fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Placeholder(placeholder) => value(placeholder),
        });
        pieces.collect()
    }
}

/// One line, for a title.
pub(super) fn line(item: Item, findings: &mut Findings) -> Result<Template, Reported> {
    parse(&values::line(MAX_TEMPLATE)(item, findings)?, item, findings)
}

/// Any number of lines.
pub(super) fn lines(item: Item, findings: &mut Findings) -> Result<Template, Reported> {
    parse(&values::text(MAX_TEMPLATE)(item, findings)?, item, findings)
}

fn parse(text: &str, item: Item, findings: &mut Findings) -> Result<Template, Reported> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find('{') {
        let Some(len) = rest[begin..].find('}') else { break };
        let placeholder = &rest[begin..=begin + len];
        let Some(known) = ALERT_PLACEHOLDERS.into_iter().find(|known| *known == placeholder) else {
            let known = Known::new(placeholder, ALERT_PLACEHOLDERS);
            let placeholder = short(placeholder);
            return Err(item.wrong(ConfigError::UnknownPlaceholder { placeholder, known }, findings));
        };
        pieces.push(Piece::Text(rest[..begin].to_owned()));
        pieces.push(Piece::Placeholder(known));
        rest = &rest[begin + len + 1..];
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(Template(pieces))
}
