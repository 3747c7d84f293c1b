//! A regular expression over bytes, compiled when the configuration is read.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// The largest compiled pattern, in bytes, and the most a search may keep: a short text can ask for a huge
/// automaton.
const MAX_COMPILED: usize = 1 << 20;

/// A regular expression, whose search takes time linear in what is searched. Classes and case are those of
/// ASCII. Two are equal when their texts are.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles `text`; the error is the reason in one line.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let built = RegexBuilder::new(text)
            .unicode(false)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .build();
        built.map(Pattern).map_err(|error| match error {
            // The syntax error's text draws the pattern over several lines; its last one is the reason.
            regex::Error::Syntax(text) => {
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
            regex::Error::CompiledTooBig(_) => "it is too large once compiled".to_owned(),
            other => other.to_string(),
        })
    }

    /// Whether something in `bytes` matches.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Where the first match in `bytes` ends.
    pub fn end_of_match(&self, bytes: &[u8]) -> Option<usize> {
        self.0.find(bytes).map(|found| found.end())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.0.as_str())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.as_str())
    }
}
