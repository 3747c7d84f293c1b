//! The text of a file, and where in it something stands.

use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::secrets;
use crate::text::is_hidden;

/// How much of a source line a problem shows, in characters.
const MAX_EXCERPT: usize = 160;
/// How far left of the problem an excerpt of a longer line begins, in characters.
const EXCERPT_LEAD: usize = 60;

/// A file's text, ready to turn byte offsets into lines and columns.
#[derive(Debug)]
pub struct Source {
    /// As it is shown to people.
    pub file: Arc<str>,
    /// The whole content.
    pub text: String,
    /// The byte offset each line begins at; the first is 0.
    line_starts: Vec<usize>,
    /// Where secrets stand that belong into a file of their own; looked for with the first problem.
    secrets: OnceLock<Vec<Range<usize>>>,
}

/// A place in a source, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// The line, or the part of a long one around the column, without control characters.
    pub excerpt: String,
    /// The characters of `excerpt` before the marks.
    pub indent: usize,
    /// How many characters are marked, at least 1.
    pub width: usize,
}

impl Source {
    /// Takes a file's text.
    pub fn new(file: &str, text: String) -> Source {
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(breaks).collect();
        Source { file: file.into(), text, line_starts, secrets: OnceLock::new() }
    }

    /// The place of a byte range; what reaches past its first line is cut there.
    pub fn place(&self, at: &Range<usize>) -> Place {
        let start = self.boundary(at.start);
        let line = self.line(start);
        let begin = self.line_starts[line];
        let text = self.text[begin..].lines().next().unwrap_or_default();
        let before = self.text[begin..start].chars().count();
        let end = self.boundary(at.end).clamp(start, (begin + text.len()).max(start));
        let width = self.text[start..end].chars().count().max(1);
        let (excerpt, indent) = excerpt(&self.masked(begin, text), before);
        let shown = excerpt.chars().count().saturating_sub(indent).max(1);
        Place { line: number(line + 1), column: number(before + 1), excerpt, indent, width: width.min(shown) }
    }

    /// The line that begins at `begin`, with a star for each character of a secret.
    fn masked<'a>(&self, begin: usize, line: &'a str) -> Cow<'a, str> {
        let base = || Path::new(&*self.file).parent().unwrap_or(Path::new(""));
        let secrets = self.secrets.get_or_init(|| secrets::ranges(&self.text, base()));
        let end = begin + line.len();
        let here: Vec<_> = secrets.iter().filter(|secret| secret.start < end && begin < secret.end).collect();
        if here.is_empty() {
            return Cow::Borrowed(line);
        }
        let is_secret = |at: usize| here.iter().any(|secret| secret.contains(&(begin + at)));
        line.char_indices().map(|(at, c)| if is_secret(at) { '*' } else { c }).collect()
    }

    /// The number of the line that holds a byte offset, from 0.
    pub fn line(&self, at: usize) -> usize {
        // The first line begins at 0, so at least one begins at or before `at`.
        self.line_starts.partition_point(|&begin| begin <= at) - 1
    }

    /// `at`, or the nearest earlier offset that is a character's first byte.
    fn boundary(&self, at: usize) -> usize {
        (0..=at.min(self.text.len())).rev().find(|&at| self.text.is_char_boundary(at)).unwrap_or(0)
    }
}

/// The part of a line to show so that its `column`-th character (from 0) is in it, and where it then is.
pub fn excerpt(line: &str, column: usize) -> (String, usize) {
    let skipped = if column >= MAX_EXCERPT { column - EXCERPT_LEAD } else { 0 };
    let part = line.chars().skip(skipped).take(MAX_EXCERPT);
    (part.map(|c| if is_hidden(c) { ' ' } else { c }).collect(), column - skipped)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, at: Range<usize>) -> Place {
        Source::new("t", text.to_owned()).place(&at)
    }

    #[test]
    fn counts_lines_and_characters_from_one() {
        let check = |text: &str, at: Range<usize>, want: (u32, u32, &str, usize, usize)| {
            let got = place(text, at);
            assert_eq!((got.line, got.column, got.excerpt.as_str(), got.indent, got.width), want, "{text:?}");
        };
        check("", 0..0, (1, 1, "", 0, 1));
        check("abc", 1..3, (1, 2, "abc", 1, 2));
        check("a\nbc\r\nd", 2..4, (2, 1, "bc", 0, 2));
        check("a\nbc\nd", 3..9, (2, 2, "bc", 1, 1));
        check("a\n", 2..2, (2, 1, "", 0, 1));
        check("äöü = x", 9..10, (1, 7, "äöü = x", 6, 1));
        check("ä", 1..2, (1, 1, "ä", 0, 1));
        check("\tx\u{1b}[1m", 1..2, (1, 2, " x [1m", 1, 1));
        check("a", 40..50, (1, 2, "a", 1, 1));
    }

    #[test]
    fn long_lines_are_shown_around_the_column() {
        let text = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let got = place(&text, 1000..1001);
        assert_eq!((got.line, got.column), (1, 1001));
        assert_eq!(got.excerpt.chars().count(), MAX_EXCERPT);
        assert_eq!(got.excerpt.chars().nth(got.indent), Some('X'));
    }
}
