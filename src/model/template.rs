//! A title or a text with placeholders.

/// What a template may hold.
pub const ALERT_PLACEHOLDERS: [&str; 6] =
    ["{service}", "{site}", "{reason}", "{time}", "{severity}", "{kind}"];

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
    /// Reads one; the error is the placeholder that there is not.
    pub fn parse(text: &str) -> Result<Template, &str> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(begin) = rest.find('{') {
            let Some(len) = rest[begin..].find('}') else { break };
            let placeholder = &rest[begin..=begin + len];
            let known = ALERT_PLACEHOLDERS.into_iter().find(|known| *known == placeholder);
            pieces.push(Piece::Text(rest[..begin].to_owned()));
            pieces.push(Piece::Placeholder(known.ok_or(placeholder)?));
            rest = &rest[begin + len + 1..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Template(pieces))
    }

    /// The text, with `value` put in for each placeholder. What is put in is not looked at again.
    pub fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Placeholder(placeholder) => value(placeholder),
        });
        pieces.collect()
    }
}
